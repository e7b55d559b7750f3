"""What stands in the place of a value that its reader may know of but not read; pure."""

from collections.abc import Callable
from typing import Any

from core.schema.model import Field
from core.schema.writtentypes import MASK

#: What writes the mask of one wire value that is not null.
Masker = Callable[[Any], str]

#: Texts shorter than this have nothing to spare for their ends.
_SHORT = 8

#: The mask of a sensitive field that names none, by its type.
_BY_TYPE = {"phone": "phone", "email": "email"}


def is_concealed(field: Field) -> bool:
    """Return whether a field is masked for everybody whom no policy shows it in clear."""
    return (field.sensitive != "none" or bool(field.mask)) and field.type != "secret"


def is_masked(value: Any) -> bool:
    """Return whether what came in is a mask that an answer showed, and no value."""
    return isinstance(value, str) and MASK in value


def masker(field: Field | None) -> Masker:
    """Return what masks a field's wire values; those of system fields wholly."""
    if field is None:
        return _all
    return _MASKERS[field.mask or _BY_TYPE.get(field.result or field.type, "all")]


def _all(_value: Any) -> str:
    return MASK


def _phone(value: Any) -> str:
    """Return the ends of a number.

    >>> _phone("13812345678")
    '138•••5678'
    """
    return f"{value[:3]}{MASK}{value[-4:]}" if _is_long(value) else MASK


def _last4(value: Any) -> str:
    return f"{MASK}{value[-4:]}" if _is_long(value) else MASK


def _first(value: Any) -> str:
    return f"{value[:1]}{MASK}" if isinstance(value, str) and len(value) > 1 else MASK


def _email(value: Any) -> str:
    """Return an address's first letter and its house.

    >>> _email("lin@example.com")
    'l•••@example.com'
    """
    name, at, house = str(value).rpartition("@")
    return f"{name[:1]}{MASK}{at}{house}" if name else MASK


def _year(value: Any) -> str:
    return f"{value[:4]}-{MASK}" if isinstance(value, str) and value[4:5] == "-" else MASK


def _is_long(value: Any) -> bool:
    return isinstance(value, str) and len(value) >= _SHORT


_MASKERS: dict[str, Masker] = {
    "all": _all,
    "first": _first,
    "last4": _last4,
    "phone": _phone,
    "email": _email,
    "year": _year,
}
