"""What the builder of conditions asks: the fields of a scope, and what a text means."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from core.actor import PUBLIC
from core.context import Context
from core.errors import Forbidden, NotFound, Problem
from core.expression import ExpressionError
from core.expression.visual import read_rows
from core.i18n import pick, translate
from core.policies.access import Access, access
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field
from core.schema.peopletypes import SINGLE_LINKS, USERS
from core.schema.scopes import TILL_SCOPES, is_till_scope, table_at
from core.schema.structuretypes import StructureType
from core.schema.texttypes import check_characters
from core.web.display import field_label
from core.web.page import page, pages
from core.web.reading import SYSTEM_FIELDS, label_of
from core.web.titles import find_titles, named_labels

#: What an expression may be asked to give.
_GIVES = frozenset({"text", "number", "boolean", "date", "time", "datetime", "duration"})
#: Fields that no condition compares.
_OPAQUE = frozenset({"table", "backlink", "secret"})
#: What the product itself writes into every record.
_WRITTEN = (
    SYSTEM_FIELDS["created_at"],
    SYSTEM_FIELDS["updated_at"],
    Field(id="created_by", name="created_by", type="user", target=USERS),
    Field(id="updated_by", name="updated_by", type="user", target=USERS),
)
#: Links that are followed from a line of a sale: its product, its category, the one above.
_GOODS_DEPTH = 3
#: Kinds of a part of a structured value -> the control of its value, and its operators.
_PARTS = {"text": "text", "number": "decimal"}


@pages.get("/expressions/scope")
@page
def show_scope(ctx: Context) -> ResponseReturnValue:
    """Answer the fields that conditions can be built of: over TYPE, TYPE.TABLE or `till:sale`.

    Fields of records that it links to stand with a dot, as the language writes them. With
    `use=filter` only those that the reader may see in every record, as finding by them takes.
    """
    if ctx.actor is PUBLIC:
        raise Forbidden
    is_filter = request.args.get("use") == "filter"
    return jsonify({"fields": _fields_of(ctx, request.args.get("name", ""), is_filter=is_filter)})


def _seen(rights: Access, *, is_filter: bool) -> frozenset[str]:
    if not rights.may("view"):
        return frozenset()
    return rights.certain if is_filter else rights.possible


def _fields_of(ctx: Context, scope: str, *, is_filter: bool = False) -> list[dict[str, Any]]:
    if is_till_scope(ctx.registry.release.types, scope):
        return _till_fields(ctx, scope)
    type_name, _, table_name = scope.partition(".")
    record_type = ctx.registry.record_type(type_name)
    seen = _seen(access(ctx, type_name), is_filter=is_filter)
    fields = [one for one in record_type.fields if one.name in seen]
    if table_name:
        table = table_at(record_type, table_name)
        if table is None or table_name.partition(".")[0] not in seen:
            raise NotFound
        fields = list(table.fields)
    offered = list(_offered(ctx, fields))
    if not table_name:
        for one in _WRITTEN:
            label = label_of(record_type, one.name, ctx.locale)
            made = _offered(ctx, [one] if one.name in seen else [])
            offered += [each | {"label": label} for each in made]
    for one in fields:
        if one.type in SINGLE_LINKS:
            offered += _linked(ctx, one, is_filter=is_filter)
    return offered


def _till_fields(ctx: Context, scope: str) -> list[dict[str, Any]]:
    """Return what conditions on a sale are built of: its records, and what they link to.

    A line's goods are followed further, since their classes lie above each other.
    """
    offered: list[dict[str, Any]] = []
    for name, target in TILL_SCOPES[scope].items():
        type_name, _, table_name = target.partition(".")
        if ctx.registry.release.type(type_name) is None:
            continue
        rights = access(ctx, type_name)
        seen = _seen(rights, is_filter=False)
        table = table_at(rights.record_type, table_name) if table_name else None
        label = pick((table or rights.record_type).label, ctx.locale, name)
        fields = [one for one in rights.record_type.fields if one.name in seen]
        if table is not None:
            fields = list(table.fields) if table_name in seen else []
        depth = 1 if table is None else _GOODS_DEPTH
        offered += _below(ctx, fields, f"{name}.", f"{label} › ", depth)
    # What is near is asked for most: a member's birthday, not that of the member of the order.
    return sorted(offered, key=lambda one: one["name"].count("."))


def _below(
    ctx: Context, fields: Sequence[Field], prefix: str, label: str, depth: int
) -> list[dict[str, Any]]:
    """Return fields with those of the records that they link to, so many links deep."""
    offered = list(_offered(ctx, fields, prefix, label))
    for one in fields if depth else ():
        if one.type in SINGLE_LINKS:
            rights = access(ctx, one.target)
            seen = _seen(rights, is_filter=False)
            within = [each for each in rights.record_type.fields if each.name in seen]
            text = f"{label}{field_label(one, ctx.locale)} › "
            offered += _below(ctx, within, f"{prefix}{one.name}.", text, depth - 1)
    return offered


def _linked(ctx: Context, link: Field, *, is_filter: bool) -> list[dict[str, Any]]:
    rights = access(ctx, link.target)
    seen = _seen(rights, is_filter=is_filter)
    fields = [one for one in rights.record_type.fields if one.name in seen]
    label = field_label(link, ctx.locale)
    return list(_offered(ctx, fields, f"{link.name}.", f"{label} › "))


def _offered(
    ctx: Context, fields: Iterable[Field], prefix: str = "", label: str = ""
) -> Iterable[dict[str, Any]]:
    """Yield what a row can be about, each with its operators and choices."""
    for one in fields:
        kind = field_type(one.result or one.type)
        if one.type in _OPAQUE:
            continue
        made = {
            "name": prefix + one.name,
            "label": label + field_label(one, ctx.locale),
            "kind": kind.widget,
            "operators": list(kind.operators),
            "target": one.target,
            "choices": _choices(ctx, one, kind.widget),
        }
        yield made
        if isinstance(kind, StructureType):
            for part, text in kind.parts.items():
                own = field_type(_PARTS[kind.part.kind])
                yield {
                    **made,
                    "name": f"{prefix}{one.name}.{part}",
                    "label": f"{made['label']} › {translate(text, ctx.locale)}",
                    "kind": own.widget,
                    "operators": list(own.operators),
                }


def _choices(ctx: Context, field: Field, widget: str) -> list[tuple[str, str]]:
    named = named_labels(ctx).get(widget)
    if named is not None:
        return list(named.items())
    return [(it.value, pick(it.label, ctx.locale, it.value)) for it in field.options]


def _titles(ctx: Context, scope: str, rows: Mapping[str, Any] | None) -> dict[str, str]:
    """Return what the records and people are called that rows compare links with."""
    fields = {one["name"]: one for one in _fields_of(ctx, scope)} if rows else {}
    wanted: set[tuple[str, str]] = set()
    queue = [rows] if rows else []
    while queue:
        part = queue.pop()
        queue += part.get("parts", ())
        target = fields.get(part.get("field", ""), {}).get("target")
        if target:
            wanted.update((target, one["text"]) for one in part["values"])
    return {key: title for (_target, key), title in find_titles(ctx, wanted).items()}


@pages.post("/expressions/read")
@page
def read_expression(ctx: Context) -> ResponseReturnValue:
    """Answer an expression's rows, and what is wrong with it, each with its column.

    `scope` is TYPE, TYPE.TABLE or one of a sale at the till, `gives` the kind of value it must
    have, if any.
    """
    text = request.form.get("text", "")
    scope, gives = request.form.get("scope", ""), request.form.get("gives", "")
    if ctx.actor is PUBLIC:
        raise Forbidden
    is_till = is_till_scope(ctx.registry.release.types, scope)
    if not access(ctx, "order" if is_till else scope.partition(".")[0]).may("view"):
        raise Forbidden
    problems: list[Problem] = []
    rows: Mapping[str, Any] | None = {"how": "and", "parts": []}
    if text.strip():
        rows = None
        try:
            check_characters(text, lines=True)
            rows = read_rows(text)
            expect: Any = gives if gives in _GIVES else None
            ctx.registry.expression(scope, text, expect)
        except (ExpressionError, FieldError) as error:
            problems = list(error.problems)
    return jsonify(
        {
            "rows": rows,
            "titles": _titles(ctx, scope, rows),
            "problems": [
                {"message": translate(one.text, ctx.locale, **one.params), "column": one.column}
                for one in problems
            ],
        }
    )
