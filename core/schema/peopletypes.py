"""Field types that point to people and to where they stand in the organization."""

import re
from random import Random
from typing import Any, ClassVar

from core.expression.types import TEXT, Type
from core.i18n import N_
from core.schema.choicetypes import ListType, list_loader
from core.schema.fieldbase import FieldError, FieldType, Loader, Shape, Storage, WrongTypeError
from core.schema.model import Field
from core.schema.relationtypes import LinkType

#: What stands in the place of a record type where values are the ids of users.
USERS = "@user"
#: Field types that are one link to a record.
SINGLE_LINKS = frozenset({"link", "department"})
#: The record type that departments are records of.
DEPARTMENTS = "department"
#: Users that one field names at most.
MOST_USERS = 200

_USER = re.compile(r"[0-9]{1,18}|system")


def check_user(value: Any) -> str:
    """Return `value` when it has the form of a user's id.

    Raises:
        FieldError: it has not.
        WrongTypeError: it is of another JSON type.
    """
    if type(value) is not str:
        raise WrongTypeError("text")
    if not _USER.fullmatch(value):
        raise FieldError("field.bad_user", N_("This is not the id of a user."))
    return value


class UserType(FieldType):
    """One person who signs in here; `current_user` can be compared with it."""

    name = "user"
    properties = frozenset({"placeholder"})
    operators: ClassVar[tuple[str, ...]] = ("==", "!=", "is empty", "is not empty")
    widget = "user"
    points = "one"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every id is kept alike
        """Return an id column."""
        return Storage("id")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every id is alike
        """Return text: the user's id, as `created_by` and `current_user` are."""
        return TEXT

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes a user's id."""

        def load(value: Any) -> str | None:
            return None if value is None or value == "" else check_user(value)

        return load

    def shape(self, field: Field) -> Shape:  # noqa: ARG002  the same for all fields
        """Return a text of digits."""
        return {"type": "string", "description": "id of a user"}

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return the id of no particular user."""
        return str(random.randint(1, 10**6))


class UsersType(ListType):
    """Several people, in the order they were chosen; `current_user in FIELD` asks for one."""

    name = "users"
    operators: ClassVar[tuple[str, ...]] = ("contains", "is empty", "is not empty")
    widget = "users"
    points = "many"

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every list is alike
        """Return a list of ids."""
        return Type("choices")

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes a list of users' ids, each at most once."""
        return list_loader(check_user, MOST_USERS)

    def shape(self, field: Field) -> Shape:  # noqa: ARG002  the same for all fields
        """Return a list of users' ids."""
        return {"type": "array", "items": {"type": "string"}, "uniqueItems": True}

    def sample(self, field: Field, random: Random) -> list[str]:  # noqa: ARG002  same for all
        """Return up to three ids of no particular users."""
        return [str(number) for number in random.sample(range(1, 10**6), random.randint(1, 3))]


class DepartmentType(LinkType):
    """One department of the organization: a link to a record of the type `department`."""

    name = "department"
    properties = frozenset({"filter", "on_delete", "placeholder"})
    widget = "link"


TYPES: tuple[FieldType, ...] = (UserType(), UsersType(), DepartmentType())
