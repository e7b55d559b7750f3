"""Whom a step asks: the approver sources of flows, answered from the staff as of now; pure.

What a source names outright is kept even where nobody is behind it at the moment: a role
without holders, a person who was disabled, a position nobody holds there. The step then has
a seat that nobody can take, which the flow's rules about people treat; left out, it would
silently need one voice less. What has to be found first (a manager, the person in a field)
gives nobody where it finds nothing.

Places are taken exactly: `position` with `at` asks for that store or department and not
for those above it, which `manager_of` is for.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from core.schema.flowpeople import Source, Upto
from core.schema.model import RecordType
from core.workflow.engine.state import Identity
from core.workflow.engine.world import Asking, Pool
from core.workflow.staff.deputies import Matter, final_deputy
from core.workflow.staff.roster import Post, Staff

#: What `manager_of`, `chain_of`, `chosen_by` and `at` call who submitted the document.
INITIATOR = "initiator"
#: What `manager_of` calls the people of the seat that asks.
SEAT = "seat"


@dataclass(frozen=True, slots=True)
class Subject:
    """The document for which people are looked up.

    Attributes:
        record_type: what it is.
        values: its wire values as proposed.
        initiator: id of who submitted it.
        steps: ids of the flow's steps, which `manager_of` may name.
        value: gives the wire value of an expression, in a run of a subflow for its item.
        rows: gives the sources that a decision table's answer names, likewise.
    """

    record_type: RecordType
    values: Mapping[str, Any]
    initiator: str
    steps: frozenset[str]
    value: Callable[[str, Any], Any]
    rows: Callable[[Source, Any], Iterable[Source]]


class Directory:
    """The people of one document's flow, as of one instant."""

    def __init__(self, staff: Staff, subject: Subject, now: datetime) -> None:
        """Answer for a document from the staff."""
        self._staff = staff
        self._subject = subject
        self._matter = Matter(subject.record_type.name, subject.values, now)

    def resolve(self, source: Source, asking: Asking) -> tuple[Pool, ...]:
        """Return the people of a source in their order, nobody twice.

        A pool without members is somebody whom the source names and who is not there.
        """
        found: dict[str, Pool] = {}
        for pool in self._pools(source, asking):
            found.setdefault(pool.key, pool)
        return tuple(found.values())

    def people(self, identity: Identity) -> tuple[str, ...]:
        """Return the ids of the active users behind an identity, in a fixed order."""
        return self._staff.behind(identity)

    def name(self, person: str) -> str:
        """Return what people call a user."""
        return self._staff.name(person)

    def manager(self, person: str) -> str:
        """Return the id of somebody's active manager, or ""."""
        return self._staff.manager(person)

    def deputy(self, person: str) -> str:
        """Return who stands in for somebody for this document now, or ""."""
        staff = self._staff
        return final_deputy(staff.standing, person, self._matter, staff.is_active)

    def stand_ins(self, identity: Identity) -> tuple[tuple[str, str], ...]:
        """Return the deputies for what waits for a role or position, each with for whom.

        They are those of the people behind it whose delegation includes their roles.
        """
        staff, found = self._staff, []
        for giver in staff.standing:
            deputy = final_deputy(
                staff.standing, giver, self._matter, staff.is_active, pooled=True
            )
            if deputy and staff.sits_as(giver, identity):
                found.append((deputy, giver))
        return tuple(found)

    def _pools(self, source: Source, asking: Asking) -> Iterator[Pool]:
        if source.users:
            return self._named(source.users)
        if source.roles:
            return self._of_roles(source, asking)
        if source.position:
            return self._of_position(source, asking)
        if source.field:
            return self._in_field(source.field)
        if source.table:
            rows = self._subject.rows(source, asking.item)
            return (pool for row in rows for pool in self._pools(row, asking))
        if source.chosen_by:
            return self._chosen(source, asking)
        return _single(self._found(source, asking))

    def _found(self, source: Source, asking: Asking) -> Iterable[str]:
        """Return the ids of the people that a source of single people gives."""
        if source.manager_of:
            return self._managers(source, asking)
        if source.chain_of:
            people = self._referred(source.chain_of, asking)
            return [one for person in people for one in self._chain(person, source.upto)]
        if source.of_step:
            return (asking.decided or {}).get(source.of_step, ())
        return _ids(self._subject.value(source.expr, asking.item)) if source.expr else ()

    def _named(self, logins: Iterable[str]) -> Iterator[Pool]:
        for login in logins:
            person = self._staff.by_login.get(login)
            yield Pool(login, ()) if person is None else _one(person.id)

    def _of_roles(self, source: Source, asking: Asking) -> Iterator[Pool]:
        if not source.at:
            yield from (Pool(role, (Identity("role", role),)) for role in source.roles)
            return
        places = frozenset(self._places(source.at, asking))
        for role in source.roles:
            holders = self._staff.behind(Identity("role", role))
            there = [one for one in holders if self._staff.works_at(one, places)]
            yield Pool(role, tuple(Identity("user", one) for one in there))

    def _of_position(self, source: Source, asking: Asking) -> Iterator[Pool]:
        places = self._places(source.at, asking) if source.at else [""]
        posts = [Post(source.position, place).actor for place in places]
        key = posts[0] if posts else source.position
        yield Pool(key, tuple(Identity("post", post) for post in posts))

    def _in_field(self, written: str) -> Iterator[Pool]:
        name = written.removeprefix("doc.")
        field = self._subject.record_type.field(name)
        values = _ids(self._subject.values.get(name))
        kind = field.type if field is not None else ""
        if kind == "role":
            return (Pool(role, (Identity("role", role),)) for role in values)
        if kind == "department":
            posts = (Post("", place).actor for place in values)
            return (Pool(post, (Identity("post", post),)) for post in posts)
        return _single(values if kind in {"user", "users"} else ())

    def _chosen(self, source: Source, asking: Asking) -> Iterator[Pool]:
        named = (asking.chosen or {}).get(asking.step, ())
        if source.among is None:
            return _single(named)
        pools = list(self._pools(source.among, asking))
        allowed = {person for pool in pools for one in pool.members for person in self.people(one)}
        return _single(person for person in named if person in allowed)

    def _managers(self, source: Source, asking: Asking) -> Iterator[str]:
        for person in self._referred(source.manager_of, asking):
            yield from islice(self._staff.managers(person), source.level - 1, source.level)

    def _chain(self, person: str, upto: Upto | None) -> Iterator[str]:
        level, role = (upto.level, upto.role) if upto is not None else (0, "")
        for at, manager in enumerate(self._staff.managers(person), start=1):
            yield manager
            if at == level or (role and self._staff.holds_role(manager, role)):
                return

    def _referred(self, text: str, asking: Asking) -> Iterable[str]:
        """Return the people whose managers are asked for."""
        if text == INITIATOR:
            return (self._subject.initiator,)
        if text == SEAT:
            return dict.fromkeys(one for each in asking.seat for one in self.people(each))
        if text in self._subject.steps:
            return (asking.decided or {}).get(text, ())
        return _ids(self._subject.value(text, asking.item))

    def _places(self, at: str, asking: Asking) -> tuple[str, ...]:
        if at == INITIATOR:
            return self._staff.workplaces(self._subject.initiator)
        return _ids(self._subject.value(at, asking.item))


def _single(people: Iterable[str]) -> Iterator[Pool]:
    return (_one(person) for person in people if person)


def _one(person: str) -> Pool:
    return Pool(person, (Identity("user", person),))


def _ids(value: Any) -> tuple[str, ...]:
    """Return the ids that a wire value names, each once."""
    if value is None or value == "":
        return ()
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(dict.fromkeys(one for each in value for one in _ids(each)))
    return (str(value),)
