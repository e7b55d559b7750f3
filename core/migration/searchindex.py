"""The search index of records that were there before a field became searchable, in batches."""

import sqlalchemy as sa

from core.db import Database
from core.migration.backfill import Bookmark
from core.schema.model import RecordType, Release
from core.tables.build import build_tables
from core.tables.search import (
    content_of,
    fingerprint,
    is_built,
    put,
    search_fields,
    search_table,
    set_state,
)

#: Records of one transaction: writers wait for a fifth of a second, readers never.
BATCH = 5_000


def build_search(db: Database, record_type: RecordType, bookmark: Bookmark | None = None) -> None:
    """Index every record of a type after the bookmark, then let searches use the index.

    Others write between two batches and keep the index of what they write themselves.
    """
    fields, table = search_fields(record_type), build_tables(record_type).main
    cursor = bookmark.cursor if bookmark else ""
    columns = [table.c.id, table.c.deleted_at, *(table.c[one.name] for one in fields)]
    query = sa.select(*columns).where(table.c.id > sa.bindparam("cursor")).order_by(table.c.id)
    query = query.limit(BATCH).with_for_update()
    while True:
        with db.write() as connection:
            rows = connection.execute(query, {"cursor": cursor}).mappings().all()
            if not rows:
                set_state(connection, record_type.name, fingerprint(record_type))
                break
            put(
                connection,
                record_type.name,
                {row["id"]: content_of(fields, dict(row)) for row in rows},
            )
            cursor = str(rows[-1]["id"])
            if bookmark:
                bookmark(connection, cursor)
    if not db.is_sqlite:
        # Else the first searches do what the server does by itself some time later.
        with db.patient() as alone:
            alone.exec_driver_sql("VACUUM (ANALYZE) gx_search")


def drop_search(db: Database, type_name: str) -> None:
    """Take every record of a type that has another name by now out of the index."""
    ids = sa.select(search_table.c.record_id).where(search_table.c.record_type == type_name)
    while True:
        with db.write() as connection:
            found = connection.execute(ids.limit(BATCH)).scalars().all()
            if not found:
                set_state(connection, type_name, "")
                return
            put(connection, type_name, dict.fromkeys(found, ""))


def build_missing(db: Database, release: Release) -> None:
    """Index the types that have searchable fields and no index, after an upgrade."""
    for record_type in release.types.values():
        with db.read() as connection:
            is_open = bool(fingerprint(record_type)) and not is_built(connection, record_type)
        if is_open:
            build_search(db, record_type)
