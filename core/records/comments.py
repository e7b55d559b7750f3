"""What people say about a record: plain text with mentions, told to who is meant.

Whoever may see a record may read and write its comments. A comment is its author's: they
can change or delete it for a while, and what it said before stays readable for those who
may read the record's history.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.ids import is_id, new_id
from core.jobs import outbox
from core.policies.access import access
from core.records.following import MOST_FOLLOWERS, follow, follower_ids
from core.records.queries import get_record
from core.records.readers import actors_of, sees
from core.schema.fieldtypes import FieldError
from core.schema.texttypes import check_characters

Record = dict[str, Any]

#: How long an author can change or delete a comment.
EDITABLE = timedelta(minutes=15)
MAX_TEXT = 4_000
MAX_MENTIONS = 20
#: Comments of one record at most.
MOST = 2_000

comment = sa.Table(
    "gx_comment",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", sa.String(36), nullable=False),
    sa.Column("author", sa.String(80), nullable=False),
    sa.Column("author_name", sa.String(200), nullable=False),
    sa.Column("at", sa.String(27), nullable=False),
    sa.Column("text", sa.Text, nullable=False, doc="empty once it is deleted"),
    sa.Column("mentions", sa.Text, nullable=False, doc="JSON: [{id, name}]"),
    sa.Column("edited_at", sa.String(27), nullable=True),
    sa.Column("deleted_at", sa.String(27), nullable=True),
    sa.Index("ix_gx_comment__record", "record_type", "record_id", "id"),
)

#: What comments said before they were changed or deleted; rows are only ever added.
comment_past = sa.Table(
    "gx_comment_past",
    metadata,
    sa.Column("comment_id", sa.String(36), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(27), nullable=False, doc="until when it said this"),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)


class TooLate(Conflict):
    """A comment can be changed or deleted by its author for a while only."""

    code = "conflict.comment_closed"
    text = N_("A comment can be changed for {minutes} minutes.")


class TooManyComments(Conflict):
    """A record has as many comments as it can have."""

    code = "conflict.comments"
    text = N_("A record has at most {limit} comments.")


def list_comments(
    ctx: Context, type_name: str, record_id: str, *, limit: int = 200, before: str = ""
) -> list[Record]:
    """Return a record's comments, newest first, ready for JSON; older than `before` if given.

    Each has `id author author_name at text mentions edited_at deleted may`, and for readers
    of the history `earlier`: what it said before, with the instants until which it did.

    Raises:
        NotFound: the record is not there for this actor.
        Forbidden: the actor may see none of its type.
    """
    query = (
        sa.select(comment)
        .where(comment.c.record_type == type_name, comment.c.record_id == record_id)
        .order_by(comment.c.id.desc())
        .limit(limit)
    )
    if before:
        query = query.where(comment.c.id < before)
    with ctx.reading() as connection:
        get_record(ctx, type_name, record_id, fields=("id",))
        rows = [dict(row) for row in connection.execute(query).mappings()]
        past = _past(ctx, connection, type_name, [row["id"] for row in rows])
    return [_shown(ctx, row, past) for row in rows]


def add_comment(
    ctx: Context, type_name: str, record_id: str, *, text: str, mentions: Sequence[Any] = ()
) -> Record:
    """Say something about a record; return the comment as `list_comments` does.

    The author follows the record from then on. Tells `comment.created`, and
    `comment.mentioned` when somebody is.

    Raises:
        NotFound: the record is not there for this actor.
        Invalid: the text is empty or too long, or somebody mentioned may not see the record.
        TooManyComments: the record has as many as it can have.
    """
    with ctx.writing() as connection:
        get_record(ctx, type_name, record_id, fields=("id",))
        said, named = _checked(ctx, (type_name, record_id), text, mentions)
        of_record = comment.c.record_type == type_name, comment.c.record_id == record_id
        count = connection.execute(
            sa.select(sa.func.count()).select_from(comment).where(*of_record)
        ).scalar_one()
        if count >= MOST:
            raise TooManyComments(limit=MOST)
        row: Record = {
            "id": new_id(),
            "record_type": type_name,
            "record_id": record_id,
            "author": ctx.actor.id,
            "author_name": ctx.actor.name[:200],
            "at": to_wire(ctx.now),
            "text": said,
            "mentions": msgspec.json.encode(named).decode(),
            "edited_at": None,
            "deleted_at": None,
        }
        connection.execute(comment.insert().values(row))
        if len(follower_ids(connection, type_name, record_id)) < MOST_FOLLOWERS:
            follow(ctx, type_name, record_id)
        _tell(ctx, connection, row, named, topics=("comment.created", "comment.mentioned"))
    return _shown(ctx, row, {})


def edit_comment(
    ctx: Context,
    type_name: str,
    record_id: str,
    comment_id: str,
    *,
    text: str,
    mentions: Sequence[Any] = (),
) -> Record:
    """Change what the actor said a moment ago; who is mentioned newly is told.

    Raises:
        NotFound: the record or the comment is not there for this actor.
        Forbidden: somebody else wrote it.
        TooLate: it was written too long ago, or is deleted.
        Invalid: as for a new one.
    """
    with ctx.writing() as connection:
        row = _own(ctx, connection, (type_name, record_id), comment_id)
        said, named = _checked(ctx, (type_name, record_id), text, mentions)
        before = {one["id"] for one in msgspec.json.decode(row["mentions"])}
        if said != row["text"] or {one["id"] for one in named} != before:
            changed = {
                "text": said,
                "mentions": msgspec.json.encode(named).decode(),
                "edited_at": to_wire(ctx.now),
            }
            _replace(ctx, connection, row, changed)
            row |= changed
            fresh = [one for one in named if one["id"] not in before]
            _tell(ctx, connection, row, fresh, topics=("comment.mentioned",))
        past = _past(ctx, connection, type_name, [comment_id])
    return _shown(ctx, row, past)


def delete_comment(ctx: Context, type_name: str, record_id: str, comment_id: str) -> None:
    """Take back what the actor said a moment ago; that something was said stays visible.

    Raises:
        NotFound: the record or the comment is not there for this actor.
        Forbidden: somebody else wrote it.
        TooLate: it was written too long ago, or is deleted already.
    """
    with ctx.writing() as connection:
        row = _own(ctx, connection, (type_name, record_id), comment_id)
        gone = {"text": "", "mentions": "[]", "deleted_at": to_wire(ctx.now)}
        _replace(ctx, connection, row, gone)


def move_comments(
    connection: Connection, type_name: str, sources: Sequence[str], target: str
) -> dict[str, str]:
    """Move what people said about records to another one; return comment -> whose it was."""
    of_sources = comment.c.record_type == type_name, comment.c.record_id.in_(list(sources))
    rows = connection.execute(sa.select(comment.c.id, comment.c.record_id).where(*of_sources))
    moved = {row.id: row.record_id for row in rows}
    connection.execute(comment.update().where(*of_sources).values(record_id=target))
    return moved


def return_comments(connection: Connection, moved: Mapping[str, str], target: str) -> None:
    """Give comments that `move_comments` moved to `target` back to their records."""
    rows = [{"_id": one, "_was": was} for one, was in moved.items()]
    if rows:
        mine = comment.c.id == sa.bindparam("_id"), comment.c.record_id == target
        connection.execute(
            comment.update().where(*mine).values(record_id=sa.bindparam("_was")), rows
        )


def forget_comments(connection: Connection, type_name: str, record_id: str) -> None:
    """Delete the comments of a record that is deleted for good."""
    of_record = comment.c.record_type == type_name, comment.c.record_id == record_id
    ids = sa.select(comment.c.id).where(*of_record)
    connection.execute(comment_past.delete().where(comment_past.c.comment_id.in_(ids)))
    connection.execute(comment.delete().where(*of_record))


def _checked(
    ctx: Context, record: tuple[str, str], text: str, mentions: Sequence[Any]
) -> tuple[str, list[Record]]:
    """Return the text to keep and whom it mentions.

    Raises:
        Invalid: one of them cannot be kept.
    """
    said = text.replace("\r\n", "\n").strip()
    problems: list[Problem] = []
    try:
        check_characters(said, lines=True)
    except FieldError as error:
        problems += [Problem("text", one.code, one.text, one.params) for one in error.problems]
    if not said:
        problems.append(Problem("text", "field.required", N_("This is required.")))
    if len(said) > MAX_TEXT:
        limit = {"limit": MAX_TEXT}
        problems.append(
            Problem("text", "field.too_long", N_("At most {limit} characters."), limit)
        )
    ids = list(dict.fromkeys(one for one in mentions if isinstance(one, str)))
    if len(ids) > MAX_MENTIONS or len(ids) < len(set(map(str, mentions))):
        message = N_("At most {limit} people, by their ids.")
        problems.append(Problem("mentions", "field.too_many", message, {"limit": MAX_MENTIONS}))
        ids = []
    actors = actors_of(ctx, ids)
    for at, one in enumerate(ids):
        if one not in actors or not sees(ctx, actors[one], record):
            message = N_("There is no such person who may see this record.")
            problems.append(Problem(f"mentions.{at}", "mention.no_access", message))
    if problems:
        raise Invalid(problems=problems)
    return said, [{"id": one, "name": actors[one].name} for one in ids]


def _own(ctx: Context, connection: Connection, record: tuple[str, str], comment_id: str) -> Record:
    """Return the actor's own comment, locked, if it can still be changed."""
    get_record(ctx, *record, fields=("id",))
    query = sa.select(comment).where(
        comment.c.id == comment_id,
        comment.c.record_type == record[0],
        comment.c.record_id == record[1],
    )
    row = None
    if is_id(comment_id):
        row = connection.execute(query.with_for_update()).mappings().one_or_none()
    if row is None:
        raise NotFound
    found = dict(row)
    if found["author"] != ctx.actor.id:
        raise Forbidden
    if not _is_open(ctx, found):
        raise TooLate(minutes=int(EDITABLE.total_seconds() // 60))
    return found


def _is_open(ctx: Context, row: Mapping[str, Any]) -> bool:
    return row["deleted_at"] is None and row["at"] > to_wire(ctx.now - EDITABLE)


def _replace(ctx: Context, connection: Connection, row: Record, changed: Record) -> None:
    """Change a comment, having written down what it said before."""
    of_comment = comment_past.c.comment_id == row["id"]
    last = connection.execute(
        sa.select(sa.func.max(comment_past.c.seq)).where(of_comment)
    ).scalar()
    connection.execute(
        comment_past.insert().values(
            comment_id=row["id"],
            seq=(last or 0) + 1,
            at=to_wire(ctx.now),
            actor=ctx.actor.id,
            text=row["text"],
        )
    )
    connection.execute(comment.update().where(comment.c.id == row["id"]).values(changed))


def _past(
    ctx: Context, connection: Connection, type_name: str, ids: Collection[str]
) -> dict[str, list[Record]]:
    """Return what comments said before, by their ids, to those who may read histories."""
    found: dict[str, list[Record]] = {}
    if not access(ctx, type_name).may("history"):
        return found
    for start in range(0, len(ids), 500):
        query = (
            sa.select(comment_past)
            .where(comment_past.c.comment_id.in_(list(ids)[start : start + 500]))
            .order_by(comment_past.c.comment_id, comment_past.c.seq)
        )
        for row in connection.execute(query).mappings():
            found.setdefault(row["comment_id"], []).append({"at": row["at"], "text": row["text"]})
    return found


def _shown(ctx: Context, row: Mapping[str, Any], past: Mapping[str, list[Record]]) -> Record:
    is_own = row["author"] == ctx.actor.id and _is_open(ctx, row)
    shown = {
        "id": row["id"],
        "author": row["author"],
        "author_name": row["author_name"],
        "at": row["at"],
        "text": row["text"],
        "mentions": msgspec.json.decode(row["mentions"]),
        "edited_at": row["edited_at"],
        "deleted": row["deleted_at"] is not None,
        "may": ["edit", "delete"] if is_own else [],
    }
    if row["id"] in past:
        shown["earlier"] = past[row["id"]]
    return shown


def _tell(
    ctx: Context,
    connection: Connection,
    row: Mapping[str, Any],
    named: Sequence[Record],
    *,
    topics: Sequence[str],
) -> None:
    """Emit the events of a comment; `core.jobs.topics` says what they hold."""
    record = row["record_type"], row["record_id"]
    mentions = [one["id"] for one in named if one["id"] != ctx.actor.id]
    following = [one for one in follower_ids(connection, *record) if one != ctx.actor.id]
    actors = actors_of(ctx, following)
    payload = {
        "type": row["record_type"],
        "id": row["record_id"],
        "comment": row["id"],
        "title": _title(ctx, connection, *record),
        "actor": ctx.actor.id,
        "actor_name": ctx.actor.name,
        "mentions": mentions,
        "followers": [
            one
            for one in following
            if one not in mentions and one in actors and sees(ctx, actors[one], record)
        ],
        "at": to_wire(ctx.now),
    }
    for topic in topics:
        if topic != "comment.mentioned" or mentions:
            outbox.emit(connection, topic, payload)


def _title(ctx: Context, connection: Connection, type_name: str, record_id: str) -> str:
    """Return what a record is called; readers of a notice see it by their own rights only."""
    table = ctx.registry.tables[type_name].main
    name = ctx.registry.record_type(type_name).title_field
    if name not in table.c:
        return ""
    query = sa.select(table.c[name]).where(table.c.id == record_id)
    value = connection.execute(query).scalar()
    return "" if value is None else str(value)[:200]
