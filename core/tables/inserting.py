"""Many rows into one table, straight to the driver.

SQLAlchemy makes a dictionary of parameters per row and walks it several times, which is
most of what a large insert costs. Here the statement's text and the converters of its
values are made once per table, and values are converted column by column.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.db import driver_failure, writing_cursor
from core.prebuilt import Prebuilt, for_server, is_gathering, send_gathered
from core.tables.columns import Processor

#: Most rows of a table that become part of one statement with those of other tables.
_FEW = 16

#: Where a table keeps its statements, by dialect name.
_KEPT = "guanxi.insert"


class Insert:
    """The insert of whole rows into one table, for one kind of database."""

    __slots__ = ("_names", "_processors", "_text")

    def __init__(self, table: sa.Table, dialect: Dialect) -> None:
        """Compile the statement for every column of `table`."""
        names = [column.key for column in table.c]
        compiled = table.insert().compile(dialect=dialect, column_keys=names)
        self._text, order = str(compiled), compiled.positiontup
        if order is None:
            self._text, order = for_server(self._text)
        self._names = tuple(order)
        self._processors = {name: _processor(table.c[name], dialect) for name in names}

    def run(
        self,
        connection: Connection,
        rows: Sequence[Mapping[str, Any]],
        given: Mapping[str, Iterable[Any]],
    ) -> None:
        """Insert `rows`; `given` has whole columns that stand in the rows' place."""
        columns = [self._column(name, rows, given) for name in self._names]
        parameters = list(zip(*columns, strict=True))
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
    dialect = connection.dialect
    if is_gathering(connection):
        if len(rows) <= _FEW:
            _insert_few(connection, table, rows, given or {})
            return
        send_gathered(connection)
    kept: dict[str, Insert] = table.info.setdefault(_KEPT, {})
    if dialect.name not in kept:
        kept[dialect.name] = Insert(table, dialect)
    kept[dialect.name].run(connection, rows, given or {})


def _insert_few(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    given: Mapping[str, Iterable[Any]],
) -> None:
    if not rows:
        return
    values: dict[str, Any] = {}
    for column in table.c:
        name = column.key
        each = given[name] if name in given else [row.get(name) for row in rows]
        values.update((f"{name}_{at}", value) for at, value in enumerate(each))
    _few(table, connection.dialect, len(rows)).run(connection, values)


@lru_cache(maxsize=256)
def _few(table: sa.Table, dialect: Dialect, count: int) -> Prebuilt:
    rows = [
        {one.key: sa.bindparam(f"{one.key}_{at}", type_=one.type) for one in table.c}
        for at in range(count)
    ]
    return Prebuilt(table.insert().values(rows), dialect)
