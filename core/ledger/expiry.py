"""What ends by itself: lots that nobody used in time, and holds that nobody posted.

One process at a time looks a few times a minute, and takes a slice; each account is a
transaction of its own, under the lock of every other posting. Whoever comes second finds
nothing left, so running it twice does no harm.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.ids import new_id
from core.jobs.handlers import HANDLERS, Chore, Handlers
from core.ledger.book import Book, Holder, holder_of
from core.ledger.holding import apart, time_out_holds
from core.ledger.models import account, lot
from core.ledger.moves import Moved
from core.ledger.posting import Header, perform
from core.ledger.reckoning import Reckoning

#: How often it is looked, and how many accounts are done at once.
EVERY, SLICE = timedelta(seconds=10), 200


def register(handlers: Handlers = HANDLERS) -> None:
    """Have the worker write off what ended."""
    handlers.add_chore(Chore("ledger:expiry", EVERY, tick))


def tick(ctx: Context) -> None:
    """Time holds out, then take a slice of what ended."""
    time_out_holds(ctx)
    expire(ctx, most=SLICE)


def expire(ctx: Context, until: datetime | None = None, *, most: int | None = None) -> int:
    """Write off what is left of lots that ended; return how many lots were.

    What a hold keeps stays until the hold ends. The business instant of the entry is that at
    which the lot ended, so a late run changes no closed day but by what is known of it.

    Args:
        ctx: the product itself.
        until: lots that ended by then; now without it.
        most: stop after so many accounts and ends of which something was written off.
    """
    done, after = 0, ("", "")
    due = to_wire(until or ctx.now)
    while most is None or most > 0:
        with ctx.reading() as connection:
            found = _ended(connection, ctx, due, after, min(SLICE, most or SLICE))
        if not found:
            break
        for one in found:
            after = (one.expires_at, one.account_id)
            count = 0
            with apart(f"what is left on account {one.account_id}"):
                count = _write_off(ctx, Holder(one.kind, one.unit, one.owner_id), one.expires_at)
            done += count
            # What holds keep is looked at again, and must not keep those behind it waiting.
            most = most - 1 if most is not None and count else most
    return done


def write_off(ctx: Context, kind: str, owner: str, unit: str = "", *, until: datetime) -> int:
    """Write off what ended by then on one owner's account, as `expire` does; return how many lots.

    Whoever reckons with expired points finds them all booked afterwards.

    Raises:
        UnknownKind: there is no such kind, or money without its currency.
    """
    whose = holder_of(ctx, kind, owner, unit)
    ends = (
        sa.select(lot.c.expires_at)
        .distinct()
        .join(account, account.c.id == lot.c.account_id)
        .where(
            account.c.kind == whose.kind,
            account.c.unit == whose.unit,
            account.c.owner_id == whose.owner,
            lot.c.remaining > sa.literal_column("0"),
            lot.c.expires_at <= to_wire(until),
        )
        .order_by(lot.c.expires_at)
    )
    with ctx.reading() as connection:
        found = connection.execute(ends).scalars().all()
    return sum(_write_off(ctx, whose, end) for end in found)


def _ended(
    connection: Connection, ctx: Context, due: str, after: tuple[str, str], most: int
) -> Sequence[Any]:
    """Return end, account and its holder where lots ended, in this order, behind `after`."""
    place = sa.tuple_(lot.c.expires_at, lot.c.account_id)
    wanted = (
        sa.select(
            lot.c.expires_at, lot.c.account_id, account.c.kind, account.c.unit, account.c.owner_id
        )
        .distinct()
        .join(account, account.c.id == lot.c.account_id)
        .where(
            lot.c.remaining > sa.literal_column("0"),
            lot.c.expires_at <= due,
            place > sa.tuple_(sa.literal(after[0]), sa.literal(after[1])),
            account.c.kind.in_(list(ctx.registry.release.account_kinds)),
        )
        .order_by(lot.c.expires_at, lot.c.account_id)
        .limit(most)
    )
    return connection.execute(wanted).all()


def _write_off(ctx: Context, whose: Holder, expires_at: str) -> int:
    """Take what is left of an account's lots that ended at one instant; return how many."""
    header = Header(
        "expire", f"expire:{new_id()}", ("", ""), datetime.fromisoformat(expires_at), "expire"
    )
    counted: list[str] = []
    perform(ctx, header, [whose], partial(_lapse, whose, expires_at, counted))
    return len(counted)


def _lapse(
    whose: Holder, expires_at: str, counted: list[str], book: Book, reckoning: Reckoning
) -> list[Moved]:
    one = book.accounts[whose]
    lots = [each for each in one.lots.values() if each.expires_at == expires_at and each.free]
    counted += [each.id for each in lots]
    return [Moved(one.id, expired=reckoning.expire(one, lots))]
