"""An .xlsx workbook to rows of text, within bounds, as `csvreading` does it for CSV.

The first sheet holds the records. A sheet called as a table field holds that field's
rows, with the key of their record in the first column, as an export writes them; each
record then has them as one more cell of JSON. A sheet called as a table field inside
another, `lines.parts`, has the number of the outer row in its second column. Sheets that
go on where a full one ended are read on. Cells come as the text that people would type:
dates and times in ISO 8601, numbers with all their digits, formulas as the value they had
when the file was saved.
"""

import re
import sqlite3
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO

import msgspec

from core.errors import Malformed
from core.i18n import N_
from core.records.csvreading import MAX_COLUMNS, Row
from core.records.moments import Moments
from core.records.workbookxml import Sheet, Workbook, broken, too_large, unescaped

#: Bounds of a workbook: files in it, bytes of what is held in memory, of all unpacked.
MAX_PARTS = 2_000
MAX_HELD = 48 * 1024**2
MAX_UNPACKED = 4 * 1024**3
#: A sheet packs well, but one that packs better than this was made to do harm.
MAX_RATIO = 100
_SMALL = 8 * 1024**2
#: Characters of a sheet's title.
MAX_TITLE = 31
#: Rows of one sheet.
MAX_ROWS = 1_048_576

#: Characters that a spreadsheet's cell holds.
MAX_CHARACTERS = 32_767
#: Characters that cells may have together, beside so many for each byte of their sheets: cells
#: that share a text could else unpack to any amount.
_FREE_CHARACTERS = 64 * 1024**2
_PER_BYTE = 10

#: How a workbook begins, and what an encrypted or an old one (.xls) begins with.
MAGIC = b"PK\x03\x04"
OLD_MAGIC = b"\xd0\xcf\x11\xe0"

_NUMBERED = re.compile(r"\d+ (.*)\Z", re.DOTALL)
_INDEX_DIGITS = 10

#: The number of a row in its sheet, and its texts.
Line = tuple[int, list[str]]


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
            with zipfile.ZipFile(raw) as archive:
                yield from self._rows(Workbook(archive))
        self.position = self.size

    def _rows(self, book: Workbook) -> Iterator[Row]:
        with closing(_Lines()) as lines:
            if not book.sheets:
                raise Malformed(N_("The workbook has no sheet."))
            sheets = [(_title(sheet.title, self._tables), sheet) for sheet in book.sheets]
            found = [name for name in self._tables if any(title == name for title, _ in sheets)]
            cells = _Cells(book, self._tell)
            for title, sheet in sheets[1:]:
                if title in found:
                    lines.read(title, cells.of(sheet))
            main = [cells.of(one) for title, one in sheets if title == sheets[0][0]]
            found = [name for name in found if "." not in name]
            yield from self._joined(main, found, lines)

    def _tell(self, share: float) -> None:
        self.position = int(self.size * share)

    def _joined(
        self, sheets: list[Iterator[Line]], tables: list[str], lines: "_Lines"
    ) -> Iterator[Row]:
        """Yield the rows of the sheets with one more cell for each of the tables."""
        number = key = width = 0
        for place, sheet in enumerate(sheets):
            for line, cells in sheet:
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
        raise broken() from error
    if any(part.flag_bits & 1 for part in parts):
        raise _locked()
    held = sum(part.file_size for part in parts if "/worksheets/" not in part.filename)
    is_bomb = any(
        part.file_size > _SMALL and part.file_size > part.compress_size * MAX_RATIO
        for part in parts
    )
    unpacked = sum(part.file_size for part in parts)
    if is_bomb or held > MAX_HELD or unpacked > MAX_UNPACKED or len(parts) > MAX_PARTS:
        raise too_large()


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


def _title(name: str, tables: Collection[str]) -> str:
    """Return the table field that a sheet's title names, else the title without its number.

    An export puts a number before the name, and cuts what is longer than a title can be.
    """
    numbered = _NUMBERED.match(name)
    title = numbered[1] if numbered else name
    if len(name) < MAX_TITLE or title in tables:
        return title
    cut = [one for one in tables if one.startswith(title)]
    return cut[0] if len(cut) == 1 else title


class _Cells:
    """The rows of a workbook's sheets as texts."""

    def __init__(self, book: Workbook, told: Callable[[float], None]) -> None:
        self._book, self._told = book, told
        self._moments = Moments(book.formats, is_1904=book.is_1904)
        self._left = _FREE_CHARACTERS + _PER_BYTE * book.size

    def of(self, sheet: Sheet) -> Iterator[Line]:
        """Yield a sheet's rows that are not blank, as (number in the sheet, texts)."""
        for row in self._book.rows(sheet, MAX_CHARACTERS, self._told):
            texts: list[str] = []
            for column, cell in row.cells:
                text = self._text(*cell)
                if not text:
                    continue
                if column >= MAX_COLUMNS:
                    raise Malformed(
                        N_("Line {line} has more than {limit} columns."),
                        line=row.line,
                        limit=MAX_COLUMNS,
                    )
                if len(text) > MAX_CHARACTERS:
                    raise Malformed(
                        N_("A cell of line {line} has more than {limit} characters."),
                        line=row.line,
                        limit=MAX_CHARACTERS,
                    )
                self._left -= len(text)
                if self._left < 0:
                    raise too_large()
                if column >= len(texts):
                    texts += [""] * (column + 1 - len(texts))
                texts[column] = text
            if texts:
                yield row.line, texts

    def _text(self, kind: str, style: int, value: str) -> str:
        """Return a cell as the text that people would type for it."""
        if kind == "s":
            if not (value.isascii() and value.isdecimal() and len(value) < _INDEX_DIGITS):
                raise broken()
            if int(value) >= len(self._book.texts):
                raise broken()
            return self._book.texts[int(value)]
        if kind in {"n", "d"}:
            return self._moments.text(kind, style, value)
        if kind == "b":
            return "false" if value.strip() in {"0", "false"} else "true"
        return unescaped(value)


def _filled(cells: list[str]) -> list[str]:
    return [cell.strip() for cell in cells]


class _Lines:
    """The rows of table fields by the key of their record, on disk."""

    def __init__(self) -> None:
        # An empty name is a temporary file that SQLite removes by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(
            "CREATE TABLE line (name TEXT, key TEXT, outer INTEGER, place INTEGER, cells TEXT, "
            "PRIMARY KEY (name, key, outer, place)) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")
        #: The column of the key, as the sheets name it.
        self.key = ""
        #: Table field -> the sheets of rows inside its rows.
        self._inside: dict[str, list[str]] = {}

    def read(self, name: str, rows: Iterator[tuple[int, list[str]]]) -> None:
        """Keep the rows of one sheet, those inside of rows with the number of their row."""
        header: Sequence[str] = ()
        outer, _, below = name.partition(".")
        first = 2 if below else 1
        if below and name not in self._inside.setdefault(outer, []):
            self._inside[outer].append(name)
        for line, cells in rows:
            if not header:
                header, self.key = cells[first:], cells[0]
                continue
            if len(cells) - first > len(header):
                raise Malformed(
                    N_("Line {line} of the sheet {name} has more cells than its header."),
                    line=line,
                    name=name,
                )
            row = {head: cell for head, cell in zip(header, cells[first:], strict=False) if cell}
            place = (name, cells[0], _row_number(name, line, cells) if below else 0)
            self._database.execute(
                "INSERT INTO line SELECT ?, ?, ?, count(*), ? FROM line "
                "WHERE name = ? AND key = ? AND outer = ?",
                (*place, msgspec.json.encode(row).decode(), *place),
            )

    def of(self, name: str, key: str) -> str:
        """Return the rows of one record as JSON, empty when it has none.

        Raises:
            Malformed: rows inside of rows name one that is not there.
        """
        rows = [cells for _, cells in self._found(name, key)]
        for sheet in self._inside.get(name, ()):
            inside: dict[int, list[str]] = {}
            for outer, cells in self._found(sheet, key):
                inside.setdefault(outer, []).append(cells)
            column = msgspec.json.encode(sheet.partition(".")[2]).decode()
            for outer, listed in inside.items():
                if not 0 < outer <= len(rows):
                    text = N_("The sheet {name} names a row {row} of {key}, which is not there.")
                    raise Malformed(text, name=sheet, row=outer, key=key[:80])
                held = rows[outer - 1].removesuffix("}")
                comma = "" if held == "{" else ","
                rows[outer - 1] = f"{held}{comma}{column}:[{','.join(listed)}]}}"
        return f"[{','.join(rows)}]" if rows else ""

    def _found(self, name: str, key: str) -> list[tuple[int, str]]:
        return self._database.execute(
            "SELECT outer, cells FROM line WHERE name = ? AND key = ? ORDER BY outer, place",
            (name, key),
        ).fetchall()

    def close(self) -> None:
        """Forget them."""
        self._database.close()


def _row_number(name: str, line: int, cells: Sequence[str]) -> int:
    """Return the number of the row that a row inside it belongs to.

    Raises:
        Malformed: the second cell says none.
    """
    text = cells[1] if len(cells) > 1 else ""
    if not text.isdecimal() or len(text) > len(str(MAX_ROWS)):
        text = N_("Line {line} of the sheet {name} does not say to which row it belongs.")
        raise Malformed(text, line=line, name=name)
    return int(text)
