"""Fixtures of an installation with the shipped schema and plugins, for plugins' own tests.

from core.testing.fixtures import *  # noqa: F403
from core.testing.shipped import *  # noqa: F403
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.actor import SYSTEM, Actor
from core.clock import FixedClock
from core.context import Context
from core.db import Database
from core.errors import Problem
from core.extension.discovery import find_plugins, load_plugins, usable_sources
from core.extension.hooks import Hooks
from core.keys import KeyRing
from core.ledger import guard as ledger_guard
from core.migration.run import Publication, bootstrap, publish
from core.records.handingout import Form, hand_out
from core.records.history import record_history
from core.records.operations import check_record, create_record, delete_record, update_record
from core.records.plugin_settings import change_settings
from core.records.queries import get_record
from core.schema.layers import effective
from core.schema.model import Release
from core.schema.yamlnodes import Source
from core.tables.registry import Registries
from core.testing.databases import Prepared
from core.till import guard as till_guard
from core.workflow import guard
from core.workflow.deciding import decide
from core.workflow.operations import submit
from core.workflow.queue.inbox import list_tasks
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff
from core.workflow.voiding import void

__all__ = ["shipped", "shipped_storage"]

ROOT = Path(__file__).parents[2]

#: When tests happen, unless they move the clock.
START = datetime(2026, 3, 10, 4, tzinfo=UTC)


@dataclass(slots=True)
class Shipped:
    """An installation with the shipped schema, and short ways to use it as somebody."""

    db: Database
    registries: Registries
    hooks: Hooks
    clock: FixedClock

    def context(self, role: str = "", *, user: str = "") -> Context:
        """Return a context of somebody with `role`; without one it is the product itself."""
        actor = Actor(user or f"u-{role}", user or role, frozenset({role})) if role else SYSTEM
        return Context.of(self, actor)

    def create(self, role: str, record_type: str, **values: Any) -> dict[str, Any]:
        """Create a record as somebody with `role`."""
        return create_record(self.context(role), record_type, values)

    def warnings_of(self, role: str, record_type: str, **values: Any) -> list[Problem]:
        """Create a record as somebody with `role` and return what was warned of."""
        ctx = self.context(role)
        create_record(ctx, record_type, values)
        return ctx.warnings

    def get(self, record_type: str, record_id: str) -> dict[str, Any]:
        """Return a record as the product itself sees it."""
        return get_record(self.context(), record_type, record_id)

    def change(self, role: str, record_type: str, record_id: str, **values: Any) -> dict[str, Any]:
        """Change a record as somebody with `role`."""
        return update_record(self.context(role), record_type, record_id, values, version=None)

    def check(self, role: str, record_type: str, record_id: str, **values: Any) -> list[Problem]:
        """Return what changing a record would complain about, as a form asks while it is typed."""
        return check_record(self.context(role), record_type, values, record_id=record_id)

    def delete(self, role: str, record_type: str, record_id: str) -> None:
        """Delete a record as somebody with `role`."""
        delete_record(self.context(role), record_type, record_id, version=None)

    def history(self, role: str, record_type: str, record_id: str) -> list[dict[str, Any]]:
        """Return a record's history as somebody with `role` sees it, newest first."""
        return record_history(self.context(role), record_type, record_id)

    def submit(self, record_type: str, record_id: str) -> None:
        """Submit a document as a clerk."""
        submit(self.context("clerk"), record_type, record_id)

    def decide(
        self, record_type: str, record_id: str, verb: str = "approve", *, waits: bool = False
    ) -> str:
        """Submit a document, or `waits` it already, decide it and return the approval's state."""
        if not waits:
            self.submit(record_type, record_id)
        return str(self.vote(record_id, verb)["state"])

    def vote(
        self, record_id: str, verb: str = "approve", *, by: Context | None = None
    ) -> dict[str, Any]:
        """Decide what an approver has to decide on a document, as `by` or that approver."""
        ctx = self.context("approver")
        tasks = list_tasks(ctx, box="todo")["items"]
        task = next(each for each in tasks if each["record"]["id"] == record_id)
        return decide(by or ctx, task["id"], verb, subject_hash=task["subject_hash"])

    def void(self, record_type: str, record_id: str) -> dict[str, Any]:
        """Have a document voided by a clerk and an approver; return the latter's answer."""
        void(self.context("clerk"), record_type, record_id, reason="a mistake")
        return self.vote(record_id)

    def approve(self, record_type: str, record_id: str) -> dict[str, Any]:
        """Submit a document, approve it and return it."""
        self.decide(record_type, record_id)
        return self.get(record_type, record_id)

    def set(self, plugin: str, **values: Any) -> dict[str, Any]:
        """Change a plugin's settings as an administrator and return them all."""
        return change_settings(self.context("Admin"), plugin, values)


def taken_file(
    ctx: Context, record_type: str, record_id: str, name: str, *, form: Form = "csv",
    again: bool = False,
) -> bytes:  # fmt: skip
    """Return the bytes of a file that a plugin makes of a record."""
    return hand_out(ctx, record_type, record_id, name, form=form, again=again)


@dataclass(frozen=True, slots=True)
class ShippedStorage:
    """A database with the shipped schema published, and the plugins' hooks."""

    prepared: Prepared
    hooks: Hooks

    def drop(self) -> None:
        """Remove the database."""
        self.prepared.drop()


def ship(backend: str, folder: Path) -> ShippedStorage:
    """Return a new database with the shipped schema published, and the plugins' hooks."""
    hooks, plugins = Hooks(), find_plugins(ROOT / "plugins")
    hooks.keys = KeyRing("of tests alone")
    guard.register(hooks)
    till_guard.register(hooks)
    ledger_guard.register(hooks)
    load_plugins(plugins, hooks)
    base = [
        Source("core", f"schemas/{path.name}", path.read_bytes())
        for path in sorted((ROOT / "schemas").glob("*.yaml"))
    ]

    def build(sources: list[Source]) -> Release:
        return effective([*base, *sources], None, 1)

    _, release = usable_sources(plugins, hooks, build=build)

    def install(db: Database) -> None:
        bootstrap(db)
        publish(db, Publication(release, [], "shipped", SYSTEM, START))

    return ShippedStorage(Prepared(backend, folder, install), hooks)


@pytest.fixture(scope="session")
def shipped_storage(backend: str, made_once: Callable[..., ShippedStorage]) -> ShippedStorage:
    """Return a database with the shipped schema published, and the plugins' hooks."""
    return made_once(f"shipped-{backend}", partial(ship, backend))


@pytest.fixture
def shipped(shipped_storage: ShippedStorage) -> Iterator[Shipped]:
    """Yield an installation of a test's own, with the shipped schema and no records."""
    prepared, hooks = shipped_storage.prepared, shipped_storage.hooks
    # Another test's application may have told this process where its users are.
    asked = STAFF.asking(lambda _connection, _registry: Staff())
    with prepared.fresh() as db, asked:
        yield Shipped(db, prepared.registries(), hooks, FixedClock(START))
        hooks.wait_for_notes()
