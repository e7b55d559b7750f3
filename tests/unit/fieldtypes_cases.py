"""Fields of any type, and what loading a value into one gives."""

import pytest

from core.schema.fieldtypes import (
    FieldError,
    field_type,
)
from core.schema.model import Field, Option

OPTIONS = (Option(value="a"), Option(value="b"), Option(value="old", archived=True))


def make(kind, **properties):
    if kind in {"select", "multi_select"}:
        properties.setdefault("options", OPTIONS)
    if kind in {"link", "links"}:
        properties.setdefault("target", "member")
    if kind == "table":
        properties.setdefault("fields", (make("money"), Field(id="n", name="n", type="integer")))
    if kind in {"formula", "rollup", "lookup"}:
        properties.setdefault("result", "money")
    return Field(id="f_x", name="x", type=kind, **properties)


def load(kind, value, **properties):
    return field_type(kind).load(value, make(kind, **properties))


def outcome(kind, value, **properties):
    """Return what was loaded, or the refusal."""
    try:
        return load(kind, value, **properties), None
    except FieldError as error:
        return None, error


def refused(kind, value, **properties):
    with pytest.raises(FieldError) as caught:
        load(kind, value, **properties)
    return caught.value.code
