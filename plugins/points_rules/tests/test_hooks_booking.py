"""What sales and returns post to the ledger, on both databases."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from core.api import Conflict, Move, lots_of, post, postings_of, write_off
from plugins.points_rules import hooks
from plugins.points_rules.rules.terms import differences, reproduce

CASES = json.loads((Path(__file__).parent / "returned.json").read_text())["cases"]

#: A few of each kind: one line, several returns, shortfall at once and later.
SELECTED = [CASES[at] for at in (0, 3, 6, 8, 20, 21, 30, 60, 90)]


def totals(till):
    return {name: points for name, points in till.standing().totals.items() if points}


def give(till, category, points, **rest):
    ctx = till.shipped.context()
    move = Move("points", till.member["id"], category, points, **rest)
    return post(ctx, [move], what="given", key=f"given:{category}:{points}",
                ref=("member", till.member["id"]), valid_at=ctx.now)  # fmt: skip


def use(till, points):
    give(till, "R", -points, against="spent")


def test_sale_spends_first_and_then_earns_in_one_posting(till):
    give(till, "C", 300)
    receipt = till.sell("100.00", "101.00", spend_points=300)
    assert receipt.sale.points_paid == Decimal("3.00")
    assert totals(till) == {"A": 19, "C": 300, "E": 19, "R": 300}
    (posted,) = postings_of(till.shipped.context(), ("order", receipt.order))
    assert (posted.key, posted.what) == (f"sale:{receipt.order}", "points_sale")
    mine = [(each.category, each.amount, each.why) for each in posted.entries if each.owner]
    assert mine == [("R", -300, "spent"), ("A", 19, "issued"), ("E", 19, "issued")]
    assert differences(receipt.certificate) == []


def test_sale_takes_no_more_points_than_are_due_or_there(till):
    give(till, "C", 300)
    assert till.sell("0.50", spend_points=300).sale.spend_points == 50
    ctx = till.shipped.context("cashier")
    sale = till.sale("100.00", spend_points=251)
    hooks.guanxi_before_quote(ctx, sale)
    assert (sale.spend_points, [it.code for it in ctx.warnings]) == (
        250, ["points_rules.not_enough"],
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        till.sell("100.00", spend_points=251)
    assert (caught.value.code, caught.value.params) == (
        "points_rules.not_enough", {"available": 250, "asked": 251},
    )  # fmt: skip


def test_points_spent_meanwhile_are_refused_when_the_sale_is_booked(till):
    give(till, "C", 300)
    sales = [till.quote("100.00", spend_points=200, is_order=True) for _ in range(2)]
    till.book(sales[0], "o-1")
    with pytest.raises(Conflict) as caught:
        till.book(sales[1], "o-2")
    assert caught.value.code == "points_rules.not_enough"
    assert totals(till)["R"] == 200


@pytest.mark.parametrize("case", SELECTED, ids=range(len(SELECTED)))
def test_return_posts_what_the_acceptance_cases_say(till, case):
    earned = case["earned"]
    identity, extra = (earned[name] // earned["A"] for name in "EB")
    till.card_type = till.card_type | {"identity_multiple": Decimal(identity)}
    sale = till.sale(case["net_paid"], is_order=True)
    sale.lines[0].quantity = Decimal(case["net_paid"])
    receipt = sell_multiplied(till, sale, 1 + extra)
    assert {name: receipt.sale.points[name] for name in "AEB"} == earned
    if case["spent_since"]:
        use(till, case["spent_since"])
    assert till.standing().available == case["balance_before"]
    for step in case["returns"]:
        back = till.give_back(receipt, {1: Decimal(step["returned_net"])})
        assert {name: back.clawed[name] for name in "AEB"} == step["reverse"]
        assert (back.bought, till.standing().balance) == (step["buy_F"], step["balance_after"])


def sell_multiplied(till, sale, multiplier):
    """Book a sale as it is under a multiplier for all of it."""
    hooks.guanxi_before_quote(till.shipped.context("cashier"), sale)
    stamped = sale.terms["points_rules"]
    if multiplier != 1:
        stamped["lines"][0]["multiplier"] = str(multiplier)
    sale.points = reproduce(stamped)["points"]
    return till.book(sale, "o-1")


def test_return_gives_points_back_to_their_lots_with_the_old_end(till):
    until = till.shipped.clock.today(till.shipped.context().time_zone) + timedelta(days=3)
    give(till, "C", 100, expires_on=until)
    give(till, "D", 100)
    receipt = till.sell("100.00", spend_points=150)
    lots = {lot.id: lot.expires_at for lot in all_lots(till)}
    back = till.give_back(receipt, {1: 5})
    assert [(it["category"], it["points"]) for it in back.restored] == [("D", 50), ("C", 25)]
    assert (back.refund, till.standing().balance) == (Decimal("49.25"), 50 + 75 + 4 + 4)
    till.shipped.clock.move(timedelta(days=4))
    back = till.give_back(receipt)
    assert [(it["points"], it["expired"]) for it in back.restored] == [(75, True)]
    # 25 of the 100 that end came back in time and then ended too.
    assert (till.standing().available, back.refund) == (100, Decimal("49.25"))
    assert all(lot.expires_at == lots.get(lot.id, lot.expires_at) for lot in all_lots(till))


def sweep(till):
    ctx = till.shipped.context()
    write_off(ctx, "points", till.member["id"], until=ctx.now)


def all_lots(till):
    return lots_of(till.shipped.context(), till.standing().account_id, live=False)


@pytest.mark.parametrize("is_swept", [True, False])
def test_return_does_not_take_twice_what_expired(till, is_swept):
    till.shipped.set("points_rules", expiry_mode="months", expiry_after=1)
    receipt = till.sell("1000.00")
    use(till, 30)
    till.shipped.clock.move(timedelta(days=60))
    if is_swept:
        sweep(till)
    give(till, "C", 10)
    first = till.give_back(receipt, {1: 5})
    rest = till.give_back(receipt)
    sweep(till)
    assert [first.clawed["A"], rest.clawed["A"]] == [50, 50]
    # Of A 100 and E 100, 30 were used; 10 are there, so 20 are bought.
    assert (first.bought + rest.bought, till.standing().balance) == (20, 0)
    assert totals(till) == {"C": 10, "F": 20, "R": 30}


def test_pending_points_cannot_be_spent_but_taken_back(till):
    till.shipped.set("points_rules", pending_days=7)
    receipt = till.sell("1000.00")
    assert (till.standing().balance, till.standing().available) == (200, 0)
    back = till.give_back(receipt)
    assert (back.bought, totals(till)) == (0, {})


@pytest.mark.parametrize(
    ("policy", "bought", "after", "price"),
    [
        ("buy", 150, {"F": 150, "R": 150}, "1.50"),
        ("negative", 0, {"R": 150}, "0.00"),
        ("within_balance", 0, {"A": 50, "E": 100, "R": 150}, "0.00"),
    ],
)
def test_return_of_points_that_are_gone_follows_the_policy(till, policy, bought, after, price):
    till.shipped.set("points_rules", clawback_policy=policy)
    receipt = till.sell("1000.00")
    use(till, 150)
    back = till.give_back(receipt, is_preview=True)
    assert totals(till) == {"A": 100, "E": 100, "R": 150}
    again = till.give_back(receipt)
    assert (again.clawed, again.bought, again.refund) == (back.clawed, back.bought, back.refund)
    assert (again.bought, again.bought_price) == (bought, Decimal(price))
    assert again.refund == Decimal("1000.00") - Decimal(price)
    assert sum(totals(till).get(name, 0) for name in "ABCDEF") - 150 == till.standing().balance
    assert {name: totals(till).get(name, 0) for name in after} == after


def test_return_of_points_that_are_gone_can_be_blocked(till):
    till.shipped.set("points_rules", clawback_policy="block")
    receipt = till.sell("1000.00")
    use(till, 150)
    with pytest.raises(Conflict) as caught:
        till.give_back(receipt)
    assert (caught.value.code, caught.value.params) == (
        "points_rules.return_blocked", {"short": 150},
    )  # fmt: skip
    assert totals(till) == {"A": 100, "E": 100, "R": 150}


def test_return_takes_points_of_a_category_that_was_transferred_away_as_used(till):
    give(till, "C", 150)
    receipt = till.sell("1000.00")
    ctx = till.shipped.context()
    gone = Move("points", till.member["id"], "A", -100, against="moved")
    post(ctx, [gone, Move("points", "somebody", "A", 100, against="moved")], what="transfer",
         key="t-1", ref=("member", till.member["id"]), valid_at=ctx.now)  # fmt: skip
    halves = [till.give_back(receipt, {1: 5}), till.give_back(receipt)]
    assert [back.clawed["A"] + back.clawed["E"] for back in halves] == [100, 100]
    assert totals(till) == {"C": 150, "R": 100}
    assert (halves[1].bought, till.standing().balance) == (0, 50)


def test_debt_is_settled_by_the_next_purchase(till):
    till.shipped.set("points_rules", clawback_policy="negative")
    receipt = till.sell("1000.00")
    use(till, 150)
    till.give_back(receipt)
    assert till.standing().balance == -150
    till.sell("1000.00")
    assert (till.standing().balance, till.standing().available) == (50, 50)


def test_sale_without_a_member_posts_nothing(till):
    receipt = till.sell("1000.00", member=None, card=None)
    assert receipt.sale.points["A"] == 0
    assert till.give_back(receipt).refund == Decimal("1000.00")
    assert postings_of(till.shipped.context(), ("order", receipt.order)) == []
