"""Transfers between owners, and postings taken back: both keep lots and categories apart."""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import NotFound
from core.ledger import errors
from core.ledger.book import Book, holder_of
from core.ledger.models import account, entry, posting
from core.ledger.moves import Move, Moved, Posted
from core.ledger.posting import Header, Ref, perform
from core.ledger.reckoning import EXPIRED, Account, Lot, Reckoning, spend_order, stands_for


def transfer(  # noqa: PLR0913  each is a part of the posting
    ctx: Context, kind: str, source: str, target: str, *, key: str, ref: Ref, valid_at: datetime,
    amount: int | None = None, unit: str = "", what: str = "transfer", memo: str = "",
    zone: ZoneInfo | None = None,
) -> Posted:  # fmt: skip
    """Move a part of a balance to another owner, lot by lot with its end, category by category.

    Args:
        ctx: who posts; nobody's rights are asked.
        kind: the account kind.
        source: the owner that gives.
        target: the owner that gets.
        key: it is posted once under it.
        ref: type and id of the record that gave rise to it.
        valid_at: the business instant.
        amount: smallest units; without it all that no hold keeps, pending lots too.
        unit: the currency's code for kinds of money.
        what: such as `transfer` or `merge`.
        memo: for people.
        zone: where store days are; the context's without one.

    Raises:
        Insufficient: less is available, or the source owes.
        OverCap: it is more than the target may have.
        LedgerKeyReused: the key was used for something else.
        UnknownKind, NotPositive: the transfer makes no sense.
    """
    if amount is not None and amount <= 0:
        raise errors.NotPositive
    giver, getter = (holder_of(ctx, kind, owner, unit) for owner in (source, target))
    if giver == getter:
        raise errors.NotPositive

    def act(book: Book, reckoning: Reckoning) -> Iterator[Moved]:
        one, other = book.accounts[giver], book.accounts[getter]
        for lot, part in _parts(one, amount, reckoning.at):
            for category, some in stands_for(one, lot, part):
                move = Move(kind, source, category, -some, "moved", unit, lot.id)
                yield reckoning.move(one, move)
                ends = None if lot.expires_at is None else datetime.fromisoformat(lot.expires_at)
                opens = datetime.fromisoformat(lot.available_at)
                gets = Move(
                    kind, target, category, some, "moved", unit, expires_on=ends,
                    available_at=opens, ends_on=lot.last_day,
                )  # fmt: skip
                yield reckoning.move(other, gets)

    asked = msgspec.json.encode((what, ref, kind, unit, source, target, amount)).decode()
    header = Header(what, key, ref, valid_at, asked, memo, zone=zone)
    return perform(ctx, header, [giver, getter], lambda *of: list(act(*of)))


def reverse(
    ctx: Context, posting_id: str, *, what: str = "reversal", ref: Ref | None = None,
    valid_at: datetime | None = None, memo: str = "", zone: ZoneInfo | None = None,
    allow_negative: bool = False,
) -> Posted:  # fmt: skip
    """Take a posting back by a new one: every lot gets back what it gave, and gives what it got.

    Args:
        ctx: who posts; nobody's rights are asked.
        posting_id: what is taken back, once; asked again it gives the stored answer.
        what: what the new posting is called.
        ref: type and id of the record that gave rise to it; without it that of the posting.
        valid_at: the business instant; now without it.
        memo: for people.
        zone: where store days are; the context's without one.
        allow_negative: totals may fall below zero.

    Raises:
        NotFound: there is no such posting.
        Insufficient: a lot has less than it would have to give: it was spent, is held or ended.
    """
    with ctx.reading() as connection:
        first, moves = _opposite(connection, posting_id)
    holders = [holder_of(ctx, one.kind, one.owner, one.unit) for one in moves]

    def act(book: Book, reckoning: Reckoning) -> list[Moved]:
        done = []
        for whose, one in zip(holders, moves, strict=True):
            is_debt = one.lot is None and one.amount > 0
            take = reckoning.forgive if is_debt else reckoning.move
            done.append(take(book.accounts[whose], one))
        return done

    header = Header(
        what, f"reverse:{posting_id}", ref or first, valid_at or ctx.now, posting_id, memo,
        posting_id, zone, allow_negative,
    )  # fmt: skip
    named = [one.lot for one in moves if one.lot]
    return perform(ctx, header, holders, act, named=named)


def _opposite(connection: Connection, posting_id: str) -> tuple[Ref, list[Move]]:
    """Return what a posting was for and the moves that take it back, in the order they work.

    Debts first, or what goes back to lots would settle them; then other credits; what was
    taken from no named lot last.
    """
    head = connection.execute(
        sa.select(posting.c.ref_type, posting.c.ref_id).where(posting.c.id == posting_id)
    ).one_or_none()
    if head is None:
        raise NotFound
    wanted = (
        sa.select(account.c.kind, account.c.unit, account.c.owner_id, entry)
        .join(account, account.c.id == entry.c.account_id)
        .where(entry.c.posting_id == posting_id, account.c.owner_id != "")
        .order_by(entry.c.position)
    )
    sums: dict[tuple[str, str, str, str, str | None], dict[str, int]] = {}
    for one in connection.execute(wanted):
        unit = "" if one.unit == "points" else one.unit
        why = sums.setdefault((one.kind, one.owner_id, unit, one.category, one.lot_id), {})
        why[one.why] = why.get(one.why, 0) + one.amount
    moves = [
        Move(kind, owner, category, -amount, against, unit, lot)
        for (kind, owner, unit, category, lot), why in sums.items()
        if not _came_to_nothing(why)
        for against, amount in why.items()
        if amount
    ]
    moves.sort(key=lambda move: (move.amount < 0, (move.lot is None) == (move.amount < 0)))
    return (head.ref_type, head.ref_id), moves


def _came_to_nothing(why: dict[str, int]) -> bool:
    """Return whether what came back to a lot ended with it at once."""
    return EXPIRED in why and not sum(why.values())


def _parts(one: Account, amount: int | None, at: str) -> list[tuple[Lot, int]]:
    """Return the lots that give, and how much each."""
    if amount is None:
        if one.owed:
            raise errors.Insufficient(available=0, asked=one.owed)
        lots = [lot for lot in one.lots.values() if lot.free and not lot.has_ended(at)]
        return [(lot, lot.free) for lot in sorted(lots, key=spend_order)]
    available = one.available(at)
    if amount > available:
        raise errors.Insufficient(available=max(0, available), asked=amount)
    parts, left = [], amount
    for lot in sorted(one.lots.values(), key=spend_order):
        part = min(left, lot.free) if lot.is_usable(at) else 0
        if part > 0:
            parts.append((lot, part))
            left -= part
    return parts
