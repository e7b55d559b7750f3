"""What the initiator and the administrator do: submit, withdraw, suspend, resume, end.

Every operation is one transaction, locks the instance before the record, and leaves
a chained event and an outbox event. With `key` a repeated call has one effect and
the same answer.
"""

import hashlib
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden, NotFound
from core.ids import new_id
from core.policies.access import access
from core.records.effects import check_proposal, put_effect
from core.records.environment import RecordEnv
from core.records.proposals import SUBMITTED, Proposal, find_proposal, set_proposal_status
from core.schema.flows import Flow
from core.schema.model import Release, encode
from core.workflow import errors
from core.workflow.documents import load_document
from core.workflow.machine import first_step
from core.workflow.models import instance
from core.workflow.opening import close_open_tasks, open_task, set_suspended
from core.workflow.opinion import read_opinion
from core.workflow.outcome import blocking_problems, hand_back
from core.workflow.people import makers_of
from core.workflow.run import Answer, Run, lock_instance, make_run, once, open_instance, refuse
from core.workflow.subject import Subject, read_subject

#: Statuses of a document that waits for its first approval.
_SUBMITTABLE = frozenset({"draft", "rejected"})

Record = dict[str, Any]


def flow_of(release: Release, type_name: str) -> Flow:
    """Return the flow that approves documents of a type.

    Raises:
        NoFlow: none is published.
    """
    found = [flow for flow in release.flows.values() if flow.document == type_name]
    if not found:
        raise errors.NoFlow(type=type_name)
    return max(found, key=lambda flow: flow.version)


def submit(ctx: Context, type_name: str, record_id: str, *, key: str | None = None) -> Answer:
    """Send a document, or the change proposed to an effective one, to its approvers.

    Raises:
        NotFound: there is no such record for this actor.
        Forbidden: the actor may not submit it.
        NoFlow: its type has no approval flow.
        DuplicateOpen: it is being decided already.
        NothingToSubmit: it is in force and nobody proposed a change.
    """
    flow = flow_of(ctx.registry.release, ctx.registry.record_type(type_name).name)
    return once(
        ctx, key, ("submit", type_name, record_id),
        lambda: _submit(ctx, flow, type_name, record_id),
    )  # fmt: skip


def withdraw(
    ctx: Context, type_name: str, record_id: str, *, reason: str = "", key: str | None = None
) -> Answer:
    """Take a submitted document back before it is decided; it can be edited again.

    Raises:
        NotFound: the record has no approval under way.
        NotInitiator: somebody else submitted it.
    """
    return once(
        ctx, key, ("withdraw", type_name, record_id, reason),
        lambda: _withdraw(ctx, type_name, record_id, reason),
    )  # fmt: skip


def suspend(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """Halt an instance; nobody can decide until it is resumed."""
    return _administer(ctx, instance_id, "suspend", reason=reason, key=key)


def resume(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """Let a suspended instance go on where it was halted."""
    return _administer(ctx, instance_id, "resume", reason=reason, key=key)


def terminate(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """End an instance without a decision; its document can be edited again."""
    return _administer(ctx, instance_id, "terminate", reason=reason, key=key)


def may_administer(ctx: Context) -> bool:
    """Return whether the actor may halt and end other people's approvals."""
    return ctx.actor.is_system or "Admin" in ctx.actor.roles


def _submit(ctx: Context, flow: Flow, type_name: str, record_id: str) -> Answer:
    connection = ctx.connection
    assert connection is not None  # noqa: S101  `once` has opened it
    # The instance is locked before the record, as everywhere.
    former = open_instance(connection, type_name, record_id, lock=True)
    record = load_document(ctx, type_name, record_id, lock=True)
    _require_submit(ctx, connection, type_name, record)
    # Somebody may have submitted while this waited for the record.
    former = open_instance(connection, type_name, record_id) or former
    if former is not None:
        _supersede(ctx, connection, former)
    found = find_proposal(connection, type_name, record_id)
    record = _mark_submitted(ctx, connection, type_name, record=record, found=found)
    subject = read_subject(ctx, connection, type_name, flow=flow, record=record)
    run = _insert(ctx, connection, flow, (type_name, record, subject))
    run.evidence.add(
        "submit",
        step=first_step(flow).id,
        detail={"flow": flow.flow, "version": flow.version, "round": run.row["round"]},
    )
    run.emit("document.submitted", round=run.row["round"])
    open_task(run, first_step(flow))
    run.evidence.close()
    return answer_of(run)


def _require_submit(ctx: Context, connection: Connection, type_name: str, record: Record) -> None:
    rights, env = access(ctx, type_name), RecordEnv(ctx, connection)
    values = env.view(type_name, record)
    if rights.editable_when("submit", values, env) is not None:
        return
    if rights.editable_when("view", values, env) is None:
        raise NotFound
    raise Forbidden


def _supersede(ctx: Context, connection: Connection, former: Record) -> None:
    """End a round that could not take effect; refuse while one is being decided."""
    if former["state"] != "apply_blocked":
        refuse(errors.DuplicateOpen.code, former)
    run = lock_instance(ctx, connection, former["id"])
    run.advance("withdraw")
    run.evidence.add("supersede", step=run.row["step"])
    run.evidence.close()


def _mark_submitted(
    ctx: Context, connection: Connection, type_name: str, *, record: Record,
    found: Proposal | None,
) -> Record:  # fmt: skip
    """Mark what is submitted as such; return the record as it then is.

    Raises:
        NothingToSubmit: it is in force and nobody proposed a change.
        Invalid: the proposed change breaks rules by now.
    """
    if found is not None:
        check_proposal(ctx, type_name, record, found)
        set_proposal_status(connection, found.id, SUBMITTED)
        return record
    if record["status"] not in _SUBMITTABLE:
        raise errors.NothingToSubmit
    put_effect(ctx, type_name, record["id"], {"status": "submitted"})
    return load_document(ctx, type_name, record["id"])


def _insert(
    ctx: Context, connection: Connection, flow: Flow, what: tuple[str, Record, Subject]
) -> Run:
    type_name, record, subject = what
    record_type = ctx.registry.record_type(type_name)
    found = subject.proposal
    definition = encode(flow)
    before = _last_round(connection, type_name, record["id"])
    makers = makers_of(ctx, connection, record, type_name=type_name, found=found)
    row = {
        "id": new_id(),
        "flow": flow.flow,
        "flow_version": flow.version,
        "definition": definition.decode(),
        "definition_hash": hashlib.sha256(definition).hexdigest(),
        "release": ctx.registry.release.number,
        "record_type": type_name,
        "record_id": record["id"],
        "record_version": record["version"],
        "proposal_id": found.id if found else None,
        "round": before["round"] + 1 if before else 1,
        "previous_id": before["id"] if before else None,
        "state": "running",
        "former_state": "running",
        "step": "",
        "task_id": "",
        "title": _title(record_type.title_field, subject),
        "values": msgspec.json.encode(subject.proposed).decode(),
        "subject_hash": subject.hash,
        "initiator": ctx.actor.id,
        "initiator_name": ctx.actor.name,
        "makers": makers,
        "opened_at": to_wire(ctx.now),
        "ended_at": None,
        "ended_by": None,
        "ended_by_name": None,
        "problems": "[]",
        "chain": "",
        "events": 0,
    }
    connection.execute(instance.insert(), row)
    return make_run(ctx, connection, row)


def _last_round(connection: Connection, type_name: str, record_id: str) -> Record | None:
    """Return the record's last instance, unless that was approved and so settled."""
    row = connection.execute(
        sa.select(instance.c.id, instance.c.round, instance.c.state)
        .where(instance.c.record_type == type_name, instance.c.record_id == record_id)
        .order_by(instance.c.opened_at.desc(), instance.c.id.desc())
        .limit(1)
    ).mappings().first()  # fmt: skip
    return dict(row) if row is not None and row["state"] != "approved" else None


def _title(title_field: str, subject: Subject) -> str:
    value = subject.proposed.get(title_field)
    return "" if value is None else str(value)


def _withdraw(ctx: Context, type_name: str, record_id: str, reason: str) -> Answer:
    run = initiated_run(ctx, type_name, record_id, errors.NotInitiator.text)
    return _end(run, "withdraw", read_opinion(reason))


def initiated_run(ctx: Context, type_name: str, record_id: str, refusal: str) -> Run:
    """Return the record's open approval, locked, for the person who started it.

    Raises:
        NotFound: there is none that this actor may know of.
        AlreadyEnded: it is over.
        NotInitiator: somebody else started it; says `refusal`.
    """
    connection = ctx.connection
    assert connection is not None  # noqa: S101  `once` has opened it
    row = open_instance(connection, type_name, record_id, lock=True)
    if row is None:
        ended = _latest(connection, type_name, record_id)
        if ended is None or ctx.actor.id != ended["initiator"]:
            raise NotFound
        refuse(errors.AlreadyEnded.code, ended)
    if row["initiator"] != ctx.actor.id:
        raise errors.NotInitiator(refusal)
    return make_run(ctx, connection, row)


def _latest(connection: Connection, type_name: str, record_id: str) -> Record | None:
    row = connection.execute(
        sa.select(instance)
        .where(instance.c.record_type == type_name, instance.c.record_id == record_id)
        .order_by(instance.c.opened_at.desc(), instance.c.id.desc())
        .limit(1)
    ).mappings().first()  # fmt: skip
    return None if row is None else dict(row)


def _administer(
    ctx: Context, instance_id: str, verb: str, *, reason: str, key: str | None
) -> Answer:
    if not may_administer(ctx):
        raise Forbidden

    def act() -> Answer:
        connection = ctx.connection
        assert connection is not None  # noqa: S101  `once` has opened it
        run = lock_instance(ctx, connection, instance_id)
        said = read_opinion(reason)
        if not said:
            raise errors.OpinionRequired
        if verb == "terminate":
            return _end(run, "terminate", said)
        run.advance("suspend" if verb == "suspend" else "resume")
        set_suspended(run, suspended=verb == "suspend")
        run.evidence.add(verb, step=run.row["step"], opinion=said)
        run.evidence.close()
        return answer_of(run)

    return once(ctx, key, (verb, instance_id, reason), act)


def _end(run: Run, verb: str, reason: str) -> Answer:
    """End an instance undecided and let its document be edited again."""
    was_locking = run.row["state"] != "apply_blocked"
    run.advance("withdraw" if verb == "withdraw" else "terminate")
    close_open_tasks(run, run.row["state"])
    run.evidence.add(verb, step=run.row["step"], opinion=reason)
    if was_locking:
        hand_back(run, "withdrawn")
    run.emit(f"document.{run.row['state']}")
    run.evidence.close()
    return answer_of(run)


def answer_of(run: Run) -> Answer:
    """Return what an operation answers about its instance."""
    row = run.row
    return {
        "instance": row["id"],
        "task": row["task_id"],
        "state": row["state"],
        "round": row["round"],
        "step": row["step"],
        "record": {"type": row["record_type"], "id": row["record_id"]},
        "title": row["title"],
        "problems": blocking_problems(row, run.ctx.locale),
    }
