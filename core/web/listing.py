"""The rows of a list as the template draws them: cells, groups with their totals, colours."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date, datetime
from typing import Any

from markupsafe import Markup

from core.context import Context
from core.errors import UserError
from core.i18n import N_, translate
from core.policies.access import Access
from core.records.colours import record_colours
from core.records.grouping import Group, Groups, group_records
from core.records.queries import CAP, Query, list_wire
from core.schema.buckets import bucket_text
from core.schema.model import Field, RecordType, View
from core.schema.peopletypes import SINGLE_LINKS
from core.schema.viewchecks import is_stored, kind_of, split_group
from core.web.display import NUMBERS, Reading, colour_tone, is_badge, option_tone, value_text
from core.web.forms import COMPUTED
from core.web.look import NO_COLUMN, Look, require_sound, shown_somewhere
from core.web.page import problem_body
from core.web.reading import SYSTEM_FIELDS, label_of, make_reading

PAGE_SIZE = 50

#: What every cell of a column says of itself; worked out once a page, not once a cell.
_CELL = Markup(' data-label="{}"')
_EDITED = Markup(' data-field="{}"')
_NUMBER = Markup(' class="gx-number"')

#: How a total is called; a sum goes without saying.
TOTALS = {"avg": N_("Average"), "min": N_("Least"), "max": N_("Greatest")}


@dataclass(slots=True)
class Column:
    """One column: its heading and how it is sorted now."""

    name: str
    label: str
    is_number: bool
    is_sortable: bool
    field: Field | None
    attributes: Markup
    has_badges: bool
    sorted: str = "none"
    sort_link: str = ""


@dataclass(slots=True)
class Cell:
    """One value of the list."""

    column: Column
    text: str
    tone: str | None = None
    href: str = ""


@dataclass(slots=True)
class GroupHead:
    """The heading of a group; `count` is empty where there are too many groups to tell."""

    label: str
    count: str
    totals: list[tuple[str, str]]


@dataclass(slots=True)
class Row:
    """One record, with the heading of the group that begins at it."""

    id: str
    version: int
    cells: list[Cell]
    tone: str = ""
    head: GroupHead | None = None


@dataclass(slots=True)
class ListPage:
    """Everything the list template draws."""

    columns: list[Column]
    rows: list[Row] = dataclass_field(default_factory=list)
    next: str | None = None
    count: int | None = None
    is_capped: bool = False
    totals: list[tuple[str, str]] = dataclass_field(default_factory=list)
    problem: dict[str, Any] | None = None
    caret: str = ""


def list_page(
    ctx: Context, rights: Access, shown: Look, *, limit: int = PAGE_SIZE, may_edit: bool = True
) -> ListPage:
    """Return one page of what is looked at; a question that is wrong is told in the page.

    Cells say that they can be changed only with `may_edit`.
    """
    record_type, view, wanted = rights.record_type, shown.view, shown.asked
    visible = shown_somewhere(rights)
    names = [name for name in view.columns if name in visible]
    listed = ListPage([_column(ctx, rights, name, shown, may_edit) for name in names])
    group = split_group(view.group_by)[0]
    wire_names = dict.fromkeys((*names, *((group,) if group else ())))
    query = shown.query(wire_names, limit=limit, after=wanted.after, count="capped")
    try:
        require_sound(record_type, view)
        found = list_wire(ctx, record_type.name, query)
        told = _groups(ctx, record_type, view, query) if group or view.totals else None
        ids = [record["id"] for record in found.items]
        colours = record_colours(ctx, record_type.name, ids, view.color_when)
    except UserError as error:
        listed.problem = problem_body(error)
        listed.caret = _caret(wanted.filter, listed.problem, len(query.filter))
        return listed
    drawer = _Drawer(ctx, record_type, view, listed.columns, found.items)
    listed.rows = list(drawer.rows(found.items, told, colours))
    listed.next, listed.count = found.next, found.count
    if told is not None:
        listed.count, listed.totals = told.whole.count, drawer.totals(told.whole)
    elif found.count is not None and found.count > CAP:
        listed.count, listed.is_capped = CAP, True
    return listed


def _groups(ctx: Context, record_type: RecordType, view: View, query: Query) -> Groups:
    return group_records(ctx, record_type.name, query, view.group_by, view.totals)


def field_for(record_type: RecordType, name: str) -> Field | None:
    """Return a field or system field."""
    return record_type.field(name) or SYSTEM_FIELDS.get(name)


def _column(ctx: Context, rights: Access, name: str, shown: Look, may_edit: bool = True) -> Column:
    record_type = rights.record_type
    field = field_for(record_type, name)
    kind = (field.result or field.type) if field else "text"
    is_sortable = name in rights.certain and _is_sortable(field)
    label = label_of(record_type, name, ctx.locale)
    attributes = _CELL.format(label)
    if may_edit and may_edit_cells(rights, field):
        attributes += _EDITED.format(name)
    column = Column(
        name,
        label,
        kind in NUMBERS,
        is_sortable,
        field,
        attributes=attributes + _NUMBER if kind in NUMBERS else attributes,
        has_badges=field is not None and field.type == "select" and is_badge(field),
    )
    first = next(iter(shown.view.sort), "")
    if first.lstrip("-") == name:
        column.sorted = "descending" if first.startswith("-") else "ascending"
    down = f"-{name}" if column.sorted == "ascending" else name
    column.sort_link = shown.asked.link(sort=down)
    return column


def may_edit_cells(rights: Access, field: Field | None) -> bool:
    """Return whether cells of a field can be changed in some rows at all."""
    return (
        field is not None
        and rights.record_type.field(field.name) is not None
        and field.type not in COMPUTED
        and field.type not in {"table", "secret"}
        and not (rights.record_type.document and field.name == "status")
        and field.name in (rights.editable("edit") or frozenset())
    )


def _is_sortable(field: Field | None) -> bool:
    return field is None or (is_stored(field) and field.type not in NO_COLUMN)


class _Drawer:
    """Draws the rows of one page."""

    def __init__(
        self,
        ctx: Context,
        record_type: RecordType,
        view: View,
        columns: list[Column],
        items: list[dict[str, Any]],
    ) -> None:
        self._ctx, self._type, self._view, self._columns = ctx, record_type, view, columns
        self._name, self._bucket = split_group(view.group_by)
        self._field = field_for(record_type, self._name) if self._name else None
        fields = [column.field for column in columns if column.field]
        if self._field is not None:
            fields.append(self._field)
        self._reading = make_reading(ctx, fields, items)

    def rows(
        self, items: Iterable[dict[str, Any]], told: Groups | None, colours: Mapping[str, str]
    ) -> Iterator[Row]:
        """Yield the rows; the first of each group carries its heading."""
        by_value = {group.value: group for group in told.items} if told else {}
        last: Any = self  # no value of a record
        for record in items:
            cells = [draw_cell(one, record.get(one.name), self._reading) for one in self._columns]
            row = Row(record["id"], record["version"], cells)
            row.tone = colour_tone(colours.get(row.id, ""))
            if self._name:
                value = self.group_value(record.get(self._name))
                if value != last:
                    row.head = self._head(value, by_value.get(value))
                last = value
            yield row

    def group_value(self, value: Any) -> Any:
        """Return what a record's value is grouped by, as `group_records` tells it."""
        if not self._bucket or value is None:
            return value
        if kind_of(self._type, self._name) == "datetime":
            value = datetime.fromisoformat(value).astimezone(self._ctx.time_zone).isoformat()
        return bucket_text(date.fromisoformat(value[:10]), self._bucket)

    def _head(self, value: Any, group: Group | None) -> GroupHead:
        if value is None:
            label = translate(N_("Without a value"), self._ctx.locale)
        elif self._bucket or self._field is None:
            label = str(value)
        else:
            label = value_text(self._field, value, self._reading) or str(value)
        count = "" if group is None else str(group.count)
        return GroupHead(label, count, [] if group is None else self.totals(group))

    def totals(self, group: Group) -> list[tuple[str, str]]:
        """Return a group's totals: what each is called, and its value as people read it."""
        found = []
        for name, value in group.totals.items():
            field = field_for(self._type, name)
            label = label_of(self._type, name, self._ctx.locale)
            if self._view.totals[name] != "sum":
                how = translate(TOTALS[self._view.totals[name]], self._ctx.locale)
                label = f"{label} ({how})"
            text = (
                "" if value is None or field is None else value_text(field, value, self._reading)
            )
            found.append((label, text or "—"))
        return found


def draw_cell(column: Column, value: Any, reading: Reading) -> Cell:
    """Return one value as the list shows it."""
    field = column.field
    if field is None:
        return Cell(column, "" if value is None else str(value))
    text = value_text(field, value, reading)
    if value and column.has_badges:
        return Cell(column, text, option_tone(field, value))
    if value and field.type in SINGLE_LINKS and (field.target, value) in reading.titles:
        return Cell(column, text, href=f"/records/{field.target}/{value}")
    return Cell(column, text)


_POSITION = re.compile(r"\d+")


def _caret(text: str, body: dict[str, Any], whole: int) -> str:
    """Return the typed filter with a mark below the place where it goes wrong."""
    for problem in body["problems"]:
        column = problem["params"].get("column")
        if isinstance(column, int) and text:
            # The view's own filter stands before the typed one.
            place = column - 1 if whole == len(text) else column - 1 - (whole - len(text) - 1)
            place = max(0, min(place, len(text)))
            spaces = "".join("　" if ord(char) > 0x2E80 else " " for char in text[:place])  # noqa: PLR2004  wide characters
            return f"{text}\n{spaces}^"
    return ""
