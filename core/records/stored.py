"""One stored record, locked for a write, with what its actor may do with it."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, NotFound, StaleVersion
from core.ids import is_id
from core.policies.access import Access, Sight
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt
from core.records.binding import bound
from core.records.children import attach
from core.tables.registry import Registry

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A record as it is.

    Attributes:
        values: every column of its row, in Python values.
        sight: what the actor sees of it.
        editable: names that the actor may write by the action it was locked for.
    """

    values: Record
    sight: Sight
    editable: frozenset[str]


def whole_record(
    connection: Connection,
    registry: Registry,
    type_name: str,
    record_id: str,
    *,
    lock: bool = False,
) -> Record:
    """Return every stored value of a living record, whoever asks; locked if wanted.

    Values are Python values, with those of every table and links field.

    Raises:
        NotFound: there is no such record.
    """
    tables, dialect = registry.tables[type_name], connection.dialect

    def make() -> Prebuilt:
        query = sa.select(tables.main).where(
            tables.main.c.id == sa.bindparam("id"), tables.main.c.deleted_at.is_(None)
        )
        return Prebuilt(query.with_for_update(key_share=True) if lock else query, dialect)

    key = ("records.whole", type_name, lock, dialect.name)
    rows = registry.memo(key, make).rows(connection, {"id": record_id})
    if not rows:
        raise NotFound
    record = dict(zip(tables.main.c.keys(), rows[0], strict=True))
    attach(connection, registry, type_name, [record], [*tables.children, *tables.links])
    return record


def lock_record(
    ctx: Context,
    connection: Connection,
    rights: Access,
    record_id: str,
    *,
    action: str,
    deleting: bool = False,
    deleted: bool = False,
) -> Stored:
    """Return a record that the actor may do `action` with, locked until the transaction ends.

    Args:
        ctx: who acts.
        connection: the write transaction.
        rights: the actor's rights on the record's type.
        record_id: which record.
        action: `edit` or `delete`.
        deleting: wait for those who are linking to it at this moment.
        deleted: take a deleted record too.

    Raises:
        NotFound: it is not there, or not there for this actor.
        Forbidden: the actor sees it but may not do this.
    """
    if not is_id(record_id) or not rights.may("view"):
        raise NotFound
    rights.require(action)
    key = ("records.lock", rights.key, action, deleting, deleted)
    prebuilt, names, views = compiled(
        ctx.registry, key, lambda: _statement(ctx, rights, action, deleting, deleted)
    )
    rows = prebuilt.rows(connection, bound(ctx, record=record_id))
    if not rows:
        raise NotFound
    row = rows[0]
    values = dict(zip(names, row, strict=False))
    masks = row[len(names) :]
    editable = rights.editable(action, masks[views:])
    if editable is None:
        raise Forbidden
    return Stored(values, rights.sight(masks[:views]), editable)


def _statement(
    ctx: Context, rights: Access, action: str, deleting: bool, deleted: bool
) -> tuple[Prebuilt, list[str], int]:
    table = ctx.registry.tables[rights.record_type.name].main
    views, edits = rights.mask_columns("view"), rights.mask_columns(action)
    statement = sa.select(table, *views, *edits).where(table.c.id == sa.bindparam("record"))
    if not deleted:
        statement = statement.where(table.c.deleted_at.is_(None))
    clause = rights.row_clause("view")
    if clause is not None:
        statement = statement.where(clause)
    # An edit need not wait for those who link to the record; a deletion must.
    statement = statement.with_for_update(key_share=not deleting, of=table)
    prebuilt = Prebuilt(statement, ctx.db.engine.dialect)
    return prebuilt, [column.key for column in table.c], len(views)


def check_version(stored: Stored, version: int | None) -> None:
    """Refuse a write that was made on another version; None is any.

    Raises:
        StaleVersion: somebody saved in between.
    """
    if version is not None and stored.values["version"] != version:
        raise StaleVersion(version=stored.values["version"])
