"""In-app notices: who should look at what, made from the outbox's events.

A notice for a role is one row, read by each person for themself. A notice about a
task disappears when the task is closed, whoever closed it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.i18n import N_, pick, translate
from core.ids import new_id
from core.jobs.handlers import HANDLERS, Event, Handler, Handlers
from core.schema.modelbase import Label
from core.workflow.documents import shows_title
from core.workflow.models import task
from core.workflow.staff.people import identities

notice = sa.Table(
    "gx_notice",
    metadata,
    sa.Column("event", sa.String(36), primary_key=True, doc="the outbox event it is made from"),
    sa.Column("kind", sa.String(4), primary_key=True, doc="role, post or user"),
    sa.Column("recipient", sa.String(120), primary_key=True),
    sa.Column("topic", sa.String(80), nullable=False),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("by", sa.String(200), nullable=False),
    sa.Column("link", sa.String(200), nullable=False),
    sa.Column("task_id", sa.String(36), nullable=True),
    sa.Column("makers", sa.Text, nullable=False, doc="people a role's notice is not for"),
    sa.Column("created_at", sa.String(27), nullable=False),
)
sa.Index("ix_gx_notice__recipient", notice.c.kind, notice.c.recipient, notice.c.created_at)

notice_read = sa.Table(
    "gx_notice_read",
    metadata,
    sa.Column("event", sa.String(36), primary_key=True),
    sa.Column("user", sa.String(36), primary_key=True),
    sa.Column("read_at", sa.String(27), nullable=False),
    sqlite_with_rowid=False,
)

#: Newest notices among which the unread ones are counted.
MOST_UNREAD = 200

#: What each topic says; the keys are the topics that make notices.
TEXTS = {
    "task.opened": N_("{title} waits for your decision."),
    "task.reminded": N_("{by} reminds you: {title} waits for your decision."),
    "document.effective": N_("{title} was approved by {by} and is in force."),
    "document.void": N_("{title} was voided with the approval of {by}."),
    "document.rejected": N_("{title} was rejected by {by}."),
    "document.returned": N_("{title} was returned by {by} to be changed."),
    "document.terminated": N_("{by} ended the approval of {title}."),
    "document.copied": N_("You have a copy of {title} to read."),
    "task.claim_taken": N_("{by} has taken over {title}, which you were working on."),
    "flow.attention": N_("The approval of {title} cannot go on by itself."),
    "document.apply_blocked": N_("{title} was approved but could not take effect."),
    "comment.created": N_("{by} wrote about {title}."),
    "comment.mentioned": N_("{by} mentioned you at {title}."),
}

#: Topic of a notice that says what somebody wrote: its title is JSON, language to text.
MESSAGE = "message"

#: Topics whose payload names who is to be told -> the key that does.
_NAMED = {
    "comment.created": "followers", "comment.mentioned": "mentions", "document.copied": "users",
}  # fmt: skip

#: Who is told of what cannot go on by itself.
_ADMINISTRATORS = ("role", "Admin")

_insert = {
    "sqlite": sqlite.insert(notice).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(notice).on_conflict_do_nothing(),
}
_insert_read = {
    "sqlite": sqlite.insert(notice_read).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(notice_read).on_conflict_do_nothing(),
}


def register(handlers: Handlers = HANDLERS) -> None:
    """Have notices made from the outbox's events."""
    for topic in TEXTS:
        handlers.add(Handler(name=f"notices:{topic}", prefix=topic, handle=make_notices))


def make_notices(ctx: Context, event: Event) -> None:
    """Write the notices of one event; a second delivery changes nothing."""
    payload, connection = event.payload, ctx.connection
    assert connection is not None  # noqa: S101  the worker calls it in a transaction
    is_task = event.topic.startswith("task.")
    link = f"/tasks/{payload['task']}" if is_task else _record_link(payload)
    for kind, recipient in _recipients(event.topic, payload):
        connection.execute(
            _insert[connection.dialect.name],
            {
                "event": event.id,
                "kind": kind,
                "recipient": recipient,
                "topic": event.topic,
                "record_type": payload["type"],
                "title": payload["title"],
                "by": payload["actor_name"],
                "link": link,
                "task_id": payload["task"] if is_task else None,
                "makers": payload.get("makers", ""),
                "created_at": payload["at"],
            },
        )


def post_notice(
    ctx: Context,
    *,
    recipients: Iterable[tuple[str, str]],
    message: Label,
    record: tuple[str, str] | None = None,
) -> None:
    """Tell people something, in the write transaction under way.

    Args:
        ctx: who tells it.
        recipients: (`role` or `user`, name or id) of each.
        message: what is said, by language.
        record: type and id of the record that the notice leads to.
    """
    link = f"/records/{record[0]}/{record[1]}" if record else ""
    rows = [
        {
            "event": new_id(),
            "kind": kind,
            "recipient": recipient,
            "topic": MESSAGE,
            "record_type": record[0] if record else "",
            "title": msgspec.json.encode(message).decode(),
            "by": ctx.actor.name,
            "link": link,
            "task_id": None,
            "makers": "",
            "created_at": to_wire(ctx.now),
        }
        for kind, recipient in recipients
    ]
    if rows:
        with ctx.writing() as connection:
            connection.execute(_insert[connection.dialect.name], rows)


def count_unread(ctx: Context) -> int:
    """Return how many of the actor's newest notices are not read; the bell shows it."""
    newest = (
        _of_actor(ctx, notice.c.event, notice_read.c.event.label("read"))
        .limit(MOST_UNREAD)
        .subquery()
    )
    unread = sa.select(sa.func.count(newest.c.event.distinct())).where(newest.c.read.is_(None))
    with ctx.reading() as connection:
        return int(connection.execute(unread).scalar_one())


def _of_actor(ctx: Context, *columns: Any) -> sa.Select[Any]:
    """Return the actor's notices, newest first, without those about closed tasks."""
    mine = sa.and_(notice_read.c.event == notice.c.event, notice_read.c.user == ctx.actor.id)
    return (
        sa.select(*columns)
        .select_from(
            notice.outerjoin(notice_read, mine).outerjoin(task, task.c.id == notice.c.task_id)
        )
        .where(
            sa.tuple_(notice.c.kind, notice.c.recipient).in_(identities(ctx.actor)),
            sa.or_(notice.c.task_id.is_(None), task.c.state == "open"),
            ~notice.c.makers.contains(f"|{ctx.actor.id}|", autoescape=True),
        )
        .order_by(notice.c.created_at.desc(), notice.c.event.desc())
    )


def list_notices(ctx: Context, *, unread: bool = True, limit: int = 20) -> list[dict[str, Any]]:
    """Return the actor's newest notices; those about closed tasks are gone."""
    query = _of_actor(ctx, notice, notice_read.c.read_at)
    query = query.limit(max(1, min(limit, 200)) * 2)
    if unread:
        query = query.where(notice_read.c.event.is_(None))
    with ctx.reading() as connection:
        rows = connection.execute(query).mappings().all()
    # Somebody with two of the roles reads it once.
    once = {row["event"]: row for row in rows}
    return [_shown(ctx, row) for row in list(once.values())[:limit]]


def mark_read(ctx: Context, ids: Sequence[str] | None = None) -> int:
    """Mark the notices with these ids, or all unread ones, as read; return how many."""
    known = {each["id"] for each in list_notices(ctx, limit=200)}
    wanted = known if ids is None else known & set(ids)
    if not wanted:
        return 0
    with ctx.writing() as connection:
        connection.execute(
            _insert_read[connection.dialect.name],
            [
                {"event": each, "user": ctx.actor.id, "read_at": to_wire(ctx.now)}
                for each in sorted(wanted)
            ],
        )
    return len(wanted)


def _record_link(payload: dict[str, Any]) -> str:
    return f"/records/{payload['type']}/{payload['id']}"


def _recipients(topic: str, payload: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if topic.startswith("task."):
        return [
            *(("role", role) for role in payload.get("roles", ())),
            *(("post", post) for post in payload.get("posts", ())),
            *(("user", user) for user in payload["users"]),
        ]
    if topic == "flow.attention":
        return [_ADMINISTRATORS]
    if topic in _NAMED:
        return [("user", person) for person in payload[_NAMED[topic]]]
    people = {payload["initiator"]}
    if topic == "document.apply_blocked":
        people.add(payload["actor"])
    return [("user", person) for person in sorted(people)]


def _shown(ctx: Context, row: sa.RowMapping) -> dict[str, Any]:
    """Return a notice in the reader's language, naming only what they may see."""
    if row["topic"] == MESSAGE:
        said = pick(msgspec.json.decode(row["title"]), ctx.locale)
        return _notice(row, said)
    record_type = ctx.registry.release.type(row["record_type"])
    label = pick(record_type.label, ctx.locale, record_type.name) if record_type else ""
    title = row["title"] if shows_title(ctx, row["record_type"]) else ""
    named = f"{label} {title}".strip()
    return _notice(row, translate(TEXTS[row["topic"]], ctx.locale, title=named, by=row["by"]))


def _notice(row: sa.RowMapping, said: str) -> dict[str, Any]:
    return {
        "id": row["event"],
        "topic": row["topic"],
        "message": said,
        "link": row["link"],
        "at": row["created_at"],
        "read_at": row["read_at"],
    }
