"""Field types whose values name something of the release; that it exists is asked on saving."""

from random import Random
from typing import Any, ClassVar

from core.expression.types import TEXT, Type
from core.i18n import N_
from core.schema.calendars import usable
from core.schema.fieldbase import FieldError, FieldType, Loader, Storage, WrongTypeError
from core.schema.model import Field, Release

_LONGEST = 64


def role_names(release: Release) -> frozenset[str]:
    """Return the roles that a field may name; none when the schema declares none."""
    declared = frozenset(one.name for one in release.roles)
    return declared | {"Admin"} if declared else declared


def calendar_names(release: Release) -> frozenset[str]:
    """Return the business calendars that a field may name."""
    return usable(release.calendars)


class NamedType(FieldType):
    """A short name, compared and kept as text."""

    operators: ClassVar[tuple[str, ...]] = ("==", "!=", "in", "not in", "is empty", "is not empty")
    #: Code and text of the refusal of what cannot be such a name.
    refusal: ClassVar[tuple[str, str]]

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every name is kept alike
        """Return a text column."""
        return Storage("text")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every name is alike
        """Return text."""
        return TEXT

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes a name."""
        code, text = self.refusal

        def load(value: Any) -> str | None:
            if value is None or value == "":
                return None
            if type(value) is not str:
                raise WrongTypeError("text")
            if len(value) > _LONGEST or not value.isprintable():
                raise FieldError(code, text)
            return value

        return load


class RoleType(NamedType):
    """One of the roles that people hold, by its name."""

    name = "role"
    widget = "role"
    refusal = "field.bad_role", N_("This is not the name of a role.")

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return the role that every installation has."""
        return "Admin"


class CalendarType(NamedType):
    """One of the business calendars, by its name."""

    name = "calendar"
    widget = "calendar"
    refusal = "field.bad_calendar", N_("This is not the name of a calendar.")

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return the calendar that ships."""
        return "cn_retail"


TYPES: tuple[FieldType, ...] = (RoleType(), CalendarType())
