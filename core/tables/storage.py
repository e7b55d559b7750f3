"""How a field is stored, as its field type says."""

from core.schema.fieldtypes import Storage, field_type
from core.schema.model import Field

__all__ = ["Storage", "has_column", "storage_of"]

_ELSEWHERE = frozenset({"table", "links", "none"})


def storage_of(field: Field) -> Storage:
    """Return where the values of `field` are kept."""
    return field_type(field.type).storage(field)


def has_column(field: Field) -> bool:
    """Return whether `field` is a column of its record's (or row's) own table."""
    return storage_of(field).kind not in _ELSEWHERE
