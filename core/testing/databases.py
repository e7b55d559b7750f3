"""Throw-away databases for tests: SQLite files and databases on a real PostgreSQL.

PostgreSQL is the server that `GUANXI_TEST_POSTGRES` names (a URL of a user who
may create databases), else one that the `pgserver` wheel brings along. Where
there is neither, tests are skipped loudly; with `CI=true` they fail.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.db import Database
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


@contextlib.contextmanager
def _administrator(server: sa.URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        yield connection


class Storage:
    """One throw-away database that can be emptied or put back to a copy of another."""

    def __init__(self, backend: str, folder: Path, template: "Storage | None" = None) -> None:
        """Create a database, empty or a copy of `template`; SQLite's file goes into `folder`."""
        self.backend = backend
        self.name = f"gx_test_{uuid.uuid4().hex[:16]}"
        self.folder = folder
        self._copied: Storage | None = None
        self._first: FirstState | None = None
        if backend == "sqlite":
            self.url = sa.make_url(f"sqlite:///{folder / self.name}.db")
        else:
            self.url = postgres_url().set(database=self.name)
        if template is not None:
            self._copy(template)
        elif backend != "sqlite":
            self._create(template="template0")

    @property
    def text(self) -> str:
        """Return the URL as text, password included."""
        return self.url.render_as_string(hide_password=False)

    def restore(self, template: "Storage") -> None:
        """Make this database an exact copy of `template`, which nobody may be using."""
        if self._copied is template and self._first is not None:
            with _administrator(self.url) as connection:
                if self._first.put_back(connection):
                    return
        self.drop()
        self._copy(template)

    def clear(self) -> None:
        """Remove everything from the database, whoever is connected."""
        if self.backend == "sqlite":
            self.drop()
            return
        self._copied = self._first = None
        with _administrator(self.url) as connection:
            clear(connection)

    def keep(self) -> "Storage":
        """Return a copy to restore from, of this database as it is now and nobody uses it."""
        made = Storage(self.backend, self.folder, template=self)
        self._note_first_state(made)
        return made

    def _copy(self, template: "Storage") -> None:
        if self.backend == "sqlite":
            shutil.copyfile(template.url.database or "", self.url.database or "")
        else:
            self._create(template=template.name)
            self._note_first_state(template)

    def _note_first_state(self, template: "Storage") -> None:
        if self.backend != "sqlite":
            with _administrator(self.url) as connection:
                self._copied, self._first = template, FirstState.of(connection)

    def _create(self, template: str) -> None:
        with _administrator(postgres_url()) as connection:
            connection.exec_driver_sql(
                f'CREATE DATABASE "{self.name}" TEMPLATE "{template}" ENCODING \'UTF8\''
            )

    def drop(self) -> None:
        """Remove the database with everything in it, whoever is connected."""
        self._copied = self._first = None
        if self.backend == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.url.database}{suffix}").unlink(missing_ok=True)
            return
        with _administrator(postgres_url()) as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def release_file(db: Database) -> None:
    """Close a database so that it can be copied, on SQLite with all of it in its one file."""
    if db.is_sqlite:
        with db.autocommit() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    db.dispose()


class Prepared:
    """A database that is made ready once and put back before each use."""

    def __init__(self, backend: str, folder: Path, prepare: Callable[[Database], object]) -> None:
        """Create it and let `prepare` fill it."""
        self._storage = Storage(backend, folder)
        db = Database(self._storage.text)
        prepare(db)
        release_file(db)
        self._first = self._storage.keep()

    @contextlib.contextmanager
    def fresh(self) -> Iterator[Database]:
        """Yield the database as it was when it was ready."""
        self._storage.restore(self._first)
        db = Database(self._storage.text)
        try:
            yield db
        finally:
            db.dispose()

    def drop(self) -> None:
        """Remove the databases."""
        self._storage.drop()
        self._first.drop()


@contextlib.contextmanager
def empty_database(backend: str, folder: Path) -> Iterator[Database]:
    """Yield a new, empty database and remove it afterwards."""
    storage = Storage(backend, folder)
    database = Database(storage.text)
    try:
        yield database
    finally:
        database.dispose()
        storage.drop()
