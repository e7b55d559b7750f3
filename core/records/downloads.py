"""Who may read a file: asked anew at every download, of the records that hold it.

A file nobody used yet is its uploader's alone. One that records hold is for whoever may
see, right now, a field of one of these records with the file in it; or, with the right
to the record's history, in one of its earlier versions.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import NotFound, UserError
from core.files.models import file_table, use_table
from core.ids import is_id
from core.policies.access import access
from core.records.history import may_read_history
from core.records.queries import get_record
from core.schema.filetypes import FILE_TYPES, file_ids
from core.schema.model import Field, RecordType
from core.tables.registry import Registry

#: Places of one file that are looked at; a file in more is found through its first ones.
_MOST_PLACES = 200


def find_file(ctx: Context, file_id: str) -> dict[str, Any]:
    """Return the row of a file that the actor may read now.

    Raises:
        NotFound: it is not there, or not for this actor.
    """
    if not is_id(file_id):
        raise NotFound
    with ctx.reading() as connection:
        statement = sa.select(file_table).where(file_table.c.id == file_id)
        found = connection.execute(statement).mappings().first()
        row = dict(found or {})
        if not row or not is_readable(ctx, connection, row):
            raise NotFound
    return row


def is_readable(ctx: Context, connection: Connection, row: Mapping[str, Any]) -> bool:
    """Return whether the actor may read the file of a `gx_file` row."""
    if ctx.actor.is_system:
        return True
    if row["bound_at"] is None:
        return bool(row["created_by"] == ctx.actor.id)
    return any(
        _shows(ctx, type_name, record_id, names, file_id=row["id"])
        for (type_name, record_id), names in _uses(connection, row["id"]).items()
    )


def _uses(connection: Connection, file_id: str) -> dict[tuple[str, str], set[str]]:
    """Return where a file was taken in: (record type, record id) -> its fields."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    use = use_table.c
    statement = (
        sa.select(use.record_type, use.record_id, use.field)
        .where(use.file_id == file_id)
        .limit(_MOST_PLACES)
    )
    for type_name, record_id, name in connection.execute(statement):
        found[type_name, record_id].add(name)
    return found


def _shows(ctx: Context, type_name: str, record_id: str, names: set[str], *, file_id: str) -> bool:
    """Return whether a record shows its reader the file in one of the fields `names`."""
    record_type = ctx.registry.release.type(type_name)
    if record_type is None:
        return False
    fields = [one for one in record_type.fields if one.name in names]
    rights = access(ctx, type_name)
    possible = [one for one in fields if one.name in rights.possible]
    if not possible or not rights.may("view"):
        return False
    for sight in _sights(ctx, type_name, record_id):
        if any(file_id in held_ids(one, sight.get(one.name)) for one in possible):
            return True
    earlier = {one.name for one in possible} & rights.certain
    return bool(earlier) and may_read_history(ctx, type_name, record_id)


def _sights(ctx: Context, type_name: str, record_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield the values that a reader of a record sees: its own, then those proposed."""
    try:
        record = get_record(ctx, type_name, record_id)
    except UserError:
        return  # deleted, or out of this reader's sight
    yield record
    if record.get("proposal"):
        yield record["proposal"]["values"]
        yield record["proposal"]["base"]


def holding_fields(registry: Registry, record_type: RecordType) -> tuple[Field, ...]:
    """Return the fields of a record type that can hold files, table fields included."""
    return registry.memo(
        ("records.holding", record_type.name),
        lambda: tuple(one for one in record_type.fields if _can_hold(one)),
    )


def _can_hold(field: Field) -> bool:
    return field.type in FILE_TYPES or any(_can_hold(inner) for inner in field.fields)


def held_at(field: Field, value: Any, path: str) -> Iterator[tuple[Field, str, str]]:
    """Yield each file of a field's value: the field or column that holds it, id and path."""
    if field.type in FILE_TYPES:
        for position, file_id in enumerate(file_ids(field, value)):
            yield field, file_id, f"{path}.{position}" if field.type == "files" else path
        return
    for inner in field.fields:
        if _can_hold(inner):
            for position, row in enumerate(value or ()):
                yield from held_at(inner, row.get(inner.name), f"{path}.{position}.{inner.name}")


def held_ids(field: Field, value: Any) -> Iterator[str]:
    """Yield the ids of the files that a field's value holds, rows of table fields included."""
    return (file_id for _, file_id, _ in held_at(field, value, ""))


def readable_pictures(ctx: Context, ids: Iterable[str]) -> set[str]:
    """Return those of `ids` that are pictures which can be shown and the actor may read now."""
    wanted = sorted(set(ids))[:_MOST_PLACES]
    if not wanted:
        return set()
    statement = sa.select(file_table).where(
        file_table.c.id.in_(wanted), file_table.c.thumbnail.is_not(None)
    )
    with ctx.reading() as connection:
        rows = connection.execute(statement).mappings().all()
        return {row["id"] for row in rows if is_readable(ctx, connection, dict(row))}
