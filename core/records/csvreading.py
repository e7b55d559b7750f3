"""Any file to rows of text, within bounds: compression, encoding, dialect.

A file is read twice: once to learn its encoding and that its unpacked size is within
bounds, once to hand its rows out. Memory does not grow with the file, however it is made.
"""

import codecs
import csv
import gzip
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from core.errors import Malformed, TooLarge
from core.i18n import N_

#: Bounds of a file: unpacked bytes, characters of a line and of a cell, columns.
MAX_BYTES = 4 * 1024**3
#: A packed file that unpacks to more than so many times its size is no table.
MAX_RATIO = 400
#: A table field is one cell of JSON, however many rows it has.
MAX_LINE = 4_000_000
MAX_CELL = 2_000_000
MAX_COLUMNS = 1_000

#: Follows the last line: a quote that is still open swallows it.
_END = "\x1e\x1dend of file\x1d\x1e"
_CHUNK = 256 * 1024
_SAMPLE = 64 * 1024
_DELIMITERS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of cells; `line` is the physical line it starts on, both numbers from 1."""

    number: int
    line: int
    cells: list[str]


def unpacked(raw: BufferedReader) -> IO[bytes]:
    """Return an open file's bytes, unpacked when it is gzip or xz, whatever its name is."""
    magic = raw.peek(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(raw, "rb"))
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(raw, "rb")
    return raw


def detect_encoding(path: Path) -> str:
    """Return the encoding of a text file, having read all of it.

    Raises:
        Malformed: it is no text in UTF-8, UTF-16 or GB18030, or its packing is broken.
        TooLarge: it unpacks to more than `MAX_BYTES`.
    """
    start = _first(path)
    candidates = ["utf-8", "gb18030"]
    nulls = start[0::2].count(0), start[1::2].count(0)
    marked = [encoding for mark, encoding in _BOMS if start.startswith(mark)]
    if marked:
        candidates = marked[:1]  # and yet the rest may be anything
    elif max(nulls) > len(start) // 4:
        candidates = ["utf-16-le" if nulls[1] > nulls[0] else "utf-16-be"]
    for encoding in candidates:
        if _decodes(path, encoding):
            return encoding
    raise Malformed(N_("The file is not text in UTF-8, UTF-16 or GB18030."))


def _first(path: Path) -> bytes:
    try:
        with path.open("rb") as raw, unpacked(raw) as source:
            return source.read(_SAMPLE)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise Malformed(N_("The compressed file is broken.")) from error


def _decodes(path: Path, encoding: str) -> bool:
    decoder, size = codecs.getincrementaldecoder(encoding)(), 0
    limit = min(MAX_BYTES, path.stat().st_size * MAX_RATIO + _CHUNK)
    try:
        with path.open("rb") as raw, unpacked(raw) as source:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise TooLarge(N_("The file unpacks to more than {limit} bytes."), limit=limit)
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise Malformed(N_("The compressed file is broken.")) from error
    return True


def _lines(source: IO[bytes] | BufferedReader, encoding: str) -> Iterator[str]:
    """Yield lines with their ends; refuse one that is too long before it is whole."""
    decoder = codecs.getincrementaldecoder(encoding)()
    rest = ""
    while True:
        chunk = source.read(_CHUNK)
        text = rest + decoder.decode(chunk, final=not chunk)
        # A carriage return at the end of a chunk may have its line feed in the next one.
        held = "\r" if chunk and text.endswith("\r") else ""
        lines = (
            text[: len(text) - len(held)].splitlines(keepends=True)
            if not _odd(text)
            else (_split(text[: len(text) - len(held)]))
        )
        rest = held
        if lines and chunk and not lines[-1].endswith(("\n", "\r")):
            rest = lines.pop() + held
        if len(rest) > MAX_LINE:
            raise Malformed(N_("A line has more than {limit} characters."), limit=MAX_LINE)
        yield from lines
        if not chunk:
            return


def _odd(text: str) -> bool:
    """Return whether `splitlines` would also split at characters that end no line of CSV."""
    return any(char in text for char in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")


def _split(text: str) -> list[str]:
    pieces = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [f"{piece}\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


def detect_delimiter(line: str) -> str:
    """Return the delimiter that stands most often outside quotes in the header line."""
    bare = "".join(line.split('"')[0::2])
    return max(_DELIMITERS, key=lambda one: (bare.count(one), -_DELIMITERS.index(one)))


class RowFile:
    """A file of rows; it knows how far it was read.

    Attributes:
        size: bytes of the file as it lies on the disk, packed or not.
        is_escaped: texts that look like formulas have a `'` before them.
    """

    is_escaped = True

    def __init__(self, path: Path) -> None:
        """Read `path`; it is opened when its rows are asked for."""
        self._path = path
        self._raw: BufferedReader | None = None
        self.size = path.stat().st_size

    @property
    def position(self) -> int:
        """Return how many of the bytes were read."""
        if self._raw is None:
            return 0
        return self.size if self._raw.closed else self._raw.tell()

    def rows(self) -> Iterator[Row]:
        """Yield the header as row 0 and then every row that is not blank.

        Raises:
            Malformed: it cannot be read on; the text says why and where.
            TooLarge: it is over a bound.
        """
        encoding = detect_encoding(self._path)
        with self._path.open("rb") as self._raw, unpacked(self._raw) as source:
            lines = _lines(source, encoding)
            first = next(lines, "")
            if not first.strip():
                raise Malformed(N_("The file has no header line."))
            yield from _parsed(first, lines, detect_delimiter(first))


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the header as row 0 and then every row; see `RowFile.rows`."""
    return RowFile(path).rows()


def _parsed(first: str, lines: Iterator[str], delimiter: str) -> Iterator[Row]:
    reader = csv.reader(_chained(first, lines), delimiter=delimiter)
    csv.field_size_limit(MAX_CELL)
    number = line = 0
    try:
        for cells in reader:
            start, line = line + 1, reader.line_num
            if not cells or cells == [""]:
                continue
            if cells[-1].endswith(_END):
                if cells == [_END]:
                    return
                raise _unreadable(start)
            if len(cells) > MAX_COLUMNS:
                raise Malformed(
                    N_("Line {line} has more than {limit} columns."), line=start, limit=MAX_COLUMNS
                )
            yield Row(number, start, cells)
            number += 1
    except csv.Error as error:
        raise _unreadable(line + 1) from error


def _unreadable(line: int) -> Malformed:
    return Malformed(
        N_(
            "The row that starts on line {line} cannot be read: a cell is too long or a quote "
            "is not closed."
        ),
        line=line,
    )


def _chained(first: str, lines: Iterator[str]) -> Iterator[str]:
    yield first
    yield from lines
    yield _END


def read_header(row: Row) -> list[str]:
    """Return the column names of the header row.

    Raises:
        Malformed: a name is empty, comes twice or holds a control character.
    """
    names = [cell.strip() for cell in row.cells]
    while names and not names[-1]:
        names.pop()
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name or not name.isprintable() or "`" in name:
            raise Malformed(N_("Column {place} has no usable name."), place=place)
        if name in seen:
            raise Malformed(N_("The column {name} is there twice."), name=name[:80])
        seen.add(name)
    return names
