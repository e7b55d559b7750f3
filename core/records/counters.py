"""Numbers that are given once: sequences of fields, card serials, the audit sequence.

A counter is a row; taking numbers locks it until the transaction ends, so the
order of numbers is the order of commits and a refusal gives its numbers back.
"""

import re
from datetime import date
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.db import metadata
from core.schema.model import Field

counter = sa.Table(
    "gx_counter",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

_TOKEN = re.compile(r"\{(yyyy|yy|mm|dd|0+)\}")

#: How much of the day stands in a counter's key, by when the sequence starts over.
_PERIOD = {"never": "", "yearly": "%Y", "monthly": "%Y%m", "daily": "%Y%m%d"}


@lru_cache(maxsize=4)
def _taking(dialect: str) -> sa.Executable:
    """Return the statement that adds `count` to a counter and tells its new value."""
    insert = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(counter)
    count = sa.bindparam("count", type_=sa.BigInteger)
    return (
        insert.values(key=sa.bindparam("counter"), value=count)
        .on_conflict_do_update(
            index_elements=[counter.c.key], set_={"value": counter.c.value + count}
        )
        .returning(counter.c.value)
    )


def next_number(connection: Connection, key: str, *, count: int = 1) -> int:
    """Return the first of the next `count` numbers of the counter `key`, starting with 1."""
    taken = connection.execute(
        _taking(connection.dialect.name), {"counter": key, "count": count}
    ).scalar_one()
    return int(taken) - count + 1


def sequence_key(type_name: str, field: Field, day: date) -> str:
    """Return the key of the counter that numbers `field` on `day`."""
    return f"sequence:{type_name}:{field.id}:{day.strftime(_PERIOD[field.reset])}"


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
