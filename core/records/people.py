"""Who the users are, as far as records need to know: names, sign-in names, who is active.

Users are kept by the security layer, which brings the answers when the product starts.
Without it, as in tests of records alone, every well-formed id is somebody.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.engine import Connection

from core.actor import Actor
from core.tables.registry import Registry


@dataclass(frozen=True, slots=True)
class Person:
    """One user: the id that records keep, the sign-in name, and what people call them."""

    id: str
    login: str
    name: str
    is_active: bool = True


class People(Protocol):
    """What the security layer answers."""

    def by_id(self, connection: Connection, ids: Collection[str]) -> Sequence[Person]:
        """Return those of `ids` that are users, inactive ones too."""

    def by_login(self, connection: Connection, logins: Collection[str]) -> Sequence[Person]:
        """Return the users with these sign-in names."""

    def search(self, connection: Connection, text: str, limit: int) -> Sequence[Person]:
        """Return active users whose name or sign-in name holds `text`."""

    def actors(
        self, connection: Connection, registry: Registry, ids: Collection[str]
    ) -> Mapping[str, Actor]:
        """Return the active users among `ids` as actors with their present rights, by id."""

    def addresses(self, connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
        """Return user id -> e-mail address of the active users among `ids` that have one."""


class Directory:
    """Answers from whoever registered; from nobody before."""

    def __init__(self) -> None:
        """Start without an answer."""
        self._people: People | None = None

    def register(self, people: People) -> None:
        """Ask `people` from now on."""
        self._people = people

    @contextmanager
    def asking(self, people: People | None) -> Iterator[None]:
        """Ask `people`, or nobody, for the length of a `with` block."""
        before, self._people = self._people, people
        try:
            yield
        finally:
            self._people = before

    def active(self, connection: Connection, ids: Collection[str]) -> frozenset[str]:
        """Return those of `ids` that may be newly chosen: active users, and the product itself."""
        if self._people is None:
            return frozenset(ids)
        found = self._people.by_id(connection, ids)
        return frozenset(one.id for one in found if one.is_active) | ({"system"} & set(ids))

    def names(self, connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
        """Return what people call the users with these ids."""
        found = self._people.by_id(connection, ids) if self._people and ids else ()
        return {one.id: one.name for one in found}

    def logins(self, connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
        """Return user id -> sign-in name, which stands in files in the place of the id."""
        found = self._people.by_id(connection, ids) if self._people and ids else ()
        return {one.id: one.login for one in found}

    def ids(self, connection: Connection, logins: Collection[str]) -> Mapping[str, str]:
        """Return sign-in name -> user id; what is no sign-in name may be an id itself."""
        found = self._people.by_login(connection, logins) if self._people and logins else ()
        return {one.login: one.id for one in found}

    def search(self, connection: Connection, text: str, limit: int) -> Sequence[Person]:
        """Return active users whose name or sign-in name holds `text`, by name."""
        return () if self._people is None else self._people.search(connection, text, limit)

    def actors(
        self, connection: Connection, registry: Registry, ids: Collection[str]
    ) -> Mapping[str, Actor]:
        """Return the active users among `ids` as actors with their present rights, by id."""
        return self._people.actors(connection, registry, ids) if self._people and ids else {}

    def addresses(self, connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
        """Return user id -> e-mail address of the active users among `ids` that have one."""
        return self._people.addresses(connection, ids) if self._people and ids else {}


#: The directory of this process.
PEOPLE = Directory()
