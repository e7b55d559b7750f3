"""The flow's own history: one chained event per thing that happened to an instance.

The chain's head stands on the instance row, which every operation has locked, so an
edited, removed, inserted or swapped event is found without any further lock.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.workflow.models import Row, event, instance

#: What a hash covers, in this order.
_HASHED = (
    "instance_id", "seq", "at", "actor", "actor_name", "roles", "verb", "step", "task_id",
    "seat", "opinion", "detail", "subject_hash", "record_version", "definition_hash", "door",
    "request_id",
)  # fmt: skip

_insert = event.insert()


def chained(row: dict[str, Any], previous: str) -> dict[str, Any]:
    """Return an event row with its hash on top of `previous`."""
    body = msgspec.json.encode([previous, *(row[name] for name in _HASHED)])
    return row | {"hash": hashlib.sha256(b"appr1" + body).hexdigest()}


class Evidence:
    """Appends events to one locked instance and moves the head of its chain along."""

    def __init__(self, ctx: Context, connection: Connection, row: Row) -> None:
        """Write as `ctx.actor` for the instance `row`, which the caller has locked."""
        self._ctx = ctx
        self._connection = connection
        self._instance = row
        self._seq: int = row["events"]
        self._head: str = row["chain"]

    def add(
        self, verb: str, *, step: str = "", task_id: str = "", seat: str = "",
        opinion: str = "", detail: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Append one event; `detail` is plain JSON."""
        ctx, row = self._ctx, self._instance
        self._seq += 1
        made = chained(
            {
                "instance_id": row["id"],
                "seq": self._seq,
                "at": to_wire(ctx.now),
                "actor": ctx.actor.id,
                "actor_name": ctx.actor.name,
                "roles": msgspec.json.encode(sorted(ctx.actor.roles)).decode(),
                "verb": verb,
                "step": step,
                "task_id": task_id,
                "seat": seat,
                "opinion": opinion,
                "detail": msgspec.json.encode(detail or {}).decode(),
                "subject_hash": row["subject_hash"],
                "record_version": row["record_version"],
                "definition_hash": row["definition_hash"],
                "door": ctx.door,
                "request_id": ctx.request_id,
            },
            self._head,
        )
        self._head = made["hash"]
        self._connection.execute(_insert, made)

    def close(self) -> None:
        """Write the head of the chain to the instance row."""
        self._connection.execute(
            instance.update()
            .where(instance.c.id == self._instance["id"])
            .values(chain=self._head, events=self._seq)
        )


def list_events(connection: Connection, instance_id: str) -> list[dict[str, Any]]:
    """Return an instance's events in their order, with roles and detail decoded."""
    rows = connection.execute(
        sa.select(event).where(event.c.instance_id == instance_id).order_by(event.c.seq)
    )
    return [
        {
            **row,
            "roles": msgspec.json.decode(row["roles"]),
            "detail": msgspec.json.decode(row["detail"]),
        }
        for row in rows.mappings()
    ]


def broken_links(rows: Iterable[Row], head: str, length: int) -> list[str]:
    """Return what is wrong with one instance's stored event rows, given in `seq` order."""
    previous, seq = "", 0
    for seq, row in enumerate(rows, start=1):
        if row["seq"] != seq:
            return [f"event {seq} is missing"]
        if chained(dict(row), previous)["hash"] != row["hash"]:
            return [f"event {seq} was altered"]
        previous = row["hash"]
    if (seq, previous) != (length, head):
        return ["the last events are missing or the instance was changed outside"]
    return []


def verify(connection: Connection) -> tuple[int, list[str]]:
    """Return how many instances were checked, and each break found in a chain."""
    checked, problems = 0, []
    for row in connection.execute(sa.select(instance.c.id, instance.c.chain, instance.c.events)):
        stored = connection.execute(
            sa.select(event).where(event.c.instance_id == row.id).order_by(event.c.seq)
        )
        checked += 1
        found = broken_links(stored.mappings(), row.chain, row.events)
        problems += [f"approval {row.id}: {problem}" for problem in found]
    return checked, problems
