"""Money at the till: exact until it is rounded once, half up."""

from decimal import Decimal
from fractions import Fraction


def rounded(value: Fraction, digits: int) -> Decimal:
    """Return an exact amount in a currency's digits, halves away from zero.

    >>> rounded(Fraction(45, 1000), 2), rounded(Fraction(-45, 1000), 2)
    (Decimal('0.05'), Decimal('-0.05'))
    """
    scaled = abs(value) * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if value >= 0 else -whole).scaleb(-digits)


def plain(value: Decimal) -> str:
    """Return a decimal as text without an exponent.

    >>> plain(Decimal("1E+2"))
    '100'
    """
    return f"{value:f}"
