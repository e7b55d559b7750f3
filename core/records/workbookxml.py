"""The XML inside a workbook as a stream: its sheets, its shared texts, its rows of cells.

Memory holds one row and the shared texts. Work is bounded too: what is read without
yielding a value (empty rows, formats, extensions) may be no more than a share of what
is. No entity is ever expanded, no address followed, no name of a part used as a path.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any
from xml.parsers import expat
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from core.errors import Malformed, TooLarge
from core.i18n import N_

#: The last row and column of a spreadsheet, and of its columns the last that is read.
MAX_ROW = 1_048_576
MAX_COLUMN = 16_384
#: Bounds of a workbook: sheets, elements of the parts that are held in memory.
MAX_SHEETS = 1_000
MAX_HELD_ELEMENTS = 5_000_000

#: Elements, or so many bytes each, that a sheet may have for nothing, and beside each value.
FREE_ELEMENTS = 4_000_000
_PER_VALUE = 100
_BYTES = 100

_CHUNK = 64 * 1024
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")

#: The type of a cell, the number of its format, its text.
Cell = tuple[str, int, str]


@dataclass(slots=True)
class SheetRow:
    """One row of a sheet.

    Attributes:
        line: its number in the sheet, from 1.
        cells: (column from 0, cell) of each cell that holds something, as the file has them.
    """

    line: int
    cells: list[tuple[int, Cell]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet's title and the part that holds its rows."""

    title: str
    part: str


def broken() -> Malformed:
    """Return what to say of a workbook that is none."""
    return Malformed(N_("The workbook is broken and cannot be read."))


def too_large() -> TooLarge:
    """Return what to say of a workbook over a bound."""
    return TooLarge(N_("The workbook unpacks to more than can be read; save it as CSV."))


Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Text = Callable[[str], None]


def parse(
    archive: ZipFile, part: str, start: Start, end: End | None = None, text: Text | None = None
) -> Iterator[int]:
    """Parse a part, calling the handlers, and yield how many bytes were read so far.

    A caller that has seen enough calls `quiet` of its handlers' parser; the rest is then
    only checked.

    Raises:
        Malformed: it is no XML, it declares entities, or it is not in the archive.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_declared: Any) -> None:
        raise broken()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    done = 0
    try:
        with archive.open(part) as file:
            while chunk := file.read(_CHUNK):
                parser.Parse(chunk, False)
                done += len(chunk)
                yield done
            parser.Parse(b"", True)
    except (expat.ExpatError, BadZipFile, KeyError, OSError, EOFError) as error:
        raise broken() from error


def check_packing(archive: ZipFile) -> None:
    """Refuse parts that are packed otherwise than a workbook's are: those unpack unbounded.

    Raises:
        Malformed: one is.
    """
    if any(one.compress_type not in {ZIP_STORED, ZIP_DEFLATED} for one in archive.infolist()):
        raise broken()


def local(name: str) -> str:
    """Return an element's name without its prefix."""
    return name.rpartition(":")[2] if ":" in name else name


def _held(
    archive: ZipFile, part: str, start: Start, end: End | None = None, text: Text | None = None
) -> None:
    """Parse a part whose content is kept; raises TooLarge over the bound of its elements."""
    count = 0

    def counted(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_HELD_ELEMENTS:
            raise too_large()
        start(name, attributes)

    for _done in parse(archive, part, counted, end, text):
        pass


class Workbook:
    """What is in an archive that should be a workbook.

    Attributes:
        sheets: its worksheets, in their order.
        is_1904: days are counted from 1904.
        formats: the number format of each cell format, as its number or its code.
        texts: the texts that cells share.
        size: bytes of its sheets.
    """

    def __init__(self, archive: ZipFile) -> None:
        """Read everything but the rows.

        Raises:
            Malformed: it is no workbook, or broken.
            TooLarge: it is over a bound.
        """
        self._archive = archive
        check_packing(archive)
        self._names = frozenset(archive.namelist())
        self.is_1904 = False
        self.sheets: list[Sheet] = []
        self.formats: list[str] = []
        self.texts: list[str] = []
        book = next(self._related("", "officeDocument"), "xl/workbook.xml")
        self._read_book(book)
        self.size = sum(archive.getinfo(one.part).file_size for one in self.sheets)
        for part in self._related(book, "styles"):
            self._read_formats(part)
        for part in self._related(book, "sharedStrings"):
            self._read_texts(part)

    def _relations(self, part: str) -> Iterator[tuple[str, str, str]]:
        """Yield (id, last word of the kind, part) of what a part points to in the archive."""
        path = PurePosixPath(part)
        place = str(path.parent / "_rels" / f"{path.name}.rels") if part else "_rels/.rels"
        if place not in self._names:
            return
        found: list[tuple[str, str, str]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            if local(name) == "Relationship" and attributes.get("TargetMode") != "External":
                target = normpath(f"/{path.parent}/{attributes.get('Target', '')}")
                if attributes.get("Target", "").startswith("/"):
                    target = normpath(attributes["Target"])
                kind = attributes.get("Type", "").rpartition("/")[2]
                found.append((attributes.get("Id", ""), kind, target.lstrip("/")))

        _held(self._archive, place, start)
        yield from (one for one in found if one[2] in self._names)

    def _related(self, part: str, kind: str) -> Iterator[str]:
        return (target for _id, found, target in self._relations(part) if found == kind)

    def _read_book(self, part: str) -> None:
        relations = {
            key: target for key, kind, target in self._relations(part) if kind == "worksheet"
        }

        def start(name: str, attributes: dict[str, str]) -> None:
            name = local(name)
            if name == "workbookPr":
                self.is_1904 = attributes.get("date1904", "") in {"1", "true"}
            elif name == "sheet":
                keys = [text for key, text in attributes.items() if local(key) == "id"]
                if keys and keys[0] in relations:
                    self._add_sheet(attributes.get("name", ""), relations[keys[0]])

        _held(self._archive, part, start)

    def _add_sheet(self, title: str, part: str) -> None:
        if len(self.sheets) == MAX_SHEETS:
            raise too_large()
        if any(one.part == part for one in self.sheets):
            raise broken()
        self.sheets.append(Sheet(title, part))

    def _read_formats(self, part: str) -> None:
        codes: dict[str, str] = {}
        inside = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal inside
            name = local(name)
            if name == "numFmt":
                codes[attributes.get("numFmtId", "")] = attributes.get("formatCode", "")
            elif name == "cellXfs":
                inside = True
            elif name == "xf" and inside:
                number = attributes.get("numFmtId", "0")
                self.formats.append(codes.get(number, number))

        def end(name: str) -> None:
            nonlocal inside
            if local(name) == "cellXfs":
                inside = False

        _held(self._archive, part, start, end)

    def _read_texts(self, part: str) -> None:
        pieces: list[str] = []
        collecting = phonetic = False

        def start(name: str, _attributes: dict[str, str]) -> None:
            nonlocal collecting, phonetic
            name = local(name)
            if name == "t":
                collecting = not phonetic
            elif name == "rPh":
                phonetic = True

        def end(name: str) -> None:
            nonlocal collecting, phonetic
            name = local(name)
            if name == "t":
                collecting = False
            elif name == "rPh":
                phonetic = False
            elif name == "si":
                self.texts.append(unescaped("".join(pieces)))
                pieces.clear()

        def text(some: str) -> None:
            if collecting:
                pieces.append(some)

        _held(self._archive, part, start, end, text)

    def rows(
        self, sheet: Sheet, longest: int, told: Callable[[float], None]
    ) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that hold something.

        Args:
            sheet: one of this workbook.
            longest: characters of a cell that are read; what follows is one more of them.
            told: called now and then with the share of the sheet that was read.

        Raises:
            Malformed: it is broken.
            TooLarge: it has hardly anything in it for its size.
        """
        reader = _Rows(longest)
        size = max(self._archive.getinfo(sheet.part).file_size, 1)
        for done in parse(self._archive, sheet.part, reader.start, reader.end, reader.text):
            reader.check(done)
            told(min(done / size, 1.0))
            yield from reader.take()
        yield from reader.take()


class _Rows:
    """Handlers that gather rows of cells."""

    __slots__ = (
        "_cells", "_collecting", "_column", "_elements", "_format", "_inside", "_kind", "_length",
        "_line", "_longest", "_phonetic", "_pieces", "_rows", "_values",
    )  # fmt: skip

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rows: list[SheetRow] = []
        self._cells: list[tuple[int, Cell]] = []
        self._pieces: list[str] = []
        self._kind = ""
        self._line = self._column = self._format = self._length = 0
        self._elements = self._values = 0
        self._inside = self._collecting = self._phonetic = False

    def check(self, done: int) -> None:
        """Refuse a sheet of which `done` bytes had little in them."""
        if self._elements + done // _BYTES > FREE_ELEMENTS + _PER_VALUE * self._values:
            raise too_large()

    def take(self) -> list[SheetRow]:
        """Return the rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        self._elements += 1
        name = local(name)
        if name == "c":
            self._kind = attributes.get("t", "n")
            self._format = _whole(attributes.get("s", "0"))
            place = attributes.get("r")
            self._column = self._column + 1 if place is None else _column(place)
            if self._column >= MAX_COLUMN:
                raise broken()
        elif name == "v":
            self._collecting = self._kind != "inlineStr"
        elif name == "t":
            self._collecting = self._kind == "inlineStr" and not self._phonetic
        elif name == "row":
            line = attributes.get("r")
            self._line = self._line + 1 if line is None else _whole(line)
            if not self._inside or not 1 <= self._line <= MAX_ROW:
                raise broken()
            self._column = -1
        elif name == "rPh":
            self._phonetic = True
        elif name == "sheetData":
            self._inside = True

    def text(self, some: str) -> None:
        """Take text of an element."""
        if self._collecting and self._length <= self._longest:
            self._pieces.append(some)
            self._length += len(some)

    def end(self, name: str) -> None:
        """End an element."""
        name = local(name)
        if name in {"v", "t"}:
            self._collecting = False
        elif name == "c":
            if self._pieces:
                value = "".join(self._pieces)[: self._longest + 1]
                self._cells.append((self._column, (self._kind, self._format, value)))
                self._pieces, self._length = [], 0
                self._values += 1
        elif name == "row":
            if self._cells:
                self._rows.append(SheetRow(self._line, self._cells))
                self._cells = []
        elif name == "rPh":
            self._phonetic = False
        elif name == "sheetData":
            self._inside = False


def unescaped(text: str) -> str:
    """Return a text with `_x000D_` and the like as the characters they stand for."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if 0xD800 <= code <= 0xDFFF else chr(code)  # noqa: PLR2004  half of a pair


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):  # noqa: PLR2004
        raise broken()
    return int(text)


#: Letters -> column from 0, of those seen.
_COLUMNS: dict[str, int] = {}


def _column(place: str) -> int:
    """Return the column of `AB12`, from 0."""
    letters = place.rstrip("0123456789")
    found = _COLUMNS.get(letters)
    if found is not None:
        return found
    if not (letters.isascii() and letters.isalpha() and len(letters) <= 3):  # noqa: PLR2004
        raise broken()
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    if number <= MAX_COLUMN:
        _COLUMNS[letters] = number - 1
    return number - 1
