"""Who gets what people save for themselves and for others: views and dashboards.

It belongs to who made it, and only its owner gets it unless it is shared: with roles that
the owner holds, or by a configurator with any role or with everybody.
"""

from collections.abc import Iterable

from core.context import Context
from core.errors import Forbidden, Problem
from core.i18n import N_
from core.records.plugin_settings import ADMINISTRATORS

#: What `shared_with` says of something for everybody.
EVERYBODY = "*"


def is_configurator(ctx: Context) -> bool:
    """Return whether the actor may change and share what others saved."""
    return ctx.actor.is_system or bool(ctx.actor.roles & ADMINISTRATORS)


def is_meant_for(ctx: Context, roles: Iterable[str]) -> bool:
    """Return whether the actor gets what a schema file shares with `roles`; none is everybody."""
    wanted = set(roles)
    return is_configurator(ctx) or not wanted or bool(ctx.actor.roles & wanted)


def gets(ctx: Context, owner: str, shared_with: Iterable[str]) -> bool:
    """Return whether the actor gets something saved: a private one is nobody else's."""
    shared = set(shared_with)
    return (
        owner == ctx.actor.id
        or EVERYBODY in shared
        or bool(shared & ctx.actor.roles)
        or (bool(shared) and is_configurator(ctx))
    )


def audience_problems(ctx: Context, shared_with: Iterable[str]) -> list[Problem]:
    """Return one problem per role that does not exist."""
    known = {role.name for role in ctx.registry.release.roles} | {EVERYBODY, *ctx.actor.roles}
    text = N_("There is no role {name}.")
    return [
        Problem("shared_with", "view.role", text, {"name": name[:80]})
        for name in shared_with
        if name not in known and not is_configurator(ctx)
    ]


def check_audience(ctx: Context, added: set[str]) -> None:
    """Refuse to share with roles that the actor does not hold, unless a configurator shares.

    Raises:
        Forbidden: the actor may not.
    """
    if added - ctx.actor.roles and not is_configurator(ctx):
        raise Forbidden(N_("You can share with your own roles only."))
