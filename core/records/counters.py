"""Numbers that are given once: sequences of fields, card serials, the audit sequence.

A counter is a row; taking numbers locks it until the transaction ends, so the
order of numbers is the order of commits and a refusal gives its numbers back.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect

from core.db import metadata
from core.prebuilt import Prebuilt
from core.schema.model import Field, RecordType
from core.schema.scopes import tables_of

counter = sa.Table(
    "gx_counter",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

#: The counter that orders all approvals of the database.
AUDIT_SEQ = "audit_seq"

_TOKEN = re.compile(r"\{(yyyy|yy|mm|dd|0+)\}")

#: How much of the day stands in a counter's key, by when the sequence starts over.
_PERIOD = {"never": "", "yearly": "%Y", "monthly": "%Y%m", "daily": "%Y%m%d"}


@lru_cache(maxsize=4)
def _taking(dialect: Dialect) -> Prebuilt:
    """Return the statement that adds `count` to a counter and tells its new value."""
    insert = (sqlite.insert if dialect.name == "sqlite" else postgresql.insert)(counter)
    count = sa.bindparam("count", type_=sa.BigInteger)
    statement = (
        insert.values(key=sa.bindparam("counter"), value=count)
        .on_conflict_do_update(
            index_elements=[counter.c.key], set_={"value": counter.c.value + count}
        )
        .returning(counter.c.value)
    )
    return Prebuilt(statement, dialect)


def next_number(connection: Connection, key: str, *, count: int = 1) -> int:
    """Return the first of the next `count` numbers of the counter `key`, starting with 1."""
    ((taken,),) = _taking(connection.dialect).rows(connection, {"counter": key, "count": count})
    return int(taken) - count + 1


def last_number(connection: Connection, key: str) -> int:
    """Return the last number that the counter `key` gave; 0 before its first."""
    rows = _reading(connection.dialect).rows(connection, {"counter": key})
    return int(rows[0][0]) if rows else 0


@lru_cache(maxsize=4)
def _reading(dialect: Dialect) -> Prebuilt:
    query = sa.select(counter.c.value).where(counter.c.key == sa.bindparam("counter"))
    return Prebuilt(query, dialect)


def sequence_key(type_name: str, field: Field, day: date) -> str:
    """Return the key of the counter that numbers `field` on `day`."""
    return f"sequence:{type_name}:{field.id}:{day.strftime(_PERIOD[field.reset])}"


def row_sequences(record_type: RecordType) -> tuple[tuple[str, Field], ...]:
    """Return the sequences among the columns of table fields, each with its table's path."""
    return tuple(
        (path, one)
        for path, table in tables_of(record_type)
        for one in table.fields
        if one.type == "sequence"
    )


def number_rows(
    connection: Connection,
    type_name: str,
    sequences: Iterable[tuple[str, Field]],
    records: Iterable[tuple[Mapping[str, Any] | None, Mapping[str, Any]]],
    day: date,
) -> None:
    """Draw the numbers of rows that come in now; `records` are as they were and as they will be.

    Rows of before a sequence was added stay without.
    """
    pairs = list(records)
    for path, field in sequences:
        rows: list[Any] = []
        for before, after in pairs:
            known = {row["id"] for row in rows_at(before or {}, path) if "id" in row}
            fresh = (row for row in rows_at(after, path) if row.get("id") not in known)
            rows += [row for row in fresh if row.get(field.name) is None]
        if not rows:
            continue
        first = next_number(connection, sequence_key(type_name, field, day), count=len(rows))
        for number, row in enumerate(rows, start=first):
            row[field.name] = format_number(field.number, number, day)


def rows_at(values: Mapping[str, Any], path: str) -> Iterable[Any]:
    """Return the rows of the table field at `lines` or `lines.parts`; the record without one."""
    rows: Iterable[Any] = (values,)
    for name in path.split(".") if path else ():
        rows = [one for row in rows for one in row.get(name) or ()]
    return rows


def format_number(pattern: str, number: int, day: date) -> str:
    """Return `number` in a sequence's pattern.

    >>> format_number("CP-{yyyy}{mm}-{0000}", 7, date(2026, 3, 9))
    'CP-202603-0007'
    """
    dates = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d"}

    def put(match: re.Match[str]) -> str:
        token = match[1]
        return day.strftime(dates[token]) if token in dates else str(number).zfill(len(token))

    return _TOKEN.sub(put, pattern)
