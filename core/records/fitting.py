"""Values that the product works out, brought into the form that their fields have."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from core.errors import Problem
from core.i18n import N_
from core.schema.fieldtypes import field_type
from core.schema.model import Field
from core.tables.columns import DIGITS

_HALF_UP = Context(prec=60, rounding=ROUND_HALF_UP)
_MAX_INTEGER = 999_999_999_999_999


def default_value(field: Field) -> Any:
    """Return what a new record has in a field that nobody gives."""
    if field.default is not None:
        return field_type(field.type).load(field.default, field)
    return [] if field.type in {"table", "links"} else None


def fitted(field: Field, value: Any, path: str, problems: list[Problem]) -> Any:
    """Return what an expression gave as the field's own Python value.

    A value that the field refuses becomes null, with a problem at `path` and the field's name.
    """
    if value is None:
        return None
    try:
        fit = fitting(field)
        value = value if fit is None else fit(value)
        return field_type(field.type).load(_plain(value), field)
    except (ValueError, OverflowError):
        text = N_("The value that a rule or a default gives does not fit.")
        problems.append(Problem(path + field.name, "field.default", text))
        return None


def _plain(value: Any) -> Any:
    """Return a value that an expression gave in a form that loaders read."""
    if value is None or isinstance(value, bool | int | str | Decimal | list | dict):
        return value
    return value.isoformat()


def fitting(field: Field) -> Callable[[Any], Any] | None:
    """Return what brings a computed value into the precision of the field's column, half up.

    It raises OverflowError for a number without room there. None where nothing is to do.
    """
    storage = field_type(field.result or field.type).storage(field)
    if storage.kind == "integer":
        return _fit_integer
    if storage.kind != "decimal":
        return None
    unit, limit = Decimal(1).scaleb(-storage.scale), Decimal(10) ** (DIGITS - storage.scale)
    quantize = _HALF_UP.quantize

    def fit(value: Any) -> Any:
        if type(value) is not Decimal:
            if type(value) is not int:
                return value
            value = Decimal(value)
        try:
            number = quantize(value, unit)
            if -limit < number < limit:
                return number
        except InvalidOperation:
            pass  # far too large, or no number
        raise OverflowError

    return fit


def _fit_integer(value: Any) -> Any:
    if type(value) is int:
        whole = value
    elif type(value) is Decimal:
        whole = int(value.to_integral_value(ROUND_HALF_UP))
    else:
        return value
    if abs(whole) > _MAX_INTEGER:
        raise OverflowError
    return whole
