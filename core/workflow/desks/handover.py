"""Handing over a whole desk: everything that waits for somebody goes to another person.

One transaction per task, so that a task which cannot go over keeps no other back; each
leaves its own event. Tasks that wait for a role or position are not anybody's desk.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, Invalid, Problem, UserError, told
from core.i18n import N_
from core.records.people import PEOPLE
from core.workflow import errors
from core.workflow.engine.state import Command
from core.workflow.models import candidate, seat, task
from core.workflow.operations import transaction
from core.workflow.opinion import read_opinion
from core.workflow.run import Answer, lock_instance, once
from core.workflow.settling import settle
from core.workflow.staff.away import Wanted, delegate, revoke
from core.workflow.staff.delegations import delegation, list_standing, value_of
from core.workflow.staff.people import may_administer

#: Tasks that one call hands over; what is left is said and goes with the next.
AT_ONCE = 200
_WAITING = ("open", "waiting", "advised")


def desk(ctx: Context, leaver: str, *, limit: int = AT_ONCE) -> dict[str, Any]:
    """Return what somebody's desk holds: tasks, oldest first, and for whom they stand in.

    Args:
        ctx: an administrator's context.
        leaver: id of whose desk it is; they may be disabled already.
        limit: how many tasks are listed.

    Raises:
        Forbidden: the actor is no administrator.
    """
    _require_administrator(ctx)
    with ctx.reading() as connection:
        query = _tasks(leaver)
        count = connection.execute(sa.select(sa.func.count()).select_from(query.subquery()))
        rows = connection.execute(query.order_by(task.c.opened_at, task.c.id).limit(limit))
        return {
            "count": count.scalar_one(),
            "tasks": [
                {"id": row["id"], "title": row["title"], "type": row["record_type"]}
                for row in rows.mappings()
            ],
            "stands_in": len(_stands_in(ctx, connection, leaver)),
        }


def hand_over(ctx: Context, leaver: str, to: str, *, reason: str) -> dict[str, Any]:
    """Give what waits for somebody by name to another person; say for each how it went.

    Delegations by which the leaver stands in for others go over too. Those that the leaver
    gave stay as they are until they end.

    Args:
        ctx: an administrator's context.
        leaver: id of whose desk it is.
        to: id of who takes it.
        reason: why; every event carries it.

    Returns:
        `items` of tasks and delegations, each `transferred` or `refused` with a code and a
        message, and how many tasks are `left`.

    Raises:
        Forbidden: the actor is no administrator.
        Invalid: the successor cannot sign in or is the leaver.
        OpinionRequired: no reason is given.
    """
    _require_administrator(ctx)
    said = read_opinion(reason)
    if not said:
        raise errors.OpinionRequired
    with ctx.reading() as connection:
        _check_people(connection, leaver, to)
    found = desk(ctx, leaver)
    items = [_hand_task(ctx, one, leaver, to, said) for one in found["tasks"]]
    with ctx.reading() as connection:
        ids = _stands_in(ctx, connection, leaver)
    items += [_hand_delegation(ctx, one, to) for one in ids]
    return {"items": items, "left": found["count"] - len(found["tasks"])}


def _hand_task(
    ctx: Context, found: dict[str, Any], leaver: str, to: str, reason: str
) -> dict[str, Any]:
    def act() -> Answer:
        connection = transaction(ctx)
        query = sa.select(task.c.instance_id).where(task.c.id == found["id"])
        run = lock_instance(ctx, connection, connection.execute(query).scalar_one())
        run.via_override = True
        run.perform(Command("hand_over", found["id"], opinion=reason, to=(to,), leaver=leaver))
        settle(run)
        return {}

    return outcome_of(ctx, {"kind": "task", **found}, lambda: once(ctx, None, (), act))


def _hand_delegation(ctx: Context, delegation_id: str, to: str) -> dict[str, Any]:
    """Have another person stand in for the rest of a delegation's window."""
    with ctx.reading() as connection:
        query = sa.select(delegation).where(delegation.c.id == delegation_id)
        said = value_of(connection.execute(query).mappings().one())

    def act() -> None:
        with ctx.writing():
            revoke(ctx, delegation_id)
            delegate(
                ctx,
                Wanted(
                    deputy=to, giver=said.giver, start=said.start, end=said.end,
                    types=said.types, amount_field=said.amount_field,
                    amount_max=said.amount_max, include_roles=said.include_roles,
                    reason=said.reason,
                ),
            )  # fmt: skip

    return outcome_of(ctx, {"kind": "delegation", "id": delegation_id}, act)


#: What refusals mean here, where the reader is not the one whom they are about.
_MEANINGS = {
    "flow.sod_violation": N_(
        "They wrote, edited or submitted this, or decided a step that somebody else must follow."
    ),
    "flow.person_invalid": N_("They sit in this task already, or cannot sign in."),
}


def outcome_of(ctx: Context, item: dict[str, Any], act: Callable[[], object]) -> dict[str, Any]:
    """Do something with one item and return it with how that went."""
    try:
        act()
    except UserError as refusal:
        first = refusal.problems[0] if refusal.problems else None
        text, params = (first.text, first.params) if first else (refusal.text, refusal.params)
        message = told(_MEANINGS.get(refusal.code, text), ctx.locale, params)
        return {**item, "outcome": "refused", "code": refusal.code, "message": message}
    return {**item, "outcome": "transferred"}


def _require_administrator(ctx: Context) -> None:
    if not may_administer(ctx):
        raise Forbidden


def _check_people(connection: Connection, leaver: str, to: str) -> None:
    if to == leaver or not to.isdecimal() or to not in PEOPLE.active(connection, [to]):
        text = N_("This person cannot sign in; choose somebody else.")
        raise Invalid(problems=[Problem("to", "handover.person", text)])


def _tasks(leaver: str) -> sa.Select[Any]:
    """Return the query of the tasks in which somebody sits by name in a seat that waits."""
    theirs = (
        sa.select(candidate.c.task_id)
        .join(seat, seat.c.id == candidate.c.seat_id)
        .where(
            # Both, so that the index of who sits where serves it.
            candidate.c.is_open.in_([True, False]),
            candidate.c.kind == "user",
            candidate.c.actor == leaver,
            candidate.c.via != "away",
            candidate.c.gone.is_(False),
            seat.c.state.in_(_WAITING),
        )
    )
    return sa.select(task.c.id, task.c.title, task.c.record_type, task.c.opened_at).where(
        task.c.id.in_(theirs), task.c.state.in_(("open", "suspended"))
    )


def _stands_in(ctx: Context, connection: Connection, leaver: str) -> list[str]:
    """Return the ids of the delegations by which somebody stands in for others."""
    said = list_standing(connection, ctx.now)
    return sorted(one.id for one in said if one.deputy == leaver)
