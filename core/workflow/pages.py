"""One task, or one instance, as a person looks at it before and after a decision.

Opens on the difference between what is in force and what is proposed, under the
reader's own field rights, with what happened so far and what a click will cause.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, NotFound, Unavailable, UserError
from core.i18n import N_, translate
from core.policies.masks import masker
from core.workflow.deciding import Decision, check
from core.workflow.documents import load_document
from core.workflow.evidence import list_events
from core.workflow.machine import Seat, Vote, find_step, move
from core.workflow.models import OPEN_STATES, Row, candidate, instance, seat, task, vote
from core.workflow.operations import may_administer
from core.workflow.outcome import blocking_problems
from core.workflow.people import STAFF, identities, nobody_is_left
from core.workflow.run import Answer, decode_flow
from core.workflow.seen import seen_record
from core.workflow.subject import Subject, difference, read_subject
from core.workflow.taskrows import JOINED, sitting, task_row

#: Events whose opinion and verb every reader of the record may see.
_SHOWN = (
    "seq", "at", "actor", "actor_name", "verb", "step", "task_id", "seat", "opinion", "detail",
)  # fmt: skip


def get_task(ctx: Context, task_id: str) -> Answer:
    """Return a task with its difference, timeline and what each verb would cause.

    Raises:
        NotFound: there is no such task.
        Forbidden: the actor may not see its document.
    """
    with ctx.reading() as connection:
        row = connection.execute(JOINED.where(task.c.id == task_id)).mappings().first()
        if row is None:
            raise NotFound
        parent = _instance_row(connection, row["instance_id"])
        seen = _readable(ctx, parent)
        mine = sitting(ctx, connection, [task_id])
        shown = task_row(ctx, row, mine)
        subject = _subject(ctx, connection, parent)
        return {
            **shown,
            **_difference(ctx, connection, parent, subject, seen=seen),
            "subject_hash": subject.hash if row["state"] == "open" else row["subject_hash"],
            "no_access": seen.get("no_access", []),
            "seats": _seats(connection, task_id),
            "because": _because(ctx, connection, task_id),
            "why_not": _why_not(ctx, row, mine),
            "blocked": _blocked(ctx, connection, parent, task_id, row["state"]),
            "effects": _effects(connection, parent, row),
            "opinion_rules": _opinion_rules(parent, row),
            "timeline": _timeline(connection, parent["id"]),
            "problems": blocking_problems(parent, ctx.locale),
            "previous": parent["previous_id"],
        }


def get_instance(ctx: Context, instance_id: str) -> Answer:
    """Return an instance with its tasks and every event.

    Raises:
        NotFound: there is no such instance.
        Forbidden: the actor may not see its document.
    """
    with ctx.reading() as connection:
        parent = _instance_row(connection, instance_id)
        _readable(ctx, parent)
        rows = list(
            connection.execute(
                JOINED.where(task.c.instance_id == instance_id).order_by(task.c.opened_at)
            ).mappings()
        )
        mine = sitting(ctx, connection, [row["id"] for row in rows])
        flow = decode_flow(parent["definition"])
        may = ["suspend", "resume", "terminate"] if may_administer(ctx) else []
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
            "problems": blocking_problems(parent, ctx.locale),
            "may": [verb for verb in may if _can(verb, parent["state"])],
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


def _can(verb: str, state: str) -> bool:
    if verb == "resume":
        return state == "suspended"
    return state in OPEN_STATES and (verb == "terminate" or state == "running")


def _instance_row(connection: Connection, instance_id: str) -> Row:
    query = sa.select(instance).where(instance.c.id == instance_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound
    return row


def _readable(ctx: Context, parent: Row) -> dict[str, Any]:
    """Return the document as the actor sees it.

    Raises:
        Forbidden: they see none of it; being a candidate gives no right to read.
    """
    seen = seen_record(ctx, parent["record_type"], parent["record_id"])
    if seen is None:
        raise Forbidden(N_("You may not see the document of this task."))
    return seen


def _subject(ctx: Context, connection: Connection, parent: Row) -> Subject:
    """Return the subject as stored now, or as submitted once the approval is over."""
    flow = decode_flow(parent["definition"])
    record = load_document(ctx, parent["record_type"], parent["record_id"])
    return read_subject(ctx, connection, parent["record_type"], flow=flow, record=record)


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


def _seats(connection: Connection, task_id: str) -> list[Answer]:
    rows = connection.execute(
        sa.select(seat.c.key, seat.c.state, seat.c.ballot, vote.c.actor_name, vote.c.at)
        .select_from(seat.outerjoin(vote, vote.c.seat_id == seat.c.id))
        .where(seat.c.task_id == task_id)
        .order_by(seat.c.position)
    )
    return [
        {
            "key": row.key,
            "state": row.state,
            "vote": row.ballot,
            "by": row.actor_name,
            "at": row.at,
        }
        for row in rows
    ]


def _because(ctx: Context, connection: Connection, task_id: str) -> list[Answer]:
    """Return as whom the actor sees the task: themself, or one of their roles."""
    rows = connection.execute(
        sa.select(candidate.c.kind, candidate.c.actor)
        .where(
            candidate.c.task_id == task_id,
            sa.tuple_(candidate.c.kind, candidate.c.actor).in_(identities(ctx.actor)),
        )
        .distinct()
    )
    return [{"kind": row.kind, "actor": row.actor} for row in rows]


def _why_not(ctx: Context, row: Row, mine: Mapping[str, str]) -> Answer | None:
    """Return why the actor cannot decide a task that is open to them as a candidate."""
    if row["state"] != "open" or row["id"] not in mine:
        return None
    try:
        check(ctx, Decision(row["id"], "approve", row["subject_hash"]))
    except (UserError, Unavailable) as refusal:
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


def _effects(connection: Connection, parent: Row, row: Row) -> Answer:
    """Return what each vote would cause, were it cast in the first open seat now."""
    if row["state"] != "open":
        return {}
    flow = decode_flow(parent["definition"])
    rows = connection.execute(
        sa.select(seat).where(seat.c.task_id == row["id"]).order_by(seat.c.position)
    ).mappings().all()  # fmt: skip
    effects: Answer = {}
    verbs: tuple[Vote, ...] = ("approve", "reject")
    for verb in verbs:
        if verb not in row["may"].split():
            continue
        made = move(flow, row["step"], _with_vote(rows, verb))
        effects[verb] = {
            "verdict": made.verdict,
            "ends": {"finish": "approved", "reject": "rejected"}.get(made.trigger or ""),
            "next_step": dict(made.step.title) if made.step else None,
        }
    return effects


def _with_vote(rows: Iterable[Row], voted: Vote) -> list[Seat]:
    """Return the seats with one more vote, in the first that is open."""
    seats = [Seat(row["key"], row["state"], row["ballot"]) for row in rows]
    first = next((n for n, each in enumerate(seats) if each.state == "open"), None)
    if first is not None:
        seats[first] = Seat(seats[first].key, "voted", voted)
    return seats


def _opinion_rules(parent: Row, row: Row) -> Answer:
    comment = find_step(decode_flow(parent["definition"]), row["step"]).comment
    return {verb: comment.rule(verb) for verb in row["may"].split()}


def _timeline(connection: Connection, instance_id: str) -> list[Answer]:
    return [{name: row[name] for name in _SHOWN} for row in list_events(connection, instance_id)]
