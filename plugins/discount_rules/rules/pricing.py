"""How a member's rate meets other discounts on one line: pure functions.

Amounts are exact until they are rounded once per line, half up, in the currency's
digits; a rate is the fraction paid.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

#: Control parameter E3: multiply always, or stack from a threshold on.
MULTIPLY, THRESHOLD = 1, 2


@dataclass(frozen=True, slots=True)
class Stacking:
    """How member rates meet other discounts: E3 and the card type's two rates.

    Attributes:
        mode: `MULTIPLY` (E3 = 1) or `THRESHOLD` (E3 = 2).
        start: other discounts must leave at least this; None: the card type never stacks.
        rate: the fraction taken on top of other discounts.
        needs_other: without another discount nothing stacks.
    """

    mode: int
    start: Decimal | None = None
    rate: Decimal | None = None
    needs_other: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """What is due for a line, with the formula that gave it, the numbers filled in."""

    amount_due: Decimal
    formula: str


def price(
    list_amount: Decimal,
    *,
    other_rate: Fraction | Decimal,
    member_rate: Decimal,
    stacking: Stacking,
    joins_stacking: bool = True,
    digits: int = 2,
) -> Price:
    """Return the price of one line, exact until it is rounded once, half up.

    Args:
        list_amount: quantity times list price.
        other_rate: the fraction that other discounts leave, 1 when there is none.
        member_rate: what `RuleIndex.resolve` gave; 1 for a card that is not in use.
        stacking: the parameters.
        joins_stacking: whether the rule that gave the rate stacks.
        digits: places of the currency.

    >>> stacking = Stacking(THRESHOLD, Decimal("0.8"), Decimal("0.95"))
    >>> price(Decimal("200"), other_rate=Decimal("0.85"), member_rate=Decimal("0.9"),
    ...       stacking=stacking)
    Price(amount_due=Decimal('161.50'), formula='min(200 * 0.85 * 0.95, 200 * 0.9)')
    """
    factors = _factors(Fraction(other_rate), member_rate, stacking, joins=joins_stacking)
    # The smaller product of rates, not the smaller amount: a return's amounts are negative.
    exact = Fraction(list_amount) * min(map(_product, factors))
    texts = [" * ".join(map(_text, (list_amount, *each))) for each in factors]
    formula = texts[0] if len(texts) == 1 else f"min({', '.join(texts)})"
    return Price(round_half_up(exact, digits), formula)


def paid_fraction(
    other: Fraction | Decimal, member: Decimal, stacking: Stacking, *, joins: bool = True
) -> Fraction:
    """Return the exact fraction of a list amount that `price` rounds: what is paid of 1.

    >>> paid_fraction(Fraction("0.85"), Decimal("0.9"), Stacking(MULTIPLY))
    Fraction(153, 200)
    """
    return min(map(_product, _factors(Fraction(other), member, stacking, joins=joins)))


def _factors(
    other: Fraction, member: Decimal, stacking: Stacking, *, joins: bool
) -> list[tuple[Fraction | Decimal, ...]]:
    """Return the products of rates of which the smallest is paid."""
    has_other = other != 1
    if not has_other and (stacking.needs_other or not joins or stacking.mode == MULTIPLY):
        return [(member,)]
    if joins and stacking.mode == MULTIPLY:
        return [(other, member)]
    if joins and stacking.start is not None and other >= Fraction(stacking.start):
        return [(other, Decimal(1) if stacking.rate is None else stacking.rate), (member,)]
    return [(other,), (member,)]


def _product(rates: Iterable[Fraction | Decimal]) -> Fraction:
    result = Fraction(1)
    for rate in rates:
        result *= Fraction(rate)
    return result


def round_half_up(value: Fraction, digits: int) -> Decimal:
    """Return `value` rounded once to `digits` places, halves away from zero.

    >>> round_half_up(Fraction(45, 1000), 2), round_half_up(Fraction(-45, 1000), 2)
    (Decimal('0.05'), Decimal('-0.05'))
    """
    scaled = abs(value) * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if value >= 0 else -whole).scaleb(-digits)


def _text(value: Fraction | Decimal) -> str:
    """Return a number as people write it: a decimal where it is one, else a fraction."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    left = value.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    if left != 1:
        return f"{value.numerator}/{value.denominator}"
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    return f"{round_half_up(value, places):f}"
