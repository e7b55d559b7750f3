"""An .xlsx workbook to rows of text, within bounds, as `csvreading` does it for CSV.

The first sheet holds the records. A sheet called as a table field holds that field's
rows, with the key of their record in the first column, as an export writes them; each
record then has them as one more cell of JSON. Sheets that go on where a full one ended
are read on. Cells come as the text that people would type: dates and times in ISO 8601,
numbers with all their digits, formulas as the value they had when the file was saved.
"""

import re
import sqlite3
import zipfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import msgspec

from core.errors import Malformed, TooLarge, UserError
from core.i18n import N_
from core.records.csvreading import MAX_CELL, MAX_COLUMNS, Row

#: Bounds of a workbook: files in it, bytes of what is held in memory, of all unpacked.
MAX_PARTS = 2_000
MAX_HELD = 48 * 1024**2
MAX_UNPACKED = 4 * 1024**3
#: A sheet packs well, but one that packs better than this was made to do harm.
MAX_RATIO = 100
_SMALL = 8 * 1024**2

#: How a workbook begins, and what an encrypted or an old one (.xls) begins with.
MAGIC = b"PK\x03\x04"
OLD_MAGIC = b"\xd0\xcf\x11\xe0"

_NUMBERED = re.compile(r"\d+ (.*)\Z", re.DOTALL)
_DAY_SECONDS = 86_400


class WorkbookFile:
    """A workbook's rows; it knows about how far it was read.

    Attributes:
        size: bytes of the file as it lies on the disk.
        is_escaped: texts that look like formulas have no `'` before them here.
    """

    is_escaped = False

    def __init__(self, path: Path, tables: Collection[str] = ()) -> None:
        """Read `path`, and the sheets of the table fields `tables` with it."""
        self._path, self._tables = path, tables
        self.size = path.stat().st_size
        self.position = 0

    def rows(self) -> Iterator[Row]:
        """Yield the header as row 0 and then every row that is not blank.

        Raises:
            Malformed: it is no workbook, locked by a password, or broken.
            TooLarge: it is over a bound.
        """
        with self._path.open("rb") as raw:
            _check_parts(raw)
            try:
                yield from self._rows(raw)
            except (UserError, GeneratorExit):
                raise
            except Exception as error:  # whatever can be wrong in a workbook, openpyxl meets it
                raise Malformed(N_("The workbook is broken and cannot be read.")) from error
        self.position = self.size

    def _rows(self, raw: IO[bytes]) -> Iterator[Row]:
        from openpyxl import load_workbook  # noqa: PLC0415  slow

        book = load_workbook(raw, read_only=True, data_only=True, keep_links=False)
        with closing(book), closing(_Lines()) as lines:
            sheets = [(_title(sheet.title), sheet) for sheet in book.worksheets]
            if not sheets:
                raise Malformed(N_("The workbook has no sheet."))
            found = [name for name in self._tables if any(title == name for title, _ in sheets)]
            for title, sheet in sheets[1:]:
                if title in found:
                    lines.read(title, _cells(sheet))
            main = [one for title, one in sheets if title == sheets[0][0]]
            yield from self._joined(main, found, lines)

    def _joined(self, sheets: list[Any], tables: list[str], lines: "_Lines") -> Iterator[Row]:
        """Yield the rows of the sheets with one more cell for each of the tables."""
        number = key = width = 0
        for place, sheet in enumerate(sheets):
            last = max(sheet.max_row or 1, 1)
            sheet.reset_dimensions()  # what a file says of its size is not believed
            for line, cells in _cells(sheet):
                self.position = min(self.size, self.size * line // last)
                if number == 0:
                    key, width = cells.index(lines.key) if lines.key in cells else 0, len(cells)
                    yield Row(0, line, [*_filled(cells), *tables])
                    number = 1
                elif place == 0 or line > 1:  # a sheet that goes on repeats the header
                    # Cells that are empty at the end of a row are not in the file.
                    row = cells + [""] * (width - len(cells))
                    row += [lines.of(name, row[key]) for name in tables]
                    yield Row(number, line, row)
                    number += 1
        if number == 0:
            raise Malformed(N_("The file has no header line."))


def _check_parts(raw: IO[bytes]) -> None:
    """Refuse an archive that is locked, or unpacks to more than can be meant.

    Raises:
        Malformed: it is no archive, or needs a password.
        TooLarge: it is over a bound.
    """
    try:
        parts = zipfile.ZipFile(raw).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Malformed(N_("The workbook is broken and cannot be read.")) from error
    if any(part.flag_bits & 1 for part in parts):
        raise _locked()
    held = sum(part.file_size for part in parts if "/worksheets/" not in part.filename)
    is_bomb = any(
        part.file_size > _SMALL and part.file_size > part.compress_size * MAX_RATIO
        for part in parts
    )
    unpacked = sum(part.file_size for part in parts)
    if is_bomb or held > MAX_HELD or unpacked > MAX_UNPACKED or len(parts) > MAX_PARTS:
        raise TooLarge(N_("The workbook unpacks to more than can be read; save it as CSV."))


def _locked() -> Malformed:
    return Malformed(
        N_("The workbook is locked by a password or of the old kind (.xls); save it as .xlsx.")
    )


def check_not_old(start: bytes) -> None:
    """Refuse a file that begins as an encrypted or an old workbook does.

    Raises:
        Malformed: it does.
    """
    if start.startswith(OLD_MAGIC):
        raise _locked()


def _title(name: str) -> str:
    """Return a sheet's title without the number that an export puts before it."""
    numbered = _NUMBERED.match(name)
    return numbered[1] if numbered else name


def _cells(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield the sheet's rows that are not blank, as (number in the sheet, texts)."""
    for line, row in enumerate(sheet.rows, start=1):
        texts = [_text(cell) for cell in row]
        while texts and not texts[-1]:
            texts.pop()
        if not texts:
            continue
        if len(texts) > MAX_COLUMNS:
            raise Malformed(
                N_("Line {line} has more than {limit} columns."), line=line, limit=MAX_COLUMNS
            )
        if max(map(len, texts)) > MAX_CELL:
            raise Malformed(
                N_("A cell of line {line} has more than {limit} characters."),
                line=line,
                limit=MAX_CELL,
            )
        yield line, texts


def _filled(cells: list[str]) -> list[str]:
    return [cell.strip() for cell in cells]


def _text(cell: Any) -> str:
    """Return a cell as the text that people would type for it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return _number_text(value)
    if isinstance(value, datetime):
        return _moment_text(value, str(cell.number_format))
    if isinstance(value, timedelta):
        return f"PT{_number_text(value.total_seconds())}S"
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _number_text(value: float) -> str:
    """Return a number with all its digits and no exponent."""
    number = Decimal(repr(value))
    if number == number.to_integral_value():
        number = number.quantize(Decimal(1)) if abs(number) < Decimal(10) ** 20 else number
    return format(number, "f")


def _moment_text(value: datetime, shown_as: str) -> str:
    from openpyxl.styles.numbers import is_datetime  # noqa: PLC0415  slow

    if is_datetime(shown_as) == "date":
        return value.date().isoformat()
    if is_datetime(shown_as) == "time":
        return value.time().isoformat()
    return value.isoformat(sep=" ")


class _Lines:
    """The rows of table fields by the key of their record, on disk."""

    def __init__(self) -> None:
        # An empty name is a temporary file that SQLite removes by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(
            "CREATE TABLE line (name TEXT, key TEXT, place INTEGER, cells TEXT, "
            "PRIMARY KEY (name, key, place)) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        #: The column of the key, as the sheets name it.
        self.key = ""

    def read(self, name: str, rows: Iterator[tuple[int, list[str]]]) -> None:
        """Keep the rows of one sheet."""
        header: Sequence[str] = ()
        for line, cells in rows:
            if not header:
                header, self.key = cells[1:], cells[0]
                continue
            if len(cells) - 1 > len(header):
                raise Malformed(
                    N_("Line {line} of the sheet {name} has more cells than its header."),
                    line=line,
                    name=name,
                )
            row = {head: cell for head, cell in zip(header, cells[1:], strict=False) if cell}
            self._database.execute(
                "INSERT INTO line SELECT ?, ?, count(*), ? FROM line WHERE name = ? AND key = ?",
                (name, cells[0], msgspec.json.encode(row).decode(), name, cells[0]),
            )

    def of(self, name: str, key: str) -> str:
        """Return the rows of one record as JSON, empty when it has none."""
        found = self._database.execute(
            "SELECT cells FROM line WHERE name = ? AND key = ? ORDER BY place", (name, key)
        )
        rows = [cells for (cells,) in found]
        return f"[{','.join(rows)}]" if rows else ""

    def close(self) -> None:
        """Forget them."""
        self._database.close()
