"""What the expressions of a record type can see."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from core.expression.types import DATETIME, NUMBER, TEXT, Scope, Type
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType, Release

#: System columns that expressions can read.
SYSTEM_TYPES: Mapping[str, Type] = {
    "id": TEXT,
    "version": NUMBER,
    "created_at": DATETIME,
    "created_by": TEXT,
    "updated_at": DATETIME,
    "updated_by": TEXT,
}
#: The same of documents.
DOCUMENT_TYPES: Mapping[str, Type] = {"audited_at": DATETIME, "audit_seq": NUMBER}

VARIABLES: Mapping[str, Type] = {"current_user": TEXT}

#: Scopes of a sale at the till, by name: what each of their names is a record or row of. The
#: colon keeps them apart from every record type, whatever a site calls its own.
TILL_SCOPES: Mapping[str, Mapping[str, str]] = {
    "till:sale": {"sale": "order", "member": "member", "card": "card", "store": "store"},
    "till:line": {
        "sale": "order",
        "line": "order.lines",
        "member": "member",
        "card": "card",
        "store": "store",
    },
}


def is_resolved(field: Field) -> bool:
    """Return whether the type of a field is known; a formula's is found at publish."""
    if field.type == "table":
        return all(is_resolved(one) for one in field.fields)
    return field.type not in {"formula", "rollup", "lookup"} or bool(field.result)


def expression_types(record_type: RecordType) -> dict[str, Type]:
    """Return the type of everything that an expression over a record can name."""
    types = dict(SYSTEM_TYPES)
    if record_type.document:
        types.update(DOCUMENT_TYPES)
    for field in record_type.fields:
        if is_resolved(field):
            types[field.name] = field_type(field.type).expression_type(field)
    return types


def types_of(types: Mapping[str, RecordType], name: str) -> Mapping[str, Type]:
    """Return the expression types of the record type called `name`, none when there is none.

    `TYPE.TABLE` gives those of one row of a table field.
    """
    type_name, _, path = name.partition(".")
    found = types.get(type_name)
    if found is None or found.archived:
        return {}
    if not path:
        return expression_types(found)
    table = table_at(found, path)
    return {} if table is None else row_types(table)


def scope_in(types: Mapping[str, RecordType], name: str) -> Scope:
    """Return the scope of a record type among `types`."""
    return Scope(
        fields=types_of(types, name),
        record_types=partial(types_of, types),
        variables=VARIABLES,
        name=name,
    )


def named_scope(types: Mapping[str, RecordType], name: str) -> Scope | None:
    """Return the scope called `TYPE`, or None; `TYPE.TABLE` is one row of a table field.

    The rows inside those rows are `TYPE.TABLE.TABLE`. `till:sale` and `till:line` are a
    sale at the till, where there are orders.
    """
    type_name, _, path = name.partition(".")
    if is_till_scope(types, name):
        return till_scope(types, name)
    found = types.get(type_name)
    if found is None or found.archived:
        return None
    if not path:
        return scope_in(types, type_name)
    table = table_at(found, path)
    owner = name.rpartition(".")[0]
    return row_scope(types, table, owner) if table is not None else None


def is_till_scope(types: Mapping[str, RecordType], name: str) -> bool:
    """Return whether a scope is a sale at the till; there is none without orders."""
    return name in TILL_SCOPES and "order" in types


def till_scope(types: Mapping[str, RecordType], name: str) -> Scope:
    """Return the scope of conditions over a sale at the till, with or without one of its lines.

    Each name is a record, absent where the sale has none: `card.card_type.code`.
    """
    return Scope(
        fields={
            one: Type("record", target=target)
            for one, target in TILL_SCOPES[name].items()
            if types_of(types, target)
        },
        record_types=partial(types_of, types),
        variables=VARIABLES,
        name=name,
    )


def table_at(record_type: RecordType, path: str) -> Field | None:
    """Return the table field at `lines`, or the one inside it at `lines.parts`; None without."""
    holder: RecordType | Field = record_type
    for name in path.split("."):
        found = next((one for one in holder.fields if one.name == name), None)
        if found is None or found.type != "table":
            return None
        holder = found
    return holder if isinstance(holder, Field) else None


def tables_of(record_type: RecordType) -> Iterator[tuple[str, Field]]:
    """Yield every table field of a record type with its path, those inside others after these."""
    for one in record_type.fields:
        if one.type == "table":
            yield one.name, one
            for inner in one.fields:
                if inner.type == "table":
                    yield f"{one.name}.{inner.name}", inner


def record_scope(release: Release, type_name: str) -> Scope:
    """Return the scope of expressions over records of `type_name`."""
    return scope_in(release.types, type_name)


def column_scope(types: Mapping[str, RecordType], table: Field, owner: str) -> Scope:
    """Return the scope of conditions of a table field's columns: the row, around it its record.

    Where the owner is `TYPE.TABLE`, the row that holds it stands between the two.
    """
    type_name, _, path = owner.partition(".")
    outer = scope_in(types, type_name)
    holder = table_at(types[type_name], path) if path else None
    if holder is not None:
        outer = column_scope(types, holder, owner.rpartition(".")[0])
    return replace(row_scope(types, table, owner), outer=outer)


def row_scope(types: Mapping[str, RecordType], table: Field, owner: str) -> Scope:
    """Return the scope of expressions over one row of a table field.

    `owner` is its record type, or `TYPE.TABLE` where the table stands inside that one's rows.
    """
    return Scope(
        fields=row_types(table),
        record_types=partial(types_of, types),
        variables=VARIABLES,
        name=f"{owner}.{table.name}",
    )


def row_types(table: Field) -> dict[str, Type]:
    """Return the type of everything that an expression over a table field's row can name."""
    row = {
        one.name: field_type(one.type).expression_type(one)
        for one in table.fields
        if is_resolved(one)
    }
    return {"position": NUMBER} | row
