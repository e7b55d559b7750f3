"""How late a task is, reckoned by the clock that it runs on."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from core.businesstime import Calendar

#: Of the whole time allowed, the last part that is amber: a quarter.
_AMBER = 4


def sla_of(now: datetime, row: sa.RowMapping, calendar: Calendar | None) -> dict[str, Any] | None:
    """Return how a task stands to its deadline; None where it has none.

    Args:
        now: the instant that is asked about.
        row: the task.
        calendar: the business calendar of its clock; None where any time counts.

    Returns:
        `state`: green, amber (the last quarter), red (late) or paused; `seconds`: what is
        left of the clock's own time, negative by how much it is late, None while it stands;
        `business`: whether that is business time.
    """
    if row["paused"]:
        return {"state": "paused", "seconds": None, "business": calendar is not None}
    if row["due_at"] is None or row["state"] != "open":
        return None
    due = datetime.fromisoformat(row["due_at"])
    left = seconds_between(now, due, calendar)
    allowed = seconds_between(datetime.fromisoformat(row["opened_at"]), due, calendar)
    state = "green" if left * _AMBER > allowed else "amber"
    return {
        # The moment itself counts, also while the calendar is closed.
        "state": "red" if now >= due else state,
        "seconds": left,
        "business": calendar is not None,
    }


def seconds_between(start: datetime, end: datetime, calendar: Calendar | None) -> int:
    """Return the seconds of a clock from `start` to `end`; negative when `end` is first."""
    if calendar is None:
        return int((end - start).total_seconds())
    return calendar.open_seconds(start, end)
