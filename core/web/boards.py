"""A board: the values of a select, yes/no or link field as columns, records as cards."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from typing import Any

from core.context import Context
from core.errors import UserError
from core.i18n import N_, pick, translate
from core.policies.access import Access
from core.records.colours import record_colours
from core.records.filtertexts import joined, value_filter
from core.records.grouping import Groups, group_records
from core.records.queries import Query, list_wire
from core.schema.model import Field
from core.web.display import Reading, colour_tone, option_tone, value_text
from core.web.listing import field_for, may_edit_cells
from core.web.look import Look, require_sound, shown_somewhere
from core.web.page import problem_body
from core.web.reading import label_of, make_reading
from core.web.titles import find_titles

#: Cards of one column at first, and columns of a board over a link.
CARDS = 30
MOST_COLUMNS = 24


@dataclass(slots=True)
class Card:
    """One record on the board."""

    id: str
    version: int
    title: str
    lines: list[tuple[str, str]]
    tone: str = ""


@dataclass(slots=True)
class BoardColumn:
    """One value and its cards; `value` is what a card that is moved here gets."""

    value: str
    label: str
    tone: str
    count: int
    totals: list[tuple[str, str]]
    cards: list[Card] = dataclass_field(default_factory=list)
    more: str = ""


@dataclass(slots=True)
class Board:
    """Everything the board's template draws."""

    field: Field | None = None
    label: str = ""
    may_move: bool = False
    columns: list[BoardColumn] = dataclass_field(default_factory=list)
    is_cut: bool = False
    problem: dict[str, Any] | None = None
    caret: str = ""


def board_page(ctx: Context, rights: Access, shown: Look) -> Board:
    """Return the board that is looked at; a question that is wrong is told in the page."""
    record_type, view = rights.record_type, shown.view
    field = field_for(record_type, view.group_by)
    board = Board(field, label_of(record_type, view.group_by, ctx.locale))
    board.may_move = may_edit_cells(rights, record_type.field(view.group_by))
    try:
        require_sound(record_type, view)
        told = group_records(ctx, record_type.name, shown.query(), view.group_by, view.totals)
        if field is not None:
            board.columns = _columns(ctx, rights, shown, field, told)
            board.is_cut = told.is_cut or len(told.items) > MOST_COLUMNS
    except UserError as error:
        board.problem = problem_body(error)
    return board


def _columns(
    ctx: Context, rights: Access, shown: Look, field: Field, told: Groups
) -> list[BoardColumn]:
    view = shown.view
    visible = shown_somewhere(rights)
    names = [name for name in view.columns if name in visible and name != field.name]
    groups = {group.value: group for group in told.items}
    found = []
    for value, label in _values(ctx, field, told):
        group = groups.get(value)
        column = BoardColumn(
            value="" if value is None else _posted(value),
            label=label,
            tone=option_tone(field, value) if field.options else "",
            count=group.count if group else 0,
            totals=_totals(ctx, rights, view.totals, group.totals if group else {}),
        )
        if group:
            where = value_filter(field.name, value)
            query = shown.query(names, limit=CARDS)
            query = replace(query, filter=joined(query.filter, where), sort=view.sort)
            column.cards = _cards(ctx, rights, shown, names, query)
            if group.count > len(column.cards):
                column.more = shown.asked.link(filter=joined(shown.asked.filter, where))
        found.append(column)
    return found


def _values(ctx: Context, field: Field, told: Groups) -> Iterable[tuple[Any, str]]:
    """Return the columns' values with their labels: every choice, else those that occur."""
    used = [group.value for group in told.items if group.value is not None]
    none = [(None, translate(N_("Without a value"), ctx.locale))]
    has_none = any(group.value is None for group in told.items)
    if field.options:
        known = [
            (one.value, pick(one.label, ctx.locale, one.value))
            for one in field.options
            if not one.archived or one.value in used
        ]
        gone = set(used) - {value for value, _ in known}
        return (
            *known,
            *((value, str(value)) for value in sorted(gone)),
            *(none if has_none else ()),
        )
    reading = make_reading(ctx, (field,), [{field.name: value} for value in used])
    if field.type == "boolean":
        used = [True, False]
    named = [(value, value_text(field, value, reading)) for value in used[:MOST_COLUMNS]]
    return (*sorted(named, key=lambda one: one[1]), *(none if has_none else ()))


def _posted(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _cards(
    ctx: Context, rights: Access, shown: Look, names: list[str], query: Query
) -> list[Card]:
    record_type = rights.record_type
    found = list_wire(ctx, record_type.name, query).items
    fields = [one for name in names if (one := field_for(record_type, name))]
    reading = make_reading(ctx, fields, found)
    ids = [record["id"] for record in found]
    colours = record_colours(ctx, record_type.name, ids, shown.view.color_when)
    return [
        Card(
            record["id"],
            record["version"],
            _text(fields, record, reading, 0) or "—",
            [
                (label_of(record_type, one.name, ctx.locale), text)
                for at, one in enumerate(fields[1:], start=1)
                if (text := _text(fields, record, reading, at))
            ],
            colour_tone(colours.get(record["id"], "")),
        )
        for record in found
    ]


def _text(fields: list[Field], record: dict[str, Any], reading: Reading, at: int) -> str:
    if at >= len(fields):
        return ""
    value = record.get(fields[at].name)
    return "" if value is None else value_text(fields[at], value, reading)


def _totals(
    ctx: Context, rights: Access, wanted: Any, told: dict[str, Any]
) -> list[tuple[str, str]]:
    reading = Reading(ctx.locale, ctx.time_zone, find_titles(ctx, ()))
    found = []
    for name in wanted:
        field, value = field_for(rights.record_type, name), told.get(name)
        if field is not None and value is not None:
            label = label_of(rights.record_type, name, ctx.locale)
            found.append((label, value_text(field, value, reading)))
    return found
