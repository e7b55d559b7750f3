"""Whether the tables are what the release in force says; part of `guanxi verify`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeEngine

from core.db import Database
from core.migration.run import open_steps
from core.schema.model import RecordType
from core.tables.build import build_tables
from core.tables.indexes import indexes_of
from core.tables.registry import Registry

if TYPE_CHECKING:
    from alembic.migration import MigrationContext

_COLLATION = re.compile(r' COLLATE ".*"')

#: One difference as Alembic tells it: its kind and its particulars.
_Difference = Sequence[Any]


def table_problems(db: Database, registry: Registry) -> list[str]:
    """Return what differs between the record tables and the release, in English.

    Columns and tables that the release does not know are no problem: they hold
    what was set aside.
    """
    with db.read() as connection:
        problems = compare_tables(connection, registry.release.types.values())
        for step, state, error in open_steps(connection):
            what = f"{step.op} {step.name or step.table}"
            problems.append(f"migration step left open ({state}): {what} {error}".rstrip())
    return problems


def compare_tables(connection: Connection, record_types: Iterable[RecordType]) -> list[str]:
    """Return what differs for some record types: tables, columns, types and indexes."""
    types = list(record_types)
    metadata = sa.MetaData()
    for record_type in types:
        for table in build_tables(record_type, with_archived=True):
            table.to_metadata(metadata)
    wanted = set(metadata.tables)
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415  slow
    from alembic.migration import MigrationContext  # noqa: PLC0415  slow

    context = MigrationContext.configure(
        connection,
        opts={
            "include_object": lambda _object, _name, kind, _reflected, _compared: (
                kind in {"table", "column"}
            ),
            "include_name": lambda name, kind, _parents: kind != "table" or name in wanted,
            "compare_type": _has_other_type,
        },
    )
    found: list[_Difference] = []
    for entry in compare_metadata(context, metadata):
        found += entry if isinstance(entry, list) else [entry]
    texts = [text for text in map(_sentence, found) if text]
    return texts + list(_missing_indexes(connection, types))


def _has_other_type(
    context: "MigrationContext", *columns_and_types: sa.Column[Any] | TypeEngine[Any]
) -> bool:
    """Return whether a column's type in the database differs from the declared one."""
    dialect = context.dialect
    _, _, found, wanted = columns_and_types
    texts = [
        _COLLATION.sub("", one.compile(dialect=dialect))
        for one in (found, wanted)
        if isinstance(one, TypeEngine)
    ]
    return len(set(texts)) > 1


def _sentence(difference: _Difference) -> str:
    """Return one of Alembic's differences as a sentence, `""` when it does no harm."""
    kind, *rest = difference
    if kind == "add_table":
        return f"table {rest[0].name} is missing"
    if kind == "add_column":
        return f"column {rest[1]}.{rest[2].name} is missing"
    if kind == "modify_type":
        return f"column {rest[1]}.{rest[2]} is {rest[4]} instead of {rest[5]!r}"
    if kind == "modify_nullable":
        return f"column {rest[1]}.{rest[2]} has another rule for nulls"
    return ""


def _missing_indexes(connection: Connection, types: Iterable[RecordType]) -> Iterator[str]:
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    found: dict[str, dict[str, bool]] = {}
    for record_type in types:
        for spec in indexes_of(record_type):
            if spec.table not in there:
                continue
            if spec.table not in found:
                found[spec.table] = {
                    str(one["name"]): bool(one["unique"])
                    for one in inspector.get_indexes(spec.table)
                }
            if found[spec.table].get(spec.name) is not spec.unique:
                yield f"index {spec.name} on {spec.table} is missing"
