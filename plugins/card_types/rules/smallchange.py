"""Small change on a card (零钞): 0 ≤ balance ≤ cap, put in ≤ change due (domain §2.5, I15).

Money is whole numbers of the smallest unit.
"""

from decimal import Decimal


def minor(amount: Decimal, digits: int) -> int:
    """Return money in smallest units; it has no more places than the currency.

    >>> minor(Decimal("0.35"), 2)
    35
    """
    return int(amount.scaleb(digits))


def money(units: int, digits: int) -> str:
    """Return smallest units as a decimal text.

    >>> money(35, 2)
    '0.35'
    """
    return f"{Decimal(units).scaleb(-digits):f}"


def most_possible(balance: int, spent: int, cap: int) -> int:
    """Return how much more a card may take after something was spent from it."""
    return max(0, cap - (balance - spent))
