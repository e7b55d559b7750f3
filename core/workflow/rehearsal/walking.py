"""A flow walked to its end with everybody agreeing: its route, seats and due times; pure.

What a replay compares and a what-if shows. The engine that decides real votes walks; the
first who can vote in a seat does, and clocks of waits run out at once.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from core.schema.flows import Flow
from core.workflow.engine.seating import eligible
from core.workflow.engine.state import Command, RefusalError, State, Visit
from core.workflow.engine.tree import Tree
from core.workflow.engine.work import timers_of
from core.workflow.rehearsal.plainworld import PlainWorld
from core.workflow.rehearsal.playing import Player


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """A seat as it would open.

    Attributes:
        people: ids of those who could vote, in a fixed order; nobody when empty.
        state: of the seat as it was looked at: open, waiting, voted, …
    """

    key: str
    people: tuple[str, ...]
    state: str


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
    state = State(world.initiator, frozenset(makers), world.subject_hash())
    return Walker(Player(world.plain.tree, state, world)).run(Command("submit"))


def first_flow(flows: Collection[Flow], world: Callable[[Flow], PlainWorld]) -> PlainWorld | None:
    """Return the world of the first flow, in the order given, whose condition holds."""
    for flow in flows:
        made = world(flow)
        if not flow.when or made.holds(flow.when):
            return made
    return None


class Walker:
    """Walks one instance on with everybody agreeing, and keeps the tasks on the way."""

    def __init__(self, player: Player) -> None:
        """Go on with what a player plays; what is over by now is not on the way."""
        self._player = player
        live = {one.id for one in player.state.live_visits()}
        self._told = {one for one in player.state.visits if one not in live}
        self.found = Walk(player.tree)

    def run(self, *first: Command) -> Walk:
        """Return the way from here to the end, after the initiator did what comes first."""
        player = self._player
        try:
            for command in first:
                player.perform(player.state.initiator, command)
            player.agree(self.note)
        except RefusalError as refused:
            self.found.refused = refused.code
        else:
            self.found.stuck = tuple(dict.fromkeys(visit.step for visit in player.waiting()))
        self.found.ending = player.state.status
        return self.found

    def note(self) -> None:
        """Keep every task that has opened since."""
        state, nodes = self._player.state, self._player.tree.nodes
        for visit in state.visits.values():
            if visit.id in self._told or not nodes[visit.step].is_human:
                continue
            self._told.add(visit.id)
            stop = stop_of(self._player, visit)
            if stop.seats:
                self.found.stops.append(stop)


def stop_of(player: Player, visit: Visit) -> Stop:
    """Return a task as it stands: its planned seats, who can vote in them, and its clocks."""
    rungs = player.tree.nodes[visit.step].step.due
    due = tuple(
        (rungs[timer.rung].do, timer.fire_at)
        for timer in timers_of(player.state, visit.id)
        if timer.rung >= 0 and timer.fire_at
    )
    seats = tuple(
        SeatPlan(seat.key, tuple(sorted(eligible(player.machine, visit, seat))), seat.state)
        for seat in player.state.seats_of(visit.id, "main")
        if seat.state not in {"skipped", "removed"}
    )
    return Stop(visit.step, visit.item, seats, visit.opened_at, due)
