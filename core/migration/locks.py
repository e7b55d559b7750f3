"""One publisher at a time, over all processes, without anything left behind by a crash."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from core.db import Database
from core.errors import Unavailable
from core.i18n import N_

#: PostgreSQL advisory lock of whoever changes the schema of the database.
PUBLISH_LOCK = 0x67785F7075626C  # "gx_publ"

_BUSY = N_("Somebody else is changing the forms right now. Please try again.")

_in_process = threading.Lock()


@contextmanager
def exclusive(db: Database, *, wait: float = 30.0) -> Iterator[None]:
    """Hold the right to change the database's schema.

    The lock is a session lock on PostgreSQL and a lock on a file beside an SQLite
    database, so it is gone with the process that held it.

    Raises:
        Unavailable: somebody else held it for `wait` seconds.
    """
    if not _in_process.acquire(timeout=wait):
        raise Unavailable(_BUSY)
    try:
        with _file_lock(db, wait) if db.is_sqlite else _session_lock(db, wait):
            yield
    finally:
        _in_process.release()


@contextmanager
def _file_lock(db: Database, wait: float) -> Iterator[None]:
    name = db.url.database
    if not name or name == ":memory:":
        yield
        return
    # SQLite's own lock on a file of its own: portable, and dropped when the process dies.
    with closing(sqlite3.connect(f"{name}.publish-lock", timeout=wait)) as connection:
        connection.isolation_level = None
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise Unavailable(_BUSY) from error
        yield


@contextmanager
def _session_lock(db: Database, wait: float) -> Iterator[None]:
    with db.autocommit() as connection:
        deadline = time.monotonic() + wait
        taken = f"SELECT pg_try_advisory_lock({PUBLISH_LOCK})"
        while not connection.exec_driver_sql(taken).scalar():
            if time.monotonic() > deadline:
                raise Unavailable(_BUSY)
            time.sleep(0.05)
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({PUBLISH_LOCK})")
