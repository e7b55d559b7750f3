"""One instance as rows: read whole under its lock, written back by what differs.

The rows are read once, kept, and compared with those that the engine's state makes
afterwards, so a decision writes a handful of columns and never trusts what it did not read.
Statements are compiled once per process (`core.prebuilt`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.prebuilt import Prebuilt, inserting, together, updating
from core.workflow import queuerow
from core.workflow.engine.state import (
    Candidate,
    Resume,
    Seat,
    State,
    Timer,
    Visit,
    Vote,
)
from core.workflow.engine.tree import Tree
from core.workflow.models import (
    candidate,
    instance,
    rank_of,
    seat,
    task,
    timer,
    visit,
    vote,
)

Values = dict[str, Any]
#: Table -> id -> columns after: what one operation changed, as its last event keeps it.
Changes = dict[str, dict[str, Values]]
#: Table -> id -> row.
Rows = dict[str, dict[str, Values]]


class OvertakenError(Exception):
    """A row is not as it was read, although the instance was locked."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How the rows of one table are read and written.

    Attributes:
        fixed: columns that never change once a row is there.
        moving: columns that an update sets.
        order: what the rows are read by.
    """

    table: sa.Table
    fixed: tuple[str, ...]
    moving: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return every column that is read."""
        return (*self.fixed, *self.moving)


VISITS = Kind(
    visit,
    (
        "id", "instance_id", "position", "step", "type", "parent", "lane", "number", "item",
        "opened_at", "resumes", "cause",
    ),
    ("state", "result", "subject_hash", "closed_at", "closed_by"),
    ("position",),
)  # fmt: skip
TASKS = Kind(
    task,
    queuerow.OPENED,
    (*queuerow.MOVING, *queuerow.NAMES),
    ("id",),
)
SEATS = Kind(
    seat,
    (
        "id", "instance_id", "task_id", "key", "group", "weight", "kind", "parent", "rule",
        "depth", "added_by",
    ),
    (
        "position", "state", "ballot", "vote", "because", "claimed_by", "claimed_until",
        "opened_at", "version",
    ),
    ("task_id", "position", "id"),
)  # fmt: skip
CANDIDATES = Kind(
    candidate,
    (
        "id", "instance_id", "seat_id", "task_id", "position", "kind", "actor", "via",
        "on_behalf_of", "record_type", "rank",
    ),
    ("gone", "is_open", "is_free", "makers", "opened_at", "due_at"),
    ("position",),
)  # fmt: skip
VOTES = Kind(
    vote,
    (
        "id", "instance_id", "seat_id", "task_id", "record_type", "actor", "actor_name", "verb",
        "opinion", "subject_hash", "at", "source", "because", "on_behalf_of",
    ),
    (),
    ("at", "id"),
)  # fmt: skip
TIMERS = Kind(
    timer,
    ("id", "instance_id", "visit_id", "rung", "business"),
    ("left", "since", "fire_at", "state"),
    ("visit_id", "rung", "id"),
)
#: The rows of one instance besides its own, in the order they are written.
KINDS = (VISITS, TASKS, SEATS, CANDIDATES, VOTES, TIMERS)

#: Columns of the instance's own row that the chain of its events moves along.
_OF_CHAIN = frozenset({"chain", "events"})


@dataclass(slots=True)
class Stored:
    """One instance in the course of one operation.

    Attributes:
        row: its own columns; change them here.
        state: what the engine changes.
        before: the other rows as they were read.
        row_before: its own columns as they were read; empty when it is new.
    """

    row: Values
    state: State
    before: Rows
    row_before: Values

    @classmethod
    def new(cls, row: Values, state: State) -> "Stored":
        """Return an instance that has no rows yet."""
        return cls(_defaults(instance) | row, state, {kind.table.name: {} for kind in KINDS}, {})


def load(connection: Connection, row: Values) -> Stored:
    """Return the whole instance of a row, which the caller has locked if it will be written."""
    rows = {
        kind.table.name: {
            one["id"]: one
            for one in (
                dict(zip(kind.columns, found, strict=True))
                for found in _reading(kind.table.name, connection.dialect).rows(
                    connection, {"instance": row["id"]}
                )
            )
        }
        for kind in KINDS
    }
    return Stored(row, state_of(row, rows), rows, dict(row))


@lru_cache(maxsize=32)
def _reading(name: str, dialect: Dialect) -> Prebuilt:
    kind = next(one for one in KINDS if one.table.name == name)
    table = kind.table
    return Prebuilt(
        sa.select(*(table.c[column] for column in kind.columns))
        .where(table.c.instance_id == sa.bindparam("instance"))
        .order_by(*(table.c[column] for column in kind.order)),
        dialect,
    )


def state_of(row: Mapping[str, Any], rows: Mapping[str, Mapping[str, Values]]) -> State:
    """Return the engine's state of an instance's rows."""
    resume = msgspec.json.decode(row["resume"]) if row["resume"] else None
    chosen = msgspec.json.decode(row["chosen"])
    state = State(
        initiator=row["initiator"],
        makers=frozenset(one for one in row["makers"].split("|") if one),
        subject_hash=row["subject_hash"],
        status=row["state"],
        former=row["former_state"],
        returns=row["returns"],
        resume=None if resume is None else Resume(**resume),
        copied=tuple(msgspec.json.decode(row["copied"])),
        chosen={step: tuple(people) for step, people in chosen.items()},
        attention=row["attention"],
    )
    for one in rows["gx_visit"].values():
        state.visits[one["id"]] = Visit(
            one["id"], one["step"], one["type"], one["parent"], one["lane"], one["number"],
            msgspec.json.decode(one["item"]), one["state"], one["result"], one["subject_hash"],
            one["opened_at"], one["closed_at"], one["closed_by"], one["resumes"], one["cause"],
        )  # fmt: skip
    for one in rows["gx_seat"].values():
        state.seats[one["id"]] = Seat(
            one["id"], one["task_id"], one["position"], one["key"], one["group"], one["weight"],
            one["kind"], one["parent"], one["rule"], one["depth"], one["state"], one["ballot"],
            one["vote"], one["because"], one["added_by"], one["claimed_by"],
            one["claimed_until"], one["opened_at"],
        )  # fmt: skip
    state.candidates = [
        Candidate(
            one["seat_id"], one["kind"], one["actor"], one["via"], one["on_behalf_of"],
            bool(one["gone"]),
        )
        for one in rows["gx_candidate"].values()
    ]  # fmt: skip
    for one in rows["gx_vote"].values():
        state.votes[one["id"]] = Vote(
            one["id"], one["seat_id"], one["task_id"], one["actor"], one["actor_name"],
            one["verb"], one["opinion"], one["subject_hash"], one["at"], one["source"],
            one["because"], one["on_behalf_of"],
        )  # fmt: skip
    for one in rows["gx_timer"].values():
        state.timers[one["id"]] = Timer(
            one["id"], one["visit_id"], one["rung"], bool(one["business"]), one["left"],
            one["since"], one["fire_at"], one["state"],
        )  # fmt: skip
    return state


def rows_of(stored: Stored, tree: Tree, facts: Callable[[Visit], queuerow.Facts]) -> Rows:
    """Return the rows that a state makes; `facts` tells what a new task shows."""
    state, row = stored.state, stored.row
    instance_id, record_type, makers = row["id"], row["record_type"], row["makers"]
    rows: Rows = {kind.table.name: {} for kind in KINDS}
    for place, one in enumerate(state.visits.values()):
        rows["gx_visit"][one.id] = {
            "id": one.id, "instance_id": instance_id, "position": place, "step": one.step,
            "type": one.type, "parent": one.parent, "lane": one.lane, "number": one.number,
            "item": msgspec.json.encode(one.item).decode(), "opened_at": one.opened_at,
            "resumes": one.resumes, "cause": one.cause, "state": one.state,
            "result": one.result, "subject_hash": one.subject_hash,
            "closed_at": one.closed_at, "closed_by": one.closed_by,
        }  # fmt: skip
        node = tree.nodes.get(one.step)
        if node is not None and node.is_human:
            known = stored.before["gx_task"].get(one.id)
            rows["gx_task"][one.id] = {
                **(known or queuerow.opened(row, one, node.step, facts(one))),
                **queuerow.moving(state, one, node.step),
            }
    for seat_ in state.seats.values():
        before = stored.before["gx_seat"].get(seat_.id)
        rows["gx_seat"][seat_.id] = {
            "id": seat_.id, "instance_id": instance_id, "task_id": seat_.visit,
            "key": seat_.key, "group": seat_.group, "weight": seat_.weight, "kind": seat_.kind,
            "parent": seat_.parent, "rule": seat_.rule, "depth": seat_.depth,
            "added_by": seat_.added_by, "position": seat_.position, "state": seat_.state,
            "ballot": seat_.ballot, "vote": seat_.vote, "because": seat_.because,
            "claimed_by": seat_.claimed_by, "claimed_until": seat_.claimed_until,
            "opened_at": seat_.opened_at, "version": before["version"] if before else 1,
        }  # fmt: skip
    for place, held in enumerate(state.candidates):
        of, at = state.seats[held.seat], state.visits[state.seats[held.seat].visit]
        shown = rows["gx_task"].get(at.id)
        candidate_id = f"{held.seat}.{place}"
        is_open = (
            not held.gone and of.state == "open" and at.state == "open"
            and state.status == "running"
        )  # fmt: skip
        must_claim = shown is not None and shown["claim"] == "required"
        rows["gx_candidate"][candidate_id] = {
            "id": candidate_id, "instance_id": instance_id, "seat_id": held.seat,
            "task_id": at.id, "position": place, "kind": held.kind, "actor": held.actor,
            "via": held.via, "on_behalf_of": held.on_behalf_of, "record_type": record_type,
            "gone": held.gone, "makers": makers,
            "is_open": is_open, "is_free": is_open and must_claim and not of.claimed_by,
            "opened_at": of.opened_at or at.opened_at,
            "rank": rank_of(shown["priority"] if shown else 0, at.opened_at),
            "due_at": shown["due_at"] if shown else None,
        }  # fmt: skip
    for ballot in state.votes.values():
        rows["gx_vote"][ballot.id] = {
            "id": ballot.id, "instance_id": instance_id, "seat_id": ballot.seat,
            "task_id": ballot.visit, "record_type": record_type, "actor": ballot.actor,
            "actor_name": ballot.actor_name, "verb": ballot.verb, "opinion": ballot.opinion,
            "subject_hash": ballot.subject_hash, "at": ballot.at, "source": ballot.source,
            "because": ballot.because, "on_behalf_of": ballot.on_behalf_of,
        }  # fmt: skip
    for clock in state.timers.values():
        rows["gx_timer"][clock.id] = {
            "id": clock.id, "instance_id": instance_id, "visit_id": clock.visit,
            "rung": clock.rung, "business": clock.business, "left": clock.left,
            "since": clock.since, "fire_at": clock.fire_at, "state": clock.state,
        }  # fmt: skip
    return rows


def save(
    connection: Connection,
    stored: Stored,
    tree: Tree,
    *,
    name_of: Callable[[str], str],
    facts: Callable[[Visit], queuerow.Facts],
) -> Changes:
    """Write what differs from what was read; return it as evidence keeps it.

    The instance's own row is written by the caller, with the chain's new head; see
    `instance_changes`.

    Args:
        connection: the transaction that holds the instance's lock.
        stored: the instance, read by `load`.
        tree: the flow it runs by.
        name_of: what people call a user.
        facts: what the document says of a new task.

    Raises:
        OvertakenError: a seat was changed by somebody who did not hold the lock.
    """
    rows = rows_of(stored, tree, facts)
    changes: Changes = {}
    work = _Work()
    for kind in KINDS:
        name = kind.table.name
        changed = {
            row_id: differs
            for row_id, row in rows[name].items()
            if (differs := _difference(kind, row, stored.before[name].get(row_id), name_of))
        }
        for row_id, differs in changed.items():
            row, is_new = rows[name][row_id], row_id not in stored.before[name]
            row.update(differs)
            (work.inserts if is_new else work.updates).append((kind, row))
        if changed:
            changes[name] = changed
    work.do(connection)
    stored.before = rows
    return changes


@dataclass(slots=True)
class _Work:
    """The rows to write."""

    inserts: list[tuple[Kind, Values]] = field(default_factory=list)
    updates: list[tuple[Kind, Values]] = field(default_factory=list)

    def do(self, connection: Connection) -> None:
        """Write everything at once; seats each only as it was read."""
        dialect = connection.dialect
        with together(connection):
            seats = _update_seats(connection, [row for kind, row in self.updates if kind is SEATS])
            for kind, row in self.inserts:
                inserting(kind.table, dialect, tuple(row)).run(connection, row)
            for kind, row in self.updates:
                if kind is not SEATS:
                    statement = updating(kind.table, dialect, kind.moving)
                    statement.run(connection, {**row, "gx_id": row["id"]})
        for row, found in seats:
            if found() != 1:
                raise OvertakenError(f"seat {row['id']} is not at version {row['version'] - 1}")


def _difference(
    kind: Kind, row: Values, old: Values | None, name_of: Callable[[str], str]
) -> Values:
    """Return the columns of a row that differ from what was read; all of a new one."""
    if old is None:
        differs = _defaults(kind.table) | row
    else:
        differs = {name: value for name, value in row.items() if value != old[name]}
    if kind is TASKS:
        _name_people(row, differs, name_of)
    if old is not None and differs:
        fixed = differs.keys() - set(kind.moving)
        if fixed:
            raise OvertakenError(f"{kind.table.name}: {', '.join(sorted(fixed))} cannot change")
        if kind is SEATS:
            differs["version"] = old["version"] + 1
    return differs


@cache
def _defaults(table: sa.Table) -> Values:
    """Return what the columns of a new row hold that nobody says anything of."""
    return {
        column.name: column.default.arg
        for column in table.columns
        if isinstance(column.default, sa.ColumnDefault) and column.default.is_scalar
    }


def _name_people(row: Values, differs: Values, name_of: Callable[[str], str]) -> None:
    """Add the names of people that are new in a task."""
    for name, of in queuerow.NAMES.items():
        if of in differs:
            person = row[of]
            differs[name] = name_of(person) if person else person


def _update_seats(
    connection: Connection, rows: Sequence[Values]
) -> list[tuple[Values, Callable[[], int]]]:
    """Write seats, each only as it was read; return what tells whether each was found so."""
    statement = _seat_update(connection.dialect)
    return [
        (
            row,
            statement.sent(
                connection, {**row, "gx_id": row["id"], "gx_version": row["version"] - 1}
            ),
        )
        for row in rows
    ]


@lru_cache(maxsize=4)
def _seat_update(dialect: Dialect) -> Prebuilt:
    statement = seat.update().where(
        seat.c.id == sa.bindparam("gx_id"), seat.c.version == sa.bindparam("gx_version")
    )
    return Prebuilt(statement, dialect, SEATS.moving)


def instance_columns(state: State) -> Values:
    """Return the columns of the instance's row that its state decides."""
    resume = state.resume
    return {
        "state": state.status,
        "former_state": state.former,
        "returns": state.returns,
        "resume": None if resume is None else msgspec.json.encode(
            {"visit": resume.visit, "step": resume.step, "to": resume.to}
        ).decode(),
        "copied": msgspec.json.encode(state.copied).decode(),
        "chosen": msgspec.json.encode(state.chosen).decode(),
        "attention": state.attention,
        "subject_hash": state.subject_hash,
    }  # fmt: skip


def instance_changes(stored: Stored) -> Values:
    """Return the instance's own columns that differ from what was read."""
    return {
        name: value
        for name, value in stored.row.items()
        if name not in _OF_CHAIN
        and (name not in stored.row_before or stored.row_before[name] != value)
    }


def write_instance(connection: Connection, stored: Stored) -> None:
    """Write the instance's own row: a new one whole, a known one by what differs."""
    row, before = stored.row, stored.row_before
    if not before:
        inserting(instance, connection.dialect, tuple(row)).run(connection, row)
    else:
        names = tuple(name for name in row if row[name] != before[name])
        if names:
            statement = updating(instance, connection.dialect, names)
            statement.run(connection, {**row, "gx_id": row["id"]})
    stored.row_before = dict(row)
