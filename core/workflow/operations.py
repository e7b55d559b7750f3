"""What the initiator and the administrator do: submit, withdraw, suspend, resume, end.

Every operation is one transaction, locks the instance before the record, and leaves
chained events and outbox events. With `key` a repeated call has one effect and the same
answer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from core.schema.decisiontables import with_tables
from core.schema.flows import Flow
from core.schema.flowtexts import flows_in_order, subflows_of
from core.schema.model import encode
from core.workflow import errors
from core.workflow.choosing import choose_flow, require_start
from core.workflow.documents import Record, as_it_would_be, load_document, shows_title
from core.workflow.engine.state import Command
from core.workflow.models import instance
from core.workflow.opinion import read_opinion
from core.workflow.outcome import blocking_problems
from core.workflow.run import (
    Answer,
    Run,
    lock_instance,
    new_run,
    once,
    open_instance,
    refuse_open,
)
from core.workflow.seen import knows
from core.workflow.settling import settle
from core.workflow.staff.people import makers_of, may_administer
from core.workflow.subject import Subject, data_fields, is_same, read_subject

#: Statuses of a document that waits for its first approval.
_SUBMITTABLE = frozenset({"draft", "rejected"})

#: Step -> ids of the people that the initiator names for it.
Chosen = Mapping[str, Sequence[str]]


def submit(
    ctx: Context, type_name: str, record_id: str, *, chosen: Chosen | None = None,
    key: str | None = None,
) -> Answer:  # fmt: skip
    """Send a document, or the change proposed to an effective one, to its approvers.

    What was returned goes on where the return says; `chosen` names people for the steps
    that let the initiator do so.

    Raises:
        NotFound: there is no such record for this actor.
        Forbidden: the actor may not submit it.
        NoFlow: its type has no approval flow, or none for this document.
        DuplicateOpen: it is being decided already.
        NothingToSubmit: it is in force and nobody proposed a change.
        RequireFailed: the flow's condition does not hold.
    """
    if not flows_in_order(ctx.registry.release.flows, ctx.registry.record_type(type_name).name):
        raise errors.NoFlow(type=type_name)
    named = {step: tuple(people) for step, people in (chosen or {}).items()}
    return once(
        ctx, key, ("submit", type_name, record_id, named),
        lambda: _submit(ctx, type_name, record_id, named),
    )  # fmt: skip


def withdraw(
    ctx: Context, type_name: str, record_id: str, *, reason: str = "", key: str | None = None
) -> Answer:
    """Take a submitted document back before it is decided; it can be edited again.

    Raises:
        NotFound: the record has no approval under way.
        NotInitiator: somebody else submitted it.
        AlreadyDecided: somebody voted, and the flow lets nobody withdraw after that.
    """
    return once(
        ctx, key, ("withdraw", type_name, record_id, reason),
        lambda: _withdraw(ctx, type_name, record_id, reason),
    )  # fmt: skip


def suspend(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """Halt an instance; nobody can decide and its clocks stand until it is resumed."""
    return _administer(ctx, instance_id, "suspend", reason=reason, key=key)


def resume(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """Let a suspended instance go on where it was halted."""
    return _administer(ctx, instance_id, "resume", reason=reason, key=key)


def terminate(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """End an instance without a decision; its document can be edited again."""
    return _administer(ctx, instance_id, "terminate", reason=reason, key=key)


def retry(ctx: Context, instance_id: str, *, reason: str, key: str | None = None) -> Answer:
    """Try again to put an approved document in force whose content is still the same."""
    return _administer(ctx, instance_id, "retry", reason=reason, key=key)


def transaction(ctx: Context) -> Connection:
    """Return the transaction that `once` has opened."""
    assert ctx.connection is not None  # noqa: S101  only called within it
    return ctx.connection


def _submit(
    ctx: Context, type_name: str, record_id: str, chosen: dict[str, tuple[str, ...]]
) -> Answer:
    connection = transaction(ctx)
    # The instance is locked before the record, as everywhere.
    former = open_instance(connection, type_name, record_id, lock=True)
    record = load_document(ctx, type_name, record_id, lock=True)
    require_submit(ctx, connection, type_name, record)
    # Somebody may have submitted while this waited for the record.
    former = open_instance(connection, type_name, record_id) or former
    if former is not None and former["state"] == "returned":
        return _submit_again(lock_instance(ctx, connection, former["id"]), record, chosen)
    if former is not None:
        supersede(ctx, connection, former)
    return begin_round(ctx, type_name, record, chosen)


def begin_round(
    ctx: Context,
    type_name: str,
    record: Record,
    chosen: dict[str, tuple[str, ...]],
    *,
    reason: str = "",
) -> Answer:
    """Send a document that is locked and in no approval on its way, for a `reason` if given."""
    connection = transaction(ctx)
    flow = choose_flow(ctx, connection, type_name, record)
    found = find_proposal(connection, type_name, record["id"])
    record = _mark_submitted(ctx, connection, type_name, record=record, found=found)
    subject = read_subject(ctx, connection, type_name, flow=flow, record=record)
    run = _begin(ctx, connection, flow, (type_name, record, subject))
    require_start(ctx, run.world, flow, is_void=found is not None and found.voids)
    run.perform(Command("submit", chosen=chosen))
    _tell_submit(run, reason)
    settle(run)
    return answer_of(run)


def _tell_submit(run: Run, reason: str = "") -> None:
    """Say in the first event by which flow it goes, and why where that was asked for."""
    first = run.events[0]
    detail = {"flow": run.flow.flow, "version": run.flow.version, "round": run.row["round"]}
    run.events[0] = replace(first, detail=first.detail | detail, opinion=reason)
    run.announce("document.submitted", round=run.row["round"])


def _submit_again(run: Run, record: Record, chosen: dict[str, tuple[str, ...]]) -> Answer:
    """Send a returned document on its way, with what was changed meanwhile."""
    ctx, connection, row = run.ctx, run.connection, run.row
    type_name = row["record_type"]
    found = find_proposal(connection, type_name, row["record_id"])
    _mark_submitted(ctx, connection, type_name, record=record, found=found)
    run.forget()
    row["proposal_id"] = found.id if found else None
    row["record_version"] = run.document["version"]
    makers = makers_of(ctx, connection, run.document, type_name=type_name, found=found)
    take_content(run)
    run.state.makers |= frozenset(one for one in makers.split("|") if one)
    require_start(ctx, run.world, run.flow, is_void=found is not None and found.voids)
    run.perform(Command("submit", chosen=chosen))
    _tell_submit(run)
    settle(run)
    return answer_of(run)


def take_content(run: Run) -> None:
    """Make the document as it is now what is decided; keep what changed as evidence."""
    row, subject = run.row, run.subject
    run.diff = changed_values(run, msgspec.json.decode(row["values"]), subject.proposed)
    row["values"] = msgspec.json.encode(subject.proposed).decode()
    row["title"] = _title(run.ctx.registry.record_type(row["record_type"]).title_field, subject)
    row["subject_hash"] = run.state.subject_hash = subject.hash


def changed_values(
    run: Run, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the fields of the document that differ, with both wire values."""
    record_type = run.ctx.registry.record_type(run.row["record_type"])
    return [
        {"field": one.name, "before": before.get(one.name), "after": after.get(one.name)}
        for one in data_fields(record_type)
        if not is_same(one, before.get(one.name), after.get(one.name))
    ]


def require_submit(ctx: Context, connection: Connection, type_name: str, record: Record) -> None:
    """Refuse whoever may not submit a document.

    Raises:
        NotFound: the actor may not even see it.
        Forbidden: they may not submit it.
    """
    rights, env = access(ctx, type_name), RecordEnv(ctx, connection)
    values = env.view(type_name, record)
    if rights.editable_when("submit", values, env) is not None:
        return
    if rights.editable_when("view", values, env) is None:
        raise NotFound
    raise Forbidden


def supersede(ctx: Context, connection: Connection, former: Record) -> None:
    """End a round that could not take effect; refuse while one is being decided."""
    if former["state"] != "apply_blocked":
        refuse_open(former)
    run = lock_instance(ctx, connection, former["id"])
    run.perform(Command("withdraw"))
    run.events = [replace(one, verb="supersede") for one in run.events if one.verb == "withdraw"]
    # Its document was handed back when it was blocked, and goes on in the new round.
    run.former = run.state.status
    settle(run)


def _mark_submitted(
    ctx: Context, connection: Connection, type_name: str, *, record: Record,
    found: Proposal | None,
) -> Record:  # fmt: skip
    """Mark what is submitted as such; return the record as it then is.

    Raises:
        NothingToSubmit: it is in force and nobody proposed a change.
        Invalid: the proposed change breaks rules by now.
        UserError: a plugin refuses it.
    """
    if found is None and record["status"] not in _SUBMITTABLE:
        raise errors.NothingToSubmit
    ctx.hooks.at_document(
        ctx, "guanxi_before_submit", as_it_would_be(ctx, type_name, record, found)
    )
    if found is not None:
        if not found.voids:  # what is no longer in force need not meet the rules
            check_proposal(ctx, type_name, record, found)
        set_proposal_status(connection, found.id, SUBMITTED)
        return record
    put_effect(ctx, type_name, record["id"], {"status": "submitted"})
    return load_document(ctx, type_name, record["id"])


def pin(ctx: Context, flow: Flow) -> dict[str, Any]:
    """Return the columns of an instance that say by which flow it runs, for good."""
    release = ctx.registry.release
    definition = encode(with_tables(flow, release.decision_tables)).decode()
    below = {
        name: with_tables(one, release.decision_tables)
        for name, one in subflows_of(release.flows, flow).items()
    }
    subflows = msgspec.json.encode(below, order="sorted")
    return {
        "flow": flow.flow,
        "flow_version": flow.version,
        "definition": definition,
        "subflows": subflows.decode(),
        "definition_hash": hashlib.sha256(definition.encode() + b"\0" + subflows).hexdigest(),
        "release": ctx.registry.release.number,
    }


def _begin(
    ctx: Context, connection: Connection, flow: Flow, what: tuple[str, Record, Subject]
) -> Run:
    """Return a run over a new instance, which is written when it is settled."""
    type_name, record, subject = what
    found = subject.proposal
    before = _last_round(connection, type_name, record["id"])
    row = {
        "id": new_id(),
        **pin(ctx, flow),
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
        "title": _title(ctx.registry.record_type(type_name).title_field, subject),
        "values": msgspec.json.encode(subject.proposed).decode(),
        "subject_hash": subject.hash,
        "initiator": ctx.actor.id,
        "initiator_name": ctx.actor.name,
        "makers": makers_of(ctx, connection, record, type_name=type_name, found=found),
        "opened_at": to_wire(ctx.now),
        "ended_at": None,
        "ended_by": None,
        "ended_by_name": None,
        "problems": "[]",
        "chain": "",
        "events": 0,
        "rooted": 0,
    }
    return new_run(ctx, connection, row, (record, subject))


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
    run.perform(Command("withdraw", opinion=read_opinion(reason)))
    settle(run)
    return answer_of(run)


def initiated_run(ctx: Context, type_name: str, record_id: str, refusal: str) -> Run:
    """Return the record's open approval, locked, for the person who started it.

    Raises:
        NotFound: there is none that this actor may know of.
        AlreadyEnded: it is over.
        NotInitiator: somebody else started it; says `refusal`.
    """
    connection = transaction(ctx)
    row = open_instance(connection, type_name, record_id, lock=True)
    if row is None:
        ended = _latest(connection, type_name, record_id)
        if ended is None or ctx.actor.id != ended["initiator"]:
            raise NotFound
        errors.refuse(
            errors.AlreadyEnded,
            state=ended["state"], by=ended["ended_by_name"], at=ended["ended_at"],
        )  # fmt: skip
    if row["initiator"] != ctx.actor.id:
        if not knows(ctx, connection, row):
            raise NotFound
        raise errors.NotInitiator(refusal)
    return lock_instance(ctx, connection, row["id"])


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
        run = lock_instance(ctx, transaction(ctx), instance_id)
        said = read_opinion(reason)
        if not said:
            raise errors.OpinionRequired
        run.via_override = True
        if verb == "retry":
            _retry(run, said)
        else:
            run.perform(Command(verb, opinion=said))
        settle(run)
        return answer_of(run)

    return once(ctx, key, (verb, instance_id, reason), act)


def _retry(run: Run, said: str) -> None:
    """Have an approved document take effect now; `settle` looks at it all again."""
    if run.state.status != "apply_blocked":
        errors.refuse(errors.NotPossible, state=run.state.status)
    if run.subject.hash != run.state.subject_hash:
        raise errors.SubjectChanged
    run.state.status = "approved"
    run.note("retry", opinion=said)


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
        "title": row["title"] if shows_title(run.ctx, row["record_type"]) else "",
        "problems": blocking_problems(row, run.ctx.locale),
    }
