"""When a lot ends, as its account kind says; plain calendar arithmetic."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.clock import to_wire
from core.schema.accountkinds import Lots


def last_day(lots: Lots, came: date) -> date | None:
    """Return the last store day of what came on a store day; None is never.

    >>> last_day(Lots(expiry="months", after=1), date(2026, 1, 31))
    datetime.date(2026, 2, 28)
    >>> last_day(Lots(expiry="end_of_month", after=0), date(2026, 2, 3))
    datetime.date(2026, 2, 28)
    >>> last_day(Lots(expiry="end_of_year", after=1), date(2026, 2, 3))
    datetime.date(2027, 12, 31)
    """
    if lots.expiry == "never":
        return None
    if lots.expiry == "end_of_year":
        return date(came.year + lots.after, 12, 31)
    years, month = divmod(came.month - 1 + lots.after, 12)
    year = came.year + years
    end = monthrange(year, month + 1)[1]
    return date(year, month + 1, end if lots.expiry == "end_of_month" else min(came.day, end))


def day_ending(at: datetime, zone: ZoneInfo) -> date:
    """Return the last store day of what is of no use from an instant on.

    >>> day_ending(datetime(2026, 12, 31, 16, tzinfo=UTC), ZoneInfo("Asia/Shanghai"))
    datetime.date(2026, 12, 31)
    """
    return (at.astimezone(UTC) - timedelta(microseconds=1)).astimezone(zone).date()


def end_of(day: date, zone: ZoneInfo) -> str | None:
    """Return the instant at which a store day ends in its zone, in wire form.

    The calendar's last day, which people write for "never", has no end: None.

    >>> end_of(date(2026, 12, 31), ZoneInfo("Asia/Shanghai"))
    '2026-12-31T16:00:00.000000Z'
    >>> end_of(date.max, ZoneInfo("Asia/Shanghai"))
    """
    if day == date.max:
        return None
    following = datetime.combine(day + timedelta(days=1), time(), zone)
    return to_wire(following.astimezone(UTC))
