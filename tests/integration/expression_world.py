"""A small world of tables, records and random typed expressions over them."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from core.expression import Scope, Type
from core.expression.jsontree import wire
from core.expression.sql import Joined
from core.tables.columns import JSON, TEXT, Instant, ScaledDecimal

KINDS = frozenset({"sale", "return", "退货"})
TAGS = frozenset({"a", "b", "新"})
LINE_TYPES = {
    "price": Type("number"),
    "count": Type("number"),
    "sku": Type("text"),
    "done": Type("boolean"),
    "shipped": Type("date"),
}
ORDER_TYPES = {
    "id": Type("text"),
    "amount": Type("number"),
    "qty": Type("number"),
    "rate": Type("number"),
    "单价": Type("number"),
    "name": Type("text"),
    "note": Type("text"),
    "kind": Type("choice", KINDS),
    "active": Type("boolean"),
    "day": Type("date"),
    "due": Type("date"),
    "at": Type("datetime"),
    "paid_at": Type("datetime"),
    "opens": Type("time"),
    "wait": Type("duration"),
    "tags": Type("choices", TAGS),
    "member": Type("record", target="member"),
    "lines": Type("rows", fields=LINE_TYPES),
}
MEMBER_TYPES = {
    "id": Type("text"),
    "name": Type("text"),
    "score": Type("number"),
    "joined": Type("date"),
    "sponsor": Type("record", target="member"),
    "cards": Type("rows", target="card"),
}
CARD_TYPES = {
    "id": Type("text"),
    "worth": Type("number"),
    "member": Type("record", target="member"),
}
TYPES = {"order": ORDER_TYPES, "member": MEMBER_TYPES, "card": CARD_TYPES}
SCOPE = Scope(ORDER_TYPES, TYPES.__getitem__, {"current_user": Type("text")}, "order")
LINE_SCOPE = replace(SCOPE, fields=LINE_TYPES, name="order.lines", outer=SCOPE)

metadata = sa.MetaData()


def _table(table_name: str, /, **columns: Any) -> sa.Table:
    made = [sa.Column(column, kind) for column, kind in columns.items()]
    return sa.Table(f"x_{table_name}", metadata, *made, prefixes=["TEMPORARY"])


TABLES = {
    "order": _table(
        "order",
        id=TEXT,
        amount=ScaledDecimal(2),
        qty=sa.BigInteger(),
        rate=ScaledDecimal(4),
        单价=ScaledDecimal(2),
        name=TEXT,
        note=TEXT,
        kind=TEXT,
        active=sa.Boolean(),
        day=sa.Date(),
        due=sa.Date(),
        at=Instant(),
        paid_at=Instant(),
        opens=sa.Time(),
        wait=sa.BigInteger(),
        tags=JSON,
        member=TEXT,
    ),
    "order.lines": _table(
        "order__lines",
        record_id=TEXT,
        position=sa.Integer(),
        price=ScaledDecimal(2),
        count=sa.BigInteger(),
        sku=TEXT,
        done=sa.Boolean(),
        shipped=sa.Date(),
    ),
    "member": _table(
        "member", id=TEXT, name=TEXT, score=ScaledDecimal(2), joined=sa.Date(), sponsor=TEXT
    ),
    "card": _table("card", id=TEXT, worth=ScaledDecimal(2), member=TEXT),
}


class WorldColumns:
    """The fields of one table's rows."""

    def __init__(self, dialect: str, type_name: str, source: sa.FromClause) -> None:
        self.dialect = dialect
        self._type_name = type_name
        self._source = source

    def element(self, name: str) -> Any:
        return self._source.c[name]

    def scale(self, name: str) -> int | None:
        kind = self._source.c[name].type
        return kind.scale if isinstance(kind, ScaledDecimal) else 0

    def follow(self, name: str) -> Joined:
        target = TABLES["member"].alias()
        columns = WorldColumns(self.dialect, "member", target)
        return Joined(target, target.c.id == self._source.c[name], columns)

    def rows(self, name: str) -> Joined:
        type_name, key = ("order.lines", "record_id") if name == "lines" else ("card", "member")
        rows = TABLES[type_name].alias()
        columns = WorldColumns(self.dialect, type_name, rows)
        return Joined(rows, rows.c[key] == self._source.c.id, columns)


@dataclass
class World:
    """Records of every table, and the environment that reads them."""

    orders: list[dict[str, Any]]
    members: dict[str, dict[str, Any]]
    cards: dict[str, list[dict[str, Any]]]
    now: datetime
    zone: ZoneInfo
    user: str = "o1"
    variables: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def follow(self, type_name: str, record_id: str) -> Mapping[str, Any] | None:
        return self.members.get(record_id) if type_name == "member" else None

    def rows(self, type_name: str, row: Mapping[str, Any], name: str) -> Sequence[Any]:
        return self.cards.get(row["id"], ()) if (type_name, name) == ("member", "cards") else ()


# -- random records -----------------------------------------------------------------------

ALPHABET = "abAB zZ0-'\"\\é会员𠮷😀ßΣσςİıµ%_"


def maybe(random: Random, make: Callable[[], Any]) -> Any:
    return None if random.random() < 0.2 else make()


def text(random: Random) -> str:
    return "".join(random.choices(ALPHABET, k=random.randint(0, 6)))


def number(random: Random, scale: int) -> Decimal:
    size = random.choice([10, 1000, 10**6, 10**13])
    return Decimal(random.randint(-size, size)).scaleb(-scale)


def day(random: Random) -> date:
    return date(1990, 1, 1) + timedelta(days=random.randint(0, 16_000))


def instant(random: Random) -> datetime:
    start = datetime(1990, 1, 2, tzinfo=UTC)
    return start + timedelta(
        seconds=random.randint(0, 45 * 31_536_000),
        microseconds=random.choice([0, 0, 1, 999_999, 250_000]),
    )


def clock(random: Random) -> time:
    return time(random.randint(0, 23), random.randint(0, 59), random.randint(0, 59))


def line(random: Random) -> dict[str, Any]:
    return {
        "price": maybe(random, lambda: number(random, 2)),
        "count": maybe(random, lambda: random.randint(-9, 99)),
        "sku": maybe(random, lambda: text(random)),
        "done": maybe(random, lambda: random.random() < 0.5),
        "shipped": maybe(random, lambda: day(random)),
    }


def order(random: Random, number_: int) -> dict[str, Any]:
    r = random
    return {
        "id": f"o{number_}",
        "amount": maybe(r, lambda: number(r, 2)),
        "qty": maybe(r, lambda: r.choice([0, 1, 2, -3, 10**15 - 1, r.randint(-99, 99)])),
        "rate": maybe(r, lambda: number(r, 4)),
        "单价": maybe(r, lambda: number(r, 2)),
        "name": maybe(r, lambda: text(r)),
        "note": maybe(r, lambda: r.choice(["", "12.50", " -7 ", "+3", ".5", "1e5", "x", text(r)])),
        "kind": maybe(r, lambda: r.choice(sorted(KINDS))),
        "active": maybe(r, lambda: r.random() < 0.5),
        "day": maybe(r, lambda: day(r)),
        "due": maybe(r, lambda: day(r)),
        "at": maybe(r, lambda: instant(r)),
        "paid_at": maybe(r, lambda: instant(r)),
        "opens": maybe(r, lambda: clock(r)),
        "wait": maybe(r, lambda: r.randint(0, 200_000)),
        "tags": maybe(r, lambda: r.sample(sorted(TAGS), r.randint(0, 3))),
        "member": maybe(r, lambda: f"m{r.randint(0, 3)}"),
        "lines": [line(r) for _ in range(r.choice([0, 0, 1, 2, 4]))],
    }


def world(random: Random, size: int) -> World:
    members = {
        f"m{n}": {
            "id": f"m{n}",
            "name": maybe(random, lambda: text(random)),
            "score": maybe(random, lambda: number(random, 2)),
            "joined": maybe(random, lambda: day(random)),
            "sponsor": maybe(random, lambda: f"m{random.randint(0, 3)}"),
        }
        for n in range(3)  # m3 is a link to nothing
    }
    cards: dict[str, list[dict[str, Any]]] = {}
    for n in range(5):
        holder = f"m{random.randint(0, 2)}"
        worth = maybe(random, lambda: number(random, 2))
        cards.setdefault(holder, []).append({"id": f"c{n}", "worth": worth, "member": holder})
    zone = ZoneInfo(random.choice(["Asia/Shanghai", "Europe/London", "America/New_York"]))
    return World([order(random, n) for n in range(size)], members, cards, instant(random), zone)


# -- targets ------------------------------------------------------------------------------


class Node:
    """One Node process that computes trees for rows."""

    def __init__(self, script: Path, module: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(script), str(module)],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(
        self, trees: list[Any], found: World, pairs: Sequence[tuple[Any, Any]] = ()
    ) -> list[list[Any]]:
        """Compute trees for every order, or for `pairs` of a line and its order."""
        batch = {
            "trees": trees,
            "rows": [_wired(row) for row in found.orders],
            "pairs": [[_wired(row), _wired(outer)] for row, outer in pairs] or None,
            "env": {
                "today": found.today.isoformat(),
                "now": wire(found.now),
                "zone": found.zone.key,
                "user": found.user,
            },
            "records": {"member": {key: _wired(row) for key, row in found.members.items()}},
            "backlinks": {
                "member": {
                    "cards": {
                        key: [_wired(row) for row in rows] for key, rows in found.cards.items()
                    }
                }
            },
        }
        self._process.stdin.write(json.dumps(batch) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def _wired(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [_wired(one) for one in value]
        if name == "lines"
        # A structured value is in wire form already.
        else (value if isinstance(value, dict) else wire(value))
        for name, value in row.items()
    }


def fill(connection: sa.Connection, found: World) -> None:
    """Create the tables in `connection` and write the world's records."""
    metadata.create_all(connection, checkfirst=False)
    orders = [{key: value for key, value in one.items() if key != "lines"} for one in found.orders]
    connection.execute(sa.insert(TABLES["order"]), orders)
    lines = [
        {"record_id": one["id"], "position": place, **row}
        for one in found.orders
        for place, row in enumerate(one["lines"])
    ]
    if lines:
        connection.execute(sa.insert(TABLES["order.lines"]), lines)
    connection.execute(sa.insert(TABLES["member"]), list(found.members.values()))
    connection.execute(
        sa.insert(TABLES["card"]), [one for rows in found.cards.values() for one in rows]
    )
