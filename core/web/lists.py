"""A record type's list: view, filter, search, sort, page; its export; the pickers' search."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from itertools import chain, islice
from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from core.context import Context
from core.errors import NotFound, UserError
from core.i18n import pick
from core.policies.access import Access, access
from core.records.exporting import export_csv
from core.records.queries import CAP, Query, list_wire
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType, View
from core.schema.peopletypes import SINGLE_LINKS
from core.web.display import NUMBERS, Reading, is_badge, option_tone, value_text
from core.web.navigation import type_icon, type_label
from core.web.page import page, pages, problem_body
from core.web.reading import SYSTEM_FIELDS, label_of, make_reading
from core.web.titles import OFFERED, title_name

PAGE_SIZE = 50

#: Columns of a list whose type declares no view.
_DEFAULT_COLUMNS = 6

#: What every cell of a column says of itself; worked out once a page, not once a cell.
_CELL = Markup(' data-label="{}"')
_NUMBER_CELL = Markup(' data-label="{}" class="gx-number"')

_NO_COLUMN = frozenset({"table", "backlink", "long_text", "rich_text", "json", "links", "secret"})


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks of a list."""

    view: str = ""
    filter: str = ""
    search: str = ""
    sort: str = ""
    after: str = ""
    trail: tuple[str, ...] = ()

    def link(self, **changes: Any) -> str:
        """Return a query string like this one with `changes`; another order starts anew."""
        values = {
            "view": self.view,
            "filter": self.filter,
            "search": self.search,
            "sort": self.sort,
            "after": self.after,
            "trail": self.trail,
        }
        if not {"after", "trail"} & changes.keys():
            values["after"], values["trail"] = "", ()
        values |= changes
        pairs = [(name, value) for name, value in values.items() if name != "trail" and value]
        pairs += [("trail", cursor) for cursor in values["trail"]]
        return "?" + urlencode(pairs)


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
class ListPage:
    """Everything the list template draws."""

    columns: list[Column]
    rows: list[tuple[str, list[Cell]]] = dataclass_field(default_factory=list)
    next: str | None = None
    count: int | None = None
    is_capped: bool = False
    problem: dict[str, Any] | None = None
    caret: str = ""


def asked() -> Asked:
    """Return what this request's address asks."""
    args = request.args
    return Asked(
        view=args.get("view", ""),
        filter=args.get("filter", "").strip(),
        search=args.get("search", "").strip(),
        sort=args.get("sort", ""),
        after=args.get("after", ""),
        trail=tuple(args.getlist("trail")[-40:]),
    )


@pages.get("/records/<type_name>/")
@page
def show_list(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show one page of a record type's records."""
    record_type = ctx.registry.record_type(type_name)
    rights = access(ctx, type_name)
    rights.require("view")
    wanted = asked()
    view = _view(record_type, wanted.view)
    listed = _list_page(ctx, record_type, rights, view=view, wanted=wanted)
    body = render_template(
        "gx/list.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        icon_name=type_icon(record_type),
        asked=wanted,
        view=view,
        views=record_type.views,
        listed=listed,
        may={name: rights.may(name) for name in ("create", "import", "export")},
        fields=_filter_fields(ctx, record_type, rights),
        searchable=_searchable(record_type, ctx),
    )
    return body, 422 if listed.problem else 200


def _view(record_type: RecordType, name: str) -> View:
    if not record_type.views:
        columns = tuple(each.name for each in record_type.fields if each.type not in _NO_COLUMN)
        return View(name="", columns=columns[:_DEFAULT_COLUMNS])
    for view in record_type.views:
        if view.name == name:
            return view
    if name:
        raise NotFound
    return record_type.views[0]


def _list_page(
    ctx: Context, record_type: RecordType, rights: Access, *, view: View, wanted: Asked
) -> ListPage:
    names = [name for name in view.columns if name in shown_somewhere(rights)]
    sort = (wanted.sort,) if wanted.sort else view.sort
    listed = ListPage([_column(ctx, rights, name, sort=sort, wanted=wanted) for name in names])
    query = Query(
        filter=joined(view.filter, wanted.filter),
        sort=sort,
        fields=tuple(names),
        limit=PAGE_SIZE,
        after=wanted.after,
        search=wanted.search,
        count="capped",
    )
    try:
        found = list_wire(ctx, record_type.name, query)
    except UserError as error:
        listed.problem = problem_body(error)
        listed.caret = _caret(wanted.filter, listed.problem, len(query.filter))
        return listed
    fields = [column.field for column in listed.columns if column.field]
    reading = make_reading(ctx, fields, found.items)
    listed.rows = [
        (record["id"], [_cell(each, record.get(each.name), reading) for each in listed.columns])
        for record in found.items
    ]
    listed.next, listed.count = found.next, found.count
    if found.count is not None and found.count > CAP:
        listed.count, listed.is_capped = CAP, True
    return listed


def shown_somewhere(rights: Access) -> frozenset[str]:
    """Return the fields shown in at least some of the rows that are shown."""
    return rights.viewable([True] * len(rights.mask_columns("view")))


def joined(*filters: str) -> str:
    """Return the filters that are not empty as one, all of which must hold."""
    present = [each for each in filters if each]
    return present[0] if len(present) == 1 else " and ".join(f"({each})" for each in present)


def field_for(record_type: RecordType, name: str) -> Field | None:
    """Return a field or system field."""
    return record_type.field(name) or SYSTEM_FIELDS.get(name)


def _column(
    ctx: Context, rights: Access, name: str, *, sort: Iterable[str], wanted: Asked
) -> Column:
    record_type = rights.record_type
    field = field_for(record_type, name)
    kind = (field.result or field.type) if field else "text"
    is_sortable = name in rights.certain and _is_stored(field)
    label = label_of(record_type, name, ctx.locale)
    column = Column(
        name,
        label,
        kind in NUMBERS,
        is_sortable,
        field,
        attributes=(_NUMBER_CELL if kind in NUMBERS else _CELL).format(label),
        has_badges=field is not None and field.type == "select" and is_badge(field),
    )
    first = next(iter(sort), "")
    if first.lstrip("-") == name:
        column.sorted = "descending" if first.startswith("-") else "ascending"
    column.sort_link = wanted.link(sort=f"-{name}" if column.sorted == "ascending" else name)
    return column


def _is_stored(field: Field | None) -> bool:
    if field is None:
        return True
    if field.type in {"formula", "rollup", "lookup"}:
        return field.stored
    return field.type not in _NO_COLUMN


def _cell(column: Column, value: Any, reading: Reading) -> Cell:
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


def _searchable(record_type: RecordType, ctx: Context) -> str:
    comma = "、" if ctx.locale == "zh" else ", "
    return comma.join(
        label_of(record_type, each.name, ctx.locale)
        for each in record_type.fields
        if each.searchable
    )


def _filter_fields(ctx: Context, record_type: RecordType, rights: Access) -> list[dict[str, Any]]:
    """Return what the visual filter offers: fields with their kind, operators and choices."""
    offered = []
    for field in record_type.fields:
        if field.name not in rights.certain or field.type in {"table", "backlink", "secret"}:
            continue
        kind = field_type(field.result or field.type)
        offered.append(
            {
                "name": field.name,
                "label": label_of(record_type, field.name, ctx.locale),
                "kind": kind.widget,
                "operators": list(kind.operators),
                "target": field.target,
                "choices": [
                    [option.value, pick(option.label, ctx.locale, option.value)]
                    for option in field.options
                ],
            }
        )
    return offered


@pages.get("/records/<type_name>/export")
@page
def export(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Send the list as CSV, row by row."""
    record_type = ctx.registry.record_type(type_name)
    wanted = asked()
    view = _view(record_type, wanted.view)
    sort = (wanted.sort,) if wanted.sort else view.sort
    query = Query(filter=joined(view.filter, wanted.filter), sort=sort, search=wanted.search)
    lines = export_csv(ctx, type_name, query)
    # The header and the first page before anything is sent: a bad filter is still an answer.
    first = list(islice(lines, 2))
    return Response(
        stream_with_context(chain(first, lines)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{type_name}.csv"'},
    )


@pages.get("/records/<type_name>/lookup")
@page
def lookup(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Answer what a link picker offers for the text typed so far.

    `from` names the link as `TYPE.FIELD` or `TYPE.TABLE.FIELD`, whose filter holds here too.
    """
    target = ctx.registry.record_type(type_name)
    text = request.args.get("search", "").strip()
    name = title_name(target)
    rights = access(ctx, type_name)
    rights.require("view")
    subtitle = _subtitle(target, name, rights)
    fields = tuple(dict.fromkeys(filter(None, ("id", name, subtitle))))
    query = Query(
        filter=_link_filter(ctx, request.args.get("from", ""), type_name),
        fields=fields,
        sort=() if text else (name,),
        limit=OFFERED,
        search=text,
    )
    found = list_wire(ctx, type_name, query)
    return jsonify(
        {
            "items": [
                {
                    "id": record["id"],
                    "title": str(record.get(name) or record["id"]),
                    "note": str(record.get(subtitle) or "") if subtitle else "",
                }
                for record in found.items
            ],
            "more": found.next is not None,
        }
    )


def _subtitle(target: RecordType, title: str, rights: Access) -> str:
    """Return a second field that tells records of the same title apart."""
    for field in target.fields:
        if field.unique and field.name != title and field.name in rights.certain:
            return field.name
    return ""


def _link_filter(ctx: Context, path: str, target: str) -> str:
    parts = path.split(".")
    record_type = ctx.registry.release.type(parts[0])
    if record_type is None:
        return ""
    fields = record_type.fields
    field = None
    for part in parts[1:]:
        field = next((each for each in fields if each.name == part), None)
        if field is None:
            return ""
        fields = field.fields
    return field.filter if field is not None and field.target == target else ""
