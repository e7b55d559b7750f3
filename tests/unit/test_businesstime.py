"""Durations and business calendars, against a clock that looks at every minute."""

import json
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.businesstime import (
    MOST,
    MOST_DAYS,
    BusinessTimeError,
    Calendar,
    Duration,
    parse_duration,
    parse_hours,
)
from core.testing import campaigns

SHANGHAI = ZoneInfo("Asia/Shanghai")
OFFICE = ("09:30-12:00", "13:30-19:00")
MINUTE = timedelta(minutes=1)
#: Each zone with a day near which its clocks change, forwards and backwards.
CHANGING = [
    ("Europe/London", date(2026, 3, 29)), ("Europe/London", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)), ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)), ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/St_Johns", date(2006, 10, 29)), ("Asia/Shanghai", date(2026, 1, 1)),
]  # fmt: skip


def national_plan(year):
    """Return the holidays and the make-up workdays of a year."""
    plan = json.loads(
        (Path(__file__).parents[1] / f"data/cn_holidays_{year}.json").read_text("utf-8")
    )
    days = [(date.fromisoformat(one["date"]), one["isOffDay"]) for one in plan["days"]]
    return frozenset(day for day, off in days if off), {day: None for day, off in days if not off}


def weekdays(zone="Asia/Shanghai", hours=OFFICE, **days):
    """Return a calendar of Monday to Friday."""
    return Calendar(zone, (parse_hours(hours),) * 5 + ((),) * 2, **days)


@pytest.fixture(scope="module")
def retail():
    holidays, workdays = national_plan(2025)
    return weekdays(holidays=holidays, workdays=workdays)


def local(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("start", "duration", "due"),
    [
        ("2025-09-30 18:00", "24bh", "2025-10-11 18:00"),
        ("2025-09-30 12:30", "24bh", "2025-10-11 12:00"),
        ("2025-09-27 10:00", "8bh", "2025-09-28 19:00"),
        ("2025-09-30 18:00", "3bd", "2025-10-11 18:00"),
        ("2025-09-30 12:30", "1bd", "2025-10-09 12:00"),
        ("2025-10-03 10:00", "1bd", "2025-10-09 19:00"),
        ("2025-09-26 19:00", "2bd", "2025-09-29 19:00"),
        ("2025-09-30 18:00", "2h", "2025-09-30 20:00"),
        ("2025-10-01 00:00", "30m", "2025-10-01 00:30"),
    ],
)  # fmt: skip
def test_clock_strikes_after_the_national_holidays(retail, start, duration, due):
    struck = retail.add(local(start), parse_duration(duration))
    assert struck == local(due)
    assert struck.tzinfo is UTC


def test_business_day_keeps_to_the_hours_of_the_day_it_ends_on():
    hours = (parse_hours(["09:30-19:00"]),) * 4 + (parse_hours(["10:00-12:00", "14:00-16:00"]),)
    calendar = Calendar("Asia/Shanghai", (*hours, (), ()))
    for start, due in [
        ("08 09:40", "08 19:00"),
        ("08 11:00", "09 11:00"),
        ("08 13:00", "09 12:00"),
        ("08 15:00", "09 15:00"),
        ("08 18:00", "09 16:00"),
    ]:
        struck = calendar.add(local(f"2026-01-{start}"), Duration(1, "bd"))
        assert struck == local(f"2026-01-{due}")


@pytest.mark.parametrize(
    "text",
    ["", "24", "bh", "1.5h", "-1h", "+1h", " 1h", "1h ", "1 h", "1d", "1H", "0bh", "10001bh",
     "1000000bh", "9" * 400 + "m", "１h", "1h30m", "1bh\n", "∞h"],
)  # fmt: skip
def test_duration_that_is_none_is_refused(text):
    with pytest.raises(BusinessTimeError):
        parse_duration(text)


@given(st.integers(1, MOST), st.sampled_from(["m", "h", "bh", "bd"]))
def test_duration_is_read_as_it_is_written(amount, unit):
    assert str(parse_duration(f"{amount}{unit}")) == f"{amount}{unit}"
    assert parse_duration(f"{amount}{unit}").business is (unit in {"bh", "bd"})


@pytest.mark.parametrize(
    "hours",
    [["9:30-12:00"], ["09:30–12:00"], ["09:60-12:00"], ["09:00-24:01"], ["12:00-12:00"],
     ["22:00-06:00"], ["09:00-12:00", "11:59-13:00"], ["13:00-14:00", "09:00-10:00"], ["x" * 999]],
)  # fmt: skip
def test_hours_that_cannot_be_are_refused(hours):
    with pytest.raises(BusinessTimeError):
        parse_hours(hours)


def test_calendar_that_cannot_be_is_refused():
    monday = (parse_hours(["09:00-17:00"]), *[()] * 6)
    first = date(2026, 1, 1)
    many = frozenset(first + timedelta(days=number) for number in range(MOST_DAYS + 1))
    for made in (
        {"hours": ((),) * 7},
        {"hours": (parse_hours(["09:00-09:59"]), *[()] * 6)},
        {"hours": monday[:6]},
        {"zone": "Mars/Olympus"},
        {"zone": "../etc/passwd"},
        {"zone": ""},
        {"holidays": {first}, "workdays": {first: None}},
        {"workdays": {first: 1}},
        {"holidays": many},
    ):
        with pytest.raises(BusinessTimeError):
            Calendar(**{"zone": "Asia/Shanghai", "hours": monday} | made)


def test_version_changes_with_the_calendar_alone():
    one, same = weekdays(), weekdays()
    assert one.version == same.version
    others = [
        weekdays("Europe/London"),
        weekdays(hours=["09:30-12:00"]),
        weekdays(holidays={date(2026, 1, 1)}),
        weekdays(workdays={date(2026, 1, 4): None}),
        weekdays(workdays={date(2026, 1, 4): 0}),
    ]
    assert len({one.version, *(other.version for other in others)}) == 6


def test_make_up_workday_follows_the_weekday_it_names():
    hours = (parse_hours(["09:00-17:00"]),) * 4 + (parse_hours(["09:00-12:00"]), (), ())
    days = {date(2026, 1, 3): None, date(2026, 1, 4): 4}
    calendar = Calendar("Asia/Shanghai", hours, workdays=days)
    assert calendar.hours_on(date(2026, 1, 3)) == hours[0]
    assert calendar.hours_on(date(2026, 1, 4)) == hours[4]


# ---- against a reference that looks at every minute --------------------------------------

_HOURS = st.lists(st.integers(0, 48), min_size=0, max_size=4, unique=True).map(
    lambda edges: tuple(
        (begin * 30, end * 30)
        for begin, end in zip(sorted(edges)[::2], sorted(edges)[1::2], strict=False)
    )
)


@st.composite
def calendars(draw):
    """Return a calendar of any hours, with free and make-up days near a change of clocks."""
    zone, change = draw(st.sampled_from(CHANGING))
    hours = tuple(draw(st.lists(_HOURS, min_size=7, max_size=7)))
    if sum(end - begin for day in hours for begin, end in day) < 60:
        hours = (((0, 1440),), *hours[1:])
    near = st.integers(-4, 8).map(lambda days: change + timedelta(days=days))
    holidays = draw(st.frozensets(near, max_size=4))
    workdays = {day: None for day in draw(st.frozensets(near, max_size=3)) if day not in holidays}
    return Calendar(zone, hours, holidays, workdays), change


def instants(change):
    """Return whole minutes from three days before a day to three after it."""
    begin = datetime(change.year, change.month, change.day, tzinfo=UTC) - timedelta(days=3)
    return st.integers(0, 6 * 1440).map(lambda minutes: begin + minutes * MINUTE)


def slowly_open(calendar, at):
    """Return whether the clock on the wall shows a time of the day's hours."""
    wall = at.astimezone(ZoneInfo(calendar.zone))
    minute = wall.hour * 60 + wall.minute
    day, week = wall.date(), calendar.hours
    hours = week[day.weekday()]
    if day in calendar.workdays:
        hours = next(one for one in week if one)
    elif day in calendar.holidays:
        hours = ()
    return any(begin <= minute < end for begin, end in hours)


@settings(max_examples=campaigns.examples(60))
@given(st.data())
def test_open_hours_are_those_counted_minute_by_minute(data):
    calendar, change = data.draw(calendars())
    start, end = sorted((data.draw(instants(change)), data.draw(instants(change))))
    counted, at = 0, start
    while at < end:
        counted += slowly_open(calendar, at)
        at += MINUTE
    assert calendar.open_seconds(start, end) == counted * 60
    assert calendar.open_seconds(end, start) == -counted * 60
    assert calendar.is_open(end) is slowly_open(calendar, end)


@settings(max_examples=campaigns.examples(40))
@given(st.data())
def test_business_hours_end_in_the_minute_that_a_slow_clock_reaches(data):
    calendar, change = data.draw(calendars())
    start, hours = data.draw(instants(change)), data.draw(st.integers(1, 12))
    left, at = hours * 60, start
    while left and at < start + timedelta(days=8):
        left -= slowly_open(calendar, at)
        at += MINUTE
    assume(left == 0)
    assert calendar.add(start, Duration(hours, "bh")) == at
    while not slowly_open(calendar, at):
        at += MINUTE
        assume(at < start + timedelta(days=9))
    assert calendar.next_open(calendar.add(start, Duration(hours, "bh"))) == at


@settings(max_examples=campaigns.examples(100))
@given(st.data())
def test_added_business_hours_are_the_open_seconds_between(data):
    calendar, change = data.draw(calendars())
    start, hours = data.draw(instants(change)), data.draw(st.integers(1, 3000))
    due = calendar.add(start, Duration(hours, "bh"))
    assert calendar.open_seconds(start, due) == hours * 3600
    assert calendar.is_open(due - timedelta(seconds=1))
    since = calendar.after(due, -hours * 3600, business=True)
    assert since >= start
    assert calendar.open_seconds(since, due) == hours * 3600


@settings(max_examples=campaigns.examples(150))
@given(st.data())
def test_pausing_anywhere_for_no_time_changes_nothing(data):
    calendar, change = data.draw(calendars())
    unit, amount = (
        data.draw(st.sampled_from(["m", "h", "bh", "bd"])),
        data.draw(st.integers(1, 40)),
    )
    start = data.draw(instants(change)) + timedelta(microseconds=data.draw(st.integers(0, 10**8)))
    due = calendar.add(start, Duration(amount, unit))
    length = Duration(amount, unit)
    left = calendar.elapsed(start, due, business=length.business)
    running = start
    for share in sorted(data.draw(st.lists(st.floats(0, 1), min_size=1, max_size=3))):
        pause = max(running, start + (due - start) * share)
        left -= calendar.elapsed(running, pause, business=length.business)
        running = pause
    assert calendar.after(running, left, business=length.business) == due


@settings(max_examples=campaigns.examples(60))
@given(st.data())
def test_business_time_that_passes_while_paused_is_given_back(data):
    calendar, change = data.draw(calendars())
    start, length = data.draw(instants(change)), Duration(data.draw(st.integers(1, 40)), "bh")
    pause, resume = sorted((data.draw(instants(change)), data.draw(instants(change))))
    assume(start <= pause <= calendar.add(start, length))
    left = length.amount * 3600 - calendar.open_seconds(start, pause)
    due = calendar.after(resume, left, business=True)
    ran = calendar.open_seconds(start, pause) + calendar.open_seconds(resume, due)
    assert ran == length.amount * 3600


@settings(max_examples=campaigns.examples(60))
@given(st.data())
def test_business_days_are_the_working_days_counted_on_the_wall(data):
    calendar, change = data.draw(calendars())
    start, amount = data.draw(instants(change)), data.draw(st.integers(1, 6))
    zone = ZoneInfo(calendar.zone)
    day = calendar.next_open(start).astimezone(zone).date()
    for _ in range(amount):
        day += timedelta(days=1)
        while not calendar.hours_on(day):
            day += timedelta(days=1)
    due = calendar.add(start, Duration(amount, "bd"))
    ended = (due - timedelta(seconds=1)).astimezone(zone).date()
    # What would end at an opening ends at the closing before it.
    assert ended == day or calendar.next_open(due).astimezone(zone).date() == day
    assert calendar.is_open(due - timedelta(seconds=1))


def test_twenty_four_business_hours_take_microseconds(retail):
    start, duration = local("2025-09-30 18:00"), Duration(24, "bh")
    retail.add(start, duration)
    best = min(_seconds(lambda: retail.add(start, duration), 1000) for _ in range(5)) / 1000
    assert best < 30e-6
    narrow = Calendar("Europe/London", (parse_hours(["09:00-10:00"]), *[()] * 6))
    assert _seconds(lambda: narrow.add(start, Duration(MOST, "bh")), 1) < 2
    assert _seconds(lambda: narrow.add(start, Duration(MOST, "bd")), 1) < 2


def _seconds(act, times):
    begun = time.process_time()
    for _ in range(times):
        act()
    return time.process_time() - begun


def test_naive_instants_are_refused(retail):
    with pytest.raises(TypeError):
        retail.add(datetime(2025, 9, 30, 18), Duration(1, "bh"))  # noqa: DTZ001  naive on purpose
