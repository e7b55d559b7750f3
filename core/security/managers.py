"""Whom people report to, where an administrator said so by name.

Without it, somebody reports to whoever leads the place where they work
(`core.workflow.staff.roster`).
"""

import sqlalchemy as sa

from core.context import Context
from core.db import metadata
from core.errors import Invalid, Problem
from core.i18n import N_
from core.records.people import PEOPLE
from core.records.userevents import note_user
from core.security.positions import require_administrator
from core.tables.releases import bump_rights
from core.workflow.staff.people import note_staff

user_manager = sa.Table(
    "gx_user_manager",
    metadata,
    sa.Column("user_id", sa.String(36), primary_key=True),
    sa.Column("manager_id", sa.String(36), nullable=False),
)


def set_manager(ctx: Context, login: str, manager: str) -> None:
    """Set whom somebody reports to, in force at the next request; an empty one unsets it.

    Args:
        ctx: an administrator's context.
        login: the person's sign-in name.
        manager: the manager's sign-in name, or "" for whoever leads the person's place.

    Raises:
        Forbidden: the actor is no administrator.
        Invalid: there is no such person, the manager is not active, or somebody would
            report to themself.
    """
    require_administrator(ctx)
    with ctx.writing() as connection:
        ids = PEOPLE.ids(connection, [login, manager] if manager else [login])
        problems = [
            Problem(path, f"manager.{path}", N_("There is no user {name}."), {"name": name[:80]})
            for path, name in (("user", login), ("manager", manager))
            if name and name not in ids
        ]
        if login not in ids or problems:
            raise Invalid(problems=problems)
        person, boss = ids[login], ids.get(manager, "")
        known = {
            row.user_id: row.manager_id for row in connection.execute(sa.select(user_manager))
        }
        if boss:
            _check(person, boss, known, is_active=boss in PEOPLE.active(connection, [boss]))
        if known.get(person, "") == boss:
            return
        connection.execute(user_manager.delete().where(user_manager.c.user_id == person))
        if boss:
            connection.execute(user_manager.insert().values(user_id=person, manager_id=boss))
        note_user(
            ctx, connection, person, action="set_manager",
            changes={"manager": [known.get(person), boss or None]},
        )  # fmt: skip
        bump_rights(connection)
        note_staff(connection)


def _check(person: str, boss: str, known: dict[str, str], *, is_active: bool) -> None:
    if not is_active:
        text = N_("This person cannot sign in any more; choose somebody else.")
        raise Invalid(problems=[Problem("manager", "manager.inactive", text)])
    above, seen = boss, {person}
    while above and above not in seen:
        seen.add(above)
        above = known.get(above, "")
    if person in {above, boss}:
        text = N_("They would report to themself, directly or through others.")
        raise Invalid(problems=[Problem("manager", "manager.circle", text)])
