"""Finds the types of formulas and rollups, and which of them are stored.

A formula's type follows from its expression, which may name other formulas.
So they are found in rounds: each round compiles what names only known fields.
When a round finds nothing new, what is left is either wrong or goes in a circle.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from core.expression import Expression, ExpressionError, Scope, compile_expression
from core.expression.types import ANY, BOOLEAN, DATE, NUMBER, TEXT, Type
from core.i18n import N_
from core.schema.draft import Draft
from core.schema.model import Field, OptionSource, RecordType
from core.schema.peopletypes import SINGLE_LINKS
from core.schema.scopes import DOCUMENT_TYPES, SYSTEM_TYPES, is_resolved, named_scope, table_at
from core.schema.yamlnodes import Node

#: Kind of an expression -> the field type of a formula that gives it.
RESULTS = {
    "text": "text",
    "choice": "text",
    "number": "decimal",
    "boolean": "boolean",
    "date": "date",
    "time": "time",
    "datetime": "datetime",
    "duration": "duration",
}
#: Functions whose answer changes while the record does not.
MOVING = frozenset({"TODAY", "NOW"})
#: What a rollup can add up.
SUMMABLE = frozenset({"integer", "decimal", "money", "percent", "rate", "duration", "rating"})
#: What a rollup can order.
ORDERED = SUMMABLE | {"date", "time", "datetime", "text", "sequence"}
_AVERAGE_DIGITS = 2
_GREATEST_PRECISION = 10


@dataclass(frozen=True, slots=True)
class _Open:
    """A formula or rollup whose type is not known yet; `table` is the path of what holds it."""

    type_name: str
    field: Field
    table: str
    node: Node


def resolve_results(draft: Draft) -> None:
    """Fill in `result`, `precision` and `stored` of every formula and rollup."""
    while True:
        waiting = list(_waiting(draft))
        found = [(one, made) for one in waiting if (made := _resolved(draft, one)) is not None]
        for one, made in found:
            _put(draft, one, made)
        if not found:
            break
    for one in waiting:
        _explain(draft, one)


def _waiting(draft: Draft) -> Iterator[_Open]:
    for name, record_type in draft.types.items():
        for field in record_type.fields:
            node = draft.node_of(name, field)
            if field.type == "table":
                yield from _waiting_rows(name, field, field.name, node)
            elif not is_resolved(field):
                yield _Open(name, field, "", node)


def _waiting_rows(type_name: str, table: Field, path: str, node: Node) -> Iterator[_Open]:
    nodes = {it.word("name"): it for it in node.listed("fields")}
    for column in table.fields:
        place = nodes.get(column.name, node)
        if column.type == "table":
            yield from _waiting_rows(type_name, column, f"{path}.{column.name}", place)
        elif not is_resolved(column):
            yield _Open(type_name, column, path, place)


def _put(draft: Draft, one: _Open, made: Field) -> None:
    """Replace a field by the one that knows its result."""
    record_type = draft.types[one.type_name]
    path = one.table.split(".") if one.table else []
    fields = _replaced_at(record_type.fields, path, made)
    draft.types[one.type_name] = msgspec.structs.replace(record_type, fields=fields)


def _replaced_at(fields: tuple[Field, ...], path: list[str], made: Field) -> tuple[Field, ...]:
    """Return fields with `made` in its place, in the table field that `path` leads to."""
    if not path:
        return _replaced(fields, made)
    # Another column may have been replaced in this round already.
    table = next(it for it in fields if it.name == path[0])
    below = _replaced_at(table.fields, path[1:], made)
    return _replaced(fields, msgspec.structs.replace(table, fields=below))


def _replaced(fields: tuple[Field, ...], made: Field) -> tuple[Field, ...]:
    return tuple(made if one.id == made.id else one for one in fields)


def _resolved(draft: Draft, one: _Open) -> Field | None:
    """Return a field with its result, or None when that cannot be found (yet)."""
    if one.field.type == "rollup":
        return _resolved_rollup(draft, one)
    if one.field.type == "lookup":
        return _resolved_lookup(draft, one)
    if not one.field.formula:
        return None
    try:
        expression = compile_expression(one.field.formula, _scope(draft, one))
    except ExpressionError:
        return None  # it may name a field whose type is found later; `_explain` says what is left
    result = RESULTS.get(expression.type.kind)
    if result is None:
        return None
    if result == "decimal" and one.field.currency:
        result = "money"
    made = _with_result(
        one.field, result, _precision(one.field, result), stored=_is_stored(draft, one, expression)
    )
    return msgspec.structs.replace(made, sensitive=_sensitivity(draft, made, expression))


def _sensitivity(draft: Draft, field: Field, expression: Expression) -> Any:
    """Return what a formula is as a secret: the worst of itself and what it reads."""
    found = {field.sensitive}
    for use in expression.uses:
        owner, _, table = use.owner.partition(".")
        record_type = draft.types.get(owner)
        read = record_type.field(table or use.name) if record_type else None
        if read is not None and table:
            read = next((it for it in read.fields if it.name == use.name), None)
        if read is not None:
            found.add("pii" if read.mask and read.sensitive == "none" else read.sensitive)
    return next((one for one in ("secret", "pii") if one in found), "none")


def _scope(draft: Draft, one: _Open) -> Scope:
    name = f"{one.type_name}.{one.table}" if one.table else one.type_name
    return named_scope(draft.types, name) or draft.scope(one.type_name)


def _precision(field: Field, result: str) -> int | None:
    """Return the digits of a formula's result; two where it does not say."""
    if result not in {"decimal", "money"}:
        return None
    return 2 if field.precision is None else field.precision


def _with_result(field: Field, result: str, precision: int | None, *, stored: bool) -> Field:
    return msgspec.structs.replace(field, result=result, precision=precision, stored=stored)


def _is_stored(draft: Draft, one: _Open, expression: Expression) -> bool:
    """Return whether a formula changes only when its own record does."""
    if not expression.is_local or expression.functions & MOVING:
        return False
    if any(path.partition(".")[0] in _VOLATILE for path in expression.paths):
        return False
    siblings = _siblings(draft, one)
    used = (siblings.get(path.partition(".")[0]) for path in expression.paths)
    return all(_is_kept(field) for field in used if field is not None)


#: Names whose values are set while a record is written, after its formulas.
_VOLATILE = frozenset({*SYSTEM_TYPES, *DOCUMENT_TYPES, "current_user"}) - {"id"}


def _siblings(draft: Draft, one: _Open) -> dict[str, Field]:
    record_type = draft.types[one.type_name]
    table = table_at(record_type, one.table) if one.table else None
    return {field.name: field for field in (record_type if table is None else table).fields}


def _is_kept(field: Field) -> bool:
    """Return whether the value of a field lies in its record's own rows."""
    if field.type in {"formula", "rollup", "lookup"}:
        return field.stored
    if field.type == "table":
        return all(_is_kept(column) for column in field.fields)
    return field.type != "backlink"


def _resolved_rollup(draft: Draft, one: _Open) -> Field | None:
    field = one.field
    over = _siblings(draft, one).get(field.of)
    columns = rolled_fields(draft.types, over)
    if over is None or columns is None or not field.how:
        return None
    taken = columns.get(field.take)
    read = columns.values() if field.filter else [taken] if taken else []
    if not all(is_resolved(column) for column in read):
        return None
    stored = over.type == "table" and all(_is_kept(column) for column in read)
    if field.how == "count":
        return _with_result(field, "integer", None, stored=stored)
    return None if taken is None else _taking(field, taken, stored=stored)


def _taking(field: Field, taken: Field, *, stored: bool) -> Field | None:
    """Return a rollup of one field with its result; None when that cannot be rolled up."""
    kind = taken.result or taken.type
    if kind not in (SUMMABLE if field.how in {"sum", "avg"} else ORDERED):
        return None
    return _typed_rollup(field, taken, "text" if kind == "sequence" else kind, stored=stored)


def _typed_rollup(field: Field, taken: Field, kind: str, *, stored: bool) -> Field:
    precision = taken.precision if field.precision is None else field.precision
    if field.how == "avg":
        if field.precision is None:
            precision = min((taken.precision or 0) + _AVERAGE_DIGITS, _GREATEST_PRECISION)
        kind = "money" if kind == "money" else "decimal"
    made = _with_result(field, kind, precision, stored=stored)
    return msgspec.structs.replace(made, currency=field.currency or taken.currency)


def rolled_fields(types: dict[str, RecordType], over: Field | None) -> dict[str, Field] | None:
    """Return the fields that a rollup over `over` can take; None when it cannot be rolled up."""
    if over is None:
        return None
    if over.type == "table":
        return {one.name: one for one in over.fields}
    name = over.target if over.type == "links" else over.of.partition(".")[0]
    target = types.get(name) if over.type in {"backlink", "links"} else None
    return {one.name: one for one in target.fields} if target else None


#: What a lookup cannot show: lists of records have rollups, and nobody reads a secret.
NOT_LOOKED_UP = frozenset({"table", "links", "backlink", "secret"})


def looked_up_field(draft: Draft, one: Field, siblings: Mapping[str, Field]) -> Field | None:
    """Return the field that a lookup reads; None when there is none."""
    link = siblings.get(one.through)
    target = draft.types.get(link.target) if link and link.type in SINGLE_LINKS else None
    return target.field(one.field) if target else None


def _resolved_lookup(draft: Draft, one: _Open) -> Field | None:
    taken = looked_up_field(draft, one.field, _siblings(draft, one))
    if taken is None or not is_resolved(taken) or taken.type in NOT_LOOKED_UP:
        return None
    made = _with_result(one.field, taken.result or taken.type, taken.precision, stored=False)
    return msgspec.structs.replace(
        made,
        currency=taken.currency,
        unit=one.field.unit or taken.unit,
        options=taken.options,
        # Where the choices come from matters to who chooses, that is not here.
        options_from=tuple(
            OptionSource(type=source.type, value=source.value) for source in taken.options_from
        ),
        target=taken.target,
        scope=taken.scope,
        max=taken.max if taken.type == "rating" else None,
    )


def _explain_lookup(draft: Draft, one: _Open) -> None:
    siblings, field, node = _siblings(draft, one), one.field, one.node
    link = siblings.get(field.through)
    at_link = node.at("through" if "through" in node.entries else "fetch_from")
    at_field = node.at("field" if "field" in node.entries else "fetch_from")
    if not field.through or not field.field:
        key = "field" if field.through else "through"
        draft.add(node, "missing", N_("“{key}” is missing."), key=key)
    elif link is None:
        draft.add_unknown(at_link, "field", field.through, siblings)
    elif link.type not in SINGLE_LINKS:
        text = N_("{name} is not a link to one record.")
        draft.add(at_link, "not_a_link", text, name=field.through)
    elif link.target in draft.types:
        taken = looked_up_field(draft, field, siblings)
        if taken is None:
            names = [each.name for each in draft.types[link.target].fields]
            draft.add_unknown(at_field, "field", field.field, names)
        elif taken.type in NOT_LOOKED_UP:
            text = N_("A field of type {type} cannot be looked up.")
            draft.add(at_field, "lookup_type", text, type=taken.type)
        else:
            text = N_("It cannot be computed: {name} refers back to it or has problems.")
            draft.add(at_field, "circle", text, name=taken.name)


def _explain(draft: Draft, one: _Open) -> None:
    """Say why the type of a formula, rollup or lookup cannot be found."""
    if one.field.type in _EXPLAINED:
        _EXPLAINED[one.field.type](draft, one)
        return
    place = one.node.at("formula")
    if not one.field.formula:
        draft.add(one.node, "missing", N_("“{key}” is missing."), key="formula")
        return
    expression = _guessed(draft, one)
    if expression is None:
        draft.expression(place, one.field.formula, _guessing_scope(draft, one, NUMBER), None)
    elif _reaches_itself(draft, one):
        draft.add(place, "circle", N_("The formula refers to itself, directly or through others."))
    elif expression.type.kind not in RESULTS and not _waits(draft, one, expression):
        text = N_("A formula cannot give {kind}.")
        draft.add(place, "formula_type", text, kind=expression.type.kind)


def _guessed(draft: Draft, one: _Open) -> Expression | None:
    """Return a formula compiled with a guess at the types that are still open."""
    for guess in _GUESSES:
        try:
            return compile_expression(one.field.formula, _guessing_scope(draft, one, guess))
        except ExpressionError:
            continue  # the next guess; when none is right the problems are shown to people
    return None


_GUESSES = (NUMBER, TEXT, DATE, BOOLEAN, ANY)


def _guessing_scope(draft: Draft, one: _Open, guess: Type) -> Scope:
    scope = _scope(draft, one)
    unresolved = {
        name: guess for name, field in _siblings(draft, one).items() if not is_resolved(field)
    }
    return replace(scope, fields={**scope.fields, **unresolved})


def _waits(draft: Draft, one: _Open, expression: Expression) -> bool:
    """Return whether a formula names a field whose own type is still open."""
    siblings = _siblings(draft, one)
    heads = {path.partition(".")[0] for path in expression.paths}
    return any(name in siblings and not is_resolved(siblings[name]) for name in heads)


def _reaches_itself(draft: Draft, one: _Open) -> bool:
    """Return whether a formula depends on itself through open fields of its record."""
    siblings = _siblings(draft, one)
    seen: set[str] = set()
    ahead = [one.field.name]
    while ahead:
        field = siblings[ahead.pop()]
        used = _used(draft, one, field) & siblings.keys()
        if one.field.name in used:
            return True
        fresh = {name for name in used - seen if not is_resolved(siblings[name])}
        seen |= fresh
        ahead.extend(fresh)
    return False


def _used(draft: Draft, one: _Open, field: Field) -> set[str]:
    """Return the names of its own record that a formula or rollup uses."""
    if field.type != "formula":
        return {field.of or field.through}
    expression = _guessed(draft, _Open(one.type_name, field, one.table, one.node))
    return {path.partition(".")[0] for path in expression.paths} if expression else set()


def _explain_rollup(draft: Draft, one: _Open) -> None:
    field, node = one.field, one.node
    for key in ("of", "how"):
        if not getattr(field, key):
            draft.add(node, "missing", N_("“{key}” is missing."), key=key)
            return
    siblings = _siblings(draft, one)
    over = siblings.get(field.of)
    columns = rolled_fields(draft.types, over)
    if over is None:
        draft.add_unknown(node.at("of"), "field", field.of, siblings)
    elif columns is None:
        text = N_("A rollup goes over a table, links or backlink field.")
        draft.add(node.at("of"), "rollup_of", text)
    elif field.how != "count" and field.take not in columns:
        draft.add_unknown(node.at("take"), "field", field.take, columns)
    else:
        _explain_taken(draft, one, columns)


def _explain_taken(draft: Draft, one: _Open, columns: dict[str, Field]) -> None:
    taken = columns.get(one.field.take)
    if taken is not None and not is_resolved(taken):
        text = N_("It cannot be computed: {name} refers back to it or has problems.")
        draft.add(one.node.at("take"), "circle", text, name=taken.name)
    else:
        text = N_("“{how}” cannot be taken of {name}.")
        name = one.field.take
        draft.add(one.node.at("take"), "rollup_type", text, how=one.field.how, name=name)


_EXPLAINED: Mapping[str, Callable[[Draft, _Open], None]] = {
    "rollup": _explain_rollup,
    "lookup": _explain_lookup,
}
