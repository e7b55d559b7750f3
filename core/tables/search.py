"""The search index: one row per record that has searchable text, on either database.

`content` is that text. PostgreSQL finds rows by the numbers of its pieces (`grams`, a
GIN index); SQLite by the same numbers as words of a contentless FTS5 table, whose
`rowid` is `doc`. Whoever writes a record writes its row in the same transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection

from core.db import driver_failure, metadata
from core.prebuilt import Prebuilt
from core.schema.model import Field, RecordType
from core.tables.columns import ID
from core.tables.grams import needed, numbered, pieces, worded
from core.tables.storage import has_column, storage_of

search_table = sa.Table(
    "gx_search",
    metadata,
    sa.Column("doc", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", ID, nullable=False),
    sa.Column("content", sa.Text, nullable=False, doc="the searchable texts, a line each"),
    sa.Column(
        "grams",
        postgresql.ARRAY(sa.Integer).with_variant(sa.Text, "sqlite"),
        doc="numbers of the pieces; empty on SQLite",
    ),
    sa.UniqueConstraint("record_type", "record_id", name="ux_gx_search__record"),
)
sa.Index("ix_gx_search__grams", search_table.c.grams, postgresql_using="gin").ddl_if(
    dialect="postgresql"
)
sa.event.listen(
    search_table,
    "after_create",
    sa.DDL(  # type: ignore[no-untyped-call]
        "CREATE VIRTUAL TABLE IF NOT EXISTS gx_search_grams"
        " USING fts5(grams, content='', detail=none, tokenize='ascii')"
    ).execute_if(dialect="sqlite"),
)

#: Which fields of a type are in the index for every record; see `fingerprint`.
state_table = sa.Table(
    "gx_search_state",
    metadata,
    sa.Column("record_type", sa.String(80), primary_key=True),
    sa.Column("fields", sa.Text, nullable=False),
)

#: Part of the fingerprint: another way to take texts to pieces makes every index anew.
_FORM = "1"


def search_fields(record_type: RecordType) -> tuple[Field, ...]:
    """Return the `searchable` fields of a type whose values are texts that may be told."""
    return tuple(
        one
        for one in record_type.fields
        if one.searchable
        and one.type != "secret"
        and one.sensitive != "secret"
        and has_column(one)
        and storage_of(one).kind == "text"
    )


def fingerprint(record_type: RecordType) -> str:
    """Return what the index of a type is made of; empty for a type without one."""
    ids = sorted(one.id for one in search_fields(record_type))
    return ",".join((_FORM, *ids)) if ids and not record_type.archived else ""


def content_of(fields: Iterable[Field], values: Mapping[str, Any]) -> str:
    """Return the searchable texts of a record's values; empty for a deleted record."""
    if values.get("deleted_at") is not None:
        return ""
    return "\n".join(text for one in fields if (text := values.get(one.name)))


def put(
    connection: Connection, type_name: str, contents: Mapping[str, str], *, are_new: bool = False
) -> None:
    """Bring the index rows of records (id -> searchable texts) to what they say now.

    Args:
        connection: the write transaction that changes the records.
        type_name: the records' type.
        contents: an empty text takes the record out of the index.
        are_new: the records were not there before, so nothing needs to be looked up.
    """
    if connection.dialect.name == "sqlite":
        _put_sqlite(connection, type_name, contents, are_new=are_new)
    else:
        _put_postgres(connection, type_name, contents, are_new=are_new)


def _put_postgres(
    connection: Connection, type_name: str, contents: Mapping[str, str], *, are_new: bool
) -> None:
    gone = [record_id for record_id, content in contents.items() if not content]
    if gone and not are_new:
        connection.execute(search_table.delete().where(_mine(type_name, gone)))
    rows = [(record_id, content) for record_id, content in contents.items() if content]
    if rows:
        grams = [numbered(type_name, pieces(content)) for _, content in rows]
        values = {
            "type": type_name,
            "ids": [record_id for record_id, _ in rows],
            "contents": [content for _, content in rows],
            # Arrays of different lengths are no array of PostgreSQL, so each is a text.
            "grams": ["{" + ",".join(map(str, one)) + "}" for one in grams],
        }
        _putting(connection.dialect).run(connection, values)


@lru_cache(maxsize=4)
def _putting(dialect: sa.Dialect) -> Prebuilt:
    """Return what indexes as many records as there are on PostgreSQL."""
    return Prebuilt(
        sa.text(
            "INSERT INTO gx_search (record_type, record_id, content, grams)"
            " SELECT CAST(:type AS varchar), one.id, one.content, CAST(one.grams AS integer[])"
            " FROM unnest(CAST(:ids AS text[]), CAST(:contents AS text[]), CAST(:grams AS text[]))"
            " AS one (id, content, grams)"
            " ON CONFLICT (record_type, record_id)"
            " DO UPDATE SET content = excluded.content, grams = excluded.grams"
        ),
        dialect,
    )


def _mine(type_name: str, ids: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.and_(search_table.c.record_type == type_name, search_table.c.record_id.in_(ids))


_FIND = (
    "SELECT record_id, doc, content FROM gx_search WHERE record_type = ?"
    " AND record_id IN (SELECT value FROM json_each(?))"
)
_HIGHEST = "SELECT coalesce(max(doc), 0) FROM gx_search"
_INSERT = "INSERT INTO gx_search (doc, record_type, record_id, content) VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM gx_search WHERE doc = ?"
_ADD = "INSERT INTO gx_search_grams (rowid, grams) VALUES (?, ?)"
_TAKE = "INSERT INTO gx_search_grams (gx_search_grams, rowid, grams) VALUES ('delete', ?, ?)"


def _put_sqlite(
    connection: Connection, type_name: str, contents: Mapping[str, str], *, are_new: bool
) -> None:
    """Write straight to the driver: every write of a searchable text comes through here."""
    driver: Any = connection.connection.driver_connection
    try:
        known = {} if are_new else _known(driver, type_name, contents)
        changed = {
            record_id: content
            for record_id, content in contents.items()
            if content != known.get(record_id, (0, ""))[1]
        }
        # In their order: going back to a lower number has SQLite write out all before it.
        gone = sorted(known[record_id] for record_id in changed if record_id in known)
        if gone:
            taken = [(doc, worded(type_name, pieces(content))) for doc, content in gone]
            driver.executemany(_TAKE, taken)
            driver.executemany(_DELETE, [(doc,) for doc, _ in gone])
        fresh = [(record_id, content) for record_id, content in changed.items() if content]
        if fresh:
            # The write lock is held, so nobody else takes these numbers.
            first = driver.execute(_HIGHEST).fetchone()[0] + 1
            rows = [(doc, type_name, *one) for doc, one in enumerate(fresh, start=first)]
            driver.executemany(_INSERT, rows)
            driver.executemany(_ADD, [(row[0], worded(type_name, pieces(row[3]))) for row in rows])
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_failure(connection, _ADD, error) from error


def _known(driver: Any, type_name: str, ids: Iterable[str]) -> dict[str, tuple[int, str]]:
    rows = driver.execute(_FIND, (type_name, msgspec.json.encode([*ids]).decode()))
    return {record_id: (doc, content) for record_id, doc, content in rows}


def like_pattern(text: str) -> str:
    """Return the LIKE pattern that finds `text` anywhere, taken literally."""
    for special in "\\%_":
        text = text.replace(special, "\\" + special)
    return f"%{text}%"


def index_key(connection: Connection, type_name: str, texts: Iterable[str]) -> Any:
    """Return what `indexed_ids` is to be asked with to find all of `texts`, for one database.

    None when the texts are too short to be looked up.
    """
    wanted = set[str]().union(*map(needed, texts))
    if not wanted:
        return None
    form = worded if connection.dialect.name == "sqlite" else numbered
    return form(type_name, wanted)


def indexed_ids(dialect: str, patterns: Iterable[sa.BindParameter[str]]) -> sa.Select[Any]:
    """Return the question for the ids of records whose texts fit all patterns.

    Its parameter `search_key` is an `index_key`; the records' type is part of that.
    """
    columns = search_table.c
    if dialect == "sqlite":
        key: sa.BindParameter[Any] = sa.bindparam("search_key", type_=sa.Text())
        grams = sa.table("gx_search_grams", sa.column("rowid"))
        match = sa.literal_column("gx_search_grams").op("MATCH", is_comparison=True)(key)
        has_pieces: sa.ColumnElement[bool] = columns.doc.in_(sa.select(grams.c.rowid).where(match))
    else:
        key = sa.bindparam("search_key", type_=postgresql.ARRAY(sa.Integer))
        has_pieces = columns.grams.contains(key)
    fits = (columns.content.ilike(one, escape="\\") for one in patterns)
    return sa.select(columns.record_id).where(has_pieces, *fits)


#: With so many records that have the pieces it is a matter of moments to look at each.
#: PostgreSQL reads a page of the disk for nearly each and is faster to go through them all.
_FEW = {"sqlite": 100_000, "postgresql": 10_000}

_COUNT = {
    "sqlite": "SELECT count(*) FROM (SELECT rowid FROM gx_search_grams"
    " WHERE gx_search_grams MATCH :search_key LIMIT :most)",
    "postgresql": "SELECT count(*) FROM (SELECT FROM gx_search"
    " WHERE grams @> CAST(:search_key AS integer[]) LIMIT :most) AS found",
}


@lru_cache(maxsize=2)
def _counting(dialect: sa.Dialect) -> Prebuilt:
    return Prebuilt(sa.text(_COUNT[dialect.name]), dialect, is_planned_once=False)


def finds_few(connection: Connection, key: Any) -> bool:
    """Return whether the index finds so few records by a key that each can be looked at."""
    few = _FEW[connection.dialect.name]
    values = {"search_key": key, "most": few + 1}
    return bool(_counting(connection.dialect).raw(connection, values)[0][0] <= few)


@lru_cache(maxsize=32)
def _finding(dialect: sa.Dialect, texts: int) -> Prebuilt:
    patterns = [sa.bindparam(f"search{at}", type_=sa.Text()) for at in range(texts)]
    most = sa.bindparam("most", type_=sa.Integer())
    found = indexed_ids(dialect.name, patterns).limit(most)
    return Prebuilt(found, dialect, is_planned_once=False)


def candidates(
    connection: Connection, type_name: str, texts: Sequence[str], *, most: int
) -> list[str] | None:
    """Return the ids of records that may hold all of `texts`.

    None when there are more than `most`, or when the texts are too short to be looked up.
    """
    key = index_key(connection, type_name, texts)
    # SQLite gathers everything that has the pieces before it looks at the first text.
    is_sqlite = connection.dialect.name == "sqlite"
    if key is None or (is_sqlite and not finds_few(connection, key)):
        return None
    values = {f"search{at}": like_pattern(text) for at, text in enumerate(texts)}
    finding = _finding(connection.dialect, len(texts))
    rows = finding.raw(connection, {**values, "search_key": key, "most": most + 1})
    return [row[0] for row in rows] if len(rows) <= most else None


def is_built(connection: Connection, record_type: RecordType) -> bool:
    """Return whether every record of a type is in the index with its present fields."""
    query = sa.select(state_table.c.fields).where(state_table.c.record_type == record_type.name)
    return connection.execute(query).scalar() == fingerprint(record_type)


def set_state(connection: Connection, type_name: str, fields: str) -> None:
    """Write down which fields of a type are in the index for every record; empty for none."""
    connection.execute(state_table.delete().where(state_table.c.record_type == type_name))
    if fields:
        connection.execute(state_table.insert().values(record_type=type_name, fields=fields))
