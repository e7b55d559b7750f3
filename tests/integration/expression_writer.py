"""Writes random typed expressions over the records of `expression_world`."""

from collections.abc import Callable
from random import Random

from tests.integration.expression_world import text


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
