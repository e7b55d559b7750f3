"""One instance under its lock: read whole, moved by the engine, written back with evidence."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.actor import SYSTEM
from core.clock import to_wire
from core.context import Context
from core.errors import NotFound, ReleaseChanged, Unavailable
from core.jobs.outbox import emit_many
from core.prebuilt import Prebuilt
from core.records.idempotency import body_hash, run_once
from core.schema.flows import Flow
from core.workflow import errors
from core.workflow.documents import load_document
from core.workflow.engine.machine import perform
from core.workflow.engine.state import Command, Event, RefusalError, State
from core.workflow.engine.tree import Tree, compile_flow
from core.workflow.engine.work import Machine
from core.workflow.evidence.signing import NOT_SIGNED, Signed
from core.workflow.liveworld import LiveWorld, Matter
from core.workflow.models import OPEN_STATES, Row, content, event, instance
from core.workflow.staff.people import voice_of
from core.workflow.store import OvertakenError, Stored, load
from core.workflow.subject import Subject, read_subject

Answer = dict[str, Any]
Record = dict[str, Any]

#: So often is an operation begun again when a lock was not given or somebody was faster.
TRIES = 3
#: Longest wait before the next try, in seconds.
_PAUSE = 0.05

_OPEN = sa.select(instance).where(
    instance.c.record_type == sa.bindparam("type"),
    instance.c.record_id == sa.bindparam("record"),
    instance.c.state.in_([sa.literal_column(f"'{state}'") for state in OPEN_STATES]),
)


@dataclass(slots=True)  # noqa: PLR0904  one operation needs all of it
class Run:
    """A locked instance, the transaction it is locked in, and who acts on it.

    Attributes:
        stored: its rows and its state.
        flow: the definition it was submitted under, whatever is published since.
        tree: the same as a tree with the subflows it may walk.
        events: what happened in this operation, in order; written by `settling.settle`.
        announced: (topic, more) of what the outbox tells when the operation is over.
        signed: how the person signed it.
        via_override: it is done by right of administration.
        diff: the fields that were changed with it.
        former: the state of the instance before the operation; empty for a new one.
    """

    ctx: Context
    connection: Connection
    stored: Stored
    flow: Flow
    subflows: Mapping[str, Flow]
    tree: Tree
    former: str = ""
    events: list[Event] = field(default_factory=list)
    announced: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    signed: Signed = NOT_SIGNED
    via_override: bool = False
    diff: list[dict[str, Any]] | None = None
    _matter: Matter | None = None
    _world: LiveWorld | None = None

    @property
    def row(self) -> dict[str, Any]:
        """Return the instance's own columns; change them here."""
        return self.stored.row

    @property
    def state(self) -> State:
        """Return what the engine changes."""
        return self.stored.state

    @property
    def record(self) -> tuple[str, str]:
        """Return the document's type and id."""
        return self.row["record_type"], self.row["record_id"]

    @property
    def document(self) -> Record:
        """Return the whole live document as this transaction sees it."""
        return dict(self.matter.record)

    @property
    def subject(self) -> Subject:
        """Return what is decided, as it is stored now."""
        return self.matter.subject

    @property
    def world(self) -> LiveWorld:
        """Return what the engine asks."""
        if self._world is None:
            self._world = LiveWorld(self.ctx, self.connection, self.matter)
        return self._world

    @property
    def matter(self) -> Matter:
        """Return what the instance is about, as this transaction sees it."""
        if self._matter is None:
            self._matter = self._matter_of(load_document(self.as_system, *self.record))
        return self._matter

    def _matter_of(self, record: Record) -> Matter:
        type_name = self.row["record_type"]
        subject = read_subject(
            self.as_system, self.connection, type_name, flow=self.flow, record=record
        )
        return Matter(self.tree, self.subflows, type_name, self.row["initiator"], record, subject)

    def forget(self, record: Record | None = None) -> None:
        """Forget the document as it was; it is read when it is needed, unless it is `record`.

        Call it when the document was written, or may have been.
        """
        self._world = None
        self._matter = None if record is None else self._matter_of(record)

    def machine(self) -> Machine:
        """Return the engine over this instance."""
        return Machine(self.tree, self.state, self.world)

    def perform(self, command: Command) -> None:
        """Have the engine do something for the person who acts.

        Raises:
            UserError: the refusal, by its code.
        """
        try:
            self.events += perform(self.machine(), voice_of(self.ctx.actor), command)
        except RefusalError as refusal:
            self.refuse(refusal)

    def note(self, verb: str, *, step: str = "", **rest: Any) -> None:
        """Add an event of the product's own."""
        self.events.append(Event(verb, step=step, **rest))

    def announce(self, topic: str, **more: Any) -> None:
        """Have something about the instance told when the operation is over."""
        self.announced.append((topic, more))

    def tell(self) -> None:
        """Put what was announced into the outbox."""
        row, made = self.row, []
        for topic, more in self.announced:
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
            made.append((topic, payload))
        emit_many(self.connection, made)
        self.announced = []

    def refuse(self, refusal: RefusalError) -> NoReturn:
        """Raise the error for a refusal of the engine, with who, when and what."""
        error = errors.BY_CODE[refusal.code]
        if error is NotFound:
            raise NotFound
        params = dict(refusal.params)
        if error is errors.AlreadyDecided:
            params = self._decision(params.get("visit", ""))
        elif error is errors.AlreadyEnded:
            params = self._ending(params.get("visit", ""))
        elif error is errors.Suspended:
            params = suspension_of(self)
        elif error is errors.DuplicateOpen:
            refuse_open(self.row)
        errors.refuse(error, **params)

    def _decision(self, visit_id: str) -> dict[str, Any]:
        """Return who decided a task, when and how: its last vote."""
        votes = [
            one
            for one in self.state.votes.values()
            if not visit_id or one.visit == visit_id
        ]  # fmt: skip
        if not votes:
            visit = self.state.visits.get(visit_id)
            by = self.world.name(visit.closed_by) if visit and visit.closed_by else ""
            at = visit.closed_at if visit else ""
            return {"by": by, "at": at, "verb": visit.result if visit else ""}
        last = max(votes, key=lambda one: one.at)
        visit = self.state.visits.get(last.visit)
        if visit is not None and visit.closed_at > last.at:
            by = self.world.name(visit.closed_by)
            return {"by": by, "at": visit.closed_at, "verb": visit.result}
        return {"by": last.actor_name, "at": last.at, "verb": last.verb}

    def _ending(self, visit_id: str) -> dict[str, Any]:
        """Return who ended the instance or the task, when, and in what state it is."""
        row, visit = self.row, self.state.visits.get(visit_id)
        if row["ended_at"]:
            return {"state": row["state"], "by": row["ended_by_name"], "at": row["ended_at"]}
        if visit is not None and visit.closed_at:
            by = self.world.name(visit.closed_by)
            return {"state": visit.result or visit.state, "by": by, "at": visit.closed_at}
        return {"state": row["state"], "by": row["initiator_name"], "at": row["opened_at"]}

    @property
    def in_flow(self) -> Context:
        """Return the context through which the flow itself writes, as the person who acts."""
        return replace(self.ctx, door="flow")

    @property
    def as_system(self) -> Context:
        """Return the context that reads the document whole, whatever the actor may see."""
        return replace(self.ctx, door="flow", actor=SYSTEM)


def suspension_of(run: Run) -> dict[str, Any]:
    """Return who halted an instance, when and why; empty when nobody did."""
    last = run.connection.execute(
        sa.select(event.c.actor_name, event.c.at, event.c.opinion)
        .where(event.c.instance_id == run.row["id"], event.c.verb == "suspend")
        .order_by(event.c.seq.desc())
        .limit(1)
    ).first()
    return {"by": last.actor_name, "at": last.at, "why": last.opinion} if last else {}


def decode_flow(text: str) -> Flow:
    """Return the flow that an instance was pinned to."""
    return msgspec.json.decode(text, type=Flow)


@lru_cache(maxsize=256)
def pinned(definition: str, subflows: str) -> tuple[Flow, Mapping[str, Flow], Tree]:
    """Return the flow of an instance, the subflows it may walk, and their tree."""
    flow = decode_flow(definition)
    below = msgspec.json.decode(subflows, type=dict[str, Flow])
    return flow, below, compile_flow(flow, below)


def lock_instance(ctx: Context, connection: Connection, instance_id: str) -> Run:
    """Return the instance, locked until the transaction ends.

    Raises:
        NotFound: there is no such instance.
    """
    rows = _locking(connection.dialect).rows(connection, {"id": instance_id})
    if not rows:
        raise NotFound
    return make_run(ctx, connection, dict(zip(_COLUMNS, rows[0], strict=True)))


_COLUMNS = tuple(column.name for column in instance.columns)


@lru_cache(maxsize=4)
def _locking(dialect: Dialect) -> Prebuilt:
    query = sa.select(instance).where(instance.c.id == sa.bindparam("id")).with_for_update()
    return Prebuilt(query, dialect)


def read_instance(ctx: Context, connection: Connection, instance_id: str) -> Run:
    """Return a run over an instance that nothing is written to.

    Raises:
        NotFound: there is no such instance.
    """
    query = sa.select(instance).where(instance.c.id == instance_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound
    return make_run(ctx, connection, row)


def make_run(ctx: Context, connection: Connection, row: Row) -> Run:
    """Return a run over an instance row that the caller has locked, or only reads."""
    flow, subflows, tree = pinned(row["definition"], row["subflows"])
    stored = load(connection, dict(row))
    return Run(ctx, connection, stored, flow, subflows, tree, row["state"])


def new_run(
    ctx: Context, connection: Connection, row: Record, about: tuple[Record, Subject]
) -> Run:
    """Return a run over an instance that does not exist yet; `about` is its document."""
    flow, subflows, tree = pinned(row["definition"], row["subflows"])
    state = State(
        row["initiator"], frozenset(one for one in row["makers"].split("|") if one),
        row["subject_hash"],
    )  # fmt: skip
    matter = Matter(tree, subflows, row["record_type"], row["initiator"], *about)
    return Run(ctx, connection, Stored.new(row, state), flow, subflows, tree, _matter=matter)


def open_instance(
    connection: Connection, type_name: str, record_id: str, *, lock: bool = False
) -> Record | None:
    """Return the record's instance that has not ended, if there is one."""
    query = _OPEN.with_for_update() if lock else _OPEN
    row = connection.execute(query, {"type": type_name, "record": record_id}).mappings().first()
    return None if row is None else dict(row)


def refuse_open(row: Mapping[str, Any]) -> NoReturn:
    """Raise that an approval of the record is under way, with a link to it."""
    errors.refuse(
        errors.DuplicateOpen,
        by=row["initiator_name"], at=row["opened_at"], instance=row["id"],
        link=f"/tasks/{row['task_id']}",
    )  # fmt: skip


def keep_content(run: Run) -> None:
    """Keep what people are shown from now on, so that a stale vote can be told apart."""
    row = run.row
    known = run.connection.execute(
        sa.select(content.c.hash).where(
            content.c.instance_id == row["id"], content.c.hash == row["subject_hash"]
        )
    ).first()
    if known is None:
        run.connection.execute(
            content.insert().values(
                instance_id=row["id"], hash=row["subject_hash"], values=row["values"],
                at=to_wire(run.ctx.now),
            )
        )  # fmt: skip


def shown_content(connection: Connection, instance_id: str, shown: str) -> Record | None:
    """Return the wire values that somebody was shown under a subject hash, if ever anybody was."""
    found = connection.execute(
        sa.select(content.c["values"]).where(
            content.c.instance_id == instance_id, content.c.hash == shown
        )
    ).scalar()
    return None if found is None else msgspec.json.decode(found)


def once(
    ctx: Context, key: str | None, action: Iterable[Any], act: Callable[[], Answer]
) -> Answer:
    """Return what `act` answers in one durable transaction, or what it answered under `key`.

    A lock that was not given in time is asked for again, `TRIES` times in all.
    """
    tries = 1 if ctx.is_writing else TRIES
    while True:
        tries -= 1
        try:
            # A vote is money: the commit waits for the disk on SQLite too.
            with ctx.writing(durable=True):
                if key is None:
                    return act()
                fingerprint = body_hash("flow", msgspec.json.encode(tuple(action)))
                answer = run_once(ctx, key, fingerprint, lambda: (200, act()))
                return dict(answer.body)
        except ReleaseChanged:
            raise
        except (Unavailable, OvertakenError) as error:
            if type(error) not in {Unavailable, OvertakenError}:
                raise
            if not tries:
                raise Unavailable from error
        time.sleep(random.uniform(0, _PAUSE))  # noqa: S311  spreads those who wait
