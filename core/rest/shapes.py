"""Record types as JSON Schema: what bodies and answers of the record routes look like."""

from typing import Any

from core.i18n import pick
from core.schema.fieldtypes import field_type, is_written
from core.schema.model import DOCUMENT_FIELDS, Field, RecordType

Shape = dict[str, Any]

_INSTANT: Shape = {"type": "string", "format": "date-time"}
_ID: Shape = {"type": "string", "format": "uuid"}

#: By storage kind, so that field types of plugins are described without being known here.
_KINDS: dict[str, Shape] = {
    "text": {"type": "string"},
    "id": _ID,
    "integer": {"type": "integer"},
    "decimal": {"type": "string", "format": "decimal", "pattern": r"^-?\d+(\.\d+)?$"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "instant": _INSTANT,
    "json": {},
    "links": {"type": "array", "items": _ID, "uniqueItems": True},
}

_SYSTEM: dict[str, Shape] = {
    "id": _ID,
    "version": {"type": "integer"},
    "created_at": _INSTANT,
    "created_by": {"type": "string"},
    "updated_at": _INSTANT,
    "updated_by": {"type": "string"},
    "audited_at": {**_INSTANT, "nullable": True},
    "audit_seq": {"type": "integer", "nullable": True},
}


def field_shape(field: Field, locale: str) -> Shape:
    """Return the shape of one field's value."""
    shape = {**_value_shape(field), "title": pick(field.label, locale, field.name)}
    text = pick(field.help, locale)
    if text:
        shape["description"] = text
    if _is_computed(field):
        shape["readOnly"] = True
    if field.type == "secret":
        shape["writeOnly"] = True
    if not field.required and field.type != "table":
        shape["nullable"] = True
    return shape


def _is_computed(field: Field) -> bool:
    return not is_written(field)


def _value_shape(field: Field) -> Shape:
    kind = field_type(field.type)
    if field.type == "table":
        rows = {row.name: field_shape(row, "") for row in field.fields}
        properties = {"id": {**_ID, "description": "of a row that exists"}, **rows}
        return {"type": "array", "items": {"type": "object", "properties": properties}}
    if field.type in {"backlink", "files"}:
        return {"type": "array", "items": _ID}
    if field.result:
        kind = field_type(field.result)
    own = kind.shape(field)
    if own is not None:
        return own
    shape = dict(_KINDS.get(kind.storage(field).kind, {}))
    options = [option.value for option in field.options if not option.archived]
    if options and shape.get("type") == "string":
        shape["enum"] = options if field.required else [*options, None]
    elif options:
        shape = {"type": "array", "items": {"type": "string", "enum": options}}
    if field.max_length and shape.get("type") == "string":
        shape["maxLength"] = field.max_length
    return shape


def answer_shape(record_type: RecordType, seen: frozenset[str], locale: str) -> Shape:
    """Return the shape of a record as it is answered."""
    system = [name for name in _SYSTEM if record_type.document or name not in DOCUMENT_FIELDS]
    properties = {name: {**_SYSTEM[name], "readOnly": True} for name in system}
    properties |= {
        field.name: field_shape(field, locale)
        for field in record_type.fields
        if field.name in seen
    }
    for name in ("no_access", "masked"):
        properties[name] = {"type": "array", "items": {"type": "string"}, "readOnly": True}
    return {
        "type": "object",
        "title": pick(record_type.label, locale, record_type.name),
        "description": pick(record_type.description, locale),
        "properties": properties,
        "required": ["id", "version"],
    }


def body_shape(
    record_type: RecordType, seen: frozenset[str], locale: str, *, partial: bool
) -> Shape:
    """Return the shape of a record as it is sent; `partial` for a change of some fields."""
    writable = [
        field for field in record_type.fields if field.name in seen and not _is_computed(field)
    ]
    shape: Shape = {
        "type": "object",
        "title": pick(record_type.label, locale, record_type.name),
        "properties": {field.name: field_shape(field, locale) for field in writable},
        "additionalProperties": False,
    }
    required = [field.name for field in writable if field.required and field.default is None]
    if required and not partial:
        shape["required"] = required
    return shape
