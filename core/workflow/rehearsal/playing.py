"""One instance played: acts as tests write them, clocks let run, everybody agreeing; pure.

The engine that decides real votes moves it. A test in a flow's file, a replay and a what-if
differ in the state they begin with and in the world they ask.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.businesstime import Calendar, parse_duration
from core.schema.flowtesting import Act
from core.workflow.engine.machine import perform
from core.workflow.engine.seating import eligible
from core.workflow.engine.state import (
    TERMINAL,
    Command,
    Identity,
    Person,
    Seat,
    State,
    Timer,
    Visit,
)
from core.workflow.engine.tree import Tree
from core.workflow.engine.work import NOBODY, Machine
from core.workflow.engine.world import World

#: Decisions and clocks that one agreement of everybody goes through at most.
_MOST = 500
#: Verbs that say which person they are about.
TO_SOMEBODY = frozenset({"transfer", "delegate", "add_before", "add_after", "add_beside"})


class PlayedWorld(World, Protocol):
    """A world whose time whoever plays moves."""

    @property
    def calendar(self) -> Calendar:
        """Return the calendar of the document's clocks."""

    def move(self, instant: datetime) -> None:
        """Let it be `instant` from now on."""


class IdleError(Exception):
    """Nobody is there for an act; `step` says where, with the seat if one was named.

    Attributes:
        code: `nothing_waits` or `nobody_sits`.
    """

    def __init__(self, code: str, step: str) -> None:
        """Keep what is missing, and where."""
        super().__init__(code)
        self.code, self.step = code, step


@dataclass
class Player:
    """Plays one instance; a refusal of the engine leaves its state half done.

    Attributes:
        somebody: the person whom a verb is about where the act names nobody; empty for none.
    """

    tree: Tree
    state: State
    world: PlayedWorld
    somebody: str = ""

    @property
    def machine(self) -> Machine:
        """Return the engine over the instance."""
        return Machine(self.tree, self.state, self.world)

    def perform(self, person: str, command: Command, *identities: Identity) -> None:
        """Have somebody do something; raises RefusalError."""
        sits = frozenset({Identity("user", person), *identities})
        acting = Person(person, person, sits) if person else NOBODY
        perform(self.machine, acting, command)

    def waiting(self) -> list[Visit]:
        """Return the tasks that wait for people."""
        return [
            one
            for one in self.state.live_visits()
            if one.state == "open" and self.tree.nodes[one.step].is_human
        ]

    # -- acts -------------------------------------------------------------------------------

    def wait(self, duration: str) -> None:
        """Let time pass, and every clock that is due go off in its order."""
        end = self.world.calendar.add(self.world.now, parse_duration(duration))
        while True:
            due = [one for one in self._clocks() if datetime.fromisoformat(one.fire_at) <= end]
            if not due:
                break
            self._strike(min(due, key=lambda one: (one.fire_at, one.rung)))
        self.world.move(end)

    def step(self, act: Act) -> None:
        """Do a verb of a seat, by the first person who can.

        Raises:
            IdleError: nothing waits there, or nobody can sit there.
            RefusalError: the engine does not allow it.
        """
        there = [one for one in self.state.visits.values() if one.step == act.step]
        visit = next((one for one in there if one.state == "open"), there[-1] if there else None)
        if visit is None:
            raise IdleError("nothing_waits", act.step)
        if act.verb == "take_back":
            voters = [one for one in self.state.votes.values() if one.visit == visit.id]
            person = voters[-1].actor if voters else self.state.initiator
            self.perform(person, Command("take_back", visit=visit.id))
            return
        seat, person = self._acting(visit, act)
        somebody = act.to or (self.somebody if act.verb in TO_SOMEBODY else "")
        self._in_seat(visit, seat, person, act.verb, (somebody,) if somebody else ())

    def _in_seat(
        self, visit: Visit, seat: Seat, person: str, verb: str, to: tuple[str, ...] = ()
    ) -> None:
        """Act in a seat as whoever sits there, with a claim first where the step asks for it."""
        sits = [
            one.identity
            for one in self.state.candidates_of(seat.id)
            if person in self.world.people(one.identity)
        ]
        needs_claim = self.tree.nodes[visit.step].step.queue.claim == "required"
        if needs_claim and verb not in {"claim", "release"} and seat.claimed_by != person:
            self.perform(person, Command("claim", visit.id, seat.id), *sits)
        self.perform(person, Command(verb, visit.id, seat.id, "…", to), *sits)

    def _acting(self, visit: Visit, act: Act) -> tuple[Seat, str]:
        """Return the seat that an act is about and the first person who can take it."""
        voted = self._voters(visit)
        for seat in self.state.seats_of(visit.id):
            is_meant = act.seat in {"", "escalated", seat.key, seat.group}
            able = eligible(self.machine, visit, seat) - voted if is_meant else set()
            if seat.state == "open" and seat.claimed_by in able:
                return seat, seat.claimed_by
            for one in self.state.candidates_of(seat.id):
                if seat.state != "open" or (act.seat == "escalated" and one.via != "escalated"):
                    continue
                for person in self.world.people(one.identity):
                    if person in able:
                        return seat, person
        raise IdleError("nobody_sits", f"{act.step}.{act.seat}" if act.seat else act.step)

    def _voters(self, visit: Visit) -> set[str]:
        return {one.actor for one in self.state.votes.values() if one.visit == visit.id}

    # -- everybody agrees -------------------------------------------------------------------

    def agree(self, note: Callable[[], None]) -> None:
        """Go on while somebody can agree, submit again what came back, or a wait can end.

        Args:
            note: is called before each of them and at the end.

        Raises:
            RefusalError: the engine does not allow it.
        """
        for _ in range(_MOST):
            note()
            if self.state.status in TERMINAL or not (
                self._submit_again() or self._vote() or self._run_out()
            ):
                break

    def _submit_again(self) -> bool:
        if self.state.status != "returned":
            return False
        self.perform(self.state.initiator, Command("submit"))
        return True

    def _vote(self) -> bool:
        """Let the first who can decide agree; return whether anybody could."""
        if self.state.status != "running":
            return False
        for visit in self.waiting():
            voted = self._voters(visit)
            for seat in self.state.seats_of(visit.id):
                able = eligible(self.machine, visit, seat) if seat.state == "open" else set()
                holder = {seat.claimed_by} & able
                for person in sorted(holder) or sorted(able - voted) or sorted(able):
                    is_work = self.tree.nodes[visit.step].step.type == "fill"
                    verb = "complete" if is_work or seat.kind == "advice" else "approve"
                    self._in_seat(visit, seat, person, verb)
                    return True
        return False

    def _run_out(self) -> bool:
        """Let the next wait run out; return whether there was one."""
        waits = [one for one in self._clocks() if one.rung < 0]
        if not waits:
            return False
        self._strike(min(waits, key=lambda one: one.fire_at))
        return True

    def _clocks(self) -> list[Timer]:
        """Return the clocks that run."""
        return [
            one for one in self.state.timers.values() if one.state == "pending" and one.fire_at
        ]

    def _strike(self, timer: Timer) -> None:
        self.world.move(max(self.world.now, datetime.fromisoformat(timer.fire_at)))
        self.perform("", Command("fire", visit=timer.visit, rung=timer.rung))
