"""Who follows a record, and so is told when people talk about it."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict
from core.i18n import N_
from core.records.queries import get_record

#: Followers of one record at most.
MOST_FOLLOWERS = 200

follower = sa.Table(
    "gx_follower",
    metadata,
    sa.Column("record_type", sa.String(80), primary_key=True),
    sa.Column("record_id", sa.String(36), primary_key=True),
    sa.Column("user", sa.String(36), primary_key=True),
    sa.Column("since", sa.String(27), nullable=False),
)
_insert = {
    "sqlite": sqlite.insert(follower).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(follower).on_conflict_do_nothing(),
}


class TooManyFollowers(Conflict):
    """A record has as many followers as it can have."""

    code = "conflict.followers"
    text = N_("At most {limit} people can follow a record.")


def follow(ctx: Context, type_name: str, record_id: str) -> None:
    """Have the actor told what happens to a record; following it twice changes nothing.

    Raises:
        NotFound: it is not there for this actor.
        TooManyFollowers: it has as many as it can have.
    """
    with ctx.writing() as connection:
        get_record(ctx, type_name, record_id, fields=("id",))
        known = follower_ids(connection, type_name, record_id)
        if ctx.actor.id not in known and len(known) >= MOST_FOLLOWERS:
            raise TooManyFollowers(limit=MOST_FOLLOWERS)
        row = {
            "record_type": type_name,
            "record_id": record_id,
            "user": ctx.actor.id,
            "since": to_wire(ctx.now),
        }
        connection.execute(_insert[connection.dialect.name], row)


def unfollow(ctx: Context, type_name: str, record_id: str) -> None:
    """Have the actor told no more; who lost the right to see the record can do so too.

    Raises:
        NotFound: there is no such record type.
    """
    ctx.registry.record_type(type_name)
    with ctx.writing() as connection:
        connection.execute(
            follower.delete().where(*_of(type_name, record_id), follower.c.user == ctx.actor.id)
        )


def follows(ctx: Context, type_name: str, record_id: str) -> bool:
    """Return whether the actor follows a record that they may see.

    Raises:
        NotFound: it is not there for this actor.
    """
    with ctx.reading() as connection:
        get_record(ctx, type_name, record_id, fields=("id",))
        return ctx.actor.id in follower_ids(connection, type_name, record_id)


def follower_ids(connection: Connection, type_name: str, record_id: str) -> list[str]:
    """Return the ids of the users who follow a record, whether they may see it still or not."""
    query = sa.select(follower.c.user).where(*_of(type_name, record_id))
    return sorted(connection.execute(query).scalars())


def add_followers(
    ctx: Context, connection: Connection, type_name: str, sources: Sequence[str], target: str
) -> list[str]:
    """Have those who follow other records follow `target` too; return who did not before."""
    known = set(follower_ids(connection, type_name, target))
    users = {user for one in sources for user in follower_ids(connection, type_name, one)}
    fresh = sorted(users - known)[: max(0, MOST_FOLLOWERS - len(known))]
    rows = [
        {"record_type": type_name, "record_id": target, "user": user, "since": to_wire(ctx.now)}
        for user in fresh
    ]
    if rows:
        connection.execute(_insert[connection.dialect.name], rows)
    return fresh


def remove_followers(
    connection: Connection, type_name: str, record_id: str, users: Sequence[str]
) -> None:
    """Have users follow a record no more."""
    connection.execute(
        follower.delete().where(*_of(type_name, record_id), follower.c.user.in_(list(users)))
    )


def forget_followers(connection: Connection, type_name: str, record_id: str) -> None:
    """Delete the followers of a record that is deleted for good."""
    connection.execute(follower.delete().where(*_of(type_name, record_id)))


def _of(type_name: str, record_id: str) -> Iterable[sa.ColumnElement[bool]]:
    return follower.c.record_type == type_name, follower.c.record_id == record_id
