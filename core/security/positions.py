"""Giving and taking positions, with what is wrong said in time and what was done written down."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.records.people import PEOPLE
from core.records.userevents import note_user
from core.schema.placerows import PLACE_TYPES
from core.security.places import Holding, hold, release
from core.security.stores import assign_stores, list_stores
from core.tables.registry import Registry

#: Who hands out positions.
ADMINISTRATORS = frozenset({"Admin"})


def require_administrator(ctx: Context) -> None:
    """Let only administrators, and the product itself, pass.

    Raises:
        Forbidden: the actor is neither.
    """
    if not (ctx.actor.is_system or ctx.actor.roles & ADMINISTRATORS):
        raise Forbidden


def set_position(
    ctx: Context,
    login: str,
    place: tuple[str, str],
    position: str = "",
    *,
    take: bool = False,
) -> None:
    """Give somebody a position at a place, or take it away; without one they just work there.

    Args:
        ctx: an administrator's context.
        login: the person's sign-in name.
        place: `store` or `department`, and the code or id of the record.
        position: its name; empty for none.
        take: take it away instead.

    Raises:
        Forbidden: the actor is no administrator.
        Invalid: there is no such person, place or position.
    """
    require_administrator(ctx)
    with ctx.writing() as connection:
        ids = list(PEOPLE.ids(connection, [login]).values())
        problems = [] if ids else [_unknown("user", N_("There is no user {name}."), login)]
        place_id = _place_id(connection, ctx.registry, *place)
        if place_id is None:
            problems.append(
                _unknown("place", N_("There is no place with the code {name}."), place[1])
            )
        known = {one.name for one in ctx.registry.release.positions}
        if position and position not in known:
            problems.append(_unknown("position", N_("There is no position {name}."), position))
        if problems or place_id is None:
            raise Invalid(problems=problems)
        _apply(connection, Holding(ids[0], place[0], place_id, position), is_given=not take)
        note_user(
            ctx, connection, ids[0], action="take_position" if take else "give_position",
            changes={"position": [None, position], place[0]: [None, place_id]},
        )  # fmt: skip


def _unknown(path: str, text: str, name: str) -> Problem:
    return Problem(path, f"position.{path}", text, {"name": name[:80]})


def _place_id(
    connection: Connection, registry: Registry, place_type: str, code: str
) -> str | None:
    """Return the id of the live place that a code or id names."""
    if place_type not in PLACE_TYPES:
        return None
    try:
        registry.record_type(place_type)
    except NotFound:
        return None
    table = registry.tables[place_type].main
    named = [table.c.id == code]
    if "code" in table.c:
        named.append(table.c.code == code)
    query = sa.select(table.c.id).where(sa.or_(*named), table.c.deleted_at.is_(None))
    found: str | None = connection.execute(query).scalars().first()
    return found


def _apply(connection: Connection, holding: Holding, *, is_given: bool) -> None:
    if holding.place_type == "store" and not holding.position:
        stores = set(list_stores(connection, holding.user_id))
        stores = stores | {holding.place_id} if is_given else stores - {holding.place_id}
        assign_stores(connection, holding.user_id, stores)
    elif is_given:
        hold(connection, holding)
    else:
        release(connection, holding)
