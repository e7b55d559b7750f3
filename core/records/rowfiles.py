"""Files of rows, whatever their kind: chosen by what they begin with, never by their name."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from core.records.csvreading import Row, RowFile
from core.records.workbooks import MAGIC, WorkbookFile, check_not_old


class Rows(Protocol):
    """A file whose rows can be read once, and how far that is.

    Attributes:
        size: bytes of the file.
        is_escaped: texts that look like formulas have a `'` before them, as exports write it.
    """

    size: int
    is_escaped: bool

    @property
    def position(self) -> int:
        """Return how many of the bytes were read."""

    def rows(self) -> Iterator[Row]:
        """Yield the header as row 0 and then every row; raises Malformed and TooLarge."""


def open_rows(path: Path, tables: Collection[str] = ()) -> Rows:
    """Return the rows of a CSV file or a workbook.

    Args:
        path: the file; CSV may be packed by gzip or xz.
        tables: table fields that sheets of their own may hold.

    Raises:
        Malformed: it is a workbook that nobody can read here.
    """
    with path.open("rb") as file:
        start = file.read(8)
    check_not_old(start)
    return WorkbookFile(path, tables) if start.startswith(MAGIC) else RowFile(path)
