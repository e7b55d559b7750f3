"""Taking events from the outbox, and what becomes of them.

An event is taken by moving its `visible_at` into the future and counting the attempt;
that count is the token of the lease, and every later write checks it, so a worker that
was thought dead cannot finish what another one has taken over.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection, Dialect

from core.clock import to_wire
from core.db import metadata
from core.errors import NotFound
from core.jobs.handlers import Event, Handler
from core.jobs.leases import lease
from core.jobs.outbox import DEAD, DONE, EMITTED, READY, outbox
from core.prebuilt import Prebuilt

#: Deliveries that are tried before an event is given up.
MAX_ATTEMPTS = 10
#: New events taken at once; those that failed before are taken one by one.
BATCH = 100
#: How long a taken event stays hidden from other workers.
LEASE = timedelta(seconds=60)
#: How long a delivered event's key is remembered.
KEEP_KEYS = timedelta(days=7)

_LONGEST_WAIT = 3600
_ERROR_LENGTH = 2000
_DEPTH_CAP = 100_000

delivered = sa.Table(
    "gx_delivered",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("handler", sa.String(200), primary_key=True),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Health:
    """How the delivery of events is doing.

    Attributes:
        beat: when a worker was last alive; None when there never was one.
        depth: events waiting, counted up to 100,000.
        oldest: when the oldest waiting event was emitted.
        dead: events that were given up.
    """

    beat: datetime | None
    depth: int
    oldest: datetime | None
    dead: int


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after the given number of failed attempts."""
    return timedelta(seconds=min(2**attempts, _LONGEST_WAIT))


def has_due(connection: Connection, now: datetime) -> bool:
    """Return whether an event is due; one index look-up, so an idle worker costs nothing."""
    return bool(_due(connection.dialect).raw(connection, {"now": to_wire(now)}))


def take(
    connection: Connection,
    wanting: Callable[[Sequence[Event]], Mapping[int, Sequence[Handler]]],
    now: datetime,
    lease_for: timedelta = LEASE,
) -> tuple[list[tuple[Event, Sequence[Handler]]], int]:
    """Take due events; return those to deliver, each with its handlers, and how many were settled.

    An event that failed before is taken alone, so that one which kills the process
    does not use up the attempts of its neighbours.

    Args:
        connection: the write transaction that takes them.
        wanting: gives the handlers of some events by `seq`; what is not there is settled, as
            nobody wants it.
        now: what is due by then is taken.
        lease_for: how long the events stay hidden from other workers.
    """
    due, failed = {"now": to_wire(now)}, _taking(connection.dialect, have_failed=True)
    rows = [_Row(*row) for row in failed.rows(connection, due)]
    fresh = _taking(connection.dialect, have_failed=False)
    rows += [_Row(*row) for row in fresh.rows(connection, due)]
    # Only a worker that died at the last attempt leaves an event like that.
    spent = [row.seq for row in rows if row.attempts >= MAX_ATTEMPTS]
    if spent:
        connection.execute(outbox.update().where(outbox.c.seq.in_(spent)).values(state=DEAD))
    found = [_event(row) for row in rows if row.attempts < MAX_ATTEMPTS]
    handlers = wanting(found) if found else {}
    finish(connection, [event.seq for event in found if event.seq not in handlers])
    if handlers:
        connection.execute(
            outbox.update()
            .where(outbox.c.seq.in_(list(handlers)))
            .values(visible_at=to_wire(now + lease_for), attempts=outbox.c.attempts + 1)
        )
    taken = [(event, handlers[event.seq]) for event in found if event.seq in handlers]
    return taken, len(rows) - len(taken)


def hold(connection: Connection, event: Event, until: datetime) -> bool:
    """Lengthen the lease on `event`; return False when it was lost to another worker."""
    held = connection.execute(
        outbox.update().where(_mine(event)).values(visible_at=to_wire(until))
    )
    return bool(held.rowcount)


def finish(connection: Connection, seqs: Iterable[int]) -> None:
    """Remove delivered events; those with a key stay for a while, to refuse it."""
    seqs = list(seqs)
    if not seqs:
        return
    listed = msgspec.json.encode(seqs).decode() if connection.dialect.name == "sqlite" else seqs
    for prebuilt in _finishing(connection.dialect):
        prebuilt.run(connection, {"seqs": listed})


def fail(connection: Connection, event: Event, error: str, now: datetime) -> bool:
    """Note a failed attempt; return whether the event is given up."""
    is_dead = event.attempt >= MAX_ATTEMPTS
    connection.execute(
        outbox.update()
        .where(_mine(event))
        .values(
            error=error[:_ERROR_LENGTH].replace("\0", ""),
            state=DEAD if is_dead else READY,
            visible_at=to_wire(now + backoff(event.attempt)),
        )
    )
    return is_dead


def give_back(connection: Connection, events: Iterable[Event]) -> None:
    """Make taken events that were not tried due again at once, without counting an attempt."""
    for event in events:
        connection.execute(
            outbox.update()
            .where(_mine(event))
            .values(visible_at="", attempts=outbox.c.attempts - 1)
        )


def remember(connection: Connection, event: Event, handler: str) -> None:
    """Note that one of several handlers has had `event`."""
    connection.execute(delivered.insert(), {"seq": event.seq, "handler": handler})


def remembered(connection: Connection, event: Event) -> frozenset[str]:
    """Return the names of the handlers that have had `event`."""
    rows = connection.execute(sa.select(delivered.c.handler).where(delivered.c.seq == event.seq))
    return frozenset(rows.scalars())


def forget(connection: Connection, event: Event) -> None:
    """Remove the notes that `remember` made."""
    connection.execute(delivered.delete().where(delivered.c.seq == event.seq))


def purge(connection: Connection, now: datetime) -> None:
    """Forget the keys of events that were delivered long ago."""
    connection.execute(
        outbox.delete().where(
            outbox.c.state == DONE, outbox.c.created_at < to_wire(now - KEEP_KEYS)
        )
    )


def list_dead(connection: Connection, limit: int = 200) -> list[dict[str, Any]]:
    """Return the events that were given up, oldest first, with the last error."""
    rows = connection.execute(
        sa.select(outbox).where(outbox.c.state == DEAD).order_by(outbox.c.created_at).limit(limit)
    )
    return [{**row, "payload": msgspec.json.decode(row["payload"])} for row in rows.mappings()]


def retry_dead(connection: Connection, seq: int) -> None:
    """Make an event that was given up due again, with all its attempts.

    Raises:
        NotFound: there is no dead event with this number.
    """
    retried = connection.execute(
        outbox.update()
        .where(outbox.c.seq == seq, outbox.c.state == DEAD)
        .values(state=READY, visible_at="", attempts=0)
    )
    if not retried.rowcount:
        raise NotFound
    connection.info[EMITTED] = True


def health(connection: Connection) -> Health:
    """Return how the delivery of events is doing."""
    beat = connection.execute(
        sa.select(sa.func.max(lease.c.beat)).where(lease.c.name.startswith("worker"))
    ).scalar()
    waiting = sa.select(outbox.c.seq).where(outbox.c.state == READY).limit(_DEPTH_CAP)
    depth = connection.execute(sa.select(sa.func.count()).select_from(waiting.subquery()))
    oldest = connection.execute(
        sa.select(sa.func.min(outbox.c.created_at)).where(outbox.c.state == READY)
    )
    dead = connection.execute(
        sa.select(sa.func.count()).select_from(outbox).where(outbox.c.state == DEAD)
    )
    return Health(_instant(beat), depth.scalar_one(), _instant(oldest.scalar()), dead.scalar_one())


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class _Row(NamedTuple):
    seq: int
    id: str
    topic: str
    payload: str
    attempts: int


_COLUMNS = tuple(outbox.c[name] for name in _Row._fields)
_IS_DUE = sa.and_(outbox.c.state == READY, outbox.c.visible_at <= sa.bindparam("now"))


@lru_cache(maxsize=4)
def _due(dialect: Dialect) -> Prebuilt:
    return Prebuilt(sa.select(outbox.c.seq).where(_IS_DUE).limit(1), dialect)


@lru_cache(maxsize=8)
def _taking(dialect: Dialect, *, have_failed: bool) -> Prebuilt:
    some = outbox.c.attempts > 0 if have_failed else outbox.c.attempts == 0
    due = sa.select(*_COLUMNS).where(_IS_DUE, some).limit(1 if have_failed else BATCH)
    ordered = due.order_by(outbox.c.visible_at, outbox.c.seq)
    # SQLite has no row locks and compiles this away; its writer is alone anyway.
    return Prebuilt(ordered.with_for_update(skip_locked=True), dialect)


@lru_cache(maxsize=4)
def _finishing(dialect: Dialect) -> tuple[Prebuilt, Prebuilt]:
    is_sqlite = dialect.name == "sqlite"
    listed = "IN (SELECT value FROM json_each(:seqs))" if is_sqlite else "= ANY(:seqs)"
    these = sa.text(f"gx_outbox.seq {listed}")
    if not is_sqlite:
        these = these.bindparams(sa.bindparam("seqs", type_=postgresql.ARRAY(sa.BigInteger)))
    keyed = outbox.update().where(these, outbox.c.key.is_not(None)).values(state=DONE)
    return (
        Prebuilt(keyed, dialect, ()),
        Prebuilt(outbox.delete().where(these, outbox.c.key.is_(None)), dialect),
    )


def _mine(event: Event) -> sa.ColumnElement[bool]:
    return sa.and_(
        outbox.c.seq == event.seq,
        outbox.c.attempts == event.attempt,
        outbox.c.state == READY,
    )


def _event(row: _Row) -> Event:
    payload = msgspec.json.decode(row.payload)
    return Event(
        seq=row.seq, id=row.id, topic=row.topic, payload=payload, attempt=row.attempts + 1
    )
