"""What a business calendar is in YAML, and the calendar that it gives.

    calendar: shop
    label: {zh: 门店日历, en: Shop calendar}
    time_zone: Asia/Shanghai
    hours: {mon-fri: ["09:30-12:00", "13:30-19:00"], sat: ["10:00-16:00"]}
    include: [cn_public_holidays]
    holidays: [{day: 2026-08-08, label: {zh: 店庆, en: Anniversary}}]
    workdays: [{day: 2026-08-09, like: sat}]

One without hours is a set of days, for others to include.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from core.businesstime import (
    MOST_DAYS,
    TOO_MANY_DAYS,
    WEEKDAYS,
    BusinessTimeError,
    Calendar,
    Hours,
    parse_hours,
)
from core.i18n import N_
from core.schema.modelbase import Label, Model

#: The longest holiday, in days.
LONGEST_HOLIDAY = 366
#: How many calendars one is made of at most, itself and those it includes.
MOST_INCLUDED = 50


class Holiday(Model, frozen=True, kw_only=True):
    """Days that are free whatever weekday they are.

    Attributes:
        day: the first day.
        to: the last day; one day when missing.
        label: what the holiday is called.
    """

    day: str
    to: str = ""
    label: Label = {}


class Workday(Model, frozen=True, kw_only=True):
    """A make-up workday (调休): a day that is worked although its weekday is free.

    Attributes:
        day: the day.
        like: the weekday whose hours it has; the first of the week that is worked if missing.
        label: what it makes up for.
    """

    day: str
    like: Literal["", "mon", "tue", "wed", "thu", "fri", "sat", "sun"] = ""
    label: Label = {}


class BusinessCalendar(Model, frozen=True, kw_only=True):
    """When people work, for clocks that count business hours and days.

    Attributes:
        label: what people call it.
        time_zone: where its hours are read unless a store says its own; the zone of this
            installation if missing.
        hours: by weekday, or several such as `mon-fri`, in order; a missing day is free.
        holidays: days that are free.
        workdays: make-up workdays.
        include: calendars whose holidays and workdays hold here too; its own days go first,
            then those of the one named last.
        default: it holds where neither store nor flow names one; one that the site names
            goes before one that ships.
    """

    calendar: str
    layer: str = ""
    label: Label = {}
    time_zone: str = ""
    hours: dict[str, tuple[str, ...]] = {}
    holidays: tuple[Holiday, ...] = ()
    workdays: tuple[Workday, ...] = ()
    include: tuple[str, ...] = ()
    default: bool = False


Calendars = Mapping[str, BusinessCalendar]


@dataclass(slots=True)
class Days:
    """The days of a calendar that are not as their weekday says.

    Attributes:
        holidays: free day -> what it is called.
        workdays: make-up workday -> what it makes up for.
        likes: make-up workday -> the weekday (0 is Monday) whose hours it has, None for any.
    """

    holidays: dict[date, Label] = field(default_factory=dict)
    workdays: dict[date, Label] = field(default_factory=dict)
    likes: dict[date, int | None] = field(default_factory=dict)

    def rest(self, day: date, label: Label) -> None:
        """Make a day free."""
        self.holidays[day] = label
        self.workdays.pop(day, None)
        self.likes.pop(day, None)

    def work(self, day: date, label: Label, like: int | None) -> None:
        """Make a day worked."""
        self.workdays[day], self.likes[day] = label, like
        self.holidays.pop(day, None)


def read_day(text: str) -> date:
    """Return the day that `2026-10-01` writes; raises BusinessTimeError."""
    try:
        if len(text) == len("2026-10-01"):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise BusinessTimeError(N_("“{value}” is not a day such as 2026-10-01."), value=text[:40])


def days_of_holiday(one: Holiday) -> list[date]:
    """Return every day of a holiday; raises BusinessTimeError."""
    first = read_day(one.day)
    last = read_day(one.to) if one.to else first
    if not 0 <= (last - first).days < LONGEST_HOLIDAY:
        told = N_("A holiday ends on or after its first day and lasts at most {most} days.")
        raise BusinessTimeError(told, most=LONGEST_HOLIDAY)
    return [first + timedelta(days=at) for at in range((last - first).days + 1)]


def days_of(name: str, calendars: Calendars) -> Days:
    """Return the holidays and make-up workdays of a calendar, those it includes among them.

    Raises:
        BusinessTimeError: a day cannot be read, or there are too many.
    """
    days = Days()
    for one in reversed(_included(name, calendars)):
        for holiday in one.holidays:
            for day in days_of_holiday(holiday):
                days.rest(day, holiday.label)
            if len(days.holidays) > MOST_DAYS:
                raise BusinessTimeError(TOO_MANY_DAYS, most=MOST_DAYS)
        for worked in one.workdays:
            like = WEEKDAYS.index(worked.like) if worked.like else None
            days.work(read_day(worked.day), worked.label, like)
    return days


def _included(name: str, calendars: Calendars) -> list[BusinessCalendar]:
    """Return a calendar and all that it includes, those first whose days go first.

    Raises:
        BusinessTimeError: it includes too many, one through another.
    """
    found: dict[str, BusinessCalendar] = {}
    queue = [name]
    while queue:
        one = calendars.get(queue.pop())
        if one is not None and one.calendar not in found:
            found[one.calendar] = one
            if len(found) > MOST_INCLUDED:
                told = N_("A calendar includes at most {most} others, one through another.")
                raise BusinessTimeError(told, most=MOST_INCLUDED - 1)
            queue.extend(one.include)
    return list(found.values())


def week_of(hours: Mapping[str, tuple[str, ...]]) -> tuple[Hours, ...]:
    """Return the hours of Monday to Sunday; raises BusinessTimeError."""
    week: dict[str, Hours] = {}
    for written, texts in hours.items():
        first, _, last = written.partition("-")
        if not {first, last or first} <= set(WEEKDAYS):
            told = N_("“{value}” is not a weekday: write mon, or mon-fri for several.")
            raise BusinessTimeError(told, value=written[:40])
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        if begin > end:
            told = N_("The weekdays {value} are not in order; a week begins with mon.")
            raise BusinessTimeError(told, value=written)
        for day in WEEKDAYS[begin : end + 1]:
            if day in week:
                raise BusinessTimeError(N_("The hours of {day} are written twice."), day=day)
            week[day] = parse_hours(texts)
    return tuple(week.get(day, ()) for day in WEEKDAYS)


def usable(calendars: Calendars) -> frozenset[str]:
    """Return the names of the calendars that have hours, which clocks can run by."""
    return frozenset(name for name, one in calendars.items() if one.hours)


def chosen_calendar(names: Iterable[str], calendars: Calendars) -> str:
    """Return the first of some names that has hours, else the default's; empty without one."""
    can = usable(calendars)
    default = next((name for name, one in calendars.items() if one.default), "")
    return next((name for name in (*names, default) if name in can), "")


def zone_of(name: str, calendars: Calendars) -> str:
    """Return the time zone that a calendar says itself; empty for none."""
    return calendars[name].time_zone if name in calendars else ""


def calendar_of(name: str, calendars: Calendars, zone: str) -> Calendar:
    """Return a calendar of a release, with its hours read in `zone`; without a name always open.

    Raises:
        BusinessTimeError: it cannot be, which the checks of a release refuse.
        KeyError: there is none of that name.
    """
    if not name:
        return always_open(zone)
    days = days_of(name, calendars)
    week = week_of(calendars[name].hours)
    return Calendar(zone, week, frozenset(days.holidays), days.likes)


def always_open(zone: str) -> Calendar:
    """Return the calendar of who works around the clock."""
    return Calendar(zone, (((0, 24 * 60),),) * len(WEEKDAYS))
