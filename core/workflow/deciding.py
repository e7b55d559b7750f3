"""A decision: one transaction from the key to the outbox.

Order: idempotency key, lock of the instance, who may, status, seat, subject hash,
vote, tally, next task or effect, events, outbox. Two last voters at once wait for
each other at the lock, so exactly one of them closes the task.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import (
    Invalid,
    NotFound,
    Problem,
    Unavailable,
    UserError,
    problem_body,
    told,
)
from core.i18n import N_
from core.ids import new_id
from core.workflow import errors, outcome
from core.workflow.documents import load_document
from core.workflow.machine import Move, Seat, Vote, find_step, move
from core.workflow.models import Row, candidate, instance, seat, task, vote
from core.workflow.opening import close_task, open_task, seat_rows
from core.workflow.operations import answer_of
from core.workflow.opinion import read_opinion
from core.workflow.people import identities, is_maker
from core.workflow.run import Answer, Run, lock_instance, make_run, once, refuse
from core.workflow.seen import seen_record
from core.workflow.subject import Subject, difference, read_subject

#: Verbs that the contract names; a step offers some of them.
VERBS = frozenset({
    "approve", "reject", "abstain", "complete", "return", "transfer", "delegate", "add_before",
    "add_after", "add_beside", "remove_added", "take_back", "claim", "release",
})  # fmt: skip
#: Verbs that are votes.
_VOTES: dict[str, Vote] = {"approve": "approve", "reject": "reject"}

#: Most tasks that one bulk call decides.
BULK_CAP = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody wants to do with a task.

    Attributes:
        subject_hash: of what they were shown.
        seat: which seat they sit in; empty is the first that is theirs.
    """

    task_id: str
    verb: str
    subject_hash: str
    opinion: str = ""
    seat: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """A decision that was found admissible, with all it needs."""

    run: Run
    task: Row
    seats: Sequence[Row]
    seat: Row
    subject: Subject
    opinion: str


def decide(
    ctx: Context,
    task_id: str,
    verb: str,
    *,
    subject_hash: str = "",
    opinion: str = "",
    seat: str = "",
    key: str | None = None,
) -> Answer:
    """Vote on a task and do what follows from it.

    Raises:
        NotFound: there is no such task or verb.
        NotACandidate: the task is for others.
        SodViolation: the actor made what is decided; no role changes that.
        AlreadyDecided: somebody was first.
        AlreadyEnded: the approval ended meanwhile.
        Suspended: an administrator halted it.
        SubjectChanged: the hash is not that of what is stored.
        OpinionRequired: the step wants an opinion with this verb.
        VerbNotAllowed: the step does not offer this verb.
    """
    decision = Decision(task_id, verb, subject_hash, opinion, seat)
    action = ("decide", task_id, verb, subject_hash, opinion, seat)
    return once(ctx, key, action, lambda: _decide(ctx, decision))


def bulk(
    ctx: Context,
    verb: str,
    items: Sequence[Mapping[str, str]],
    *,
    opinion: str = "",
    preview: bool = False,
) -> list[Answer]:
    """Decide many tasks, each in a transaction of its own; return a result per item.

    `items` have `id` and `subject_hash`. A `preview` writes nothing and says what would
    happen: `eligible` or the refusal.

    Raises:
        Invalid: there are more than `BULK_CAP` items, or one is no object of texts.
    """
    _check_items(items)
    results = []
    for item in items:
        decision = Decision(item["id"], verb, item.get("subject_hash", ""), opinion)
        results.append(_attempt(ctx, decision, preview=preview))
    return results


def check(ctx: Context, decision: Decision) -> None:
    """Raise the refusal that `decide` would, without writing anything."""
    with ctx.reading() as connection:
        _admit(ctx, connection, decision, lock=False)


def _check_items(items: Sequence[Mapping[str, str]]) -> None:
    text = N_("This must be a list of at most {limit} objects with id and subject_hash.")
    is_right = isinstance(items, list) and len(items) <= BULK_CAP
    if not is_right or not all(_is_item(item) for item in items):
        raise Invalid(problems=[Problem("items", "flow.bulk_items", text, {"limit": BULK_CAP})])


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() <= {"id", "subject_hash"}
        and isinstance(item.get("id"), str)
        and isinstance(item.get("subject_hash", ""), str)
    )


def _attempt(ctx: Context, decision: Decision, *, preview: bool) -> Answer:
    result: Answer = {"id": decision.task_id}
    try:
        if preview:
            check(ctx, decision)
            return result | {"result": "eligible"}
        answer = once(ctx, None, (), lambda: _decide(ctx, decision))
    except (UserError, Unavailable) as refusal:
        return result | {
            "result": "refused" if isinstance(refusal, UserError) else "failed",
            "code": refusal.code,
            "message": told(refusal.text, ctx.locale, refusal.params),
            "problems": [problem_body(each, ctx.locale) for each in refusal.problems],
        }
    return result | {"result": "applied", **answer}


def _decide(ctx: Context, decision: Decision) -> Answer:
    connection = ctx.connection
    assert connection is not None  # noqa: S101  `once` has opened it
    ballot = _admit(ctx, connection, decision, lock=True)
    made = _cast(ballot, _VOTES[decision.verb])
    _follow(ballot, made)
    ballot.run.evidence.close()
    return answer_of(ballot.run) | {
        "task": decision.task_id,
        "verb": decision.verb,
        "verdict": made.verdict,
        "next_task": ballot.run.row["task_id"] if made.trigger == "pass" else None,
    }


def _admit(ctx: Context, connection: Connection, decision: Decision, *, lock: bool) -> Ballot:
    """Return the ballot, or raise the first reason why there is none.

    Raises:
        NotFound: there is no such verb.
        NotACandidate: the task is for others.
        SodViolation: the actor made what is decided.
        VerbNotAllowed: the step does not offer the verb.
    """
    if decision.verb not in VERBS:
        raise NotFound
    shown = _task_row(connection, decision.task_id)
    run = _run(ctx, connection, shown["instance_id"], lock=lock)
    # Read again: what stood here before the lock may be over.
    row = _task_row(connection, decision.task_id)
    seats = seat_rows(run, row["id"])
    mine = _seats_of(connection, ctx, row["id"])
    if not mine:
        raise errors.NotACandidate
    if is_maker(ctx.actor.id, run.row["makers"]):
        raise errors.SodViolation
    if decision.verb not in row["may"].split() or decision.verb not in _VOTES:
        raise errors.VerbNotAllowed(verb=decision.verb)
    _check_status(run, row)
    chosen = _choose(run, row, [each for each in seats if each["id"] in mine], decision.seat)
    subject = _check_subject(run, row, decision.subject_hash)
    opinion = _check_opinion(run, row["step"], decision)
    return Ballot(run, row, seats, chosen, subject, opinion)


def _task_row(connection: Connection, task_id: str) -> Row:
    row = connection.execute(sa.select(task).where(task.c.id == task_id)).mappings().first()
    if row is None:
        raise NotFound
    return row


def _run(ctx: Context, connection: Connection, instance_id: str, *, lock: bool) -> Run:
    if lock:
        return lock_instance(ctx, connection, instance_id)
    query = sa.select(instance).where(instance.c.id == instance_id)
    return make_run(ctx, connection, connection.execute(query).mappings().one())


def _seats_of(connection: Connection, ctx: Context, task_id: str) -> frozenset[str]:
    """Return the ids of the task's seats that the actor may sit in."""
    rows = connection.execute(
        sa.select(candidate.c.seat_id).where(
            candidate.c.task_id == task_id,
            sa.tuple_(candidate.c.kind, candidate.c.actor).in_(identities(ctx.actor)),
        )
    )
    return frozenset(rows.scalars())


def _check_status(run: Run, row: Row) -> None:
    """Refuse a task that is over or halted, saying who did that and when."""
    if row["state"] == "done":
        _refuse_decided(run, row)
    if row["state"] == "suspended" or run.row["state"] == "suspended":
        errors.refuse(errors.Suspended)
    if row["state"] != "open":
        refuse(errors.AlreadyEnded.code, {**row, **_ending(run, row)})


def _ending(run: Run, row: Row) -> dict[str, Any]:
    return {
        "state": row["result"] or run.row["state"],
        "ended_by": row["closed_by"],
        "ended_by_name": row["closed_by_name"],
        "ended_at": row["closed_at"],
    }


def _refuse_decided(run: Run, row: Row) -> NoReturn:
    last = run.connection.execute(
        sa.select(vote).where(vote.c.task_id == row["id"]).order_by(vote.c.at.desc()).limit(1)
    ).mappings().one()  # fmt: skip
    errors.refuse(errors.AlreadyDecided, by=last["actor_name"], at=last["at"], verb=last["verb"])


def _choose(run: Run, row: Row, mine: Sequence[Row], wanted: str) -> Row:
    """Return the seat to vote in: the one named, else the first open one.

    Whoever has voted on the task must name a second seat, so that a double click
    never fills two.

    Raises:
        NotACandidate: the seat named is for others.
    """
    voted = run.connection.execute(
        sa.select(vote.c.seat_id).where(
            vote.c.task_id == row["id"], vote.c.actor == run.ctx.actor.id
        )
    ).first()
    for each in mine:
        is_meant = each["key"] == wanted if wanted else voted is None
        if is_meant and each["state"] == "open":
            return each
    if voted is None and wanted and wanted not in {each["key"] for each in mine}:
        raise errors.NotACandidate
    _refuse_decided(run, row)


def _check_subject(run: Run, row: Row, shown_hash: str) -> Subject:
    """Return the subject as stored; refuse a vote for anything else.

    Raises:
        HashRequired: the vote does not say what it is for.
        SubjectChanged: it is for something else.
    """
    if not shown_hash:
        raise errors.HashRequired
    type_name, record_id = run.record
    record = load_document(run.as_system, type_name, record_id)
    subject = read_subject(run.as_system, run.connection, type_name, flow=run.flow, record=record)
    if shown_hash == row["subject_hash"] == subject.hash:
        return subject
    submitted = msgspec.json.decode(run.row["values"])
    changes, _same = difference(
        run.ctx.registry.record_type(type_name), submitted, subject.proposed,
        visible=seen_record(run.ctx, type_name, record_id) or (),
    )  # fmt: skip
    raise errors.SubjectChanged(
        problems=[
            Problem(
                each["field"],
                errors.SubjectChanged.code,
                N_("It was {before} and is {after} now."),
                {"before": str(each["before"]), "after": str(each["after"])},
            )
            for each in changes
        ]
    )


def _check_opinion(run: Run, step_id: str, decision: Decision) -> str:
    rule = find_step(run.flow, step_id).comment.rule(decision.verb)
    opinion = read_opinion(decision.opinion)
    if rule == "required" and not opinion:
        text = N_("Please give an opinion.")
        raise errors.OpinionRequired(
            problems=[Problem("opinion", errors.OpinionRequired.code, text)]
        )
    return "" if rule == "hidden" else opinion


def _cast(ballot: Ballot, voted: Vote) -> Move:
    """Write the vote into its seat; return what follows from all votes."""
    run, row, chosen = ballot.run, ballot.task, ballot.seat
    taken = run.connection.execute(
        seat.update()
        .where(
            seat.c.id == chosen["id"],
            seat.c.state == "open",
            seat.c.version == chosen["version"],
        )
        .values(state="voted", ballot=voted, version=seat.c.version + 1)
    )
    if not taken.rowcount:
        _refuse_decided(run, row)
    actor, now = run.ctx.actor, to_wire(run.ctx.now)
    run.connection.execute(
        vote.insert().values(
            id=new_id(),
            seat_id=chosen["id"],
            task_id=row["id"],
            instance_id=row["instance_id"],
            record_type=row["record_type"],
            actor=actor.id,
            actor_name=actor.name,
            verb=voted,
            opinion=ballot.opinion,
            subject_hash=row["subject_hash"],
            at=now,
        )
    )
    run.connection.execute(
        candidate.update().where(candidate.c.seat_id == chosen["id"]).values(is_open=False)
    )
    if voted == "approve":
        run.connection.execute(
            task.update().where(task.c.id == row["id"]).values(approved=task.c.approved + 1)
        )
    run.evidence.add(
        voted, step=row["step"], task_id=row["id"], seat=chosen["key"], opinion=ballot.opinion
    )
    seats = [
        Seat(each["key"], "voted", voted)
        if each["id"] == chosen["id"]
        else Seat(each["key"], each["state"], each["ballot"])
        for each in ballot.seats
    ]
    return move(run.flow, row["step"], seats)


def _follow(ballot: Ballot, made: Move) -> None:
    """Close the task and go on, when its votes decide it."""
    run, row = ballot.run, ballot.task
    if made.trigger is None:
        return
    passed = made.verdict == "passed"
    close_task(run, row["id"], state="done", result="pass" if passed else "reject")
    if made.moot:
        run.evidence.add(
            "moot", step=row["step"], task_id=row["id"], detail={"seats": list(made.moot)}
        )
    if made.step is not None:
        run.advance("pass")
        open_task(run, made.step)
    elif made.trigger == "finish":
        outcome.apply(run, ballot.subject)
    else:
        outcome.reject(run)
