"""Throw-away databases for tests: SQLite files and databases on a real PostgreSQL.

PostgreSQL is the server that `GUANXI_TEST_POSTGRES` names (a URL of a user who
may create databases), else one that the `pgserver` wheel brings along. Where
there is neither, tests are skipped loudly; with `CI=true` they fail.
"""

import contextlib
import gc
import os
import shutil
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import Database
from core.tables.registry import Registries, Registry
from core.testing.firststate import FirstState, clear

#: The two databases that everything runs on.
BACKENDS = ("sqlite", "postgresql")

#: What keeps data when the machine loses its power. Tests kill processes of the product, never
#: the server or the machine, so its databases lose nothing without waiting for the disk.
_HASTY = ("fsync", "full_page_writes", "synchronous_commit")

#: How often the server of the wheel is given its ten seconds to start.
_TRIES = 5


def skip_or_fail(reason: str) -> None:
    """Skip the test with `reason`, or fail it where the machine must have everything."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true forbids to skip)")
    pytest.skip(reason)


@lru_cache(maxsize=1)
def _own_postgres() -> sa.URL | None:
    """Start the wheel's server in a folder of its own; it stops with this process."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pgserver  # noqa: PLC0415  optional: brings 40 MB of binaries
    except ImportError:
        return None
    folder = Path(tempfile.mkdtemp(prefix="gx_pg_"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = _patiently(
            lambda: pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
        )
    url = sa.make_url(server.get_uri())
    with _administrator(url.set(drivername="postgresql+psycopg")) as connection:
        for setting in _HASTY:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    return url


def _patiently(start: Callable[[], Any]) -> Any:
    """Start the wheel's server, which gives itself ten seconds; a busy machine needs more."""
    for _ in range(_TRIES):
        try:
            return start()
        except subprocess.TimeoutExpired:
            continue  # it may be up by the next look
    return start()


def postgres_url() -> sa.URL:
    """Return the URL of the server to make databases on; skips or fails without one."""
    named = os.environ.get("GUANXI_TEST_POSTGRES")
    url = sa.make_url(named) if named else _own_postgres()
    if url is None:
        skip_or_fail("no PostgreSQL: set GUANXI_TEST_POSTGRES or install pgserver")
    assert url is not None
    return url.set(drivername="postgresql+psycopg")


#: How long a connection may take to come back from another thread.
_BACK_SECONDS = 10.0


def _engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)


@contextlib.contextmanager
def _administrator(server: sa.URL) -> Iterator[sa.Connection]:
    with _engine(server).connect() as connection:
        yield connection


class Storage:
    """One throw-away database that can be emptied, or put back to what it was."""

    def __init__(self, backend: str, folder: Path, template: "Storage | None" = None) -> None:
        """Create a database, empty or a copy of `template`; SQLite's file goes into `folder`."""
        self.backend = backend
        self.name = f"gx_test_{uuid.uuid4().hex[:16]}"
        self.folder = folder
        self._connection: sa.Connection | None = None
        if backend == "sqlite":
            self.url = sa.make_url(f"sqlite:///{folder / self.name}.db")
        else:
            self.url = postgres_url().set(database=self.name)
        if template is not None:
            self.become(template)
        elif backend != "sqlite":
            self._create(template="template0")

    @property
    def text(self) -> str:
        """Return the URL as text, password included."""
        return self.url.render_as_string(hide_password=False)

    def keep(self) -> "Kept":
        """Return what `restore` needs to make this database what it is now; nobody may use it."""
        if self.backend != "sqlite":
            first = FirstState.of(self._owner())
            if first is not None:
                return first
        return self.copy()

    def restore(self, kept: "Kept") -> bool:
        """Make this database what it was; False when it changed too much for that."""
        if isinstance(kept, FirstState):
            return self._connection is not None and kept.put_back(self._owner())
        self.become(kept)
        return True

    def copy(self) -> "Storage":
        """Return a copy of this database, which nobody may be using."""
        self._leave()
        return Storage(self.backend, self.folder, template=self)

    def become(self, template: "Storage") -> None:
        """Make this database an exact copy of `template`, which nobody may be using."""
        self.drop()
        if self.backend == "sqlite":
            shutil.copyfile(template.url.database or "", self.url.database or "")
        else:
            self._create(template=template.name)

    def clear(self) -> None:
        """Remove everything from the database, whoever is connected."""
        if self.backend == "sqlite":
            self.drop()
        else:
            clear(self._owner())

    def drop(self) -> None:
        """Remove the database with everything in it, whoever is connected."""
        if self.backend == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.url.database}{suffix}").unlink(missing_ok=True)
            return
        self._leave()
        with _administrator(postgres_url()) as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def _create(self, template: str) -> None:
        with _administrator(postgres_url()) as connection:
            connection.exec_driver_sql(
                f'CREATE DATABASE "{self.name}" TEMPLATE "{template}" ENCODING \'UTF8\''
            )
            # Of what makes haste, the one thing that can be said of a single database.
            connection.exec_driver_sql(
                f'ALTER DATABASE "{self.name}" SET synchronous_commit = off'
            )

    def _owner(self) -> sa.Connection:
        """Return a connection that lasts, since opening one takes longer than its work."""
        if self._connection is not None:
            try:
                self._connection.exec_driver_sql("SELECT 1")
            except sa.exc.DBAPIError:
                self._leave()  # a test closed what it found
        if self._connection is None:
            self._connection = _engine(self.url).connect()
        return self._connection

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


#: A state of a `Storage`: what its own database held, or a copy of it.
Kept = FirstState | Storage


def release_file(db: Database) -> None:
    """Close a database so that it can be copied, on SQLite with all of it in its one file."""
    if db.is_sqlite:
        with db.autocommit() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    close(db)


def close(db: Database) -> None:
    """Close a database once all its connections are back: into a closed pool they come open.

    Raises:
        TimeoutError: somebody keeps one.
    """
    pool, end = db.engine.pool, time.monotonic() + _BACK_SECONDS
    while isinstance(pool, sa.QueuePool) and pool.checkedout() > 0:
        if time.monotonic() > end:
            raise TimeoutError(pool.status())
        gc.collect()  # such as that of an answer which nobody read to its end
        time.sleep(0.01)
    db.dispose()


class Prepared:
    """A database that is made ready once and put back before each use.

    It is used through one `Database` and, of its first release, through the same tables, so
    that statements compiled for one test are there for the next.
    """

    def __init__(self, backend: str, folder: Path, prepare: Callable[[Database], object]) -> None:
        """Create it and let `prepare` fill it."""
        self._storage = Storage(backend, folder)
        self._prepare = prepare
        self._db = Database(self._storage.text)
        self._kept = self._prepared()
        self._built: Registry | None = None

    def _prepared(self) -> Kept:
        self._prepare(self._db)
        release_file(self._db)
        return self._storage.keep()

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Database]:
        """Yield the database as it was when it was ready."""
        if not self._storage.restore(self._kept):
            self._storage.clear()
            self._kept = self._prepared()
        try:
            yield self._db
        finally:
            close(self._db)

    def registries(self) -> Registries:
        """Return what knows the release in force; call it while `fresh` lasts, before a change."""
        if self._built is None:
            self._built = Registries(self._db).current()
        return Registries(self._db, self._built)

    def drop(self) -> None:
        """Remove the databases."""
        self._storage.drop()
        if isinstance(self._kept, Storage):
            self._kept.drop()


@contextlib.contextmanager
def empty_database(backend: str, folder: Path) -> Iterator[Database]:
    """Yield a new, empty database and remove it afterwards."""
    storage = Storage(backend, folder)
    database = Database(storage.text)
    try:
        yield database
    finally:
        close(database)
        storage.drop()
