"""The page of business calendars: a year at a glance, and when a clock would strike."""

import calendar as months
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, islice
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel.dates import get_month_names
from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.businesstime import BusinessTimeError, Calendar, Hours, parse_duration
from core.context import Context
from core.errors import Forbidden, NotFound
from core.i18n import N_, pick, translate
from core.policies.access import access
from core.records.audience import is_configurator
from core.records.queries import Query, list_wire
from core.schema.calendars import BusinessCalendar, Days, calendar_of, days_of, usable
from core.schema.loader import load_documents
from core.schema.placerows import PLACE_TYPES
from core.schema.yamlnodes import Source
from core.tables.releases import load_sources
from core.web.administration import require_builder
from core.web.calendars import WEEKDAY_TEXTS
from core.web.look import shown_somewhere
from core.web.navigation import visible_types
from core.web.page import page, pages, went

#: Years that can be looked at, and in which a trial may begin.
_FIRST, _LAST = 2000, 2100
#: Days that a trial tells one by one.
_TOLD = 40

#: What kind of day it is -> how that is said.
KIND_TEXTS = {
    "open": N_("Working day"),
    "free": N_("Free"),
    "holiday": N_("Holiday"),
    "workday": N_("Make-up workday"),
}
#: The same in a word that fits into a cell; only what differs from other weeks is marked.
_MARKS = {"holiday": N_("off"), "workday": N_("work")}


@dataclass(slots=True)
class Cell:
    """One day of a month; `text` says in words what its colour says."""

    day: date
    kind: str
    mark: str
    text: str
    is_today: bool


@dataclass(slots=True)
class Month:
    """One month: weeks of seven cells, None outside of it, and what its special days are."""

    name: str
    weeks: list[list[Cell | None]]
    notes: list[tuple[str, str, str]]


@dataclass(slots=True)
class Trial:
    """When a clock would strike, and how the open time before it is spread over days.

    Attributes:
        start: when it starts, as the form writes it.
        length: its duration.
        due: when it strikes, local; None where something is wrong.
        weekday: of `due`.
        days: day, its weekday and what is counted on it.
        is_longer: whether there are further days.
        problem: what is wrong.
    """

    start: str
    length: str
    due: datetime | None = None
    weekday: str = ""
    days: list[tuple[date, str, str]] = field(default_factory=list)
    is_longer: bool = False
    problem: str = ""


@pages.get("/calendars/")
@page
def show_calendars(ctx: Context) -> ResponseReturnValue:
    """Show a year of a business calendar, with a trial of a duration on it."""
    require_builder(ctx)
    known = ctx.registry.release.calendars
    if not known:
        return render_template("gx/businesscalendars.html", known={}, one=None)
    name = request.args.get("name") or next(
        (name for name, one in known.items() if one.default), next(iter(known))
    )
    one = known.get(name)
    if one is None:
        raise NotFound
    zone = one.time_zone or ctx.time_zone.key
    made = calendar_of(name, known, zone) if name in usable(known) else None
    year = _year(request.args.get("year", ""), ctx.clock.today(ZoneInfo(zone)).year)
    days = days_of(name, known)
    listed = [*days.holidays, *days.workdays]
    return render_template(
        "gx/businesscalendars.html",
        known={name: pick(each.label, ctx.locale, name) for name, each in known.items()},
        one=one,
        label=pick(one.label, ctx.locale, name),
        zone=zone,
        hours=_week(ctx, made),
        year=year,
        years=[each for each in (year - 1, year + 1) if _FIRST <= each <= _LAST],
        months=[_month(ctx, year, number, made, days) for number in range(1, 13)],
        weekdays=[translate(text, ctx.locale) for text in WEEKDAY_TEXTS],
        kinds={kind: translate(text, ctx.locale) for kind, text in KIND_TEXTS.items()},
        counts=_counts(made, year),
        is_unplanned=bool(listed) and not any(day.year == year for day in listed),
        trial=_trial(ctx, made) if made else None,
        flows=_flows(ctx, name),
        places=_places(ctx, name),
        includes=[(each, pick(known[each].label, ctx.locale, each)) for each in one.include],
        yaml=_yaml(ctx, one) if is_configurator(ctx) else "",
    )


@pages.post("/calendars/draft")
@page
def draft_calendar(ctx: Context) -> ResponseReturnValue:
    """Make a draft of a calendar in the site's layer and go on to what it would change."""
    if not is_configurator(ctx):
        raise Forbidden
    from core.migration.drafts import create_draft  # noqa: PLC0415  slow

    draft = create_draft(ctx, yaml=request.form.get("yaml", ""), layer="site")
    return went(f"/releases/drafts/{draft}")


def _year(text: str, present: int) -> int:
    """Return the year that the address names, the present one without a good one."""
    number = int(text) if text.isdecimal() and len(text) < 5 else 0  # noqa: PLR2004
    return number if _FIRST <= number <= _LAST else min(max(present, _FIRST), _LAST)


def hours_text(hours: Hours) -> str:
    """Return the hours of a day as people read them."""
    return ", ".join(f"{_clock(begin)}–{_clock(end)}" for begin, end in hours)


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _week(ctx: Context, made: Calendar | None) -> list[tuple[str, str]]:
    """Return the hours of the week, days with the same hours in one line."""
    lines = []
    texts = [translate(text, ctx.locale) for text in WEEKDAY_TEXTS]
    days = enumerate(made.hours) if made else ()
    for hours, group in groupby(days, key=lambda one: one[1]):
        numbers = [number for number, _ in group]
        first, last = texts[numbers[0]], texts[numbers[-1]]
        said = hours_text(hours) or translate(KIND_TEXTS["free"], ctx.locale)
        lines.append((first if len(numbers) == 1 else f"{first} – {last}", said))
    return lines


def _counts(made: Calendar | None, year: int) -> tuple[int, int] | None:
    """Return the working days and the open hours of a year."""
    if made is None:
        return None
    first = date(year, 1, 1)
    days = [made.hours_on(first + timedelta(days=at)) for at in range(365 + months.isleap(year))]
    minutes = sum(end - begin for hours in days for begin, end in hours)
    return sum(map(bool, days)), minutes // 60


def _month(ctx: Context, year: int, number: int, made: Calendar | None, days: Days) -> Month:
    today = ctx.clock.today(ZoneInfo(made.zone) if made else ctx.time_zone)
    weeks = [
        [_cell(ctx, date(year, number, day), made, days, today) if day else None for day in week]
        for week in months.monthcalendar(year, number)
    ]
    name = get_month_names("abbreviated", locale=ctx.locale)[number]
    return Month(name, weeks, list(_notes(ctx, weeks, days)))


def _cell(ctx: Context, day: date, made: Calendar | None, days: Days, today: date) -> Cell:
    hours = made.hours_on(day) if made else ()
    kind = "open" if hours else "free"
    label = {}
    for special, found in (("holiday", days.holidays), ("workday", days.workdays)):
        if day in found:
            kind, label = special, found[day]
    parts = (translate(KIND_TEXTS[kind], ctx.locale), pick(label, ctx.locale), hours_text(hours))
    text = " · ".join(part for part in parts if part)
    mark = translate(_MARKS[kind], ctx.locale) if kind in _MARKS else ""
    return Cell(day, kind, mark, text, day == today)


def _notes(
    ctx: Context, weeks: Iterable[Iterable[Cell | None]], days: Days
) -> Iterator[tuple[str, str, str]]:
    """Yield (days of the month, kind, name) of what is not as in other weeks, in order."""
    cells = [cell for week in weeks for cell in week if cell is not None]

    def said(cell: Cell) -> tuple[str, str]:
        found = days.holidays if cell.kind == "holiday" else days.workdays
        name = pick(found.get(cell.day), ctx.locale) if cell.mark else ""
        return cell.kind if cell.mark else "", name or translate(KIND_TEXTS[cell.kind], ctx.locale)

    for (kind, name), group in groupby(cells, key=said):
        run = list(group)
        if kind:
            first, last = run[0].day.day, run[-1].day.day
            yield (str(first) if first == last else f"{first}–{last}"), kind, name


def _trial(ctx: Context, made: Calendar) -> Trial:
    zone = ZoneInfo(made.zone)
    local = ctx.now.astimezone(zone)
    trial = Trial(
        request.args.get("start", f"{local:%Y-%m-%dT%H:%M}"), request.args.get("length", "24bh")
    )
    try:
        start = datetime.fromisoformat(trial.start).replace(tzinfo=zone)
    except ValueError:
        start = None
    if start is None or not _FIRST <= start.year <= _LAST:
        trial.problem = translate(N_("Say when the clock starts."), ctx.locale)
        return trial
    try:
        duration = parse_duration(trial.length.strip())
    except BusinessTimeError as error:
        trial.problem = translate(error.text, ctx.locale, **error.params)
        return trial
    begun = start.astimezone(UTC)
    due = made.add(begun, duration)
    trial.due = due.astimezone(zone)
    trial.weekday = translate(WEEKDAY_TEXTS[trial.due.weekday()], ctx.locale)
    if duration.business:
        counted = list(islice(_counted(made, zone, begun, due), _TOLD + 1))
        trial.days = [
            (day, translate(WEEKDAY_TEXTS[day.weekday()], ctx.locale), _length(ctx, seconds))
            for day, seconds in counted[:_TOLD]
        ]
        trial.is_longer = len(counted) > _TOLD
    return trial


def _counted(
    made: Calendar, zone: ZoneInfo, start: datetime, due: datetime
) -> Iterator[tuple[date, int]]:
    """Yield each local day between two instants that is open, with its open seconds."""
    day, last = start.astimezone(zone).date(), due.astimezone(zone).date()
    while day <= last:
        begin = datetime.combine(day, time(), zone).astimezone(UTC)
        end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        seconds = made.open_seconds(max(begin, start), min(end, due))
        if seconds > 0:
            yield day, seconds
        day += timedelta(days=1)


def _length(ctx: Context, seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return translate(N_("{minutes} min"), ctx.locale, minutes=minutes)
    text = N_("{hours} h {minutes} min") if minutes else N_("{hours} h")
    return translate(text, ctx.locale, hours=hours, minutes=minutes)


def _flows(ctx: Context, name: str) -> list[str]:
    """Return the titles of the flows that name a calendar."""
    flows = ctx.registry.release.flows.values()
    return [pick(one.title, ctx.locale, one.flow) for one in flows if one.calendar == name]


def _places(ctx: Context, name: str) -> list[tuple[str, str]]:
    """Return (label with number, address) of the stores and departments that name a calendar."""
    where, found = f"calendar == '{name}'", []
    for one in visible_types(ctx):
        if one.name not in PLACE_TYPES or one.field("calendar") is None:
            continue
        if "calendar" not in shown_somewhere(access(ctx, one.name)):
            continue
        count = list_wire(ctx, one.name, Query(filter=where, limit=1, count="exact")).count
        if count:
            label = pick(one.label_plural or one.label, ctx.locale, one.name)
            found.append((f"{label} {count}", f"{one.name}/?filter={quote(where)}"))
    return found


def _yaml(ctx: Context, one: BusinessCalendar) -> str:
    """Return what the site says of a calendar, or what it would begin with to change it."""
    with ctx.reading() as connection:
        stored = load_sources(connection, ctx.registry.release.number)
    for source in stored:
        if source["layer"] == "site" and "calendar:" in source["text"]:
            found, _ = load_documents([Source("site", source["path"], source["text"])])
            if any((each.kind, each.name) == ("calendar", one.calendar) for each in found):
                return source["text"]
    lines = [f"calendar: {one.calendar}"]
    if one.hours:
        week = [f"{days}: [{_quoted(hours)}]" for days, hours in one.hours.items()]
        lines.append(f"hours: {{{', '.join(week)}}}")
    day = f"day: {ctx.today.year}-12-31, label: {{zh: 盘点, en: Stocktaking}}"
    lines += [f"# holidays: [{{{day}}}]", f"# workdays: [{{{day}, like: mon}}]"]
    return "\n".join(lines) + "\n"


def _quoted(hours: Iterable[str]) -> str:
    return ", ".join(f'"{each}"' for each in hours)
