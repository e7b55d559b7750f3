"""Values of earlier releases as they are by now: retyped, merged and split as releases did."""

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.schema.converting import Converter, base_id
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Conversion, Field, RecordType
from core.tables.build import build_tables, stored_names


@dataclass(frozen=True, slots=True)
class Carried:
    """A value on its way from an earlier release to this one.

    Attributes:
        field: the field as it was when the value was written.
        value: in wire form; rows are keyed by the ids of their columns.
        release: under which it was written.
        fits: whether today's field takes it.
    """

    field: Field
    value: Any
    release: int
    fits: bool = True


def carry_forward(
    connection: Connection, record_type: RecordType, record_id: str, held: dict[str, Carried]
) -> None:
    """Make the values `held`, by field id, what the releases since then would have made of them.

    Fields that were merged or split leave `held` for those that took their values.
    """
    for conversion in conversions_in_force(record_type):
        sources = [base_id(one.id) for one in conversion.sources]
        if any(_is_older(held.get(one), conversion) for one in sources):
            _convert(connection, record_type, record_id, conversion, held)
    here = {one.id: one for one in record_type.fields}
    for identity, one in list(held.items()):
        now = here.get(identity)
        if now is not None:
            held[identity] = _fitted(one, now)


def conversions_in_force(record_type: RecordType) -> list[Conversion]:
    """Return the conversions of a record's own fields that no rollback took back."""
    undone = {id(one) for it in record_type.conversions for one in it.undoes}
    taken = [one for it in record_type.conversions for one in it.undoes]
    return [
        one
        for one in record_type.conversions
        if not one.table and one.kind != "undo" and one not in taken and id(one) not in undone
    ]


def _is_older(held: Carried | None, conversion: Conversion) -> bool:
    return held is not None and held.release < conversion.release


def _convert(
    connection: Connection,
    record_type: RecordType,
    record_id: str,
    conversion: Conversion,
    held: dict[str, Carried],
) -> None:
    """Do to values of before a release what it did to those that were stored."""
    sources = conversion.sources
    state: dict[str, Any] = {}
    for one in sources:
        known = held.get(base_id(one.id))
        if known is None:
            state[one.id] = kept_value(connection, record_type, record_id, one)
            continue
        try:
            state[one.id] = _load(known.field, known.value)
        except FieldError:
            return  # what is not a value of its field is told as it stands
    made, failures = Converter(conversion).run(state, 0)
    if failures:
        return
    for one in sources:
        held.pop(base_id(one.id), None)
    for one in conversion.targets:
        held[one.id] = Carried(one, _dump(one, made[one.id]), conversion.release)


def kept_value(
    connection: Connection, record_type: RecordType, record_id: str, field: Field
) -> Any:
    """Return the Python value that a field put away still has in its column."""
    names = stored_names(record_type.fields, record_type.archived_fields)
    main = build_tables(record_type, with_archived=True).main
    name = names.get(field.id)
    if name is None or name not in main.c:
        return None
    query = sa.select(main.c[name]).where(main.c.id == record_id)
    return connection.execute(query).scalar()


def _load(field: Field, value: Any) -> Any:
    return None if value is None else field_type(field.type).load(value, field)


def _dump(field: Field, value: Any) -> Any:
    return None if value is None else field_type(field.type).dump(value)


def _fitted(held: Carried, now: Field) -> Carried:
    """Return a value in the form that today's field takes, through its text where it must."""
    if held.field.type == now.type == "table":
        return replace(held, value=_fitted_rows(held.value, held.field, now))
    if held.value is None or field_type(now.type).computed or now.type == "secret":
        return held
    if "table" in {held.field.type, now.type}:
        return replace(held, fits=False)
    if _takes(now, held.value):
        return held
    try:
        plain = _load(held.field, held.value)
        text = field_type(held.field.type).to_text(plain)
        value = _dump(now, field_type(now.type).from_text(text, now))
    except FieldError:
        return replace(held, fits=False)
    return replace(held, value=value)


def _takes(field: Field, value: Any) -> bool:
    try:
        _load(field, value)
    except FieldError:
        return False
    return True


def _fitted_rows(rows: Any, then: Field, now: Field) -> list[dict[str, Any]]:
    """Return rows whose cells fit today's columns; those that do not stay, to be refused."""
    old, new = ({one.id: one for one in it.fields} for it in (then, now))
    made = []
    for row in rows or ():
        cells = dict(row)
        for key in cells.keys() & new.keys():
            before = old.get(key, new[key])
            cells[key] = _fitted(Carried(before, cells[key], 0), new[key]).value
        made.append(cells)
    return made
