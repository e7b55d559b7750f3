"""Copies (抄送): documents that people are shown and asked nothing about.

Everybody gets one copy of an approval, however many steps send them one. A copy gives no
right to read: who may not see the document learns only that it exists.
"""

import sqlalchemy as sa

from core.clock import to_wire
from core.context import Context
from core.errors import NotFound
from core.workflow.models import copy


def mark_copy_read(ctx: Context, instance_id: str) -> None:
    """Note that the actor has read their copy; a second time changes nothing.

    Raises:
        NotFound: they have none.
    """
    mine = sa.and_(copy.c.instance_id == instance_id, copy.c.person == ctx.actor.id)
    with ctx.writing() as connection:
        if connection.execute(sa.select(copy.c.at).where(mine)).first() is None:
            raise NotFound
        connection.execute(
            copy.update().where(mine, copy.c.read_at.is_(None)).values(read_at=to_wire(ctx.now))
        )
