"""Forgetting a person in every approval, whose chains go on to prove."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden
from core.workflow.evidence.events import ERASE, Evidence
from core.workflow.evidence.folding import FOLDED, NAMES
from core.workflow.models import ERASABLE, event, instance, vote
from core.workflow.staff.people import may_administer


def erase_person(ctx: Context, person_id: str) -> int:
    """Forget the name, opinions, addresses and programs of a person in every approval.

    Ids, verbs and times stay, and each chain goes on to prove; its last event says who was
    forgotten, so that nothing else can pass for an erasure.

    Returns:
        How many events were stripped.

    Raises:
        Forbidden: the actor does not administer approvals.
    """
    if not may_administer(ctx):
        raise Forbidden
    with ctx.reading() as connection:
        query = sa.select(event.c.instance_id).where(
            event.c.actor == person_id, event.c.salt != ""
        )
        ids = connection.execute(query.distinct()).scalars().all()
    return sum(_erase(ctx, person_id, each) for each in sorted(ids))


def _erase(ctx: Context, person_id: str, instance_id: str) -> int:
    """Forget a person in one instance, in a transaction of its own."""
    with ctx.writing(durable=True) as connection:
        locked = sa.select(instance).where(instance.c.id == instance_id).with_for_update()
        row = connection.execute(locked).mappings().one()
        evidence = Evidence(ctx, connection, row)
        evidence.add(ERASE, detail={"person": person_id})
        evidence.close()
        own = event.c.instance_id == instance_id, event.c.actor == person_id
        stripped = connection.execute(
            event.update()
            .where(*own, event.c.salt != "", event.c.seq <= row["events"])
            .values(dict.fromkeys((*ERASABLE, "salt"), ""))
        ).rowcount
        connection.execute(
            vote.update()
            .where(vote.c.instance_id == instance_id, vote.c.actor == person_id)
            .values(actor_name="", opinion="")
        )
        for table, names in NAMES.items():
            for name, person in names.items():
                _blank(connection, FOLDED[table], name, (person, person_id, instance_id))
    return stripped


def _blank(
    connection: Connection, table: sa.Table, name: str, whose: tuple[str, str, str]
) -> None:  # fmt: skip
    person, person_id, instance_id = whose
    key = table.c.id if table is instance else table.c.instance_id
    connection.execute(
        table.update()
        .where(key == instance_id, table.c[person] == person_id, table.c[name] != "")
        .values({name: ""})
    )
