"""Sums of entries for the reports: by business day, or by when lots end, as known at an instant.

What there was at an instant is had from two sides, exact to the unit: all entries before it added
up, or what stands on accounts and lots now less the entries since. The side with less to read
is taken, so that last month's report does not read the years before it. Each is one statement,
so it sees one moment on PostgreSQL too.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.ledger.models import account, entry, lot, posting

#: (unit, category, why, index of the day or -1 for before, whether of the programme) -> sum.
Sums = Mapping[tuple[str, str, str, int, bool], int]

#: Why a balance was there before the first day, where the reasons are not told apart.
BEFORE = ""

#: Where entries that are not asked for are counted; behind every instant.
_LATER = "~"
#: What stands now.
_NOW = "now"

_OWNED = account.c.owner_id != ""
_ENDS = (lot.c.category, lot.c.expires_at, lot.c.ends_on)


def moved(
    ctx: Context, kind: str, begins: Sequence[str], known_at: datetime | None = None
) -> Sums:
    """Return the sums of entries by reason and day, those before the first day together.

    Args:
        ctx: who asks.
        kind: name of the account kind.
        begins: the instants at which the days begin, and that at which the last one ends.
        known_at: what was posted later is left out.
    """
    first, end = begins[0], begins[-1]
    # The database adds up by the hour where every day begins on one, since it does not know
    # the days of a zone.
    width = next(at for at in (13, 16, 19) if all(not each[at:].strip(":0.Z") for each in begins))
    starts = [each[:width] for each in begins[:-1]]
    hour = sa.func.substr(posting.c.valid_at, 1, width)
    left_out = sa.not_(_within(end, known_at))
    bucket = sa.case((left_out, _LATER), (posting.c.valid_at < first, ""), else_=hour)
    with ctx.reading() as connection:
        is_from_now = _is_nearer_to_now(ctx, connection, first, known_at)
        wanted = sa.not_(_within(first, known_at)) if is_from_now else _within(end, known_at)
        summed = _entries(connection, kind, wanted, entry.c.category, entry.c.why, bucket, ~_OWNED)
        asked = sa.union_all(summed, *_standing(connection, kind)) if is_from_now else summed
        rows = connection.execute(asked).all()
    sums: dict[tuple[str, str, str, int, bool], int] = defaultdict(int)
    for unit, category, why, at, is_programme, amount in rows:
        if is_from_now:
            before = (unit, BEFORE if is_programme else category, BEFORE, -1, is_programme)
            sums[before] += int(amount) if at == _NOW else -int(amount)
        if at not in {_NOW, _LATER}:
            day = bisect_right(starts, at) - 1 if at else -1
            sums[unit, category, why, day, is_programme] += int(amount)
    return sums


def owed(
    ctx: Context, kind: str, end: str, known_at: datetime | None = None
) -> list[tuple[str, str | None, str | None, str | None, int]]:
    """Return (unit, category of lots, when they end, their last day, sum) of what owners had.

    All but the unit is None for debts; a row may come in several parts.

    Args:
        ctx: who asks.
        kind: name of the account kind.
        end: what happened from it on is left out.
        known_at: what was posted later is left out.
    """
    within = _within(end, known_at)
    with ctx.reading() as connection:
        is_from_now = _is_nearer_to_now(ctx, connection, end, known_at)
        wanted = sa.and_(sa.not_(within) if is_from_now else within, _OWNED)
        asked: Any = _entries(connection, kind, wanted, *_ENDS, sign=not is_from_now)
        if is_from_now:
            asked = sa.union_all(asked, _lots(kind), _debts(kind))
        rows = connection.execute(asked).all()
    return [(*ends, int(amount)) for *ends, amount in rows]


def _within(end: str, known_at: datetime | None) -> sa.ColumnElement[bool]:
    is_before = posting.c.valid_at < end
    if known_at is None:
        return is_before
    return sa.and_(is_before, posting.c.known_at <= to_wire(known_at))


def _is_nearer_to_now(
    ctx: Context, connection: Connection, instant: str, known_at: datetime | None
) -> bool:
    """Return whether much less happened since an instant than before it, as far as time tells."""
    since = min(instant, to_wire(known_at or ctx.now))
    earliest = connection.execute(sa.select(sa.func.min(posting.c.valid_at))).scalar()
    if earliest is None or since <= earliest:
        return False
    middle = datetime.fromisoformat(since)
    # What stands now is to be read too.
    return (ctx.now - middle) * 2 < middle - datetime.fromisoformat(earliest)


def _sum(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(column), sa.BigInteger)


def _entries(
    connection: Connection, kind: str, wanted: sa.ColumnElement[bool],
    *groups: sa.ColumnElement[Any], sign: bool = True,
) -> sa.Select[Any]:  # fmt: skip
    # Outer joins, and a condition that they could meet, have SQLite go from postings to their
    # entries, which lie side by side, and not from every account to all it ever had.
    is_sqlite = connection.dialect.name == "sqlite"
    joined = (
        posting.join(entry, entry.c.posting_id == posting.c.id, isouter=is_sqlite)
        .join(account, account.c.id == entry.c.account_id, isouter=is_sqlite)
        .outerjoin(lot, lot.c.id == entry.c.lot_id)
    )
    known = sa.func.coalesce(account.c.kind, "") if is_sqlite else account.c.kind
    return (
        sa.select(account.c.unit, *groups, _sum(entry.c.amount if sign else -entry.c.amount))
        .select_from(joined)
        .where(wanted, known == kind)
        .group_by(account.c.unit, *groups)
    )


def _standing(connection: Connection, kind: str) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Return what asks for owners' totals by category, and for all that the programme has."""
    before, now = sa.literal(BEFORE), sa.literal(_NOW)
    if connection.dialect.name == "sqlite":
        each = sa.func.json_each(account.c.totals)
    else:
        each = sa.func.json_each_text(sa.cast(account.c.totals, sa.JSON))
    totals = each.table_valued("key", "value", joins_implicitly=True)
    value = sa.cast(totals.c.value, sa.BigInteger)
    owners = (
        sa.select(account.c.unit, totals.c.key, before, now, sa.false(), _sum(value))
        .where(account.c.kind == kind, _OWNED)
        .group_by(account.c.unit, totals.c.key)
    )
    programme = (
        sa.select(account.c.unit, before, before, now, sa.true(), _sum(entry.c.amount))
        .join(entry, entry.c.account_id == account.c.id)
        .where(account.c.kind == kind, ~_OWNED)
        .group_by(account.c.unit)
    )
    return owners, programme


def _lots(kind: str) -> sa.Select[Any]:
    groups = (account.c.unit, *_ENDS)
    return (
        sa.select(*groups, _sum(lot.c.remaining))
        .join(lot, lot.c.account_id == account.c.id)
        .where(account.c.kind == kind, lot.c.remaining > sa.literal_column("0"))
        .group_by(*groups)
    )


def _debts(kind: str) -> sa.Select[Any]:
    return (
        sa.select(account.c.unit, *(sa.null() for _ in _ENDS), _sum(-account.c.owed))
        .where(account.c.kind == kind, account.c.owed > 0)
        .group_by(account.c.unit)
    )
