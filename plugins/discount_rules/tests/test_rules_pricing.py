"""Stacking against the acceptance cases and properties."""

import csv
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.discount_rules.rules.pricing import (
    MULTIPLY,
    THRESHOLD,
    Stacking,
    price,
    round_half_up,
)

HERE = Path(__file__).parent


def read_cases(name):
    with (HERE / name).open(newline="") as source:
        return list(csv.DictReader(source))


def in_words(case):
    return "-".join(case.values())


@pytest.mark.parametrize("case", read_cases("stacking.csv"), ids=in_words)
def test_price_is_that_of_the_acceptance_cases(case):
    found = price(
        Decimal(case["list_amount"]),
        other_rate=Decimal(case["other_rate"]),
        member_rate=Decimal(case["member_rate"]),
        stacking=Stacking(
            int(case["mode"]), Decimal(case["stack_start"]), Decimal(case["stack_rate"])
        ),
        joins_stacking=case["joins_stacking"] == "true",
    )
    assert str(found.amount_due) == case["amount_due"]


amounts = st.decimals(0, 99999, places=2)
fractions = st.fractions(0, 1, max_denominator=500)
rates = st.decimals("0.01", 1, places=2)
stackings = st.builds(Stacking, st.sampled_from([1, 2]), st.none() | rates, rates, st.booleans())
sales = st.fixed_dictionaries(
    {"amount": amounts, "other": fractions, "member": rates, "stacking": stackings,
     "joins": st.booleans()}
)  # fmt: skip


def due(*, amount, other, member, stacking, joins=True):
    return price(
        amount, other_rate=other, member_rate=member, stacking=stacking, joins_stacking=joins
    ).amount_due


@given(sales)
def test_price_never_exceeds_the_plain_member_price(sale):
    ceiling = round_half_up(Fraction(sale["amount"]) * Fraction(sale["member"]), 2)
    assert due(**sale) <= ceiling


@given(sales, amounts)
def test_price_rises_with_the_list_amount(sale, more):
    low, high = sorted((sale["amount"], more))
    assert due(**sale | {"amount": low}) <= due(**sale | {"amount": high})


@given(sales, rates)
def test_price_rises_with_the_member_rate(sale, other_rate):
    low, high = sorted((sale["member"], other_rate))
    assert due(**sale | {"member": low}) <= due(**sale | {"member": high})


@given(sales, fractions)
def test_price_rises_with_the_other_rate_when_rates_multiply(sale, fraction):
    sale["stacking"] = Stacking(MULTIPLY, None, sale["stacking"].rate)
    sale["joins"] = True
    low, high = sorted((sale["other"], fraction))
    assert due(**sale | {"other": low}) <= due(**sale | {"other": high})


@given(sales, fractions, rates)
def test_price_rises_with_the_other_rate_on_each_side_of_the_threshold(sale, fraction, start):
    sale["stacking"] = Stacking(THRESHOLD, start, sale["stacking"].rate)
    low, high = sorted((sale["other"], fraction))
    same_side = (low >= Fraction(start)) == (high >= Fraction(start))
    if same_side and high < 1:
        assert due(**sale | {"other": low}) <= due(**sale | {"other": high})


def test_price_is_not_monotone_across_the_threshold():
    stacking = Stacking(THRESHOLD, Decimal("0.80"), Decimal("0.95"))
    sale = {"amount": Decimal(200), "member": Decimal("0.90"), "stacking": stacking}
    prices = [due(**sale, other=Decimal(other)) for other in ("0.79", "0.80")]
    assert prices == [Decimal("158.00"), Decimal("152.00")]


FORMULAS = [
    (Stacking(2, Decimal("0.8"), Decimal("0.95"), needs_other=False), "1", True, "190.00",
     "min(200 * 1 * 0.95, 200 * 0.98)"),
    (Stacking(2, Decimal("0.8"), Decimal("0.95"), needs_other=False), "1", False, "196.00",
     "200 * 0.98"),
    (Stacking(2, Decimal("0.8"), Decimal("0.95")), "1", True, "196.00", "200 * 0.98"),
    (Stacking(2), "0.9", True, "180.00", "min(200 * 0.9, 200 * 0.98)"),
    (Stacking(2, Decimal("0.8")), "0.9", True, "180.00", "min(200 * 0.9 * 1, 200 * 0.98)"),
    (Stacking(1), "1/3", True, "65.33", "200 * 1/3 * 0.98"),
    (Stacking(1), "0", True, "0.00", "200 * 0 * 0.98"),
]  # fmt: skip


@pytest.mark.parametrize("case", FORMULAS)
def test_price_says_by_which_formula(case):
    stacking, other, joins, amount, formula = case
    found = price(
        Decimal(200),
        other_rate=Fraction(other),
        member_rate=Decimal("0.98"),
        stacking=stacking,
        joins_stacking=joins,
    )
    assert (str(found.amount_due), found.formula) == (amount, formula)


SETTINGS = [
    # (at the start, what a rule that does not join gives, d, joins, amount due)
    (True, "best_of", "0.80", True, "152.00"),
    (False, "best_of", "0.80", True, "160.00"),
    (False, "best_of", "0.801", True, "152.19"),
    (False, "best_of", "0.79", True, "158.00"),
    (False, "best_of", "1", True, "180.00"),
    (True, "best_of", "0.95", False, "180.00"),
    (True, "best_of", "0.70", False, "140.00"),
    (True, "member", "0.70", False, "180.00"),
    (True, "other", "0.95", False, "190.00"),
    (True, "member", "1", False, "180.00"),
    (True, "other", "1", False, "180.00"),
    (True, "other", "0.85", True, "161.50"),
]


@pytest.mark.parametrize("mode", [MULTIPLY, THRESHOLD])
@pytest.mark.parametrize("case", SETTINGS)
def test_price_follows_the_settings_for_the_start_and_for_rules_that_do_not_join(case, mode):
    at_start, non_join, other, joins, amount = case
    if mode == MULTIPLY and joins:
        amount = str(due(amount=Decimal(200), other=Decimal(other), member=Decimal("0.90"),
                         stacking=Stacking(MULTIPLY)))  # fmt: skip
    stacking = Stacking(
        mode, Decimal("0.80"), Decimal("0.95"), at_start=at_start, non_join=non_join
    )
    sale = {"amount": Decimal(200), "member": Decimal("0.90"), "stacking": stacking}
    assert str(due(**sale, other=Decimal(other), joins=joins)) == amount


def test_price_rounds_once_per_line():
    sale = {"amount": Decimal("29.97"), "other": Decimal("0.85"), "member": Decimal("0.95")}
    assert due(**sale, stacking=Stacking(1)) == Decimal("24.20")


@given(sales)
def test_price_of_a_return_mirrors_the_sale(sale):
    assert due(**sale | {"amount": -sale["amount"]}) == -due(**sale)
