"""Who acts: a person or the system, with what policies need to know of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts, as of one revision of users and rights.

    Attributes:
        id: the user's id as text, or `system` / `public`.
        name: what people read in the history.
        roles: names of the roles held.
        stores: ids of the store records the person works for; empty means none.
        locale: the language chosen, or `""` to follow the browser.
        stamp: changes when the password changes or the user is deactivated; tokens carry it.
    """

    id: str
    name: str
    roles: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    locale: str = ""
    stamp: str = ""

    @property
    def is_system(self) -> bool:
        """Return whether this is the product itself, which no policy restricts."""
        return self.id == "system"


SYSTEM = Actor(id="system", name="system")
PUBLIC = Actor(id="public", name="public", roles=frozenset({"Public"}))
