"""The schema language as a JSON Schema, for completion and checks in editors.

It says what the loader says, from the same model, except for what needs more
than one file.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import inspect

from core.schema import guide
from core.schema.accountkinds import AccountCategory, AccountKind
from core.schema.automations import Automation
from core.schema.binding import LABEL_KEYS, MAX_TEXT, keys_of, required_keys
from core.schema.dashboards import Card, Dashboard
from core.schema.fieldtypes import field_type_names
from core.schema.loader import CHANGES, KINDS
from core.schema.model import Field, RecordType, View
from core.schema.names import TYPE_NAME
from core.schema.prints import Print
from core.schema.rights import ACTIONS, Policy
from core.schema.shippedmerging import SHIPPED_KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_LABEL = {
    "type": "object",
    "propertyNames": {"pattern": "^[a-z]{2,3}(-[A-Za-z]{2,8})?$"},
    "additionalProperties": {"type": "string"},
}
#: Models that a change may state in part.
_PARTIAL = (
    AccountCategory, AccountKind, Automation, Card, Dashboard, Field, Print, RecordType, View,
)  # fmt: skip


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one file of the schema language."""
    definitions: dict[str, Any] = {}
    documents = [_document(kind, model, definitions) for kind, model in KINDS.items()]
    return {
        "$schema": DIALECT,
        "title": "Guanxi schema file",
        "oneOf": documents,
        "$defs": dict(sorted(definitions.items())),
    }


def _document(kind: str, model: type, definitions: dict[str, Any]) -> dict[str, Any]:
    # The site may state a part of an automation or dashboard that a plugin ships.
    partial = kind in CHANGES | SHIPPED_KINDS
    made = _struct(model, definitions, partial=partial)
    others = {"record_type", "extend", "customize"} - {kind}
    properties = {name: one for name, one in made["properties"].items() if name not in others}
    if not partial:
        properties.pop("archive", None)
    if kind in {"record_type", *CHANGES}:
        properties[kind] |= {"type": "string", "pattern": f"^{TYPE_NAME.pattern}$"}
    required = sorted({*made.get("required", ()), kind})
    return {**made, "properties": properties, "required": required}


def _struct(model: type, definitions: dict[str, Any], *, partial: bool) -> dict[str, Any]:
    properties = {
        name: _key(name, kind, definitions, partial=partial) | _described(model, name)
        for name, kind in keys_of(model).items()
    }
    if model is Policy:
        properties["actions"] |= {"items": {"enum": [*ACTIONS, "*"]}}
    if model is Field:
        properties["type"] = {"enum": list(field_type_names())} | _described(model, "type")
    made: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if not (partial and model in _PARTIAL):
        made["required"] = sorted(required_keys(model))
    return made


def _described(model: type, name: str) -> dict[str, str]:
    """Return what an editor shows beside a key: what it means, and an example."""
    text, example = guide.sentence(model, name), guide.example(model, name)
    such_as = f"Such as `{name}: {example}`" if example else ""
    return {"description": f"{text} {such_as}".strip()}


def _key(
    name: str, kind: inspect.Type, definitions: dict[str, Any], *, partial: bool
) -> dict[str, Any]:
    if name in LABEL_KEYS and isinstance(kind, inspect.DictType):
        definitions["label"] = _LABEL
        return {"$ref": "#/$defs/label"}
    return _value(kind, definitions, partial)


def _value(kind: inspect.Type, definitions: dict[str, Any], partial: bool) -> dict[str, Any]:
    return _VALUES[type(kind)](kind, definitions, partial)


def _nested(
    kind: inspect.StructType, definitions: dict[str, Any], partial: bool
) -> dict[str, Any]:
    """Return a reference to a model's definition, making it at the first one."""
    # Policies and steps both have rights on fields, which are not the same.
    of_flows = kind.cls.__module__.rpartition(".")[2].startswith("flow")
    name = ("flow_" if of_flows else "") + kind.cls.__name__.lower()
    name = f"changed_{name}" if partial and kind.cls in _PARTIAL else name
    if name not in definitions:
        definitions[name] = {}  # a table field holds fields: the place is taken before they come
        definitions[name] = _struct(kind.cls, definitions, partial=partial)
    return {"$ref": f"#/$defs/{name}"}


def _union(kind: inspect.UnionType, definitions: dict[str, Any], partial: bool) -> dict[str, Any]:
    return {"anyOf": [_value(one, definitions, partial) for one in kind.types]}


def _array(
    kind: inspect.VarTupleType, definitions: dict[str, Any], partial: bool
) -> dict[str, Any]:
    return {"type": "array", "items": _value(kind.item_type, definitions, partial)}


def _mapping(kind: inspect.DictType, definitions: dict[str, Any], partial: bool) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object",
        "additionalProperties": _value(kind.value_type, definitions, partial),
    }
    if isinstance(kind.key_type, inspect.LiteralType):
        made["propertyNames"] = {"enum": sorted(map(str, kind.key_type.values))}
    return made


def _literal(kind: inspect.LiteralType, *_: Any) -> dict[str, Any]:
    return {"enum": [value for value in kind.values if value != ""]}


#: A text may stand without quotes, where an editor takes it for a number or a truth value.
_TEXT = {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT}

_VALUES: Mapping[type, Callable[..., dict[str, Any]]] = {
    inspect.StrType: lambda *_: _TEXT,
    inspect.BoolType: lambda *_: {"type": "boolean"},
    inspect.IntType: lambda *_: {"type": "integer"},
    inspect.AnyType: lambda *_: {},
    inspect.NoneType: lambda *_: {"type": "null"},
    inspect.LiteralType: _literal,
    inspect.VarTupleType: _array,
    inspect.DictType: _mapping,
    inspect.StructType: _nested,
    inspect.UnionType: _union,
}
