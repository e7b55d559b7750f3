"""Sales priced through the till's hook, by documents that took effect on both databases."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.api import translate
from plugins.discount_rules.operations.index import rule_index
from plugins.discount_rules.rules.certificate import reproduce
from plugins.discount_rules.tests.sales import Shop


@pytest.fixture
def shop(shipped):
    return Shop(shipped)


def told(line, locale="en"):
    return [translate(step["text"], locale).format_map(step["params"]) for step in line.trace]


def codes(line):
    return [step["code"].removeprefix("discount_rules.") for step in line.trace]


def test_later_document_replaces_only_the_overlap_and_its_end_brings_the_earlier_back(shop):
    start = shop.shipped.clock.now() - timedelta(seconds=1)
    shop.audit(("brand", "olay", "0.9"), ("brand", "loreal", "0.85"), no="A")
    between = shop.shipped.clock.now() - timedelta(seconds=1)
    later = shop.audit(("brand", "olay", "0.8"), no="B", effective_to="2026-03-20")
    assert shop.rates("OLAY-1", "LOR-1") == [("0.8", "B"), ("0.85", "A")]
    assert shop.rates("OLAY-1", at=between) == [("0.9", "A")]
    assert shop.rates("OLAY-1", at=start) == [("0.9", None)]
    seq = later["audit_seq"]
    assert shop.rates("OLAY-1", seq=seq - 1) == [("0.9", "A")]
    assert shop.rates("OLAY-1", at=between + timedelta(days=12)) == [("0.9", "A")]
    assert shop.rates("OLAY-1", at=between + timedelta(days=10)) == [("0.8", "B")]


def test_document_holds_from_its_day_on_though_it_was_audited_before(shop):
    shop.audit(("brand", "olay", "0.8"), no="A", effective_from="2026-03-12")
    now = shop.shipped.clock.now()
    assert shop.rates("OLAY-1") == [("0.9", None)]
    assert shop.rates("OLAY-1", at=now + timedelta(days=2)) == [("0.8", "A")]


def test_document_that_is_not_audited_never_affects_a_price(shop):
    before = shop.quote(("OLAY-1", "80.00", "4/5"))
    made = shop.document(("product", "OLAY-1", "0.1"))
    shop.shipped.submit("discount_rule", made["id"])
    after = shop.quote(("OLAY-1", "80.00", "4/5"))
    assert (after.lines, after.terms) == (before.lines, before.terms)


def test_voided_document_brings_the_earlier_back_and_keeps_its_past(shop):
    shop.audit(("brand", "olay", "0.9"), no="A")
    later = shop.audit(("brand", "olay", "0.8"), no="B")
    held = shop.shipped.clock.now() - timedelta(seconds=1)
    shop.shipped.void("discount_rule", later["id"])
    assert shop.rates("OLAY-1") == [("0.9", "A")]
    assert codes(shop.quote(("OLAY-1",)).lines[0]) == ["rule", "lost.void", "price"]
    assert shop.rates("OLAY-1", at=held) == [("0.8", "B")]


def test_trace_names_the_version_of_each_rule_that_won_or_lost(shop):
    first = shop.audit(("brand", "olay", "0.9"), no="A")
    second = shop.audit(("brand", "olay", "0.8"), no="B")
    shop.shipped.void("discount_rule", second["id"])
    steps = shop.quote(("OLAY-1",)).lines[0].trace
    named = [(it["params"]["no"], it["params"]["audit_seq"]) for it in steps[:2]]
    assert named == [("A", first["audit_seq"]), ("B", second["audit_seq"])]


def test_settings_decide_at_the_threshold_and_for_rules_that_do_not_join(shop):
    shop.audit(("product", "OLAY-2", "0.9", {"joins_stacking": False}))
    lines = [("LOR-1", "200.00", "0.80"), ("OLAY-2", "200.00", "0.95")]

    def due(**settings):
        shop.shipped.set("discount_rules", **settings)
        found = shop.quote(*lines)
        again = [reproduce(it.terms["discount_rules"])[0] for it in found.lines]
        assert again == [it.amount_due for it in found.lines]
        return [str(amount) for amount in again]

    assert due() == ["152.00", "180.00"]
    assert due(stack_at_threshold=False) == ["160.00", "180.00"]
    assert due(non_join="other") == ["160.00", "190.00"]
    assert due(stack_at_threshold=True, non_join="member") == ["152.00", "180.00"]


CASES = {
    "rule": (("OLAY-1", "200.00", "0.85"), {}, "161.50", "0.95",
             ["rule", "price"], "min(200.00 * 0.85 * 0.95, 200.00 * 0.95) = 161.50"),
    "default": (("LOR-1", "200.00", "0.79"), {}, "158.00", "0.9",
                ["default_rate", "price"], "min(200.00 * 0.79, 200.00 * 0.9) = 158.00"),
    "never_stacks": (("LOR-1", "200.00", "0.9"), {"card": "PLAIN"}, "180.00", "0.98",
                     ["default_rate", "price"], "min(200.00 * 0.9, 200.00 * 0.98) = 180.00"),
    "not_joining": (("OLAY-2", "200.00", "0.85"), {}, "170.00", "0.9",
                    ["rule", "not_stacked", "price"],
                    "min(200.00 * 0.85, 200.00 * 0.9) = 170.00"),
    "lost": (("OLAY-1", "200.00", "0.85"), {"faults": ("lost",)}, "170.00", "1",
             ["card.lost", "price"], "min(200.00 * 0.85, 200.00 * 1) = 170.00"),
    "no_card": (("OLAY-1", "200.00", "1/3"), {"card": None}, "66.67", "1",
                ["no_card", "price"], "min(200.00 * 1/3, 200.00 * 1) = 66.67"),
}  # fmt: skip


def test_line_carries_price_trace_and_terms_that_reproduce_it(shop):
    shop.audit(
        ("product", "OLAY-1", "0.95"), ("product", "OLAY-2", "0.9", {"joins_stacking": False})
    )
    for name, (line, changes, amount, rate, steps, formula) in CASES.items():
        found = shop.quote(line, **changes).lines[0]
        assert (name, str(found.amount_due), str(found.member_rate)) == (name, amount, rate)
        assert (name, codes(found), told(found)[-1]) == (name, steps, formula)
        assert reproduce(found.terms["discount_rules"]) == (Decimal(amount), Decimal(rate))
        assert all(told(found, "zh"))


def test_condition_decides_over_sale_line_member_card_and_linked_records(shop):
    text = (
        "WEEKDAY(sale.ordered_at) == 2 and card.card_type.code == 'GOLD' and sale.total >= 300"
        " and line.product.category.parent.parent.code == 'beauty' and member.no == 'M1'"
        " and ANY(sale.lines, product.brand.code == 'loreal') and line.amount > 50"
        " and store.code == '01'"
    )
    shop.audit(("brand", "olay", "0.85"), no="A")
    shop.audit(("brand", "olay", "0.7", {"condition": text}), no="B")
    lines = [("OLAY-1", "200.00"), ("OLAY-2", "40.00"), ("LOR-1", "100.00")]
    found = shop.quote(*lines)
    assert [it.rule and it.rule["no"] for it in found.lines] == ["B", "A", None]
    assert told(found.lines[1])[1] == "Rule B, line 1 (0.7): its condition is not met."
    tomorrow = shop.shipped.clock.now() + timedelta(days=1)
    for changes in ({"member": False}, {"at": tomorrow}, {"card": "PLAIN"}):
        rules = [it.rule and it.rule["no"] for it in shop.quote(*lines, **changes).lines]
        assert "B" not in rules, changes
    small = shop.quote(("OLAY-1", "200.00"), ("LOR-1", "99.99"))
    assert small.lines[0].rule["no"] == "A"


def test_condition_that_cannot_be_computed_never_lowers_a_price(shop):
    shop.audit(("brand", "olay", "0.1", {"condition": "line.amount > 0"}), no="A")
    # As when a field is gone that the condition named.
    index = rule_index(shop.shipped.context("cashier"))
    rule = index.rules_at(shop.types["GOLD"]["id"], "brand", "olay")[0]
    rule.condition = "line.gone > 0"
    found = shop.quote(("OLAY-1",)).lines[0]
    assert (str(found.amount_due), codes(found)) == (
        "90.00", ["default_rate", "lost.condition_failed", "price"],
    )  # fmt: skip
