"""Who points to a record: what is refused, cleared or deleted with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.schema.fieldtypes import field_type
from core.schema.model import Field
from core.schema.peopletypes import SINGLE_LINKS
from core.schema.scopes import tables_of
from core.tables.registry import Registry

#: Records that one deletion may change or delete along with it.
MOST = 1_000

#: Links that a cascading deletion follows, one after the other.
MOST_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Pointer:
    """One field that links to a record type.

    Attributes:
        type: record type that has the field.
        field: the `link` or `links` field.
        table: path of the table field it is a column of, such as `lines`, or `""`.
    """

    type: str
    field: Field
    table: str = ""

    @property
    def effect(self) -> Literal["restrict", "set_null", "cascade"]:
        """Return what deleting the target does; a required link cannot be cleared."""
        if self.field.on_delete == "set_null" and (self.field.required or self.table):
            return "restrict"
        return self.field.on_delete

    @property
    def path(self) -> str:
        """Return the field's name as paths have it."""
        return f"{self.table}.{self.field.name}" if self.table else self.field.name


def pointers_to(registry: Registry, type_name: str) -> tuple[Pointer, ...]:
    """Return every field of the release that links to a record type."""
    return registry.memo(
        ("records.pointers", type_name), lambda: tuple(_pointers(registry, type_name))
    )


def _pointers(registry: Registry, type_name: str) -> Iterator[Pointer]:
    for name in registry.tables:
        for field in registry.record_type(name).fields:
            if field.target == type_name and field_type(field.type).points:
                yield Pointer(name, field)
        for path, table in tables_of(registry.record_type(name)):
            for inner in table.fields:
                if inner.target == type_name and inner.type in SINGLE_LINKS:
                    yield Pointer(name, inner, path)


def owners(
    connection: Connection, registry: Registry, pointer: Pointer, record_id: str, *, limit: int
) -> list[str]:
    """Return the ids of live records that point to a record through one field."""
    tables = registry.tables[pointer.type]
    main, name = tables.main, pointer.field.name
    condition: sa.ColumnElement[Any]
    if pointer.table:
        child = tables.rows_of(pointer.table)
        condition = main.c.id.in_(sa.select(child.c.record_id).where(child.c[name] == record_id))
    elif pointer.field.type == "links":
        links = tables.links[name]
        condition = main.c.id.in_(
            sa.select(links.c.record_id).where(links.c.target_id == record_id)
        )
    else:
        condition = main.c[name] == record_id
    statement = (
        sa.select(main.c.id)
        .where(condition, main.c.deleted_at.is_(None), main.c.id != record_id)
        .order_by(main.c.id)
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())
