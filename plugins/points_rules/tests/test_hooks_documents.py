"""Rules and scenes in force at the till: levels, moments, conditions, once for each member."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.api import Conflict, Goods, SaleLine, translate
from plugins.points_rules.rules.terms import differences

YEAR_MONTH = "MONTH(member.birthday) == MONTH(sale.ordered_at)"


@pytest.fixture
def brands(shipped):
    for code in ("b1", "b2"):
        shipped.create("Admin", "brand", code=code, name=code)


@pytest.fixture
def tea(shipped):
    """A product of brand b1 that conditions can look at."""
    brand = shipped.create("Admin", "brand", code="b9", name="b9")
    made = shipped.create(
        "Admin", "product", code="TEA", name="Tea", list_price="100.00", brand=brand["id"]
    )
    scopes = {"brand": "b9", "product": "TEA"}
    return Goods(made["id"], "TEA", "Tea", Decimal("100.00"), scopes, made)


def in_force(shipped, till, *lines, **changes):
    plain = {"card_types": [till.card_type["id"]], "effective_from": "2026-03-01"}
    made = shipped.create("clerk", "points_rule", **(plain | {"lines": list(lines)} | changes))
    return shipped.approve("points_rule", made["id"])


def scene(shipped, **changes):
    plain = {"title": "Birthday", "effective_from": "2026-03-01", "effect": "grant", "points": 50}
    return shipped.approve(
        "points_scene", shipped.create("clerk", "points_scene", **(plain | changes))["id"]
    )


def line(effect="rate", value="0.5", scope="brand", targets=("b1",), **rest):
    return {
        "scope": scope, "targets": list(targets), "effect": effect, "value": value,
    } | rest  # fmt: skip


@pytest.mark.usefixtures("brands")
def test_rules_in_force_decide_line_by_line_and_say_so(shipped, till):
    before = till.quote("100.00").audit_seq
    known = shipped.context()
    first = in_force(shipped, till, line(), line("excluded", None, targets=["b2"]))
    later = in_force(shipped, till, line("multiplier", "3"), line(value="0.2"))
    sale = till.quote("100.00", "50.00", "30.00")
    assert sale.points == {"A": 23, "B": 40, "C": 0, "D": 0, "E": 23}
    assert sale.lines[0].terms["points_rules"] == {
        "rate": {"no": later["no"], "line": 2, "audit_seq": later["audit_seq"]},
        "multiplier": {"no": later["no"], "line": 1, "audit_seq": later["audit_seq"]},
    }
    assert [step["code"] for step in sale.lines[1].trace] == ["points_rules.excluded"]
    _, loser, _ = sale.lines[0].trace
    assert (loser["code"], loser["params"]["no"]) == (
        "points_rules.lost.earlier_audit", first["no"],
    )  # fmt: skip
    for locale in ("zh", "en"):
        assert first["no"] in translate(loser["text"], locale).format_map(loser["params"])
    assert sale.lines[2].terms == {}
    # A sale that knows only the first audit still earns by it, whatever came later.
    old = till.quote("100.00", audit_seq=first["audit_seq"])
    assert (old.points["A"], old.points["B"]) == (50, 0)
    assert till.quote("100.00", at=known.now - timedelta(days=1)).points["A"] == 10
    assert before == 10**6


@pytest.mark.usefixtures("brands")
def test_rule_holds_on_its_days_and_where_its_condition_does(shipped, till):
    many = "sale.total_due >= 500 and line.quantity >= 2"
    in_force(shipped, till, line(condition=many), effective_to="2026-03-11")
    assert [till.quote(due).points["A"] for due in ("499.99", "500.00")] == [49, 250]
    shipped.clock.move(timedelta(days=3))
    assert till.quote("500.00").points["A"] == 50


def test_condition_can_ask_about_the_product_of_the_line(shipped, till, tea):
    in_force(
        shipped, till, line(targets=["b9"], condition="line.product.name == 'Tea'", value="1")
    )
    sold = SaleLine(1, tea, Decimal(1), Decimal(100), Decimal(100), amount_due=Decimal("100.00"))
    assert till.quote(lines=[sold]).points["A"] == 100


def test_birthday_multiplies_and_another_scene_gives_points(shipped, till):
    scene(shipped, effect="multiplier", multiplier="3", points=None, condition=YEAR_MONTH)
    scene(shipped, title="Any")
    receipt = till.sell("100.00")
    assert receipt.sale.points == {"A": 10, "B": 20, "C": 50, "D": 0, "E": 10}
    assert differences(receipt.certificate) == []
    till.member = {**till.member, "birthday": till.member["birthday"].replace(month=4)}
    assert till.quote("100.00").points["B"] == 0


def test_stamped_sale_stays_as_it_was_whatever_changes_later(shipped, till):
    made = scene(shipped, points=7)
    receipt = till.sell("100.00")
    scene(shipped, title="More", points=70)
    shipped.set("points_rules", multiplier_combine="sum", point_value="0.5")
    assert differences(receipt.certificate) == []
    assert receipt.certificate["terms"]["points_rules"]["scenes"][0]["no"] == made["no"]
    forged = receipt.certificate | {"points": receipt.sale.points | {"A": 11}}
    assert differences(forged) == ["points"]
    assert till.give_back(receipt).clawed == {"A": 10, "B": 0, "E": 10, "C": 7}


def test_scene_points_stay_while_their_trigger_holds_on_what_remains(shipped, till):
    scene(shipped, condition="sale.total_due >= 500")
    receipt = till.sell("400.00", "400.00")
    assert till.give_back(receipt, {1: 5}).clawed["C"] == 0
    assert till.give_back(receipt, {1: 5}).clawed["C"] == 50
    assert till.give_back(receipt).clawed["C"] == 0
    assert till.standing().balance == 0


def order(shipped, till):
    made = shipped.create(
        "Admin", "order", no=f"R{shipped.clock.now():%d%H%M%S}", kind="sale",
        store=till.store.id, member=till.member["id"], ordered_at="2026-03-10T04:00:00Z",
    )  # fmt: skip
    return made["id"]


@pytest.mark.parametrize(("once", "days"), [("day", 1), ("year", 366), ("ever", None)])
def test_scene_is_had_once_and_again_in_the_next_period(shipped, till, once, days):
    scene(shipped, once=once)
    first = till.sell("100.00", order=order(shipped, till))
    assert (first.sale.points["C"], till.quote("100.00").points["C"]) == (50, 0)
    shipped.clock.move(timedelta(days=days or 5000))
    assert till.quote("100.00").points["C"] == (50 if days else 0)


def test_scene_had_at_two_tills_at_once_is_given_once(shipped, till):
    scene(shipped, once="ever")
    sales = [till.quote("100.00", is_order=True) for _ in range(2)]
    assert [sale.points["C"] for sale in sales] == [50, 50]
    where = order(shipped, till)
    till.book(sales[0], where)
    with pytest.raises(Conflict) as caught:
        till.book(sales[1], where)
    assert caught.value.code == "points_rules.scene_had"
    assert till.standing().totals["C"] == 50


def test_scene_can_be_had_again_once_the_whole_receipt_came_back(shipped, till):
    scene(shipped, once="ever")
    for _ in range(2):
        receipt = till.sell("100.00", order=order(shipped, till))
        assert receipt.sale.points["C"] == 50
        till.give_back(receipt, {1: 4})
        assert till.quote("100.00").points["C"] == 0
        till.give_back(receipt)
        shipped.clock.move(timedelta(minutes=1))
    assert till.standing().balance == 0
