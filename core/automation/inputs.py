"""What a webhook's caller sends, read as strictly as any other input."""

from collections.abc import Mapping
from typing import Any

from core.errors import Invalid, Problem
from core.i18n import N_
from core.schema.automations import Automation, Input
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field


def load_input(automation: Automation, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the caller's values as plain JSON, checked.

    Raises:
        Invalid: keys are unknown or missing, or values are not what they should be; all
            of them at once.
    """
    known = {one.name: one for one in automation.trigger.input}
    problems = [
        Problem(key[:100], "field.unknown", N_("There is no such key here."))
        for key in body
        if key not in known
    ]
    values: dict[str, Any] = {}
    for name, one in known.items():
        given = body.get(name)
        if given is None or given == "":
            if one.required:
                problems.append(Problem(name, "field.required", N_("This is required.")))
            continue
        field = _field(one)
        kind = field_type(one.type)
        try:
            values[name] = kind.dump(kind.load(given, field))
        except FieldError as error:
            problems += [
                Problem(name, each.code, each.text, each.params) for each in error.problems
            ]
    if problems:
        raise Invalid(problems=problems)
    return values


def input_values(automation: Automation, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return values that `load_input` gave as Python values; what was not sent is empty."""
    return {
        one.name: None
        if stored.get(one.name) is None
        else field_type(one.type).load(stored[one.name], _field(one))
        for one in automation.trigger.input
    }


def _field(one: Input) -> Field:
    return Field(
        id="", name=one.name, type=one.type, max_length=one.max_length,
        precision=10 if one.type == "decimal" else None,
    )  # fmt: skip
