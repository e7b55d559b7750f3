"""Choices that come from other records: what a picker offers in one row of a form."""

from collections.abc import Mapping
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue
from msgspec.structs import replace

from core.actor import PUBLIC
from core.context import Context
from core.errors import Forbidden, NotFound
from core.expression import Expression, compile_expression
from core.policies.access import access
from core.records.cascading import filter_for
from core.records.environment import RecordEnv
from core.records.people import PEOPLE
from core.records.queries import Query, list_wire
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field, OptionSource, RecordType
from core.schema.scopes import record_scope, row_scope
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

    `field` is FIELD or TABLE.FIELD; `row.NAME` are the other values of the same row, on
    which it depends whose records are offered.
    """
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).require("view")
    table, field = _field_at(record_type, request.args.get("field", ""))
    siblings = table.fields if table else record_type.fields
    source = _source(ctx, record_type, table, field=field, row=typed_row(siblings))
    items = []
    if source is not None:
        owner = f"{type_name}.{table.name}" if table else type_name
        text = request.args.get("search", "").strip()
        narrow = filter_for(ctx, source.type, source.filter, owner, typed_row(siblings))
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


def _field_at(record_type: RecordType, path: str) -> tuple[Field | None, Field]:
    """Return the table field that a path leads through, if any, and the field it names."""
    first, _, rest = path.partition(".")
    found = record_type.field(first)
    table = found if rest else None
    if table is not None:
        found = next((each for each in table.fields if each.name == rest), None)
    if found is None or not found.options_from:
        raise NotFound
    return table, found


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
    ctx: Context,
    record_type: RecordType,
    table: Field | None,
    *,
    field: Field,
    row: Mapping[str, Any],
) -> OptionSource | None:
    """Return the first source of choices whose condition holds in this row."""
    with ctx.reading() as connection:
        env = RecordEnv(ctx, connection)
        for source in field.options_from:
            if not source.when:
                return source
            if _condition(ctx, record_type, table, source.when).evaluate(row, env) is True:
                return source
    return None


def _condition(
    ctx: Context, record_type: RecordType, table: Field | None, text: str
) -> Expression:
    release = ctx.registry.release

    def compiled() -> Expression:
        if table is None:
            scope = record_scope(release, record_type.name)
        else:
            scope = row_scope(release.types, table, record_type.name)
        return compile_expression(text, scope, expect="boolean")

    place = table.name if table else ""
    return ctx.registry.memo(("web.choices", record_type.name, place, text), compiled)


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
