"""What SQLite calls back: the Python targets, registered on every connection.

On SQLite a number inside a computation is text in its one form (`number_text`), because
the database's own arithmetic is binary; a date, time or instant is the text it is stored
as. PostgreSQL has all of this by itself.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any

from core.db import sqlite_functions
from core.expression import arithmetic
from core.expression.dates import instant_text, read_instant
from core.expression.functions import FUNCTIONS, INTERNAL, Function


def number_from(scaled: int | None, scale: int) -> str | None:
    """Return a stored scaled integer as a number's text."""
    return None if scaled is None else arithmetic.number_text(Decimal(scaled).scaleb(-scale))


def decoder(kind: str) -> Callable[[Any], Any]:
    """Return what reads SQLite's value of a kind; null stays null."""
    read = _READ.get(kind)
    if read is None:
        return lambda value: value
    return lambda value: None if value is None else read(value)


def encode(value: Any) -> Any:
    """Return a Python value as SQLite keeps it inside a computation."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (Decimal, int)):
        return arithmetic.number_text(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    return value.isoformat()


def _choices(text: str) -> list[str]:
    import json  # noqa: PLC0415  only choices need it

    found = json.loads(text)
    return found if isinstance(found, list) else []


_READ: Mapping[str, Callable[[Any], Any]] = {
    "number": Decimal,
    "duration": Decimal,
    "boolean": bool,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "datetime": read_instant,
    "choices": _choices,
}


def function_name(name: str, kind: str = "") -> str:
    """Return the SQL name of a function; `kind` where its arguments decide how they are read."""
    return f"gx_{name.lower()}_{kind}" if kind else f"gx_{name.lower()}"


#: Functions whose arguments all have the kind of the result, and those kinds.
BY_KIND = dict.fromkeys(
    ("MIN", "MAX", "TEXT"), ("number", "text", "boolean", "date", "time", "datetime", "duration")
)


def _called(function: Function, kinds: tuple[str, ...]) -> Callable[..., Any]:
    readers = [decoder(kind) for kind in kinds]
    last = readers[-1] if readers else decoder("any")

    def call(*arguments: Any) -> Any:
        # A variadic function reads all arguments beyond the named ones alike.
        values = [
            (readers[place] if place < len(readers) else last)(value)
            for place, value in enumerate(arguments)
        ]
        return encode(function.run(*values))

    return call


class _Total:
    """SQLite's aggregate of numbers as text."""

    def __init__(self, fold: Callable[[Iterable[Any]], Any]) -> None:
        self._fold = fold
        self._values: list[Decimal] = []

    def step(self, value: str | None) -> None:
        """Take one row's value."""
        if value is not None:
            self._values.append(Decimal(value))

    def finalize(self) -> str | None:
        """Return the aggregate."""
        return encode(self._fold(self._values))  # type: ignore[no-any-return]


def _binary(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(left: str | None, right: str | None) -> Any:
        if left is None or right is None:
            return None
        return encode(compute(Decimal(left), Decimal(right)))

    return run


def _ordering(left: str | None, right: str | None) -> int | None:
    if left is None or right is None:
        return None
    first, second = Decimal(left), Decimal(right)
    return (first > second) - (first < second)


def _joined_sum(high: int | None, low: int | None, scale: int) -> str:
    """Return a sum that was made in two halves, because SQLite's own would overflow."""
    return arithmetic.number_text(Decimal((high or 0) * 10**9 + (low or 0)).scaleb(-scale))


def _sort_key(text: str | None) -> str | None:
    """Return text that orders as the number does."""
    if text is None:
        return None
    whole, _, fraction = text.lstrip("-").partition(".")
    key = f"{len(whole):06d}{whole}.{fraction}"
    if not text.startswith("-"):
        return f"1{key}"
    # Digits turned round order the other way; the end mark makes a longer fraction smaller.
    return "0" + key.translate(_TURNED) + "~"


_TURNED = str.maketrans("0123456789", "9876543210")

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "gx_add": _binary(arithmetic.add),
    "gx_subtract": _binary(arithmetic.subtract),
    "gx_multiply": _binary(arithmetic.multiply),
    "gx_divide": _binary(arithmetic.divide),
    "gx_compare": _ordering,
}


def register(connection: Any, functions: Iterable[Function] = ()) -> None:
    """Give a SQLite driver connection all the functions of the language."""
    create = partial(connection.create_function, deterministic=True)
    for name, operator in OPERATORS.items():
        create(name, 2, operator)
    create("gx_number", 2, number_from)
    create("gx_joined_sum", 3, _joined_sum)
    create("gx_sort_key", 1, _sort_key)
    for name, fold in (
        ("sum", arithmetic.total),
        ("avg", arithmetic.average),
        ("min", _none_or(min)),
        ("max", _none_or(max)),
    ):
        connection.create_aggregate(f"gx_rows_{name}", 1, _aggregate(fold))
    for function in (*INTERNAL.values(), *(functions or FUNCTIONS.values())):
        for kind in BY_KIND.get(function.name, ("",)):
            kinds = (kind,) if kind else function.parameters
            create(function_name(function.name, kind), -1, _called(function, kinds))


def _none_or(fold: Callable[..., Any]) -> Callable[[Iterable[Any]], Any]:
    return lambda values: fold(values, default=None)


def _aggregate(fold: Callable[[Iterable[Any]], Any]) -> type:
    class Aggregate(_Total):
        def __init__(self) -> None:
            super().__init__(fold)

    return Aggregate


sqlite_functions.append(register)
