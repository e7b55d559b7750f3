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

#: Steps of the grid; rates have two places, so that thresholds lie on it.
STEPS = 200


def benefit(rate="0.9", start="0.8", stacked="0.95", joins=True, mode=THRESHOLD, needs=True):
    start, stacked = start and Decimal(start), stacked and Decimal(stacked)
    return Benefit(Decimal(rate), Stacking(mode, start, stacked, needs), joins)


rates = st.integers(50, 100).map(lambda each: Decimal(each) / 100)
benefits = st.builds(
    Benefit,
    rates,
    st.builds(Stacking, st.sampled_from([MULTIPLY, THRESHOLD]), rates, rates, st.booleans()),
    st.booleans(),
)


GRID = [Fraction(step, STEPS) for step in range(1, STEPS + 1)]


def grid(least=0):
    return [each for each in GRID if each >= least]


def test_the_seed_table_turns_between_its_two_bold_cells():
    for rate in ("0.9", "0.98"):
        found = shape.inversion(benefit(rate))
        assert (found.above, found.below) == (Fraction("0.76"), Fraction("0.8"))
        assert (str(found.price_inside), str(found.price_below)) == ("158.00", "152.00")
        assert found.inside == Fraction("0.79")
    assert shape.inversion(benefit("0.75")) is None


@pytest.mark.parametrize(
    "found",
    [
        benefit(joins=False), benefit(start=None, stacked=None), benefit(mode=MULTIPLY),
        benefit(stacked="1"), benefit("0.76"), benefit(start="1"),
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
    for other in reversed(grid()):
        paid = found.paid(other)
        if paid > lowest_above:
            wrong.append(other)
        lowest_above = min(lowest_above, paid)
    if turned is None:
        assert wrong == []
    else:
        inside = [each for each in grid() if turned.above < each < turned.below]
        assert sorted(wrong) == inside
        assert turned.above < turned.inside < turned.below
        assert turned.price_inside >= turned.price_below


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
                inside = [each for each in _breaks(found) if other < each <= points[high]]
                places |= set(inside) or {other}
    told = {each.at for each in shape.jumps(found)}
    # The grid cannot come nearer to the open end of a jump than a step.
    assert places <= told
    near = {each.at for each in shape.jumps(found) if each.by > Fraction(4, 100)}
    assert near <= places


def _breaks(found):
    return [Fraction(found.stacking.start), Fraction(1)]


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
    told = [
        each for each in grid(floor) if interval and interval.least <= each < min(interval.most, 1)
    ]
    assert told == under


def test_stacking_that_never_lowers_a_price_is_told():
    assert shape.never_binds(benefit("0.76"))
    assert not shape.never_binds(benefit("0.77"))
    assert not shape.never_binds(benefit(joins=False))
