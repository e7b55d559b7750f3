"""Many rows into one table, straight to the driver.

SQLAlchemy makes a dictionary of parameters per row and walks it several times, which is
most of what a large insert costs. Here the statement's text and the converters of its
values are made once per table, and values are converted column by column.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.db import driver_failure, writing_cursor
from core.tables.columns import Processor

#: Where a table keeps its statements, by dialect name.
_KEPT = "guanxi.insert"


class Insert:
    """The insert of whole rows into one table, for one kind of database."""

    __slots__ = ("_is_positional", "_names", "_processors", "_text")

    def __init__(self, table: sa.Table, dialect: Dialect) -> None:
        """Compile the statement for every column of `table`."""
        names = [column.key for column in table.c]
        compiled = table.insert().compile(dialect=dialect, column_keys=names)
        self._text = str(compiled)
        self._is_positional = bool(compiled.positional)
        self._names: tuple[str, ...] = tuple(compiled.positiontup or names)
        self._processors = {name: _processor(table.c[name], dialect) for name in names}

    def run(
        self,
        connection: Connection,
        rows: Sequence[Mapping[str, Any]],
        given: Mapping[str, Iterable[Any]],
    ) -> None:
        """Insert `rows`; `given` has whole columns that stand in the rows' place."""
        columns = [self._column(name, rows, given) for name in self._names]
        parameters: list[Any] = list(zip(*columns, strict=True))
        if not self._is_positional:
            parameters = [dict(zip(self._names, row, strict=True)) for row in parameters]
        if parameters:
            try:
                writing_cursor(connection).executemany(self._text, parameters)
            except connection.dialect.loaded_dbapi.Error as error:
                raise driver_failure(connection, self._text, error) from error

    def _column(
        self, name: str, rows: Sequence[Mapping[str, Any]], given: Mapping[str, Iterable[Any]]
    ) -> list[Any]:
        values = list(given[name]) if name in given else [row.get(name) for row in rows]
        process = self._processors[name]
        return values if process is None else [process(value) for value in values]


def _processor(column: sa.Column[Any], dialect: Dialect) -> Processor | None:
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def insert_all(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    given: Mapping[str, Iterable[Any]] | None = None,
) -> None:
    """Insert many rows of Python values; what a row does not name is null.

    Args:
        connection: the write transaction.
        table: the table; every column of it is written.
        rows: column name to value; other names are left aside.
        given: whole columns, a value per row, that the rows themselves do not hold.
    """
    kept: dict[str, Insert] = table.info.setdefault(_KEPT, {})
    dialect = connection.dialect
    if dialect.name not in kept:
        kept[dialect.name] = Insert(table, dialect)
    kept[dialect.name].run(connection, rows, given or {})
