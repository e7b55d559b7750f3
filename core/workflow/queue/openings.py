"""When somebody first looked at a task they may decide; a decision without it is a stamp."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import NotFound
from core.workflow.models import task
from core.workflow.seen import require_known

opened = sa.Table(
    "gx_task_opened",
    metadata,
    sa.Column("task_id", sa.String(36), primary_key=True),
    sa.Column("person", sa.String(36), primary_key=True),
    sa.Column("at", sa.String(27), nullable=False),
    sqlite_with_rowid=False,
)

_insert = {
    "sqlite": sqlite.insert(opened).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(opened).on_conflict_do_nothing(),
}


def mark_opened(ctx: Context, task_id: str) -> None:
    """Note that the actor has a task's difference before them; only the first time counts.

    Raises:
        NotFound: there is no such task that is open and that they may know of.
    """
    known = sa.select(opened.c.at).where(
        opened.c.task_id == task_id, opened.c.person == ctx.actor.id
    )
    is_open = sa.select(task.c.id).where(task.c.id == task_id, task.c.state == "open")
    with ctx.reading() as connection:
        if connection.execute(known).first() is not None:
            return
        if connection.execute(is_open).first() is None:
            raise NotFound
        require_known(ctx, connection, task_id)
    with ctx.writing() as connection:
        connection.execute(
            _insert[connection.dialect.name],
            {"task_id": task_id, "person": ctx.actor.id, "at": to_wire(ctx.now)},
        )
