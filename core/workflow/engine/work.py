"""What one operation works with: the flow, the state it changes, the world, what happened."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.clock import to_wire
from core.schema.flows import People
from core.workflow.engine.state import Event, Person, Seat, State, Timer, Visit
from core.workflow.engine.tree import Node, Tree
from core.workflow.engine.world import Asking, World

#: The product itself, where nobody acts: timers and what follows by itself.
NOBODY = Person("system", "system")


@dataclass(slots=True)
class Machine:
    """One instance in the course of one operation.

    Attributes:
        state: changed in place; whoever catches a refusal throws it away.
        events: what happened, in order.
        unsettled: visits whose votes are to be counted, in order.
        cause: the visit whose end is being followed.
        person: who acts.
    """

    tree: Tree
    state: State
    world: World
    events: list[Event] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    cause: str = ""
    person: Person = NOBODY

    @property
    def now(self) -> str:
        """Return the instant of the operation as states keep it."""
        return to_wire(self.world.now)

    def node(self, visit: Visit) -> Node:
        """Return the step that a visit passes through."""
        return self.tree.nodes[visit.step]

    def people(self, visit: Visit) -> People:
        """Return the rules about people that hold for a visit."""
        node = self.node(visit)
        return node.step.people or node.flow.people

    def note(
        self, verb: str, visit: Visit | None = None, seat: Seat | None = None, *,
        opinion: str = "", on_behalf_of: str = "", detail: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Add an event."""
        self.events.append(
            Event(
                verb, visit.step if visit else "", visit.id if visit else "",
                seat.key if seat else "", opinion, on_behalf_of, dict(detail or {}),
            )
        )  # fmt: skip

    def asking(self, visit: Visit, seat: Seat | None = None) -> Asking:
        """Return for whom people are looked up at a visit."""
        held = tuple(one.identity for one in self.state.candidates_of(seat.id)) if seat else ()
        return Asking(visit.step, visit.item, held, decided(self.state), self.state.chosen)


def decided(state: State) -> dict[str, tuple[str, ...]]:
    """Return step -> the people whose votes on it count, in the order of voting."""
    found: dict[str, tuple[str, ...]] = {}
    for visit in state.visits.values():
        voters = tuple(
            state.votes[seat.vote].actor
            for seat in state.seats_of(visit.id)
            if seat.vote and seat.kind != "advice" and state.votes[seat.vote].source != "timer"
        )
        if voters:
            found[visit.step] = voters
    return found


def stop_timer(machine: Machine, timer: Timer) -> None:
    """Let a clock stand still; what it has used of its time stays used."""
    if timer.state != "pending" or not timer.since:
        return
    item = machine.state.visits[timer.visit].item
    start = datetime.fromisoformat(timer.since)
    spent = machine.world.spent(start, business=timer.business, item=item)
    timer.left = max(0, timer.left - spent)
    timer.since = timer.fire_at = ""


def start_timer(machine: Machine, timer: Timer) -> None:
    """Let a clock run with the time it has left."""
    if timer.state != "pending" or timer.since:
        return
    world, item = machine.world, machine.state.visits[timer.visit].item
    timer.since = machine.now
    fires = world.fires(world.now, business=timer.business, left=timer.left, item=item)
    timer.fire_at = to_wire(fires)


def add_timer(
    machine: Machine, visit: Visit, rung: int, duration: str, *, left: int | None = None
) -> None:
    """Start a clock of a visit; `left` where it goes on with what another had left."""
    business, seconds = machine.world.clock(duration, machine.world.now, visit.item)
    timer = Timer(
        machine.world.new_id(), visit.id, rung, business,
        seconds if left is None else left, "", "",
    )  # fmt: skip
    machine.state.timers[timer.id] = timer
    start_timer(machine, timer)


def timers_of(state: State, visit: str) -> list[Timer]:
    """Return the pending clocks of a visit."""
    return [one for one in state.timers.values() if one.visit == visit and one.state == "pending"]
