"""An installation from the outside: made, upgraded, peopled; what `guanxi init` does.

Everything here may be done again, and by two processes at once.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from flask import Flask

from core.app import create_app, load_product
from core.db import Database
from core.errors import Invalid, NotFound, Problem
from core.extension.hooks import Health
from core.i18n import N_
from core.migration.files import publish_disk
from core.migration.locks import exclusive
from core.migration.roles import ensure_roles
from core.migration.run import bootstrap, resume
from core.records.inforce import backfill_in_force
from core.security.passwords import check_password, hash_password
from core.security.services import EXTENSION, Services
from core.security.stores import assign_stores
from core.security.users import role_table, user_role_table, user_table
from core.settings import Settings

Say = Callable[[str], None]

_users = user_table
_roles = role_table

#: Static pages of Flask-AppBuilder that only people who run the server may see.
_BOOT_SECONDS = 120.0


@contextlib.contextmanager
def _without_fab_advice() -> Iterator[None]:
    """Keep back Flask-AppBuilder's advice to make a first user by its own command: we make it."""
    logger = logging.getLogger("flask_appbuilder.security.manager")

    def keep(record: logging.LogRecord) -> bool:
        return "No user yet created" not in record.getMessage()

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


class Installation:
    """One installation, opened for upkeep."""

    def __init__(self, settings: Settings) -> None:
        """Open what `settings` names; nothing is read yet."""
        self.settings = settings
        self.hooks, self.plugins = load_product(settings)
        self.services = Services.build(settings, self.hooks)

    @property
    def db(self) -> Database:
        """Return the database."""
        return self.services.db

    def prepare(self) -> None:
        """Make tables, roles and permissions that are missing."""
        # Importing the application declares every table of the product.
        bootstrap(self.db)
        with exclusive(self.db, wait=_BOOT_SECONDS), _without_fab_advice():
            app = create_app(self.settings, hooks=self.hooks, prepare=True)
            app.extensions[EXTENSION].db.dispose()
        resume(self.db)
        # Of an installation from before effects were kept.
        with self.db.write() as connection:
            backfill_in_force(connection, self.services.registries.current(connection))

    def app(self) -> Flask:
        """Return the application as a serving process has it."""
        return create_app(self.settings, hooks=self.hooks)

    def publish_shipped(self) -> int:
        """Publish what changed in the files on disk; return the number of the release in force.

        Raises:
            SchemaError: the base files or the site's are not right.
        """
        number = publish_disk(self.services, self.plugins)
        release = self.services.registries.current().release
        # Those that somebody removed since it was published.
        with self.db.write() as connection:
            ensure_roles(connection, (role.name for role in release.roles))
        return number

    def broken_plugins(self) -> list[Health]:
        """Return the plugins that cannot run, with the reasons."""
        known = self.hooks.health({})
        return [plugin for plugin in known if plugin.status == "broken"]

    def has_user(self, name: str) -> bool:
        """Return whether somebody is called so."""
        with self.db.read() as connection:
            return self._user_id(connection, name) is not None

    def user_id(self, name: str) -> str:
        """Return the id of the user called `name`.

        Raises:
            NotFound: there is none.
        """
        with self.db.read() as connection:
            found = self._user_id(connection, name)
        if found is None:
            raise NotFound
        return str(found)

    def add_user(
        self,
        name: str,
        password: str,
        *,
        roles: Iterable[str],
        stores: Sequence[str] = (),
        is_trusted: bool = False,
    ) -> bool:
        """Add somebody who signs in; return False when there is one of this name.

        Args:
            name: what the person types to sign in.
            password: in clear; only its hash is kept.
            roles: names of roles that exist.
            stores: codes of stores.
            is_trusted: take the password even when it is weak.

        Raises:
            Invalid: the name, the password, a role or a store is not right.
        """
        _check_name(name)
        if not is_trusted:
            check_password(password, username=name)
        hashed = hash_password(password)
        with self.db.write() as connection:
            if self._user_id(connection, name) is not None:
                return False
            user_id = connection.execute(
                _users.insert().returning(_users.c.id),
                _user_row(name, hashed, self.services.clock.now()),
            ).scalar_one()
            connection.execute(
                user_role_table.insert(),
                [
                    {"user_id": user_id, "role_id": role}
                    for role in self._role_ids(connection, roles)
                ],
            )
            assign_stores(connection, str(user_id), self._store_ids(connection, stores))
        return True

    def load_demo(self, say: Say = lambda _text: None) -> None:
        """Load the demo's records through the public importer, and what its till shows, once."""
        from core.demo.loading import load_demo  # noqa: PLC0415  optional
        from core.demo.till import load_till  # noqa: PLC0415  optional

        load_demo(self.services, say)
        load_till(self.services, say)

    def close(self) -> None:
        """Close the database."""
        self.db.dispose()

    def _user_id(self, connection: sa.Connection, name: str) -> Any:
        query = sa.select(_users.c.id).where(sa.func.lower(_users.c.username) == name.lower())
        return connection.execute(query).scalar()

    def _role_ids(self, connection: sa.Connection, names: Iterable[str]) -> list[int]:
        known = dict(map(tuple, connection.execute(sa.select(_roles.c.name, _roles.c.id))))
        missing = [name for name in names if name not in known]
        if missing:
            text = N_("There is no role {name}.")
            raise Invalid(
                problems=[Problem("role", "user.role", text, {"name": it}) for it in missing]
            )
        return sorted({known[name] for name in names})

    def _store_ids(self, connection: sa.Connection, codes: Sequence[str]) -> list[str]:
        if not codes:
            return []
        registry = self.services.registries.current(connection)
        try:
            registry.record_type("store")
        except NotFound as error:
            raise Invalid(N_("There are no stores here yet.")) from error
        table = registry.tables["store"].main
        query = sa.select(table.c.code, table.c.id).where(
            table.c.code.in_(codes), table.c.deleted_at.is_(None)
        )
        found = dict(map(tuple, connection.execute(query)))
        missing = [code for code in codes if code not in found]
        if missing:
            text = N_("There is no store with the code {code}.")
            raise Invalid(
                problems=[Problem("store", "user.store", text, {"code": it}) for it in missing]
            )
        return [found[code] for code in codes]


def _check_name(name: str) -> None:
    if not (0 < len(name) <= 64 and name.isprintable() and name == name.strip()):  # noqa: PLR2004
        text = N_("Use 1 to 64 printable characters.")
        raise Invalid(problems=[Problem("name", "user.name", text)])


def _user_row(name: str, hashed: str, now: Any) -> dict[str, Any]:
    local = now.replace(tzinfo=None)
    return {
        "username": name,
        "first_name": name,
        "last_name": "",
        "email": f"{name}@guanxi.invalid",
        "password": hashed,
        "active": True,
        "created_on": local,
        "changed_on": local,
    }
