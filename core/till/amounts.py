"""Money at the till: exact until it is rounded once, half up."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction


def share(amount: Decimal, rate: Fraction, digits: int) -> Decimal:
    """Return an exact fraction of an amount that has a currency's digits, rounded half up.

    >>> share(Decimal("29.97"), Fraction(2, 3), 2)
    Decimal('19.98')
    """
    if rate == 1:
        return amount
    # Whole numbers of the smallest unit: several times as fast as fractions.
    units = 2 * int(amount.scaleb(digits)) * rate.numerator
    whole = (abs(units) + rate.denominator) // (2 * rate.denominator)
    return Decimal(whole if units >= 0 else -whole).scaleb(-digits)


def product(quantity: Decimal, price: Decimal, digits: int) -> Decimal:
    """Return what so many of a thing cost, rounded once, half up; at most 28 digits in all.

    >>> product(Decimal("1.5"), Decimal("0.33"), 2)
    Decimal('0.50')
    """
    return (quantity * price).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def money(value: Decimal, digits: int) -> str:
    """Return an amount as text with the digits of its currency.

    >>> money(Decimal(0), 2), money(Decimal("1E+2"), 0)
    ('0.00', '100')
    """
    return f"{value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):f}"


def plain(value: Decimal) -> str:
    """Return a decimal as text without an exponent.

    >>> plain(Decimal("1E+2"))
    '100'
    """
    return f"{value:f}"
