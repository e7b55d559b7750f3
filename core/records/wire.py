"""Python values to wire values: decimals and ids as text, instants as RFC 3339.

Serializers are compiled once per record type and run straight over row tuples,
without a schema library in between; that is most of what a list page costs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from core.schema.fieldtypes import FieldType, field_type
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, Field, RecordType
from core.tables.registry import Registry

#: Turns one Python value that is not None into its wire form; None where it is it already.
Dump = Callable[[Any], Any]

Record = dict[str, Any]

#: Room for any number that an expression can give.
_EXACT = Context(prec=80)


def instant_text(value: datetime) -> str:
    """Return an aware instant as RFC 3339 in UTC with microseconds and `Z`."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:26] + "Z"


#: System fields whose Python value is not its wire value.
_SYSTEM_DUMPS: dict[str, Dump] = {
    "created_at": instant_text,
    "updated_at": instant_text,
    "audited_at": instant_text,
}


def dump_of(field: Field) -> Dump | None:
    """Return what turns a field's value into its wire form, None when nothing does."""
    if field.type in {"table", "backlink"}:
        return None
    kind = field_type(field.result or field.type)
    fit = None if field.stored or not field.result else _fitting(kind, field)
    if type(kind).dump is FieldType.dump:
        return fit
    if fit is None:
        return kind.dump
    dump = kind.dump
    return lambda value: dump(fit(value))


def _fitting(kind: FieldType, field: Field) -> Dump | None:
    """Return what rounds a number that was computed when it was read, half up."""
    storage = kind.storage(field)
    if storage.kind == "integer":
        return lambda value: int(Decimal(value).to_integral_value(ROUND_HALF_UP))
    if storage.kind != "decimal":
        return None
    unit = Decimal(1).scaleb(-storage.scale)
    return lambda value: Decimal(value).quantize(unit, ROUND_HALF_UP, _EXACT)


class Wire:
    """How the records of one type go out.

    Attributes:
        dumps: name -> dump, for the fields that need one, system fields included.
        rows: table field name -> the same for its rows.
        inner: table field name -> the table fields among its columns, where it has some.
        secrets: names whose values the history does not show.
        masked: names whose values no answer shows.
    """

    __slots__ = ("dumps", "inner", "masked", "rows", "secrets")

    def __init__(self, record_type: RecordType) -> None:
        """Compile the serializer of `record_type`."""
        self.dumps = _dumps(record_type.fields) | _SYSTEM_DUMPS
        tables = [field for field in record_type.fields if field.type == "table"]
        self.rows = {field.name: _row_dumps(field) for field in tables}
        self.inner = {
            field.name: frozenset(inner)
            for field in tables
            if (inner := [one.name for one in field.fields if one.type == "table"])
        }
        self.secrets = frozenset(
            field.name for field in record_type.fields if field.sensitive == "secret"
        )
        self.masked = frozenset(one.name for one in record_type.fields if one.type == "secret")

    def value(self, name: str, value: Any) -> Any:
        """Return the wire form of one field's value."""
        if value is None:
            return None
        cells = self.rows.get(name)
        if cells is not None:
            return [dump_mapping(row, cells) for row in value]
        dump = self.dumps.get(name)
        return value if dump is None else dump(value)

    def kept(self, name: str, value: Any) -> Any:
        """Return the wire form in which a proposal keeps a value: that of a secret is its hash."""
        return value if name in self.masked else self.value(name, value)

    def record(self, record: Mapping[str, Any]) -> Record:
        """Return a whole record in wire form; names that are no fields pass as they are.

        So do the masks of fields that the record names in `masked`.
        """
        rows, dumps = self.rows, self.dumps
        masked = record.get("masked") or ()
        wire: Record = {}
        for name, value in record.items():
            if value is None or name in masked:
                wire[name] = value
            elif name in rows:
                wire[name] = [dump_mapping(row, rows[name]) for row in value]
            else:
                dump = dumps.get(name)
                wire[name] = value if dump is None else dump(value)
        return wire


def _dumps(fields: Iterable[Field]) -> dict[str, Dump]:
    found = {}
    for field in fields:
        dump = dump_of(field)
        if dump is not None:
            found[field.name] = dump
    return found


def _row_dumps(table: Field) -> dict[str, Dump]:
    """Return the dumps of a table field's columns, tables among them included."""

    def inside(dumps: Mapping[str, Dump]) -> Dump:
        return lambda rows: dump_rows(rows, dumps)

    found = _dumps(table.fields)
    for one in table.fields:
        if one.type == "table":
            found[one.name] = inside(_row_dumps(one))
    return found


def dump_mapping(row: Mapping[str, Any], dumps: Mapping[str, Dump]) -> Record:
    """Return one child row in wire form."""
    return {
        name: value if value is None or name not in dumps else dumps[name](value)
        for name, value in row.items()
    }


def dump_rows(rows: Iterable[Mapping[str, Any]], dumps: Mapping[str, Dump]) -> list[Record]:
    """Return many child rows in wire form."""
    pairs = tuple(dumps.items())
    dumped = []
    for row in rows:
        made = dict(row)
        for name, dump in pairs:
            value = made.get(name)
            if value is not None:
                made[name] = dump(value)
        dumped.append(made)
    return dumped


def row_writer(names: Sequence[str], wire: Wire) -> Callable[[Sequence[Any]], Record]:
    """Return a function from row tuples, with columns in the order of `names`, to records."""
    columns = tuple(
        (index, name, wire.dumps[name]) for index, name in enumerate(names) if name in wire.dumps
    )
    keys = tuple(names)

    def write(row: Sequence[Any]) -> Record:
        record = dict(zip(keys, row))  # noqa: B905  mask columns follow the named ones
        for index, name, dump in columns:
            value = row[index]
            if value is not None:
                record[name] = dump(value)
        return record

    return write


def wire_of(registry: Registry, type_name: str) -> Wire:
    """Return the compiled serializer of a record type."""
    return registry.memo(
        ("records.wire", type_name), lambda: Wire(registry.record_type(type_name))
    )


def to_wire(registry: Registry, type_name: str, record: Mapping[str, Any]) -> Record:
    """Return a record as plain JSON values, in the shape that writing takes."""
    return wire_of(registry, type_name).record(record)


def system_names(record_type: RecordType) -> tuple[str, ...]:
    """Return the names of the system fields of a record type, in the order of answers."""
    return (*SYSTEM_FIELDS, *DOCUMENT_FIELDS) if record_type.document else SYSTEM_FIELDS
