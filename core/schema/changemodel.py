"""How files say that stored values follow a change of the fields."""

from typing import Literal

import msgspec


class _Said(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The shape of everything in a release; see `core.schema.model.Model`."""


#: What becomes of a value that cannot be converted: the change is refused, the value is
#: emptied, or it is emptied and listed for a person.
OnFailure = Literal["reject", "null", "quarantine"]


class Retype(_Said, frozen=True, kw_only=True):
    """How a field's values become values of the type `to`; `lines.rate` names a row's field.

    Attributes:
        convert: expression over the field's old value; without it the types convert.
    """

    field: str
    to: str
    convert: str = ""
    on_failure: OnFailure = "reject"


class Merge(_Said, frozen=True, kw_only=True):
    """Several fields become one; their texts are joined unless `convert` says otherwise."""

    fields: tuple[str, ...]
    into: str
    separator: str = " "
    convert: str = ""
    on_failure: OnFailure = "reject"


class Split(_Said, frozen=True, kw_only=True):
    """One field becomes several; `convert` gives an expression per new field."""

    field: str
    into: tuple[str, ...]
    separator: str = " "
    convert: dict[str, str] = msgspec.field(default_factory=dict)
    on_failure: OnFailure = "reject"


class FieldChange(_Said, frozen=True, kw_only=True):
    """How stored values follow one change of the fields; it counts once, when that is made."""

    retype: Retype | None = None
    merge: Merge | None = None
    split: Split | None = None
