"""One database, SQLite or PostgreSQL, with one way to read and one way to write.

Readers see one snapshot (`BEGIN`); writers on SQLite take the write lock at once
(`BEGIN IMMEDIATE`), because a deferred transaction that upgrades later fails
without waiting. Tables of the product itself are declared on `metadata`.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError, StatementError
from sqlalchemy.pool import PoolProxiedConnection

from core.errors import Malformed, ReleaseChanged, Unavailable
from core.i18n import N_

#: The product's own tables, named `gx_*`; every module declares its own here.
metadata = sa.MetaData()

#: Seconds a writer waits for another before the caller is told to try again.
BUSY_SECONDS = 5

#: Where a pooled connection of SQLite keeps whether its commits wait for the disk, and whether
#: somebody asked for that within the transaction under way.
_DURABLE, _ASKED = "gx_durable", "gx_asked_durable"

#: How a transaction of SQLite begins that writes, and how soon it looks for the lock again.
_IMMEDIATE = "BEGIN IMMEDIATE"
_LOOK_AGAIN_SECONDS = 0.001

_SQLITE_BUSY = ("database is locked", "database table is locked")


#: Asks what a write transaction must know before anything else.
Opening = Callable[[Connection], None]


class Database:
    """A database and its two kinds of transaction; safe to share between threads."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Open the database that `url` names; nothing is connected yet."""
        self.url = sa.make_url(url)
        self.dialect = self.url.get_backend_name()
        if self.dialect == "sqlite":
            self.engine = _sqlite_engine(self.url, pool_size)
        else:
            if self.url.drivername == "postgresql":
                self.url = self.url.set(drivername="postgresql+psycopg")
            self.engine = _postgres_engine(self.url, pool_size)
            sa.event.listen(self.engine, "checkout", self._plan_anew)
        self._writer = threading.Lock()
        self._plans = 0
        self._silent = self.engine.execution_options(gx_begin="")
        self._immediate = self.engine.execution_options(gx_begin=_IMMEDIATE)

    @property
    def is_sqlite(self) -> bool:
        """Return whether this is the embedded database."""
        return self.dialect == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection in a read transaction that sees one snapshot on SQLite.

        On PostgreSQL every statement sees its own snapshot, so one that is prebuilt runs
        without a transaction and its two round trips. Where SQLAlchemy began one it is
        committed: at a rollback the driver forgets all that it prepared.
        """
        try:
            if self.is_sqlite:
                with self._silent.connect() as connection:
                    say(connection, "BEGIN")
                    yield connection
            else:
                with self.engine.connect() as connection:
                    yield connection
                    if connection.in_transaction():
                        connection.commit()
        except _TOLD as error:
            raise _told(error) from error

    @contextmanager
    def write(
        self, *, durable: bool = False, opening: Opening | None = None
    ) -> Iterator[Connection]:
        """Yield a connection in a write transaction; commit at the end, roll back on an error.

        Args:
            durable: is for money and votes: on SQLite the commit then waits for the disk.
            opening: called first; on PostgreSQL it also says BEGIN, so that what it asks
                costs no round trip of its own.

        Raises:
            Unavailable: another writer held the database for more than `BUSY_SECONDS`.
        """
        if not self.is_sqlite:
            try:
                with (self._silent if opening else self.engine).begin() as connection:
                    if opening:
                        opening(connection)
                    yield connection
            except _TOLD as error:
                raise _told(error) from error
            return
        if not self._writer.acquire(timeout=BUSY_SECONDS):
            raise Unavailable
        try:
            with self._immediate.connect() as writer:
                _set_durable(writer, durable)
                writer.info[_ASKED] = False
                with writer.begin():
                    if opening:
                        opening(writer)
                    yield writer
                if writer.info[_ASKED]:
                    self._sync_log()
        except _TOLD as error:
            raise _told(error) from error
        finally:
            self._writer.release()

    def ask_durable(self, connection: Connection) -> None:
        """Have whoever opened the write transaction under way wait for the disk after its commit.

        It is for money that moves in a transaction begun for something else: SQLite cannot be
        told within one, so its log is brought to the disk before `write` returns.
        """
        if self.is_sqlite:
            connection.info[_ASKED] = not connection.info.get(_DURABLE, False)

    def _sync_log(self) -> None:
        log = os.path.realpath(self.url.database or "") + "-wal"
        try:
            number = os.open(log, os.O_RDWR)
        except FileNotFoundError:
            return  # in memory, or a journal that commits wait for anyway
        try:
            os.fsync(number)
        finally:
            os.close(number)

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Yield a connection outside any transaction, for what refuses to run in one."""
        with self._silent.connect() as connection:
            yield connection

    @contextmanager
    def patient(self) -> Iterator[Connection]:
        """Yield a connection of PostgreSQL outside any transaction that may take its time.

        It is for what holds up nobody, however long it waits and works.
        """
        with self.autocommit() as connection:
            connection.exec_driver_sql("SET lock_timeout = 0")
            connection.exec_driver_sql("SET statement_timeout = 0")
            try:
                yield connection
            finally:
                connection.exec_driver_sql("RESET lock_timeout")
                connection.exec_driver_sql("RESET statement_timeout")

    def forget_plans(self) -> None:
        """Have every connection plan its statements anew before it is used again.

        PostgreSQL refuses a statement that it planned when its columns had other types;
        call it when the tables are others than before. SQLite plans anew by itself.
        """
        self._plans += 1

    def plan_anew(self, connection: Connection) -> None:
        """Have a connection that is in use forget its plans now, if it shall and did not."""
        if not self.is_sqlite and connection.info.get(_PLANS, 0) != self._plans:
            self._forget(connection.connection.driver_connection, connection.info)

    def _plan_anew(self, driver: Any, record: Any, _pooled: Any) -> None:
        if record.info.get(_PLANS, 0) != self._plans:
            self._forget(driver, record.info)

    def _forget(self, driver: Any, info: dict[Any, Any]) -> None:
        # The driver forgets what it prepared when it sees this; it does not look at what it
        # has seen before, hence the number.
        driver.execute(f"DEALLOCATE ALL -- {self._plans}", prepare=False)
        info[_PLANS] = self._plans

    def dispose(self) -> None:
        """Close every pooled connection; call it before a fork and at exit."""
        self.engine.dispose()


_TOLD = (StatementError, UnicodeEncodeError)


def _told(error: Exception) -> Exception:
    """Return an error with a clear text: of a lock not given in time, of text that is none."""
    if isinstance(error, OperationalError) and is_busy(error):
        return Unavailable()
    cause = error.orig if isinstance(error, StatementError) else error
    if getattr(cause, "sqlstate", None) == "0A000" and "cached plan" in str(cause):
        # Planned for columns of other types: a release came into force since.
        return ReleaseChanged()
    if isinstance(cause, UnicodeEncodeError):
        # A lone surrogate, in whatever place nobody looked at it before.
        char = f"U+{ord(cause.object[cause.start]):04X}"
        return Malformed(N_("The character {char} cannot be stored."), char=char)
    return error


def say(connection: Connection, words: str) -> None:
    """Say what begins a transaction or marks a place in it straight to the driver.

    Raises:
        DBAPIError: the driver's error, as SQLAlchemy raises it.
    """
    try:
        writing_cursor(connection).execute(words)
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, words, error) from error


@contextmanager
def taken_back(connection: Connection, name: str) -> Iterator[None]:
    """Take back all that a block wrote when it raises; `name` is of its savepoint."""
    say(connection, f"SAVEPOINT {name}")
    try:
        yield
    except BaseException:
        say(connection, f"ROLLBACK TO {name}")
        raise
    finally:
        say(connection, f"RELEASE {name}")


#: PostgreSQL's types that reading leaves as text: whoever needs values of them says so.
TEXT_TYPES = ("date", "timestamptz", "numeric", "jsonb")

#: Where a pooled connection keeps the cursor that reads them so, the one that writes, and how
#: often it forgot.
_CURSOR, _WRITER, _PLANS = "gx_cursor", "gx_writer", "gx_plans"


def reading_cursor(connection: Connection | PoolProxiedConnection) -> Any:
    """Return what executes a statement that reads, past SQLAlchemy, on a connection.

    On PostgreSQL it is one cursor for the life of the connection, since making one costs
    as much as a small answer; fetch everything before the next statement. Values of
    `TEXT_TYPES` come as the text that the database writes. Parameters are `$1`, `$2`, as the
    server has them: the driver takes apart no text for that.
    """
    cursor = connection.info.get(_CURSOR)
    if cursor is None:
        cursor = connection.info[_CURSOR] = _new_cursor(connection)
    return cursor


def writing_cursor(connection: Connection) -> Any:
    """Return what executes a statement that returns no rows, past SQLAlchemy, on a connection.

    It is another one than reads, since in a pipeline the answers to what was written come
    while the next statement is read already.
    """
    cursor = connection.info.get(_WRITER)
    if cursor is None:
        cursor = connection.info[_WRITER] = new_cursor(connection)
    return cursor


def new_cursor(connection: Connection | PoolProxiedConnection) -> Any:
    """Return a cursor of its own, whose answer is kept while others are asked."""
    pooled = connection.connection if isinstance(connection, Connection) else connection
    driver: Any = pooled.driver_connection
    if isinstance(driver, sqlite3.Connection):
        return driver  # makes its cursors itself, at next to no cost
    from psycopg import RawCursor  # noqa: PLC0415  SQLite starts without it

    return RawCursor(driver)


def _new_cursor(connection: Connection | PoolProxiedConnection) -> Any:
    cursor = new_cursor(connection)
    if not isinstance(cursor, sqlite3.Connection):
        from psycopg.types.string import TextLoader  # noqa: PLC0415  SQLite starts without it

        for name in TEXT_TYPES:
            cursor.adapters.register_loader(name, TextLoader)
    return cursor


def driver_failure(connection: Connection, sql: str, error: Exception) -> BaseException:
    """Return a driver's error as SQLAlchemy raises it; a connection that died is given up."""
    dialect = connection.dialect
    driver: Any = connection.connection.driver_connection
    is_dead = dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type]
    failure = DBAPIError.instance(
        sql,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_dead,
        dialect=dialect,
    )
    if is_dead:
        connection.invalidate(failure)
    return failure


#: Statements that PostgreSQL keeps prepared for a connection.
_MOST_PREPARED = 200


class TookLong(Exception):
    """A statement took longer than `briefly` allows; another way may be faster."""


#: How much a statement may do `briefly`: steps of SQLite's machine, some 50 ms; on
#: PostgreSQL what it may take.
_BRIEF_STEPS, _BRIEF_TIME = 500_000, "80ms"


@contextmanager
def briefly(connection: Connection) -> Iterator[None]:
    """End a prebuilt statement that reads when it has done much.

    In a transaction of PostgreSQL, which this would end too, it goes on.

    Raises:
        TookLong: it was ended.
    """
    driver: Any = connection.connection.driver_connection
    try:
        if connection.dialect.name == "sqlite":
            driver.set_progress_handler(lambda: True, _BRIEF_STEPS)
            try:
                yield
            finally:
                driver.set_progress_handler(None, 0)
        elif driver.pgconn.transaction_status:
            yield
        else:
            say(connection, f"SET statement_timeout = '{_BRIEF_TIME}'")
            try:
                yield
            finally:
                say(connection, "RESET statement_timeout")
    except OperationalError as error:
        cause = error.orig
        if str(cause) == "interrupted" or getattr(cause, "sqlstate", None) == "57014":
            raise TookLong from error
        raise


def _set_durable(connection: Connection, durable: bool) -> None:
    """Have the next commit wait for the disk or not, where that changes."""
    if connection.info.get(_DURABLE, False) != durable:
        say(connection, f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.info[_DURABLE] = durable


def is_busy(error: OperationalError) -> bool:
    """Return whether a lock was not given in time, so that trying again may help."""
    code = getattr(error.orig, "sqlstate", None)
    return str(error.orig) in _SQLITE_BUSY or code in {"55P03", "40P01", "40001"}


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _sqlite_engine(url: sa.URL, pool_size: int) -> Engine:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=16,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
        # Statements repeat for the life of a release; the default of 500 is too few.
        query_cache_size=2000,
        hide_parameters=True,  # errors and logs would name the values
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
    )

    @sa.event.listens_for(engine, "connect")
    def _connect(driver: Any, _record: Any) -> None:
        driver.isolation_level = None  # we say BEGIN ourselves: DDL must be transactional too
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "cache_size=-16000",
            "mmap_size=268435456",
            "temp_store=MEMORY",
            # Or what REPLACE puts away would pass the triggers that refuse to delete.
            "recursive_triggers=ON",
        ):
            driver.execute(f"PRAGMA {pragma}")
        for register in sqlite_functions:
            register(driver)

    _begin_ourselves(engine)
    return engine


def _begin_ourselves(engine: Engine) -> None:
    """Have transactions begin with what the connection's options say, or not at all.

    The drivers commit each statement by themselves outside of these.
    """

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        words = connection.get_execution_options().get("gx_begin", "BEGIN")
        if engine.name == "sqlite" and words == _IMMEDIATE:
            _begin_writing(connection)
        elif words:
            say(connection, words if engine.name == "sqlite" else "BEGIN")


def _begin_writing(connection: Connection) -> None:
    """Begin to write on SQLite as soon as another process is through.

    SQLite itself looks again after pauses that grow to a tenth of a second, while under load
    the lock changes hands every few milliseconds: the process that has it would keep it.
    """
    end = time.monotonic() + BUSY_SECONDS
    say(connection, "PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                say(connection, _IMMEDIATE)
            except OperationalError as error:
                if not is_busy(error) or time.monotonic() > end:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return
    finally:
        say(connection, f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _postgres_engine(url: sa.URL, pool_size: int) -> Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=16,
        pool_pre_ping=False,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        query_cache_size=2000,
        hide_parameters=True,  # errors and logs would name the values
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        connect_args={
            "options": "-c timezone=UTC -c datestyle=ISO"
            f" -c lock_timeout={BUSY_SECONDS}s -c statement_timeout=60s -c jit=off"
        },
    )

    @sa.event.listens_for(engine, "connect")
    def _connect(driver: Any, _record: Any) -> None:
        driver.prepared_max = _MOST_PREPARED

    @sa.event.listens_for(engine, "reset")
    def _reset(driver: Any, _record: Any, _state: Any) -> None:
        # Readers begin nothing, and a rollback of nothing still costs each of them.
        if driver.pgconn.transaction_status:
            driver.rollback()

    _begin_ourselves(engine)
    return engine


#: Called with each new SQLite driver connection, to register SQL functions; filled at import.
sqlite_functions: list[Any] = []
