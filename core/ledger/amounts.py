"""Amounts of the ledger as people and programs write them."""

from decimal import Decimal

from core.schema.numbertypes import minor_units

#: The unit of accounts that are not of money.
POINTS = "points"


def shown(amount: int, unit: str) -> str:
    """Return an amount in smallest units as decimal text: money with its currency's digits.

    >>> shown(150, "points"), shown(-1205, "CNY"), shown(12, "JPY")
    ('150', '-12.05', '12')
    """
    if unit == POINTS:
        return str(amount)
    return format(Decimal(amount).scaleb(-minor_units(unit)), "f")
