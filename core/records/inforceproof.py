"""Whether what is kept of documents in force agrees with their rows; part of `guanxi verify`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database
from core.records.children import attach
from core.records.counters import AUDIT_SEQ, last_number
from core.records.inforce import in_force_table
from core.records.pastreading import KeptRecords, kept_fields
from core.records.subject import is_empty
from core.records.wire import instant_text
from core.schema.fieldtypes import is_written
from core.schema.model import Field, RecordType
from core.tables.registry import Registry

Record = Mapping[str, Any]

#: Documents of one statement.
_BATCH = 500


def count_effects(db: Database) -> int:
    """Return how often a document took effect or was voided."""
    with db.read() as connection:
        count = sa.select(sa.func.count()).select_from(in_force_table)
        return int(connection.execute(count).scalar_one())


def in_force_problems(db: Database, registry: Registry) -> Iterator[str]:
    """Yield what differs between documents and their last effects; nothing when all agree.

    A link whose target is gone may be another by now, or empty: the deletion or the merge of
    the target did that, and its history says so.
    """
    with db.read() as connection:
        highest = last_number(connection, AUDIT_SEQ)
        over = sa.select(in_force_table.c.seq).where(in_force_table.c.seq > highest)
        for seq in connection.execute(over).scalars():
            yield f"audit number {seq} was never given"
        for record_type in registry.release.types.values():
            if record_type.document and not record_type.archived:
                yield from _Proof(connection, registry, record_type).problems()


class _Proof:
    """The documents of one type, held against their last effects."""

    def __init__(
        self, connection: Connection, registry: Registry, record_type: RecordType
    ) -> None:
        self._connection, self._registry, self._type = connection, registry, record_type
        self._tables = registry.tables[record_type.name]
        self._kept = KeptRecords(connection, registry, record_type)
        self._fields = [
            one
            for one in kept_fields(record_type)
            if one.name != "status" and (is_written(one) or one.type == "sequence")
        ]

    def problems(self) -> Iterator[str]:
        main, name = self._tables.main.c, self._type.name
        latest = self._latest()
        for start in range(0, len(latest), _BATCH):
            part = latest[start : start + _BATCH]
            live = self._live([row["record_id"] for row in part])
            for row in part:
                for problem in self._differences(row, live.get(row["record_id"])):
                    yield f"{name} {row['record_id']}: {problem}"
        query = sa.select(main.id).where(
            main.status == "effective",
            main.deleted_at.is_(None),
            ~sa.exists().where(
                in_force_table.c.record_id == main.id,
                in_force_table.c.record_type.in_(self._type.names),
            ),
        )
        for record_id in self._connection.execute(query.order_by(main.id)).scalars():
            yield f"{name} {record_id}: it is effective and nothing says since when"

    def _latest(self) -> Sequence[sa.RowMapping]:
        """Return the last effect of each document."""
        own = in_force_table.c.record_type.in_(self._type.names)
        last = (
            sa.select(sa.func.max(in_force_table.c.seq))
            .where(own)
            .group_by(in_force_table.c.record_id)
        )
        query = sa.select(in_force_table).where(in_force_table.c.seq.in_(last))
        return (
            self._connection.execute(query.order_by(in_force_table.c.record_id)).mappings().all()
        )

    def _live(self, ids: Sequence[str]) -> dict[str, Record]:
        main = self._tables.main
        query = sa.select(main).where(main.c.id.in_(ids), main.c.deleted_at.is_(None))
        records = [dict(row) for row in self._connection.execute(query).mappings()]
        names = (*self._tables.children, *self._tables.links)
        attach(self._connection, self._registry, self._type.name, records, names)
        return {record["id"]: record for record in records}

    def _differences(self, row: sa.RowMapping, live: Record | None) -> Iterator[str]:
        if live is None:
            if row["action"] == "effective":
                yield "it is in force, but there is no such record"
            return
        if (live["status"] == "effective") != (row["action"] == "effective"):
            yield f"its status is {live['status']}, its last effect says {row['action']}"
        if live["audit_seq"] != row["seq"]:
            yield f"its audit number is {live['audit_seq']}, its last effect has {row['seq']}"
        audited_at = live["audited_at"]
        if audited_at is None or instant_text(audited_at) != row["at"]:
            yield "it was audited at another moment than its last effect says"
        kept = self._kept.read(row["record_id"], row["release"], row["values"])
        for field in self._fields:
            if not _is_same(field, kept[field.name], live.get(field.name), self._is_there):
                yield f"{field.name} is another than what took effect"

    def _is_there(self, type_name: str, record_id: str) -> bool:
        tables = self._registry.tables.get(type_name)
        if tables is None:
            return False
        main = tables.main.c
        query = sa.select(main.id).where(main.id == record_id, main.deleted_at.is_(None))
        return self._connection.execute(query).first() is not None


def _is_same(field: Field, kept: Any, live: Any, is_there: Callable[[str, str], bool]) -> bool:
    if kept == live or (is_empty(kept) and is_empty(live)):
        return True
    if field.type == "table":
        return len(kept or ()) == len(live or ()) and all(
            one.get("id") == it.get("id")
            and all(
                _is_same(cell, one.get(cell.name), it.get(cell.name), is_there)
                for cell in field.fields
                if is_written(cell)
            )
            for one, it in zip(kept, live, strict=True)
        )
    if field.type in {"link", "links"}:
        targets = [kept] if isinstance(kept, str) else kept or ()
        return any(not is_there(field.target, one) for one in targets)
    return False
