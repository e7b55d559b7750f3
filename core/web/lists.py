"""A record type's records: as a list, a board or a calendar; and their export."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from flask import Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.policies.access import Access, access
from core.records.exporting import export_csv
from core.records.plugin_settings import ADMINISTRATORS
from core.schema.model import RecordType
from core.schema.viewchecks import BOARD_TYPES, DAY_TYPES, NOT_SORTABLE, is_stored, kind_of
from core.tables.search import search_fields
from core.web.boards import Board, board_page
from core.web.calendars import Calendar, calendar_page
from core.web.listing import ListPage, list_page, may_edit_cells
from core.web.look import Look, look, shown_somewhere
from core.web.merging import may_merge
from core.web.navigation import type_icon, type_label
from core.web.page import page, pages
from core.web.reading import SYSTEM_FIELDS, label_of

_TEMPLATES = {"list": "gx/list.html", "kanban": "gx/board.html", "calendar": "gx/calendar.html"}
_DRAWN: Mapping[str, Callable[[Context, Access, Look], ListPage | Board | Calendar]] = {
    "list": list_page, "kanban": board_page, "calendar": calendar_page,
}  # fmt: skip


@pages.get("/records/<type_name>/")
@page
def show_list(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show a record type's records as the view says."""
    record_type = ctx.registry.record_type(type_name)
    rights = access(ctx, type_name)
    rights.require("view")
    shown = look(ctx, record_type)
    listed = _DRAWN[shown.view.type](ctx, rights, shown)
    body = render_template(
        _TEMPLATES[shown.view.type],
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        icon_name=type_icon(record_type),
        asked=shown.asked,
        look=shown,
        view=shown.view,
        listed=listed,
        may={name: rights.may(name) for name in ("create", "edit", "import", "export")}
        | {"merge": may_merge(ctx, record_type)},
        searchable=_searchable(ctx, record_type, rights),
        options=_view_options(ctx, record_type, rights, shown),
    )
    return body, 422 if listed.problem else 200


def _searchable(ctx: Context, record_type: RecordType, rights: Access) -> str:
    comma = "、" if ctx.locale == "zh" else ", "
    return comma.join(
        label_of(record_type, each.name, ctx.locale)
        for each in search_fields(record_type)
        if each.name in rights.certain
    )


def _view_options(
    ctx: Context, record_type: RecordType, rights: Access, shown: Look
) -> dict[str, Any]:
    """Return what the view's settings offer: columns, groups, boards, days, audiences."""
    visible = shown_somewhere(rights)
    every = [one.name for one in record_type.fields if one.type not in {"table", "backlink"}]
    every += [name for name in SYSTEM_FIELDS if name in rights.names]
    named = [(name, label_of(record_type, name, ctx.locale)) for name in every if name in visible]

    def of_kinds(kinds: Iterable[str], *, others: bool = False) -> list[tuple[str, str]]:
        return [
            (name, label)
            for name, label in named
            if name in rights.certain
            and is_stored(record_type.field(name))
            and (kind_of(record_type, name) in kinds) is not others
        ]

    is_configurator = bool(ctx.actor.roles & ADMINISTRATORS)
    roles = [one.name for one in ctx.registry.release.roles]
    return {
        "columns": named,
        "groups": of_kinds(NOT_SORTABLE, others=True),
        "boards": of_kinds(BOARD_TYPES),
        "days": of_kinds(DAY_TYPES),
        "edited": [
            {"name": name, "label": label}
            for name, label in named
            if may_edit_cells(rights, record_type.field(name))
        ],
        "roles": [name for name in roles if is_configurator or name in ctx.actor.roles],
        "everybody": is_configurator,
        "filter": shown.filter,
        "colours": [{"when": one.when, "color": one.color} for one in shown.view.color_when],
    }


@pages.get("/records/<type_name>/export")
@page
def export(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Send what the list shows, row by row: its columns, filter, search and order.

    `format` is csv or xlsx; `whole=1` asks for every field instead of the view's columns.
    """
    record_type = ctx.registry.record_type(type_name)
    shown = look(ctx, record_type)
    form = request.args.get("format", "csv")
    if form not in {"csv", "xlsx"}:
        text = N_("Use csv or xlsx.")
        raise Invalid(problems=[Problem("format", "query.choice", text)])
    visible = shown_somewhere(access(ctx, type_name))
    names = [name for name in shown.view.columns if name in visible]
    query = shown.query(names)
    if request.args.get("whole"):
        query = replace(query, fields=None)
    chunks: Iterator[bytes]
    kind = "text/csv; charset=utf-8"
    if form == "csv":
        chunks = (line.encode() for line in export_csv(ctx, type_name, query))
    else:
        from core.records.worksheets import export_xlsx  # noqa: PLC0415  slow, seldom needed

        chunks = export_xlsx(ctx, type_name, query)
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    # The header and the first page before anything is sent: a bad filter is still an answer.
    first = list(islice(chunks, 2))
    return Response(
        stream_with_context(chain(first, chunks)),
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{type_name}.{form}"'},
    )
