"""A decision: one transaction from the key to the outbox.

Order: idempotency key, lock of the instance, its state, who may, the seat, the content that
was shown, opinion and signature, the vote and what follows, events, outbox. Two last voters
at once wait for each other at the lock, so exactly one of them closes the task.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.context import Context
from core.errors import (
    Invalid,
    NotFound,
    Problem,
)
from core.i18n import N_, pick
from core.policies.masks import masker
from core.prebuilt import Prebuilt
from core.records.idempotency import was_answered
from core.schema.flows import Step
from core.workflow import errors
from core.workflow.editing import check_required, edit_with_decision
from core.workflow.engine.machine import VERBS, perform
from core.workflow.engine.state import Command, RefusalError, Seat, Visit
from core.workflow.engine.tally import verdict_of
from core.workflow.engine.voting import BALLOTS
from core.workflow.engine.work import Machine
from core.workflow.evidence.signing import NOT_SIGNED, Signed, bind, require, sign
from core.workflow.fieldrights import visible
from core.workflow.models import task
from core.workflow.operations import answer_of, transaction
from core.workflow.opinion import read_opinion
from core.workflow.run import (
    Answer,
    Run,
    lock_instance,
    once,
    read_instance,
    shown_content,
)
from core.workflow.seen import knows, require_sight, seen_record
from core.workflow.settling import settle
from core.workflow.staff.people import voice_of
from core.workflow.subject import changed_cells, difference

#: Verbs that say something about the content, so they say which content they mean.
_ON_CONTENT = frozenset({*BALLOTS, "return", "add_after"})
#: Verbs after which a step may pass.
_PASSING = frozenset({"approve", "complete", "add_after"})
#: Verbs whose words are a vote's or an answer to a task, and may be signed.
_SIGNED = frozenset({*BALLOTS, "add_after"})


class NotInBulk(Invalid):
    """The step's tasks are decided one by one."""

    code = "flow.not_in_bulk"
    text = N_("This step is decided one by one.")


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody wants to do with a task.

    Attributes:
        subject_hash: of what they were shown.
        seat: which seat they sit in, by key or id; empty is the first that is theirs.
        to: ids of people, the seat to remove, or the step to return to.
        then: of a return `resume` or `rewalk`, of a claim `steal`.
        rule: how those who are added decide: any, all or sequence.
        fields: field -> wire value that is changed with it.
        signature: what the signing of the step asks for; `decide_once` looks at it.
        signed: what it was found to show.
        chosen: step -> people named for it.
    """

    task_id: str
    verb: str
    subject_hash: str = ""
    opinion: str = ""
    seat: str = ""
    to: tuple[str, ...] = ()
    then: str = ""
    rule: str = "any"
    fields: Mapping[str, Any] = field(default_factory=dict)
    signature: Mapping[str, Any] = field(default_factory=dict, repr=False)
    signed: Signed = NOT_SIGNED
    chosen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> tuple[Any, ...]:
        """Return what tells it from another under the same idempotency key.

        A password is for one moment, so no signature is part of it.
        """
        return (
            "decide", self.task_id, self.verb, self.subject_hash, self.opinion, self.seat,
            self.to, self.then, self.rule, dict(self.fields), dict(self.chosen),
        )  # fmt: skip


def decide(
    ctx: Context, task_id: str, verb: str, *, key: str | None = None, **more: Any
) -> Answer:
    """Act on a task and do what follows from it; `more` is what `Decision` takes.

    Raises:
        NotFound: there is no such task or verb.
        UserError: one of `core.workflow.errors`; nothing was changed.
    """
    return decide_once(ctx, Decision(task_id, verb, **more), key=key)


def decide_once(
    ctx: Context, decision: Decision, *, key: str | None = None, in_bulk: bool = False
) -> Answer:
    """Do what `decide` does with a decision that was put together before.

    Raises:
        NotInBulk: it is made with others, `in_bulk`, which the step does not allow.
    """
    # What was answered under the key is answered again, without being signed again.
    is_answered = key is not None and bool(decision.signature) and was_answered(ctx, key)
    signature = {} if is_answered else decision.signature
    signed = replace(decision, signature={}, signed=sign(ctx, signature))
    return once(ctx, key, decision.fingerprint, lambda: _decide(ctx, signed, in_bulk=in_bulk))


def check(ctx: Context, decision: Decision, *, in_bulk: bool = False) -> None:
    """Raise the refusal that `decide` would, without writing anything; not of its fields."""
    with ctx.reading() as connection:
        run = _read_run(ctx, connection, decision)
        _admit(run, decision, in_bulk=in_bulk)


def _decide(ctx: Context, decision: Decision, *, in_bulk: bool = False) -> Answer:
    connection = transaction(ctx)
    run = lock_instance(ctx, connection, _instance_of(connection, decision))
    known = set(run.state.visits)
    visit = _admit(run, decision, in_bulk=in_bulk)
    bind(connection, ctx, decision.signed)
    run.signed = decision.signed
    settle(run)
    opened = [
        one.id
        for one in run.state.visits.values()
        if one.id not in known and one.state == "open" and run.tree.nodes[one.step].is_human
    ]
    return answer_of(run) | {
        "task": decision.task_id,
        "verb": decision.verb,
        "verdict": _verdict(run, visit),
        "next_task": opened[0] if opened else None,
    }


def _verdict(run: Run, visit: Visit) -> str:
    if visit.state == "done":
        return {"pass": "passed", "reject": "rejected", "return": "returned"}.get(
            visit.result, visit.result
        )
    return verdict_of(run.tree.nodes[visit.step].step, run.state, visit.id)


def _admit(run: Run, decision: Decision, *, in_bulk: bool) -> Visit:
    """Do what is wanted in memory, or raise the first reason why it is not possible.

    Raises:
        NotACandidate: the task is for others.
        TaskStale: the document came back and waits in another task.
        UserError: any other refusal.
    """
    visit = run.state.visits.get(decision.task_id)
    if visit is None or not run.tree.nodes[visit.step].is_human:
        raise NotFound
    step = run.tree.nodes[visit.step].step
    _require_seat(run, visit)
    _refuse_past(run, visit, decision.verb)
    opinion = read_opinion(decision.opinion)
    if step.comment.rule(decision.verb) == "hidden":
        opinion = ""
    command = Command(
        decision.verb, visit.id, decision.seat, opinion, decision.to, decision.then,
        decision.rule, chosen=dict(decision.chosen),
    )  # fmt: skip
    acting: Seat | None = None
    if decision.fields:
        # Whether they may at all is asked before anything of the document is touched.
        acting = _rehearse(run, command)
        _check_shown(run, visit, decision)
        edit_with_decision(run, acting, step, decision.fields)
        run.perform(command)
    else:
        run.perform(command)
        _check_shown(run, visit, decision)
        acting = _acting(run, visit)
    if in_bulk and not step.queue.bulk:
        raise NotInBulk
    if not opinion and step.comment.rule(decision.verb) == "required":
        text = N_("Please give an opinion.")
        raise errors.OpinionRequired(
            problems=[Problem("opinion", errors.OpinionRequired.code, text)]
        )
    if acting is not None and decision.verb in _PASSING:
        check_required(run, acting, step)
    if acting is not None and decision.verb in _SIGNED:
        _check_signature(acting, step, decision)
    return visit


def _rehearse(run: Run, command: Command) -> Seat:
    """Return the seat a command would be done in; raises its refusal, changes nothing."""
    machine = Machine(run.tree, deepcopy(run.state), run.world)
    try:
        events = perform(machine, voice_of(run.ctx.actor), command)
    except RefusalError as refusal:
        run.refuse(refusal)
    made = machine.state.votes.get(events[0].detail.get("vote", "")) if events else None
    if made is None:
        raise errors.VerbNotAllowed(verb=command.verb)
    return run.state.seats[made.seat]


def _acting(run: Run, visit: Visit) -> Seat | None:
    """Return the seat that a vote of this operation was cast in, if one was."""
    for event in run.events:
        made = run.state.votes.get(event.detail.get("vote", ""))
        if made is not None and made.visit == visit.id and made.source == "human":
            return run.state.seats[made.seat]
    return None


def own_seats(run: Run, visit: Visit) -> list[str]:
    """Return the names of the task's seats that the actor sits in, or voted in."""
    mine, actor = voice_of(run.ctx.actor).identities, run.ctx.actor.id
    return [
        seat.group or seat.key
        for seat in run.state.seats_of(visit.id)
        if any(one.identity in mine for one in run.state.candidates_of(seat.id))
        or (seat.vote and run.state.votes[seat.vote].actor == actor)
    ]


def _require_seat(run: Run, visit: Visit) -> None:
    """Refuse whoever never had a voice in a task, before anything is said about it.

    Raises:
        NotACandidate: the task is for others.
        NotFound: so it is, and they may not even know that it is there.
    """
    mine = voice_of(run.ctx.actor).identities
    seats = {seat.id for seat in run.state.seats_of(visit.id)}
    is_candidate = any(
        one.seat in seats and not one.gone and one.identity in mine for one in run.state.candidates
    )
    has_voted = any(
        one.visit == visit.id and one.actor == run.ctx.actor.id for one in run.state.votes.values()
    )
    if is_candidate or has_voted:
        return
    if not knows(run.ctx, run.connection, run.row):
        raise NotFound
    errors.refuse(errors.NotACandidate)


def _refuse_past(run: Run, visit: Visit, verb: str) -> None:
    """Refuse what comes too late: after the end, or in a task that waits anew as another one."""
    _refuse_ended(run, visit, verb)
    is_past = visit.state == "cancelled" or (visit.state == "done" and visit.result == "return")
    if not is_past or verb == "take_back":
        return
    later = [
        one
        for one in run.state.live_visits()
        if one.step == visit.step and one.number > visit.number
    ]
    if later:
        errors.refuse(
            errors.TaskStale, task=later[-1].id, link=f"/tasks/{later[-1].id}",
            at=later[-1].opened_at,
        )  # fmt: skip


def _refuse_ended(run: Run, visit: Visit, verb: str) -> None:
    """Refuse what comes after the end, when there may be no document any more."""
    if run.row["ended_at"]:
        was_decided = visit.state == "done" and verb != "take_back"
        code = errors.AlreadyDecided.code if was_decided else errors.AlreadyEnded.code
        run.refuse(RefusalError(code, visit=visit.id))


def _check_shown(run: Run, visit: Visit, decision: Decision) -> None:
    """Refuse a decision about something else than what is stored.

    Raises:
        Forbidden: the person may not see the document at all.
        HashRequired: it does not say what it is about.
        SubjectChanged: it is about something else; says what changed since.
    """
    shown = decision.subject_hash
    if decision.verb in _ON_CONTENT:
        require_sight(run.ctx, run.connection, run.record[0], run.document)
    if not shown:
        if decision.verb in _ON_CONTENT:
            raise errors.HashRequired
        return
    subject = run.subject
    if shown == subject.hash == run.row["subject_hash"] and shown == visit.subject_hash:
        return
    before = shown_content(run.connection, run.row["id"], shown)
    if before is None or shown == subject.hash:
        before = msgspec.json.decode(run.row["values"])
    raise errors.SubjectChanged(problems=list(_changes(run, visit, before)))


def _changes(run: Run, visit: Visit, before: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what became of the content that somebody was shown, as far as they may see it."""
    subject = run.subject
    type_name, record_id = run.record
    record_type = run.ctx.registry.record_type(type_name)
    rights = run.tree.nodes[visit.step].step.fields
    seen = seen_record(run.ctx, type_name, record_id) or {}
    changes, _same = difference(
        record_type, before, subject.proposed, visible=visible(rights, own_seats(run, visit), seen)
    )
    masked = frozenset(seen.get("masked", ()))
    text = N_("{field} was {before} and is {after} now.")
    for each in changes:
        name = each["field"]
        cells = list(changed_cells(each))
        if name in masked:
            mask = masker(record_type.field(name))
            cells = [(name, mask(each["before"]), mask(each["after"]))]
        label = pick(one.label if (one := record_type.field(name)) else {}, run.ctx.locale, name)
        for path, *both in cells:
            was, now = ("–" if one is None else str(one) for one in both)
            told = {"field": label + path.removeprefix(name), "before": was, "after": now}
            yield Problem(path, errors.SubjectChanged.code, text, told)


def _check_signature(seat: Seat, step: Step, decision: Decision) -> None:
    """Refuse a vote that is not signed as the step asks.

    Raises:
        ReauthRequired: the password was not given with it.
        SignatureRequired: nothing was drawn.
    """
    require(decision.signed, step.signing(seat.group or seat.key))


def _instance_of(connection: Connection, decision: Decision) -> str:
    """Return the id of the task's instance.

    Raises:
        NotFound: there is no such verb or task.
    """
    if decision.verb not in VERBS:
        raise NotFound
    rows = _finding(connection.dialect).rows(connection, {"id": decision.task_id})
    if not rows:
        raise NotFound
    return str(rows[0][0])


@lru_cache(maxsize=4)
def _finding(dialect: Dialect) -> Prebuilt:
    return Prebuilt(sa.select(task.c.instance_id).where(task.c.id == sa.bindparam("id")), dialect)


def _read_run(ctx: Context, connection: Connection, decision: Decision) -> Run:
    """Return the run of a decision that nothing is written for."""
    return read_instance(ctx, connection, _instance_of(connection, decision))
