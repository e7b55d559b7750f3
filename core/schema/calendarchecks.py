"""Checks the business calendars of a release, and that what names one names a real one."""

from collections.abc import Callable, Iterator, Sized
from datetime import date
from functools import partial
from typing import TypeVar

from core.businesstime import BusinessTimeError
from core.i18n import N_
from core.schema.calendars import (
    MOST_INCLUDED,
    BusinessCalendar,
    always_open,
    calendar_of,
    days_of,
    days_of_holiday,
    read_day,
    usable,
    week_of,
)
from core.schema.draft import Draft
from core.schema.names import TYPE_NAME
from core.schema.yamlnodes import Node

_T = TypeVar("_T")

MAX_NAME = 40
MAX_ENTRIES = 500
_UTC = "UTC"
_NO_HOURS = N_("A calendar without hours is a set of days; no clock can run by it.")


def check_calendars(draft: Draft) -> None:
    """Note every problem of every calendar, and flows that name none that has hours."""
    for name, one in draft.calendars.items():
        node = draft.nodes[f"calendar {name}"]
        if not TYPE_NAME.fullmatch(name) or len(name) > MAX_NAME:
            text = N_("A name is of small letters, digits and single _; not {name}.")
            draft.add(node.at("calendar"), "bad_name", text, name=name[:80])
        before = len(draft.problems)
        _check_parts(draft, one, node)
        _check_includes(draft, one, node)
        # What is wrong as a whole is told when each part is right.
        if len(draft.problems) == before:
            tried = partial(calendar_of, zone=_UTC) if one.hours else days_of
            _tried(draft, node, partial(tried, name, draft.calendars))
        if not one.hours and one.default:
            draft.add(node.at("default"), "no_hours", _NO_HOURS)
    _check_default(draft)
    for name, flow in draft.flows.items():
        if flow.calendar:
            _check_named(draft, draft.nodes[f"flow {name}"].at("calendar"), flow.calendar)


def _check_named(draft: Draft, place: Node, name: str) -> None:
    """Check the calendar that something else runs by."""
    if name not in draft.calendars:
        draft.add_unknown(place, "calendar", name, usable(draft.calendars))
    elif name not in usable(draft.calendars):
        draft.add(place, "no_hours", _NO_HOURS)


def _tried(draft: Draft, place: Node, act: Callable[[], _T]) -> _T | None:
    """Return what reading a part gives; None after noting what is wrong with it."""
    try:
        return act()
    except BusinessTimeError as error:
        draft.add(place, "bad_calendar", error.text, **error.params)
        return None


def _check_parts(draft: Draft, one: BusinessCalendar, node: Node) -> None:
    if one.time_zone:
        _tried(draft, node.at("time_zone"), partial(always_open, one.time_zone))
    for written, texts in one.hours.items():
        _tried(draft, node.at("hours", written), partial(week_of, {written: texts}))
    entries: Sized
    for key, entries in (
        ("holidays", one.holidays),
        ("workdays", one.workdays),
        ("include", one.include),
    ):
        if len(entries) > MAX_ENTRIES:
            text = N_("At most {limit} entries.")
            draft.add(node.at(key), "too_many", text, limit=MAX_ENTRIES)
    seen: set[date] = set()
    for place, days in _days(draft, one, node):
        twice = sorted(seen.intersection(days))
        if twice:
            text = N_("{day} stands twice among holidays and make-up workdays.")
            draft.add(place, "duplicate", text, day=twice[0].isoformat())
        seen.update(days)


def _days(draft: Draft, one: BusinessCalendar, node: Node) -> Iterator[tuple[Node, list[date]]]:
    """Yield each entry's place with its days; problems are noted."""
    for at, holiday in enumerate(one.holidays):
        place = node.at("holidays", at)
        yield place, _tried(draft, place, partial(days_of_holiday, holiday)) or []
    for at, worked in enumerate(one.workdays):
        place = node.at("workdays", at, "day")
        day = _tried(draft, place, partial(read_day, worked.day))
        yield place, [] if day is None else [day]


def _check_includes(draft: Draft, one: BusinessCalendar, node: Node) -> None:
    for at, name in enumerate(one.include):
        place = node.at("include", at)
        if name not in draft.calendars:
            draft.add_unknown(place, "calendar", name, draft.calendars)
        elif one.calendar in _reached(draft, name):
            text = N_("{name} includes this calendar itself.")
            draft.add(place, "circle", text, name=name)


def _reached(draft: Draft, name: str) -> set[str]:
    """Return a calendar with everything that it includes, directly or not."""
    reached: set[str] = set()
    queue = [name]
    while queue and len(reached) <= MOST_INCLUDED:
        known = draft.calendars.get(queue.pop())
        if known is not None and known.calendar not in reached:
            reached.add(known.calendar)
            queue.extend(known.include)
    return reached


def _check_default(draft: Draft) -> None:
    defaults = [name for name, one in draft.calendars.items() if one.default]
    for name in defaults[1:]:
        place = draft.nodes[f"calendar {name}"].at("default")
        text = N_("The default calendar is {name} already.")
        draft.add(place, "second_default", text, name=defaults[0])
