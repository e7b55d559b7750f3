"""The field types that ship, and the way to the registered ones.

    text long_text email phone url color barcode     core.schema.texttypes
    integer decimal money rate percent rating boolean    core.schema.numbertypes
    date time datetime duration                      core.schema.timetypes
    select multi_select json                         core.schema.choicetypes
    link links table backlink formula rollup lookup sequence    core.schema.relationtypes
    user users department                            core.schema.peopletypes
    role calendar                                    core.schema.namedtypes
    address location                                 core.schema.structuretypes
    rich_text secret expression condition            core.schema.writtentypes
    file files image signature                       core.schema.filetypes

`field_type(field.type).load(value, field)` is the one reader for forms, REST
and imports; `loader(field)` gives the same as a function to keep.
"""

from collections.abc import Callable
from typing import Any

from core.schema import (
    choicetypes,
    filetypes,
    namedtypes,
    numbertypes,
    peopletypes,
    relationtypes,
    structuretypes,
    texttypes,
    timetypes,
    writtentypes,
)
from core.schema.fieldbase import (
    FieldError,
    FieldType,
    Storage,
    field_type,
    field_type_names,
    register,
    wire_value,
)
from core.schema.model import Field

__all__ = [
    "FieldError",
    "FieldType",
    "Storage",
    "field_type",
    "field_type_names",
    "is_written",
    "loader",
    "register",
    "wire_value",
]

for _module in (
    texttypes,
    numbertypes,
    timetypes,
    choicetypes,
    relationtypes,
    filetypes,
    peopletypes,
    namedtypes,
    structuretypes,
    writtentypes,
):
    for _kind in _module.TYPES:
        register(_kind)


def is_written(field: Field) -> bool:
    """Return whether people write a field: it is neither computed nor taken over from a link."""
    return not field_type(field.type).computed and field.fetch_mode != "snapshot"


def is_switched_on(field: Field) -> bool:
    """Return whether a new row's switch is on, so that it alone does not make a blank row one."""
    return field.type == "boolean" and field.default in (True, "true")


def loader(field: Field) -> Callable[[Any], Any]:
    """Return the function that reads values of `field`, ready to be called many times."""
    return field_type(field.type).loader(field)
