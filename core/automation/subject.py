"""The record that an automation is about: as an event left it, as it was before, as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.audit import history
from core.context import Context
from core.records.children import attach
from core.records.past import ASIDE, earlier
from core.records.wire import wire_of
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """What the history says of one event.

    Attributes:
        changes: field name -> what changed, as histories keep it.
        release: the release that it happened under.
    """

    door: str
    actor: str
    actor_name: str
    action: str
    changes: Mapping[str, Any]
    release: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A record and its past, as Python values.

    Attributes:
        record: the record; None when it does not exist any more and never will.
        old: the record before the event; None when there was none.
    """

    record: Record | None
    old: Record | None


#: The subject of what is about no record.
NOTHING = Subject(None, None)


def happening(
    connection: Connection, names: Sequence[str], record_id: str, version: int
) -> Happening | None:
    """Return what made a record's version; None when the history does not say.

    `names` are those that its record type has and had.
    """
    query = (
        sa.select(history)
        .where(
            history.c.record_type.in_(names),
            history.c.record_id == record_id,
            history.c.version == version,
            history.c.action.not_in(ASIDE),
        )
        .order_by(history.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    changes = msgspec.json.decode(row["changes"])
    return Happening(
        row["door"], row["actor"], row["actor_name"], row["action"], changes, row["release"]
    )


def present(ctx: Context, connection: Connection, type_name: str, record_id: str) -> Record | None:
    """Return a stored record, deleted or not, with its rows and links; None when there is none."""
    tables = ctx.registry.tables[type_name]
    query = sa.select(tables.main).where(tables.main.c.id == record_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    record = dict(row)
    attach(connection, ctx.registry, type_name, [record], (*tables.children, *tables.links))
    return record


def subject_at(
    ctx: Context, connection: Connection, type_name: str, record_id: str, version: int
) -> Subject:
    """Return a record as it was at `version`, and before it; of a deleted one its last values.

    Raises:
        NotFound: the record never had that version.
    """
    record_type = ctx.registry.record_type(type_name)
    now = present(ctx, connection, type_name, record_id)
    wire = {"id": record_id} if now is None else wire_of(ctx.registry, type_name).record(now)

    def at(number: int) -> Record:
        then = earlier(connection, ctx.registry, record_type, wire, number)
        values = {**dict.fromkeys(then.unfit), **then.values}
        return {**(now or {"id": record_id}), **from_wire(record_type, values)}

    old = at(version - 1) if version > 1 else None
    if now is None:
        # Erased: what it held last is all there is.
        return Subject(old, old)
    return Subject({**at(version), "version": version}, old)


def from_wire(record_type: RecordType, values: Mapping[str, Any]) -> Record:
    """Return wire values of a history as Python values, whatever the fields allow by now."""
    fields = {one.name: one for one in record_type.fields}
    return {name: _read(fields[name], value) for name, value in values.items() if name in fields}


def _read(field: Field, value: Any) -> Any:
    if value is None:
        return None
    if field.type == "table":
        columns = {one.name: one for one in field.fields}
        return [
            {
                name: _read(columns[name], cell) if name in columns else cell
                for name, cell in row.items()
            }
            for row in value
        ]
    kind = field_type(field.result or field.type)
    if kind.name == "duration":
        return kind.load(value, Field(id="", name=field.name, type="duration"))
    read = _READERS.get(kind.storage(field).kind)
    try:
        return value if read is None else read(value)
    except (ValueError, ArithmeticError, TypeError):
        # Written when the field was of another type; conditions see it as empty.
        return None


_READERS: Mapping[str, Any] = {
    "decimal": lambda value: Decimal(str(value)),
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "instant": datetime.fromisoformat,
}
