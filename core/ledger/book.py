"""The accounts of one posting: opened where they are new, locked, read with their lots.

The key is looked up after the lock is held, so whoever asks the same a second time finds
what the first posted. All of it is one round trip where the accounts exist.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

from core.clock import to_wire
from core.context import Context
from core.ids import new_id
from core.ledger import errors
from core.ledger.chaining import opened
from core.ledger.models import account, hold, hold_end, lot, posting
from core.ledger.reckoning import Account, Lot
from core.prebuilt import Prebuilt, Row, together
from core.schema.accountkinds import AccountKind

_decode = msgspec.json.decode


class Holder(NamedTuple):
    """By what an account is known; the programme's account has no owner."""

    kind: str
    unit: str
    owner: str


@dataclass(slots=True)
class Book:
    """Locked accounts.

    Attributes:
        accounts: holder -> account.
        stored: id, body hash and answer of what was posted under the key before, or None.
    """

    accounts: dict[Holder, Account]
    stored: Row | None


def holder_of(ctx: Context, kind: str, owner: str, unit: str) -> Holder:
    """Return by what an account is known; `unit` is empty or a currency's code.

    Raises:
        UnknownKind: there is no such kind, or money without its currency.
    """
    found = ctx.registry.release.account_kinds.get(kind)
    named = "points" if found is not None and found.unit == "points" and not unit else unit
    if found is None or not named or not owner or (found.unit == "points") != (named == "points"):
        raise errors.UnknownKind(kind=kind, unit=unit or "points")
    return Holder(kind, named, owner)


@lru_cache(maxsize=256)
def programme_id(kind: str, unit: str) -> str:
    """Return the id of the programme's account, the same in every database."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"guanxi:programme:{kind}:{unit}"))


def open_book(
    ctx: Context,
    connection: Connection,
    holders: Sequence[Holder],
    key: str,
    *,
    spends: bool = False,
    named: Iterable[str] = (),
) -> Book:
    """Lock accounts in the order of their ids and read them; open those that are new.

    Args:
        ctx: of the write transaction.
        connection: the write transaction.
        holders: whose accounts, each once.
        key: what may be posted already.
        spends: all lots with something left are read too.
        named: lots that are read even when they are empty.

    Raises:
        UnknownKind: the release in force has no such kind.
    """
    kinds = ctx.registry.release.account_kinds
    for one in holders:
        if one.kind not in kinds:
            raise errors.UnknownKind(kind=one.kind, unit=one.unit)
    ids = list(dict.fromkeys(named))
    read = _read(connection, kinds, holders, key, spends=spends, named=ids)
    missing = [each for each in holders if each not in read.accounts]
    if missing and read.stored is None:
        _open(ctx, connection, kinds, missing)
        read = _read(connection, kinds, holders, key, spends=spends, named=ids)
    for found in read.accounts.values():
        if found.owed and not spends:
            _take_lots(found, _lots(connection.dialect, 1).rows(connection, _of([_known(found)])))
        for lot_id, amount in (held_lots(connection, found.id) if found.held else {}).items():
            if lot_id in found.lots:
                found.lots[lot_id].held = amount
    return read


def _read(
    connection: Connection,
    kinds: dict[str, AccountKind],
    holders: Sequence[Holder],
    key: str,
    *,
    spends: bool,
    named: Sequence[str],
) -> Book:
    dialect, count, whose = connection.dialect, len(holders), _of(holders)
    lots = extra = None
    with together(connection):
        rows = _locking(dialect, count).asked(connection, whose)
        stored = _stored(dialect).asked(connection, {"key": key})
        if spends:
            lots = _lots(dialect, count).asked(connection, whose)
        if named:
            ids = {"ids": msgspec.json.encode(named).decode()}
            extra = _named(dialect).asked(connection, ids)
    accounts: dict[Holder, Account] = {}
    by_id: dict[str, Account] = {}
    for row in rows():
        account_id, kind, unit, owner, balance, held, owed, totals, *chain = row
        found = Account(
            account_id, kinds[kind], unit, owner, balance, held, owed, _decode(totals), *chain
        )
        accounts[Holder(kind, unit, owner)] = by_id[account_id] = found
    for more in (lots, extra):
        for row in more() if more else ():
            if row[1] in by_id:
                _take_lots(by_id[row[1]], [row])
    return Book(accounts, next(iter(stored()), None))


def _take_lots(one: Account, rows: Iterable[Row]) -> None:
    for row in rows:
        if row[0] not in one.lots:
            one.lots[row[0]] = Lot(*row)


def held_lots(connection: Connection, account_id: str) -> dict[str, int]:
    """Return lot id -> what an account's open holds keep of it."""
    kept: dict[str, int] = {}
    for (lots,) in _open_holds(connection.dialect).rows(connection, {"account": account_id}):
        for lot_id, amount in _decode(lots):
            kept[lot_id] = kept.get(lot_id, 0) + amount
    return kept


def _open(
    ctx: Context, connection: Connection, kinds: dict[str, AccountKind], holders: list[Holder]
) -> None:
    now = to_wire(ctx.now)
    wanted = {Holder(one.kind, one.unit, "") for one in holders} | set(holders)
    insert = _opening(connection.dialect)
    with together(connection):
        for one in sorted(wanted):  # in one order everywhere, so that nobody waits in a ring
            row: dict[str, Any] = {
                "id": new_id() if one.owner else programme_id(one.kind, one.unit),
                "kind": one.kind,
                "unit": one.unit,
                "owner_type": kinds[one.kind].owner if one.owner else "",
                "owner_id": one.owner,
                "opened_at": now,
                **dict.fromkeys(("balance", "held", "owed", "seq"), 0),
                "totals": "{}",
                "known_at": now,
            }
            insert.run(connection, row | {"chain": opened(row)})


def _known(one: Account) -> Holder:
    return Holder(one.kind.name, one.unit, one.owner)


def _of(holders: Sequence[Holder]) -> dict[str, str]:
    return {
        f"{name}{place}": value
        for place, one in enumerate(holders)
        for name, value in (("kind", one.kind), ("unit", one.unit), ("owner", one.owner))
    }


def _is_one_of(count: int) -> sa.ColumnElement[bool]:
    return sa.or_(
        sa.false(),  # of none: nobody's, not everybody's
        *(
            sa.and_(
                account.c.kind == sa.bindparam(f"kind{place}"),
                account.c.unit == sa.bindparam(f"unit{place}"),
                account.c.owner_id == sa.bindparam(f"owner{place}"),
            )
            for place in range(count)
        ),
    )


@lru_cache(maxsize=32)
def _locking(dialect: Dialect, count: int) -> Prebuilt:
    names = (
        "id", "kind", "unit", "owner_id", "balance", "held", "owed", "totals", "seq", "chain",
        "known_at",
    )  # fmt: skip
    columns = [account.c[name] for name in names]
    ordered = sa.select(*columns).where(_is_one_of(count)).order_by(account.c.id)
    return Prebuilt(ordered.with_for_update(), dialect)


@lru_cache(maxsize=4)
def _stored(dialect: Dialect) -> Prebuilt:
    found = sa.select(posting.c.id, posting.c.body_hash, posting.c.answer)
    return Prebuilt(found.where(posting.c.key == sa.bindparam("key")), dialect)


_LOT = tuple(
    lot.c[name]
    for name in (
        "id", "account_id", "category", "posting_id", "issued", "issued_at", "available_at",
        "expires_at", "ends_on", "remaining",
    )
)  # fmt: skip


@lru_cache(maxsize=32)
def _lots(dialect: Dialect, count: int) -> Prebuilt:
    whose = sa.select(account.c.id).where(_is_one_of(count))
    left = lot.c.remaining > sa.literal_column("0")
    return Prebuilt(sa.select(*_LOT).where(lot.c.account_id.in_(whose), left), dialect)


@lru_cache(maxsize=4)
def _named(dialect: Dialect) -> Prebuilt:
    source = "json_each(:ids)" if dialect.name == "sqlite" else (
        "json_array_elements_text(CAST(:ids AS json))"
    )  # fmt: skip
    wanted = sa.text(f"gx_lot.id IN (SELECT value FROM {source})")  # noqa: S608  fixed texts
    return Prebuilt(sa.select(*_LOT).where(wanted), dialect)


@lru_cache(maxsize=4)
def _open_holds(dialect: Dialect) -> Prebuilt:
    ended = sa.select(hold_end.c.hold_id).where(hold_end.c.hold_id == hold.c.id).exists()
    mine = hold.c.account_id == sa.bindparam("account")
    return Prebuilt(sa.select(hold.c.lots).where(mine, ~ended), dialect)


@lru_cache(maxsize=4)
def _opening(dialect: Dialect) -> Prebuilt:
    insert = (sqlite.insert if dialect.name == "sqlite" else postgresql.insert)(account)
    names = [column.name for column in account.columns]
    return Prebuilt(insert.on_conflict_do_nothing().inline(), dialect, names)
