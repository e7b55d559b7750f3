"""Users as actors: read once per revision of rights, then kept in memory.

A user's roles are those given directly and those of the user's groups. The stamp
changes with the password and with activation, so that whatever carries an older
one, a token or a session, is dead at the next request in every process.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from flask_appbuilder.security.sqla import models
from sqlalchemy.engine import Connection

from core.actor import Actor, Places
from core.context import Context
from core.db import Database
from core.security.places import places_of
from core.tables.registry import Registries

_MAX_KEPT = 5000
_MAX_ID = 18

#: Flask-AppBuilder's tables of users and roles, for statements outside its ORM.
user_table: sa.Table = models.User.__table__
role_table: sa.Table = models.Role.__table__
user_role_table: sa.Table = models.assoc_user_role
_users = user_table
_roles = role_table
_user_role = user_role_table
_user_group: sa.Table = models.assoc_user_group
_group_role: sa.Table = models.assoc_group_role

_role_names = sa.union(
    sa.select(_roles.c.name)
    .join(_user_role, _user_role.c.role_id == _roles.c.id)
    .where(_user_role.c.user_id == sa.bindparam("user_id")),
    sa.select(_roles.c.name)
    .join(_group_role, _group_role.c.role_id == _roles.c.id)
    .join(_user_group, _user_group.c.group_id == _group_role.c.group_id)
    .where(_user_group.c.user_id == sa.bindparam("user_id")),
)


def active_role_holders(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield each role with the id of each active user who holds it, groups included."""
    direct = sa.select(_user_role.c.user_id, _user_role.c.role_id)
    through = sa.select(_user_group.c.user_id, _group_role.c.role_id).join(
        _group_role, _group_role.c.group_id == _user_group.c.group_id
    )
    held = sa.union(direct, through).subquery()
    query = (
        sa.select(_roles.c.name, _users.c.id)
        .join(held, held.c.role_id == _roles.c.id)
        .join(_users, _users.c.id == held.c.user_id)
        .where(_users.c.active.is_(True))
    )
    return ((role, str(user)) for role, user in connection.execute(query).all())


def roles_of(connection: Connection, user_id: str) -> frozenset[str]:
    """Return the names of the roles that a user holds, through groups too."""
    return frozenset(connection.execute(_role_names, {"user_id": int(user_id)}).scalars())


def active_user(ctx: Context, user_id: str) -> Actor | None:
    """Return the user with this id as an actor of this moment; None when not active."""
    return Actors(ctx.db, "", ctx.registries).find(user_id, ctx.registry.revision.rights)


class Actors:
    """The users of one installation as actors, cached by revision of rights."""

    def __init__(self, db: Database, key: str, registries: Registries) -> None:
        """Read from `db`; `key` makes stamps that nobody can compute from a stolen hash."""
        self._db = db
        self._registries = registries
        self._key = key.encode()[:64]
        self._kept: dict[str, tuple[int, Actor | None]] = {}

    def find(self, user_id: str, rights: int) -> Actor | None:
        """Return the active user with this id as of revision `rights`, or None."""
        kept = self._kept.get(user_id)
        if kept is not None and kept[0] == rights:
            return kept[1]
        actor = self._load(user_id)
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[user_id] = (rights, actor)
        return actor

    def forget(self) -> None:
        """Drop everything kept, for a database that was put back to an earlier state."""
        self._kept.clear()

    def stamp(self, user_id: str, password_hash: str | None) -> str:
        """Return the stamp of an active user with this password."""
        text = f"{user_id}:{password_hash or ''}".encode()
        return hashlib.blake2b(text, key=self._key, digest_size=16).hexdigest()

    def _load(self, user_id: str) -> Actor | None:
        if not user_id.isdecimal() or len(user_id) > _MAX_ID:
            return None
        with self._db.read() as connection:
            query = sa.select(_users).where(_users.c.id == int(user_id))
            row = connection.execute(query).mappings().first()
            if row is None or not row["active"]:
                return None
            places = places_of(connection, self._registries.current(connection), user_id)
            return self._actor(row, roles_of(connection, user_id), places)

    def _actor(self, row: Any, roles: frozenset[str], places: Places) -> Actor:
        user_id = str(row["id"])
        name = f"{row['first_name']} {row['last_name']}".strip() or row["username"]
        stamp = self.stamp(user_id, row["password"])
        stores = places.lists.get("store", frozenset())
        return Actor(user_id, name, roles, stores, stamp=stamp, places=places)
