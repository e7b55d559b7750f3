"""Discount documents through the records' own operations, on both databases."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.api import Conflict, Document, Invalid, plugin_settings
from plugins.discount_rules.operations import documents, pricing
from plugins.discount_rules.rules.pricing import Stacking


@pytest.fixture
def goods(shipped):
    """A brand, a counter and three levels of categories."""
    shipped.create("Admin", "brand", code="olay", name="Olay")
    shipped.create("Admin", "brand", code="loreal", name="Loreal")
    above = None
    for code in ("beauty", "skin", "cream"):
        above = shipped.create("Admin", "category", code=code, name=code, parent=above)["id"]


@pytest.fixture
def gold(shipped):
    made = shipped.create(
        "clerk", "card_type", code="GOLD", name="Gold", stack_start="0.8", stack_rate="0.95"
    )
    return shipped.approve("card_type", made["id"])["id"]


def line(**changes):
    return {"scope": "brand", "targets": ["olay"], "rate": "0.9"} | changes


def values_of(gold, *lines, **changes):
    return {"card_types": [gold], "effective_from": "2026-03-01", "lines": list(lines)} | changes


def make_rule(shipped, gold, *lines, **changes):
    return shipped.create("clerk", "discount_rule", **values_of(gold, *lines, **changes))


def codes(caught):
    return [(problem.path, problem.code) for problem in caught.value.problems]


@pytest.mark.usefixtures("goods")
def test_new_documents_are_numbered_in_order_and_skip_given_numbers(shipped, gold):
    given = make_rule(shipped, gold, line(), no="ZK2026-0002")
    made = [make_rule(shipped, gold, line()) for _ in range(2)]
    assert [given["no"], *(it["no"] for it in made)] == [
        "ZK2026-0002", "ZK2026-0001", "ZK2026-0003",
    ]  # fmt: skip


@pytest.mark.usefixtures("goods")
def test_line_joins_stacking_unless_it_says_otherwise(shipped, gold):
    made = make_rule(shipped, gold, line(), line(targets=["loreal"], joins_stacking=False))
    shown = [(it["targets"], it["rate"], it["joins_stacking"]) for it in made["lines"]]
    assert shown == [
        (["olay"], Decimal("0.9000"), True), (["loreal"], Decimal("0.9000"), False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lines": []}, ("lines", "field.required")),
        ({"card_types": []}, ("card_types", "field.required")),
        ({"effective_to": "2026-02-28"}, ("effective_from", "check.failed")),
        ({"lines": [line(rate="0")]}, ("lines.0.rate", "field.too_small")),
        ({"lines": [line(rate="1.01")]}, ("lines.0.rate", "field.too_large")),
        ({"lines": [line(targets=[])]}, ("lines.0.targets", "field.required")),
        ({"lines": [line(scope="shelf")]}, ("lines.0.scope", "field.not_an_option")),
        ({"lines": [line(targets=["acme"])]}, ("lines.0.targets", "field.option")),
        (
            {"lines": [line(scope="big_class", targets=["cream"])]},
            ("lines.0.targets", "field.option"),
        ),
    ],
)
@pytest.mark.usefixtures("goods")
def test_document_that_breaks_a_rule_is_refused(shipped, gold, changes, problem):
    with pytest.raises(Invalid) as caught:
        make_rule(shipped, gold, line(), **changes)
    assert codes(caught)[0] == problem


@pytest.mark.usefixtures("goods")
def test_document_takes_effect_once_it_is_approved(shipped, gold):
    levels = (("big_class", "beauty"), ("mid_class", "skin"), ("small_class", "cream"))
    lines = [line(scope=scope, targets=[code]) for scope, code in levels]
    made = make_rule(shipped, gold, *lines)
    stored = shipped.approve("discount_rule", made["id"])
    assert (stored["status"], stored["audit_seq"]) == ("effective", 2)


@pytest.mark.usefixtures("goods")
def test_target_rated_twice_is_warned_of(shipped, gold):
    values = values_of(gold, line(), line(targets=["loreal", "olay"], rate="0.8"))
    warnings = shipped.warnings_of("clerk", "discount_rule", **values)
    assert [(it.path, it.code, dict(it.params)) for it in warnings] == [
        ("lines.1.targets", "discount_rules.rated_twice", {"target": "olay", "line": 1})
    ]


@pytest.mark.usefixtures("goods")
def test_document_that_is_over_is_warned_of_and_not_put_in_force(shipped, gold):
    made = make_rule(shipped, gold, line(), effective_to="2026-03-12")
    shipped.clock.move(timedelta(days=3))
    assert shipped.decide("discount_rule", made["id"]) == "apply_blocked"
    assert shipped.get("discount_rule", made["id"])["status"] == "draft"
    values = values_of(gold, line(), effective_to="2026-03-12")
    warnings = shipped.warnings_of("clerk", "discount_rule", **values)
    assert [it.code for it in warnings] == ["discount_rules.out_of_date"]


@pytest.mark.usefixtures("goods")
def test_document_for_a_card_type_not_in_force_is_not_put_in_force(shipped):
    draft = shipped.create("clerk", "card_type", code="NEW", name="New")["id"]
    made = make_rule(shipped, draft, line())
    document = Document("discount_rule", made["id"], None, made)
    with pytest.raises(Conflict) as caught:
        documents.check_release(shipped.context("approver"), document)
    assert (caught.value.code, caught.value.params) == (
        "discount_rules.card_type_not_effective", {"names": "New"},
    )  # fmt: skip


@pytest.mark.usefixtures("goods")
def test_document_whose_card_type_or_days_are_gone_can_still_be_voided(shipped, gold):
    over = make_rule(shipped, gold, line(), effective_to="2026-03-12")["id"]
    other = make_rule(shipped, gold, line(targets=["loreal"]))["id"]
    for each in (over, other):
        assert shipped.approve("discount_rule", each)["status"] == "effective"
    shipped.clock.move(timedelta(days=3))
    assert shipped.void("discount_rule", over)["state"] == "approved"
    assert shipped.void("card_type", gold)["state"] == "approved"
    assert shipped.void("discount_rule", other)["state"] == "approved"
    assert shipped.get("discount_rule", other)["status"] == "void"


def test_stacking_follows_the_settings_at_the_next_request(shipped):
    values = {"stack_start": Decimal("0.8"), "stack_rate": Decimal("0.95")}
    settings = plugin_settings(shipped.context("cashier"), "discount_rules")
    assert pricing.stacking_of(settings, values) == Stacking(2, *values.values())
    answer = shipped.set("discount_rules", stacking_mode=1, stack_needs_other=False)
    assert {name: answer[name] for name in ("stacking_mode", "stack_needs_other")} == {
        "stacking_mode": 1, "stack_needs_other": False,
    }  # fmt: skip
    settings = plugin_settings(shipped.context("cashier"), "discount_rules")
    assert pricing.stacking_of(settings, values) == Stacking(
        1, *values.values(), needs_other=False
    )
