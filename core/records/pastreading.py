"""Whole records kept as JSON in wire form, read back as Python values of today's fields.

Most of what was kept was written under fields that are still the same, but for their names:
one typed decoder reads that. The rest is followed field by field, as earlier versions are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
from sqlalchemy.engine import Connection

from core.records.pastschema import PastTypes, keyed, named
from core.records.pasttexts import PastTexts
from core.records.pastvalues import Carried, carry_forward, conversions_in_force
from core.schema.fieldtypes import FieldError, FieldType, field_type
from core.schema.model import Field, RecordType
from core.schema.numbertypes import DecimalType
from core.schema.timetypes import DatetimeType, DateType, TimeType
from core.tables.registry import Registry

Record = dict[str, Any]
Decode = Callable[[str], Record]
#: Makes the Python value of a decoded one.
Finish = Callable[[Any], Any]

#: Field types whose wire form the decoder itself makes values of.
_DECODED: Mapping[type[FieldType], type] = {
    DecimalType: Decimal,
    DateType: date,
    TimeType: time,
    DatetimeType: datetime,
}
#: The columns of rows that are no fields.
_ROW = {"id": str | None, "position": int | None}

#: Type checkers know only dictionaries whose keys are written down.
_typed_dict: Any = TypedDict


class KeptRecords:
    """Reads kept records of one type, whichever release wrote them."""

    def __init__(
        self,
        connection: Connection,
        registry: Registry,
        record_type: RecordType,
        *,
        is_judged: bool = False,
    ) -> None:
        """Read records of `record_type` through `connection`.

        With `is_judged` their conditions are going to be computed, as `PastTexts` says.
        """
        self._connection, self._registry, self._type = connection, registry, record_type
        self._past = PastTypes(connection, registry, record_type)
        self._texts = PastTexts(self._past, is_judged=is_judged)
        self._decoders: dict[int, Decode | None] = {}

    def read(self, record_id: str, release: int, text: str) -> Record:
        """Return the values of a record that was kept under `release`, by today's names.

        Fields that came since are empty; those that are gone are left out.
        """
        try:
            decode = self._decoders[release]
        except KeyError:
            decode = self._decoders[release] = self._decoder(release)
        read = self._followed(record_id, release, text) if decode is None else decode(text)
        self._texts.follow(read, release)
        return read

    def _decoder(self, release: int) -> Decode | None:
        """Return what decodes records of a release; None where values changed since."""
        key = ("records.kept", self._type.name, release)
        return self._registry.memo(key, lambda: self._make_decoder(release))

    def _make_decoder(self, release: int) -> Decode | None:
        if any(one.release > release for one in conversions_in_force(self._type)):
            return None
        then = {one.id: one for one in kept_fields(self._past.at(release))}
        now = kept_fields(self._type)
        if any(one.id in then and _shape(one) != _shape(then[one.id]) for one in now):
            return None
        return _typed(now, {one.name: then[one.id].name for one in now if one.id in then})

    def _followed(self, record_id: str, release: int, text: str) -> Record:
        kept = msgspec.json.decode(text)
        held = {
            one.id: Carried(one, keyed(kept[one.name], one), release)
            for one in kept_fields(self._past.at(release))
            if one.name in kept
        }
        carry_forward(self._connection, self._type, record_id, held)
        found: Record = {}
        for field in kept_fields(self._type):
            one = held.get(field.id)
            value = named(one.value, field) if one is not None and one.fits else None
            found[field.name] = _loaded(field, value)
        return found


def kept_fields(record_type: RecordType) -> list[Field]:
    """Return the fields whose values are kept: all that are stored, but for secrets."""
    return [
        one
        for one in record_type.fields
        if one.sensitive != "secret" and field_type(one.type).storage(one).kind != "none"
    ]


def _shape(field: Field) -> Any:
    """Return what decides how a field's values are written, its own name aside."""
    return field.type, field.result, [(one.id, one.name, _shape(one)) for one in field.fields]


def _typed(fields: Sequence[Field], was: Mapping[str, str]) -> Decode:
    """Return what decodes records whose fields had the names `was`; others are empty."""
    types, finishes = _parts([one for one in fields if one.name in was])
    old = {was[name]: kind for name, kind in types.items()}
    decoder = msgspec.json.Decoder(_typed_dict("Kept", old, total=False))
    if not finishes and all(one.name == was.get(one.name) for one in fields):
        return decoder.decode

    def decode(text: str) -> Record:
        kept = decoder.decode(text)
        found: Record = {
            one.name: kept.get(was[one.name]) if one.name in was else _loaded(one, None)
            for one in fields
        }
        return _finished(found, finishes)

    return decode


def _parts(fields: Iterable[Field]) -> tuple[dict[str, Any], dict[str, Finish]]:
    """Return the types that fields are decoded as, and what is done to values afterwards."""
    types: dict[str, Any] = {}
    finishes: dict[str, Finish] = {}
    for field in fields:
        if field.type == "table":
            inner, inside = _parts(field.fields)
            row: Any = _typed_dict("Row", {**_ROW, **inner}, total=False)
            types[field.name] = list.__class_getitem__(row) | None
            if inside:
                finishes[field.name] = _each(inside)
            continue
        kind = field_type(field.result or field.type)
        dump = type(kind).dump
        known = [to for it, to in _DECODED.items() if isinstance(kind, it) and it.dump is dump]
        types[field.name] = known[0] | None if known else Any
        if not known and dump is not FieldType.dump:
            finishes[field.name] = _finish(field)
    return types, finishes


def _each(finishes: Mapping[str, Finish]) -> Finish:
    return lambda rows: [_finished(row, finishes) for row in rows]


def _finished(record: Record, finishes: Mapping[str, Finish]) -> Record:
    for name, finish in finishes.items():
        if record.get(name) is not None:
            record[name] = finish(record[name])
    return record


def _finish(field: Field) -> Finish:
    load = field_type(field.result or field.type).loader(field)

    def finish(value: Any) -> Any:
        try:
            return load(value)
        except FieldError:
            return value  # an option or a bound that was taken away since; it held then

    return finish


def _loaded(field: Field, value: Any) -> Any:
    """Return the Python value of a field's wire value by today's names."""
    if field.type == "table":
        return [
            {one: row[one] for one in _ROW if one in row}
            | {one.name: _loaded(one, row.get(one.name)) for one in field.fields}
            for row in value or ()
        ]
    if field.type == "links":
        return value or []
    return None if value is None else _finish(field)(value)
