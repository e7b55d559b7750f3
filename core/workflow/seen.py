"""What a reader of a task may see of its document, and whether they may know that it is there."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, NotFound
from core.i18n import N_
from core.policies.access import access
from core.records.environment import RecordEnv
from core.records.queries import get_record
from core.workflow.documents import Record
from core.workflow.models import Row, candidate, copy, instance, task, vote
from core.workflow.staff.people import identities

#: What is said to whoever may not see what they are asked about.
NO_SIGHT = N_("You may not see the document of this task.")


def seen_record(ctx: Context, type_name: str, record_id: str) -> dict[str, Any] | None:
    """Return the document under the actor's own rights; None when they see none of it."""
    try:
        return get_record(ctx, type_name, record_id)
    except (NotFound, Forbidden):
        return None


def require_sight(ctx: Context, connection: Connection, type_name: str, record: Record) -> None:
    """Refuse whoever may not see a document, whole as it is stored: nobody decides blindly.

    Raises:
        Forbidden: they may not see it; being asked gives no right to read.
    """
    env = RecordEnv(ctx, connection)
    values = env.view(type_name, record)
    if access(ctx, type_name).editable_when("view", values, env) is None:
        raise Forbidden(NO_SIGHT)


def knows(ctx: Context, connection: Connection, parent: Row) -> bool:
    """Return whether the actor may know that an approval is there; `parent` is its row.

    They started it, sit, sat or voted in it, have a copy, or see its document. To anybody
    else it is answered like one that does not exist.
    """
    return (
        parent["initiator"] == ctx.actor.id
        or takes_part(ctx, connection, parent["id"])
        or seen_record(ctx, parent["record_type"], parent["record_id"]) is not None
    )


def require_known(ctx: Context, connection: Connection, task_id: str) -> None:
    """Refuse a task that the actor may not know of.

    Raises:
        NotFound: there is none that they may know of.
    """
    found = sa.select(instance).join(task, task.c.instance_id == instance.c.id)
    row = connection.execute(found.where(task.c.id == task_id)).mappings().first()
    if row is None or not knows(ctx, connection, row):
        raise NotFound


def takes_part(ctx: Context, connection: Connection, instance_id: str) -> bool:
    """Return whether the actor sits, sat or voted in an approval, or has a copy of it."""
    copied = sa.select(sa.literal(1)).where(
        copy.c.instance_id == instance_id, copy.c.person == ctx.actor.id
    )
    return decides(ctx, connection, instance_id) or connection.execute(copied).first() is not None


def decides(ctx: Context, connection: Connection, instance_id: str) -> bool:
    """Return whether the actor sits, sat or voted in a task of an approval."""
    sits = (
        sa.select(sa.literal(1))
        .join(task, task.c.id == candidate.c.task_id)
        .where(
            task.c.instance_id == instance_id,
            sa.tuple_(candidate.c.kind, candidate.c.actor).in_(identities(ctx.actor)),
        )
    )
    voted = sa.select(sa.literal(1)).where(
        vote.c.instance_id == instance_id, vote.c.actor == ctx.actor.id
    )
    return connection.execute(sa.union_all(sits, voted).limit(1)).first() is not None
