"""Writes one posting with all that belongs to it, on PostgreSQL in one statement.

Rows travel as JSON arrays: one parameter a table, however many rows.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.errors import Malformed
from core.i18n import N_
from core.ledger.models import SUMS, account, entry, hold, hold_end, lot, posting
from core.prebuilt import Prebuilt

Rows = Sequence[Sequence[object]]

#: What is written, in this order: its name, the table, the columns of a row.
_INSERTS: Mapping[str, sa.Table] = {
    "postings": posting, "entries": entry, "lots": lot, "holds": hold, "ends": hold_end
}  # fmt: skip
_UPDATES: Mapping[str, tuple[sa.Table, tuple[str, ...]]] = {
    "remainders": (lot, ("id", "remaining")),
    "sums": (account, ("id", *SUMS)),
}

_encode = msgspec.json.Encoder().encode


def write(connection: Connection, rows: Mapping[str, Rows]) -> None:
    """Write rows: `postings`, `entries`, `lots`, `holds`, `ends`, `remainders` and `sums`.

    A row has the values of all columns in the table's order; of `remainders` it is id and
    remaining, of `sums` id and `core.ledger.models.SUMS`.

    Raises:
        Malformed: a text has a character that JSON carries and databases do not keep.
    """
    given = {name: _encode(each).decode() for name, each in rows.items() if each}
    if any("\\u0000" in text for text in given.values()) and _has_nul(rows):
        raise Malformed(N_("The character {char} cannot be stored."), char="U+0000")
    for statement in _writing(connection.dialect, tuple(given)):
        statement.run(connection, given)


def _has_nul(rows: Mapping[str, Rows]) -> bool:
    """Return whether a text has the character of which the sequence in JSON may be."""
    values = (value for each in rows.values() for row in each for value in row)
    return any(isinstance(value, str) and "\x00" in value for value in values)


@lru_cache(maxsize=64)
def _writing(dialect: Dialect, names: tuple[str, ...]) -> tuple[Prebuilt, ...]:
    parts = [_statement(name, dialect) for name in names]
    if dialect.name == "sqlite":
        return tuple(Prebuilt(sa.text(part), dialect) for part in parts)
    *first, last = parts
    before = ", ".join(f"w{place} AS ({part})" for place, part in enumerate(first))
    return (Prebuilt(sa.text(f"WITH {before} {last}" if first else last), dialect),)


def _statement(name: str, dialect: Dialect) -> str:
    is_sqlite = dialect.name == "sqlite"
    # A value of jsonb is taken apart once, one of json again for each of its columns.
    words = "json_each(:{})" if is_sqlite else "jsonb_array_elements(CAST(:{} AS jsonb))"
    source = words.format(name)
    if name in _INSERTS:
        table = _INSERTS[name]
        columns = list(table.columns)
        listed = ", ".join(column.name for column in columns)
        values = ", ".join(_value(column, place) for place, column in enumerate(columns))
        return f"INSERT INTO {table.name} ({listed}) SELECT {values} FROM {source} AS j"  # noqa: S608  fixed texts
    table, names = _UPDATES[name]
    sets = ", ".join(
        f"{column} = {_value(table.c[column], place)}"
        for place, column in enumerate(names)
        if place
    )
    mine = f"{table.name}.id = j.value ->> 0"
    return f"UPDATE {table.name} SET {sets} FROM {source} AS j WHERE {mine}"  # noqa: S608  fixed texts


def _value(column: sa.Column[object], place: int) -> str:
    text = f"(j.value ->> {place})"
    if isinstance(column.type, sa.Boolean):
        return f"CAST({text} AS boolean)"
    return f"CAST({text} AS bigint)" if isinstance(column.type, sa.Integer) else text
