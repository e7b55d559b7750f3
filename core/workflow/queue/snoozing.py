"""Putting tasks off: a person takes a task out of their own box until a time.

It changes nothing for anybody else, stops no clock and survives a restart.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Invalid, NotFound, Problem
from core.i18n import N_
from core.workflow.models import task
from core.workflow.seen import require_known

#: How far ahead a task can be put off.
LONGEST = timedelta(days=90)

snooze = sa.Table(
    "gx_snooze",
    metadata,
    sa.Column("person", sa.String(36), primary_key=True),
    sa.Column("task_id", sa.String(36), primary_key=True),
    sa.Column("until", sa.String(27), nullable=False),
    sqlite_with_rowid=False,
)

_insert = {
    name: make(snooze).on_conflict_do_update(
        index_elements=["person", "task_id"], set_={"until": sa.bindparam("until_then")}
    )
    for name, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


def put_off(ctx: Context, task_id: str, until: datetime) -> str:
    """Take a task out of the actor's box until an instant; return that as text.

    Raises:
        NotFound: there is no such task that is open and that they may know of.
        Invalid: the instant is past, or further ahead than 90 days.
    """
    if not ctx.now < until <= ctx.now + LONGEST:
        text = N_("Choose a time between now and {days} days ahead.")
        params = {"days": LONGEST.days}
        raise Invalid(problems=[Problem("until", "flow.snooze_until", text, params)])
    at = to_wire(until)
    with ctx.writing() as connection:
        is_open = sa.select(task.c.id).where(task.c.id == task_id, task.c.state == "open")
        if connection.execute(is_open).first() is None:
            raise NotFound
        require_known(ctx, connection, task_id)
        connection.execute(
            _insert[connection.dialect.name],
            {"person": ctx.actor.id, "task_id": task_id, "until": at, "until_then": at},
        )
    return at


def bring_back(ctx: Context, task_id: str) -> None:
    """Show a task again that the actor had put off; one that they had not is as it was."""
    with ctx.writing() as connection:
        connection.execute(
            snooze.delete().where(snooze.c.person == ctx.actor.id, snooze.c.task_id == task_id)
        )
