"""Stored formulas and rollups of records that were there before, in batches.

Values are computed in Python, by the same closures as when a record is saved, so
that a backfilled value never differs from a saved one. They are derived: neither
a record's version nor its history changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database
from core.expression import Expression, PlainEnv, compile_expression
from core.migration.steps import Step
from core.schema.model import Field, RecordType, Release
from core.schema.scopes import named_scope, table_at
from core.tables.build import TypeTables, build_tables
from core.tables.computed import computed_text
from core.tables.storage import storage_of

#: Rows of one transaction; others write between two of them.
BATCH = 2_000


class Bookmark(Protocol):
    """Where a backfill is; calling it writes down, in a batch's transaction, how far it got."""

    @property
    def cursor(self) -> str:
        """Return the last id that was done before."""

    def __call__(self, connection: Connection, cursor: str) -> None:
        """Write down that everything up to `cursor` is done."""


def backfill(db: Database, release: Release, step: Step, bookmark: Bookmark) -> None:
    """Compute the fields of a `backfill` step for every row after the bookmark."""
    name, _, table_field = step.name.partition(".")
    record_type = release.types[name]
    wanted = [column for column, _ in step.columns]
    work = _Work(release, record_type, table_field, tuple(wanted))
    cursor = bookmark.cursor
    while True:
        with db.write() as connection:
            last = work.do_batch(connection, cursor)
            if last is None:
                return
            bookmark(connection, last)
        cursor = last


@dataclass
class _Work:
    """One table's stored computed fields.

    `table_field` is `""` for the main table, `lines.parts` for rows inside of rows.
    """

    release: Release
    record_type: RecordType
    table_field: str
    wanted: tuple[str, ...]

    @cached_property
    def _fields(self) -> list[Field]:
        fields = self.record_type.fields
        if self.table_field:
            found = table_at(self.record_type, self.table_field)
            fields = found.fields if found else ()
        by_name = {one.name: one for one in fields}
        # A field that a later release took away needs no value any more.
        return [by_name[name] for name in self.wanted if name in by_name and by_name[name].stored]

    @cached_property
    def _expressions(self) -> list[tuple[Field, Expression]]:
        path = f".{self.table_field}" if self.table_field else ""
        scope = named_scope(self.release.types, self.record_type.name + path)
        if scope is None:
            return []
        return [(one, compile_expression(computed_text(one), scope)) for one in self._fields]

    @cached_property
    def _tables(self) -> TypeTables:
        return build_tables(self.record_type)

    @cached_property
    def _table(self) -> sa.Table:
        tables = self._tables
        return tables.rows_of(self.table_field) if self.table_field else tables.main

    @cached_property
    def _update(self) -> sa.Update:
        values: dict[str, Any] = {one.name: sa.bindparam(f"v_{one.name}") for one in self._fields}
        return (
            self._table.update().where(self._table.c.id == sa.bindparam("gx_row")).values(values)
        )

    def do_batch(self, connection: Connection, cursor: str) -> str | None:
        """Compute one batch; return its last id, or None when there was nothing left."""
        if not self._expressions:
            return None
        query = (
            sa.select(self._table)
            .where(self._table.c.id > cursor)
            .order_by(self._table.c.id)
            .limit(BATCH)
            .with_for_update()
        )
        rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return None
        self._add_lists(connection, rows)
        env = PlainEnv()
        updates = [self._computed(row, env) for row in rows]
        connection.execute(self._update, updates)
        return str(rows[-1]["id"])

    def _computed(self, row: dict[str, Any], env: PlainEnv) -> dict[str, Any]:
        update: dict[str, Any] = {"gx_row": row["id"]}
        for one, expression in self._expressions:
            value = fitted(one, expression.evaluate(row, env))
            row[one.name] = update[f"v_{one.name}"] = value
        return update

    def _add_lists(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Put the rows of table fields and links that the expressions read into `rows`."""
        read = {path.partition(".")[0] for _, it in self._expressions for path in it.paths}
        inner = self._tables.inner
        if self.table_field:
            below = inner.get(self.table_field, {})
            for name in read & set(below):
                _add_rows(connection, rows, name, below[name], "row_id")
            return
        sub_tables: Mapping[str, sa.Table] = {**self._tables.children, **self._tables.links}
        for name in read & set(sub_tables):
            added = _add_rows(connection, rows, name, sub_tables[name], "record_id")
            for within, table in inner.get(name, {}).items():
                _add_rows(connection, added, within, table, "row_id")


def _add_rows(
    connection: Connection,
    holders: Sequence[dict[str, Any]],
    name: str,
    table: sa.Table,
    owner: str,
) -> list[dict[str, Any]]:
    """Put the rows or linked ids of `table` into `name` of those they belong to; return them."""
    by_id: dict[str, list[Any]] = {}
    for holder in holders:
        holder[name] = by_id[holder["id"]] = []
    listed, added = sorted(by_id), []
    for start in range(0, len(listed), BATCH):
        part = listed[start : start + BATCH]
        query = (
            sa.select(table)
            .where(table.c[owner].between(part[0], part[-1]))
            .order_by(table.c[owner], table.c.position)
        )
        for found in connection.execute(query).mappings():
            if found[owner] in by_id:
                value = dict(found) if "id" in found else found["target_id"]
                by_id[found[owner]].append(value)
                if "id" in found:
                    added.append(value)
    return added


def fitted(field: Field, value: object) -> object:
    """Return a computed value as its column holds it; null where it is too large."""
    if not isinstance(value, Decimal | int) or isinstance(value, bool):
        return value
    storage = storage_of(field)
    if storage.kind not in {"decimal", "integer"}:
        return value
    number = Decimal(value)
    digits = 15 if storage.kind == "integer" else 18 - storage.scale
    if number and number.adjusted() >= digits:
        return None
    number = number.quantize(Decimal(1).scaleb(-storage.scale), ROUND_HALF_UP)
    if number and number.adjusted() >= digits:
        return None
    return int(number) if storage.kind == "integer" else number
