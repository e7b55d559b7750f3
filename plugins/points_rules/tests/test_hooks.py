"""Points documents and the hooks of the till, on both databases."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.api import Conflict, Document, Invalid, Shown
from plugins.points_rules.operations import documents
from plugins.points_rules.rules.terms import reproduce


@pytest.fixture
def brands(shipped):
    for code in ("b1", "b2"):
        shipped.create("Admin", "brand", code=code, name=code)


def line(**changes):
    return {"scope": "brand", "targets": ["b1"], "effect": "rate", "value": "0.5"} | changes


def rule_values(till, *lines, **changes):
    plain = {"card_types": [till.card_type["id"]], "effective_from": "2026-03-01"}
    return plain | {"lines": list(lines)} | changes


def make_rule(shipped, till, *lines, **changes):
    return shipped.create("clerk", "points_rule", **rule_values(till, *lines, **changes))


def scene_values(**changes):
    plain = {"title": "Birthday", "effective_from": "2026-03-01", "effect": "grant", "points": 50}
    return plain | changes


@pytest.mark.usefixtures("brands")
def test_new_documents_are_numbered_each_kind_for_itself(shipped, till):
    rules = [make_rule(shipped, till, line())["no"] for _ in range(2)]
    scene = shipped.create("clerk", "points_scene", **scene_values())["no"]
    assert (rules, scene) == (["JF2026-0001", "JF2026-0002"], "WX2026-0001")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"lines": []}, ("lines", "field.required")),
        ({"card_types": []}, ("card_types", "field.required")),
        ({"effective_to": "2026-02-28"}, ("effective_from", "check.failed")),
        ({"lines": [line(value=None)]}, ("lines.0.value", "field.required")),
        ({"lines": [line(value="-1")]}, ("lines.0.value", "field.too_small")),
        ({"lines": [line(effect="multiplier", value="0.9")]}, ("lines", "check.failed")),
        ({"lines": [line(targets=["acme"])]}, ("lines.0.targets", "field.option")),
    ],
)
@pytest.mark.usefixtures("brands")
def test_rule_that_breaks_a_check_is_refused(shipped, till, changes, problem):
    with pytest.raises(Invalid) as caught:
        make_rule(shipped, till, line(), **changes)
    first = caught.value.problems[0]
    assert (first.path, first.code) == problem


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"points": None}, "points"),
        ({"effect": "multiplier"}, "multiplier"),
        ({"effect": "multiplier", "multiplier": "0.5"}, "multiplier"),
    ],
)
def test_scene_that_gives_nothing_is_refused(shipped, changes, path):
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "points_scene", **scene_values(**changes))
    assert [it.path for it in caught.value.problems] == [path]


@pytest.mark.usefixtures("brands")
def test_target_named_twice_is_warned_of(shipped, till):
    values = rule_values(till, line(), line(effect="multiplier", value="3"), line(value="1"))
    warnings = shipped.warnings_of("clerk", "points_rule", **values)
    assert [(it.path, it.code, dict(it.params)) for it in warnings] == [
        ("lines.2.targets", "points_rules.named_twice", {"target": "b1", "line": 1})
    ]


@pytest.mark.usefixtures("brands")
def test_document_that_is_over_does_not_take_effect(shipped, till):
    made = make_rule(shipped, till, line(), effective_to="2026-03-12")
    shipped.clock.move(timedelta(days=3))
    assert shipped.decide("points_rule", made["id"]) == "apply_blocked"


@pytest.mark.usefixtures("brands")
def test_document_for_a_card_type_not_in_force_does_not_take_effect(shipped, till):
    draft = shipped.create("clerk", "card_type", code="NEW", name="New")["id"]
    made = make_rule(shipped, till, line(), card_types=[draft])
    with pytest.raises(Conflict) as caught:
        documents.check_release(
            shipped.context("approver"), Document("points_rule", made["id"], None, made)
        )
    assert caught.value.code == "points_rules.card_type_not_effective"


def test_quote_earns_by_the_card_type_and_reproduces_from_its_terms(till):
    sale = till.quote("999.99", "0.01")
    assert sale.points == {"A": 100, "B": 0, "C": 0, "D": 0, "E": 100}
    assert reproduce(sale.terms["points_rules"]) == {
        "points": sale.points, "points_paid": Decimal("0.00"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("faults", "purpose", "earns"),
    [
        ((), "temporary_card", True),
        (("not_verified",), "member_card", True),
        (("expired",), "member_card", False),
        (("lost", "expired"), "member_card", False),
        ((), "rebate_card", False),
    ],
)
def test_quote_earns_only_on_cards_that_may(till, faults, purpose, earns):
    card = Shown({"id": "c-1"}, till.card_type | {"purpose": purpose}, faults)
    assert bool(till.quote("100.00", card=card).points["A"]) is earns


def test_doubtful_card_earns_nothing_where_the_setting_says_so(till):
    till.shipped.set("points_rules", doubtful_card_earns=False)
    card = Shown({"id": "c-1"}, till.card_type, ("not_verified",))
    assert till.quote("100.00", card=card).points["A"] == 0


def test_member_without_a_card_earns_at_the_rate_of_the_setting(till):
    assert till.quote("100.00", card=None).points["A"] == 0
    till.shipped.set("points_rules", default_points_rate="0.25")
    assert till.quote("100.00", card=None).points == {"A": 25, "B": 0, "C": 0, "D": 0, "E": 0}
    assert till.quote("100.00", card=None, member=None).points["A"] == 0


def test_settings_of_money_take_four_digits(till):
    assert till.shipped.set("points_rules", point_value="0.0125")["point_value"] == "0.0125"
