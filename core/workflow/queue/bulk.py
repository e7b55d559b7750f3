"""Deciding many tasks at once: looked at first, then each in a transaction of its own.

Every rule of a single decision holds for each of them: opinion, signature, required fields,
the content that was shown. A few are done at once; more are done by the worker while the
person watches how far it is. A process that dies leaves a bulk that is taken up where it
stood, because what became of a task is written in the transaction that decides it.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Client, Context
from core.db import metadata
from core.errors import (
    Conflict,
    Invalid,
    NotFound,
    Problem,
    Unavailable,
    UserError,
    problem_body,
    told,
)
from core.i18n import N_
from core.ids import is_id, new_id
from core.jobs.handlers import HANDLERS, Event, Handler, Handlers
from core.jobs.outbox import emit
from core.records.readers import actors_of
from core.tables.columns import ID, JSON
from core.workflow import errors
from core.workflow.deciding import Decision, check, decide_once
from core.workflow.engine.machine import VERBS
from core.workflow.models import task, vote
from core.workflow.opinion import read_opinion
from core.workflow.queue.holding import NotMade

log = logging.getLogger(__name__)

#: Most tasks of one bulk, and how many are done at once.
CAP, AT_ONCE = 500, 20

TOPIC = "flow.bulk"
_LEASE = timedelta(minutes=10)
_KEPT = timedelta(days=30)

#: States of a bulk; `failed` when its person may not sign in any more.
WORKING, DONE, FAILED = "working", "done", "failed"

#: What became of a task: not yet looked at, decided, decided so by the person before,
#: against a rule, or not possible just now.
OPEN, APPLIED, NO_OP, REFUSED, LOST = "open", "applied", "no_op", "refused", "failed"
OUTCOMES = (OPEN, APPLIED, NO_OP, REFUSED, LOST)

#: Refusal -> what a preview calls it; every other one is `refused`.
_CATEGORIES: Mapping[str, str] = {
    errors.OpinionRequired.code: "needs_opinion",
    "flow.signature_required": "needs_signature",
    "flow.reauth_required": "needs_signature",
    errors.SubjectChanged.code: "changed",
    "flow.task_stale": "changed",
    errors.NotACandidate.code: "not_yours",
    errors.SodViolation.code: "not_yours",
    NotFound.code: "not_yours",
}

bulk_table = sa.Table(
    "gx_bulk",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("actor", sa.String(36), nullable=False, index=True),
    sa.Column("locale", sa.String(8), nullable=False),
    sa.Column("client", JSON, nullable=False, doc="from where and how surely, for evidence"),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("verb", sa.String(20), nullable=False),
    sa.Column("opinion", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, doc="counts the retries of failures"),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("ended_at", sa.String(27), nullable=False),
)
item_table = sa.Table(
    "gx_bulk_item",
    metadata,
    sa.Column("bulk", ID, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("task_id", sa.String(36), nullable=False),
    sa.Column("subject_hash", sa.String(64), nullable=False),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("answer", JSON, nullable=False, doc="what the person is told about it"),
    sqlite_with_rowid=False,
)

Answer = dict[str, Any]
Item = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What somebody wants to do with one task."""

    position: int
    task_id: str
    subject_hash: str


def preview(ctx: Context, verb: str, items: Sequence[Item], opinion: str = "") -> list[Answer]:
    """Return what would become of each task; nothing is written.

    `result` is `eligible`, `needs_opinion`, `needs_signature`, `changed`, `not_yours` or
    `refused`.

    Raises:
        Invalid: there are more than `CAP` items, or one is no object of texts.
        NotFound: there is no such verb.
    """
    _check(verb, items)
    return [{"id": one["id"], **_preview(ctx, verb, one, opinion)} for one in items]


def decide_all(
    ctx: Context, verb: str, items: Sequence[Item], opinion: str = ""
) -> list[Answer] | str:
    """Decide the tasks, up to `AT_ONCE` of them now; return what became of each.

    For more it returns the id of a bulk that the worker does; look at it with `progress`.

    Raises:
        Invalid: there are more than `CAP` items, or one is no object of texts.
        NotFound: there is no such verb.
    """
    _check(verb, items)
    opinion = read_opinion(opinion)
    if len(items) <= AT_ONCE:
        results = []
        for item in items:
            wanted = _Wanted(0, item["id"], item.get("subject_hash", ""))
            outcome, answer = _attempt(ctx, verb, opinion, wanted, key=None)
            results.append({"id": item["id"], "result": outcome, **answer})
        return results
    bulk_id = new_id()
    with ctx.writing() as connection:
        _forget_old(ctx, connection)
        connection.execute(
            bulk_table.insert().values(
                id=bulk_id, actor=ctx.actor.id, locale=ctx.locale, verb=verb, opinion=opinion,
                client=asdict(ctx.client), request_id=ctx.request_id,
                state=WORKING, total=len(items), tries=0, created_at=to_wire(ctx.now),
                ended_at="",
            )
        )  # fmt: skip
        connection.execute(
            item_table.insert(),
            [
                {"bulk": bulk_id, "position": at, "task_id": one["id"],
                 "subject_hash": one.get("subject_hash", ""), "outcome": OPEN, "answer": {}}
                for at, one in enumerate(items)
            ],
        )  # fmt: skip
        emit(connection, TOPIC, {"bulk": bulk_id}, key=f"{TOPIC}:{bulk_id}:0")
    return bulk_id


def progress(ctx: Context, bulk_id: str) -> Answer:
    """Return how far one of the actor's own bulks is, and what became of each task so far.

    Raises:
        NotFound: there is none.
    """
    with ctx.reading() as connection:
        row = _own(ctx, connection, bulk_id)
        rows = connection.execute(
            sa.select(item_table).where(item_table.c.bulk == bulk_id)
            .order_by(item_table.c.position)
        ).mappings().all()  # fmt: skip
    counts = dict.fromkeys(OUTCOMES, 0)
    for one in rows:
        counts[one["outcome"]] += 1
    return {
        "id": bulk_id,
        "verb": row["verb"],
        "state": row["state"],
        "total": row["total"],
        "done": row["total"] - counts[OPEN],
        "counts": counts,
        "items": [
            {"id": one["task_id"], "result": one["outcome"], **one["answer"]} for one in rows
        ],
    }


def retry(ctx: Context, bulk_id: str) -> Answer:
    """Try again what was refused or failed, with the same opinion; return the progress.

    Raises:
        NotFound: there is no such bulk of the actor.
        Conflict: it is still being done.
    """
    with ctx.writing() as connection:
        row = _own(ctx, connection, bulk_id)
        if row["state"] == WORKING:
            raise Conflict(N_("This is still being done."))
        again = sa.and_(item_table.c.bulk == bulk_id, item_table.c.outcome.in_((REFUSED, LOST)))
        tries = row["tries"] + 1
        connection.execute(item_table.update().where(again).values(outcome=OPEN, answer={}))
        connection.execute(
            bulk_table.update().where(bulk_table.c.id == bulk_id)
            .values(state=WORKING, tries=tries, ended_at="")
        )  # fmt: skip
        emit(connection, TOPIC, {"bulk": bulk_id}, key=f"{TOPIC}:{bulk_id}:{tries}")
    return progress(ctx, bulk_id)


def register(handlers: Handlers = HANDLERS) -> None:
    """Have the worker do bulks as the people who asked for them."""
    handlers.add(Handler("flows:bulk", TOPIC, work, in_transaction=False, lease=_LEASE))


def work(ctx: Context, event: Event) -> None:
    """Do what is left of a bulk, as its person with the rights of now."""
    bulk_id = event.payload["bulk"]
    with ctx.reading() as connection:
        row = connection.execute(
            sa.select(bulk_table).where(bulk_table.c.id == bulk_id)
        ).mappings().one()  # fmt: skip
        rows = connection.execute(
            sa.select(item_table.c.position, item_table.c.task_id, item_table.c.subject_hash)
            .where(item_table.c.bulk == bulk_id, item_table.c.outcome == OPEN)
            .order_by(item_table.c.position)
        ).all()
    actor = actors_of(ctx, [row["actor"]]).get(row["actor"])
    if actor is not None:
        for one in rows:
            own = replace(
                ctx, actor=actor, locale=row["locale"], door="bulk", connection=None, warnings=[],
                client=Client(**row["client"]), request_id=row["request_id"],
            )  # fmt: skip
            wanted = _Wanted(one.position, one.task_id, one.subject_hash)
            outcome, answer = _attempt(own, row["verb"], row["opinion"], wanted, key=bulk_id)
            if outcome != APPLIED:
                with ctx.writing() as connection:
                    _write(connection, bulk_id, wanted, outcome, answer)
    with ctx.writing() as connection:
        connection.execute(
            bulk_table.update().where(bulk_table.c.id == bulk_id)
            .values(state=FAILED if actor is None else DONE, ended_at=to_wire(ctx.now))
        )  # fmt: skip


def _attempt(
    ctx: Context, verb: str, opinion: str, wanted: _Wanted, *, key: str | None
) -> tuple[str, Answer]:
    """Decide one task; return what became of it, noted with the decision itself."""
    try:
        with ctx.writing(durable=True) as connection:
            if _is_said(ctx, connection, wanted.task_id, verb):
                return NO_OP, {}
            decision = Decision(wanted.task_id, verb, wanted.subject_hash, opinion)
            answer = decide_once(ctx, decision, in_bulk=True)
            if key is not None:
                _write(connection, key, wanted, APPLIED, answer)
            return APPLIED, answer
    except UserError as refusal:
        return REFUSED, _told(ctx, refusal)
    except Unavailable as error:
        return LOST, _told(ctx, error)
    except Exception:  # one that breaks must not keep those behind it from being decided
        log.exception("task %s could not be decided with others", wanted.task_id)
        return LOST, _told(ctx, NotMade())


def _write(
    connection: Connection, bulk_id: str, wanted: _Wanted, outcome: str, answer: Answer
) -> None:
    connection.execute(
        item_table.update()
        .where(item_table.c.bulk == bulk_id, item_table.c.position == wanted.position)
        .values(outcome=outcome, answer=answer)
    )


def _told(ctx: Context, error: UserError | Unavailable) -> Answer:
    return {
        "code": error.code,
        "message": told(error.text, ctx.locale, error.params),
        "problems": [problem_body(each, ctx.locale) for each in error.problems],
    }


def _preview(ctx: Context, verb: str, item: Item, opinion: str) -> Answer:
    decision = Decision(item["id"], verb, item.get("subject_hash", ""), opinion)
    try:
        check(ctx, decision, in_bulk=True)
    except (UserError, Unavailable) as refusal:
        return {"result": _CATEGORIES.get(refusal.code, REFUSED), **_told(ctx, refusal)}
    return {"result": "eligible"}


def _is_said(ctx: Context, connection: Connection, task_id: str, verb: str) -> bool:
    """Return whether the task is over and the actor has said just this."""
    said = sa.select(vote.c.id).join(task, task.c.id == vote.c.task_id).where(
        vote.c.task_id == task_id, vote.c.actor == ctx.actor.id, vote.c.verb == verb,
        task.c.state == "done",
    )  # fmt: skip
    return connection.execute(said.limit(1)).first() is not None


def _check(verb: str, items: object) -> None:
    if verb not in VERBS:
        raise NotFound
    text = N_("This must be a list of at most {limit} objects with id and subject_hash.")
    is_right = isinstance(items, list) and len(items) <= CAP
    if not is_right or not all(_is_item(item) for item in items):  # type: ignore[attr-defined]
        raise Invalid(problems=[Problem("items", "flow.bulk_items", text, {"limit": CAP})])


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and item.keys() <= {"id", "subject_hash"}
        and isinstance(item.get("id"), str)
        and isinstance(item.get("subject_hash", ""), str)
    )


def _own(ctx: Context, connection: Connection, bulk_id: str) -> sa.RowMapping:
    query = sa.select(bulk_table).where(
        bulk_table.c.id == bulk_id, bulk_table.c.actor == ctx.actor.id
    )
    row = connection.execute(query).mappings().first() if is_id(bulk_id) else None
    if row is None:
        raise NotFound
    return row


def _forget_old(ctx: Context, connection: Connection) -> None:
    before = to_wire(ctx.now - _KEPT)
    old = sa.select(bulk_table.c.id).where(bulk_table.c.created_at < before)
    connection.execute(item_table.delete().where(item_table.c.bulk.in_(old)))
    connection.execute(bulk_table.delete().where(bulk_table.c.created_at < before))
