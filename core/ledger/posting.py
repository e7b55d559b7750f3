"""Posts: a few moves that happen together or not at all, once per key.

>>> Move("points", "m-1", "A", 100).against
'issued'
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core.clock import to_wire
from core.context import Context
from core.errors import UserError
from core.ids import new_id
from core.ledger import errors
from core.ledger.book import Book, Holder, holder_of, open_book, programme_id
from core.ledger.chaining import chained, posting_hash
from core.ledger.moves import Move, Moved, Posted
from core.ledger.reckoning import Account, Lot, Reckoning, known_after
from core.ledger.writing import Rows, write

Ref = tuple[str, str]

#: What a posting does to its locked accounts.
Act = Callable[[Book, Reckoning], Sequence[Moved]]
#: What is written with a posting: gets its id and when it was posted; the accounts' chains may
#: go on in it.
More = Callable[[str, str], Mapping[str, Rows]]

_encode = msgspec.json.Encoder().encode
_answer = msgspec.json.Decoder(tuple[tuple[Moved, ...], dict[str, int]])


@dataclass(frozen=True, slots=True)
class Header:
    """What a posting is, apart from its moves.

    Attributes:
        what: such as `sale`, `return`, `expire`, `transfer`.
        key: it is posted once under it.
        ref: type and id of the record that gave rise to it.
        valid_at: the business instant; by it lots have ended or are pending.
        fingerprint: what tells two requests under one key apart.
        reverses: id of the posting that it takes back.
        zone: where store days are; the context's without one.
        may_owe: balances may fall below their floor and totals below zero.
    """

    what: str
    key: str
    ref: Ref
    valid_at: datetime
    fingerprint: str = ""
    memo: str = ""
    reverses: str | None = None
    zone: ZoneInfo | None = None
    may_owe: bool = False


def post(  # noqa: PLR0913  each is a part of the posting
    ctx: Context, moves: Sequence[Move], *, what: str, key: str, ref: Ref, valid_at: datetime,
    fingerprint: str = "", memo: str = "", reverses: str | None = None,
    zone: ZoneInfo | None = None, allow_negative: bool = False,
) -> Posted:  # fmt: skip
    """Post moves in their order, all or none, in the write transaction under way or a new one.

    A refusal of one move has its place among them in `params["move"]`, counted from 0.

    Args:
        ctx: who posts; nobody's rights are asked.
        moves: credits and debits of owners' accounts; counter-entries are made here.
        what: such as `sale`, `return`, `rebate`.
        key: it is posted once under it; the same key gives the stored answer back.
        ref: type and id of the record that gave rise to it.
        valid_at: the business instant.
        fingerprint: what tells two requests under one key apart; without it the moves do.
        memo: for people.
        reverses: id of the posting that it takes back.
        zone: where store days are; the context's without one.
        allow_negative: a debit may leave a debt, which the next credit settles.

    Raises:
        Insufficient: less is available than is to be taken.
        LedgerKeyReused: the key was used for something else.
        OverCap, OverLot, NegativeCategory: the moves go beyond what may be.
        UnknownKind, UnknownCategory, UnknownLot, NotPositive, TooMuch: they make no sense.
    """
    header = Header(
        what, key, ref, valid_at, fingerprint or _fingerprint(what, ref, moves), memo, reverses,
        zone, allow_negative,
    )  # fmt: skip
    holders = [holder_of(ctx, one.kind, one.owner, one.unit) for one in moves]
    named = [lot for one in moves for lot in (one.lot, *one.first) if lot is not None]

    def act(book: Book, reckoning: Reckoning) -> list[Moved]:
        done: list[Moved] = []
        try:
            for whose, one in zip(holders, moves, strict=True):
                done.append(reckoning.move(book.accounts[whose], one))
        except UserError as refusal:
            refusal.params["move"] = len(done)
            raise
        return done

    spends = any(one.amount < 0 and one.lot is None for one in moves)
    return perform(ctx, header, holders, act, spends=spends, named=named)


def perform(
    ctx: Context, header: Header, holders: Sequence[Holder], act: Act, *, spends: bool = True,
    named: Sequence[str] = (), more: More | None = None,
) -> Posted:  # fmt: skip
    """Lock the accounts of `holders`, let `act` move them and write what came of it, if anything.

    Raises:
        LedgerKeyReused: the key was used for something else.
    """
    with ctx.writing(durable=True) as connection:
        whose = list(dict.fromkeys(holders))
        book = open_book(ctx, connection, whose, header.key, spends=spends, named=named)
        if book.stored is not None:
            return _replayed(book.stored, header)
        reckoning = Reckoning(
            new_id(), header.valid_at, header.zone or ctx.time_zone, may_owe=header.may_owe
        )
        moved = tuple(act(book, reckoning))
        reckoning.finish()
        sums = {key: one.balance for key, one in reckoning.accounts.items()}
        posted = Posted(reckoning.posting_id, moved, sums)
        if reckoning.entries:
            _store(ctx, connection, header, reckoning, posted, more)
        return posted


def _replayed(stored: Sequence[Any], header: Header) -> Posted:
    """Return what was answered when the key was posted: of its id, body hash and answer.

    Raises:
        LedgerKeyReused: it was for something else.
    """
    posting_id, body_hash, answer = stored
    if body_hash != _body_hash(header):
        raise errors.LedgerKeyReused(key=header.key)
    return Posted(posting_id, *_answer.decode(answer), replayed=True)


def _store(
    ctx: Context,
    connection: Connection,
    header: Header,
    reckoning: Reckoning,
    posted: Posted,
    more: More | None,
) -> None:
    """Write a posting with its entries, lots, remainders and the accounts' sums.

    Raises:
        LedgerKeyReused: somebody posted under the key on other accounts meanwhile.
        AlreadyReversed: somebody took the same posting back.
    """
    accounts = reckoning.accounts
    now = known_after(to_wire(ctx.now), max(one.known_at for one in accounts.values()))
    for one in accounts.values():
        one.seq += 1
        one.known_at = now
    entries = _entries(reckoning)
    may_owe = header.may_owe or any(one.kind.floor != 0 for one in accounts.values())
    row = _row(ctx, replace(header, may_owe=may_owe), posted, now)
    lots = [
        (one.id, one.account_id, one.category, one.issued, one.issued_at, one.available_at,
         one.expires_at, one.ends_on)
        for one in sorted(reckoning.lots, key=lambda one: one.id)
    ]  # fmt: skip
    digest = posting_hash(row, entries, lots)
    for one in accounts.values():
        one.chain = chained(one.chain, digest)
    rows: dict[str, Rows] = {
        "postings": [(*row, digest)],
        "entries": [
            (posted.id, *each, accounts[each[1]].chain if each[2] else "") for each in entries
        ],
        "lots": [_lot_row(one) for one in reckoning.lots],
        "remainders": [(one.id, one.remaining) for one in reckoning.touched.values()],
        **(more(posted.id, now) if more else {}),
    }
    rows["sums"] = [sums_of(one) for one in accounts.values()]
    try:
        write(connection, rows)
    except IntegrityError as error:
        if "reverses" in str(error.orig):
            raise errors.AlreadyReversed from error
        if "key" in str(error.orig):
            raise errors.LedgerKeyReused(key=header.key) from error
        raise


def sums_of(one: Account) -> tuple[object, ...]:
    """Return an account's row of `core.ledger.writing`'s `sums`."""
    totals = _encode(one.totals).decode()
    return (one.id, one.balance, one.held, one.owed, totals, one.seq, one.chain, one.known_at)


def _entries(reckoning: Reckoning) -> list[tuple[int, str, int, str, str | None, int, str]]:
    """Return (position, account, seq, category, lot, amount, why), the programme's own last."""
    made: list[tuple[int, str, int, str, str | None, int, str]] = [
        (place, one.account_id, reckoning.accounts[one.account_id].seq, one.category, one.lot,
         one.amount, one.why)
        for place, one in enumerate(reckoning.entries, start=1)
    ]  # fmt: skip
    for (kind, unit), why in reckoning.counter.items():
        for category, amount in why.items():
            if amount:
                account_id = programme_id(kind, unit)
                made.append((len(made) + 1, account_id, 0, category, None, amount, category))
    return made


def _row(ctx: Context, header: Header, posted: Posted, now: str) -> tuple[object, ...]:
    """Return a posting's columns but for its hash, in the table's order."""
    actor = ctx.actor
    return (
        posted.id, header.key, _body_hash(header), header.what, *header.ref, header.reverses,
        to_wire(header.valid_at), now, actor.id, actor.name[:200], ctx.door, header.memo,
        header.may_owe, _encode((posted.moves, posted.balances)).decode(),
    )  # fmt: skip


def _lot_row(one: Lot) -> tuple[object, ...]:
    return (
        one.id, one.account_id, one.category, one.posting_id, one.issued, one.issued_at,
        one.available_at, one.expires_at, one.ends_on, one.remaining,
    )  # fmt: skip


def _fingerprint(what: str, ref: Ref, moves: Sequence[Move]) -> str:
    return _encode((what, ref, moves)).decode()


def _body_hash(header: Header) -> str:
    return hashlib.sha256(header.fingerprint.encode()).hexdigest()
