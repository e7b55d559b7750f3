"""The last day on which points that come today can be spent."""

import calendar
from datetime import date
from typing import Literal

#: As the account kind declares, without end, or by one of its ways with a number of our own.
Expiry = Literal["declared", "none", "months", "end_of_month", "end_of_year"]


def last_day(on: date, mode: Expiry, after: int) -> date | None:
    """Return the last day of points that come on `on`; None without end.

    `months` is the same day so many months later, or the last of that month; `end_of_month`
    and `end_of_year` are the last day of the month or year so many months or years later.

    >>> str(last_day(date(2026, 1, 31), "months", 1))
    '2026-02-28'
    >>> str(last_day(date(2026, 3, 10), "end_of_month", 0))
    '2026-03-31'
    >>> str(last_day(date(2026, 3, 10), "end_of_year", 1))
    '2027-12-31'
    """
    if mode in {"none", "declared"}:
        return None
    if mode == "end_of_year":
        return date(on.year + after, 12, 31)
    years, month = divmod(on.month - 1 + after, 12)
    year = on.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, last if mode == "end_of_month" else min(on.day, last))
