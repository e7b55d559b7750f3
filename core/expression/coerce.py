"""Which values go together: literals read as what they are compared with, dates as instants."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from typing import Any

from core.expression import dates
from core.expression.nodes import Call, Literal, Node, Variable
from core.expression.types import ANY, DATE, DATETIME, DURATION, TEXT, TIME, Kind, Type

#: The type of a node that has a problem already; it fits everywhere, so that one is enough.
BROKEN = Type("any", target="?")

#: Kinds that a text literal can be read as.
_DURATION = re.compile(r"(\d{1,6}):([0-5]\d)(?::([0-5]\d))?")
#: Kinds whose values are plain texts.
TEXTUAL = frozenset({"text", "choice", "record"})
ORDERED = frozenset({"number", "text", "date", "time", "datetime", "duration"})


def zone_at(node: Node) -> Variable:
    """Return the store day's zone as an argument, placed at `node`."""
    return Variable(TEXT, node.start, node.end, "@zone")


def to_date(node: Node) -> Node:
    """Return a datetime's store day; a date stays."""
    if node.type.kind != "datetime":
        return node
    return Call(DATE, node.start, node.end, "STORE_DAY", (node, zone_at(node)))


def to_datetime(node: Node) -> Node:
    """Return the instant a day begins at; a datetime stays."""
    if node.type.kind != "date":
        return node
    return Call(DATETIME, node.start, node.end, "DAY_START", (node, zone_at(node)))


def _duration(text: str) -> Decimal:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(text)
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return Decimal(hours * 3600 + minutes * 60 + seconds)


def _day(text: str) -> date:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is None:
        raise ValueError(text)
    return date.fromisoformat(text)


_READERS: dict[str, tuple[Type, Callable[[str], Any]]] = {
    "date": (DATE, _day),
    "time": (TIME, time.fromisoformat),
    "datetime": (DATETIME, dates.read_instant),
    "duration": (DURATION, _duration),
}


def read_literal(node: Node, kind: Kind) -> Node | None:
    """Return a text literal as a value of `kind`, or None when it cannot be read so."""
    if not isinstance(node, Literal) or node.type.kind != "text" or kind not in _READERS:
        return None
    # A day may stand for the instant at which it begins.
    kinds: Sequence[Kind] = ("date", "datetime") if kind == "datetime" else (kind,)
    for wanted in kinds:
        result, read = _READERS[wanted]
        try:
            value = read(node.value)
        except ValueError:
            continue
        if wanted == "time" and value.tzinfo is not None:
            return None
        return Literal(result, node.start, node.end, value)
    return None


def is_null(node: Node) -> bool:
    """Return whether this is the literal null."""
    return node.type.kind == "null"


def common_type(types: Sequence[Type]) -> Type | None:
    """Return one type for values of all `types`, or None when they do not go together."""
    known = [found for found in types if found.kind != "null"]
    if not known:
        return ANY if types else None
    first = known[0]
    kinds = {found.kind for found in known}
    if BROKEN in known:
        return BROKEN
    if len(kinds) == 1:
        if first.kind == "choice":
            sets = [found.options for found in known]
            options = None if None in sets else frozenset().union(*filter(None, sets))
            return replace(first, options=options)
        return first if len({found.target for found in known}) == 1 else None
    if kinds <= TEXTUAL:
        return TEXT
    return DATETIME if kinds == {"date", "datetime"} else None
