"""Internal notes at an approval: who decides writes to who else does; makers never see them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.ids import new_id
from core.workflow.models import instance, task
from core.workflow.opinion import read_opinion
from core.workflow.seen import decides, require_known, seen_record
from core.workflow.staff.people import is_maker, may_administer

#: Notes of one approval at most.
MOST = 500

note = sa.Table(
    "gx_flow_note",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("instance_id", sa.String(36), nullable=False),
    sa.Column("author", sa.String(36), nullable=False),
    sa.Column("author_name", sa.String(200), nullable=False),
    sa.Column("at", sa.String(27), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Index("ix_gx_flow_note__instance", "instance_id", "at"),
)


class NotForMakers(Forbidden):
    """Internal notes are for those who decide."""

    text = N_("Internal notes are for those who decide, not for those who made it.")


class TooManyNotes(Conflict):
    """An approval has room for so many notes."""

    code = "flow.too_many_notes"
    text = N_("There are {limit} notes already.")


def list_notes(ctx: Context, task_id: str) -> list[dict[str, Any]] | None:
    """Return the notes at a task's approval, oldest first; None for whom they are not meant.

    Raises:
        NotFound: there is no such task.
    """
    with ctx.reading() as connection:
        instance_id = _admit(ctx, connection, task_id)
        if instance_id is None:
            return None
        rows = connection.execute(
            sa.select(note).where(note.c.instance_id == instance_id).order_by(note.c.at, note.c.id)
        )
        return [
            {"id": row.id, "by": row.author_name, "at": row.at, "text": row.text} for row in rows
        ]


def add_note(ctx: Context, task_id: str, text: str) -> None:
    """Write a note at a task's approval.

    Raises:
        NotFound: there is no such task that the actor may know of.
        NotForMakers: the actor made what is decided, or does not decide on it.
        Invalid: the text is empty or too long.
        TooManyNotes: there is no room for another.
    """
    said = read_opinion(text)
    if not said:
        raise Invalid(problems=[Problem("text", "field.required", N_("Write something first."))])
    with ctx.writing() as connection:
        instance_id = _admit(ctx, connection, task_id)
        if instance_id is None:
            raise NotForMakers
        there = sa.select(sa.func.count()).where(note.c.instance_id == instance_id)
        if connection.execute(there).scalar_one() >= MOST:
            raise TooManyNotes(limit=MOST)
        connection.execute(
            note.insert().values(
                id=new_id(), instance_id=instance_id, author=ctx.actor.id,
                author_name=ctx.actor.name, at=to_wire(ctx.now), text=said,
            )
        )  # fmt: skip


def _admit(ctx: Context, connection: Connection, task_id: str) -> str | None:
    """Return the approval's id if the actor may read its notes: they decide, and made nothing."""
    row = connection.execute(
        sa.select(instance.c.id, instance.c.makers, instance.c.record_type, instance.c.record_id)
        .join(task, task.c.instance_id == instance.c.id)
        .where(task.c.id == task_id)
    ).first()
    if row is None:
        raise NotFound
    require_known(ctx, connection, task_id)
    if is_maker(ctx.actor.id, row.makers):
        return None
    if not may_administer(ctx) and not decides(ctx, connection, row.id):
        return None
    return row.id if seen_record(ctx, row.record_type, row.record_id) is not None else None
