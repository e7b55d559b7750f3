"""Whoever owns a balance is not put away, whichever door it is tried through.

It is core's own implementation of the plugins' hook, so that deleting and merging records
need not know of accounts.
"""

import sqlalchemy as sa

from core.context import Context
from core.extension.hooks import Hooks
from core.extension.hookspecs import Change, hookimpl
from core.ledger.errors import OwnerHasBalance
from core.ledger.models import account
from core.prebuilt import Prebuilt

_held = sa.select(account.c.kind, account.c.balance).where(
    account.c.owner_id == sa.bindparam("owner"),
    sa.or_(account.c.balance != 0, account.c.held != 0),
)


class LedgerGuard:
    """Refuses to delete, or merge away, a record whose accounts are not empty."""

    @hookimpl
    def guanxi_before_save(self, ctx: Context, change: Change) -> None:
        """Refuse when something is owed to the record, or it owes something."""
        kinds = ctx.registry.release.account_kinds.values()
        if change.action != "delete" or all(one.owner != change.record_type for one in kinds):
            return
        with ctx.reading() as connection:
            found = Prebuilt(_held, connection.dialect).rows(
                connection, {"owner": change.record_id}
            )
        if found:
            raise OwnerHasBalance(kind=found[0][0], balance=found[0][1])


def register(hooks: Hooks) -> None:
    """Have owners of balances guarded at every door."""
    hooks.register_core("core.ledger", LedgerGuard())
