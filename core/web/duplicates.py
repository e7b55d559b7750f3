"""Records that are probably one: while one is typed, and all of a form on a page."""

from typing import Any

from flask import jsonify, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.policies.access import access
from core.records.duplicates import find_duplicates, find_similar
from core.records.queries import Query, list_wire
from core.schema.model import RecordType
from core.web.display import field_label, value_text
from core.web.merging import may_merge
from core.web.navigation import type_label
from core.web.page import page, pages
from core.web.posted import parse_form
from core.web.reading import make_reading
from core.web.titles import find_titles

#: Groups shown, each with the values that were compared.
_SHOWN = 100
_PART = 50


@pages.get("/records/<type_name>/duplicates")
@page
def show_duplicates(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show the groups of records that are probably one."""
    record_type = ctx.registry.record_type(type_name)
    found = find_duplicates(ctx, type_name)
    groups = found.groups[:_SHOWN]
    names = sorted({name for one in groups for some in one.fields for name in some})
    records = _records(ctx, record_type, [each for one in groups for each in one.ids], names)
    titles = find_titles(ctx, [(type_name, each) for each in records])
    reading = make_reading(ctx, record_type.fields, list(records.values()))
    fields = [one for one in record_type.fields if one.name in names]
    return render_template(
        "gx/duplicates.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        found=found,
        labels=[field_label(one, ctx.locale) for one in fields],
        groups=[
            {
                "count": one.count,
                "ids": one.ids,
                "by": [_labels(ctx, record_type, some) for some in one.fields],
                "records": [
                    {
                        "id": each,
                        "title": titles.get((type_name, each), each),
                        "values": [
                            value_text(field, records[each].get(field.name), reading)
                            for field in fields
                        ],
                    }
                    for each in one.ids
                    if each in records
                ],
            }
            for one in groups
        ],
        may_merge=may_merge(ctx, record_type),
    )


def _labels(ctx: Context, record_type: RecordType, names: Any) -> str:
    found = {one.name: field_label(one, ctx.locale) for one in record_type.fields}
    return " + ".join(found[name] for name in names)


def _records(
    ctx: Context, record_type: RecordType, ids: list[str], names: list[str]
) -> dict[str, dict[str, Any]]:
    """Return the records by id, in wire form, under the reader's rights."""
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _PART):
        wanted = ", ".join(f"'{one}'" for one in ids[start : start + _PART])
        query = Query(filter=f"id in [{wanted}]", fields=("id", *names), limit=_PART)
        found |= {one["id"]: one for one in list_wire(ctx, record_type.name, query).items}
    return found


@pages.post("/records/<type_name>/similar")
@page
def show_similar(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Answer a form under way with the records that look like what was typed."""
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).require("view")
    posted = parse_form(request.form, record_type.fields, ctx.time_zone)
    items = find_similar(ctx, type_name, posted.values)
    titles = find_titles(ctx, [(type_name, one["id"]) for one in items])
    return jsonify(
        {
            "items": [
                {
                    "href": f"/records/{type_name}/{one['id']}",
                    "title": titles.get((type_name, one["id"]), one["id"]),
                    "by": _labels(ctx, record_type, one["fields"]),
                }
                for one in items
            ]
        }
    )
