"""What is found in a proposed document, against prices worked out day by day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.testing.campaigns import examples
from plugins.discount_rules.rules import proof
from plugins.discount_rules.rules.pricing import THRESHOLD, Stacking
from plugins.discount_rules.rules.proof import (
    Assortment,
    CardTerms,
    InForce,
    LiveProduct,
    Overlay,
    Proposed,
)
from plugins.discount_rules.rules.resolution import Moment, Rule, RuleIndex

TODAY = date(2026, 3, 10)
AUDITED = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)

PRODUCTS = [
    {"big_class": "beauty", "counter": "c1", "brand": "olay", "product": "O1"},
    {"big_class": "beauty", "counter": "c1", "brand": "olay", "product": "O2"},
    {"big_class": "beauty", "brand": "loreal", "product": "L1"},
]
GOLD = CardTerms(
    "gold", "Gold", Decimal("0.95"), Stacking(THRESHOLD, Decimal("0.8"), Decimal("0.95"))
)


def rule(no="NEW", line=1, target="olay", level="brand", seq=9, **changes):
    plain = {
        "no": no, "line": line, "level": level, "targets": frozenset(target.split()),
        "card_types": frozenset({"gold"}), "rate": Decimal("0.9"), "joins_stacking": False,
        "effective_from": TODAY, "effective_to": None, "audited_at": AUDITED, "audit_seq": seq,
    }  # fmt: skip
    return Rule(**(plain | changes))


def proposed(rules, others=(), products=PRODUCTS, **changes):
    live = [each if isinstance(each, LiveProduct) else LiveProduct(each) for each in products]
    before = InForce(RuleIndex(others))
    after = Overlay(before, rules, without="NEW")
    plain = {
        "rules": rules, "before": before, "after": after, "card_types": {"gold": GOLD},
        "assortment": Assortment(live), "today": TODAY,
    }  # fmt: skip
    return Proposed(**(plain | changes))


def found(rules, others=(), **changes):
    return [(each.code, each.line) for each in proof.prove(proposed(rules, others, **changes))]


def only(code, rules, others=(), **changes):
    (one,) = [
        each for each in proof.prove(proposed(rules, others, **changes)) if each.code == code
    ]
    return one.params


def test_a_sound_document_has_no_findings():
    assert found([rule(), rule(line=2, target="loreal")]) == []


def test_dates_that_are_gone_are_told():
    assert only(
        "over", [rule(effective_from=date(2026, 3, 1), effective_to=date(2026, 3, 9))]
    ) == {"last": date(2026, 3, 9)}
    assert only("days_gone", [rule(effective_from=date(2026, 3, 1))]) == {
        "first": date(2026, 3, 1), "last": date(2026, 3, 9),
    }  # fmt: skip


def test_targets_without_a_live_product_are_told():
    assert only("no_product", [rule(target="olay acme")]) == {"level": "brand", "target": "acme"}


@pytest.mark.parametrize(
    "others",
    [
        [rule("R1", target="O1 O2", level="product", seq=1)],
        [
            rule("R1", target="O1 O2", level="product", seq=1, effective_to=date(2026, 6, 30)),
            rule("R2", target="O1", level="product", seq=2, effective_from=date(2026, 7, 1)),
            rule("R3", target="O2", level="product", seq=2, effective_from=date(2026, 5, 1)),
        ],
    ],
)
def test_rule_that_others_cover_on_all_products_and_days_never_applies(others):
    params = only("never_applies", [rule()], others)
    assert params["by"] == sorted({each.no for each in others})
    assert (params["target"], params["card_type"]) == ("olay", "gold")


@pytest.mark.parametrize(
    "other",
    [
        rule("R1", target="O1", level="product", seq=1),
        rule("R1", target="O1 O2", level="product", seq=1, effective_to=date(2026, 6, 30)),
        rule("R1", target="O1 O2", level="product", seq=1, condition="sale.total > 5"),
        rule("R1", target="O1 O2", level="product", seq=1, voided_at=AUDITED),
        rule("R1", target="O1 O2", level="product", seq=1, card_types=frozenset({"silver"})),
        rule("R1", target="c1", level="counter", seq=1),
    ],
)
def test_rule_that_may_still_apply_is_not_called_dead(other):
    assert ("never_applies", 1) not in found([rule()], [other])


def test_same_condition_covers_and_a_later_line_too():
    one = rule(condition="sale.total > 5")
    assert ("never_applies", 1) in found([one, rule(line=2, condition="sale.total > 5")])
    assert ("never_applies", 1) in found([one, rule(line=2)])
    assert ("never_applies", 1) not in found([rule(), rule(line=2, condition="sale.total > 5")])


def test_document_in_force_that_could_no_longer_apply_is_told():
    others = [rule("R1", seq=1), rule("R2", target="c1", level="counter", seq=2)]
    new = [rule(), rule(line=2, target="loreal")]
    replaced = [
        each.params for each in proof.prove(proposed(new, others)) if each.code == "replaced"
    ]
    assert [(each["no"], each["by"]) for each in replaced] == [("R1", ["NEW"])]
    # R2 was dead before: R1 took every product of its counter.
    both = [rule(), rule(line=2, target="loreal")]
    told = [
        each.params["no"]
        for each in proof.prove(proposed(both, others[1:]))
        if each.code == "replaced"
    ]
    assert told == ["R2"]


def test_overlap_tells_both_rates_and_the_days_in_common():
    other = rule(
        "R1", seq=1, target="olay loreal", rate=Decimal("0.8"), effective_to=date(2026, 4, 1)
    )
    params = only("overlap", [rule(target="olay loreal")], [other])
    assert params["targets"] == ["loreal", "olay"]
    assert params["days"] == (TODAY.toordinal(), date(2026, 4, 1).toordinal())
    assert (params["rate"], params["other_rate"]) == (Decimal("0.9"), Decimal("0.8"))
    assert ("overlap", 1) not in found([rule(effective_from=date(2026, 4, 2))], [other])


def test_rule_of_the_document_itself_is_no_overlap_when_it_is_changed():
    assert found([rule(rate=Decimal("0.8"))], [rule(seq=3)]) == []


def test_prices_that_turn_jump_or_are_worse_are_told_once_per_case():
    rules = [rule(rate=Decimal("0.98"), joins_stacking=True)]
    assert found([*rules, rule(line=2, target="loreal", rate=Decimal("0.98"), joins_stacking=True)]) == [
        ("worse", 1), ("inversion", 1), ("jump", 1), ("jump", 1),
    ]  # fmt: skip
    assert only("inversion", rules)["inversion"].below == Decimal("0.8")


def test_floor_and_cost_are_told():
    assert only("under_floor", [rule()], floor=Decimal("0.92"))["floor"] == Decimal("0.92")
    stacked = only("stacked_under_floor", [rule(joins_stacking=True)], floor=Decimal("0.78"))
    assert stacked["under"].least == Decimal("0.8")
    assert stacked["under"].most * 95 == 78
    products = [
        LiveProduct(PRODUCTS[0], Decimal(100), Decimal("90.01")),
        LiveProduct(PRODUCTS[1], Decimal(100), Decimal("90.00")),
    ]
    assert only("under_cost", [rule()], products=products)["examples"] == ["O1"]
    taken = [rule("R1", target="O1", level="product", seq=1)]
    assert ("under_cost", 1) not in found([rule()], taken, products=products)


days = st.integers(-3, 6).map(lambda each: TODAY + timedelta(days=each))


@st.composite
def rule_sets(draw):
    made = []
    for seq in range(1, draw(st.integers(2, 6))):
        level = draw(st.sampled_from(["big_class", "counter", "brand", "product"]))
        targets = sorted({each[level] for each in PRODUCTS if level in each})
        made.append(
            rule(
                f"R{seq}",
                seq=seq,
                level=level,
                target=" ".join(draw(st.sets(st.sampled_from(targets), min_size=1))),
                effective_from=draw(days),
                effective_to=draw(st.none() | days),
            )
        )
    return made


@settings(max_examples=examples(60))
@given(rule_sets())
def test_dead_cells_are_those_that_win_on_no_day(made):
    others, new = made[:-1], [made[-1]]
    seen = proposed(new, others)
    dead = {(each.params["target"]) for each in proof.prove(seen) if each.code == "never_applies"}
    index, wins = RuleIndex(made), set()
    for product in PRODUCTS:
        for day in range(12):
            moment = Moment(TODAY + timedelta(days=day), LATER)
            winner = index.resolve(
                product, card_type="gold", default_rate=Decimal(1), moment=moment
            ).rule
            if winner is new[0]:
                wins.add(product[winner.level])
    alive = proof.span(new[0], TODAY) is not None
    assert dead == (set(new[0].targets) - wins if alive else set())
