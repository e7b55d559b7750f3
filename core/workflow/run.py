"""One instance under its lock: what operations read and change of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import SYSTEM
from core.clock import to_wire
from core.context import Context
from core.errors import NotFound
from core.jobs.outbox import emit
from core.records.idempotency import body_hash, run_once
from core.schema.flows import Flow
from core.workflow import errors
from core.workflow.evidence import Evidence
from core.workflow.machine import InstanceState, NotPossibleError, Trigger, next_state
from core.workflow.models import OPEN_STATES, Row, instance

Answer = dict[str, Any]

_LOCKED = sa.select(instance).where(instance.c.id == sa.bindparam("id")).with_for_update()
_OPEN = sa.select(instance).where(
    instance.c.record_type == sa.bindparam("type"),
    instance.c.record_id == sa.bindparam("record"),
    instance.c.state.in_(OPEN_STATES),
)


@dataclass(slots=True)
class Run:
    """A locked instance, the transaction it is locked in, and who acts on it.

    Attributes:
        row: the instance's columns as they are now.
        flow: the definition it was submitted under, whatever is published since.
    """

    ctx: Context
    connection: Connection
    row: dict[str, Any]
    flow: Flow
    evidence: Evidence

    def set(self, **values: str | int | None) -> None:
        """Change columns of the instance."""
        self.row.update(values)
        self.connection.execute(
            instance.update().where(instance.c.id == self.row["id"]).values(values)
        )

    def advance(self, trigger: Trigger) -> InstanceState:
        """Move the instance; raises the refusal that its state asks for."""
        state = self.peek(trigger)
        ended: dict[str, str] = {}
        if state not in OPEN_STATES:
            ended = {
                "ended_at": to_wire(self.ctx.now),
                "ended_by": self.ctx.actor.id,
                "ended_by_name": self.ctx.actor.name,
            }
        self.set(state=state, former_state=self.row["state"], **ended)
        return state

    def peek(self, trigger: Trigger) -> InstanceState:
        """Return where `trigger` would lead; raises the refusal that the state asks for."""
        row = self.row
        try:
            return next_state(row["state"], trigger, row["former_state"])
        except NotPossibleError as refusal:
            refuse(refusal.code, row)

    def emit(self, topic: str, **more: object) -> None:
        """Announce something about the instance and its document."""
        row = self.row
        payload = {
            "type": row["record_type"],
            "id": row["record_id"],
            "version": row["record_version"],
            "actor": self.ctx.actor.id,
            "actor_name": self.ctx.actor.name,
            "at": to_wire(self.ctx.now),
            "instance": row["id"],
            "title": row["title"],
            "initiator": row["initiator"],
            **more,
        }
        emit(self.connection, topic, payload)

    @property
    def record(self) -> tuple[str, str]:
        """Return the document's type and id."""
        return self.row["record_type"], self.row["record_id"]

    @property
    def in_flow(self) -> Context:
        """Return the context through which the flow itself writes, as the person who acts."""
        return replace(self.ctx, door="flow")

    @property
    def as_system(self) -> Context:
        """Return the context that reads the document whole, whatever the actor may see."""
        return replace(self.ctx, door="flow", actor=SYSTEM)


def decode_flow(text: str) -> Flow:
    """Return the flow that an instance was pinned to."""
    return msgspec.json.decode(text, type=Flow)


def lock_instance(ctx: Context, connection: Connection, instance_id: str) -> Run:
    """Return the instance, locked until the transaction ends.

    Raises:
        NotFound: there is no such instance.
    """
    row = connection.execute(_LOCKED, {"id": instance_id}).mappings().one_or_none()
    if row is None:
        raise NotFound
    return make_run(ctx, connection, row)


def make_run(ctx: Context, connection: Connection, row: Row) -> Run:
    """Return a run over an instance row that the caller has locked or just inserted."""
    return Run(
        ctx, connection, dict(row), decode_flow(row["definition"]),
        Evidence(ctx, connection, row),
    )  # fmt: skip


def open_instance(
    connection: Connection, type_name: str, record_id: str, *, lock: bool = False
) -> dict[str, Any] | None:
    """Return the record's instance that has not ended, if there is one."""
    query = _OPEN.with_for_update() if lock else _OPEN
    row = connection.execute(query, {"type": type_name, "record": record_id}).mappings().first()
    return None if row is None else dict(row)


def refuse(code: str, row: Row) -> NoReturn:
    """Raise the error for a refusal of the machine, with who, when and what."""
    if code == errors.AlreadyEnded.code:
        errors.refuse(
            errors.AlreadyEnded,
            state=row["state"], by=row["ended_by_name"], at=row["ended_at"],
        )  # fmt: skip
    if code == errors.DuplicateOpen.code:
        errors.refuse(
            errors.DuplicateOpen,
            by=row["initiator_name"], at=row["opened_at"], instance=row["id"],
            link=f"/tasks/{row['task_id']}",
        )  # fmt: skip
    if code == errors.Suspended.code:
        errors.refuse(errors.Suspended)
    errors.refuse(errors.NotPossible, state=row["state"])


def once(
    ctx: Context, key: str | None, action: tuple[str, ...], act: Callable[[], Answer]
) -> Answer:
    """Return what `act` answers in one durable transaction, or what it answered under `key`."""
    with _durable(ctx):
        if key is None:
            return act()
        fingerprint = body_hash("flow", msgspec.json.encode(action))
        answer = run_once(ctx, key, fingerprint, lambda: (200, act()))
        return dict(answer.body)


def _durable(ctx: Context) -> AbstractContextManager[Connection]:
    # A vote is money: the commit waits for the disk on SQLite too.
    return ctx.writing(durable=True)
