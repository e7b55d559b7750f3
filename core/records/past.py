"""A record's earlier values, found by undoing its history event by event."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.errors import NotFound
from core.records.events import MASKED
from core.schema.fieldtypes import is_written
from core.schema.model import Field, RecordType

Record = dict[str, Any]

#: Events that did not change the record's own values.
ASIDE = frozenset({"propose", "unmask"})


def values_at(
    connection: Connection,
    record_type: RecordType,
    current: Mapping[str, Any],
    version: int,
) -> Record:
    """Return wire values that take a record back to `version`, from its history.

    Args:
        connection: the transaction that holds the record.
        record_type: its type.
        current: the record in wire form, with every table field.
        version: the version to go back to.

    Raises:
        NotFound: the record never had that version.
    """
    wanted = undone(connection, record_type, current, version)
    fields = {one.name: one for one in record_type.fields}
    return {
        name: _writable(fields[name], value)
        for name, value in wanted.items()
        if name in fields
        and value != MASKED
        and is_written(fields[name])
        and not (record_type.document and name == "status")
    }


def undone(
    connection: Connection, record_type: RecordType, current: Mapping[str, Any], version: int
) -> Record:
    """Return the fields that changed since `version`, in wire form, as they were then.

    Args:
        connection: a transaction.
        record_type: its type.
        current: the record in wire form, with every table field; of one that is erased
            its id alone.
        version: the version to go back to; 0 is before it was created.

    Raises:
        NotFound: the record never had that version.
    """
    events = connection.execute(
        sa.select(audit.history.c.version, audit.history.c.action, audit.history.c.changes)
        .where(
            audit.history.c.record_type.in_(record_type.names),
            audit.history.c.record_id == current["id"],
        )
        .order_by(audit.history.c.seq.desc())
    ).all()
    if version and version not in {event.version for event in events}:
        raise NotFound
    wanted: Record = {}
    for event in events:
        if event.version <= version:
            break
        if event.action in ASIDE:
            continue
        for name, change in msgspec.json.decode(event.changes).items():
            wanted[name] = _undone(wanted.get(name, current.get(name)), change)
    return wanted


def _writable(field: Field, value: Any) -> Any:
    """Return an earlier value without the cells of its rows that are computed."""
    if field.type != "table":
        return value
    writable = {one.name: one for one in field.fields if is_written(one)}
    return [
        {
            name: _writable(writable[name], cell) if name in writable else cell
            for name, cell in row.items()
            if name in writable or name == "id"
        }
        for row in value or ()
    ]


def _undone(value: Any, change: Any) -> Any:
    """Return a field's value before a change."""
    if not isinstance(change, dict):
        return change[0]
    rows = {row["id"]: dict(row) for row in value or ()}
    for row in change["added"]:
        rows.pop(row["id"], None)
    for row in change["changed"]:
        target = rows.get(row["id"], {})
        target.update(
            {name: _undone(target.get(name), cell) for name, cell in row.items() if name != "id"}
        )
    for row in change["removed"]:
        rows[row["id"]] = dict(row)
    order = change.get("order", [list(rows)])[0]
    place = {row_id: position for position, row_id in enumerate(order)}
    last = len(place)
    return sorted(
        rows.values(), key=lambda row: (place.get(row["id"], last), row.get("position", 0))
    )
