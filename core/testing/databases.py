"""Throw-away databases for tests: SQLite files and databases on a real PostgreSQL.

PostgreSQL is the server that `GUANXI_TEST_POSTGRES` names (a URL of a user who
may create databases), else one that the `pgserver` wheel brings along. Where
there is neither, tests are skipped loudly; with `CI=true` they fail.
"""

import contextlib
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import Database

#: The two databases that everything runs on.
BACKENDS = ("sqlite", "postgresql")


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
        server = pgserver.get_server(folder, cleanup_mode="delete")  # type: ignore[attr-defined]
    return sa.make_url(server.get_uri())


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

    def __init__(self, backend: str, folder: Path) -> None:
        """Create an empty database of kind `backend`; SQLite's file goes into `folder`."""
        self.backend = backend
        self.name = f"gx_test_{uuid.uuid4().hex[:16]}"
        self.folder = folder
        if backend == "sqlite":
            self.url = sa.make_url(f"sqlite:///{folder / self.name}.db")
        else:
            self.url = postgres_url().set(database=self.name)
            self._create(template="template0")

    @property
    def text(self) -> str:
        """Return the URL as text, password included."""
        return self.url.render_as_string(hide_password=False)

    def restore(self, template: "Storage") -> None:
        """Make this database an exact copy of `template`, which nobody may be using."""
        self.drop()
        if self.backend == "sqlite":
            shutil.copyfile(template.url.database or "", self.url.database or "")
        else:
            self._create(template=template.name)

    def _create(self, template: str) -> None:
        with _administrator(postgres_url()) as connection:
            connection.exec_driver_sql(
                f'CREATE DATABASE "{self.name}" TEMPLATE "{template}" ENCODING \'UTF8\''
            )

    def drop(self) -> None:
        """Remove the database with everything in it, whoever is connected."""
        if self.backend == "sqlite":
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.url.database}{suffix}").unlink(missing_ok=True)
            return
        with _administrator(postgres_url()) as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


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
