"""Export as an .xlsx workbook, row by row: memory does not grow with the list.

Numbers, dates and times are the spreadsheet's own where it can hold them exactly, else
text; texts are never formulas. Instants are shown in the store day's zone. The rows of a
table field are on a sheet of their own, with the key of their record in the first column;
rows inside of rows on one more, with the number of their row in the second.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import xlsxwriter
from xlsxwriter.workbook import Workbook

from core.context import Context
from core.errors import TooLarge
from core.i18n import N_
from core.records.exporting import NO_ACCESS, Exported, leaving_masks, text_writer
from core.records.queries import Query
from core.schema.choicetypes import join_texts
from core.schema.fieldtypes import field_type
from core.schema.model import Field

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

#: What one worksheet and one cell of it hold.
MOST_ROWS = 1_048_576
MOST_CHARACTERS = 32_767
_MOST_TITLE = 31
#: A spreadsheet's numbers are binary floats: more digits than these are not kept.
_EXACT_DIGITS = 15
_FIRST_DAY = date(1900, 3, 1)  # before it, spreadsheets disagree about the calendar
_CHUNK = 256 * 1024

_FORMATS = {"date": "yyyy-mm-dd", "time": "hh:mm:ss", "datetime": "yyyy-mm-dd hh:mm:ss"}


def export_xlsx(ctx: Context, type_name: str, query: Query) -> Iterator[bytes]:
    """Yield the bytes of a workbook of every record that `query` finds.

    Raises:
        Forbidden: the actor may not export records of the type.
        TooLarge: a text is longer than a cell can be.
    """
    exported = Exported(ctx, type_name, query)
    yield from _bytes_of(lambda workbook: _write(workbook, exported, ctx.time_zone))


def plain_xlsx(
    title: str, heads: Mapping[str, str], rows: Iterable[Sequence[str]], zone: ZoneInfo
) -> Iterator[bytes]:
    """Yield the bytes of a workbook of a plain table: `heads` is column -> `text` or `number`."""

    def write(workbook: Workbook) -> None:
        columns: list[Column] = [(name, str, kind) for name, kind in heads.items()]
        sheets = _Sheets(workbook, columns, zone, title)
        for row in rows:
            sheets.add(row)

    yield from _bytes_of(write)


def _bytes_of(write: Callable[[Workbook], None]) -> Iterator[bytes]:
    """Yield the bytes of a workbook that `write` fills."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "export.xlsx"
        options = {"constant_memory": True, "tmpdir": folder}
        with xlsxwriter.Workbook(str(path), options) as workbook:
            workbook.use_zip64()
            write(workbook)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


#: A column's name, what writes its values as text, and their kind.
Column = tuple[str, Callable[[Any], str], str]


def _write(workbook: Workbook, exported: Exported, zone: ZoneInfo) -> None:
    """Write the records, and the rows of each table field to sheets of their own."""
    columns: list[Column] = [
        (one.name, leaving_masks(text_writer(one)), "text")
        if one.name in exported.masked
        else (one.name, text_writer(one), _kind(one))
        for one in exported.fields
        if one.type != "table"
    ]
    if exported.has_hidden:
        columns.append((NO_ACCESS, join_texts, "text"))
    main = _Sheets(workbook, columns, zone, exported.type_name)
    tables = {
        one.name: _Sheets(workbook, [(exported.key, str, "text"), *_inner(one)], zone, one.name)
        for one in exported.fields
        if one.type == "table"
    }
    # A row is known by its number within its record, counted from 1.
    inside = {
        (one.name, inner.name): _Sheets(
            workbook,
            [(exported.key, str, "text"), (one.name, str, "number"), *_inner(inner)],
            zone,
            f"{one.name}.{inner.name}",
        )
        for one in exported.fields
        for inner in one.fields
        if inner.type == "table"
    }
    for record in exported:
        main.add([record.get(name) for name in main.names])
        key = record[exported.key]
        for name, sheets in tables.items():
            for row in record[name]:
                sheets.add([key, *map(row.get, sheets.names[1:])])
        for (name, below), sheets in inside.items():
            for number, row in enumerate(record[name], start=1):
                for each in row[below]:
                    sheets.add([key, number, *map(each.get, sheets.names[2:])])


def _inner(table: Field) -> Iterator[Column]:
    """Yield the columns of a table field, whose rows come in wire form."""
    for one in table.fields:
        if one.type != "table" and not field_type(one.type).computed:
            kind = _kind(one)
            name = "number" if kind == "number" and one.type != "duration" else kind
            is_json = field_type(one.type).storage(one).kind == "json"
            write = text_writer(one) if is_json else _wire_text
            yield one.name, write, name if name in {"number", "boolean"} else "text"


def _wire_text(value: Any) -> str:
    return join_texts(value) if isinstance(value, list) else str(value)


class _Sheets:
    """The worksheets of one table: another one begins where the last is full."""

    def __init__(
        self, workbook: Workbook, columns: Sequence[Column], zone: ZoneInfo, title: str
    ) -> None:
        self.names = [name for name, _text, _kind in columns]
        self._workbook, self._columns, self._zone, self._title = workbook, columns, zone, title
        self._formats = {
            name: workbook.add_format({"num_format": text}) for name, text in _FORMATS.items()
        }
        self._bold = workbook.add_format({"bold": True})
        self._line = 0
        self._sheet: Worksheet = None
        self._begin()

    def _begin(self) -> None:
        """Begin a worksheet, with the names of the columns at its head."""
        number = len(self._workbook.worksheets()) + 1
        self._sheet = self._workbook.add_worksheet(f"{number} {self._title}"[:_MOST_TITLE])
        self._sheet.freeze_panes(1, 0)
        for place, name in enumerate(self.names):
            self._sheet.write_string(0, place, name, self._bold)
        self._line = 1

    def add(self, values: Iterable[Any]) -> None:
        """Write one row."""
        if self._line == MOST_ROWS:
            self._begin()
        for place, (value, column) in enumerate(zip(values, self._columns, strict=True)):
            if value is not None:
                self._cell((self._line, place), value, column)
        self._line += 1

    def _cell(self, at: tuple[int, int], value: Any, column: Column) -> None:
        name, write, kind = column
        sheet = self._sheet
        number = Decimal(value) if kind == "number" and type(value) is str else value
        if kind == "boolean":
            sheet.write_boolean(*at, value)
        elif kind == "number" and _is_exact(number):
            sheet.write_number(*at, float(number))
        elif kind in _FORMATS and (shown := self._moment(value)) is not None:
            sheet.write_datetime(*at, shown, self._formats[kind])
        else:
            text = write(value)
            if len(text) > MOST_CHARACTERS:
                raise TooLarge(
                    N_(
                        "A value of {name} has more than {limit} characters, which no cell of a "
                        "worksheet holds. Export as CSV."
                    ),
                    name=name,
                    limit=MOST_CHARACTERS,
                )
            sheet.write_string(*at, text)

    def _moment(self, value: Any) -> date | datetime | time | None:
        """Return a date or time as a spreadsheet holds it; None where it cannot."""
        if isinstance(value, datetime):
            value = value.astimezone(self._zone).replace(tzinfo=None)
            return None if value.date() < _FIRST_DAY or value.microsecond % 1000 else value
        if isinstance(value, time):
            return None if value.microsecond % 1000 else value
        return value if isinstance(value, date) and value >= _FIRST_DAY else None


def _kind(field: Field) -> str:
    """Return what the field's values are to a spreadsheet."""
    return field_type(field.result or field.type).expression_type(field).kind


def _is_exact(value: Any) -> bool:
    """Return whether a number keeps all its digits in a spreadsheet."""
    if isinstance(value, Decimal):
        return len(format(value, "f").replace(".", "").lstrip("-0")) <= _EXACT_DIGITS
    return isinstance(value, int) and abs(value) < 10**_EXACT_DIGITS
