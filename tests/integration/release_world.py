"""A small installation without plugins, for tests that publish one release after another."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM, Actor
from core.clock import Clock
from core.db import Database
from core.extension.hooks import Hooks
from core.ids import new_id
from core.migration.drafts import create_draft, get_draft, publish_draft
from core.migration.verify import table_problems
from core.settings import Settings
from core.tables.registry import Registries

#: Long before any test, so that only what says otherwise counts as written lately.
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class World:
    """What publishes, and where."""

    settings: Settings
    db: Database
    registries: Registries
    hooks: Hooks
    clock: Clock
    actor: Actor = SYSTEM

    @property
    def release(self):
        return self.registries.current().release

    def publish(self, yaml, note=""):
        return publish_draft(self, create_draft(self, yaml=yaml), note)

    def change(self, *changes, note=""):
        return publish_draft(self, create_draft(self, changes=changes), note)

    def draft(self, yaml=None, **content):
        return get_draft(self, create_draft(self, yaml=yaml, **content))

    def table(self, type_name, child=""):
        tables = self.registries.current().tables[type_name]
        return tables.children[child] if child else tables.main

    def add(self, type_name, *rows, at=LONG_AGO):
        """Insert records and return their ids in order."""
        release = self.release.number
        system = {"version": 1, "release": release, "created_at": at, "created_by": "u"}
        system |= {"updated_at": at, "updated_by": "u"}
        ids = sorted(new_id() for _ in rows)
        with self.db.write() as connection:
            for identity, row in zip(ids, rows, strict=True):
                values = {"id": identity, **system, **row}
                connection.execute(self.table(type_name).insert().values(values))
        return ids

    def update(self, type_name, identity, **values):
        """Change a record as an operation does."""
        table = self.table(type_name)
        system = {"release": self.release.number, "updated_at": self.clock.now()}
        with self.db.write() as connection:
            where = table.c.id == identity
            connection.execute(table.update().where(where).values(**system, **values))

    def values(self, type_name, name, child=""):
        table = self.table(type_name, child)
        with self.db.read() as connection:
            return list(connection.scalars(sa.select(table.c[name]).order_by(table.c.id)))

    def assert_sound(self):
        assert table_problems(self.db, self.registries.current()) == []


@pytest.fixture
def world(bootstrapped, tmp_path):
    for name in ("home", "schemas", "plugins"):
        (tmp_path / name).mkdir()
    settings = Settings(
        home=tmp_path / "home",
        database_url="",
        secret_key="",
        schemas=tmp_path / "schemas",
        plugins=tmp_path / "plugins",
    )
    return World(settings, bootstrapped, Registries(bootstrapped), Hooks(), Clock())
