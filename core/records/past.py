"""A record's earlier values, found by undoing its history event by event.

Each event is read under the release it was written under, and what fields are called by
now, or what releases since then made of their values, is followed by their ids. What has
no place any more is told, never dropped in silence.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.errors import NotFound
from core.i18n import N_
from core.records.events import MASKED
from core.records.pastschema import PastTypes, by_name, gone_columns, keyed, named
from core.records.pastvalues import Carried, carry_forward, kept_value
from core.schema.fieldtypes import field_type, is_written
from core.schema.model import Field, RecordType
from core.tables.registry import Registry

Record = dict[str, Any]

#: Events that did not change the record's own values.
ASIDE = frozenset({"propose", "unmask"})

#: Why a value of then cannot come back.
GONE = N_("The form has no such field any more.")
UNFIT = N_("The field takes other values by now.")


@dataclass(frozen=True, slots=True)
class Lost:
    """A value of an earlier version that cannot be restored: the field as it was, and why."""

    field: Field
    value: Any
    why: str


@dataclass(slots=True)
class Earlier:
    """A record as it was at a version.

    Attributes:
        then: its type in the release under which that version was written.
        values: fields that changed since, by today's names and in today's form; wire values.
        shown: the same by the names, and in the form, of then; rows with their old columns.
        lost: what of them has no place any more.
        unfit: today's names of fields that took such values then and no longer do.
    """

    then: RecordType
    values: Record = attribute(default_factory=dict)
    shown: Record = attribute(default_factory=dict)
    lost: list[Lost] = attribute(default_factory=list)
    unfit: set[str] = attribute(default_factory=set)


def earlier(
    connection: Connection,
    registry: Registry,
    record_type: RecordType,
    current: Mapping[str, Any],
    version: int,
) -> Earlier:
    """Return what changed in a record since `version`, as it was then.

    Args:
        connection: a transaction.
        registry: the release in force.
        record_type: its type.
        current: the record in wire form, with every table field; of one that is erased
            its id alone.
        version: the version to go back to; 0 is before it was created.

    Raises:
        NotFound: the record never had that version.
    """
    events = _events(connection, record_type, current["id"])
    at = next((event.release for event in events if event.version == version), None)
    if version and at is None:
        raise NotFound
    past = PastTypes(connection, registry, record_type)
    later = [event for event in events if event.version > version and event.action not in ASIDE]
    held = _held(past, record_type, current, later)
    found = Earlier(record_type if at is None else past.at(at))
    old = {one.id: one for one in found.then.fields}
    for identity, one in held.items():
        if identity in old:
            found.shown[old[identity].name] = named(one.value, old[identity])
    carry_forward(connection, record_type, current["id"], held)
    here = {one.id: one for one in record_type.fields}
    for identity, one in held.items():
        _settle(found, here.get(identity), one)
    return found


def _events(connection: Connection, record_type: RecordType, record_id: str) -> Sequence[Any]:
    """Return a record's events, newest first."""
    table = audit.history.c
    query = (
        sa.select(table.version, table.action, table.changes, table.release)
        .where(table.record_type.in_(record_type.names), table.record_id == record_id)
        .order_by(table.seq.desc())
    )
    return connection.execute(query).all()


def _held(
    past: PastTypes, record_type: RecordType, current: Mapping[str, Any], events: Iterable[Any]
) -> dict[str, Carried]:
    """Return by id what fields held before `events`, newest first, as it was written then."""
    here = {one.id: one for one in record_type.fields}
    held: dict[str, Carried] = {}
    for event in events:
        fields = by_name(past.at(event.release).fields)
        for name, change in msgspec.json.decode(event.changes).items():
            field = fields.get(name)
            if field is None:
                continue  # written by the product itself, under no field
            known = held.get(field.id)
            before = known.value if known else _present(current, here.get(field.id))
            value = _undone(before, keyed(change, field))
            held[field.id] = Carried(field, value, event.release)
    return held


def _present(current: Mapping[str, Any], field: Field | None) -> Any:
    return None if field is None else keyed(current.get(field.name), field)


def _settle(found: Earlier, now: Field | None, held: Carried) -> None:
    """Put a value of then under what its field is today, or among what is lost."""
    is_empty = held.value in (None, "", []) or field_type(held.field.type).computed
    if now is None:
        if not is_empty:
            found.lost.append(Lost(held.field, _readable(held), GONE))
        return
    if not held.fits:
        found.lost.append(Lost(held.field, _readable(held), UNFIT))
        found.unfit.add(now.name)
        return
    found.lost += [
        Lost(one, cell, GONE) for one, cell in gone_columns(held.value, held.field, now)
    ]
    found.values[now.name] = named(held.value, now)


def _readable(held: Carried) -> Any:
    return named(held.value, held.field)


def whole(
    connection: Connection,
    record_type: RecordType,
    current: Mapping[str, Any],
    found: Earlier,
) -> Record:
    """Return all that a record held at a version, by the names and in the form of then.

    What did not change since is as it is now; of fields put away it is what their columns keep.
    """
    here = {one.id: one for one in record_type.fields}
    values: Record = {}
    for one in found.then.fields:
        now = here.get(one.id)
        if one.name in found.shown:
            values[one.name] = found.shown[one.name]
        elif now is not None:
            values[one.name] = named(keyed(current.get(now.name), now), one)
        elif one.type not in {"table", "links", "backlink"}:
            kept = kept_value(connection, record_type, current["id"], one)
            values[one.name] = None if kept is None else field_type(one.type).dump(kept)
    return values


def values_at(
    connection: Connection,
    registry: Registry,
    record_type: RecordType,
    current: Mapping[str, Any],
    version: int,
) -> Record:
    """Return wire values that take a record back to `version`, from its history.

    Raises:
        NotFound: the record never had that version.
    """
    return writable(
        record_type, earlier(connection, registry, record_type, current, version).values
    )


def writable(record_type: RecordType, values: Mapping[str, Any]) -> Record:
    """Return those earlier values that can be written, rows without what is computed."""
    fields = by_name(record_type.fields)
    return {
        name: _writable(fields[name], value)
        for name, value in values.items()
        if value != MASKED
        and is_written(fields[name])
        and not (record_type.document and name == "status")
    }


def _writable(field: Field, value: Any) -> Any:
    """Return an earlier value without the cells of its rows that are computed."""
    if field.type != "table":
        return value
    columns = {one.name: one for one in field.fields if is_written(one)}
    return [
        {
            name: _writable(columns[name], cell) if name in columns else cell
            for name, cell in row.items()
            if name in columns or name == "id"
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
