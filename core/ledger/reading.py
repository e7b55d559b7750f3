"""Reads accounts: balances, lots and postings, as a page, a rule or a till asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.clock import to_wire
from core.context import Context
from core.ledger.book import held_lots, holder_of
from core.ledger.models import account, entry, lot, posting
from core.ledger.reckoning import Lot, spend_order
from core.prebuilt import Prebuilt, Row
from core.schema.accountkinds import AccountKind

_decode = msgspec.json.decode


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it stands; amounts in smallest units.

    Attributes:
        account_id: empty when nothing was ever posted.
        balance: the sum of its entries.
        held: what open holds keep.
        pending: what is on lots that cannot be spent yet.
        ended: what is on lots that ended, not held, and was not written off yet.
        owed: debt, by which the lots are more than the balance.
        available: what can be spent now: balance - pending - ended - held.
        totals: category -> total in the kind's order; categories of use stand positive, so the
            balance is the sum of the others less these (domain §2.4).
    """

    account_id: str
    kind: str
    unit: str
    balance: int = 0
    held: int = 0
    pending: int = 0
    ended: int = 0
    owed: int = 0
    available: int = 0
    totals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry as it is stored; `owner` is empty on the programme's account.

    Attributes:
        why: category of the counter-entry, such as issued, spent, expired.
    """

    position: int
    account_id: str
    kind: str
    owner: str
    category: str
    lot: str | None
    amount: int
    why: str


@dataclass(frozen=True, slots=True)
class PostingRow:
    """A posting as it is stored, with its entries; instants in wire form."""

    id: str
    key: str
    what: str
    ref: tuple[str, str]
    reverses: str | None
    valid_at: str
    known_at: str
    actor: str
    actor_name: str
    memo: str
    entries: tuple[EntryRow, ...]


def has_accounts(ctx: Context, kind: str) -> bool:
    """Return whether anybody has an account of a kind."""
    with ctx.reading() as connection:
        return bool(connection.scalar(sa.select(sa.exists().where(account.c.kind == kind))))


def balance(ctx: Context, kind: str, owner: str, unit: str = "") -> Balance:
    """Return how an owner's account of a kind stands now; zeros when there is none yet.

    Raises:
        UnknownKind: there is no such kind, or money without its currency.
    """
    whose = holder_of(ctx, kind, owner, unit)
    now = to_wire(ctx.now)
    named = {"kind": whose.kind, "unit": whose.unit, "owner": owner, "now": now}
    known = ctx.registry.release.account_kinds[kind]
    with ctx.reading() as connection:
        for row in _one(connection.dialect).rows(connection, named):
            return _balance(connection, row, known, now)
    return Balance("", kind, whose.unit, totals=_shown({}, known))


def accounts_of(ctx: Context, owner: str) -> list[Balance]:
    """Return every account that a record owns, by kind and unit."""
    now = to_wire(ctx.now)
    with ctx.reading() as connection:
        rows = _all(connection.dialect).rows(connection, {"owner": owner, "now": now})
        kinds = ctx.registry.release.account_kinds
        return [_balance(connection, row, kinds.get(row[1]), now) for row in rows]


def lots_of(ctx: Context, account_id: str, *, live: bool = True) -> list[Lot]:
    """Return an account's lots in the order they are spent; with `live` those with something left.

    What holds keep of a lot is not told here.
    """
    wanted = _LOTS.where(lot.c.account_id == account_id)
    if live:
        wanted = wanted.where(lot.c.remaining > sa.literal_column("0"))
    return _lots(ctx, wanted)


def lots_from(ctx: Context, source: str | tuple[str, str]) -> list[Lot]:
    """Return the lots that a posting made, or all those of a record (`(type, id)`)."""
    if isinstance(source, str):
        return _lots(ctx, _LOTS.where(lot.c.posting_id == source))
    mine = sa.select(posting.c.id).where(_is_of(source))
    return _lots(ctx, _LOTS.where(lot.c.posting_id.in_(mine)))


def postings_of(ctx: Context, ref: tuple[str, str]) -> list[PostingRow]:
    """Return what was posted for a record, in the order it was posted."""
    wanted = sa.select(posting).where(_is_of(ref)).order_by(posting.c.id)
    with ctx.reading() as connection:
        rows = connection.execute(wanted).mappings().all()
        entries = connection.execute(
            sa.select(entry, account.c.kind, account.c.owner_id)
            .join(account, account.c.id == entry.c.account_id)
            .where(entry.c.posting_id.in_([row["id"] for row in rows]))
            .order_by(entry.c.posting_id, entry.c.position)
        ).all()
    by_posting: dict[str, list[EntryRow]] = {}
    for one in entries:
        by_posting.setdefault(one.posting_id, []).append(
            EntryRow(
                one.position, one.account_id, one.kind, one.owner_id, one.category, one.lot_id,
                one.amount, one.why,
            )
        )  # fmt: skip
    return [
        PostingRow(
            row["id"], row["key"], row["what"], (row["ref_type"], row["ref_id"]), row["reverses"],
            row["valid_at"], row["known_at"], row["actor"], row["actor_name"], row["memo"],
            tuple(by_posting[row["id"]]),
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account held at two times; `totals` as in `Balance`."""

    balance: int
    totals: Mapping[str, int]


def as_of(
    ctx: Context,
    account_id: str,
    *,
    valid_at: datetime | None = None,
    known_at: datetime | None = None,
) -> Standing:
    """Return an account's balance at a business instant, as it was known at another.

    What is posted later never changes what was known before; each account's postings are
    known in the order of its events, even when the clock was set back.
    """
    wanted = (
        sa.select(entry.c.category, sa.cast(sa.func.sum(entry.c.amount), sa.BigInteger))
        .join(posting, posting.c.id == entry.c.posting_id)
        .where(entry.c.account_id == account_id)
        .group_by(entry.c.category)
    )
    for column, instant in ((posting.c.valid_at, valid_at), (posting.c.known_at, known_at)):
        if instant is not None:
            wanted = wanted.where(column <= to_wire(instant))
    with ctx.reading() as connection:
        sums = {category: int(total) for category, total in connection.execute(wanted)}
        mine = sa.select(account.c.kind).where(account.c.id == account_id)
        kind = ctx.registry.release.account_kinds.get(connection.execute(mine).scalar() or "")
    return Standing(sum(sums.values()), _shown(sums, kind))


_LOTS = sa.select(
    *(
        lot.c[name]
        for name in (
            "id", "account_id", "category", "posting_id", "issued", "issued_at", "available_at",
            "expires_at", "ends_on", "remaining",
        )
    )
)  # fmt: skip


def _is_of(ref: tuple[str, str]) -> sa.ColumnElement[bool]:
    return sa.and_(posting.c.ref_type == ref[0], posting.c.ref_id == ref[1])


def _lots(ctx: Context, wanted: sa.Select[Any]) -> list[Lot]:
    with ctx.reading() as connection:
        found = [Lot(*row) for row in connection.execute(wanted)]
    return sorted(found, key=spend_order)


def _balance(connection: Connection, row: Row, kind: AccountKind | None, now: str) -> Balance:
    account_id, name, unit, total, held, owed, totals, *lots = row
    pending, ended = map(int, lots)
    if held and ended:
        ended -= _held_of_ended(connection, account_id, now)
    return Balance(
        account_id,
        name,
        unit,
        total,
        held,
        pending,
        ended,
        owed,
        total - pending - ended - held,
        _shown(_decode(totals), kind),
    )


def _held_of_ended(connection: Connection, account_id: str, now: str) -> int:
    mine = sa.and_(lot.c.account_id == account_id, lot.c.expires_at <= now)
    ended = set(connection.execute(sa.select(lot.c.id).where(mine)).scalars())
    held = held_lots(connection, account_id)
    return sum(amount for lot_id, amount in held.items() if lot_id in ended)


def _shown(totals: Mapping[str, int], kind: AccountKind | None) -> dict[str, int]:
    if kind is None:
        return dict(totals)
    return {
        one.name: -totals.get(one.name, 0) if one.uses else totals.get(one.name, 0)
        for one in kind.categories
    }


def _standing(whose: sa.ColumnElement[bool]) -> sa.Select[Any]:
    now: sa.BindParameter[str] = sa.bindparam("now")
    is_left = sa.and_(lot.c.account_id == account.c.id, lot.c.remaining > sa.literal_column("0"))
    has_ended = lot.c.expires_at <= now

    def left(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        part = sa.case((condition, lot.c.remaining), else_=0)
        return sa.func.coalesce(sa.cast(sa.func.sum(part), sa.BigInteger), 0)

    names = ("id", "kind", "unit", "balance", "held", "owed", "totals")
    is_pending = sa.and_(lot.c.available_at > now, sa.or_(lot.c.expires_at.is_(None), ~has_ended))
    return (
        sa.select(*(account.c[name] for name in names), left(is_pending), left(has_ended))
        .select_from(account.outerjoin(lot, is_left))
        .where(whose)
        .group_by(account.c.id)
        .order_by(account.c.kind, account.c.unit)
    )


@lru_cache(maxsize=4)
def _one(dialect: Dialect) -> Prebuilt:
    named = (account.c.kind, "kind"), (account.c.unit, "unit"), (account.c.owner_id, "owner")
    whose = sa.and_(*(column == sa.bindparam(name) for column, name in named))
    return Prebuilt(_standing(whose), dialect)


@lru_cache(maxsize=4)
def _all(dialect: Dialect) -> Prebuilt:
    return Prebuilt(_standing(account.c.owner_id == sa.bindparam("owner")), dialect)
