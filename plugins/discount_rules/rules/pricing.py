"""How a member's rate meets other discounts on one line: pure functions.

Amounts are exact until they are rounded once per line, half up, in the currency's
digits; a rate is the fraction paid (domain §2.3). Inside, numbers are pairs of whole
numbers, numerator and denominator: as exact as fractions, and many times faster.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Literal

#: Control parameter E3: multiply always, or stack from a threshold on.
MULTIPLY, THRESHOLD = 1, 2

#: What a rule that does not join stacking gives where other discounts are: the lower of both
#: prices, the member price alone, or the price that the other discounts leave.
NonJoin = Literal["best_of", "member", "other"]

#: Numerator, denominator, and how people write it.
Exact = tuple[int, int, str]

_ONE: Exact = (1, 1, "1")

#: The rate of whoever has no benefit.
WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True)
class Stacking:
    """How member rates meet other discounts: E3, its settings and the card type's two rates.

    Attributes:
        mode: `MULTIPLY` (E3 = 1) or `THRESHOLD` (E3 = 2).
        start: other discounts must leave at least this; None: the card type never stacks.
        rate: the fraction taken on top of other discounts.
        needs_other: without another discount nothing stacks.
        at_start: stacking begins at `start` exactly, rather than above it.
        non_join: what a rule that does not join gives where other discounts are.
    """

    mode: int
    start: Decimal | None = None
    rate: Decimal | None = None
    needs_other: bool = True
    at_start: bool = True
    non_join: NonJoin = "best_of"


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
    products = _products(exact(other_rate), exact(member_rate), stacking, joins=joins_stacking)
    above, below, text = products[0]
    amount = f"{list_amount:f}"
    formula = f"{amount} * {text}"
    if len(products) > 1:
        other_above, other_below, other_text = products[1]
        formula = f"min({formula}, {amount} * {other_text})"
        # The smaller product of rates, not the smaller amount: a return's amounts are negative.
        if other_above * below < above * other_below:
            above, below = other_above, other_below
    amount_above, amount_below = list_amount.as_integer_ratio()
    return Price(_half_up(amount_above * above, amount_below * below, digits), formula)


def paid_fraction(
    other: Fraction | Decimal, member: Decimal, stacking: Stacking, *, joins: bool = True
) -> Fraction:
    """Return the exact fraction of a list amount that `price` rounds: what is paid of 1.

    >>> paid_fraction(Fraction("0.85"), Decimal("0.9"), Stacking(MULTIPLY))
    Fraction(153, 200)
    """
    products = _products(exact(other), exact(member), stacking, joins=joins)
    return min(Fraction(above, below) for above, below, _ in products)


def _products(
    other: Exact, member: Exact, stacking: Stacking, *, joins: bool
) -> tuple[Exact, ...]:
    """Return the products of rates of which the smallest is paid."""
    has_other = other[0] != other[1]
    if not has_other and (stacking.needs_other or not joins or stacking.mode == MULTIPLY):
        return (member,)
    if not joins and stacking.non_join != "best_of":
        return (member if stacking.non_join == "member" else other,)
    if joins and stacking.mode == MULTIPLY:
        return (_times(other, member),)
    if joins and stacking.start is not None:
        start_above, start_below, _ = exact(stacking.start)
        beyond = other[0] * start_below - start_above * other[1]
        if beyond > 0 or (beyond == 0 and stacking.at_start):
            return (_times(other, _ONE if stacking.rate is None else exact(stacking.rate)), member)
    return (other, member)


def _times(first: Exact, second: Exact) -> Exact:
    return first[0] * second[0], first[1] * second[1], f"{first[2]} * {second[2]}"


def exact(value: Fraction | Decimal) -> Exact:
    """Return a number with how people write it: a decimal where it is one, else a fraction.

    >>> exact(Decimal("0.9500")), exact(Fraction(1, 3))
    ((19, 20, '0.95'), (1, 3, '1/3'))
    """
    return _exact(*value.as_integer_ratio())


@lru_cache(maxsize=4096)
def _exact(above: int, below: int) -> Exact:
    return above, below, _text(above, below)


@lru_cache(maxsize=4096)
def plain_rate(rate: Decimal) -> Decimal:
    """Return a rate as the certificate has it, whatever zeros it was stored with.

    >>> plain_rate(Decimal("0.9000"))
    Decimal('0.9')
    """
    return Decimal(exact(rate)[2])


def _text(above: int, below: int) -> str:
    left, places = below, 0
    for prime in (2, 5):
        power = 0
        while left % prime == 0:
            left //= prime
            power += 1
        places = max(places, power)
    if left != 1:
        return f"{above}/{below}"
    return f"{Decimal(above * 10**places // below).scaleb(-places):f}"


def round_half_up(value: Fraction, digits: int) -> Decimal:
    """Return `value` rounded once to `digits` places, halves away from zero.

    >>> round_half_up(Fraction(45, 1000), 2), round_half_up(Fraction(-45, 1000), 2)
    (Decimal('0.05'), Decimal('-0.05'))
    """
    return _half_up(value.numerator, value.denominator, digits)


def _half_up(above: int, below: int, digits: int) -> Decimal:
    scaled = abs(above) * 10**digits
    whole = (2 * scaled + below) // (2 * below)
    return Decimal(whole if above >= 0 else -whole).scaleb(-digits)
