"""Choices that come from other records: what a picker offers in one row of a form."""

from collections.abc import Mapping
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from msgspec.structs import replace

from core.actor import PUBLIC
from core.context import Context
from core.errors import Forbidden, NotFound
from core.policies.access import access
from core.records.cascading import filter_for
from core.records.environment import RecordEnv
from core.records.people import PEOPLE
from core.records.queries import Query, list_wire
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field, OptionSource, RecordType
from core.schema.scopes import table_at
from core.web.forms import COMPUTED
from core.web.page import page, pages
from core.web.titles import OFFERED, title_name

#: What the names of the row's own values begin with in the picker's question.
_ROW = "row."
#: Longest text that people are searched by.
_LONGEST_SEARCH = 100


@pages.get("/records/<type_name>/choices")
@page
def offer_choices(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Answer what a field with `options_from` offers for the text typed so far.

    `field` is FIELD, TABLE.FIELD or TABLE.TABLE.FIELD; `row.NAME` are the other values of the
    same row, on which it depends whose records are offered.
    """
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).require("view")
    place, siblings, field = _field_at(record_type, request.args.get("field", ""))
    source = _source(ctx, place, field=field, row=typed_row(siblings))
    items = []
    if source is not None:
        text = request.args.get("search", "").strip()
        narrow = filter_for(ctx, source.type, source.filter, place, typed_row(siblings))
        items = _offered(ctx, replace(source, filter=narrow), text)
    return jsonify({"items": items, "more": len(items) == OFFERED})


@pages.get("/people/lookup")
@page
def find_people(ctx: Context) -> ResponseReturnValue:
    """Answer what a picker of users offers for the text typed so far."""
    if ctx.actor is PUBLIC:
        raise Forbidden
    text = request.args.get("search", "").strip()[:_LONGEST_SEARCH]
    with ctx.reading() as connection:
        found = PEOPLE.search(connection, text, OFFERED)
    items = [{"id": one.id, "title": one.name, "note": one.login} for one in found]
    return jsonify({"items": items, "more": len(items) == OFFERED})


def _field_at(record_type: RecordType, path: str) -> tuple[str, tuple[Field, ...], Field]:
    """Return the scope of the field that a path names, TYPE or TYPE.TABLE, with its siblings."""
    tables, _, name = path.rpartition(".")
    holder = table_at(record_type, tables) if tables else record_type
    siblings = holder.fields if holder else ()
    found = next((each for each in siblings if each.name == name), None)
    if found is None or not found.options_from:
        raise NotFound
    return f"{record_type.name}.{tables}".rstrip("."), siblings, found


def typed_row(fields: tuple[Field, ...]) -> dict[str, Any]:
    """Return the row's values as they are typed; what is no value yet counts as none."""
    row: dict[str, Any] = {}
    for field in fields:
        text = request.args.get(_ROW + field.name, "")
        row[field.name] = None
        if text and field.type not in COMPUTED | {"table", "links", "multi_select", "files"}:
            try:
                row[field.name] = field_type(field.type).load(text, field)
            except FieldError:
                continue
    return row


def _source(
    ctx: Context, place: str, *, field: Field, row: Mapping[str, Any]
) -> OptionSource | None:
    """Return the first source of choices whose condition holds in a row of the scope `place`."""
    with ctx.reading() as connection:
        env = RecordEnv(ctx, connection)
        for source in field.options_from:
            if not source.when:
                return source
            condition = ctx.registry.expression(place, source.when, "boolean")
            if condition.evaluate(row, env) is True:
                return source
    return None


def _offered(ctx: Context, source: OptionSource, text: str) -> list[dict[str, str]]:
    target = ctx.registry.record_type(source.type)
    title = title_name(target)
    fields = tuple(dict.fromkeys((source.value, title)))
    query = Query(
        filter=source.filter,
        fields=fields,
        sort=() if text else (source.value,),
        limit=OFFERED,
        search=text,
    )
    return [
        {
            "id": str(record[source.value]),
            "title": str(record.get(title) or record[source.value]),
            "note": str(record[source.value]),
        }
        for record in list_wire(ctx, source.type, query).items
        if record.get(source.value)
    ]
