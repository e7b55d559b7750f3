"""What people are told of a document before it is audited, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.api import Document, Invalid
from plugins.discount_rules.operations import pricetests, review
from plugins.discount_rules.tests.sales import Shop


@pytest.fixture
def shop(shipped):
    return Shop(shipped)


def document_of(shop, made):
    return Document(
        "discount_rule", made["id"], None, shop.shipped.get("discount_rule", made["id"])
    )


def reviews(shop, made, locale="en"):
    ctx = replace(shop.shipped.context("approver"), locale=locale)
    return review.review_document(ctx, document_of(shop, made))


def titled(found, title):
    (one,) = [each for each in found if title in each.title]
    return one


def test_sound_document_is_told_to_be_sound(shop):
    found = reviews(shop, shop.document(("brand", "olay", "0.75")))
    assert [each.level for each in found] == ["ok", "note", "note", "note"]
    assert found[0].title.startswith("Every rule can apply")
    assert "days from 2026-03-01 to 2026-03-09 are gone" in found[1].title
    assert "No sales in the last 30 days" in found[3].title


def test_proof_tells_dead_rules_overlaps_and_turning_prices(shop):
    shop.audit(("product", "LOR-1", "0.9"), no="A", effective_from="2026-03-10")
    shop.audit(
        ("brand", "olay", "0.8"), no="B", effective_from="2026-03-10", effective_to="2026-03-31"
    )
    made = shop.document(
        ("brand", "loreal", "0.85"), ("brand", "olay", "0.98"), effective_from="2026-03-10"
    )
    found = reviews(shop, made)
    dead = titled(found, "can never apply")
    assert dead.rows == (("1", "Brand", "loreal", "Gold", "A"),)
    overlap = titled(found, "Overlaps")
    assert overlap.rows == (
        ("2", "Brand", "olay", "Gold", "B, line 1", "2026-03-10 to 2026-03-31", "0.8", "0.98"),
    )
    turn = titled(found, "cost the member more")
    assert turn.level == "warning"
    assert turn.rows[1] == (
        "2",
        "Gold",
        "0.98",
        "0.76 – 0.8",
        "200.00: 0.79 → 158.00, 0.8 → 152.00",
    )
    jumps = titled(found, "jump by more")
    assert jumps.rows[-1] == ("2", "Gold", "0.98", "1", "200.00: 1 → 196.00, 0.999 → 189.81")
    assert titled(found, "worse than the card type's own").rows == (("2", "Gold", "0.98", "0.9"),)
    chinese = reviews(shop, made, "zh")
    assert titled(chinese, "永远不会适用的规则").columns == (
        "行号",
        "范围",
        "对象",
        "卡类别",
        "被覆盖于",
    )


def test_floor_and_missing_products_follow_settings_and_stock(shop):
    product = shop.products["LOR-1"]["id"]
    shop.shipped.change("Admin", "product", product, discontinued=True)
    shop.shipped.set("discount_rules", floor_rate="0.7", cost_field="list_price")
    made = shop.document(("brand", "loreal", "0.9"), ("brand", "olay", "0.6"))
    found = reviews(shop, made)
    assert titled(found, "without any product").rows == (("1", "Brand", "loreal"),)
    assert titled(found, "Rates under the floor").rows == (("2", "Gold", "0.6", "0.7"),)
    cost = titled(found, "less than they cost")
    assert cost.rows == (("2", "Gold", "0.6", "2", "OLAY-1, OLAY-2"),)


def receipt(shop, no, card, *lines, member=None, days=1):
    """Write an order as an import does; lines are (product, quantity)."""
    at = shop.shipped.clock.now() - timedelta(days=days)
    rows = [
        {"product": shop.products[code]["id"], "quantity": quantity, "unit_price": "100.00"}
        for code, quantity in lines
    ]
    return shop.shipped.create(
        "Admin", "order", no=no, store=shop.store["id"], ordered_at=at.isoformat(), lines=rows,
        card=card, member=member,
    )  # fmt: skip


@pytest.fixture
def gold_card(shop):
    made = shop.shipped.create(
        "clerk", "card", card_type=shop.types["GOLD"]["id"], store=shop.store["id"],
        member=shop.member["id"],
    )  # fmt: skip
    return made["id"]


def test_replay_tells_revenue_points_members_and_receipts(shop, gold_card):
    member = shop.member["id"]
    first = receipt(shop, "R1", gold_card, ("OLAY-1", "1"), ("LOR-1", "2"), member=member)
    receipt(shop, "R2", None, ("OLAY-1", "1"))
    receipt(shop, "R3", gold_card, ("LOR-1", "1"), member=member, days=60)
    made = shop.document(("brand", "olay", "0.8"), ("brand", "loreal", "0.95"))
    found = reviews(shop, made)
    totals = titled(found, "receipts replayed")
    assert totals.title == "2 receipts replayed: revenue +0.00 CNY"
    assert totals.rows[0] == ("Revenue", "370.00", "370.00", "+0.00")
    made = shop.document(("brand", "olay", "0.7"), ("brand", "loreal", "0.85"))
    found = reviews(shop, made)
    totals = titled(found, "receipts replayed")
    assert totals.rows == (
        ("Revenue", "370.00", "340.00", "-30.00"),
        ("Points to be owed", "270", "240", "-30"),
        ("Receipts that change", "", "", "1"),
        ("Members who pay more", "", "", "0"),
        ("Members who pay less", "", "", "1"),
    )
    better = titled(found, "would pay less")
    assert better.rows == (("M1 An", "270.00", "240.00", "-30.00"),)
    assert better.records == (("member", member),)
    changed = titled(found, "would change most")
    assert changed.rows[0][0] == "R1"
    assert changed.records == (("order", first["id"]),)


def test_replay_asks_conditions_of_each_receipt_on_its_new_day(shop, gold_card):
    receipt(shop, "R1", gold_card, ("OLAY-1", "1"), member=shop.member["id"])
    receipt(shop, "R2", gold_card, ("OLAY-1", "6"), member=shop.member["id"])
    condition = "sale.total > 500 and member.name == 'An'"
    made = shop.document(("brand", "olay", "0.8", {"condition": condition}))
    totals = titled(reviews(shop, made), "receipts replayed")
    assert totals.rows[0] == ("Revenue", "630.00", "570.00", "-60.00")


def price_test(shop, **changes):
    plain = {
        "card_type": shop.types["GOLD"]["id"], "product": shop.products["OLAY-1"]["id"],
        "on": "2026-03-12", "list_amount": "200.00",
    }  # fmt: skip
    return plain | changes


def test_failing_price_tests_keep_a_document_from_being_submitted(shop):
    tests = [
        price_test(shop, expect_amount="160.00", expect_rate="0.8", expect_rule="T"),
        price_test(shop, other_rate="0.79", expect_amount="158.00"),
        price_test(shop, expect_amount="150.00", expect_rule="X"),
        price_test(shop),
        price_test(shop, quantity="3", list_amount=None, expect_amount="240.00"),
    ]
    made = shop.document(("brand", "olay", "0.8"), no="T", tests=tests)
    ctx = shop.shipped.context("clerk")
    with pytest.raises(Invalid) as caught:
        pricetests.check_tests(ctx, document_of(shop, made))
    assert [(it.path, it.code) for it in caught.value.problems] == [
        ("tests.2.expect_amount", "discount_rules.test_failed"),
        ("tests.2.expect_rule", "discount_rules.test_failed"),
        ("tests.3.expect_amount", "discount_rules.test_expects_nothing"),
    ]
    table = titled(reviews(shop, made), "Price tests fail")
    assert table.level == "refusal"
    assert [row[4] for row in table.rows] == ["passes", "passes", "fails", "fails", "passes"]
    assert table.rows[2][5:] == ("160.00, not 150.00", "0.8", "T, not X")
    changed = shop.shipped.change("clerk", "discount_rule", made["id"], tests=tests[:2])
    assert len(changed["tests"]) == 2
    assert shop.shipped.decide("discount_rule", made["id"]) == "approved"


def test_price_test_of_a_condition_and_a_later_document_that_breaks_it(shop):
    condition = "sale.total > 150 and member.name == 'An'"
    tests = [
        price_test(shop, label="big", member=shop.member["id"], expect_rate="0.7"),
        price_test(shop, list_amount="100.00", member=shop.member["id"], expect_rate="0.9"),
        price_test(shop, expect_rate="0.9"),
    ]
    first = shop.document(("brand", "olay", "0.7", {"condition": condition}), no="A", tests=tests)
    assert shop.shipped.decide("discount_rule", first["id"]) == "approved"
    later = shop.document(("brand", "olay", "0.85"), no="B")
    broken = titled(reviews(shop, later), "this one would break")
    assert broken.level == "warning"
    assert [(row[0], row[6]) for row in broken.rows] == [
        ("A big", "0.85, not 0.7"), ("A 2", "0.85, not 0.9"), ("A 3", "0.85, not 0.9"),
    ]  # fmt: skip


def test_tests_run_at_submission_and_again_when_the_document_is_to_take_effect(shop):
    made = shop.document(("brand", "olay", "0.8"), tests=[price_test(shop, expect_rate="0.8")])
    wrong = shop.document(("brand", "olay", "0.8"), tests=[price_test(shop, expect_rate="0.7")])
    with pytest.raises(Invalid) as caught:
        shop.shipped.submit("discount_rule", wrong["id"])
    assert [it.path for it in caught.value.problems] == ["tests.0.expect_rate"]
    assert shop.shipped.get("discount_rule", wrong["id"])["status"] == "draft"
    shop.shipped.submit("discount_rule", made["id"])
    shop.audit(("product", "OLAY-1", "0.95"), no="A")
    assert shop.shipped.decide("discount_rule", made["id"], waits=True) == "apply_blocked"
