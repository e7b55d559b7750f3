"""A flow walked to its end with everybody agreeing: its route, seats and due times; pure.

What a replay compares and a what-if shows. The engine that decides real votes walks; the
first who can vote in a seat does, and clocks of waits run out at once.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

from core.schema.flows import Flow
from core.workflow.engine.machine import perform
from core.workflow.engine.seating import eligible
from core.workflow.engine.state import (
    TERMINAL,
    Command,
    Identity,
    Person,
    RefusalError,
    Seat,
    State,
    Visit,
)
from core.workflow.engine.tree import Tree
from core.workflow.engine.work import NOBODY, Machine, timers_of
from core.workflow.plainworld import PlainWorld

#: Decisions and clocks that one walk goes through at most.
_MOST = 500


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """A seat as it would open.

    Attributes:
        people: ids of those who could vote, in a fixed order; nobody when empty.
    """

    key: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """A task on the way.

    Attributes:
        step: the step's id.
        item: what a run of a subflow is about.
        opened_at: when it would open, if all before it was decided at once.
        due: what its clocks would do, and when: (remind, instant), in order; a clock that
            stands because nobody can decide is not among them.
    """

    step: str
    item: object
    seats: tuple[SeatPlan, ...]
    opened_at: str
    due: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Walk:
    """A route through a flow.

    Attributes:
        stops: the tasks, in the order in which they open.
        ending: the state at the end; `running` where it cannot go on.
        stuck: the steps at which nobody can decide.
        refused: code of what the engine refused, empty for nothing.
    """

    tree: Tree
    stops: list[Stop] = field(default_factory=list)
    ending: str = "running"
    stuck: tuple[str, ...] = ()
    refused: str = ""

    @property
    def flow(self) -> Flow:
        """Return the flow that was walked."""
        return self.tree.flow

    @property
    def route(self) -> tuple[str, ...]:
        """Return the steps that people decide, in order."""
        return tuple(one.step for one in self.stops)

    @property
    def people(self) -> frozenset[str]:
        """Return everybody who could have a voice on the way."""
        return frozenset(
            person for stop in self.stops for seat in stop.seats for person in seat.people
        )


def walk(world: PlainWorld, makers: Collection[str]) -> Walk:
    """Return the way of the world's document from its submit to the end."""
    walker = _Walker(world, makers)
    try:
        walker.run()
    except RefusalError as refused:
        walker.found.refused = refused.code
    walker.found.ending = walker.state.status
    return walker.found


def first_flow(flows: Collection[Flow], world: Callable[[Flow], PlainWorld]) -> PlainWorld | None:
    """Return the world of the first flow, in the order given, whose condition holds."""
    for flow in flows:
        made = world(flow)
        if not flow.when or made.holds(flow.when):
            return made
    return None


class _Walker:
    def __init__(self, world: PlainWorld, makers: Collection[str]) -> None:
        self._world = world
        self._told: set[str] = set()
        self.state = State(world.initiator, frozenset(makers), world.subject_hash())
        self.found = Walk(world.plain.tree)

    def run(self) -> None:
        """Submit, and go on while somebody can decide or a wait can end."""
        self._perform(self._world.initiator, Command("submit"))
        for _ in range(_MOST):
            self._note()
            if self.state.status in TERMINAL or not (self._vote() or self._wait()):
                break
        self.found.stuck = tuple(dict.fromkeys(visit.step for visit in self._open()))

    def _machine(self) -> Machine:
        return Machine(self._world.plain.tree, self.state, self._world)

    def _perform(self, person: str, command: Command, *identities: Identity) -> None:
        sits = frozenset({Identity("user", person), *identities})
        acting = NOBODY if command.verb == "fire" else Person(person, person, sits)
        perform(self._machine(), acting, command)

    def _open(self) -> list[Visit]:
        nodes = self._world.plain.tree.nodes
        return [
            one
            for one in self.state.live_visits()
            if one.state == "open" and nodes[one.step].is_human
        ]

    def _note(self) -> None:
        """Keep every task that has opened since."""
        nodes = self._world.plain.tree.nodes
        for visit in self.state.visits.values():
            if visit.id in self._told or not nodes[visit.step].is_human:
                continue
            self._told.add(visit.id)
            rungs = nodes[visit.step].step.due
            due = tuple(
                (rungs[timer.rung].do, timer.fire_at)
                for timer in timers_of(self.state, visit.id)
                if timer.rung >= 0 and timer.fire_at
            )
            seats = tuple(
                SeatPlan(seat.key, tuple(sorted(eligible(self._machine(), visit, seat))))
                for seat in self.state.seats_of(visit.id, "main")
                if seat.state != "skipped"
            )
            if seats:
                self.found.stops.append(Stop(visit.step, visit.item, seats, visit.opened_at, due))

    def _vote(self) -> bool:
        """Let the first who can decide agree; return whether anybody could."""
        for visit in self._open():
            voted = {one.actor for one in self.state.votes.values() if one.visit == visit.id}
            for seat in self.state.seats_of(visit.id):
                able = eligible(self._machine(), visit, seat) if seat.state == "open" else set()
                for person in sorted(able - voted) or sorted(able):
                    self._agree(visit, seat, person)
                    return True
        return False

    def _agree(self, visit: Visit, seat: Seat, person: str) -> None:
        step = self._world.plain.tree.nodes[visit.step].step
        sits = [
            one.identity
            for one in self.state.candidates_of(seat.id)
            if person in self._world.people(one.identity)
        ]
        if step.queue.claim == "required":
            self._perform(person, Command("claim", visit.id, seat.id), *sits)
        verb = "complete" if step.type == "fill" else "approve"
        self._perform(person, Command(verb, visit.id, seat.id), *sits)

    def _wait(self) -> bool:
        """Let the next wait run out; return whether there was one."""
        waits = [
            timer
            for timer in self.state.timers.values()
            if timer.state == "pending" and timer.rung < 0 and timer.fire_at
        ]
        if not waits:
            return False
        first = min(waits, key=lambda one: one.fire_at)
        self._world.now = max(self._world.now, datetime.fromisoformat(first.fire_at))
        self._perform("", Command("fire", visit=first.visit, rung=first.rung))
        return True
