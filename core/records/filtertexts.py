"""Conditions written as expressions: what the records of one value, or of some days, meet."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from core.clock import to_wire


def joined(*filters: str) -> str:
    """Return the filters that are not empty as one, all of which must hold."""
    present = [each for each in filters if each]
    return present[0] if len(present) == 1 else " and ".join(f"({each})" for each in present)


def value_filter(name: str, value: Any, *, is_number: bool = False) -> str:
    r"""Return the condition of the records whose field has a value in wire form.

    >>> value_filter("status", "it's"), value_filter("closed", None)
    ("status == 'it\\'s'", 'closed is empty')
    """
    if value is None:
        return f"{name} is empty"
    if isinstance(value, bool):
        return f"{name} == {'true' if value else 'false'}"
    if is_number:
        return f"{name} == {value}"
    quoted = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"{name} == '{quoted}'"


def days_filter(name: str, first: date | None, last: date | None, zone: tzinfo | None) -> str:
    """Return the condition of the days from `first` to `last`; None leaves that end open.

    Args:
        name: a date field, or with `zone` one that holds instants.
        first: the first day.
        last: the last day, which belongs to them.
        zone: that of an instant's day.
    """
    parts = []
    if first is not None:
        parts.append(f"{name} >= '{_begin(first, zone)}'")
    if last is not None and zone is None:
        parts.append(f"{name} <= '{last.isoformat()}'")
    elif last is not None and last < date.max:
        parts.append(f"{name} < '{_begin(last + timedelta(days=1), zone)}'")
    return " and ".join(parts)


def _begin(day: date, zone: tzinfo | None) -> str:
    if zone is None:
        return day.isoformat()
    try:
        return to_wire(datetime.combine(day, time(), zone).astimezone(UTC))
    except OverflowError:  # the calendar's first and last day may not exist elsewhere
        return to_wire(datetime.combine(day, time(), UTC))
