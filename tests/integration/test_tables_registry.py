"""The registry of releases: swapped at the next call, shared where nothing changed."""

import gc

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.clock import Clock
from core.errors import NotFound
from core.migration.run import Publication, publish
from core.schema.model import Field, RecordType, Release
from core.tables.registry import Registries, Registry
from core.tables.releases import Revision, bump_rights, bump_settings


def record_type(name, *names):
    fields = tuple(Field(id=one, name=one, type="text") for one in names)
    return RecordType(name=name, fields=fields)


def release(number, *types):
    return Release(number=number, types={one.name: one for one in types})


def go(database, number, *types):
    publish(database, Publication(release(number, *types), [], "", SYSTEM, Clock().now()))


@pytest.fixture
def database(bootstrapped):
    return bootstrapped


def test_every_process_sees_a_release_at_its_next_call(database):
    first, second = Registries(database), Registries(database)
    assert (first.current().release.number, second.current().release.number) == (0, 0)
    go(database, 1, record_type("a", "x"), record_type("b", "x"))
    one = first.current()
    assert one is first.current()
    go(database, 2, record_type("a", "x", "y"), record_type("b", "x"))
    with database.read() as connection:
        two = first.current(connection)
    assert (one.release.number, two.release.number) == (1, 2)
    assert second.current().release == two.release
    assert two.tables["b"] is one.tables["b"]
    assert "y" in two.tables["a"].main.c
    assert "y" not in one.tables["a"].main.c


def test_newer_rights_keep_what_was_compiled(database):
    go(database, 1, record_type("a", "x"))
    registries = Registries(database)
    before = registries.current()
    kept = before.memo("key", object)
    with database.write() as connection:
        bump_rights(connection)
        bump_settings(connection)
    after = registries.current()
    assert after.revision == Revision(1, before.revision.rights + 1, before.revision.settings + 1)
    assert after.memo("key", object) is kept
    assert after.tables is before.tables


def test_archived_type_is_not_there(database):
    go(database, 1, RecordType(name="a", fields=record_type("a", "x").fields, archived=True))
    registry = Registries(database).current()
    assert dict(registry.tables) == {}
    for name in ("a", "never"):
        with pytest.raises(NotFound):
            registry.record_type(name)


def test_revision_is_read_again_after_the_connection_died(database):
    registries = Registries(database)
    registries.current()
    if not database.is_sqlite:
        with database.autocommit() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    assert registries.current().revision.schema == 0


def test_200_republishes_leave_no_old_tables_behind():
    registry = None
    for number in range(1, 201):
        names = [f"f{one}" for one in range(20)] + [f"n{number}"]
        registry = Registry(
            release(number, record_type("a", *names)), Revision(number), "sqlite", registry
        )
    gc.collect()
    alive = [one for one in gc.get_objects() if isinstance(one, sa.Table) and one.name == "r_a"]
    assert registry.release.number == 200
    assert len(alive) <= 2
