"""Durations and business calendars: when a clock that counts opening hours strikes.

A calendar says when people work: a time zone, hours for each weekday, holidays, and make-up
workdays (调休). Its hours are read off the clock on the wall: it is open at an instant when
the local time then lies within the hours of the local day. So an hour that the clock shows
twice counts twice, and one that it skips does not count.

All instants are aware and count from their whole second, so that consumed times add up
exactly wherever a clock is paused.
"""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.i18n import N_

#: The most minutes, hours, business hours or business days that a duration may have.
MOST = 10_000
#: The fewest seconds a week that a calendar may be open; it bounds the longest search.
LEAST_WEEK = 3600
#: The most holidays, and the most make-up workdays, that a calendar may list.
MOST_DAYS = 2_000
TOO_MANY_DAYS = N_("A calendar lists at most {most} holidays and as many make-up workdays.")
#: The weekdays as they are written, Monday first.
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()
_SECOND = timedelta(seconds=1)
_DURATION = re.compile(r"([0-9]{1,15})(m|h|bh|bd)", re.ASCII)
_HOURS = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])", re.ASCII)

#: Hours of a day: from and to, in minutes after midnight; to is at most 1440 (24:00).
Hours = tuple[tuple[int, int], ...]


class BusinessTimeError(ValueError):
    """A duration or a calendar cannot be read; `text` and `params` say why, to be translated."""

    def __init__(self, text: str, **params: Any) -> None:
        """Keep the English template `text` and its values."""
        super().__init__(text.format_map(params))
        self.text = text
        self.params = params


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time as it is written: `30m`, `2h`, `24bh`, `3bd`.

    Attributes:
        amount: how many, from 1 to `MOST`.
        unit: `m` and `h` of any time, `bh` of opening hours, `bd` working days.
    """

    amount: int
    unit: str

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.amount}{self.unit}"

    @property
    def business(self) -> bool:
        """Return whether it runs only while the calendar is open."""
        return self.unit in {"bh", "bd"}


def parse_duration(text: str) -> Duration:
    """Return the duration that `text` writes; raises BusinessTimeError saying what is wrong."""
    found = _DURATION.fullmatch(text)
    if found is None:
        told = N_(
            "“{value}” is not a duration: write 30m or 2h for any time, "
            "24bh for business hours, 3bd for business days."
        )
        raise BusinessTimeError(told, value=text[:40])
    amount = int(found[1])
    if not 1 <= amount <= MOST:
        told = N_("The duration {value} is not between 1 and {most} {unit}.")
        raise BusinessTimeError(told, value=text[:40], most=MOST, unit=found[2])
    return Duration(amount, found[2])


def parse_hours(texts: Sequence[str]) -> Hours:
    """Return the hours of a day from `09:30-12:00` texts.

    They stand in order, do not overlap and do not pass midnight; the last may end at 24:00.
    Raises BusinessTimeError.
    """
    read: list[tuple[int, int]] = []
    for text in texts:
        found = _HOURS.fullmatch(text)
        hour, minute, end_hour, end_minute = map(int, found.groups()) if found else (24, 0, 24, 1)
        begin, end = hour * 60 + minute, end_hour * 60 + end_minute
        if end > 24 * 60:
            told = N_("“{value}” are not opening hours: write 09:30-12:00.")
            raise BusinessTimeError(told, value=text[:40])
        if begin >= end:
            told = N_(
                "The hours {value} end before they begin. Hours that pass midnight are written "
                "as two: to 24:00 on one day and from 00:00 on the next."
            )
            raise BusinessTimeError(told, value=text)
        if read and begin < read[-1][1]:
            told = N_("The hours {value} overlap the ones before them, or stand out of order.")
            raise BusinessTimeError(told, value=text)
        read.append((begin, end))
    return tuple(read)


def is_zone(name: str) -> bool:
    """Return whether `name` is an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False  # it also looks for names that are folders, or lead out of its own
    return True


@dataclass(frozen=True, slots=True)
class _Year:
    """The open stretches of one UTC year, in seconds since 1970, one array for each number.

    Attributes:
        starts: when each begins.
        ends: when each ends.
        reached: the open seconds of the year up to the end of each.
    """

    starts: list[int]
    ends: list[int]
    reached: list[int]

    @property
    def total(self) -> int:
        return self.reached[-1] if self.reached else 0

    def until(self, second: int) -> int:
        """Return the open seconds of the year before `second`."""
        index = bisect_right(self.starts, second) - 1
        return self.reached[index] - max(0, self.ends[index] - second) if index >= 0 else 0


@dataclass(frozen=True, eq=False)
class Calendar:
    """When people work.

    Raises BusinessTimeError when it is made of what cannot be: an unknown zone, hours that
    overlap, a day that is both free and worked, less than an hour open in a week.

    Attributes:
        zone: IANA time zone, in which hours and days are read.
        hours: of Monday to Sunday; empty on days that are free.
        holidays: dates that are free whatever weekday they are.
        workdays: dates that are worked, with the weekday (0 is Monday) whose hours they
            follow; None follows the first weekday of the week that is worked.
        version: changes with anything above; kept beside what was worked out with it.
    """

    zone: str
    hours: tuple[Hours, ...]
    holidays: Collection[date] = frozenset()
    workdays: Mapping[date, int | None] = field(default_factory=dict)
    version: str = field(init=False, default="")
    _years: dict[int, _Year] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Check it and name its version."""
        if not is_zone(self.zone):
            told = N_("There is no time zone “{value}”. Write one such as Asia/Shanghai.")
            raise BusinessTimeError(told, value=self.zone[:60])
        _check_days(self.holidays, self.workdays)
        week = sum(end - begin for day in self.hours for begin, end in day) * 60
        if len(self.hours) != len(WEEKDAYS) or week < LEAST_WEEK:
            raise BusinessTimeError(N_("A calendar is open for at least an hour a week."))
        for day in self.workdays.values():
            if day is not None and not self.hours[day]:
                told = N_("A make-up workday follows {day}, which has no hours.")
                raise BusinessTimeError(told, day=WEEKDAYS[day])
        said = (self.zone, self.hours, sorted(self.holidays), sorted(self.workdays.items()))
        digest = hashlib.sha256(repr(said).encode()).hexdigest()[:16]
        object.__setattr__(self, "version", digest)

    def hours_on(self, day: date) -> Hours:
        """Return the hours of a local day; none when it is free."""
        if day in self.workdays:
            like = self.workdays[day]
            return next(filter(None, self.hours)) if like is None else self.hours[like]
        return () if day in self.holidays else self.hours[day.weekday()]

    def is_open(self, at: datetime) -> bool:
        """Return whether it is open at the instant; it is no longer when hours end."""
        year = self._year(at.astimezone(UTC).year)
        second = _second(at)
        index = bisect_right(year.starts, second) - 1
        return index >= 0 and second < year.ends[index]

    def next_open(self, at: datetime) -> datetime:
        """Return `at`, in UTC, when it is open then; otherwise when it opens next."""
        if self.is_open(at):
            return at.astimezone(UTC)
        second, number = _second(at), at.astimezone(UTC).year
        while True:
            year = self._year(number)
            index = bisect_left(year.starts, second)
            if index < len(year.starts):
                return _instant(year.starts[index])
            number += 1

    def open_seconds(self, start: datetime, end: datetime) -> int:
        """Return how many seconds it is open from `start` to `end`; negative when end is first."""
        if end < start:
            return -self.open_seconds(end, start)
        first, last = start.astimezone(UTC).year, end.astimezone(UTC).year
        between = sum(self._year(number).total for number in range(first, last))
        return (
            between
            + self._year(last).until(_second(end))
            - self._year(first).until(_second(start))
        )

    def add(self, start: datetime, duration: Duration) -> datetime:
        """Return when a clock that starts at `start` strikes, in UTC, to the second.

        - `30m`, `2h`: so much later, open or not.
        - `24bh`: the first instant by which so many open hours have passed; it may be the
          moment of closing, never the opening after it.
        - `3bd`: the same local time so many working days later, a start while it is closed
          counting as the next opening; the closing before that where it is not open then or
          just opens, so that a whole day ends when it closes.

        Raises:
            OverflowError: the answer lies beyond the year 9999.
        """
        if duration.unit == "bd":
            return self._days_after(start, duration.amount)
        seconds = duration.amount * (60 if duration.unit == "m" else 3600)
        return self.after(start, seconds, business=duration.business)

    def elapsed(self, start: datetime, end: datetime, *, business: bool) -> int:
        """Return the seconds from `start` to `end`: the open ones for `business`, else all."""
        return self.open_seconds(start, end) if business else _second(end) - _second(start)

    def after(self, start: datetime, seconds: int, *, business: bool) -> datetime:
        """Return the first instant by which so many seconds have passed, in UTC.

        A clock that knows what is left of its time goes on with it, wherever it was paused.

        Args:
            start: when they begin.
            seconds: how many; of a negative number it is the last instant since when they
                had passed.
            business: whether only open ones count.
        """
        return _instant(self._after(start, seconds) if business else _second(start) + seconds)

    def _after(self, start: datetime, seconds: int) -> int:
        if seconds == 0:
            return _second(start)
        number = start.astimezone(UTC).year
        year = self._year(number)
        target = year.until(_second(start)) + seconds
        while target < 0:
            number -= 1
            year = self._year(number)
            target += year.total
        while target > year.total:
            target -= year.total
            number += 1
            year = self._year(number)
        find = bisect_left if seconds > 0 else bisect_right
        index = find(year.reached, target)
        return year.ends[index] - (year.reached[index] - target)

    def _days_after(self, start: datetime, days: int) -> datetime:
        local = self.next_open(start).astimezone(ZoneInfo(self.zone))
        day, left = local.date(), days
        while left:
            day += timedelta(days=1)
            left -= bool(self.hours_on(day))
        wanted = local.hour * 3600 + local.minute * 60 + local.second
        found = _instant(_wall_second(self.zone, day, wanted))
        return self.after(start, self.open_seconds(start, found), business=True)

    def _year(self, number: int) -> _Year:
        """Return the open stretches of a year, worked out once."""
        known = self._years.get(number)
        if known is None:
            known = self._years[number] = self._work_out(number)
        return known

    def _work_out(self, number: int) -> _Year:
        begin, end = _begin(number), _begin(number + 1)
        stretches = []
        segments = _segments(self.zone, number)
        first = date(number, 1, 1).toordinal()
        # The first and last local days of a year begin and end in its neighbours.
        for ordinal in range(first - 1, first + (end - begin) // _DAY + 1):
            if not 0 < ordinal <= date.max.toordinal():
                continue
            hours = self.hours_on(date.fromordinal(ordinal))
            midnight = (ordinal - _EPOCH_ORDINAL) * _DAY
            for start, stop, offset in segments if hours else ():
                # Only segments that the day can touch; an offset is less than a day.
                if stop <= midnight - _DAY or start >= midnight + 2 * _DAY:
                    continue
                for opens, closes in hours:
                    since = max(midnight + opens * 60 - offset, start, begin)
                    until = min(midnight + closes * 60 - offset, stop, end)
                    if since < until:
                        stretches.append((since, until))
        # A clock that is put back over midnight shows parts of two days in turn.
        stretches.sort()
        reached, total = [], 0
        for since, until in stretches:
            total += until - since
            reached.append(total)
        return _Year([one[0] for one in stretches], [one[1] for one in stretches], reached)


def _check_days(holidays: Collection[date], workdays: Mapping[date, int | None]) -> None:
    """Raise for a day that is both, and for more days than anybody has."""
    both = sorted(day for day in workdays if day in holidays)
    if both:
        told = N_("{day} is both a holiday and a make-up workday.")
        raise BusinessTimeError(told, day=both[0].isoformat())
    if max(len(holidays), len(workdays)) > MOST_DAYS:
        raise BusinessTimeError(TOO_MANY_DAYS, most=MOST_DAYS)


def _second(at: datetime) -> int:
    """Return the whole second that an aware instant lies in, since 1970."""
    return (at - _EPOCH) // _SECOND


def _instant(second: int) -> datetime:
    return _EPOCH + timedelta(seconds=second)


def _begin(year: int) -> int:
    """Return the second at which a UTC year begins."""
    if not 1 <= year <= date.max.year + 1:
        raise OverflowError(f"the year {year} cannot be reckoned with")
    if year > date.max.year:
        return (date.max.toordinal() + 1 - _EPOCH_ORDINAL) * _DAY
    return (date(year, 1, 1).toordinal() - _EPOCH_ORDINAL) * _DAY


def _wall_second(zone: str, day: date, seconds: int) -> int:
    """Return the first second at which a zone's clock shows a time of a day, or has skipped it."""
    wanted = (day.toordinal() - _EPOCH_ORDINAL) * _DAY + seconds
    for start, stop, offset in _segments(zone, day.year):
        if wanted - offset < stop:
            return max(wanted - offset, start)
    raise OverflowError(f"{day} cannot be reckoned with")


@lru_cache(maxsize=512)
def _segments(zone: str, year: int) -> tuple[tuple[int, int, int], ...]:
    """Return the stretches of a year, two days about it too, in which a zone's offset stays.

    Each is the second at which it begins, the one at which it ends, and the offset in seconds.
    """
    known = ZoneInfo(zone)
    first = max(_begin(year) - 2 * _DAY, _begin(1) + _DAY)
    last = min(_begin(year + 1) + 2 * _DAY, _begin(date.max.year + 1) - _DAY)

    def offset(second: int) -> int:
        away = _instant(second).astimezone(known).utcoffset()
        return 0 if away is None else away // _SECOND

    def changes() -> Iterator[int]:
        before = offset(first)
        # No zone changes its offset to another and back within a day.
        for day in range(first, last, _DAY):
            low, high = day, min(day + _DAY, last)
            after = offset(high)
            if after == before:
                continue
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == before else (low, middle)
            yield high
            before = after

    edges = [first, *changes(), last]
    return tuple((start, stop, offset(start)) for start, stop in pairwise(edges))
