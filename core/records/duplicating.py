"""A new record that begins with what another one holds, as far as that may be taken over."""

from collections.abc import Iterable, Mapping
from typing import Any

from core.context import Context
from core.errors import Malformed
from core.policies.access import access
from core.records.operations import create_record
from core.records.queries import get_record
from core.records.wire import to_wire
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType

Record = dict[str, Any]


def copied_values(ctx: Context, type_name: str, record_id: str) -> Record:
    """Return the wire values that a duplicate of a record begins with.

    That is what the actor sees of it and may write into a new one, without what is unique,
    numbered, computed, secret, masked for them or not `copyable`; rows come without their ids.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may create none.
    """
    rights = access(ctx, type_name)
    rights.require("create")
    writable = rights.editable("create") or frozenset()
    record_type = rights.record_type
    wire = to_wire(ctx.registry, type_name, get_record(ctx, type_name, record_id))
    seen = set(wire).difference(wire.get("masked", ()))
    names = seen & writable & set(copied_names(record_type))
    return {
        one.name: _copied(one, wire[one.name]) for one in record_type.fields if one.name in names
    }


def copied_names(record_type: RecordType) -> list[str]:
    """Return the fields of a record type whose values a duplicate takes over."""
    names = [
        one.name
        for one in record_type.fields
        if _is_copied(one) and not (record_type.document and one.name == "status")
    ]
    for together in record_type.unique_together:
        if set(together.fields) <= set(names):
            names.remove(together.fields[0])
    return names


def duplicate_record(
    ctx: Context, type_name: str, record_id: str, changes: Mapping[str, Any]
) -> Record:
    """Create a duplicate of a record with `changes` (wire values) in place of its own values.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may create none, or not with the fields of `changes`.
        Invalid: the duplicate would break rules; what is unique must be given anew.
    """
    if not isinstance(changes, Mapping):
        raise Malformed
    with ctx.writing():
        values = copied_values(ctx, type_name, record_id)
        return create_record(ctx, type_name, {**values, **changes})


def _is_copied(field: Field) -> bool:
    return (
        field.copyable
        and not field.unique
        and not field_type(field.type).computed
        and "secret" not in {field.sensitive, field.type}
    )


def _copied(field: Field, value: Any) -> Any:
    if field.type != "table":
        return value
    return [_row(field.fields, row) for row in value or ()]


def _row(columns: Iterable[Field], row: Mapping[str, Any]) -> Record:
    return {
        one.name: _copied(one, row[one.name])
        for one in columns
        if one.name in row and _is_copied(one)
    }
