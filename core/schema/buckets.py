"""The parts of the calendar that records are grouped by: days, weeks, months, quarters, years."""

from datetime import date, timedelta

#: How a day can be grouped, as the end of `group_by: FIELD.month`.
BUCKETS = ("day", "week", "month", "quarter", "year")

_MONTHS_OF_QUARTER = 3


def bucket_text(day: date, bucket: str) -> str:
    """Return the bucket that a day is in, as a text that sorts; a week is its Monday.

    >>> [bucket_text(date(2026, 3, 11), each) for each in BUCKETS]
    ['2026-03-11', '2026-03-09', '2026-03', '2026-Q1', '2026']
    """
    if bucket == "week":
        return (day - timedelta(days=day.weekday())).isoformat()
    if bucket == "quarter":
        return f"{day.year:04}-Q{(day.month - 1) // _MONTHS_OF_QUARTER + 1}"
    return day.isoformat()[: {"day": 10, "month": 7, "year": 4}[bucket]]


def bucket_days(text: str, bucket: str) -> tuple[date, date]:
    """Return the first and the last day of a bucket; 9999-12-31 ends everything.

    >>> bucket_days("2026-Q1", "quarter")
    (datetime.date(2026, 1, 1), datetime.date(2026, 3, 31))
    """
    if bucket == "quarter":
        first = date(int(text[:4]), int(text[-1]) * _MONTHS_OF_QUARTER - 2, 1)
    else:
        first = date.fromisoformat(text + "-01-01"[len(text) - 4 :] if len(text) < 10 else text)  # noqa: PLR2004  a whole day
    return first, _last(first, bucket)


def _last(first: date, bucket: str) -> date:
    try:
        if bucket in {"day", "week"}:
            return first + timedelta(days=6 if bucket == "week" else 0)
        months = {"month": 1, "quarter": _MONTHS_OF_QUARTER, "year": 12}[bucket]
        month = first.month - 1 + months
        return date(first.year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    except (ValueError, OverflowError):
        return date.max


def buckets_between(first: str, last: str, bucket: str, most: int) -> list[str]:
    """Return every bucket from `first` to `last`; only these two where they are over `most`."""
    found = [first]
    while found[-1] < last:
        if len(found) >= most:
            return [first, last]
        end = bucket_days(found[-1], bucket)[1]
        if end == date.max:
            break
        found.append(bucket_text(end + timedelta(days=1), bucket))
    return found
