"""Proves that the contents of files are what the database says of them, byte by byte."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from core.db import Database
from core.files.models import content_table, file_table
from core.files.store import ContentMissing, FileStore, digest_of

#: Contents asked for in one statement; no transaction is open while their bytes are read.
_BATCH = 500


def content_problems(db: Database, store: FileStore) -> Iterator[str]:
    """Yield a sentence for each content that is missing, changed, or of another size.

    A file whose content nobody recorded is told too. Clean-ups may go on meanwhile.
    """
    after = ""
    while found := _contents(db, after):
        for digest, size in found:
            problem = _problem(store, digest, size)
            if problem and _stays(db, store, digest, size):
                yield f"the content {digest[:16]}… of {_names(db, digest)} {problem}"
        after = found[-1][0]
    for name, file_id in _without_content(db):
        yield f"the content of file “{name}” ({file_id}) is not recorded"


def count_contents(db: Database) -> int:
    """Return how many contents are recorded."""
    with db.read() as connection:
        count = sa.select(sa.func.count()).select_from(content_table)
        return int(connection.execute(count).scalar_one())


def _contents(db: Database, after: str) -> list[tuple[str, int]]:
    content = content_table.c
    query = sa.select(content.digest, content.size).where(content.digest > after)
    with db.read() as connection:
        rows = connection.execute(query.order_by(content.digest).limit(_BATCH))
        return [(row.digest, row.size) for row in rows]


def _problem(store: FileStore, digest: str, size: int) -> str:
    """Return what is wrong with a stored content; empty when nothing is."""
    try:
        path = store.path(digest)
        if path.stat().st_size != size:
            return f"has {path.stat().st_size} bytes instead of {size}"
        return "" if digest_of(path) == digest else "was changed"
    except (ContentMissing, FileNotFoundError):
        return "is missing"


def _stays(db: Database, store: FileStore, digest: str, size: int) -> bool:
    """Return whether a problem is still there once clean-ups and uploads under way are done."""
    query = sa.select(content_table.c.digest).where(content_table.c.digest == digest)
    with db.write() as connection:
        is_recorded = connection.execute(query.with_for_update()).first() is not None
        return is_recorded and bool(_problem(store, digest, size))


def _names(db: Database, digest: str) -> str:
    file = file_table.c
    of_it = sa.or_(file.content == digest, file.thumbnail == digest)
    with db.read() as connection:
        row = connection.execute(sa.select(file.name, file.id).where(of_it).limit(1)).first()
    return f"file “{row.name}” ({row.id})" if row else "no file"


def _without_content(db: Database) -> list[Any]:
    file = file_table.c
    known = sa.select(content_table.c.digest)
    query = sa.select(file.name, file.id).where(
        file.content.not_in(known) | (file.thumbnail.is_not(None) & file.thumbnail.not_in(known))
    )
    with db.read() as connection:
        return list(connection.execute(query.order_by(file.id)).all())
