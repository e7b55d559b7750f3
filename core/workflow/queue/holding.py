"""Undo: a decision that the server holds for some seconds, and that its person can call back.

It is checked when it is given, stored, and done when its time has come, by the worker or
by the next thing that the same person sends. What is done then is a decision like any other,
with every check again: what changed meanwhile is refused, and its person is told.
"""

import logging
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Client, Context
from core.db import metadata
from core.errors import Conflict, Invalid, NotFound, Problem, Unavailable, UserError
from core.i18n import LOCALES, N_, translate
from core.ids import is_id, new_id
from core.jobs.handlers import HANDLERS, Chore, Handlers
from core.records.readers import actors_of
from core.tables.columns import ID, JSON
from core.workflow.deciding import Decision, check, decide
from core.workflow.models import task
from core.workflow.opinion import read_opinion
from core.workflow.queue.notices import post_notice

log = logging.getLogger(__name__)

#: Longest time that a decision is held, in seconds.
LONGEST = 10
#: How often held decisions are looked at.
EVERY = timedelta(seconds=1)
#: Decisions done at one look, and how long what became of them is kept.
BATCH, _KEPT = 100, timedelta(days=7)

#: Verbs that can be held: those that say something about the content.
HELD_VERBS = frozenset({"approve", "reject", "abstain", "complete", "return"})

#: States: it waits, was called back, is done, or could not be done.
HELD, CANCELLED, DONE, REFUSED = "held", "cancelled", "done", "refused"

held = sa.Table(
    "gx_held",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("task_id", sa.String(36), nullable=False),
    sa.Column("actor", sa.String(36), nullable=False),
    sa.Column("locale", sa.String(8), nullable=False),
    sa.Column("body", JSON, nullable=False, doc="verb and all that was sent with it"),
    sa.Column("client", JSON, nullable=False, doc="from where and how surely, for evidence"),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("code", sa.String(80), nullable=False, doc="of the refusal"),
    sa.Column("why", sa.Text, nullable=False, doc="the refusal in the person's language"),
    sa.Column("at", sa.String(27), nullable=False),
    sa.Column("due_at", sa.String(27), nullable=False),
)
_waits = held.c.state == sa.literal_column(f"'{HELD}'")
sa.Index("ix_gx_held__due", held.c.due_at, sqlite_where=_waits, postgresql_where=_waits)
sa.Index(
    "ux_gx_held__task", held.c.actor, held.c.task_id, unique=True, sqlite_where=_waits,
    postgresql_where=_waits,
)  # fmt: skip

Answer = dict[str, Any]


class AlreadyDone(Conflict):
    """A held decision is not held any more."""

    code = "flow.already_done"
    text = N_("It is too late to undo this.")


class NotMade(Conflict):
    """A held decision broke when it was made; nothing was changed."""

    code = "flow.not_made"
    text = N_("Something went wrong. Decide again; if it happens again, tell an administrator.")


class HeldAlready(Conflict):
    """The same person holds another decision on the task."""

    code = "flow.held_already"
    text = N_("You have decided this already; undo that first.")


def hold(ctx: Context, decision: Decision, seconds: int, **more: Any) -> Answer:
    """Keep a decision for some seconds before it is made; return its id and when that is.

    Args:
        ctx: who decides.
        decision: what, checked now as if it were made now.
        seconds: 1 to 10.
        more: what else `decide` is called with; plain JSON.

    Raises:
        Invalid: so long it cannot be held, or such a verb cannot.
        HeldAlready: the actor holds another decision on the task.
        UserError: whatever the decision itself would be refused for.
    """
    _require(decision, seconds)
    perform_due(ctx, actor=ctx.actor.id)
    decision = replace(decision, opinion=read_opinion(decision.opinion))
    _require_click(ctx, decision)
    check(ctx, decision)
    body = {
        "verb": decision.verb, "subject_hash": decision.subject_hash,
        "opinion": decision.opinion, "seat": decision.seat, **more,
    }  # fmt: skip
    row = {
        "id": new_id(), "task_id": decision.task_id, "actor": ctx.actor.id,
        "locale": ctx.locale, "body": body, "client": asdict(ctx.client),
        "request_id": ctx.request_id, "state": HELD, "code": "", "why": "",
        "at": to_wire(ctx.now), "due_at": to_wire(ctx.now + timedelta(seconds=seconds)),
    }  # fmt: skip
    with ctx.writing(durable=True) as connection:
        known = connection.execute(
            sa.select(held).where(
                held.c.actor == ctx.actor.id, held.c.task_id == decision.task_id,
                held.c.state == HELD,
            )
        ).mappings().first()  # fmt: skip
        if known is not None:
            if known["body"] != body:
                raise HeldAlready
            return _answer(known)  # a double click
        connection.execute(held.insert().values(row))
        connection.execute(held.delete().where(held.c.at < to_wire(ctx.now - _KEPT)))
    return _answer(row)


def cancel(ctx: Context, held_id: str) -> Answer:
    """Call a held decision back; return it.

    Raises:
        NotFound: there is no such decision of the actor.
        AlreadyDone: its time had come.
    """
    with ctx.writing(durable=True) as connection:
        query = sa.select(held).where(held.c.id == held_id, held.c.actor == ctx.actor.id)
        row = connection.execute(query).mappings().first() if is_id(held_id) else None
        if row is None:
            raise NotFound
        if row["state"] != CANCELLED and not _move(connection, held_id, CANCELLED):
            raise AlreadyDone
        return _answer({**row, "state": CANCELLED})


def settle(ctx: Context, held_id: str) -> Answer:
    """Make the actor's decisions that are due; return what became of one of them.

    Besides what `hold` answers it has the `code` of a refusal and `why`, its words.

    Raises:
        NotFound: there is no such decision of the actor.
    """
    perform_due(ctx, actor=ctx.actor.id)
    query = sa.select(held).where(held.c.id == held_id, held.c.actor == ctx.actor.id)
    with ctx.reading() as connection:
        row = connection.execute(query).mappings().first() if is_id(held_id) else None
    if row is None:
        raise NotFound
    return _answer(row) | {"code": row["code"], "why": row["why"]}


def register(handlers: Handlers = HANDLERS) -> None:
    """Have the worker make held decisions when their time has come."""
    handlers.add_chore(Chore("flows:held", EVERY, _look))


def _look(ctx: Context) -> None:
    perform_due(ctx)


def perform_due(ctx: Context, actor: str = "") -> int:
    """Make the decisions whose time has come, of one person or of all; return how many."""
    query = (
        sa.select(held)
        .where(held.c.state == sa.literal_column(f"'{HELD}'"), held.c.due_at <= to_wire(ctx.now))
        .order_by(held.c.due_at)
        .limit(BATCH)
    )
    if actor:
        query = query.where(held.c.actor == actor)
    with ctx.reading() as connection:
        rows = connection.execute(query).mappings().all()
        people = actors_of(ctx, {row["actor"] for row in rows})
    for row in rows:
        person = people.get(row["actor"], ctx.actor if ctx.actor.id == row["actor"] else None)
        if person is None:
            with ctx.writing() as connection:
                _move(connection, row["id"], REFUSED, "unauthenticated")
            continue
        own = replace(
            ctx, actor=person, locale=row["locale"], door="form", connection=None, warnings=[],
            client=Client(**row["client"]), request_id=row["request_id"],
        )  # fmt: skip
        _perform(own, row)
    return len(rows)


def _perform(ctx: Context, row: sa.RowMapping) -> None:
    body = dict(row["body"])
    try:
        with ctx.writing(durable=True) as connection:
            # Taken first, so that two processes that look at once decide once.
            if _move(connection, row["id"], DONE):
                decide(ctx, row["task_id"], body.pop("verb"), **body)
    except Unavailable:
        log.warning("the held decision %s is tried again", row["id"], exc_info=True)
    except UserError as refusal:
        _tell(ctx, row, refusal)
    except Exception:  # one that cannot be made must not keep the others from being made
        log.exception("the held decision %s could not be made", row["id"])
        _tell(ctx, row, NotMade())


def _tell(ctx: Context, row: sa.RowMapping, refusal: UserError) -> None:
    """Note that a held decision was refused, and tell its person why."""
    with ctx.writing() as connection:
        why = translate(refusal.text, ctx.locale, **refusal.params)
        if not _move(connection, row["id"], REFUSED, refusal.code, why):
            return
        found = connection.execute(
            sa.select(task.c.record_type, task.c.record_id).where(task.c.id == row["task_id"])
        ).one()
        text = N_("Your decision was not made: {why}")
        message = {
            locale: translate(text, locale, why=translate(refusal.text, locale, **refusal.params))
            for locale in LOCALES
        }
        post_notice(ctx, recipients=[("user", row["actor"])], message=message, record=tuple(found))


def _require(decision: Decision, seconds: int) -> None:
    problems = []
    if not 1 <= seconds <= LONGEST:
        text = N_("This must be a whole number from {min} to {max}.")
        problems.append(Problem("hold", "query.number", text, {"min": 1, "max": LONGEST}))
    if decision.verb not in HELD_VERBS:
        text = N_("{verb} cannot be held.")
        problems.append(Problem("hold", "flow.hold_verb", text, {"verb": decision.verb}))
    if problems:
        raise Invalid(problems=problems)


def _require_click(ctx: Context, decision: Decision) -> None:
    """Refuse to hold what is signed: a password is for one moment and is never stored."""
    with ctx.reading() as connection:
        sign = connection.execute(
            sa.select(task.c.sign).where(task.c.id == decision.task_id)
        ).scalar()
    if sign not in {None, "click"}:
        text = N_("What is signed is done at once and cannot be held.")
        raise Invalid(problems=[Problem("hold", "flow.hold_signed", text)])


def _move(connection: Connection, held_id: str, state: str, code: str = "", why: str = "") -> bool:
    """Settle a decision that is still held; return whether it was."""
    moved = connection.execute(
        held.update().where(held.c.id == held_id, held.c.state == HELD)
        .values(state=state, code=code, why=why)
    )  # fmt: skip
    return bool(moved.rowcount)


def _answer(row: Any) -> Answer:
    return {
        "held": row["id"], "task": row["task_id"], "verb": row["body"]["verb"],
        "state": row["state"], "until": row["due_at"],
    }  # fmt: skip
