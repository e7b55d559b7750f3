"""The flow's own history: one chained event per thing that happened to an instance.

The chain's head stands on the instance row, which every operation has locked, so an
edited, removed, inserted or swapped event is found without any further lock. What an
event says about a person is covered through salted commitments: it can be erased, and
the chain still proves the rest.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Problem
from core.i18n import N_
from core.prebuilt import inserting, updating
from core.workflow.evidence.folding import (
    FOLDED,
    Changes,
    Fold,
    broken,
    commitment,
    composed,
    told,
)
from core.workflow.models import ERASABLE, Row, event, instance

#: The verb of the event that says whose values were erased.
ERASE = "erase"

#: What no hash covers itself: the erasable values, their salt, and the hash.
UNHASHED = frozenset({*ERASABLE, "salt", "hash"})

_COLUMNS = tuple(column.name for column in event.columns)
_HASHED = tuple(sorted(name for name in _COLUMNS if name not in UNHASHED))
_NAME_LENGTH, _IP_LENGTH, _AGENT_LENGTH = 200, 45, 400

_encoder = msgspec.json.Encoder(order="sorted")
_encode = msgspec.json.Encoder().encode
_hashed = itemgetter(*_HASHED)


def canonical(value: object) -> str:
    """Return JSON with sorted keys and composed texts; decimals and times are texts in it."""
    text = _encoder.encode(value).decode()
    if composed(text) is text:
        return text
    return _encoder.encode(_composed(msgspec.json.decode(text))).decode()


def _composed(value: Any) -> Any:
    if isinstance(value, str):
        return composed(value)
    if isinstance(value, dict):
        return {composed(key): _composed(each) for key, each in value.items()}
    return [_composed(each) for each in value] if isinstance(value, list) else value


def hash_of(row: Row) -> str:
    """Return the hash of an event row, from its columns and the hash before it."""
    body = _encode(dict(zip(_HASHED, _hashed(row), strict=True)))  # in sorted order
    return hashlib.sha256(b"appr1" + row["prev"].encode() + body).hexdigest()


class Evidence:
    """Appends events to one locked instance and moves the head of its chain along.

    Attributes:
        auth: how surely it is known who acts; at first what the context's client says.
        via_override: whether this is done by right of administration, not as a candidate
            or initiator.
    """

    def __init__(self, ctx: Context, connection: Connection, row: Row) -> None:
        """Write as `ctx.actor` for the instance `row`, which the caller has locked."""
        self._ctx = ctx
        self._connection = connection
        self._instance = row
        self._seq: int = row["events"]
        self._head: str = row["chain"]
        self.auth = ctx.client.auth
        self.via_override = False
        self._sign()

    def add(  # noqa: PLR0913  each is a part of what happened
        self, verb: str, *, step: str = "", task_id: str = "", seat: str = "",
        opinion: str = "", detail: Mapping[str, Any] | None = None, on_behalf_of: str = "",
        meaning: str = "", diff: Iterable[Mapping[str, Any]] | None = None,
        changes: Changes | None = None,
    ) -> None:  # fmt: skip
        """Append one event.

        Args:
            verb: what was done, or what followed from it.
            step: where.
            task_id: of which task.
            seat: key of the voice.
            opinion: what the person wrote.
            detail: plain JSON that every reader of the instance may see.
            on_behalf_of: id of the person for whom a deputy acted.
            meaning: the statement that was shown beside the button, in the person's language.
            diff: with a submit or an edit, the fields that changed: plain JSON.
            changes: with the last event of an operation, what became of the instance's rows;
                folding all of them gives the rows as they are.
        """
        made = self._row(verb, step, task_id, seat, composed(opinion))
        made["on_behalf_of"] = on_behalf_of
        made["meaning"] = composed(meaning)
        if detail:
            made["detail"] = canonical(detail)
        if diff is not None:
            made["diff"] = canonical(list(diff))
        if changes:
            made["changes"] = canonical(told(changes, self._salt))
        made["hash"] = self._head = hash_of(made)
        self._seq += 1
        inserting(event, self._connection.dialect, _COLUMNS).run(self._connection, made)

    @property
    def head(self) -> dict[str, Any]:
        """Return the columns of the instance row that say where the chain ends."""
        return {"chain": self._head, "events": self._seq}

    def close(self) -> None:
        """Write the head of the chain to the instance row."""
        statement = updating(instance, self._connection.dialect, ("chain", "events"))
        statement.run(self._connection, self.head | {"gx_id": self._instance["id"]})

    def _row(
        self, verb: str, step: str, task_id: str, seat: str, opinion: str
    ) -> dict[str, Any]:  # fmt: skip
        """Return an event's columns without its hash, with what the context knows."""
        row, said = self._instance, commitment(self._salt, opinion)
        return {
            **self._signed,
            "instance_id": row["id"],
            "seq": self._seq + 1,
            "verb": verb,
            "step": step,
            "task_id": task_id,
            "seat": seat,
            "opinion": opinion,
            "detail": "{}",
            "diff": "",
            "changes": "",
            "subject_hash": row["subject_hash"],
            "record_version": row["record_version"],
            "definition_hash": row["definition_hash"],
            "auth": self.auth,
            "via_override": self.via_override,
            "commitments": self._commitments.replace(_OPINION, said),
            "prev": self._head,
        }

    def _sign(self) -> None:
        """Note what every event of the operation says of who acts."""
        ctx, self._salt = self._ctx, os.urandom(16).hex()
        actor, client = ctx.actor, ctx.client
        personal = {
            "actor_name": composed(actor.name)[:_NAME_LENGTH],
            "ip": client.ip[:_IP_LENGTH],
            "user_agent": composed(client.user_agent)[:_AGENT_LENGTH],
        }
        kept = {name: commitment(self._salt, value) for name, value in personal.items()}
        self._commitments = canonical(kept | {"opinion": _OPINION})
        self._signed = {
            **personal,
            "at": to_wire(ctx.now),
            "actor": actor.id,
            "roles": canonical(sorted(actor.roles)),
            "door": ctx.door,
            "request_id": ctx.request_id,
            "salt": self._salt,
        }


#: Where the commitment to an event's opinion stands in what is otherwise the same for all.
_OPINION = "?"


def list_events(connection: Connection, instance_id: str) -> list[dict[str, Any]]:
    """Return an instance's events in their order, with roles and detail decoded."""
    rows = connection.execute(
        sa.select(event).where(event.c.instance_id == instance_id).order_by(event.c.seq)
    )
    return [
        {
            **row,
            "roles": msgspec.json.decode(row["roles"]),
            "detail": msgspec.json.decode(row["detail"]),
        }
        for row in rows.mappings()
    ]


@dataclass(frozen=True, slots=True)
class Proved:
    """What the proof of one instance found.

    Attributes:
        problems: every break; empty where it proves.
        events: how many events it has.
        erased: how many of them had what they say of a person erased.
    """

    instance_id: str
    problems: Sequence[Problem]
    events: int
    erased: int


def prove(connection: Connection, *, after: str = "", most: int | None = None) -> Iterator[Proved]:
    """Yield the proof of each instance, in the order of their ids; memory stays bounded.

    Args:
        connection: reads.
        after: begin behind the instance with this id.
        most: stop after so many instances.
    """
    while most is None or most > 0:
        chunk = _CHUNK if most is None else min(_CHUNK, most)
        rows = _instances(connection, after, chunk)
        if not rows:
            return
        yield from _prove(connection, rows)
        after = rows[-1]["id"]
        most = None if most is None else most - len(rows)


#: So many instances are held in memory at once.
_CHUNK = 100


def _instances(connection: Connection, after: str, most: int) -> Sequence[Row]:
    query = sa.select(instance).where(instance.c.id > after).order_by(instance.c.id).limit(most)
    return connection.execute(query).mappings().all()


def _prove(connection: Connection, rows: Sequence[Row]) -> Iterator[Proved]:
    ids = [row["id"] for row in rows]
    events = _by_instance(connection, event, ids, event.c.seq)
    stored = {
        name: _by_instance(connection, table, ids)
        for name, table in FOLDED.items()
        if table is not instance
    }
    for row in rows:
        own = {name: found.get(row["id"], []) for name, found in stored.items()}
        own[instance.name] = [row]
        yield proved(row, events.get(row["id"], []), own)


def _by_instance(
    connection: Connection, table: sa.Table, ids: Sequence[str], *order: sa.Column[Any]
) -> dict[str, list[Row]]:
    query = sa.select(table).where(table.c.instance_id.in_(ids))
    found = connection.execute(query.order_by(table.c.instance_id, *order)).mappings()
    return {key: list(rows) for key, rows in groupby(found, key=lambda row: row["instance_id"])}


def proved(row: Row, events: Sequence[Row], stored: Mapping[str, Sequence[Row]]) -> Proved:
    """Return the proof of one instance from its row, its events and its stored rows by table."""
    problem = broken_link(events, row["chain"], row["events"])
    if problem:
        return Proved(row["id"], [replace(problem, path=row["id"])], len(events), 0)
    until = _erasures(events)
    fold = Fold(erased=until.keys())
    problems: list[Problem] = []
    erased = 0
    for each in events:
        state = _personal_state(each, until.get(each["actor"], 0))
        if state == "altered":
            text = N_("event {number} was altered: what it says of a person")
            problems.append(broken(text, number=each["seq"]))
        erased += state == "erased"
        fold.names.setdefault(each["actor"], set()).add(each["actor_name"])
        if each["changes"]:
            fold.apply(msgspec.json.decode(each["changes"]), each["actor"], each["salt"])
    problems += fold.disagreements(stored)
    found = [replace(each, path=row["id"]) for each in problems]
    return Proved(row["id"], found, len(events), erased)


def broken_link(rows: Iterable[Row], head: str, length: int) -> Problem | None:
    """Return what is wrong with the chain of one instance's event rows, in `seq` order."""
    previous, seq = "", 0
    for seq, row in enumerate(rows, start=1):
        if row["seq"] != seq:
            return broken(N_("event {number} is missing"), number=seq)
        if row["prev"] != previous or hash_of(row) != row["hash"]:
            return broken(N_("event {number} was altered"), number=seq)
        previous = row["hash"]
    if (seq, previous) != (length, head):
        return broken(N_("the last events are missing or the approval was changed outside"))
    return None


def _erasures(events: Iterable[Row]) -> dict[str, int]:
    """Return whose values were erased by right: person -> number of the last such event."""
    return {
        msgspec.json.decode(row["detail"])["person"]: row["seq"]
        for row in events
        if row["verb"] == ERASE
    }


def _personal_state(row: Row, erased_before: int) -> str:
    """Return whether what an event says of a person is `whole`, `erased` by right or `altered`."""
    values = {name: row[name] for name in ERASABLE}
    salt = row["salt"]
    if row["seq"] < erased_before:
        return "altered" if salt or any(values.values()) else "erased"
    kept = msgspec.json.decode(row["commitments"])
    is_whole = all(commitment(salt, value) == kept[name] for name, value in values.items())
    return "whole" if is_whole else "altered"


def verify(connection: Connection) -> tuple[int, list[str]]:
    """Return how many instances were checked, and each break found in one."""
    checked = 0
    problems: list[str] = []
    for one in prove(connection):
        checked += 1
        problems += map(str, one.problems)
    return checked, [*problems, *map(str, strays(connection))]


def strays(connection: Connection) -> list[Problem]:
    """Return the events and rows that belong to no instance."""
    problems: list[Problem] = []
    for table in (event, *FOLDED.values()):
        if table is instance:
            continue
        owned = sa.exists().where(instance.c.id == table.c.instance_id)
        found = connection.execute(
            sa.select(table.c.instance_id).where(~owned).distinct().limit(_CHUNK)
        )
        text = N_("the approval is missing; {table} has rows of it")
        problems += [broken(text, one, table=table.name) for one in found.scalars()]
    return problems
