"""Days and instants: one set of rules that all targets follow.

A date has no zone; a datetime is an instant. What a datetime shares with the calendar
(its day, month, weekday) is read in the store day's zone. Where clocks are set back and
a wall time happens twice, the later instant is meant; where it is skipped, the clocks
before the change are read on. Results outside the years 1 to 9999 are null.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

#: Months in a calendar unit, days in one, seconds in a clock unit.
MONTHS = {"month": 1, "quarter": 3, "year": 12}
DAYS = {"day": 1, "week": 7}
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
CALENDAR_UNITS = (*DAYS, *MONTHS)
UNITS = (*SECONDS, *CALENDAR_UNITS)

#: The most units that can be added; more leaves the years 1 to 9999 from any day.
MOST = {
    **{unit: 120_000 // months for unit, months in MONTHS.items()},
    **{unit: 3_660_000 // days for unit, days in DAYS.items()},
    **{unit: 3_660_000 * 86_400 // seconds for unit, seconds in SECONDS.items()},
}

Number = Decimal | int

_zone = lru_cache(maxsize=64)(ZoneInfo)


def store_day(instant: datetime, zone: str) -> date:
    """Return the day it is in `zone` at `instant`."""
    return instant.astimezone(_zone(zone)).date()


def day_start(day: date, zone: str) -> datetime | None:
    """Return the instant at which `day` begins in `zone`."""
    return _instant(datetime.combine(day, time()), zone)


def _instant(wall: datetime, zone: str) -> datetime | None:
    there = wall.replace(tzinfo=_zone(zone))
    first, last = there.utcoffset(), there.replace(fold=1).utcoffset()
    if first is None or last is None:
        raise ValueError(zone)  # a ZoneInfo always knows
    try:
        return (wall - min(first, last)).replace(tzinfo=UTC)
    except OverflowError:
        return None


def add_to_date(day: date, count: Number, unit: str) -> date | None:
    """Return `day` plus `count` whole calendar units; a month too short gives its last day."""
    number = int(count)
    if abs(number) > MOST[unit]:
        return None
    try:
        if unit in DAYS:
            return day + timedelta(days=number * DAYS[unit])
        year, month = divmod(day.year * 12 + day.month - 1 + number * MONTHS[unit], 12)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None


def add_clock(instant: datetime, count: Number, unit: str) -> datetime | None:
    """Return `instant` plus `count` whole seconds, minutes or hours of elapsed time."""
    number = int(count)
    if abs(number) > MOST[unit]:
        return None
    try:
        return instant + timedelta(seconds=number * SECONDS[unit])
    except OverflowError:
        return None


def add_wall(instant: datetime, count: Number, unit: str, zone: str) -> datetime | None:
    """Return the same wall time in `zone`, `count` whole calendar units later."""
    try:
        wall = instant.astimezone(_zone(zone)).replace(tzinfo=None)
    except OverflowError:
        return None
    day = add_to_date(wall.date(), count, unit)
    return None if day is None else _instant(datetime.combine(day, wall.time()), zone)


def days_between(first: date, last: date, unit: str) -> int:
    """Return the whole calendar units from `first` to `last`, negative when it is earlier."""
    if unit in DAYS:
        return _toward_zero((last - first).days, DAYS[unit])
    months = (last.year - first.year) * 12 + last.month - first.month
    if months > 0 and last.day < first.day:
        months -= 1
    elif months < 0 and last.day > first.day:
        months += 1
    return _toward_zero(months, MONTHS[unit])


def clock_between(first: datetime, last: datetime, unit: str) -> int:
    """Return the whole clock units from `first` to `last`, negative when it is earlier."""
    return _toward_zero((last - first) // timedelta(microseconds=1), SECONDS[unit] * 1_000_000)


def _toward_zero(value: int, divisor: int) -> int:
    return value // divisor if value >= 0 else -(-value // divisor)


def instant_text(instant: datetime) -> str:
    """Return an instant in the fixed-width form it is stored in on SQLite and sent in."""
    there = instant.astimezone(UTC)
    return f"{there.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def read_instant(text: str) -> datetime:
    """Return the instant that an RFC 3339 text with an offset names; ValueError otherwise."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return instant.astimezone(UTC)
