"""Seats whose people changed are looked at again: somebody left, came back, or is away.

Whoever is disabled, loses a role or a position may have been the last who could sit
somewhere. The engine then asks whom the flow names in their place, or the seat pauses and
administrators are told. It is also how a paused seat finds its people again.
"""

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.jobs.handlers import HANDLERS, Event, Handler, Handlers
from core.jobs.outbox import emit
from core.workflow.engine.state import Command, Identity
from core.workflow.models import candidate, instance
from core.workflow.staff.away import RECHECK
from core.workflow.staff.delegations import delegation
from core.workflow.staff.people import STAFF, STAFF_CHANGED
from core.workflow.staff.roster import Staff
from core.workflow.timing.sweeping import attempt

#: After so long nothing is under way any more that began before people changed.
AGAIN = timedelta(seconds=20)
#: Instances that are looked for at once.
BATCH = 200
#: Where so few are behind an identity, all of them may be makers of a document.
FEW = 4


def register(handlers: Handlers = HANDLERS) -> None:
    """Have the worker look at seats again when people change."""
    handlers.add(Handler("flows:staff", STAFF_CHANGED, follow_staff, in_transaction=False))
    handlers.add(Handler("flows:recheck", RECHECK, follow_person, in_transaction=False))


def follow_staff(ctx: Context, event: Event) -> None:
    """Look again at every instance in which a seat may have lost or found its people.

    It is done twice: what was under way as people changed may be committed only now, with
    people in its seats who had gone.
    """
    if "again" not in event.payload:
        later = ctx.now + AGAIN
        with ctx.writing() as connection:
            key = f"{STAFF_CHANGED}:{int(later.timestamp() / AGAIN.total_seconds())}"
            emit(connection, STAFF_CHANGED, {"again": True}, at=later, key=key)
    with ctx.reading() as connection:
        staff = STAFF.staff(ctx, connection)
        found = dict.fromkeys((*_unmanned(connection), *_deserted(connection, staff)))
    for instance_id in found:
        attempt(ctx, instance_id, [Command("recheck")])


def follow_person(ctx: Context, event: Event) -> None:
    """Look again at what waits for a person, and for their roles where deputies get those."""
    person, last = event.payload["person"], ""
    while True:
        with ctx.reading() as connection:
            ids = waiting_for(connection, STAFF.staff(ctx, connection), person, after=last)
        for instance_id in ids:
            attempt(ctx, instance_id, [Command("recheck")])
        if len(ids) < BATCH:
            return
        last = ids[-1]


def waiting_for(
    connection: Connection, staff: Staff, person: str, *, after: str = ""
) -> list[str]:
    """Return the next instances in which a person's deputies may have to come or go.

    Args:
        connection: to read by.
        staff: everybody.
        person: id.
        after: the last one that was returned before.
    """
    sits = [("user", person)]
    lends = sa.select(delegation.c.id).where(
        delegation.c.giver == person, delegation.c.include_roles
    )
    if connection.execute(lends.limit(1)).first() is not None:
        sits += [(one.kind, one.actor) for one in staff.identities(person)]
    query = (
        sa.select(candidate.c.instance_id)
        .where(
            candidate.c.is_open,
            sa.tuple_(candidate.c.kind, candidate.c.actor).in_(sits),
            candidate.c.instance_id > after,
        )
        .distinct()
        .order_by(candidate.c.instance_id)
        .limit(BATCH)
    )
    return list(connection.execute(query).scalars())


def _unmanned(connection: Connection) -> Iterator[str]:
    """Yield instances of which administrators were told that nobody can decide."""
    query = sa.select(instance.c.id).where(
        instance.c.attention == "no_approver", instance.c.state == "running"
    )
    yield from connection.execute(query).scalars()


def _deserted(connection: Connection, staff: Staff) -> Iterator[str]:
    """Yield instances with an open seat for which nobody, or nobody but makers, is left."""
    sits = sa.select(candidate.c.kind, candidate.c.actor).where(candidate.c.is_open).distinct()
    for row in connection.execute(sits).all():
        people = staff.behind(Identity(row.kind, row.actor))
        if len(people) > FEW:
            continue
        all_made_it = [
            candidate.c.makers.contains(f"|{person}|", autoescape=True) for person in people
        ]
        query = (
            sa.select(candidate.c.instance_id)
            .where(
                candidate.c.is_open,
                candidate.c.kind == row.kind,
                candidate.c.actor == row.actor,
                *all_made_it,
            )
            .distinct()
        )
        yield from connection.execute(query).scalars()
