"""The users of this installation, as records and their pickers ask for them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor
from core.records.people import Person
from core.security.places import places_of
from core.security.users import roles_of, user_table
from core.tables.registry import Registry

_users = user_table
_COLUMNS = (
    _users.c.id,
    _users.c.username,
    _users.c.first_name,
    _users.c.last_name,
    _users.c.active,
)
_CHUNK = 500
_MOST_DIGITS = 18


def every_person(connection: Connection) -> Iterator[Person]:
    """Yield every user, inactive ones too, in the order of their ids."""
    rows = connection.execute(sa.select(*_COLUMNS).order_by(_users.c.id)).all()
    return (
        Person(str(number), login, f"{first} {last}".strip() or login, bool(active))
        for number, login, first, last, active in rows
    )


class UserDirectory:
    """Reads Flask-AppBuilder's table of users."""

    def by_id(self, connection: Connection, ids: Collection[str]) -> Sequence[Person]:
        """Return those of `ids` that are users, inactive ones too."""
        numbers = sorted({int(one) for one in ids if one.isdecimal() and len(one) <= _MOST_DIGITS})
        return self._found(connection, _users.c.id, numbers)

    def addresses(self, connection: Connection, ids: Collection[str]) -> Mapping[str, str]:
        """Return user id -> e-mail address of the active users among `ids` that have one."""
        numbers = sorted({int(one) for one in ids if one.isdecimal() and len(one) <= _MOST_DIGITS})
        query = sa.select(_users.c.id, _users.c.email).where(
            _users.c.id.in_(numbers), _users.c.active.is_(True), _users.c.email != ""
        )
        return {str(row.id): row.email for row in connection.execute(query) if "@" in row.email}

    def by_login(self, connection: Connection, logins: Collection[str]) -> Sequence[Person]:
        """Return the users with these sign-in names."""
        return self._found(connection, _users.c.username, sorted(set(logins)))

    def search(self, connection: Connection, text: str, limit: int) -> Sequence[Person]:
        """Return active users whose name or sign-in name holds `text`."""
        whole = _users.c.first_name + " " + _users.c.last_name
        reverse = _users.c.last_name + _users.c.first_name
        query = sa.select(*_COLUMNS).where(_users.c.active.is_(True))
        if text:
            query = query.where(
                sa.or_(
                    *(
                        place.icontains(text, autoescape=True)
                        for place in (whole, reverse, _users.c.username)
                    )
                )
            )
        query = query.order_by(_users.c.first_name, _users.c.last_name, _users.c.id).limit(limit)
        return [_person(row) for row in connection.execute(query)]

    def actors(
        self, connection: Connection, registry: Registry, ids: Collection[str]
    ) -> Mapping[str, Actor]:
        """Return the active users among `ids` as actors with their present rights, by id."""
        found = {}
        for one in self.by_id(connection, ids):
            if one.is_active:
                places = places_of(connection, registry, one.id)
                stores = places.lists.get("store", frozenset())
                roles = roles_of(connection, one.id)
                found[one.id] = Actor(one.id, one.name, roles, stores, places=places)
        return found

    def _found(
        self, connection: Connection, column: sa.ColumnElement[Any], wanted: Sequence[Any]
    ) -> list[Person]:
        found: list[Person] = []
        for start in range(0, len(wanted), _CHUNK):
            query = sa.select(*_COLUMNS).where(column.in_(wanted[start : start + _CHUNK]))
            found += [_person(row) for row in connection.execute(query)]
        return found


def _person(row: Any) -> Person:
    name = f"{row.first_name} {row.last_name}".strip() or row.username
    return Person(str(row.id), row.username, name, bool(row.active))
