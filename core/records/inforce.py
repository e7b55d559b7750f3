"""Documents in force: one row, kept for good, whenever one takes effect or is voided.

Rules that decide over money ask what held and was known at a moment. The live rows say only
what holds now; these say it for every moment, in the order of audit numbers, which is the
order of commits.
"""

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, RootTransaction

from core.appendonly import append_only
from core.context import Context
from core.db import metadata
from core.prebuilt import Prebuilt
from core.records.children import attach
from core.records.counters import AUDIT_SEQ, last_number
from core.records.pastreading import KeptRecords, kept_fields
from core.records.wire import instant_text, wire_of
from core.schema.model import RecordType
from core.tables.registry import Registry

T = TypeVar("T")

Action = Literal["effective", "void"]

in_force_table = append_only(
    sa.Table(
        "gx_in_force",
        metadata,
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False, doc="audit number"),
        sa.Column("record_type", sa.String(80), nullable=False),
        sa.Column("record_id", sa.String(36), nullable=False),
        sa.Column("at", sa.String(27), nullable=False, doc="UTC, RFC 3339 with microseconds"),
        sa.Column("action", sa.String(12), nullable=False, doc="effective or void"),
        sa.Column("release", sa.Integer, nullable=False, doc="under which it was written"),
        sa.Column("values", sa.Text, nullable=False, doc="JSON: name -> value, wire form"),
        sa.Index("ix_gx_in_force__type", "record_type", "seq"),
        sa.Index("ix_gx_in_force__record", "record_id", "seq"),
    )
)

#: Records of one statement of the backfill.
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Effect:
    """A document that took effect or was voided.

    Attributes:
        seq: its audit number; later ones win over earlier ones.
        at: when, in UTC.
        action: `effective` or `void`.
        values: all stored values of the document then, as Python values by today's names, in
            conditions too; rows of table fields with their `id` and `position`; secrets are
            left out.
    """

    seq: int
    record_id: str
    at: datetime
    action: Action
    values: Mapping[str, Any]


def audit_seq(ctx: Context) -> int:
    """Return the highest audit number, which says what was known; 0 before the first approval."""
    with ctx.reading() as connection:
        return last_number(connection, AUDIT_SEQ)


def in_force(
    ctx: Context,
    record_type: str,
    make: Callable[[T | None, Sequence[Effect]], T],
    *,
    seq: int | None = None,
) -> T:
    """Return what `make` made of a type's documents, in force and voided, so far.

    The process keeps it per database, release, type and `make`; when documents took effect
    since, `make` is called with it and with those alone. So it is a function of a module, it
    reads nothing, and what it returns is new or may still be used by those who have the one
    before. It may know effects after `seq`, or after what the transaction sees: whoever asks
    what was known then looks at their numbers.

    Args:
        ctx: who asks; every document is seen, whatever their rights.
        record_type: whose documents.
        make: takes what it returned before, None at first, and new effects by number.
        seq: the audit number that must be known; without it the highest.

    Raises:
        NotFound: there is no such record type.
    """
    found = ctx.registry.record_type(record_type)
    with ctx.reading() as connection:
        if connection.get_transaction() in _drawing:
            # What this transaction put in force may yet be taken back, so nobody else sees it.
            return make(None, read_effects(connection, ctx.registry, found, upto=audit_seq(ctx)))
        key = ("records.inforce", ctx.db, found.name, make)
        kept: _Kept[T] = ctx.registry.memo(key, _Kept)
        if seq is None or kept.seq < seq:
            kept.follow(connection, ctx.registry, found, make, audit_seq(ctx))
        return cast("T", kept.value)


@dataclass(slots=True)
class _Kept(Generic[T]):
    """What a `make` made of the effects up to `seq`."""

    seq: int = -1
    value: T | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def follow(
        self,
        connection: Connection,
        registry: Registry,
        record_type: RecordType,
        make: Callable[[T | None, Sequence[Effect]], T],
        upto: int,
    ) -> None:
        """Have the effects up to a number that is committed in it, once for all who wait."""
        if self.seq >= upto:
            return
        with self.lock:
            if self.seq >= upto:
                return
            new = read_effects(connection, registry, record_type, after=self.seq, upto=upto)
            if new or self.seq < 0:
                self.value = make(self.value, new)
            self.seq = upto  # last: whoever sees it may take the value


def read_effects(
    connection: Connection,
    registry: Registry,
    record_type: RecordType,
    *,
    after: int = -1,
    upto: int,
) -> list[Effect]:
    """Return a type's effects with numbers over `after`, up to `upto`, in their order."""
    kept = KeptRecords(connection, registry, record_type, is_judged=True)
    rows = _reading(connection.dialect, record_type.names).raw(
        connection, {"after": after, "upto": upto}
    )
    read, instant = kept.read, datetime.fromisoformat
    return [
        Effect(seq, record_id, instant(at), action, read(record_id, release, text))
        for seq, record_id, at, action, release, text in rows
    ]


@lru_cache(maxsize=256)
def _reading(dialect: Dialect, names: tuple[str, ...]) -> Prebuilt:
    table = in_force_table.c
    query = (
        sa.select(
            table.seq, table.record_id, table.at, table.action, table.release, table["values"]
        )
        .where(
            table.record_type.in_(names),
            table.seq > sa.bindparam("after", type_=sa.BigInteger),
            table.seq <= sa.bindparam("upto", type_=sa.BigInteger),
        )
        .order_by(table.seq)
    )
    return Prebuilt(query, dialect, is_planned_once=False)


# -- writing ----------------------------------------------------------------------------------

#: Transactions that put documents in force and have not ended.
_drawing: "weakref.WeakSet[RootTransaction]" = weakref.WeakSet()


def keep_effect(
    connection: Connection,
    registry: Registry,
    record_type: RecordType,
    record: Mapping[str, Any],
    action: Action,
) -> None:
    """Keep that a document took effect or was voided, in the transaction that does it.

    `record` is the whole document as it is stored now, with its audit number and instant.
    """
    transaction = connection.get_transaction()
    if isinstance(transaction, RootTransaction):
        _drawing.add(transaction)
    connection.execute(in_force_table.insert(), _row(registry, record_type, record, action))


def _row(
    registry: Registry, record_type: RecordType, record: Mapping[str, Any], action: Action
) -> dict[str, Any]:
    wire = wire_of(registry, record_type.name)
    values = {one.name: wire.kept(one.name, record[one.name]) for one in kept_fields(record_type)}
    return {
        "seq": record["audit_seq"],
        "record_type": record_type.name,
        "record_id": record["id"],
        "at": instant_text(record["audited_at"]),
        "action": action,
        "release": registry.release.number,
        "values": msgspec.json.encode(values).decode(),
    }


def backfill_in_force(connection: Connection, registry: Registry) -> int:
    """Keep the effect of documents in force that lack it, and return how many there were.

    They took effect before effects were kept. It may be done again, and by two at once.
    """
    make = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(
        in_force_table
    )
    count = 0
    for record_type in registry.release.types.values():
        if not record_type.document or record_type.archived:
            continue
        for records in _without_effect(connection, registry, record_type):
            rows = [_row(registry, record_type, one, "effective") for one in records]
            connection.execute(make.on_conflict_do_nothing(), rows)
            count += len(rows)
    return count


def _without_effect(
    connection: Connection, registry: Registry, record_type: RecordType
) -> "list[list[dict[str, Any]]]":
    """Return the documents in force that have no effect of their audit number, in batches."""
    tables = registry.tables[record_type.name]
    main, known = tables.main, in_force_table.c.seq
    query = (
        sa.select(main)
        .outerjoin(in_force_table, known == main.c.audit_seq)
        .where(
            main.c.status == "effective",
            main.c.audit_seq.is_not(None),
            main.c.deleted_at.is_(None),
            known.is_(None),
        )
        .order_by(main.c.audit_seq)
    )
    found = [dict(row) for row in connection.execute(query).mappings()]
    batches = [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
    for records in batches:
        names = (*tables.children, *tables.links)
        attach(connection, registry, record_type.name, records, names)
    return batches
