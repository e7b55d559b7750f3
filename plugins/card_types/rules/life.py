"""The rules of a card's life: which state may follow which, and until when it holds."""

import calendar
from datetime import date

#: From which state a card may go to which; a card is never un-made.
LIFE: dict[str, frozenset[str]] = {
    "made": frozenset({"issued", "active", "cancelled"}),
    "issued": frozenset(
        {
            "active",
            "lost",
            "frozen",
            "expired",
            "reissued",
            "changed",
            "cancelled",
        }
    ),
    "active": frozenset({"lost", "frozen", "expired", "reissued", "changed", "cancelled"}),
    "lost": frozenset({"issued", "active", "reissued", "cancelled"}),
    "frozen": frozenset({"issued", "active", "lost", "expired", "cancelled"}),
    "expired": frozenset({"active", "reissued", "changed", "cancelled"}),
    "reissued": frozenset(),
    "changed": frozenset(),
    "cancelled": frozenset(),
}


def may_become(status: str, wanted: str) -> bool:
    """Return whether a card in `status` may become `wanted`; staying is always allowed."""
    return status == wanted or wanted in LIFE[status]


def valid_until(issued_on: date, months: int | None) -> date | None:
    """Return the last day of a card issued on a day, or None when it does not expire.

    >>> valid_until(date(2026, 1, 31), 1)
    datetime.date(2026, 2, 28)
    """
    if months is None:
        return None
    year, month = divmod(issued_on.year * 12 + issued_on.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(issued_on.day, last))
