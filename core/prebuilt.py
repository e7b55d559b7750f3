"""Prebuilt statements: SQL that is compiled once and runs on the driver's own connection.

SQLAlchemy builds, checks and renders every statement; the hot paths have it do so once.
Afterwards a statement is a text, the places of its parameters and one converter per
column, and running it costs what the driver costs. Errors are those that SQLAlchemy
raises, so whoever handles them need not know the difference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.db import driver_failure

#: Converts one value of the driver, None included; None where it is right already.
Convert = Callable[[Any], Any] | None

Values = Mapping[str, Any]
Row = Sequence[Any]


class Prebuilt:
    """One statement in one dialect; never changes, safe to share between threads.

    Its parameters are its `bindparam`s without a value; lists in it (`IN (…)`) are those
    it was built with.

    Attributes:
        sql: the text that the driver gets.
        types: the types of a SELECT's columns.
        readers: the columns whose values the driver does not give as Python values, with
            what makes them so; known once the statement ran.
    """

    __slots__ = ("_arguments", "_dialect", "_has_run", "_open", "readers", "sql", "types")

    def __init__(
        self, statement: Any, dialect: Dialect, names: Iterable[str] | None = None
    ) -> None:
        """Compile `statement`; `names` are the columns that an INSERT or UPDATE sets."""
        compiled = statement.compile(
            dialect=dialect, column_keys=None if names is None else list(names)
        )
        binds = compiled.binds
        is_open = {name for name, bind in binds.items() if bind.required}
        state = compiled.construct_expanded_state(dict.fromkeys(is_open))
        convert = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in binds.items()
        } | dict(state.processors)
        fixed = {
            name: value if convert.get(name) is None else convert[name](value)
            for name, value in state.parameters.items()
            if name not in is_open
        }
        #: What the driver gets, with holes, by position on SQLite and by name on PostgreSQL.
        self._arguments: Any
        places: Iterable[tuple[Any, str]]
        if state.positiontup is None:
            self._arguments = fixed
            places = ((compiled.escaped_bind_names.get(name, name), name) for name in is_open)
        else:
            self._arguments = [fixed.get(name) for name in state.positiontup]
            places = (
                (place, name) for place, name in enumerate(state.positiontup) if name in is_open
            )
        self._open = tuple((place, name, convert.get(name)) for place, name in places)
        self._dialect = dialect
        self._has_run = False
        self.types = tuple(column.type for column in getattr(statement, "selected_columns", ()))
        self.readers: tuple[tuple[int, Callable[[Any], Any]], ...] = ()
        self.sql: str = state.statement

    def rows(self, connection: Connection, values: Values) -> list[Row]:
        """Return the rows of a SELECT in Python values."""
        return [self.read(row) for row in self.raw(connection, values)]

    def raw(self, connection: Connection, values: Values) -> list[Row]:
        """Return the rows of a SELECT as the driver gives them."""
        try:
            cursor = self._execute(connection, values)
            if not self._has_run:
                self.readers = self._compiled_readers(cursor.description)
                self._has_run = True
            found: list[Row] = cursor.fetchall()
        except self._dialect.loaded_dbapi.Error as error:
            raise driver_failure(connection, self.sql, error) from error
        return found

    def run(self, connection: Connection, values: Values) -> None:
        """Execute an INSERT, UPDATE or DELETE."""
        try:
            self._execute(connection, values)
        except self._dialect.loaded_dbapi.Error as error:
            raise driver_failure(connection, self.sql, error) from error

    def read(self, row: Row) -> Row:
        """Return a row of `raw` in Python values."""
        if not self.readers:
            return row
        made = list(row)
        for index, convert in self.readers:
            made[index] = convert(made[index])
        return made

    def _execute(self, connection: Connection, values: Values) -> Any:
        arguments = self._arguments.copy()
        for place, name, convert in self._open:
            value = values[name]
            arguments[place] = value if convert is None else convert(value)
        return connection.connection.driver_connection.execute(  # type: ignore[union-attr]
            self.sql, arguments
        )

    def _compiled_readers(self, description: Any) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
        dialect = self._dialect
        readers = [
            (index, one.dialect_impl(dialect).result_processor(dialect, description[index][1]))
            for index, one in enumerate(self.types)
        ]
        return tuple((index, convert) for index, convert in readers if convert is not None)


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Send the writes of a block to PostgreSQL at once and wait for them once, at its end.

    What one of them raises is raised there, as SQLAlchemy raises it.
    """
    if connection.dialect.name == "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, "several statements", error) from error


@lru_cache(maxsize=256)
def inserting(table: sa.Table, dialect: Dialect, names: tuple[str, ...]) -> Prebuilt:
    """Return the statement that inserts one row with the columns `names`."""
    return Prebuilt(table.insert().inline(), dialect, names)


@lru_cache(maxsize=256)
def updating(table: sa.Table, dialect: Dialect, names: tuple[str, ...]) -> Prebuilt:
    """Return the statement that sets the columns `names` of the row with the id `gx_id`."""
    return Prebuilt(table.update().where(table.c.id == sa.bindparam("gx_id")), dialect, names)
