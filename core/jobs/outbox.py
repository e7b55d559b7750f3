"""The outbox: events written in the business transaction, delivered after its commit.

A row that is not committed was never emitted, and a committed one is delivered at
least once whatever dies in between. `seq` orders events; `id` is the idempotency key
that goes to other systems. `visible_at` is both the schedule and the lease: a worker
that takes an event moves it into the future, so the event comes back by itself when
that worker is gone.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import Clock, to_wire
from core.db import metadata
from core.ids import new_id
from core.prebuilt import inserting

#: States of an event: to be delivered, given up, or delivered and kept for its key.
READY, DEAD, DONE = "ready", "dead", "done"

outbox = sa.Table(
    "gx_outbox",
    metadata,
    sa.Column(
        "seq",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("id", sa.String(36), nullable=False, doc="idempotency key for other systems"),
    sa.Column("topic", sa.String(80), nullable=False),
    sa.Column("payload", sa.Text, nullable=False, doc="JSON object"),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("visible_at", sa.String(27), nullable=False, doc="empty means at once"),
    sa.Column("state", sa.String(5), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, doc="also the token of the present lease"),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("key", sa.String(200), nullable=True, doc="at most one event per key"),
    # Without it SQLite gives the number of a deleted last row to the next one.
    sqlite_autoincrement=True,
)
# Every question names the state, so plain indexes serve it; a partial one would not be
# used with a bound state on SQLite.
sa.Index("ix_gx_outbox__state", outbox.c.state, outbox.c.visible_at, outbox.c.seq)
sa.Index("ix_gx_outbox__age", outbox.c.state, outbox.c.created_at)
sa.Index(
    "ux_gx_outbox__key",
    outbox.c.key,
    unique=True,
    postgresql_where=outbox.c.key.is_not(None),
    sqlite_where=outbox.c.key.is_not(None),
)

#: Set on a pooled connection that wrote an event; the worker wakes when it is given back.
EMITTED = "gx_emitted"

_insert = outbox.insert()
#: So many events are quicker one by one than as one statement of SQLAlchemy.
_FEW = 3
_keyed = {
    "sqlite": sqlite.insert(outbox).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(outbox).on_conflict_do_nothing(),
}
_encode = msgspec.json.Encoder().encode
_clock = Clock()


def emit(
    connection: Connection,
    topic: str,
    payload: Mapping[str, Any],
    *,
    at: datetime | None = None,
    key: str | None = None,
) -> None:
    """Write one event in the caller's transaction.

    `at` delays the delivery. With a `key` that was already emitted within the last
    days nothing is written, so an operation that is repeated emits once.
    """
    row = _row(topic, payload, to_wire(_clock.now()))
    if at is not None:
        row["visible_at"] = to_wire(at)
    if key is None:
        inserting(outbox, connection.dialect, tuple(row)).run(connection, row)
    else:
        connection.execute(_keyed[connection.dialect.name], row | {"key": key})
    connection.info[EMITTED] = True


def emit_many(connection: Connection, events: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write many `(topic, payload)` events in the caller's transaction, in their order."""
    now = to_wire(_clock.now())
    rows = [_row(topic, payload, now) for topic, payload in events]
    if len(rows) <= _FEW:
        for row in rows:
            inserting(outbox, connection.dialect, tuple(row)).run(connection, row)
    else:
        connection.execute(_insert, rows)
    if rows:
        connection.info[EMITTED] = True


def _row(topic: str, payload: Mapping[str, Any], now: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "topic": topic,
        "payload": _encode(payload).decode(),
        "created_at": now,
        "visible_at": "",
        "state": READY,
        "attempts": 0,
        "error": "",
        "key": None,
    }
