"""The release in force as one immutable object per process, swapped when it changes."""

import threading
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import Database, Opening, driver_failure, reading_cursor
from core.errors import NotFound, ReleaseChanged
from core.expression import Expression, Scope, compile_expression
from core.expression.types import Kind
from core.schema.model import RecordType, Release
from core.schema.scopes import named_scope
from core.tables.build import TypeTables, build_tables, shape
from core.tables.releases import REVISION_SQL, Revision, load_release, read_revision
from core.tables.rows import Dialect, RecordColumns

T = TypeVar("T")

#: How many compiled expressions a registry keeps.
EXPRESSIONS = 4_000

#: PostgreSQL advisory lock: writers hold it shared, publishing a release exclusively.
RELEASE_LOCK = 0x6775616E7869  # "guanxi"

#: Each statement sees its own snapshot, so the revision is that of after the lock.
_LOCKING_SQL = f"BEGIN; SELECT pg_advisory_xact_lock_shared({RELEASE_LOCK}); {REVISION_SQL}"


class Registry:
    """One release with its tables and everything compiled from it; never changes.

    Attributes:
        release: the schema.
        tables: record type name -> its tables, archived types excluded.
        revision: the revisions it was read under.
        dialect: which database SQL is for.
    """

    __slots__ = ("_expressions", "_lock", "_memo", "dialect", "release", "revision", "tables")

    def __init__(
        self,
        release: Release,
        revision: Revision,
        dialect: Dialect,
        previous: "Registry | None" = None,
    ) -> None:
        """Build the tables, taking over those of `previous` whose type did not change."""
        self.dialect: Dialect = dialect
        self.release = release
        self.revision = revision
        self.tables: Mapping[str, TypeTables] = MappingProxyType(_tables(release, previous))
        self._memo: dict[Hashable, Any] = {}
        self._expressions: dict[tuple[str, str, str | None], Expression] = {}
        self._lock = threading.RLock()

    def memo(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` gave for `key`, calling it once for the life of this release."""
        try:
            return self._memo[key]  # type: ignore[no-any-return]
        except KeyError:
            pass
        with self._lock:
            if key not in self._memo:
                self._memo[key] = make()
            return self._memo[key]  # type: ignore[no-any-return]

    def record_type(self, name: str) -> RecordType:
        """Return the record type called `name`.

        Raises:
            NotFound: there is none, or it is archived.
        """
        found = self.release.type(name)
        if found is None:
            raise NotFound
        return found

    def expression(self, type_name: str, text: str, expect: Kind | None = None) -> Expression:
        """Return `text` compiled over records of a type, or rows of `TYPE.TABLE`.

        Raises:
            ExpressionError: it is not right, or there is no such type.

        Texts come from callers too, so only the latest `EXPRESSIONS` are kept.
        """
        key = (type_name, text, expect)
        found = self._expressions.get(key)
        if found is None:
            scope = self.memo(("scope", type_name), lambda: self._scope(type_name))
            found = compile_expression(text, scope, expect=expect)
            if len(self._expressions) >= EXPRESSIONS:
                self._expressions.clear()
            self._expressions[key] = found
        return found

    def _scope(self, name: str) -> Scope:
        return named_scope(self.release.types, name) or Scope({}, name=name)

    def columns(self, type_name: str, source: sa.FromClause | None = None) -> RecordColumns:
        """Return a type's fields for `core.expression.sql`, read from its table or an alias."""
        return RecordColumns(self, type_name, source)

    def under(self, revision: Revision) -> "Registry":
        """Return the same release under newer rights or settings, sharing what was compiled."""
        twin = object.__new__(Registry)
        twin.release, twin.tables, twin.revision = self.release, self.tables, revision
        twin.dialect = self.dialect
        twin._memo, twin._lock, twin._expressions = self._memo, self._lock, self._expressions
        return twin


def _tables(release: Release, previous: Registry | None) -> dict[str, TypeTables]:
    found: dict[str, TypeTables] = {}
    for name, record_type in release.types.items():
        if record_type.archived:
            continue
        # The same Table objects keep SQLAlchemy's cache of compiled statements warm.
        old = previous.release.type(name) if previous else None
        if previous and old is not None and shape(old) == shape(record_type):
            found[name] = previous.tables[name]
        else:
            found[name] = build_tables(record_type)
    return found


def _fetch(cursor: Any) -> Revision:
    row = cursor.execute(REVISION_SQL).fetchone()
    return Revision(*row) if row else Revision()


def _read(connection: Connection) -> Revision:
    """Return the revisions in force; past SQLAlchemy, since every request asks."""
    try:
        return _fetch(reading_cursor(connection))
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, REVISION_SQL, error) from error


def _begun(connection: Connection) -> Revision:
    """Begin and return the revisions once no other release can be published; one round trip.

    Raises:
        DBAPIError: the lock was not given in time, or another error of the driver.
    """
    driver: Any = connection.connection.driver_connection
    try:
        cursor = driver.execute(_LOCKING_SQL, prepare=False)  # several statements cannot be
        cursor.nextset()
        cursor.nextset()
        row = cursor.fetchone()
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, _LOCKING_SQL, error) from error
    return Revision(*row) if row else Revision()


class Registries:
    """The registries of one process: which release is in force, read cheaply at each call."""

    def __init__(self, db: Database, built: Registry | None = None) -> None:
        """Serve `db`; nothing is read yet.

        Should the release in force be that of `built`, it is not read and built once more.
        """
        self._db = db
        self._built = built
        self._lock = threading.Lock()
        self._current: Registry | None = None
        self._driver_error: type[Exception] = db.engine.dialect.loaded_dbapi.Error

    def current(self, connection: Connection | None = None) -> Registry:
        """Return the registry of the release in force, on `connection` if one is open anyway."""
        revision = self._revision() if connection is None else _read(connection)
        current = self._current
        if current is None or current.revision != revision:
            current = self._swap(revision, connection)
        if connection is not None:
            self._db.plan_anew(connection)
        return current

    def presumed(self) -> Registry | None:
        """Return the registry that was in force when this process last asked, if it ever did."""
        return self._current

    def holding(self, registry: Registry, *, whole: bool = False) -> Opening:
        """Return what opens a write transaction that keeps `registry`'s release in force.

        It raises ReleaseChanged when another release is in force already, and with `whole`
        when rights or settings changed too.
        """
        begin = _read if self._db.is_sqlite else _begun

        def hold(connection: Connection) -> None:
            found, known = begin(connection), registry.revision
            if found.schema != known.schema or (whole and found != known):
                raise ReleaseChanged

        return hold

    def _revision(self) -> Revision:
        """Read the revisions on a pooled connection, as cheaply as the driver can."""
        try:
            pooled = self._db.engine.raw_connection()
        except self._driver_error:
            # No connection is to be had; asked like this, the error is one that callers know.
            with self._db.read() as connection:
                return read_revision(connection)
        try:
            # Outside a transaction there is no BEGIN before and no ROLLBACK after.
            revision = _fetch(reading_cursor(pooled))
        except self._driver_error:
            # A connection that died is thrown away, and SQLAlchemy tries with a new one.
            pooled.invalidate()
            with self._db.read() as connection:
                return read_revision(connection)
        else:
            return revision
        finally:
            pooled.close()

    def _swap(self, revision: Revision, connection: Connection | None) -> Registry:
        with self._lock:
            current = self._current
            if current is not None and current.revision.schema == revision.schema:
                fresh = current.under(revision)
            else:
                built = self._built if current is None else None
                if built is not None and built.revision.schema == revision.schema:
                    fresh = Registry(built.release, revision, built.dialect, built)
                else:
                    release = self._load(revision.schema, connection)
                    dialect: Dialect = "sqlite" if self._db.is_sqlite else "postgresql"
                    fresh = Registry(release, revision, dialect, current)
                if current is not None:
                    self._db.forget_plans()
            if current is None or fresh.revision.schema >= current.revision.schema:
                self._current = fresh
            return fresh

    def _load(self, number: int, connection: Connection | None) -> Release:
        if number == 0:
            return Release(number=0)
        if connection is not None:
            return load_release(connection, number)
        with self._db.autocommit() as own:
            return load_release(own, number)
