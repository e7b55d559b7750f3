"""Publishing: the steps of a plan, taken so that a crash at any moment loses nothing.

1. Prepare: unique indexes over columns that exist, and converted values in columns that
   nobody reads yet, before the release is in force.
2. Switch: one transaction that renames, adds and creates, stores the release, puts
   it in force and writes down the steps that remain.
3. After: other indexes and stored values, one remembered step at a time; `resume`
   takes up what a crash left.

On PostgreSQL nobody waits long: all locks of the switch are asked for at once and
given up after `LOCK_MILLISECONDS`, so that readers behind it go on, and tried again.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from core.actor import Actor
from core.db import Database, metadata
from core.errors import Conflict, GuanxiError, Problem, SchemaError, Unavailable
from core.i18n import N_
from core.migration.accounts import account_problems
from core.migration.backfill import backfill
from core.migration.conversion import ValueMove
from core.migration.facts import duplicate_problems, running_field_problems, running_problems
from core.migration.locks import exclusive
from core.migration.names import follow_names
from core.migration.plan import Plan, make_plan
from core.migration.roles import ensure_roles
from core.migration.searchindex import build_missing, build_search, drop_search
from core.migration.steps import Step, Taker
from core.schema.model import Release
from core.tables.columns import JSON, TEXT
from core.tables.registry import RELEASE_LOCK
from core.tables.releases import (
    ReleaseRow,
    ensure_revision,
    insert_release,
    load_release,
    read_revision,
)
from core.tables.search import set_state

#: How long the switch may make others wait on PostgreSQL, all its locks together.
LOCK_MILLISECONDS = 120
#: How long the switch is tried again before it gives up.
SWITCH_SECONDS = 30.0

migration_table = sa.Table(
    "gx_migration",
    metadata,
    sa.Column("release", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", JSON, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, doc="pending, done or failed"),
    sa.Column("cursor", TEXT, nullable=False, server_default="", doc="last id of a backfill"),
    sa.Column("error", TEXT, nullable=False, server_default=""),
)

#: Told of each step just before it is taken.
OnStep = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Publication:
    """A release about to be put in force.

    Attributes:
        sources: every layer's YAML, as `{layer, path, text, disk}`.
        also: runs in the transaction that puts it in force, with its number.
    """

    release: Release
    sources: list[dict[str, str]]
    note: str
    actor: Actor
    at: datetime
    also: Callable[[Connection, int], None] | None = None


class Overtaken(Conflict):
    """Another release was published since this one was worked out."""

    code = "schema.overtaken"
    text = N_("Release {release} was published in the meantime; look at the draft again.")


def _ignore(_step: Step) -> None:
    """Take no notice of a step."""


def bootstrap(db: Database) -> None:
    """Create the product's own tables; safe when several processes start at once."""
    with exclusive(db, wait=120.0), db.write() as connection:
        metadata.create_all(connection)
        ensure_revision(connection)


def is_installed(db: Database) -> bool:
    """Return whether the product's own tables are there."""
    return sa.inspect(db.engine).has_table("gx_revision")


def release_in_force(connection: Connection) -> Release:
    """Return the release in force; number 0, without types, before the first."""
    number = read_revision(connection).schema
    return load_release(connection, number) if number else Release(number=0)


def publish(db: Database, publication: Publication, *, on_step: OnStep = _ignore) -> int:
    """Put a release in force and return its number; existing values are all kept.

    Raises:
        Overtaken: another release was published since this one was made.
        SchemaError: the tables' contents stand against it; `problems` says what.
    """
    with exclusive(db):
        _finish(db, on_step)
        with db.read() as connection:
            old = release_in_force(connection)
        new = publication.release
        if old.number != new.number - 1:
            raise Overtaken(release=old.number)
        plan, problems = make_plan(old, new)
        if not problems:
            with db.read() as connection:
                problems = duplicate_problems(connection, plan)
                problems += running_problems(connection, plan)
                problems += running_field_problems(connection, old, new)
                problems += account_problems(connection, old, new)
        if problems:
            raise SchemaError(problems=problems)
        for step in plan.of_phase("prepare"):
            on_step(step)
            if step.op == "convert":
                ValueMove(step).prepare(db)
            else:
                _persist(partial(_take_alone, db, new, step))
        try:
            _persist(partial(_switch, db, plan, publication, on_step))
        except IntegrityError as error:
            text = N_("Values that must be unique would stand twice.")
            problem = Problem("", "schema.duplicates", text)
            raise SchemaError(problems=(problem,)) from error
        _finish(db, on_step)
    return new.number


def resume(db: Database, *, on_step: OnStep = _ignore) -> int:
    """Take the steps that a crash or a failure left, and return how many are still open."""
    with exclusive(db):
        failed = _finish(db, on_step)
        with db.read() as connection:
            release = release_in_force(connection)
        build_missing(db, release)
        return failed


def open_steps(connection: Connection) -> list[tuple[Step, str, str]]:
    """Return the steps not yet done as (step, state, error)."""
    table = migration_table.c
    query = (
        sa.select(table.content, table.state, table.error)
        .where(table.state != "done")
        .order_by(table.release, table.step)
    )
    return [
        (msgspec.convert(content, Step), state, error)
        for content, state, error in connection.execute(query)
    ]


# -- the switch -----------------------------------------------------------------------------


def _persist(attempt: Callable[[], None]) -> None:
    """Try again while others hold what is needed, for `SWITCH_SECONDS` at most.

    Raises:
        Unavailable: they held it all that time.
    """
    deadline = time.monotonic() + SWITCH_SECONDS
    while True:
        try:
            attempt()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.05, 0.25))  # noqa: S311  only to fall out of step
        else:
            return


def _switch(db: Database, plan: Plan, publication: Publication, on_step: OnStep) -> None:
    with db.write(durable=True) as connection:
        taker = Taker(connection, publication.release)
        taker.make_ready()
        tables = _tables_of(plan)
        _hold_writers(connection, len(tables))
        if read_revision(connection).schema != plan.base:
            raise Overtaken(release=plan.base + 1)
        running = release_in_force(connection)
        # Once more, now that nobody can post meanwhile.
        problems = account_problems(connection, running, publication.release)
        if problems:
            raise SchemaError(problems=problems)
        follow_names(connection, running, publication.release)
        _store(connection, plan, publication)
        for step in plan.of_phase("switch"):
            if step.op == "convert":
                on_step(step)
                ValueMove(step).catch_up(connection, publication.at)
        # Last, because from here on readers wait too.
        _lock_tables(connection, tables)
        for step in plan.of_phase("switch"):
            if step.op != "convert":
                on_step(step)
                taker.take(step)


def _store(connection: Connection, plan: Plan, publication: Publication) -> None:
    """Store the release and the steps that remain after the switch."""
    for step in plan.of_phase("after"):
        if step.op == "build_search":
            set_state(connection, step.name, "")
    rows = [
        {
            "release": plan.number,
            "step": number,
            "content": msgspec.to_builtins(step),
            "state": "pending" if step.phase == "after" else "done",
        }
        for number, step in enumerate(plan.steps)
    ]
    if rows:
        connection.execute(migration_table.insert(), rows)
    row = ReleaseRow(
        number=plan.number,
        note=publication.note,
        published_at=publication.at,
        published_by=publication.actor.id,
        published_by_name=publication.actor.name,
        plan=msgspec.to_builtins(plan),
    )
    insert_release(connection, publication.release, row, publication.sources)
    # In force at once: an approval may ask them from now on.
    ensure_roles(connection, (role.name for role in publication.release.roles))
    if publication.also is not None:
        publication.also(connection, plan.number)


def _tables_of(plan: Plan) -> list[str]:
    """Return the tables that the switch changes and that are there before it."""
    steps = plan.of_phase("switch")
    created = {step.table for step in steps if step.op == "create_table"}
    moved = {step.to for step in steps if step.op == "rename_table"}
    return sorted({step.table for step in steps} - created - moved)


def _hold_writers(connection: Connection, tables: int) -> None:
    """Wait until nobody writes under the release in force; on PostgreSQL, for a share each."""
    if connection.dialect.name == "sqlite":
        return
    share = max(10, LOCK_MILLISECONDS // (tables + 1))
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{share}ms'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({RELEASE_LOCK})")


def _lock_tables(connection: Connection, tables: list[str]) -> None:
    """Take every table's lock at once, on PostgreSQL; the first refusal ends the try."""
    if tables and connection.dialect.name != "sqlite":
        quote = connection.dialect.identifier_preparer.quote
        names = ", ".join(map(quote, tables))
        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")


# -- steps outside the switch ---------------------------------------------------------------


def _finish(db: Database, on_step: OnStep) -> int:
    """Take every open step; one that fails is written down and does not stop the others."""
    table = migration_table
    with db.read() as connection:
        rows = connection.execute(
            sa.select(table.c.release, table.c.step, table.c.content, table.c.cursor)
            .where(table.c.state != "done")
            .order_by(table.c.release, table.c.step)
        ).all()
        if not rows:
            return 0
        release = release_in_force(connection)
    failed = 0
    for number, position, content, cursor in rows:
        step = msgspec.convert(content, Step)
        key = (table.c.release == number) & (table.c.step == position)
        on_step(step)
        try:
            if step.op == "backfill":
                backfill(db, release, step, _Bookmark(key, cursor))
            elif step.op == "build_search":
                build_search(db, release.types[step.name], _Bookmark(key, cursor))
            elif step.op == "drop_search":
                drop_search(db, step.name)
            else:
                _persist(partial(_take_alone, db, release, step))
        except (DBAPIError, GuanxiError) as error:
            failed += 1
            _mark(db, key, state="failed", error=str(getattr(error, "orig", error)))
        else:
            _mark(db, key, state="done", error="")
    return failed


@dataclass(frozen=True, slots=True)
class _Bookmark:
    """Remembers how far a backfill is, in the transaction of each batch."""

    key: sa.ColumnElement[bool]
    cursor: str

    def __call__(self, connection: Connection, cursor: str) -> None:
        """Write down that everything up to `cursor` is done."""
        connection.execute(migration_table.update().where(self.key).values(cursor=cursor))


def _mark(db: Database, key: sa.ColumnElement[bool], **values: str) -> None:
    with db.write() as connection:
        connection.execute(migration_table.update().where(key).values(values))


def _take_alone(db: Database, release: Release, step: Step) -> None:
    """Take one step in a transaction of its own, or in none where it holds up nobody then."""
    if db.is_sqlite or step.op == "add_column":
        with db.write() as connection:
            if not db.is_sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_MILLISECONDS}ms'")
            Taker(connection, release).take(step)
        return
    with db.patient() as connection:
        Taker(connection, release, concurrently=True).take(step)
