"""Who acts: a person or the system, with what policies need to know of them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scope:
    """All that somebody with a link may do, whatever policies say.

    Attributes:
        type_name: the record type.
        record_id: the one record to see and change; empty is to make new ones.
        fields: the fields to see and write.
    """

    type_name: str
    record_id: str
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class Places:
    """Where somebody works, as of one revision of users and rights.

    Attributes:
        lists: ids of stores and departments by the key of `core.expression.places`.
        text: the same as JSON.
        positions: names of the positions held anywhere.
    """

    lists: Mapping[str, frozenset[str]]
    text: str = "{}"
    positions: frozenset[str] = frozenset()


#: Those of somebody who works nowhere.
NOWHERE = Places({})


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts, as of one revision of users and rights.

    Attributes:
        id: the user's id as text, or `system` / `public`.
        name: what people read in the history.
        roles: names of the roles held.
        stores: ids of the store records the person works for; empty means none.
        locale: the language chosen, or `""` to follow the browser.
        scope: what a link allows in the place of policies; None for people.
        viewer: id of the administrator who sees as this person and changes nothing; "" for
            the person.
        places: where the person works and holds which position.
        stamp: changes when the password changes or the user is deactivated; tokens carry it.
    """

    id: str
    name: str
    roles: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    locale: str = ""
    stamp: str = ""
    scope: Scope | None = None
    viewer: str = ""
    places: Places = field(default=NOWHERE, compare=False)

    @property
    def rights_key(self) -> Hashable:
        """Return what decides which policies apply; equal for equal rights."""
        if self.is_system:
            return None
        return (self.roles, self.places.positions) if self.places.positions else self.roles

    @property
    def is_system(self) -> bool:
        """Return whether this is the product itself, which no policy restricts."""
        return self.id == "system"


SYSTEM = Actor(id="system", name="system")
PUBLIC = Actor(id="public", name="public", roles=frozenset({"Public"}))
