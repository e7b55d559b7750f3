"""The filter builder's server side: which fields can be asked about, and how text reads."""

from collections.abc import Iterator
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.expression.clauses import Part, clauses
from core.i18n import pick
from core.policies.access import Access, access
from core.records.selection import read_filter
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType
from core.web.page import page, pages
from core.web.reading import SYSTEM_FIELDS, label_of
from core.web.titles import find_titles

_ASIDE = frozenset({"table", "backlink", "secret"})


def filter_fields(ctx: Context, record_type: RecordType, rights: Access) -> list[dict[str, Any]]:
    """Return what a filter can ask about: fields with their kind, operators and choices."""
    own = [one for one in record_type.fields if one.type not in _ASIDE]
    system = [SYSTEM_FIELDS["created_at"], SYSTEM_FIELDS["updated_at"]]
    return [
        _offered(ctx, record_type, one) for one in (*own, *system) if one.name in rights.certain
    ]


def _offered(ctx: Context, record_type: RecordType, field: Field) -> dict[str, Any]:
    kind = field_type(field.result or field.type)
    choices = [
        [option.value, pick(option.label, ctx.locale, option.value)] for option in field.options
    ]
    return {
        "name": field.name,
        "label": label_of(record_type, field.name, ctx.locale),
        "kind": kind.widget,
        "operators": list(kind.operators),
        "target": field.target,
        "choices": choices,
    }


@pages.post("/records/<type_name>/clauses")
@page
def read_clauses(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Answer a filter's text as the parts that the builder shows, with the links' titles."""
    access(ctx, type_name).require("view")
    text = request.form.get("text", "")
    if not text.strip():
        return jsonify({"part": {"all": []}, "titles": {}})
    read_filter(ctx, type_name, text)  # so that what is wrong is told as lists tell it
    part = clauses(text)
    return jsonify({"part": part, "titles": _titles(ctx, type_name, part)})


def _titles(ctx: Context, type_name: str, part: Part) -> dict[str, str]:
    """Return the titles of the linked records that a filter names, by id."""
    record_type = ctx.registry.record_type(type_name)
    wanted = set()
    for clause in _clauses(part):
        field = record_type.field(clause["field"])
        value = clause.get("value")
        for one in value if isinstance(value, list) else [value]:
            if field is not None and field.target and isinstance(one, str):
                wanted.add((field.target, one))
    return {record_id: title for (_, record_id), title in find_titles(ctx, wanted).items()}


def _clauses(part: Part) -> Iterator[Part]:
    if "field" in part:
        yield part
    for one in (*part.get("all", ()), *part.get("any", ())):
        yield from _clauses(one)
