"""What must hold of an instance after every step, whoever did it and however."""

from collections.abc import Iterator
from typing import Any

from core.schema.flows import Step
from core.workflow.engine.state import TERMINAL, Seat, State
from core.workflow.engine.tree import Tree

#: States of a seat whose voice is still to come.
WAITING = {"open", "waiting", "advised"}


class Watch:
    """Looks at an instance after every step, and remembers what it looked like before."""

    def __init__(self, tree: Tree, world: Any) -> None:
        self.tree, self.world = tree, world
        self.ballots: dict[str, dict[str, Any]] = {}
        self.voices: dict[str, int] = {}

    def look(self, state: State, verb: str) -> None:
        """Assert everything that a state alone, and the one before it, can tell.

        The numbers are the contract's.
        """
        self._ended(state)
        self._live(state)
        votes = [one.vote for one in state.seats.values() if one.vote]
        assert len(votes) == len(set(votes)), "2: a vote counts twice"
        for seat in state.seats.values():
            assert (seat.ballot is None) == (not seat.vote), f"2: a ballot without a vote: {seat}"
            assert not seat.vote or state.votes[seat.vote].seat == seat.id, "2: another's vote"
        self._tallies(state, verb)
        if state.status == "approved":
            self._fresh(state)

    @staticmethod
    def _ended(state: State) -> None:
        if state.status not in TERMINAL:
            return
        assert not list(state.live_visits()), "1: an open task after the end"
        assert not [one for one in state.timers.values() if one.state == "pending"], "1: a clock"
        assert not [one for one in state.seats.values() if one.state in WAITING], "1: a seat"

    def _live(self, state: State) -> None:
        for visit in state.visits.values():
            seats = state.seats_of(visit.id)
            if visit.state in {"done", "cancelled"}:
                assert not [one for one in seats if one.state in WAITING], (
                    "a seat of a closed task"
                )
            rungs = [
                one.rung for one in state.timers.values()
                if (one.visit, one.state) == (visit.id, "pending")
            ]  # fmt: skip
            assert len(rungs) == len(set(rungs)), "two clocks for one rung"
            if visit.state == "open":
                has_open = any(one.state == "open" for one in seats)
                assert has_open or state.attention, f"5: nobody is asked: {visit}"
                for seat in seats:
                    if seat.state == "open":
                        assert self._manned(state, seat) or state.attention, f"5: nobody: {seat}"
        if state.status == "running":
            assert list(state.live_visits()), "running, and nothing is waited for"

    def _manned(self, state: State, seat: Seat) -> bool:
        found: set[str] = set()
        for one in state.candidates_of(seat.id):
            found |= set(self.world.people(one.identity))
        return bool(found - state.makers)

    def _tallies(self, state: State, verb: str) -> None:
        decided, voices = {}, {}
        for visit in state.visits.values():
            seats = [
                one for one in state.seats_of(visit.id) if one.kind in {"main", "beside"}
            ]  # fmt: skip
            if visit.state == "done":
                decided[visit.id] = {one.id: one.ballot for one in seats}
            elif visit.state == "open":
                voices[visit.id] = sum(one.state != "removed" for one in seats)
        if verb != "take_back":
            for visit, ballots in self.ballots.items():
                assert decided.get(visit) == ballots, f"4: a decided tally changed by {verb}"
        if verb not in {"add_beside", "remove_added"}:
            for visit, number in voices.items():
                before = self.voices.get(visit, number)
                assert number == before, f"8: {verb} changed how many voices are needed"
        self.ballots, self.voices = decided, voices

    def _fresh(self, state: State) -> None:
        """13: what a fresh walk on the same data asks was passed on these very data."""
        last = {(one.step, repr(one.item)): one for one in state.visits.values()}
        for step, item in self._route(self.tree.top, None):
            visit = last.get((step, repr(item)))
            assert visit is not None, f"13: {step} was jumped over"
            if self.tree.nodes[step].is_human:
                assert visit.result in {"pass", "keep"}, f"13: {step} was never passed"
                assert visit.subject_hash == state.subject_hash, f"13: {step} saw other content"

    def _route(self, ids: tuple[str, ...], item: Any) -> Iterator[tuple[str, Any]]:
        for name in ids:
            node = self.tree.nodes[name]
            yield name, item
            for lane, below in self._lanes(node.step, len(node.lanes), item):
                yield from self._route(node.lanes[lane], below)

    def _lanes(self, step: Step, lanes: int, item: Any) -> list[tuple[int, Any]]:
        if step.type == "parallel":
            return [(number, item) for number in range(lanes)]
        if step.type == "subflow":
            return [(0, one) for one in self.world.items(step.each)]
        if step.type not in {"branch", "inclusive"}:
            return []
        holding = [
            place for place, case in enumerate(step.cases) if self.world.holds(case.when, item)
        ] or [lanes - 1]
        return [(place, item) for place in (holding[:1] if step.type == "branch" else holding)]
