"""Rows of a prebuilt statement straight to wire records, column by column.

What a page costs is what its cells cost: a cell that the driver gives in wire form
already is left alone, and every other takes one call.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Date
from sqlalchemy.types import TypeEngine

from core.prebuilt import Convert, Prebuilt, Row
from core.records.wire import Dump, instant_text
from core.schema.numbertypes import DecimalType
from core.schema.timetypes import DatetimeType, DateType
from core.tables.columns import Instant, ScaledDecimal

Record = dict[str, Any]


class DirectWriter:
    """Makes wire records of the driver's rows, whose first columns are the named ones."""

    __slots__ = ("_converts", "_names")

    def __init__(
        self, prebuilt: Prebuilt, names: Sequence[str], dumps: Mapping[str, Dump]
    ) -> None:
        """Write rows of `prebuilt`, which ran at least once."""
        self._names = tuple(names)
        readers = dict(prebuilt.readers)
        self._converts = []
        for index, name in enumerate(names):
            read, dump = readers.get(index), dumps.get(name)
            column_type, text = prebuilt.types[index], prebuilt.texts.get(index, "")
            convert = _composed(column_type, text, read, dump)
            if convert is not None:
                self._converts.append((index, convert))

    def records(self, rows: Sequence[Row]) -> list[Record]:
        """Return the records of rows, in their order."""
        columns: list[Sequence[Any]] = list(zip(*rows))  # noqa: B905  rows of one statement
        for index, convert in self._converts:
            if columns:
                columns[index] = [
                    None if cell is None else convert(cell) for cell in columns[index]
                ]
        names = self._names
        return [dict(zip(names, row)) for row in zip(*columns)]  # noqa: B905  masks follow


def _composed(
    column_type: TypeEngine[Any], text: str, read: Convert, dump: Dump | None
) -> Convert:
    """Return what makes the wire value of one raw value that is not null."""
    if read is None or dump is None:
        return read or _shortest(dump)
    if text == "timestamptz" and _is_instant(dump):
        return instant_of_text
    if text == "numeric" and _function(dump) is DecimalType.dump:
        return None
    if _is_kept_as_text(column_type, dump):
        return None
    if isinstance(column_type, ScaledDecimal) and _function(dump) is DecimalType.dump:
        return scaled_text(column_type.scale)

    def convert(cell: Any) -> Any:
        value = read(cell)
        return None if value is None else dump(value)

    return convert


def _shortest(dump: Dump | None) -> Convert:
    """Return what writes the same as `dump`, without the call in between."""
    if _is_day(dump):
        return date.isoformat
    return instant_text if _function(dump) is DatetimeType.dump else dump


def _function(dump: Dump | None) -> Any:
    return getattr(dump, "__func__", None)


def _is_day(dump: Dump | None) -> bool:
    return _function(dump) is DateType.dump and isinstance(
        getattr(dump, "__self__", None), DateType
    )


def _is_instant(dump: Dump) -> bool:
    return dump is instant_text or _function(dump) is DatetimeType.dump


def _is_kept_as_text(column_type: TypeEngine[Any], dump: Dump) -> bool:
    """Return whether the text that the database gives is what goes out, to the letter."""
    if isinstance(column_type, Instant):
        return _is_instant(dump)
    return isinstance(column_type, Date) and _is_day(dump)


def instant_of_text(text: str) -> str:
    """Return an instant in UTC as PostgreSQL writes it in the form that goes out.

    >>> instant_of_text("2026-03-04 05:06:07.5+00")
    '2026-03-04T05:06:07.500000Z'
    """
    return f"{text[:10]}T{text[11:-3]}{_FRACTION[len(text)]}"


#: What is missing behind the seconds of such a text, by its length.
_FRACTION = {22: ".000000Z"} | {23 + digits: "0" * (6 - digits) + "Z" for digits in range(1, 7)}


def scaled_text(scale: int) -> Callable[[int], str]:
    """Return what writes an integer of a number's last digits as that number.

    >>> scaled_text(2)(-5)
    '-0.05'
    """
    if scale == 0:
        return str

    def text(value: int) -> str:
        digits = str(abs(value)).rjust(scale + 1, "0")
        return f"{'-' if value < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"

    return text
