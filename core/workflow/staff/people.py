"""Whose voice counts: as whom somebody may sit, and the makers whose voice does not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor
from core.audit import history
from core.context import Context
from core.expression.places import place_key
from core.jobs.outbox import emit
from core.records.proposals import Proposal
from core.schema.placerows import PLACE_TYPES
from core.tables.registry import Registries, Registry
from core.workflow.engine.state import CandidateKind, Identity, Person
from core.workflow.models import candidate, instance
from core.workflow.staff.delegations import list_standing
from core.workflow.staff.deputies import standing
from core.workflow.staff.roster import Post, Staff

#: The revisions of release and rights.
_AsOf = tuple[int, int]

#: Reads who works here, without delegations, which are known here.
LoadStaff = Callable[[Connection, Registry], Staff]


def _nobody(_connection: Connection, _registry: Registry) -> Staff:
    return Staff()


class StaffDirectory:
    """Knows everybody who works here; the security layer brings the answer."""

    def __init__(self) -> None:
        """Start without an answer; then nobody works here."""
        self._load: LoadStaff = _nobody
        self._kept: WeakKeyDictionary[Registries, tuple[tuple[int, int], Staff]] = (
            WeakKeyDictionary()
        )

    def register(self, load: LoadStaff) -> None:
        """Ask `load` from now on."""
        self._load = load
        self._kept = WeakKeyDictionary()

    @contextmanager
    def asking(self, load: LoadStaff) -> Iterator[None]:
        """Ask `load` for the length of a `with` block."""
        before = self._load
        self.register(load)
        try:
            yield
        finally:
            self.register(before)

    def staff(self, ctx: Context, connection: Connection) -> Staff:
        """Return everybody as of the rights that hold on `connection`.

        One statement asks for their revision; the rest is read when that has moved.
        """
        registry = ctx.registries.current(connection)
        as_of = registry.revision.schema, registry.revision.rights
        kept = self._kept.get(ctx.registries)
        if kept is not None and kept[0] == as_of:
            return kept[1]
        said = standing(list_standing(connection, ctx.now))
        staff = replace(self._load(connection, registry), standing=said)
        known = ctx.registry.revision
        if not ctx.is_writing or as_of == (known.schema, known.rights):
            # A revision that this transaction began may be rolled back and given out again.
            self._kept[ctx.registries] = as_of, staff
        return staff


#: Topic that says that users, roles, positions or managers changed.
STAFF_CHANGED = "staff.changed"

#: The directory of this process.
STAFF = StaffDirectory()


def note_staff(connection: Connection) -> None:
    """Say that users, roles, positions or managers change in this transaction."""
    emit(connection, STAFF_CHANGED, {})


def nobody_is_left(staff: Staff, pool: Iterable[tuple[str, str]], makers: str) -> bool:
    """Return whether every candidate (kind, actor) in `pool` is a maker or nobody."""
    seats = (Identity(cast("CandidateKind", kind), actor) for kind, actor in pool)
    people = (person for seat in seats for person in staff.behind(seat))
    return all(is_maker(person, makers) for person in people)


def identities(actor: Actor) -> list[tuple[CandidateKind, str]]:
    """Return as which candidates (kind, actor) somebody may sit.

    That is as themself, in each of their roles, in each position at the place where they
    hold it and wherever that is, and as one of each department where they work.
    """
    own = actor.places.lists
    posts = {
        post
        for position in actor.places.positions
        for place_type in PLACE_TYPES
        for place in own.get(place_key(place_type, position), ())
        for post in (Post(position, place).actor, Post(position, "").actor)
    }
    posts |= {Post("", place).actor for place in own.get("department", ())}
    return [
        ("user", actor.id),
        *(("role", role) for role in sorted(actor.roles)),
        *(("post", post) for post in sorted(posts)),
    ]


def voice_of(actor: Actor) -> Person:
    """Return an actor as the engine knows people."""
    sits = frozenset(Identity(kind, name) for kind, name in identities(actor))
    return Person(actor.id, actor.name, sits)


def joined(ids: Iterable[str]) -> str:
    """Return makers' ids in the form that rows keep: `|3|8|`."""
    return f"|{'|'.join(sorted(set(ids)))}|"


def is_maker(actor_id: str, makers: str) -> bool:
    """Return whether somebody wrote, edited or submitted what is decided."""
    return f"|{actor_id}|" in makers


def is_no_maker(actor_id: str) -> sa.ColumnElement[bool]:
    """Return the same question, negated, over candidate rows."""
    return ~candidate.c.makers.contains(f"|{actor_id}|", autoescape=True)


def makers_of(
    ctx: Context, connection: Connection, record: Mapping[str, Any], found: Proposal | None,
    *, type_name: str,
) -> str:  # fmt: skip
    """Return who made what is being submitted.

    That is everyone who changed it since it was last in force, and the initiator; the
    product itself and past approvers are no makers.
    """
    last = connection.execute(
        sa.select(sa.func.max(instance.c.ended_at)).where(
            instance.c.record_type == type_name,
            instance.c.record_id == record["id"],
            instance.c.state == "approved",
        )
    ).scalar()
    writers = connection.execute(
        sa.select(history.c.actor)
        .where(
            history.c.record_type.in_(ctx.registry.record_type(type_name).names),
            history.c.record_id == record["id"],
            history.c.door != "flow",
            history.c.at > (last or ""),
        )
        .distinct()
    ).scalars()
    makers = {ctx.actor.id, *writers}
    if found is not None:
        makers |= {found.created_by, found.updated_by}
    elif not last:
        makers.add(record["created_by"])
    return joined(makers - {"system", ""})


def may_administer(ctx: Context) -> bool:
    """Return whether the actor may halt and end other people's approvals."""
    return ctx.actor.is_system or "Admin" in ctx.actor.roles
