"""Whether a flow finds its approvers among the real staff, place by place; pure.

For every store (or department) where a document could come from, each seat of each step is
looked up as of today: seats that nobody can take, seats that hang on one person, steps
that must be decided by different people but have only the same one. Who is named by the
document itself, or by whoever decided before, cannot be known in advance and is not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import combinations
from typing import Any, Literal

import msgspec

from core.expression import ExpressionError
from core.schema.flowpeople import Approvers, Empty, Source, sources_of
from core.schema.flows import HUMAN, Decide, Step
from core.schema.placerows import PLACE_TYPES
from core.workflow.engine.tree import Node
from core.workflow.engine.world import Asking
from core.workflow.rehearsal.plainworld import PlainFlow
from core.workflow.staff.directory import INITIATOR, Directory, Subject
from core.workflow.staff.roster import Post, Staff

Kind = Literal["empty", "few", "single", "distinct"]

#: Somebody who works at the place in question and submits the document.
_SOMEBODY = "@initiator"


@dataclass(frozen=True, slots=True)
class Place:
    """A store or a department.

    Attributes:
        type: `store` or `department`.
    """

    id: str
    type: str
    name: str


@dataclass(slots=True)
class Gap:
    """Something that a flow lacks at some places.

    Attributes:
        kind: `empty` (nobody), `few` (fewer than must agree), `single` (one person alone) or
            `distinct` (two steps for different people have only the same one).
        step: the step's id; both of them where it is about two.
        seat: the named seat, empty for the step's only voice.
        branch: the cases and strands that lead to the step.
        people: ids of those who are there.
        places: ids of the places; empty where it is the same everywhere.
        handled: what the flow does then: pause, fail, auto_pass or to.
    """

    kind: Kind
    step: tuple[str, ...]
    seat: str = ""
    branch: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    places: list[str] = field(default_factory=list)
    handled: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found.

    Attributes:
        places: how many places were looked at.
        seats: how many seats at them.
        unknown: steps of which a source depends on the document or on earlier decisions.
    """

    gaps: tuple[Gap, ...]
    places: int
    seats: int
    unknown: tuple[str, ...]


def prove(plain: PlainFlow, staff: Staff, places: Sequence[Place], now: datetime) -> Proof:
    """Return what a flow lacks among the staff as of `now`.

    Args:
        plain: the flow.
        staff: everybody.
        places: the stores and departments that documents come from.
        now: whose delegations hold.
    """
    prover = _Prover(plain, staff, now)
    kinds = prover.place_types()
    asked = [one for one in places if one.type in kinds]
    everywhere: list[Place | None] = [*asked] or [None]
    for place in everywhere:
        prover.look(place)
    for gap in prover.gaps.values():
        if len(gap.places) == len(asked):
            gap.places = []
    gaps = sorted(
        prover.gaps.values(), key=lambda one: (_ORDER[one.kind], one.step, one.seat, one.people)
    )
    return Proof(tuple(gaps), len(asked), prover.seats, tuple(sorted(prover.unknown)))


_ORDER: Mapping[str, int] = {"empty": 0, "few": 1, "distinct": 2, "single": 3}
_Found = frozenset[str] | None
_PLACES = frozenset(PLACE_TYPES)


class _Prover:
    def __init__(self, plain: PlainFlow, staff: Staff, now: datetime) -> None:
        self._plain = plain
        self._humans = [one for one in plain.tree.nodes.values() if one.step.type in HUMAN]
        self._voices = {one.id: list(_voices(one.step)) for one in self._humans}
        self._branches = {one.id: tuple(self._branch(one)) for one in self._humans}
        self._at_types: dict[str, str] = {}
        self._asking: dict[Source, bool] = {}
        self._static: dict[Source, _Found] = {}
        self._here: dict[Source, _Found] = {}
        self._place: Place | None = None
        self._somewhere = _Somewhere(staff.places)
        subject = Subject(
            plain.record_type, {}, _SOMEBODY, frozenset(), self._value, lambda *_: ()
        )
        self._directory = Directory(replace(staff, places=self._somewhere), subject, now)
        self.gaps: dict[Any, Gap] = {}
        self.unknown: set[str] = set()
        self.seats = 0

    def place_types(self) -> set[str]:
        """Return the types of places that the flow's sources ask for."""
        found: set[str] = set()
        for node in self._humans:
            for _, approvers, _ in self._voices[node.id]:
                for source in self._sources(approvers):
                    found |= self._asks(source)
        return found

    def _asks(self, source: Source) -> set[str]:
        if INITIATOR in {source.at, source.manager_of, source.chain_of}:
            return {"store"}
        if not source.at:
            return set()
        if source.at not in self._at_types:
            try:
                found = self._plain.compiled(source.at).type.target
            except ExpressionError:
                found = ""
            self._at_types[source.at] = found
        return {self._at_types[source.at]} - {""}

    def _sources(self, approvers: Approvers) -> Iterator[Source]:
        """Yield sources, those of every row of a decision table and of a choice included."""
        for source in sources_of(approvers):
            yield source
            if source.table:
                table = self._plain.release.decision_tables.get(source.table)
                for row in table.rows if table else ():
                    yield from self._sources(row.approvers)
            if source.among is not None:
                yield from self._sources(source.among)

    def _branch(self, node: Node) -> Iterator[str]:
        blocks = [node, *self._plain.tree.around(node)]
        for inner, block in zip(reversed(blocks[:-1]), reversed(blocks[1:]), strict=True):
            step = block.step
            if step.type in {"branch", "inclusive"}:
                cases = step.cases
                yield cases[inner.lane].when if inner.lane < len(cases) else "else"

    def look(self, place: Place | None) -> None:
        """Look up every seat of a document that comes from a place."""
        of_step: dict[str, _Found] = {}
        self._here = {}
        for node in self._humans:
            together: list[_Found] = []
            for seat, approvers, needed in self._voices[node.id]:
                self.seats += 1
                people = self.united(approvers, place)
                together.append(people)
                if people is None:
                    self.unknown.add(node.id)
                else:
                    self._judge(node, seat, people, needed, place)
            known = [one for one in together if one is not None]
            is_known = len(known) == len(together)
            of_step[node.id] = frozenset().union(*known) if is_known else None
        self._distinct(of_step, place)

    def _judge(
        self, node: Node, seat: str, people: frozenset[str], needed: int, place: Place | None
    ) -> None:
        kind: Kind = "empty"
        if len(people) > 1 and len(people) >= needed:
            return
        if people:
            kind = "single" if needed == 1 else "few"
        handled = self._handled(node, place) if kind == "empty" else ""
        shown = tuple(sorted(people))
        gap = Gap(kind, (node.id,), seat, self._branches[node.id], shown, [], handled)
        self._note(gap, place)

    def _handled(self, node: Node, place: Place | None) -> str:
        """Return what the flow does where nobody can decide a step."""
        rule = (node.step.people or node.flow.people).empty
        if not isinstance(rule, Empty):
            return rule
        there = self.united(rule.to, place) if rule.to is not None else None
        return "to" if there else "pause"

    def _note(self, gap: Gap, place: Place | None) -> None:
        """Add a gap, together with the same one at other places."""
        gap.people = gap.people if gap.kind in {"single", "distinct"} else ()
        key = gap.kind, gap.step, gap.seat, gap.people, gap.handled
        known = self.gaps.setdefault(key, gap)
        if place is not None:
            known.places.append(place.id)

    def _distinct(self, of_step: Mapping[str, _Found], place: Place | None) -> None:
        """Note pairs of steps for different people which only the same person can decide."""
        for first, second in combinations(self._plain.flow.people.distinct, 2):
            one, other = of_step.get(first), of_step.get(second)
            if one and other and len(one | other) == 1:
                gap = Gap("distinct", (first, second), people=tuple(sorted(one)))
                self._note(gap, place)

    def people(self, source: Source, place: Place | None) -> _Found:
        """Return whom a source gives at a place; None where only a document tells."""
        if source.table:
            return self._of_table(source, place)
        if source.chosen_by:
            return self.people(source.among, place) if source.among is not None else None
        of_initiator = INITIATOR in {source.at, source.manager_of, source.chain_of}
        is_named = source.user or source.role or source.position
        if not (is_named or of_initiator):
            return None
        if source.at and not of_initiator and self._at_types.get(source.at) not in _PLACES:
            return None
        asks = self._asking.get(source)
        if asks is None:
            asks = self._asking[source] = bool(self._asks(source))
        known = self._here if asks else self._static
        if source not in known:
            known[source] = self._behind(source, place if asks else None)
        return known[source]

    def _of_table(self, source: Source, place: Place | None) -> _Found:
        """Return the people of the row of a decision table that has the fewest."""
        rows = self._plain.release.decision_tables[source.table].rows
        found = [self.united(row.approvers, place) for row in rows]
        known = [one for one in found if one is not None]
        return min(known, key=len) if known and len(known) == len(found) else None

    def united(self, approvers: Approvers, place: Place | None) -> _Found:
        """Return the people of all sources together; None where some are not known."""
        found = [self.people(one, place) for one in sources_of(approvers)]
        known = [one for one in found if one is not None]
        return frozenset().union(*known) if len(known) == len(found) else None

    def _behind(self, source: Source, place: Place | None) -> frozenset[str]:
        self._place = place
        self._somewhere.place = place.id if place else ""
        return frozenset(
            person
            for pool in self._directory.resolve(source, Asking(""))
            for one in pool.members
            for person in self._directory.people(one)
        )

    def _value(self, text: str, _item: Any) -> Any:
        """Return the place in question wherever a source asks for one of its type."""
        place = self._place
        return place.id if place and self._at_types.get(text) == place.type else None


class _Somewhere(Mapping[str, tuple[Post, ...]]):
    """Who works where, with somebody who works wherever is asked about."""

    def __init__(self, known: Mapping[str, tuple[Post, ...]]) -> None:
        self._known = known
        self.place = ""

    def __getitem__(self, person: str) -> tuple[Post, ...]:
        if person == _SOMEBODY and self.place:
            return (Post("", self.place),)
        return self._known[person]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _voices(step: Step) -> Iterator[tuple[str, Approvers, int]]:
    """Yield (name, who, how many of them must agree) of each voice that a step asks for."""
    for name, seat in step.seats.items():
        yield name, seat.approvers, 1 if isinstance(seat.need, str) else seat.need.quorum
    if step.seats or step.approvers is None:
        return
    if isinstance(step.decide, Decide):
        yield "", step.approvers, max(1, step.decide.quorum)
    elif step.decide == "any" or step.need == "all":
        yield "", step.approvers, 1
    else:
        for source in sources_of(step.approvers):
            for role in source.roles:
                yield role, msgspec.structs.replace(source, role=role), 1
            if not source.roles:
                yield source.position, source, 1
