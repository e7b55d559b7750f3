"""A calendar: records on the days of a month or a week, in the store day's zone."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from core.context import Context
from core.errors import UserError
from core.i18n import N_, translate
from core.policies.access import Access
from core.records.colours import record_colours
from core.records.filtertexts import days_filter, joined
from core.records.queries import MOST, list_wire
from core.schema.viewchecks import kind_of
from core.web.display import colour_tone, value_text
from core.web.listing import field_for
from core.web.look import Look, require_sound, shown_somewhere
from core.web.page import problem_body
from core.web.reading import label_of, make_reading

#: Records of one month or week that are shown, and of one day of a month.
_MOST = 1_000
_A_DAY = 4

_WEEK = 7
#: Monday first.
WEEKDAY_TEXTS = (
    N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"),
)  # fmt: skip


@dataclass(slots=True)
class Entry:
    """One record on its day."""

    id: str
    title: str
    at: str
    note: str
    tone: str = ""


@dataclass(slots=True)
class Day:
    """One day of the calendar; `more` are entries that only the week shows."""

    day: date
    is_today: bool
    is_aside: bool
    entries: list[Entry]
    more: int
    link: str


@dataclass(slots=True)
class Calendar:
    """Everything the calendar's template draws."""

    title: str = ""
    span: str = "month"
    weekdays: list[str] = dataclass_field(default_factory=list)
    weeks: list[list[Day]] = dataclass_field(default_factory=list)
    before: str = ""
    after: str = ""
    today: str = ""
    label: str = ""
    is_cut: bool = False
    problem: dict[str, Any] | None = None
    caret: str = ""


def calendar_page(ctx: Context, rights: Access, shown: Look) -> Calendar:
    """Return the month or week that is looked at; what is wrong is told in the page."""
    record_type, view, wanted = rights.record_type, shown.view, shown.asked
    anchor = _anchor(ctx, wanted.date)
    is_week = wanted.span == "week"
    days = _days(anchor, is_week=is_week)
    made = Calendar(
        title=_title(ctx, anchor, days, is_week=is_week),
        span="week" if is_week else "month",
        weekdays=[translate(name, ctx.locale) for name in WEEKDAY_TEXTS],
        before=wanted.link(date=_moved(anchor, -1, is_week=is_week).isoformat()),
        after=wanted.link(date=_moved(anchor, 1, is_week=is_week).isoformat()),
        today=wanted.link(date=""),
        label=label_of(record_type, view.date_field, ctx.locale),
    )
    try:
        require_sound(record_type, view)
        entries, made.is_cut = _entries(ctx, rights, shown, (days[0], days[-1]))
    except UserError as error:
        made.problem = problem_body(error)
        return made
    most = _MOST if is_week else _A_DAY
    drawn = [
        Day(
            day,
            is_today=day == ctx.today,
            is_aside=not is_week and day.month != anchor.month,
            entries=entries[day][:most],
            more=max(0, len(entries[day]) - most),
            link=wanted.link(date=day.isoformat(), span="week"),
        )
        for day in days
    ]
    made.weeks = [drawn[start : start + _WEEK] for start in range(0, len(drawn), _WEEK)]
    return made


def _anchor(ctx: Context, text: str) -> date:
    """Return the day the address names, today without one; the calendar's ends stay inside."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return ctx.today
    return min(max(found, date(2, 1, 1)), date(9998, 12, 1))


def _days(anchor: date, *, is_week: bool) -> list[date]:
    first = anchor if is_week else anchor.replace(day=1)
    start = first - timedelta(days=first.weekday())
    count = _WEEK
    if not is_week:
        after = _moved(anchor, 1, is_week=False)
        count = -(-(after - start).days // _WEEK) * _WEEK
    return [start + timedelta(days=number) for number in range(count)]


def _moved(anchor: date, step: int, *, is_week: bool) -> date:
    """Return the anchor of the week or month before or after."""
    if is_week:
        return anchor + timedelta(days=_WEEK * step)
    months = anchor.year * 12 + anchor.month - 1 + step
    return date(months // 12, months % 12 + 1, 1)


def _title(ctx: Context, anchor: date, days: list[date], *, is_week: bool) -> str:
    if is_week:
        return f"{days[0].isoformat()} – {days[-1].isoformat()}"
    text = N_("{year}-{month}")
    return translate(text, ctx.locale, year=anchor.year, month=f"{anchor.month:02}")


def _entries(
    ctx: Context, rights: Access, shown: Look, span: tuple[date, date]
) -> tuple[dict[date, list[Entry]], bool]:
    """Return the records of the days of a span by day, and whether there are more."""
    record_type, view = rights.record_type, shown.view
    name = view.date_field
    is_instant = kind_of(record_type, name) == "datetime"
    visible = shown_somewhere(rights)
    names = [each for each in view.columns if each in visible]
    query = shown.query(dict.fromkeys((*names, name)), limit=MOST)
    where = days_filter(name, *span, ctx.time_zone if is_instant else None)
    query = replace(query, filter=joined(query.filter, where), sort=(name,))
    items: list[dict[str, Any]] = []
    while True:
        found = list_wire(ctx, record_type.name, query)
        items += found.items
        if found.next is None or len(items) >= _MOST:
            break
        query = replace(query, after=found.next)
    fields = [one for each in names if each != name and (one := field_for(record_type, each))]
    reading = make_reading(ctx, fields, items)
    ids = [record["id"] for record in items]
    colours = record_colours(ctx, record_type.name, ids, view.color_when)
    by_day: dict[date, list[Entry]] = defaultdict(list)
    for record in items:
        texts = [
            value_text(one, record[one.name], reading)
            for one in fields
            if record.get(one.name) is not None
        ]
        day, at = _place(record[name], ctx.time_zone if is_instant else None)
        tone = colour_tone(colours.get(record["id"], ""))
        by_day[day].append(_entry(record["id"], texts, at, tone))
    return by_day, found.next is not None


def _entry(record_id: str, texts: Iterable[str], at: str, tone: str) -> Entry:
    title, *notes = [text for text in texts if text] or ["—"]
    return Entry(record_id, title, at, " · ".join(notes), tone)


def _place(value: str, zone: tzinfo | None) -> tuple[date, str]:
    """Return the day of a value in wire form, and its time of day."""
    if zone is None:
        return date.fromisoformat(value), ""
    local = datetime.fromisoformat(value).astimezone(zone)
    return local.date(), local.strftime("%H:%M")
