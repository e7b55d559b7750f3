"""A small world of tables, records and random typed expressions over them."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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


# -- random expressions -------------------------------------------------------------------


class Writer:
    """Writes a random expression of a wanted kind as text."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._in_lines = False

    def write(self, kind: str, depth: int) -> str:
        forms = _FORMS[kind] if depth > 0 else _LEAVES[kind]
        form = self._random.choice(forms)
        return form(self, depth - 1)

    def leaf(self, *names: str) -> str:
        return self._random.choice(names)

    def quoted(self) -> str:
        value = text(self._random).replace("\\", "\\\\").replace("'", "\\'")
        return f"'{value}'"

    def inside(self, kind: str, depth: int) -> str:
        """Write an expression over a line."""
        outer, self._in_lines = self._in_lines, True
        try:
            return self.write(kind, depth)
        finally:
            self._in_lines = outer

    def number_name(self) -> str:
        own = ["amount", "qty", "rate", "单价", "member.score", "member.sponsor.score"]
        return self._random.choice(["price", "count"] * 3 + own if self._in_lines else own)

    def number_literal(self) -> str:
        return self._random.choice(
            [
                "0",
                "1",
                "2",
                "-3",
                "0.5",
                "1.005",
                "100",
                "-0.01",
                "99999999999999999999",
                "7.123456",
            ]
        )

    def text_name(self) -> str:
        own = ["name", "note", "member.name", "TEXT(kind)", "current_user"]
        return self._random.choice(["sku", *own] if self._in_lines else own)

    def boolean_name(self) -> str:
        return "done" if self._in_lines and self._random.random() < 0.7 else "active"

    def date_name(self) -> str:
        own = ["day", "due", "member.joined", "TODAY()"]
        return self._random.choice(["shipped", *own] if self._in_lines else own)


def _any_of(kinds: str) -> Callable[[Writer], str]:
    return lambda w: w._random.choice(kinds.split())


def _op(kind: str, *operators: str) -> Callable[[Writer, int], str]:
    return lambda w, d: f"({w.write(kind, d)} {w.leaf(*operators)} {w.write(kind, d)})"


def _fn(name: str, *kinds: str) -> Callable[[Writer, int], str]:
    return lambda w, d: f"{name}({', '.join(w.write(kind, d) for kind in kinds)})"


def _over(name: str, kind: str) -> Callable[[Writer, int], str]:
    return lambda w, d: (
        w.write(_RESULT.get(name, kind), 0)
        if w._in_lines
        else f"{name}(lines, {w.inside(kind, d)})"
    )


_RESULT = {"COUNT": "number", "ANY": "boolean", "ALL": "boolean"}
CALENDAR = ("'day'", "'week'", "'month'", "'quarter'", "'year'")
CLOCK = ("'second'", "'minute'", "'hour'")
_ORDERINGS = ("<", "<=", ">", ">=", "==", "!=")
_LEAVES: dict[str, list[Callable[[Writer, int], str]]] = {
    "number": [
        lambda w, _: w.number_name(),
        lambda w, _: w.number_name(),
        lambda w, _: w.number_literal(),
    ],
    "text": [lambda w, _: w.text_name(), lambda w, _: w.quoted()],
    "boolean": [lambda w, _: w.boolean_name(), lambda w, _: w.leaf("true", "false")],
    "date": [lambda w, _: w.date_name()],
    "datetime": [lambda w, _: w.leaf("at", "paid_at", "NOW()")],
    "duration": [lambda w, _: "wait"],
    "small": [lambda w, _: w.leaf("0", "1", "2", "-1", "3.7", "qty", "12", "-30", "400")],
}
_FORMS: dict[str, list[Callable[[Writer, int], str]]] = {
    "small": _LEAVES["small"],
    "number": [
        *_LEAVES["number"],
        _op("number", "+", "-", "*", "/"),
        _op("number", "/", "+"),
        lambda w, d: f"-({w.write('number', d)})",
        lambda w, d: f"ROUND({w.write('number', d)}, {w.write('small', d)})",
        _fn("ROUND", "number"),
        _fn("ABS", "number"),
        _fn("MIN", "number", "number", "number"),
        _fn("max", "number", "number"),
        _fn("SUM", "number", "number", "number"),
        _fn("avg", "number", "number", "number"),
        _fn("COUNT", "number", "text", "date"),
        _fn("LEN", "text"),
        _fn("NUMBER", "text"),
        _fn("Year", "date"),
        _fn("MONTH", "datetime"),
        _fn("DAY", "date"),
        _fn("WEEKDAY", "date"),
        _fn("WEEKDAY", "datetime"),
        _fn("COALESCE", "number", "number"),
        _fn("IF", "boolean", "number", "number"),
        lambda w, d: (
            f"({w.write('number', d)} if {w.write('boolean', d)} else {w.write('number', d)})"
        ),
        lambda w, d: f"DATEDIFF({w.write('date', d)}, {w.write('date', d)}, {w.leaf(*CALENDAR)})",
        lambda w, d: (
            f"DATEDIFF({w.write('datetime', d)}, {w.write('datetime', d)}, {w.leaf(*CALENDAR, *CLOCK)})"
        ),
        lambda w, d: (
            f"DATEDIFF({w.write('date', d)}, {w.write('datetime', d)}, {w.leaf(*CALENDAR, *CLOCK)})"
        ),
        _over("SUM", "number"),
        _over("AVG", "number"),
        _over("MIN", "number"),
        _over("MAX", "number"),
        _over("COUNT", "boolean"),
        lambda w, _: w.leaf(
            "sum(lines.price)",
            "avg(lines.count)",
            "count(lines)",
            "max(lines.price)",
            "count(tags)",
            "count(member.cards)",
            "sum(member.cards.worth)",
            "min(member.sponsor.cards.worth)",
            "count(lines.sku)",
        ),
    ],
    "text": [
        *_LEAVES["text"],
        _fn("CONCAT", "text", "number", "date", "boolean"),
        _fn("TEXT", "number"),
        _fn("LEFT", "text", "small"),
        _fn("RIGHT", "text", "small"),
        _fn("UPPER", "text"),
        _fn("LOWER", "text"),
        _fn("TRIM", "text"),
        _fn("COALESCE", "text", "text"),
        _fn("IF", "boolean", "text", "text"),
        _fn("MIN", "text", "text"),
        _fn("MAX", "text", "text"),
        _fn("LEFT", "text"),
        _over("MIN", "text"),
        _over("MAX", "text"),
    ],
    "boolean": [
        *_LEAVES["boolean"],
        _op("boolean", "and", "or", "==", "!="),
        _op("number", *_ORDERINGS),
        _op("number", *_ORDERINGS),
        _op("text", *_ORDERINGS),
        _op("date", *_ORDERINGS),
        _op("datetime", *_ORDERINGS),
        _op("duration", *_ORDERINGS),
        lambda w, d: f"({w.number_name()} {w.leaf(*_ORDERINGS)} {w.number_literal()})",
        lambda w, d: f"({w.number_literal()} {w.leaf(*_ORDERINGS)} {w.number_name()})",
        lambda w, d: f"({w.write('date', d)} {w.leaf(*_ORDERINGS)} {w.write('datetime', d)})",
        lambda w, d: f"(not {w.write('boolean', d)})",
        lambda w, d: f"({w.write('number', d)} is {w.leaf('empty', 'not empty')})",
        lambda w, d: f"({w.write('text', d)} is {w.leaf('empty', 'not empty')})",
        lambda w, d: (
            f"({w.leaf('lines', 'tags', 'member', 'kind', 'opens', 'member.cards')} is empty)"
        ),
        lambda w, d: f"(kind {w.leaf('in', 'not in')} ['sale', '退货'])",
        lambda w, d: f"({w.write('number', d)} in [1, 0.5, {w.number_name()}, null])",
        lambda w, d: (
            f"({w.write('text', d)} {w.leaf('in', 'not in')} ['', {w.quoted()}, {w.text_name()}])"
        ),
        lambda w, d: f"({w.leaf('name', chr(39) + 'a' + chr(39))} {w.leaf('in', 'not in')} tags)",
        lambda w, d: f"({w.write('text', d)} in lines.sku)",
        lambda w, d: f"(opens {w.leaf(*_ORDERINGS)} '12:00')",
        lambda w, d: f"({w.write('date', d)} {w.leaf(*_ORDERINGS)} '2008-02-29')",
        lambda w, d: f"({w.write('datetime', d)} {w.leaf(*_ORDERINGS)} '2011-06-30')",
        lambda w, d: (
            f"({w.leaf('kind', 'name', 'amount', 'day', 'member.name')} {w.leaf('==', '!=')} null)"
        ),
        lambda w, d: f"(kind {w.leaf('==', '!=')} 'return')",
        _fn("CONTAINS", "text", "text"),
        _fn("STARTSWITH", "text", "text"),
        _fn("COALESCE", "boolean", "boolean"),
        _fn("IF", "boolean", "boolean", "boolean"),
        _over("ANY", "boolean"),
        _over("ALL", "boolean"),
    ],
    "date": [
        *_LEAVES["date"],
        _fn("DATE", "datetime"),
        _fn("COALESCE", "date", "date"),
        _fn("MIN", "date", "date"),
        _fn("IF", "boolean", "date", "date"),
        lambda w, d: f"DATEADD({w.write('date', d)}, {w.write('small', d)}, {w.leaf(*CALENDAR)})",
        _over("MAX", "date"),
    ],
    "datetime": [
        *_LEAVES["datetime"],
        _fn("COALESCE", "datetime", "date"),
        _fn("MAX", "datetime", "datetime"),
        lambda w, d: (
            f"DATEADD({w.write('datetime', d)}, {w.write('small', d)}, {w.leaf(*CALENDAR)})"
        ),
        lambda w, d: f"DATEADD({w.write('datetime', d)}, {w.write('small', d)}, {w.leaf(*CLOCK)})",
        lambda w, d: f"({w.write('datetime', d)} {w.leaf('+', '-')} wait)",
    ],
    "duration": [
        *_LEAVES["duration"],
        _op("duration", "+", "-"),
        lambda w, d: f"({w.write('datetime', d)} - {w.write('datetime', d)})",
    ],
}
KINDS_WRITTEN = ("number", "text", "boolean", "boolean", "date", "datetime", "duration")


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

    def run(self, trees: list[Any], found: World) -> list[list[Any]]:
        batch = {
            "trees": trees,
            "rows": [_wired(row) for row in found.orders],
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
