"""Holds: a part of a balance that is kept for something which is not certain yet.

A hold rests on lots, in the order they would be spent. Nobody else spends these parts, and
what ends meanwhile stays good for the hold: it was held while it was valid. A hold ends
once: it is posted, wholly or in part, voided, or it times out (domain §6 I14).
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import NotFound, Unavailable
from core.ids import new_id
from core.ledger import errors
from core.ledger.book import Book, Holder, holder_of, open_book
from core.ledger.chaining import HOLD, HOLD_END, hold_chained
from core.ledger.models import IS_HELD, account, hold_end
from core.ledger.models import hold as holds
from core.ledger.moves import BOUND, Move, Moved, Posted
from core.ledger.posting import Header, perform, sums_of
from core.ledger.reckoning import Account, Reckoning, known_after, spend_order
from core.ledger.writing import write

log = logging.getLogger(__name__)

#: So many holds are timed out in one go.
SLICE = 200


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold; instants in wire form.

    Attributes:
        lots: (lot, amount) that it rests on.
        how: empty while it stands, then posted, voided or timed_out.
        replayed: it was held under this key before.
    """

    id: str
    account_id: str
    amount: int
    lots: tuple[tuple[str, int], ...]
    ref: tuple[str, str]
    made_at: str
    expires_at: str
    how: str = ""
    replayed: bool = False


def hold(
    ctx: Context, kind: str, owner: str, amount: int, *, key: str, ref: tuple[str, str],
    expires_at: datetime, unit: str = "",
) -> Hold:  # fmt: skip
    """Keep a part of what is available until it is posted, voided or times out.

    Args:
        ctx: who holds; nobody's rights are asked.
        kind: the account kind.
        owner: id of the record that owns the account.
        amount: smallest units.
        key: it is held once under it.
        ref: type and id of the record that it is for.
        expires_at: it times out then.
        unit: the currency's code for kinds of money.

    Raises:
        Insufficient: less is available.
        LedgerKeyReused: the key was used for another hold.
        HoldEnded: `expires_at` is over.
        UnknownKind, NotPositive, TooMuch: the hold makes no sense.
    """
    if not 0 < amount < BOUND:
        raise errors.NotPositive if amount <= 0 else errors.TooMuch(bound=BOUND)
    asked = (kind, unit, owner, amount, ref, to_wire(expires_at))
    body = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
    whose = holder_of(ctx, kind, owner, unit)
    with ctx.writing(durable=True) as connection:
        book = open_book(ctx, connection, [whose], "", spends=True)
        before = _find(connection, holds.c.key == key)
        if before is not None:
            if before["body_hash"] != body:
                raise errors.LedgerKeyReused(key=key)
            return _hold(before, replayed=True)
        one = book.accounts[whose]
        at = to_wire(ctx.now)
        if to_wire(expires_at) <= at:
            raise errors.HoldEnded(how="timed_out")
        kept, now = _kept(one, amount, at), known_after(at, one.known_at)
        one.seq, one.held, one.known_at = one.seq + 1, one.held + amount, now
        row: dict[str, Any] = {
            "id": new_id(),
            "key": key,
            "body_hash": body,
            "account_id": one.id,
            "seq": one.seq,
            "amount": amount,
            "lots": msgspec.json.encode(kept).decode(),
            "ref_type": ref[0],
            "ref_id": ref[1],
            "made_at": now,
            "expires_at": to_wire(expires_at),
            "actor": ctx.actor.id,
            "actor_name": ctx.actor.name[:200],
        }
        row["chain"] = one.chain = hold_chained(one.chain, row, HOLD)
        listed = [row[column.name] for column in holds.columns]
        try:
            write(connection, {"holds": [listed], "sums": [sums_of(one)]})
        except sa.exc.IntegrityError as error:
            raise errors.LedgerKeyReused(key=key) from error
        return _hold(row | {"how": None})


def post_hold(  # noqa: PLR0913  each is a part of the posting
    ctx: Context, hold_id: str, *, category: str, what: str, ref: tuple[str, str],
    amount: int | None = None, against: str = "spent", memo: str = "",
    valid_at: datetime | None = None, zone: ZoneInfo | None = None,
) -> Posted:  # fmt: skip
    """Take what a hold keeps, or a part of it, and end it; again it gives the stored answer.

    Raises:
        NotFound: there is no such hold.
        HoldEnded: it was voided or timed out.
        Insufficient: it keeps less.
        NotPositive: the amount is none.
    """
    with ctx.writing(durable=True) as connection:
        row = _required(connection, hold_id)
        asked = row["amount"] if amount is None else amount
        if asked <= 0:
            raise errors.NotPositive
        if asked > row["amount"]:
            raise errors.Insufficient(available=row["amount"], asked=asked)
        whose = _holder(connection, row["account_id"])
        kept = msgspec.json.decode(row["lots"])
        move = Move(whose.kind, whose.owner, category, -asked, against, whose.unit)
        locked: list[Account] = []

        def act(book: Book, reckoning: Reckoning) -> list[Moved]:
            one = book.accounts[whose]
            locked.append(one)
            _refuse_ended(connection, row, to_wire(ctx.now))
            if one.kind.category(category) is None:
                raise errors.UnknownCategory(kind=one.kind.name, category=category)
            one.held -= row["amount"]
            return [reckoning.spend_held(one, kept, move)]

        def more(posting_id: str, now: str) -> Mapping[str, list[tuple[object, ...]]]:
            return {"ends": [_end(ctx, row, locked[0], "posted", now, posting_id)]}

        told = f"{category} {asked} {against}"
        header = Header(what, f"hold:{hold_id}", ref, valid_at or ctx.now, told, memo, zone=zone)
        return perform(ctx, header, [whose], act, named=[lot for lot, _ in kept], more=more)


def void_hold(ctx: Context, hold_id: str) -> Hold:
    """Let go of what a hold keeps; again it gives the same answer.

    Raises:
        NotFound: there is no such hold.
        HoldEnded: it was posted or timed out.
    """
    with ctx.writing(durable=True) as connection:
        row = _end_hold(ctx, connection, hold_id, "voided")
    if row["how"] != "voided":
        raise errors.HoldEnded(how=row["how"])
    return _hold(row)


def time_out_holds(ctx: Context, until: datetime | None = None, *, most: int = SLICE) -> int:
    """End holds whose time is over, each in a transaction of its own; return how many."""
    due = to_wire(until or ctx.now)
    is_open = hold_end.c.hold_id.is_(None)
    wanted = (
        sa.select(holds.c.id)
        .outerjoin(hold_end, hold_end.c.hold_id == holds.c.id)
        .where(
            # Holds that ended stay for good, so those of accounts that hold nothing are passed by.
            holds.c.account_id.in_(sa.select(account.c.id).where(IS_HELD)),
            is_open,
            holds.c.expires_at <= due,
        )
        .order_by(holds.c.expires_at)
        .limit(most)
    )
    with ctx.reading() as connection:
        found = list(connection.execute(wanted).scalars())
    done = 0
    for hold_id in found:
        with apart(f"hold {hold_id}"), ctx.writing(durable=True) as connection:
            _end_hold(ctx, connection, hold_id, "timed_out")
            done += 1
    return done


@contextmanager
def apart(what: str) -> Iterator[None]:
    """Have what one account cannot do be logged, and not keep all others from it.

    Raises:
        Unavailable, SQLAlchemyError: the database failed, for the others too.
    """
    try:
        yield
    except (Unavailable, sa.exc.SQLAlchemyError):
        raise
    except Exception:  # whatever its rows hold
        log.exception("%s could not be ended", what)


def find_hold(ctx: Context, hold_id: str) -> Hold:
    """Return a hold and how it ended, if it did.

    Raises:
        NotFound: there is no such hold.
    """
    with ctx.reading() as connection:
        return _hold(_required(connection, hold_id))


def _kept(one: Account, amount: int, now: str) -> list[tuple[str, int]]:
    """Return the parts of lots that a hold rests on."""
    available = one.available(now)
    if amount > available:
        raise errors.Insufficient(available=max(0, available), asked=amount)
    kept, left = [], amount
    for lot in sorted(one.lots.values(), key=spend_order):
        part = min(left, lot.free) if lot.is_usable(now) else 0
        if part > 0:
            kept.append((lot.id, part))
            left -= part
    return kept


def _end_hold(ctx: Context, connection: Connection, hold_id: str, how: str) -> dict[str, Any]:
    """End a hold that stands; return its row with how it ended, whoever was first."""
    row = _required(connection, hold_id)
    if row["how"] is None:
        whose = _holder(connection, row["account_id"])
        one = open_book(ctx, connection, [whose], "").accounts[whose]
        row = _required(connection, hold_id)  # as it is now that the account is locked
        if row["how"] is None:
            one.held -= row["amount"]
            now = one.known_at = known_after(to_wire(ctx.now), one.known_at)
            end = _end(ctx, row, one, how, now, None)
            write(connection, {"ends": [end], "sums": [sums_of(one)]})
            row["how"] = how
    return row


def _end(
    ctx: Context, row: Mapping[str, Any], one: Account, how: str, now: str, posting: str | None
) -> tuple[object, ...]:
    """Return a hold's end in the table's order, and have the account's chain go on with it."""
    one.seq += 1
    made = {
        "hold_id": row["id"],
        "account_id": one.id,
        "seq": one.seq,
        "how": how,
        "at": now,
        "posting_id": posting,
        "actor": ctx.actor.id,
        "actor_name": ctx.actor.name[:200],
    }
    made["chain"] = one.chain = hold_chained(one.chain, made, HOLD_END)
    return tuple(made[column.name] for column in hold_end.columns)


def _refuse_ended(connection: Connection, row: Mapping[str, Any], now: str) -> None:
    how = _required(connection, row["id"])["how"]
    if how is not None or row["expires_at"] <= now:
        raise errors.HoldEnded(how=how or "timed_out")


def _find(connection: Connection, which: sa.ColumnElement[bool]) -> dict[str, Any] | None:
    ended = holds.outerjoin(hold_end, hold_end.c.hold_id == holds.c.id)
    wanted = sa.select(holds, hold_end.c.how).select_from(ended).where(which)
    found = connection.execute(wanted).mappings().one_or_none()
    return None if found is None else dict(found)


def _required(connection: Connection, hold_id: str) -> dict[str, Any]:
    found = _find(connection, holds.c.id == hold_id)
    if found is None:
        raise NotFound
    return found


def _holder(connection: Connection, account_id: str) -> Holder:
    wanted = sa.select(account.c.kind, account.c.unit, account.c.owner_id)
    return Holder(*connection.execute(wanted.where(account.c.id == account_id)).one())


def _hold(row: Mapping[str, Any], *, replayed: bool = False) -> Hold:
    lots = tuple((lot, amount) for lot, amount in msgspec.json.decode(row["lots"]))
    ref = (row["ref_type"], row["ref_id"])
    return Hold(
        row["id"], row["account_id"], row["amount"], lots, ref, row["made_at"], row["expires_at"],
        row["how"] or "", replayed,
    )  # fmt: skip
