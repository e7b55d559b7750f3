"""A small published schema with two flows, and people to walk through them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Connection

from core.actor import SYSTEM, Actor
from core.clock import FixedClock
from core.context import Context
from core.db import Database
from core.extension.hooks import Hooks
from core.jobs.handlers import Handlers
from core.jobs.worker import Worker
from core.migration.run import Publication, bootstrap, publish, release_in_force
from core.records.people import Person
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.tables.registry import Registries
from core.testing.databases import Prepared
from core.workflow import guard
from core.workflow.queue import notices
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff

START = datetime(2026, 1, 5, 8, tzinfo=UTC)

RULE = """
record_type: rule
label: {zh: 规则, en: Rule}
title_field: name
document: true
fields:
  - {name: code, type: text, unique: true}
  - {name: name, type: text, label: {zh: 名称, en: Name}, required: true}
  - {name: rate, type: rate, default: "1"}
  - {name: cost, type: decimal}
  - name: lines
    type: table
    fields:
      - {name: product, type: text, required: true}
      - {name: amount, type: integer}
policies:
  - {name: clerks, who: {role: clerk}, actions: [view, create, edit, delete, submit, history]}
  - {name: approvers, who: {role: [approver, Admin]}, actions: ["*"]}
  - name: finance
    who: {role: finance}
    actions: [view]
    fields: {view: [code, name, rate, lines, status]}
"""

RULE_FLOW = """
flow: rule_release
version: 1
title: {zh: 规则审核, en: Rule approval}
document: rule
steps:
  - id: review
    type: approve
    title: {zh: 审核, en: Review}
    approvers: {role: approver}
    decide: any
    comment: {reject: required}
"""

BUDGET = """
record_type: budget
label: {zh: 预算, en: Budget}
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: amount, type: integer}
policies:
  - {name: all, who: {role: [clerk, approver, finance, marketing, Admin]}, actions: ["*"]}
"""

BUDGET_FLOW = """
flow: budget_release
version: 1
document: budget
steps:
  - {id: check, type: approve, approvers: {role: approver}, decide: any}
  - {id: sign, type: approve, approvers: {role: [finance, marketing]}, decide: all}
outcome:
  approved: {set: {status: effective}, emit: budget.agreed}
"""

MEMO = BUDGET.replace("record_type: budget", "record_type: memo").replace(
    "{zh: 预算, en: Budget}", "{zh: 备忘, en: Memo}"
)

MEMO_FLOW = """
flow: memo_release
version: 1
document: memo
steps:
  - {id: look, type: approve, approvers: [{user: chen}, {user: fang}], decide: all}
"""

ROLES = """
roles:
  - {name: clerk}
  - {name: approver}
  - {name: finance}
  - {name: marketing}
  - {name: Admin}
"""

SOURCES = {
    "rule.yaml": RULE,
    "rule_flow.yaml": RULE_FLOW,
    "budget.yaml": BUDGET,
    "budget_flow.yaml": BUDGET_FLOW,
    "memo.yaml": MEMO,
    "memo_flow.yaml": MEMO_FLOW,
    "roles.yaml": ROLES,
}


def person(actor_id: str, name: str, *roles: str) -> Actor:
    return Actor(id=actor_id, name=name, roles=frozenset(roles))


LIN = person("11", "Lin", "clerk")
WANG = person("12", "Wang", "clerk")
APPROVER = person("21", "Chen", "approver")
SECOND = person("22", "Zhao", "approver")
FINANCE = person("31", "Fang", "finance")
MARKETING = person("32", "Mei", "marketing")
BOTH = person("33", "Bao", "finance", "marketing")
ADMIN = person("1", "Admin", "Admin")


def staff_of(*actors: Actor) -> Staff:
    """Return the staff that actors are."""
    roles: dict[str, tuple[str, ...]] = {}
    for actor in actors:
        for role in sorted(actor.roles):
            roles[role] = (*roles.get(role, ()), actor.id)
    people = {actor.id: Person(actor.id, actor.name.lower(), actor.name) for actor in actors}
    return Staff(people=people, roles=roles)


EVERYBODY = staff_of(LIN, WANG, APPROVER, SECOND, FINANCE, MARKETING, BOTH, ADMIN)


def publish_sources(db: Database, sources: dict[str, str]) -> None:
    """Publish the files as the next release."""
    with db.read() as connection:
        running = release_in_force(connection)
    files = [Source("core", path, text) for path, text in sources.items()]
    release = effective(files, running if running.number else None, running.number + 1)
    publish(db, Publication(release, [], "", SYSTEM, START))


def made_with_flows(backend: str, folder: Path, sources: dict[str, str]) -> Prepared:
    """Return a new database with the files published."""

    def fill(db: Database) -> None:
        bootstrap(db)
        publish_sources(db, sources)

    return Prepared(backend, folder, fill)


@contextmanager
def flows_on(backend: str, folder: Path, sources: dict[str, str]) -> Iterator[Prepared]:
    """Yield a new database with the files published, for as long as the block lasts."""
    made = made_with_flows(backend, folder, sources)
    yield made
    made.drop()


@pytest.fixture(scope="session")
def flow_database(backend: str, made_once: Callable[..., Prepared]) -> Prepared:
    """Return a database with the schema published, put back before each test."""
    return made_once(f"flows-{backend}", partial(made_with_flows, backend, sources=SOURCES))


@pytest.fixture
def world(flow_database: Prepared) -> Iterator["World"]:
    """Yield a world without any record, as it was after the first release."""
    with fresh_world(flow_database) as made:
        yield made


@contextmanager
def fresh_world(prepared: Prepared) -> Iterator["World"]:
    """Yield a world in what the database was when it was ready."""
    # An application made by another test has told this process to ask for its users.
    with (
        prepared.fresh() as db,
        STAFF.asking(lambda _connection, _registry: EVERYBODY),
    ):
        yield World(db, prepared.registries())


@contextmanager
def unguarded(connection: Connection) -> Iterator[None]:
    """Let rows of append-only tables be changed for a while, as whoever owns the tables can."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        yield
        connection.exec_driver_sql("SET LOCAL session_replication_role = origin")
        return
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'gx_%'"
    triggers = connection.exec_driver_sql(query).all()
    for name, _ in triggers:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, text in triggers:
        connection.exec_driver_sql(text)


@dataclass
class World:
    """A database with the schema published, one clock, and contexts for people."""

    db: Database
    registries: Registries
    hooks: Hooks = field(default_factory=Hooks)
    clock: FixedClock = field(default_factory=lambda: FixedClock(START))
    handlers: Handlers = field(default_factory=Handlers)

    def __post_init__(self) -> None:
        guard.register(self.hooks)
        notices.register(self.handlers)

    def ctx(self, actor: Actor, **rest: Any) -> Context:
        self.clock.move(timedelta(seconds=1))
        return Context.of(self, actor, **rest)

    def deliver(self) -> None:
        """Deliver everything that waits in the outbox."""
        worker = Worker(self.db, lambda: self.ctx(SYSTEM), handlers=self.handlers, elected=False)
        while worker.turn():
            pass
