"""Prebuilt statements: SQL that is compiled once and runs on the driver's own connection.

SQLAlchemy builds, checks and renders every statement; the hot paths have it do so once.
Afterwards a statement is a text, the places of its parameters and one converter per
column, and running it costs what the driver costs. Errors are those that SQLAlchemy
raises, so whoever handles them need not know the difference.

Most of what a page costs is making Python values of cells that leave as text again, so
instants, dates, decimals and JSON are fetched as the text that the database wrote;
whoever wants values calls `Prebuilt.read`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.db import driver_failure, new_cursor, reading_cursor, writing_cursor

#: Where a pooled connection keeps the inserts of `at_once` that are not sent yet.
_GATHERED = "gx_gathered"

#: A parameter in a text of SQLAlchemy for PostgreSQL, and a percent sign in it.
_HOLE = re.compile(r"%\((\w+)\)s|%%")

#: Converts one value of the driver, None included; None where it is right already.
Convert = Callable[[Any], Any] | None

Values = Mapping[str, Any]
Row = Sequence[Any]

#: The types of `core.db.TEXT_TYPES` by PostgreSQL's numbers, with what makes values of a text.
_TEXTS: Mapping[int, tuple[str, Callable[[str], Any]]] = {
    1082: ("date", date.fromisoformat),
    1184: ("timestamptz", datetime.fromisoformat),
    1700: ("numeric", Decimal),
    3802: ("jsonb", msgspec.json.decode),
}


class Prebuilt:
    """One statement in one dialect; never changes, safe to share between threads.

    Its parameters are its `bindparam`s without a value; lists in it (`IN (…)`) are those
    it was built with.

    Attributes:
        sql: the text that the driver gets.
        types: the types of a SELECT's columns.
        readers: the columns whose values `raw` does not give as Python values, with what
            makes them so; known once the statement ran.
        texts: the columns that `raw` gives as PostgreSQL's text, with the name of the type.
    """

    __slots__ = (
        "_arguments",
        "_dialect",
        "_has_run",
        "_open",
        "_options",
        "_template",
        "readers",
        "sql",
        "texts",
        "types",
    )

    def __init__(
        self,
        statement: Any,
        dialect: Dialect,
        names: Iterable[str] | None = None,
        *,
        is_planned_once: bool = True,
    ) -> None:
        """Compile `statement`.

        Args:
            statement: what SQLAlchemy is to render.
            dialect: for which database.
            names: the columns that an INSERT or UPDATE sets.
            is_planned_once: PostgreSQL keeps a plan; without it each call is planned for its
                own values, where they decide which way is fast.
        """
        self._options = {} if dialect.name == "sqlite" else {"prepare": is_planned_once}
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
        self.sql = self._template = state.statement
        order = state.positiontup
        if order is None:
            names_in = {
                compiled.escaped_bind_names.get(name, name): name for name in state.parameters
            }
            self.sql, places_in = for_server(self.sql)
            order = [names_in[name] for name in places_in]
        #: What the driver gets, with holes.
        self._arguments = [fixed.get(name) for name in order]
        places = ((place, name) for place, name in enumerate(order) if name in is_open)
        self._open = tuple((place, name, convert.get(name)) for place, name in places)
        self._dialect = dialect
        self._has_run = False
        self.types = tuple(column.type for column in getattr(statement, "selected_columns", ()))
        self.readers: tuple[tuple[int, Callable[[Any], Any]], ...] = ()
        self.texts: Mapping[int, str] = {}

    def part(self, before: int) -> tuple[str, int]:
        """Return the text within a longer one of PostgreSQL, and how many parameters it has.

        `before` are the parameters of that one that stand before its own.
        """
        return for_server(self._template, before)[0], len(self._arguments)

    def rows(self, connection: Connection, values: Values) -> list[Row]:
        """Return the rows of a SELECT in Python values."""
        return [self.read(row) for row in self.raw(connection, values)]

    def raw(self, connection: Connection, values: Values) -> list[Row]:
        """Return the rows of a SELECT as the database gives them."""
        try:
            cursor = self._execute(reading_cursor(connection), values)
            found: list[Row] = cursor.fetchall()
            if not self._has_run:  # within `together` columns are known once they are fetched
                self._learn(cursor.description)
        except self._dialect.loaded_dbapi.Error as error:
            raise driver_failure(connection, self.sql, error) from error
        return found

    def run(self, connection: Connection, values: Values) -> None:
        """Execute an INSERT, UPDATE or DELETE."""
        gathered = connection.info.get(_GATHERED)
        if gathered is not None:
            gathered.append((self, self.arguments_of(values)))
            return
        try:
            self._execute(writing_cursor(connection), values)
        except self._dialect.loaded_dbapi.Error as error:
            raise driver_failure(connection, self.sql, error) from error

    def changed(self, connection: Connection, values: Values) -> int:
        """Execute an UPDATE or DELETE; return how many rows it found. Not within `together`."""
        return self.sent(connection, values)()

    def sent(self, connection: Connection, values: Values) -> Callable[[], int]:
        """Execute an UPDATE or DELETE; return what tells how many rows it found.

        That is known at the end of `together`, within which it is for.
        """
        try:
            cursor = self._execute(new_cursor(connection), values)
        except self._dialect.loaded_dbapi.Error as error:
            raise driver_failure(connection, self.sql, error) from error
        return lambda: int(cursor.rowcount)

    def asked(self, connection: Connection, values: Values) -> Callable[[], list[Row]]:
        """Ask a SELECT; return what gives its rows in Python values.

        Within `together` several are on their way at once; the rows are there at its end.
        """
        try:
            cursor = self._execute(new_cursor(connection), values)
        except self._dialect.loaded_dbapi.Error as error:
            raise driver_failure(connection, self.sql, error) from error

        def rows() -> list[Row]:
            try:
                found: list[Row] = cursor.fetchall()
                if not self._has_run:
                    self._learn(cursor.description)
            except self._dialect.loaded_dbapi.Error as error:
                raise driver_failure(connection, self.sql, error) from error
            return [self.read(row) for row in found]

        return rows

    def read(self, row: Row) -> Row:
        """Return a row of `raw` in Python values."""
        if not self.readers:
            return row
        made = list(row)
        for index, convert in self.readers:
            made[index] = convert(made[index])
        return made

    def _execute(self, driver: Any, values: Values) -> Any:
        return driver.execute(self.sql, self.arguments_of(values), **self._options)

    def arguments_of(self, values: Values) -> list[Any]:
        """Return what the driver gets, in its order, of values by name."""
        arguments = self._arguments.copy()
        for place, name, convert in self._open:
            value = values[name]
            arguments[place] = value if convert is None else convert(value)
        return arguments

    def _learn(self, description: Any) -> None:
        """Find out what makes Python values of the columns that the driver describes."""
        dialect = self._dialect
        oids = [] if dialect.name == "sqlite" else [column[1] for column in description]
        self.texts = {index: _TEXTS[oid][0] for index, oid in enumerate(oids) if oid in _TEXTS}
        readers = []
        for index, one in enumerate(self.types):
            convert = one.dialect_impl(dialect).result_processor(dialect, description[index][1])
            if index in self.texts:
                convert = _from_text(_TEXTS[oids[index]][1], convert)
            if convert is not None:
                readers.append((index, convert))
        self.readers = tuple(readers)
        self._has_run = True


def _from_text(read: Callable[[str], Any], convert: Convert) -> Callable[[str | None], Any]:
    """Return what reads a text, and then what SQLAlchemy would make of the driver's value."""

    def value(text: str | None) -> Any:
        found = None if text is None else read(text)
        return found if convert is None else convert(found)

    return value


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


@contextmanager
def at_once(connection: Connection) -> Iterator[None]:
    """Send what a block runs of prebuilt inserts to PostgreSQL as one statement, at its end.

    A statement costs about as much as its rows. Within the block nothing else is executed:
    none of the rows can be read yet. They are written in no order: what counts up as rows come
    does so at random.
    """
    if connection.dialect.name == "sqlite" or _GATHERED in connection.info:
        yield
        return
    info = connection.info  # that of a connection which dies meanwhile is not to be had later
    info[_GATHERED] = []
    try:
        yield
        send_gathered(connection)
    finally:
        info.pop(_GATHERED, None)


def is_gathering(connection: Connection) -> bool:
    """Return whether a block of `at_once` is open, within which prebuilt inserts wait."""
    return _GATHERED in connection.info


def send_gathered(connection: Connection) -> None:
    """Send what a block of `at_once` ran so far, before something that must come after it."""
    gathered = connection.info.get(_GATHERED)
    if not gathered:
        return
    sql = _one_insert(tuple(prebuilt for prebuilt, _ in gathered))
    arguments = _arguments(gathered)
    gathered.clear()
    try:
        # Prepared by the driver once it comes again: types of numbers, and of none, may be many.
        writing_cursor(connection).execute(sql, arguments)
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, sql, error) from error


def texts_at_once(
    connection: Connection, asked: Sequence[tuple[Prebuilt, Values]]
) -> list[list[str]]:
    """Return what each of several SELECTs of one text column finds, from PostgreSQL in one."""
    if connection.dialect.name == "sqlite" or not asked[1:]:
        return [[row[0] for row in one.raw(connection, values)] for one, values in asked]
    sql = _one_select(tuple(prebuilt for prebuilt, _ in asked))
    arguments = [(one, one.arguments_of(values)) for one, values in asked]
    found: list[list[str]] = [[] for _ in asked]
    try:
        rows = reading_cursor(connection).execute(sql, _arguments(arguments), prepare=True)
        for place, text in rows.fetchall():
            found[place].append(text)
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, sql, error) from error
    return found


def _arguments(parts: Sequence[tuple[Prebuilt, list[Any]]]) -> list[Any]:
    return [value for _, arguments in parts for value in arguments]


def _texts(parts: Sequence[Prebuilt]) -> list[str]:
    """Return the texts of statements whose parameters follow each other in one list."""
    texts, before = [], 0
    for one in parts:
        text, count = one.part(before)
        texts.append(text)
        before += count
    return texts


@lru_cache(maxsize=256)
def _one_insert(parts: tuple[Prebuilt, ...]) -> str:
    *first, last = _texts(parts)
    before = ", ".join(f"w{at} AS ({text})" for at, text in enumerate(first))
    return f"WITH {before} {last}" if first else last


@lru_cache(maxsize=256)
def _one_select(parts: tuple[Prebuilt, ...]) -> str:
    texts = _texts(parts)
    before = ", ".join(f"w{at} (text) AS ({text})" for at, text in enumerate(texts))
    every = " UNION ALL ".join(f"SELECT {at}, text FROM w{at}" for at in range(len(texts)))  # noqa: S608  fixed texts
    return f"WITH {before} {every}"


def for_server(sql: str, before: int = 0) -> tuple[str, list[str]]:
    """Return a text of SQLAlchemy for PostgreSQL as its server takes it, and its parameters.

    >>> for_server("SELECT %(a)s, %(b)s, %(a)s")
    ('SELECT $1, $2, $1', ['a', 'b'])
    >>> for_server("SELECT %(a)s", before=2)
    ('SELECT $3', ['a'])
    """
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${before + names.index(name) + 1}"

    return _HOLE.sub(place, sql), names


@lru_cache(maxsize=256)
def inserting(table: sa.Table, dialect: Dialect, names: tuple[str, ...]) -> Prebuilt:
    """Return the statement that inserts one row with the columns `names`."""
    return Prebuilt(table.insert().inline(), dialect, names)


@lru_cache(maxsize=256)
def updating(table: sa.Table, dialect: Dialect, names: tuple[str, ...]) -> Prebuilt:
    """Return the statement that sets the columns `names` of the row with the id `gx_id`."""
    return Prebuilt(table.update().where(table.c.id == sa.bindparam("gx_id")), dialect, names)
