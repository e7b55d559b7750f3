"""A leaver's whole desk: tasks, delegations, and the people who report to them by name."""

from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.records.people import PEOPLE
from core.security.managers import set_manager, user_manager
from core.workflow.desks import handover

#: Tasks that a preview lists.
SHOWN = 50


def desk(ctx: Context, leaver: str) -> dict[str, Any]:
    """Return what a desk holds, as `handover.desk`, and in `reports` who reports to them by name.

    Raises:
        Forbidden: the actor is no administrator.
    """
    found = handover.desk(ctx, leaver, limit=SHOWN)
    return found | {"reports": [one["name"] for one in _reports(ctx, leaver)]}


def hand_over(ctx: Context, leaver: str, to: str, *, reason: str) -> dict[str, Any]:
    """Hand a whole desk over, as `handover.hand_over`; `items` tells of the reports too.

    Whoever reported to the leaver by name reports to the successor; the successor themself
    to whoever leads their place.

    Raises:
        Forbidden: the actor is no administrator.
        Invalid: the successor cannot sign in or is the leaver.
        OpinionRequired: no reason is given.
    """
    made = handover.hand_over(ctx, leaver, to, reason=reason)
    with ctx.reading() as connection:
        successor = PEOPLE.logins(connection, [to])[to]
    items = [
        _move(ctx, one, "" if one["id"] == to else successor) for one in _reports(ctx, leaver)
    ]
    return made | {"items": [*made["items"], *items]}


def _move(ctx: Context, person: dict[str, str], manager: str) -> dict[str, Any]:
    item = {"kind": "report", "id": person["id"], "title": person["name"]}
    return handover.outcome_of(ctx, item, lambda: set_manager(ctx, person["login"], manager))


def _reports(ctx: Context, leaver: str) -> list[dict[str, str]]:
    query = sa.select(user_manager.c.user_id).where(user_manager.c.manager_id == leaver)
    with ctx.reading() as connection:
        ids = sorted(connection.execute(query).scalars(), key=int)
        names, logins = PEOPLE.names(connection, ids), PEOPLE.logins(connection, ids)
    return [{"id": one, "name": names[one], "login": logins[one]} for one in ids if one in names]
