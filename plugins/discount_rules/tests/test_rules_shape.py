"""Where prices turn and jump, against a search over a fine grid."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.testing.campaigns import examples
from plugins.discount_rules.rules import shape
from plugins.discount_rules.rules.pricing import MULTIPLY, THRESHOLD, Stacking
from plugins.discount_rules.rules.shape import Benefit

#: Less than any step between rates.
TINY = Fraction(1, 10**9)

#: Steps of the grid; rates have two places, so that thresholds lie on it.
STEPS = 200


def benefit(
    rate="0.9", start="0.8", stacked="0.95", joins=True, mode=THRESHOLD, needs=True, **how
):
    start, stacked = start and Decimal(start), stacked and Decimal(stacked)
    return Benefit(Decimal(rate), Stacking(mode, start, stacked, needs, **how), joins)


rates = st.integers(50, 100).map(lambda each: Decimal(each) / 100)
benefits = st.builds(
    Benefit,
    rates,
    st.builds(
        Stacking,
        st.sampled_from([MULTIPLY, THRESHOLD]),
        rates,
        rates,
        st.booleans(),
        st.booleans(),
        st.sampled_from(["best_of", "member", "other"]),
    ),
    st.booleans(),
)


GRID = [Fraction(step, STEPS) for step in range(1, STEPS + 1)]


def grid(least=0):
    return [each for each in GRID if each >= least]


def test_the_seed_table_turns_between_its_two_bold_cells():
    for rate in ("0.9", "0.98"):
        found = shape.inversion(benefit(rate))
        assert (found.above, found.below) == (Fraction("0.76"), Fraction("0.8"))
        assert (str(found.price_inside), str(found.price_over)) == ("158.00", "152.00")
        assert found.inside == Fraction("0.79")
    assert shape.inversion(benefit("0.75")) is None


@pytest.mark.parametrize(
    "found",
    [
        benefit(joins=False), benefit(start=None, stacked=None), benefit(mode=MULTIPLY),
        benefit(stacked="1"), benefit("0.76"), benefit(start="1"),
        benefit(start="1", needs=False, at_start=False),
        benefit(joins=False, non_join="member"), benefit("1", joins=False, non_join="other"),
    ],
)  # fmt: skip
def test_price_that_falls_with_promotions_does_not_turn(found):
    assert shape.inversion(found) is None
    assert shape.jumps(found) == []


def test_literal_stacking_from_one_turns_below_one():
    found = shape.inversion(benefit("0.98", start="1", needs=False))
    assert (found.above, found.below) == (Fraction("0.95"), Fraction(1))


@settings(max_examples=examples(30))
@given(benefits)
def test_the_price_turns_exactly_inside_the_interval(found):
    turned = shape.inversion(found)
    lowest_above = Fraction(10)
    wrong = []
    # Where stacking begins above its start, the lowest price of all is the one just above it.
    start = Fraction(found.stacking.start)
    just_above = [start + TINY] if start < 1 and not found.stacking.at_start else []
    for other in sorted({*grid(), *just_above}, reverse=True):
        paid = found.paid(other)
        if paid > lowest_above and other not in just_above:
            wrong.append(other)
        lowest_above = min(lowest_above, paid)
    if turned is None:
        assert wrong == []
    else:
        inside = [each for each in grid() if turned.above < each < turned.below]
        if found.joins and not found.stacking.at_start:
            inside.append(turned.below)
        assert sorted(wrong) == inside
        assert turned.above < turned.inside < turned.below <= turned.over
        assert found.paid(turned.inside) > found.paid(turned.over)
        assert turned.price_inside >= turned.price_over


def test_stacking_above_the_start_turns_and_jumps_just_above_it():
    found = benefit("0.9", at_start=False)
    turned, (jump,) = shape.inversion(found), shape.jumps(found)
    assert (turned.below, turned.over) == (Fraction("0.8"), Fraction("0.81"))
    assert (str(turned.price_inside), str(turned.price_over)) == ("158.00", "153.90")
    assert (jump.at, jump.near, str(jump.price_at)) == (
        Fraction("0.8"), Fraction("0.801"), "160.00"
    )  # fmt: skip


def test_a_rule_that_any_promotion_switches_off_turns_and_jumps_at_one():
    found = benefit("0.9", joins=False, non_join="other")
    turned, (jump,) = shape.inversion(found), shape.jumps(found)
    assert (turned.above, turned.below, turned.over) == (Fraction("0.9"), 1, 1)
    assert (str(turned.price_inside), str(turned.price_over)) == ("198.00", "180.00")
    assert (jump.at, str(jump.price_at), str(jump.price_near)) == (1, "180.00", "199.80")


def test_the_cliff_of_the_first_promotion_is_told():
    turn, cliff = shape.jumps(benefit("0.98"))
    assert (turn.at, str(turn.price_at)) == (Fraction("0.8"), "152.00")
    assert (cliff.at, cliff.near) == (1, Fraction("0.999"))
    assert (str(cliff.price_at), str(cliff.price_near)) == ("196.00", "189.81")


@settings(max_examples=examples(30))
@given(benefits)
def test_jumps_are_where_one_percent_moves_the_price_by_more_than_two(found):
    places = set()
    points = grid(Fraction(1, 4))
    paid = [found.paid(each) for each in points]
    for low, other in enumerate(points):
        for high in range(low + 1, len(points)):
            if points[high] * (1 - shape.NEARBY) > other:
                break
            most, least = max(paid[low], paid[high]), min(paid[low], paid[high])
            if (most - least) / most > shape.GREATEST_JUMP:
                inside = [
                    place for place, first in _breaks(found) if other < first <= points[high]
                ]
                places |= set(inside) or {other}
    told = {each.at for each in shape.jumps(found)}
    # The grid cannot come nearer to the open end of a jump than a step.
    assert places <= told
    near = {each.at for each in shape.jumps(found) if each.by > Fraction(4, 100)}
    assert near <= places


def _breaks(found):
    """Return each place where a price may jump, with the first d that is paid for otherwise."""
    start = Fraction(found.stacking.start)
    return [(start, start if found.stacking.at_start else start + TINY), (Fraction(1), 1)]


@settings(max_examples=examples(30))
@given(benefits, rates)
def test_promotions_under_the_floor_are_found_exactly(found, floor):
    floor = Fraction(floor)
    under = [
        each
        for each in grid(floor)
        if each < 1 and found.paid(each) < min(floor, Fraction(found.rate))
    ]
    interval = shape.below_floor(found, floor) if found.rate >= floor else None
    if found.rate < floor:
        return
    start = None if found.stacking.at_start else Fraction(found.stacking.start)
    told = [
        each
        for each in grid(floor)
        if interval
        and interval.least <= each < min(interval.most, 1)
        and not (found.threshold and each == start)
    ]
    assert told == under


def test_stacking_that_never_lowers_a_price_is_told():
    assert shape.never_binds(benefit("0.76"))
    assert not shape.never_binds(benefit("0.77"))
    assert not shape.never_binds(benefit(joins=False))
