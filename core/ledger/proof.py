"""The proof of the ledger from its raw rows; what it finds names the row that is wrong.

Every posting sums to zero per unit and reason, and has the hash of what it wrote. Every
account's chain leads from its identity over each of its events to the head on its row, and
folding its entries gives its balance, totals and debt; of its lots, what is left. Holds end
once and rest on lots. What owners have is what the programme owes, by kind and unit.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database, say
from core.ledger.book import programme_id
from core.ledger.chaining import (
    ENTRY,
    HOLD,
    HOLD_END,
    LOT,
    POSTING,
    chained,
    hold_chained,
    opened,
    posting_hash,
)
from core.ledger.models import account, entry, hold, hold_end, lot, posting

Row = Mapping[Any, Any]

#: So many postings or accounts are held in memory at once.
CHUNK = 500

_decode = msgspec.json.decode


@contextmanager
def snapshot(db: Database) -> Iterator[Connection]:
    """Yield a connection that sees one moment, so that a ledger in use can be proved.

    On PostgreSQL it may take its time, however many entries there are.
    """
    if db.is_sqlite:
        with db.read() as connection:
            yield connection
        return
    with db.patient() as connection:
        say(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield connection
        finally:
            say(connection, "ROLLBACK")


def count_postings(connection: Connection) -> int:
    """Return how many postings there are to prove."""
    return int(connection.execute(sa.select(sa.func.count()).select_from(posting)).scalar_one())


def problems(connection: Connection) -> Iterator[str]:
    """Yield what is wrong; nothing when all of it is proved. Memory stays bounded."""
    yield from _strays(connection)
    for rows in _chunks(connection, posting):
        yield from _posting_problems(connection, rows)
    for rows in _chunks(connection, account):
        yield from _account_problems(connection, rows)
    yield from _programme_problems(connection)


def _chunks(connection: Connection, table: sa.Table) -> Iterator[Sequence[Row]]:
    after = ""
    while True:
        wanted = sa.select(table).where(table.c.id > after).order_by(table.c.id).limit(CHUNK)
        rows = connection.execute(wanted).mappings().all()
        if not rows:
            return
        yield rows
        after = rows[-1]["id"]


def _of(
    connection: Connection, wanted: sa.Select[Any], column: sa.Column[Any], ids: Sequence[str],
    *order: sa.Column[Any],
) -> dict[str, list[Row]]:  # fmt: skip
    rows = connection.execute(wanted.where(column.in_(ids)).order_by(column, *order)).mappings()
    return {key: list(group) for key, group in groupby(rows, key=itemgetter(column.name))}


def _strays(connection: Connection) -> Iterator[str]:
    """Yield rows that belong to nothing."""
    owners = (
        (entry, "posting_id", posting), (entry, "account_id", account), (entry, "lot_id", lot),
        (lot, "posting_id", posting), (lot, "account_id", account),
        (hold, "account_id", account), (hold_end, "hold_id", hold),
        (hold_end, "account_id", account), (hold_end, "posting_id", posting),
        (posting, "reverses", posting),
    )  # fmt: skip
    for table, name, parent in owners:
        other = parent.alias()
        column = table.c[name]
        is_there = sa.select(other.c.id).where(other.c.id == column).exists()
        key = list(table.primary_key.columns)
        wanted = sa.select(*key, column.label("gone")).where(column.is_not(None), ~is_there)
        for row in connection.execute(wanted):
            place = " ".join(str(value) for value in row[:-1])
            yield f"{table.name} {place}: there is no {parent.name} {row.gone}"


def _posting_problems(connection: Connection, rows: Sequence[Row]) -> Iterator[str]:
    ids = [row["id"] for row in rows]
    units = account.c.kind, account.c.unit, account.c.owner_id
    joined = sa.select(entry, *units).join(account, account.c.id == entry.c.account_id)
    entries = _of(connection, joined, entry.c.posting_id, ids, entry.c.position)
    lots = _of(connection, sa.select(lot), lot.c.posting_id, ids)
    for row in rows:
        place = f"posting {row['id']} ({row['what']}, key {row['key']})"
        mine, made = entries.get(row["id"], []), lots.get(row["id"], [])
        yield from _named(place, _of_posting(row, mine, made))


def _named(place: str, problems: Iterator[str]) -> Iterator[str]:
    """Yield problems with the row they are of; that it cannot be read is one of them."""
    try:
        for problem in problems:
            yield f"{place}: {problem}"
    except (TypeError, ValueError, AttributeError, msgspec.DecodeError) as error:
        yield f"{place}: it or a row of it holds what the ledger never writes ({error})"


def _of_posting(row: Row, entries: Sequence[Row], lots: Sequence[Row]) -> Iterator[str]:
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in entries:
        sums[one["kind"], one["unit"], one["why"]] += one["amount"]
    for (kind, unit, why), total in sums.items():
        if total:
            yield f"its entries of {kind} in {unit} ({why}) sum to {total}, not to 0"
    if [one["position"] for one in entries] != list(range(1, len(entries) + 1)):
        yield "an entry is missing"
    if not any(one["owner_id"] for one in entries):
        yield "no entry of an owner's account belongs to it"  # so no chain leads over it
    if any(one["chain"] for one in entries if not one["owner_id"]):
        yield "an entry of the programme was altered"
    if _digest(row, entries, lots) != row["hash"]:
        yield "it, an entry or a lot of it was altered"


def _digest(row: Row, entries: Iterable[Row], lots: Iterable[Row]) -> str:
    header = [bool(row[name]) if name == "may_owe" else row[name] for name in POSTING]
    made = sorted(lots, key=itemgetter("id"))
    return posting_hash(
        header,
        [[one[name] for name in ENTRY] for one in entries],
        [[one[name] for name in LOT] for one in made],
    )


def _account_problems(connection: Connection, rows: Sequence[Row]) -> Iterator[str]:
    ids = [row["id"] for row in rows if row["owner_id"]]
    posted = sa.select(entry, posting.c.hash, posting.c.may_owe, posting.c.known_at).join(
        posting, posting.c.id == entry.c.posting_id
    )
    order = (entry.c.seq, entry.c.posting_id, entry.c.position)
    found = {
        "entries": _of(connection, posted, entry.c.account_id, ids, *order),
        "lots": _of(connection, sa.select(lot), lot.c.account_id, ids),
        "holds": _of(connection, sa.select(hold), hold.c.account_id, ids, hold.c.seq),
        "ends": _of(connection, sa.select(hold_end), hold_end.c.account_id, ids, hold_end.c.seq),
    }
    for row in rows:
        place = f"account {row['id']} ({row['kind']} of {row['owner_type']} {row['owner_id']})"
        if not row["owner_id"]:
            if not _is_programme(row):
                yield f"account {row['id']} (the programme's {row['kind']}): it was altered"
            continue
        own = {name: rows_of.get(row["id"], []) for name, rows_of in found.items()}
        yield from _named(place, _Fold(row).problems(**own))


def _is_programme(row: Row) -> bool:
    """Return whether an account of the programme is as it was opened: it keeps no sums."""
    sums = [row[name] for name in ("balance", "held", "owed", "seq")]
    kept = (sums, row["totals"], row["known_at"], row["chain"])
    is_own = row["id"] == programme_id(row["kind"], row["unit"])
    return is_own and kept == ([0, 0, 0, 0], "{}", row["opened_at"], opened(row))


class _Fold:
    """An account folded from its events."""

    def __init__(self, row: Row) -> None:
        """Begin with the account's identity."""
        self._row = row
        self._chain, self._seq, self._known_at = opened(row), 0, row["opened_at"]
        self._balance = self._owed = 0
        self._totals: dict[str, int] = defaultdict(int)
        self._left: dict[str, int] = defaultdict(int)
        self._open: dict[str, Row] = {}
        self._posted: dict[str, str] = {}  # hold -> what was posted of it

    def problems(
        self, entries: Sequence[Row], lots: Sequence[Row], holds: Sequence[Row],
        ends: Sequence[Row],
    ) -> Iterator[str]:  # fmt: skip
        """Yield what the account's row, lots and holds say that its events do not."""
        events: list[tuple[int, str, list[Row]]] = [
            (seq, "entries", list(group)) for seq, group in groupby(entries, itemgetter("seq"))
        ]
        events += [(one["seq"], "hold", [one]) for one in holds]
        events += [(one["seq"], "end", [one]) for one in ends]
        self._posted = {one["hold_id"]: one["posting_id"] for one in ends}
        events.sort(key=itemgetter(0))
        for seq, what, rows in events:
            problem = self._take(seq, what, rows)
            if problem:
                yield f"event {seq}: {problem}"
                return  # what follows hangs on it
        yield from self._sums()
        yield from self._lots(lots)

    def _take(self, seq: int, what: str, rows: list[Row]) -> str:
        """Fold one event; return what is wrong with it."""
        self._seq += 1
        if seq != self._seq:
            return f"event {self._seq} is missing" if seq > self._seq else "it stands twice"
        take = {"entries": self._take_entries, "hold": self._take_hold, "end": self._take_end}
        return take[what](rows) or self._overdrawn(rows)

    def _take_entries(self, rows: list[Row]) -> str:
        first = rows[0]
        self._chain = chained(self._chain, first["hash"])
        owed = self._owed
        if first["known_at"] <= self._known_at:
            return f"posting {first['posting_id']} was known before the event before it"
        self._known_at = first["known_at"]
        for one in rows:
            if one["posting_id"] != first["posting_id"] or one["chain"] != self._chain:
                return f"the chain is broken at posting {one['posting_id']}"
            self._balance += one["amount"]
            self._totals[one["category"]] += one["amount"]
            if one["lot_id"] is None:
                self._owed -= one["amount"]
            else:
                self._left[one["lot_id"]] += one["amount"]
        if self._owed > owed and not first["may_owe"]:
            return f"posting {first['posting_id']} left a debt that it may not"
        return ""

    def _take_hold(self, rows: list[Row]) -> str:
        (one,) = rows
        self._chain = hold_chained(self._chain, one, HOLD)
        if one["chain"] != self._chain:
            return f"hold {one['id']} was altered"
        self._open[one["id"]] = one
        self._known_at = one["made_at"]
        if sum(amount for _, amount in _decode(one["lots"])) != one["amount"]:
            return f"hold {one['id']} does not rest on its lots"
        return ""

    def _take_end(self, rows: list[Row]) -> str:
        (one,) = rows
        self._chain = hold_chained(self._chain, one, HOLD_END)
        if one["chain"] != self._chain:
            return f"the end of hold {one['hold_id']} was altered"
        self._known_at = one["at"]
        if self._open.pop(one["hold_id"], None) is None:
            return f"hold {one['hold_id']} ends before it began"
        if (one["how"] == "posted") != (one["posting_id"] is not None):
            return f"hold {one['hold_id']} ended as {one['how']} with another posting"
        return ""

    def _overdrawn(self, rows: list[Row]) -> str:
        """Return what no sum may be after an event's rows; a posting can be that of a hold."""
        touched = {row["lot_id"] for row in rows if row.get("lot_id")}
        if self._owed < 0 or any(self._left[lot_id] < 0 for lot_id in touched):
            return "more was taken from a lot than was in it"
        posting_id = rows[0].get("posting_id")
        kept: dict[str, int] = defaultdict(int)
        for one in self._open.values():
            if posting_id and self._posted.get(one["id"]) == posting_id:
                continue
            for lot_id, amount in _decode(one["lots"]):
                kept[lot_id] += amount
        if any(amount > self._left[lot_id] for lot_id, amount in kept.items()):
            return "holds keep more of a lot than is in it"
        return ""

    def _sums(self) -> Iterator[str]:
        row = self._row
        held = sum(one["amount"] for one in self._open.values())
        stored = {name: total for name, total in _decode(row["totals"]).items() if total}
        folded = {name: total for name, total in self._totals.items() if total}
        pairs = (
            ("number of events", row["seq"], self._seq),
            ("balance", row["balance"], self._balance),
            ("held", row["held"], held),
            ("owed", row["owed"], self._owed),
            ("totals", stored, folded),
            ("known_at", row["known_at"], self._known_at),
        )
        for name, is_, shall in pairs:
            if is_ != shall:
                yield f"{name} is {is_}, its events give {shall}"
        if row["chain"] != self._chain:
            yield "the last events are missing or the account was changed outside"

    def _lots(self, lots: Sequence[Row]) -> Iterator[str]:
        for one in lots:
            left = self._left.pop(one["id"], 0)
            if left != one["remaining"]:
                yield f"lot {one['id']}: remaining is {one['remaining']}, its entries give {left}"
            elif left > one["issued"]:
                yield f"lot {one['id']}: {left} is left of {one['issued']}"
        yield from (f"lot {lot_id} is another account's" for lot_id in self._left)


def _programme_problems(connection: Connection) -> Iterator[str]:
    """Yield where what owners have is not what the programme owes."""
    balances = sa.select(
        account.c.kind, account.c.unit, sa.cast(sa.func.sum(account.c.balance), sa.BigInteger)
    ).group_by(account.c.kind, account.c.unit)
    owes = (
        sa.select(
            account.c.kind, account.c.unit, sa.cast(sa.func.sum(entry.c.amount), sa.BigInteger)
        )
        .join(entry, entry.c.account_id == account.c.id)
        .where(account.c.owner_id == "")
    )
    owed = {
        (kind, unit): int(total)
        for kind, unit, total in connection.execute(owes.group_by(account.c.kind, account.c.unit))
    }
    for kind, unit, total in connection.execute(balances):
        if total + owed.get((kind, unit), 0):
            told = -owed.get((kind, unit), 0)
            yield f"{kind} in {unit}: owners have {total}, the programme owes {told}"
