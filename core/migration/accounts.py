"""What the ledger holds that a release must not pull the ground from under."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import metadata
from core.errors import Problem
from core.i18n import N_
from core.schema.accountkinds import AccountKind
from core.schema.model import Release

_GONE = N_("{kind} cannot go: {count} accounts of it hold entries.")
_OTHER = N_("The {what} of {kind} cannot change: {count} accounts of it hold entries.")
_CATEGORY_GONE = N_(
    "The category {category} of {kind} cannot go: {count} accounts hold entries in it."
)
_CATEGORY_TURNED = N_(
    "Whether the category {category} of {kind} uses cannot change: {count} accounts hold entries "
    "in it."
)


def account_problems(connection: Connection, old: Release, new: Release) -> tuple[Problem, ...]:
    """Return a problem for each account kind or category with entries that goes or turns.

    An owner's type that gets another name is the same type.
    """
    table = metadata.tables.get("gx_account")
    if table is None or not sa.inspect(connection).has_table(table.name):
        return ()
    return tuple(
        problem
        for name, kind in old.account_kinds.items()
        if kind != new.account_kinds.get(name)
        for problem in _problems(connection, kind, old, new)
    )


def _problems(
    connection: Connection, kind: AccountKind, old: Release, new: Release
) -> Iterator[Problem]:
    count = _count(connection, kind)
    if not count:
        return
    now, name = new.account_kinds.get(kind.name), kind.name
    if now is None:
        yield Problem(name, "schema.account_in_use", _GONE, {"kind": name, "count": count})
        return
    owners = old.types.get(kind.owner), new.types.get(now.owner)
    is_same = None not in owners and len({one.id for one in owners if one}) == 1
    for what, stays in (("owner", is_same), ("unit", kind.unit == now.unit)):
        if not stays:
            params = {"what": what, "kind": name, "count": count}
            yield Problem(f"{name}.{what}", "schema.account_in_use", _OTHER, params)
    for one in kind.categories:
        after = now.category(one.name)
        if after is not None and after.uses == one.uses:
            continue
        count = _count(connection, kind, one.name)
        if count:
            text = _CATEGORY_GONE if after is None else _CATEGORY_TURNED
            params = {"category": one.name, "kind": name, "count": count}
            yield Problem(f"{name}.categories.{one.name}", "schema.account_in_use", text, params)


def _count(connection: Connection, kind: AccountKind, category: str = "") -> int:
    """Return how many accounts of a kind have entries, in a category if one is named."""
    account = metadata.tables["gx_account"]
    wanted = (
        sa.select(sa.func.count())
        .select_from(account)
        .where(account.c.kind == kind.name, account.c.owner_id != "")
    )
    if category:
        wanted = wanted.where(account.c.totals.contains(f'"{category}":', autoescape=True))
    return int(connection.execute(wanted).scalar_one())
