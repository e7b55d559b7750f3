"""Whether what a form posted says the same as what is stored, however controls write it."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from core.schema.model import Field
from core.web.display import NUMBERS


def changed_values(
    posted: Mapping[str, Any], stored: Mapping[str, Any], fields: Iterable[Field]
) -> dict[str, Any]:
    """Return those posted values that differ from the stored wire values."""
    by_name = {field.name: field for field in fields}
    return {
        name: value
        for name, value in posted.items()
        if not same_value(by_name[name], value, stored.get(name))
    }


def same_value(field: Field, posted: Any, stored: Any) -> bool:
    """Return whether a posted wire value says the same as a stored one."""
    if field.type == "table":
        return _same_rows(field, posted or [], stored or [])
    if posted in (None, "", []) or stored in (None, "", []):
        return not posted and not stored
    return bool(_plain(field, posted) == _plain(field, stored))


def _plain(field: Field, value: Any) -> Any:
    """Return a wire value in a form in which equal values are equal."""
    if isinstance(value, list):
        return list(value)
    if isinstance(value, Mapping):
        show = _number if field.type == "location" else str
        return {name: show(part) for name, part in value.items()}
    if field.type in NUMBERS:
        return _number(value)
    if field.type == "datetime":
        return str(value)[:19]  # the browser's control holds no parts of a second
    return f"{value}:00"[:8] if field.type == "time" else str(value)


def _number(value: Any) -> Any:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return str(value)


def _same_rows(table: Field, posted: list[Any], stored: list[Any]) -> bool:
    if [row.get("id") for row in posted] != [row.get("id") for row in stored]:
        return False
    return all(
        same_value(column, new[column.name], old.get(column.name))
        for new, old in zip(posted, stored, strict=True)
        for column in table.fields
        if column.name in new
    )
