"""One task, or one instance, as a person looks at it before and after a decision.

Opens on the difference between what is in force and what is proposed, under the
reader's own field rights, with what happened so far and what a click will cause.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, NotFound, Unavailable, UserError
from core.i18n import N_, translate
from core.policies.masks import masker
from core.records.proposals import VOID
from core.workflow import errors
from core.workflow.deciding import Decision, check, own_seats
from core.workflow.engine.machine import perform
from core.workflow.engine.state import Command, RefusalError, State, Visit
from core.workflow.engine.tally import verdict_of
from core.workflow.engine.work import Machine
from core.workflow.evidence.events import list_events
from core.workflow.evidence.signing import ReauthRequired
from core.workflow.fieldrights import visible
from core.workflow.models import OPEN_STATES, Row, candidate, instance, task
from core.workflow.outcome import blocking_problems
from core.workflow.run import Answer, Run, decode_flow, make_run
from core.workflow.seen import NO_SIGHT, knows, seen_record
from core.workflow.staff.people import STAFF, may_administer, nobody_is_left, voice_of
from core.workflow.subject import Subject, difference
from core.workflow.taskrows import JOINED, sitting, task_row

#: Events whose opinion and verb every reader of the record may see.
_SHOWN = (
    "seq", "at", "actor", "actor_name", "verb", "step", "task_id", "seat", "opinion", "detail",
)  # fmt: skip

#: What events tell besides that may hold values of fields: what a subflow is walked for, and
#: why an effect failed. Administrators find the latter at the effect.
_VALUED = frozenset({"items", "error"})

#: What administrators may do, and those that only one state allows.
_ADMINISTERING = ("suspend", "resume", "terminate", "retry")
_ONLY_IN = {"resume": "suspended", "retry": "apply_blocked"}


#: Refusals of how something is sent, which their person mends while deciding.
_MENDED = frozenset({
    errors.OpinionRequired.code, errors.SignatureRequired.code, errors.RequireFailed.code,
    errors.ClaimedBy.code, errors.ClaimRequired.code, errors.VerbNotAllowed.code,
    ReauthRequired.code,
})  # fmt: skip


def get_task(ctx: Context, task_id: str) -> Answer:
    """Return a task with its difference, timeline and what each verb would cause.

    Raises:
        NotFound: there is no such task that the actor may know of.
        Forbidden: the actor may not see its document.
    """
    with ctx.reading() as connection:
        row = connection.execute(JOINED.where(task.c.id == task_id)).mappings().first()
        if row is None:
            raise NotFound
        parent = _instance_row(connection, row["instance_id"])
        seen = _readable(ctx, connection, parent)
        run = make_run(ctx, connection, parent)
        visit = run.state.visits[task_id]
        step = run.tree.nodes[visit.step].step
        mine = sitting(ctx, connection, [task_id])
        shown = visible(step.fields, own_seats(run, visit), seen)
        hidden = {"no_access": sorted({*seen.get("no_access", ()), *seen.keys() - shown})}
        limited = {name: value for name, value in seen.items() if name in shown} | hidden
        told = _timeline(connection, parent["id"])
        return {
            **task_row(ctx, row, mine),
            **_difference(ctx, connection, parent, run.subject, seen=limited),
            "void_reason": _void_reason(parent, told),
            **hidden,
            "subject_hash": run.subject.hash if row["state"] == "open" else row["subject_hash"],
            "seats": _seats(run, visit),
            "because": _because(run, visit),
            "why_not": _why_not(ctx, row, mine),
            "blocked": _blocked(ctx, connection, parent, task_id, row["state"]),
            "effects": _effects(run, visit),
            "opinion_rules": {verb: step.comment.rule(verb) for verb in row["may"].split()},
            "timeline": told,
            "problems": _problems(ctx, parent, limited),
            "previous": parent["previous_id"],
        }


def get_instance(ctx: Context, instance_id: str) -> Answer:
    """Return an instance with its tasks and every event.

    Raises:
        NotFound: there is no such instance that the actor may know of.
        Forbidden: the actor may not see its document.
    """
    with ctx.reading() as connection:
        parent = _instance_row(connection, instance_id)
        seen = _readable(ctx, connection, parent)
        rows = list(
            connection.execute(
                JOINED.where(task.c.instance_id == instance_id).order_by(task.c.opened_at)
            ).mappings()
        )
        mine = sitting(ctx, connection, [row["id"] for row in rows])
        flow = decode_flow(parent["definition"])
        is_administrator = may_administer(ctx)
        return {
            "id": parent["id"],
            "flow": {"name": flow.flow, "version": flow.version, "title": dict(flow.title)},
            "record": {"type": parent["record_type"], "id": parent["record_id"]},
            "title": task_row(ctx, rows[-1], mine)["title"] if rows else "",
            "state": parent["state"],
            "round": parent["round"],
            "previous": parent["previous_id"],
            "initiator": {"id": parent["initiator"], "name": parent["initiator_name"]},
            "opened_at": parent["opened_at"],
            "ended_at": parent["ended_at"],
            "ended_by": parent["ended_by_name"],
            "release": parent["release"],
            "attention": parent["attention"] if is_administrator else "",
            "problems": _problems(ctx, parent, seen),
            "may": administering(parent["state"]) if is_administrator else [],
            "tasks": [task_row(ctx, row, mine) for row in rows],
            "events": _timeline(connection, instance_id),
        }


def record_flow(ctx: Context, type_name: str, record_id: str) -> Answer | None:
    """Return the record's latest approval for its page; None when it never had one.

    The caller has shown the record to the actor already.
    """
    with ctx.reading() as connection:
        row = connection.execute(
            sa.select(instance.c.id)
            .where(instance.c.record_type == type_name, instance.c.record_id == record_id)
            .order_by(instance.c.opened_at.desc(), instance.c.id.desc())
            .limit(1)
        ).first()  # fmt: skip
        return None if row is None else get_instance(ctx, row.id)


def administering(state: str) -> list[str]:
    """Return what administrators may do with an approval in this state."""
    return [verb for verb in _ADMINISTERING if _can(verb, state)]


def _can(verb: str, state: str) -> bool:
    if verb in _ONLY_IN:
        return state == _ONLY_IN[verb]
    return state in OPEN_STATES and (verb == "terminate" or state in {"running", "returned"})


def _instance_row(connection: Connection, instance_id: str) -> Row:
    query = sa.select(instance).where(instance.c.id == instance_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound
    return row


def _readable(ctx: Context, connection: Connection, parent: Row) -> dict[str, Any]:
    """Return the document as the actor sees it.

    Raises:
        Forbidden: they see none of it; being a candidate gives no right to read.
        NotFound: nor have they any part in its approval.
    """
    seen = seen_record(ctx, parent["record_type"], parent["record_id"])
    if seen is None:
        if not knows(ctx, connection, parent):
            raise NotFound
        raise Forbidden(NO_SIGHT)
    return seen


def _difference(
    ctx: Context, connection: Connection, parent: Row, subject: Subject,
    *, seen: Mapping[str, Any],
) -> Answer:  # fmt: skip
    """Return what the approval changes, and what the round before had asked for."""
    record_type = ctx.registry.record_type(parent["record_type"])
    submitted = msgspec.json.decode(parent["values"])
    is_open = parent["state"] in OPEN_STATES
    proposed = subject.proposed if is_open else submitted
    before = subject.live if parent["proposal_id"] else None
    changes, same = difference(record_type, before, proposed, visible=seen)
    last: list[Answer] = []
    if parent["previous_id"]:
        former = _instance_row(connection, parent["previous_id"])
        last, _ = difference(
            record_type, msgspec.json.decode(former["values"]), proposed, visible=seen
        )
    masks = {name: masker(record_type.field(name)) for name in seen.get("masked", ())}
    for entry in (*changes, *same, *last):
        mask = masks.get(entry["field"])
        if mask is not None:
            told = entry.keys() & {"before", "after", "value"}
            entry |= {key: mask(entry[key]) for key in told if entry[key] is not None}
    return {"diff": changes, "unchanged": same, "since_last_round": last}


def _void_reason(parent: Row, timeline: list[Answer]) -> str:
    """Return why the document shall be void; empty when something else is decided."""
    if msgspec.json.decode(parent["values"]).get("status") != VOID:
        return ""
    return next(
        (one["opinion"] for one in timeline if one["verb"] == "submit" and one["opinion"]), ""
    )


def _seats(run: Run, visit: Visit) -> list[Answer]:
    """Return the voices of a task: whose they are, what they said, and where they came from."""
    state, mine = run.state, voice_of(run.ctx.actor).identities
    named = run.tree.nodes[visit.step].step.seats
    return [
        {
            "id": seat.id,
            "key": seat.key,
            "group": seat.group,
            "title": dict(named[seat.group or seat.key].title)
            if (seat.group or seat.key) in named
            else {},
            "kind": seat.kind,
            "parent": seat.parent,
            "state": seat.state,
            "because": seat.because,
            "weight": seat.weight,
            "vote": seat.ballot,
            "by": state.votes[seat.vote].actor_name if seat.vote else None,
            "at": state.votes[seat.vote].at if seat.vote else None,
            "mine": any(one.identity in mine for one in state.candidates_of(seat.id)),
            "removable": bool(seat.added_by) and seat.state in {"open", "waiting"},
        }
        for seat in state.seats_of(visit.id)
    ]


def _because(run: Run, visit: Visit) -> list[Answer]:
    """Return as whom the actor sees the task: themself, a role or position, for whom."""
    mine = voice_of(run.ctx.actor).identities
    found: dict[tuple[str, str, str, str], None] = {}
    for seat in run.state.seats_of(visit.id):
        for one in run.state.candidates_of(seat.id):
            if one.identity in mine:
                found[one.kind, one.actor, one.via, one.on_behalf_of] = None
    return [
        {
            "kind": kind, "actor": actor, "via": via, "for": behalf,
            "for_name": run.world.name(behalf) if behalf else "",
        }
        for kind, actor, via, behalf in found
    ]  # fmt: skip


def _why_not(ctx: Context, row: Row, mine: Mapping[str, str]) -> Answer | None:
    """Return why the actor cannot decide a task that is open to them as a candidate."""
    if row["state"] != "open" or row["id"] not in mine:
        return None
    passing = "complete" if "complete" in row["may"].split() else "approve"
    try:
        check(ctx, Decision(row["id"], passing, row["subject_hash"]))
    except (UserError, Unavailable) as refusal:
        if refusal.code in _MENDED:
            return None
        message = translate(refusal.text, ctx.locale, **refusal.params)
        return {"code": refusal.code, "message": message}
    return None


def _blocked(
    ctx: Context, connection: Connection, parent: Row, task_id: str, state: str
) -> Answer | None:
    """Return that nobody but the makers could decide, if so: somebody must be given the role."""
    if state != "open":
        return None
    rows = connection.execute(
        sa.select(candidate.c.kind, candidate.c.actor).where(
            candidate.c.task_id == task_id, candidate.c.is_open
        )
    )
    pool = [(row.kind, row.actor) for row in rows]
    if not nobody_is_left(STAFF.staff(ctx, connection), pool, parent["makers"]):
        return None
    return {
        "code": "flow.no_approver",
        "text": N_("Nobody but the people who made this may decide it. Give someone the role."),
        "roles": sorted({actor for kind, actor in pool if kind == "role"}),
    }


def _effects(run: Run, visit: Visit) -> Answer:
    """Return what the actor's vote would cause now, by doing it in memory."""
    step = run.tree.nodes[visit.step].step
    if visit.state != "open":
        return {}
    effects: Answer = {}
    for verb in ("approve", "reject", "complete"):
        made = _after(run, Command(verb, visit.id)) if verb in step.verbs else None
        if made is None:
            continue
        is_known = run.state.visits.keys()
        steps = [
            dict(run.tree.nodes[one.step].step.title) or {"en": one.step}
            for one in made.live_visits()
            if one.id not in is_known and run.tree.nodes[one.step].is_human
        ]
        voted = made.visits[visit.id]
        verdict = verdict_of(step, made, visit.id) if voted.state == "open" else voted.result
        effects[verb] = {
            "verdict": {"pass": "passed", "reject": "rejected"}.get(verdict, verdict),
            "ends": made.status if made.status in {"approved", "rejected"} else None,
            "next_step": steps[0] if steps else None,
            "next_steps": steps,
        }
    return effects


def _after(run: Run, command: Command) -> State | None:
    """Return the state after a command, None where it is refused; nothing is changed."""
    machine = Machine(run.tree, deepcopy(run.state), run.world)
    try:
        perform(machine, voice_of(run.ctx.actor), command)
    except RefusalError:
        return None
    return machine.state


def _problems(ctx: Context, parent: Row, seen: Mapping[str, Any]) -> list[Answer]:
    """Return why it could not take effect, without the values of fields that are not seen."""
    record_type = ctx.registry.record_type(parent["record_type"])
    names = {field.name for field in record_type.fields}
    return [
        one
        for one in blocking_problems(parent, ctx.locale)
        if (field := one["path"].partition(".")[0]) not in names or field in seen
    ]


def _timeline(connection: Connection, instance_id: str) -> list[Answer]:
    return [_told(row) for row in list_events(connection, instance_id)]


def _told(row: Mapping[str, Any]) -> Answer:
    """Return an event as every reader of the document may see it, without values of fields."""
    told = {name: row[name] for name in _SHOWN}
    if row["verb"] == "block":
        told["detail"] = {}
    else:
        told["detail"] = {name: one for name, one in row["detail"].items() if name not in _VALUED}
    return told
