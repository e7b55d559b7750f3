"""A database of its own for one operation, on disk, so that memory does not grow with the data."""

import sqlite3
from types import TracebackType
from typing import Self


class Scratch:
    """One table that is gone when it is left."""

    def __init__(self, table: str) -> None:
        """Create `table`, a CREATE TABLE statement written by ourselves."""
        # An empty name is a temporary file that SQLite removes by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(table)
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()
