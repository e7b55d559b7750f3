"""What became of lots, and how an account is kept still while somebody reckons with it."""

from collections.abc import Sequence
from dataclasses import fields

import sqlalchemy as sa

from core.context import Context
from core.ledger.book import holder_of
from core.ledger.models import IS_LAPSE, account, entry, lot
from core.ledger.reckoning import Lot


def lock_account(ctx: Context, kind: str, owner: str, unit: str = "") -> None:
    """Keep an owner's account as it is for everybody else until the transaction ends.

    What is read of it afterwards still holds when it is posted to.

    Raises:
        UnknownKind: there is no such kind, or money without its currency.
    """
    whose = holder_of(ctx, kind, owner, unit)
    mine = sa.select(account.c.id).where(
        account.c.kind == whose.kind,
        account.c.unit == whose.unit,
        account.c.owner_id == whose.owner,
    )
    with ctx.writing(durable=True) as connection:
        connection.execute(mine.with_for_update())


def named_lots(ctx: Context, ids: Sequence[str]) -> dict[str, Lot]:
    """Return lots by their ids, empty ones too; what holds keep of them is not told here."""
    if not ids:
        return {}
    wanted = sa.select(*(lot.c[one.name] for one in fields(Lot) if one.name != "held"))
    with ctx.reading() as connection:
        rows = connection.execute(wanted.where(lot.c.id.in_(ids)))
        return {row.id: Lot(*row) for row in rows}


def lapsed(ctx: Context, lots: Sequence[str]) -> dict[str, int]:
    """Return lot -> what expired of it and was written off, for those of which anything did."""
    taken = sa.cast(sa.func.sum(-entry.c.amount), sa.BigInteger)
    ended = (
        sa.select(entry.c.lot_id, taken)
        .where(entry.c.lot_id.in_(lots), IS_LAPSE, entry.c.amount < 0)
        .group_by(entry.c.lot_id)
    )
    with ctx.reading() as connection:
        return {lot_id: int(amount) for lot_id, amount in connection.execute(ended)}
