"""Exact decimal arithmetic: no rounding but where a rule says so.

Sums, differences and products are exact; a quotient is rounded half up (away from
zero on a tie) to ten places, and null by zero. The bounds on an expression's size
bound the digits, so the context's precision is never reached.
"""

import decimal
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

#: Places a quotient or an average is rounded to.
QUOTIENT_PLACES = 10
#: `ROUND` takes places from -MAX_PLACES to MAX_PLACES; beyond, it takes the bound.
MAX_PLACES = 30

_EXACT = decimal.Context(
    prec=30_000, rounding=ROUND_HALF_UP, Emax=999_999, Emin=-999_999, traps=[]
)
_SCALE = Decimal(2 * 10**QUOTIENT_PLACES)
_ZERO = Decimal(0)

Number = Decimal | int

add = _EXACT.add
subtract = _EXACT.subtract
multiply = _EXACT.multiply
negate = _EXACT.minus
absolute = _EXACT.abs


def divide(left: Number, right: Number) -> Decimal | None:
    """Return the quotient half up to ten places, or None by zero."""
    if not right:
        return None
    size = _EXACT.abs(right)
    doubled = _EXACT.multiply(2, size)
    raised = _EXACT.multiply(_EXACT.abs(left), _SCALE)
    whole = _EXACT.divide_int(_EXACT.add(raised, size), doubled)
    quotient = _EXACT.scaleb(whole, -QUOTIENT_PLACES)
    return quotient if (left < 0) == (right < 0) else _EXACT.minus(quotient)


def round_half_up(value: Number, places: Number = 0) -> Decimal:
    """Return `value` rounded half up to `places` digits after the point (before, if negative)."""
    digits = max(-MAX_PLACES, min(MAX_PLACES, int(places)))
    return _EXACT.quantize(Decimal(value), Decimal((0, (1,), -digits)))


def total(values: Iterable[Number | None]) -> Decimal:
    """Return the sum of the values that are not null; nothing sums to zero."""
    result = _ZERO
    for value in values:
        if value is not None:
            result = _EXACT.add(result, value)
    return result


def average(values: Iterable[Number | None]) -> Decimal | None:
    """Return the mean of the values that are not null, or None of nothing."""
    known = [value for value in values if value is not None]
    return divide(total(known), len(known))


def number_text(value: Number) -> str:
    """Return the one text form of a number: no exponent, no trailing zeros, no `-0`."""
    if isinstance(value, int):
        return str(int(value))
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
