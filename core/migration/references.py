"""What the product's own tables say of a record type that gets another name."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.appendonly import is_append_only
from core.db import metadata

#: Columns, in tables of the product, that hold the name of a record type.
_COLUMN = "record_type"


def rename_references(connection: Connection, old: str, new: str) -> None:
    """Have everything that refers to records of `old` refer to those of `new`.

    The history, and whatever else is append-only, stays as it was written; a type knows its
    former names. Tables that do not exist yet are left alone.
    """
    there = set(sa.inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in there or table is audit.history or is_append_only(table):
            continue
        # What the search index holds goes by the name too; it is built anew.
        if _COLUMN in table.c and not table.name.startswith("gx_search"):
            where = table.c[_COLUMN] == old
            connection.execute(table.update().where(where).values({_COLUMN: new}))
        if table.name == "gx_counter":
            _rename_counters(connection, table, old, new)
        if table.name == "gx_outbox":
            _rename_events(connection, table, old, new)


def _rename_counters(connection: Connection, table: sa.Table, old: str, new: str) -> None:
    """Have sequences go on where they are."""
    start = f"sequence:{old}:"
    key = table.c.key
    rest = sa.func.substr(key, len(start) + 1)
    where = sa.func.substr(key, 1, len(start)) == start
    connection.execute(
        table.update().where(where).values(key=sa.literal(f"sequence:{new}:").concat(rest))
    )


def _rename_events(connection: Connection, table: sa.Table, old: str, new: str) -> None:
    """Have events that are not delivered yet speak of the new name."""
    query = sa.select(table.c.seq, table.c.payload).where(
        table.c.state != "done", table.c.payload.contains(f'"{old}"', autoescape=True)
    )
    for seq, payload in connection.execute(query).all():
        event = msgspec.json.decode(payload)
        if isinstance(event, dict) and old in (event.get("type"), event.get(_COLUMN)):
            event |= {key: new for key in ("type", _COLUMN) if event.get(key) == old}
            text = msgspec.json.encode(event).decode()
            connection.execute(table.update().where(table.c.seq == seq).values(payload=text))
