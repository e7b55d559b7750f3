"""Terms reproduce prices bit for bit, and prices keep their bounds (I17, I18)."""

import json
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from plugins.discount_rules.rules.certificate import differences, line_terms, reproduce
from plugins.discount_rules.rules.pricing import THRESHOLD, Stacking, price, round_half_up
from plugins.discount_rules.rules.resolution import Resolution

amounts = st.decimals(0, 10**9, places=2)
others = st.fractions(0, 1, max_denominator=9999)
rates = st.decimals("0.0001", 1, places=4)
stackings = st.builds(
    Stacking, st.sampled_from([1, 2]), st.none() | rates, st.none() | rates, st.booleans()
)


def due(amount, other, rate, stacking, joins=True):
    return price(
        amount, other_rate=other, member_rate=rate, stacking=stacking, joins_stacking=joins
    ).amount_due


@given(amounts, others, rates, stackings, st.booleans())
def test_price_lies_between_nothing_and_what_others_left(amount, other, rate, stacking, joins):
    found = due(amount, other, rate, stacking, joins)
    assert 0 <= found <= round_half_up(Fraction(amount) * other, 2)
    assert found <= round_half_up(Fraction(amount) * Fraction(rate), 2)


@given(amounts, others, rates, rates, rates, st.booleans())
def test_threshold_mode_equals_its_closed_form(amount, other, rate, start, stack, needs_other):
    stacking = Stacking(THRESHOLD, start, stack, needs_other)
    with localcontext(prec=100):
        exact = Decimal(other.numerator), Decimal(other.denominator)
        stacked = stack if exact[0] >= start * exact[1] else Decimal(1)
        left = amount * exact[0] * stacked
        plain = amount * rate * exact[1]
        paid = plain if needs_other and other == 1 else min(left, plain)
        wanted = (paid / exact[1]).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert due(amount, other, rate, stacking) == wanted


ways = st.tuples(st.booleans(), st.sampled_from(["best_of", "member", "other"]))


@given(amounts, others, rates, stackings, st.sampled_from([0, 2, 3]), ways)
def test_terms_reproduce_the_price_bit_for_bit(amount, other, rate, stacking, digits, way):
    at_start, non_join = way
    stacking = replace(stacking, at_start=at_start, non_join=non_join)
    amount = round_half_up(Fraction(amount), digits)
    made = price(amount, other_rate=other, member_rate=rate, stacking=stacking, digits=digits)
    terms = line_terms(amount, other, Resolution(rate, None, ()), stacking, digits, None)
    again, found = reproduce(json.loads(json.dumps(terms)))
    assert (str(again), found) == (str(made.amount_due), rate)


def test_terms_of_before_the_settings_reproduce_what_they_meant_then():
    terms = line_terms(
        Decimal("200.00"), Fraction("0.8"), Resolution(Decimal("0.9"), None, ()),
        Stacking(THRESHOLD, Decimal("0.8"), Decimal("0.95")), 2, None,
    )  # fmt: skip
    del terms["at_start"], terms["non_join"]
    assert reproduce(terms)[0] == Decimal("152.00")


def test_what_does_not_follow_from_the_terms_is_named():
    terms = line_terms(
        Decimal("200.00"), Fraction(17, 20), Resolution(Decimal("0.9"), None, ()),
        Stacking(THRESHOLD, Decimal("0.8"), Decimal("0.95")), 2, None,
    )  # fmt: skip
    line = {
        "line": 1, "list_amount": "200.00", "other_rate": "17/20", "member_rate": "0.9",
        "amount_due": "161.50", "rule": None, "terms": {"discount_rules": terms},
    }  # fmt: skip
    assert differences([line, {**line, "terms": {}}], "discount_rules") == []
    forged = {**line, "amount_due": "1.00", "rule": {"no": "X"}, "line": 2}
    assert differences([line, forged], "discount_rules") == [
        "lines.2.amount_due", "lines.2.rule",
    ]  # fmt: skip
