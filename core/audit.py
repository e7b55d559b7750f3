"""The append-only history: who changed what, when, through which door.

One row per change of a record, chained per record by hash, so that an edited,
removed, inserted or swapped row is found by `guanxi verify`. The chain's head is
kept on the record's own row (`chain` column), which a writer has locked anyway.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import metadata
from core.prebuilt import inserting

#: Field changes of one event: name -> [before, after], in wire form.
Changes = Mapping[str, Any]

history = sa.Table(
    "gx_history",
    metadata,
    sa.Column("record_type", sa.String(80), primary_key=True),
    sa.Column("record_id", sa.String(36), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, doc="1, 2, 3 … within the record"),
    sa.Column("version", sa.Integer, nullable=False, doc="the record's version after the event"),
    sa.Column("at", sa.String(27), nullable=False, doc="UTC, RFC 3339 with microseconds"),
    sa.Column("actor", sa.String(36), nullable=False),
    sa.Column("actor_name", sa.String(200), nullable=False, doc="the name at that time"),
    sa.Column("door", sa.String(12), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    sa.Column("changes", sa.Text, nullable=False, doc="JSON: name -> [before, after]"),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False, server_default=""),
    sa.Column("hash", sa.String(64), nullable=False),
    sqlite_with_rowid=False,
)

#: What a hash covers, in this order.
_HASHED = (
    "record_type",
    "record_id",
    "seq",
    "version",
    "at",
    "actor",
    "actor_name",
    "door",
    "action",
    "changes",
    "reason",
    "release",
    "request_id",
)

_insert = history.insert()


def chained(event: dict[str, Any], previous: str) -> dict[str, Any]:
    """Return `event` (a history row without `hash`) with its hash on top of `previous`."""
    body = msgspec.json.encode([previous, *(event[name] for name in _HASHED)])
    event["hash"] = hashlib.sha256(b"guanxi1" + body).hexdigest()
    return event


def append(connection: Connection, events: list[dict[str, Any]]) -> None:
    """Write chained events in the caller's transaction."""
    if len(events) == 1:
        one = events[0]
        inserting(history, connection.dialect, tuple(one)).run(connection, one)
    elif events:
        connection.execute(_insert, events)


def list_events(
    connection: Connection, *, names: Sequence[str], record_id: str, limit: int = 200
) -> list[dict[str, Any]]:
    """Return a record's events, newest first, with `changes` decoded.

    `names` are those that its record type has and had.
    """
    rows = connection.execute(
        sa.select(history)
        .where(history.c.record_type.in_(names), history.c.record_id == record_id)
        .order_by(history.c.seq.desc())
        .limit(limit)
    )
    return [{**row, "changes": msgspec.json.decode(row["changes"])} for row in rows.mappings()]


def broken_links(events: Iterable[Mapping[str, Any]], head: str) -> list[str]:
    """Return what is wrong with one record's events in `seq` order; `head` is on its row."""
    problems: list[str] = []
    previous = ""
    for expected, event in enumerate(events, start=1):
        if event["seq"] != expected:
            problems.append(f"event {expected} is missing")
            break
        if chained(dict(event), previous)["hash"] != event["hash"]:
            problems.append(f"event {expected} was altered")
            break
        previous = event["hash"]
    if not problems and previous != head:
        problems.append("the last events are missing or the record was changed outside")
    return problems


def event_row(
    *, record_type: str, record_id: str, seq: int, version: int, at: datetime, **rest: Any
) -> dict[str, Any]:
    """Return one history row without its hash; `changes` in `rest` is encoded here."""
    rest["changes"] = msgspec.json.encode(rest["changes"]).decode()
    return {
        "record_type": record_type,
        "record_id": record_id,
        "seq": seq,
        "version": version,
        "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reason": "",
        "request_id": "",
        **rest,
    }
