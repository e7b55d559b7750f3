"""Random flows and random verbs, done to the engine and to the reference at once."""

import copy
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from core.workflow.engine.state import RefusalError, Seat, State, Timer
from tests.unit.engine_world import PlainWorld, Play
from tests.unit.flow_invariants import Watch
from tests.unit.flow_reference import Reference
from tests.unit.flow_reference_parts import Chair, No, People

ALL = [
    "approve", "reject", "abstain", "return", "transfer", "delegate", "add_before", "add_after",
    "add_beside", "remove_added", "take_back", "claim", "complete",
]  # fmt: skip
PEOPLE = ["p1", "p2", "p3", "p4", "p5", "p6"]
ROLES = {"ra": ("p1", "p2"), "rb": ("p3",), "rc": ("ann",), "adm": ("p6",)}
KINDS = ["approve"] * 5 + ["cc", "wait", "fill"]
BLOCKS = ["branch", "parallel", "inclusive", "subflow"]
RUNGS = ["remind", "escalate", "approve", "reject", "return", "pause"]

#: States of visits that are over.
OVER = {"done", "cancelled"}

#: Chooses one of several, as Hypothesis or a random walk does.
Pick = Callable[[Sequence[Any]], Any]


class Flows:
    """A generator of flows."""

    def __init__(self, pick: Pick) -> None:
        self.pick, self.count = pick, 0

    def flow(self) -> dict[str, Any]:
        """Return the steps, people and subflows of a flow."""
        people = {
            "same_person": self.pick(["none", "any_prior", "consecutive"]),
            "self_approval": self.pick(["forbid", "to_manager", "skip"]),
            "empty": self.pick(["pause", "auto_pass"]),
        }
        return {"people": people, "steps": self.steps(2)}

    def steps(self, depth: int) -> list[dict[str, Any]]:
        return [self.step(depth) for _ in range(self.pick([1, 2, 3]))]

    def step(self, depth: int) -> dict[str, Any]:
        self.count += 1
        kind = self.pick(KINDS + (BLOCKS if depth else []))
        step: dict[str, Any] = {"id": f"s{self.count}", "type": kind}
        if kind in ("approve", "fill"):
            step |= self.human(kind == "fill")
        elif kind == "cc":
            step["to"] = {"role": "ra"}
        elif kind == "wait":
            step["for"] = "3h"
        elif kind == "subflow":
            step |= {"flow": "sub", "each": "regions", "wait": self.pick(["all", "none"])}
        elif kind == "parallel":
            step["lanes"] = [{"steps": self.steps(depth - 1)} for _ in range(2)]
        else:
            step["cases"] = [
                {"when": when, "steps": self.steps(depth - 1)} for when in ("rate < 0.5", "flag")
            ]
            step["else"] = self.steps(depth - 1) if self.pick([True, False]) else []
        return step

    def human(self, fill: bool) -> dict[str, Any]:
        pick = self.pick
        sources = [
            {"role": "ra"}, {"role": ["ra", "rb"]}, {"user": ["p1"]}, {"user": ["p4", "p5"]},
            {"user": ["p1", "ann", "p3"]}, {"user": ["p2", "p3", "p4", "p6"]}, {"role": "rc"},
        ]  # fmt: skip
        step: dict[str, Any] = {
            "approvers": pick(sources),
            "decide": pick(["any", "all", "sequence", {"quorum": 2}, {"weight": "2/3"}]),
            "veto": pick([True, False]),
            "on_reject": pick(["all", "first"]),
            "may": [
                one
                for one in ALL
                if one
                not in (("approve", "reject", "abstain", "add_after") if fill else ("complete",))
            ],
            "return": {"to": ["initiator", "chosen"], "then": pick(["resume", "rewalk", "ask"])},
            "queue": {"claim": pick(["soft", "soft", "soft", "required"])},
        }
        if pick([True, False, False]):
            keep = pick([True, False])
            step["due"] = [
                {"at": "2h", "do": pick(RUNGS), "to": {"role": "rb"}, "keep_original": keep}
            ]
        return step


SUB = [{"id": "ok", "type": "approve", "approvers": {"role": "ra"}, "decide": "any", "may": ALL, "queue": {"claim": "soft"},
        "return": {"to": ["initiator"], "then": "rewalk"}}]  # fmt: skip


class Differ(AssertionError):
    """The engine and the reference do not agree."""


class Pair:
    """One instance in the engine and in the reference."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick
        flow = Flows(pick).flow()
        doc = {
            "rate": pick([0.3, 0.8]), "flag": pick([True, False]),
            "regions": pick([[], ["n"], ["n", "s"]]),
        }  # fmt: skip
        self.world = PlainWorld(dict(ROLES), doc, managers={"ann": "p5"})
        people = People(ROLES, self.world.disabled, self.world.managers, self.world.deputies)
        world = self.world
        self.play = Play(world, flow["steps"], people=flow["people"], subflows={"sub": SUB})

        # Functions of their own: a copied method would copy its world.
        def holds(condition: str) -> bool:
            return world.holds(condition)

        def items(each: str) -> list[Any]:
            return world.items(each)

        self.reference = Reference(flow, {"sub": SUB}, people, holds, items)
        self.log: list[Any] = []
        self.flow, self.doc = flow, dict(doc)
        self.done: list[tuple[Any, ...]] = []
        self.watch = Watch(self.play.tree, world)

    def both(
        self, verb: str, who: str, at: tuple[Any, ...] | None = None, seat: int | None = None,
        **rest: Any,
    ) -> None:  # fmt: skip
        """Do the same to both; they must agree about whether, and about what follows."""
        told, asked = self.named(verb, at, seat, rest)
        codes = self.tell(verb, who, told)
        known = (self.world.now, self.reference.subject, dict(self.world.doc))
        refused = None
        try:
            self.play.do(verb, who, **asked)
        except RefusalError as error:
            refused = error.code
        self.log.append((verb, who, at, seat, rest, refused, codes))
        if (refused is None) != (codes is None) or (codes and refused not in codes):
            raise Differ(f"{verb}: engine {refused}, reference {codes}")
        if refused is None:
            self.done.append((*known, verb, who, asked))
        self.compare(verb)
        self.watch.look(self.play.state, verb)

    def named(
        self, verb: str, at: tuple[Any, ...] | None, seat: int | None, rest: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the same for the reference and, with its ids, for the engine."""
        told, asked = dict(rest), dict(rest)
        if at is None:
            return told, asked
        visit = self.visits()[at]
        seats = self.play.state.seats_of(visit.id)
        asked["visit"], told["task"] = visit.id, self.tasks()[at]
        if verb not in ("fire", "remove_added"):
            asked["seat"], told["seat"] = "" if seat is None else seats[seat].id, seat
        if verb == "remove_added":
            asked["to"] = (seats[rest["to"]].id,)
        elif verb == "return":
            asked["to"] = (rest["to"],) if rest["to"] else ()
        elif verb == "add_beside":
            told.pop("rule")
        return told, asked

    def tell(self, verb: str, who: str, told: dict[str, Any]) -> tuple[str, ...] | None:
        """Do it to the reference; return the codes of its refusal."""
        # The copy stays behind when it is refused, so that its tasks are those just named.
        before = copy.deepcopy(self.reference)
        try:
            self.reference.do(verb, who, **told)
        except No as no:
            self.reference = before
            return no.codes
        return None

    def visits(self) -> dict[tuple, Any]:
        return numbered((one.step, one.item, one) for one in self.play.state.visits.values())

    def tasks(self) -> dict[tuple, Any]:
        return numbered((one.path, one.strand.item, one) for one in self.reference.tasks)

    def compare(self, after: str) -> None:
        """Compare what both say: status, open tasks with their seats, what is left of clocks."""
        state, reference = self.play.state, self.reference
        live = {at: one for at, one in self.visits().items() if one.state not in OVER}
        theirs = {at: one for at, one in self.tasks().items() if one.live}
        agree(after, "status", state.status, reference.status)
        agree(after, "tasks", set(live), set(theirs))
        for at, visit in live.items():
            seats = sorted(seen(one) for one in state.seats_of(visit.id))
            agree(after, f"seats of {at}", seats, sorted(seen(one) for one in theirs[at].chairs))
            clocks = sorted(
                (one.rung, self.left(one))
                for one in state.timers.values()
                if (one.visit, one.state) == (visit.id, "pending")
            )
            agree(after, f"clocks of {at}", clocks, sorted(theirs[at].clocks.items()))

    def left(self, timer: Timer) -> int:
        """Return the seconds that a clock of the engine has left now."""
        if not timer.since:
            return timer.left
        used = self.world.now - datetime.fromisoformat(timer.since)
        return timer.left - int(used.total_seconds())

    # --- steps of a walk

    def step(self) -> None:
        """Let something happen."""
        pick, status = self.pick, self.reference.status
        if status == "returned" and pick([True, True, False]):
            if pick([True, False]):
                self.change(pick(["h1", "h2", "h3"]), pick([0.3, 0.8]))
            self.both("submit", "ann")
            return
        what = pick(["vote"] * 12 + ["time", "hold", "end"])
        if what == "time":
            self.time(pick([1, 2, 3]))
        elif what == "hold":
            self.both(pick(["suspend", "resume"]), "p6")
        elif what == "end":
            if pick([True, False, False, False]):
                self.both(pick(["withdraw", "withdraw", "terminate"]), "ann")
        else:
            self.vote()

    def change(self, subject: str, rate: float) -> None:
        self.play.state.subject_hash = self.reference.subject = subject
        self.world.doc["rate"] = rate

    def time(self, hours: int) -> None:
        """Let time pass, and every clock go off that is due."""
        left = hours * 3600
        while True:
            due = sorted(
                (task.clocks[rung], task.born, rung, at)
                for at, task in self.tasks().items()
                for one, rung in self.reference.running_clocks()
                if one is task and task.clocks[rung] <= left and task.clocks[rung] >= 0
            )
            if not due:
                break
            after, _, rung, at = due[0]
            after = max(after, 0)
            self.world.now += timedelta(seconds=after)
            self.reference.pass_time(after)
            left -= after
            self.both("fire", "system", at, rung=rung)
        self.world.now += timedelta(seconds=left)
        self.reference.pass_time(left)
        self.compare("time")

    def vote(self) -> None:
        pick, reference = self.pick, self.reference
        tasks = {
            at: one for at, one in self.tasks().items() if one.chairs or one.step.get("approvers")
        }
        live = [at for at, one in tasks.items() if one.live]
        if not tasks:
            return
        at = pick(live if live and pick([True] * 9 + [False]) else list(tasks))
        task = tasks[at]
        fill = task.step["type"] == "fill"
        verb = pick(
            ["complete" if fill else "approve"] * 8
            + [
                "approve",
                "reject",
                "abstain",
                "complete",
                "return",
                "transfer",
                "delegate",
                "add_before",
                "add_after",
                "add_beside",
                "remove_added",
                "take_back",
                "take_back",
                "claim",
            ]
        )
        seat = pick([None, *range(len(task.chairs))]) if pick([True, False, False]) else None
        able = sorted(
            {
                one
                for chair in task.chairs
                if chair.state == "open"
                for one in reference.able(chair)
            }
        )
        who = pick(able) if able and pick([True] * 4 + [False]) else pick([*PEOPLE, "ann"])
        rest: dict[str, Any] = {}
        if verb in ("transfer", "delegate"):
            rest["to"] = (pick([*PEOPLE, "ann"]),)
        elif verb.startswith("add"):
            first = pick(PEOPLE)
            rest["to"] = pick([(first,), (first, pick([one for one in PEOPLE if one != first]))])
            rest["rule"] = pick(["any", "all", "sequence"])
        elif verb == "return":
            rest["to"] = pick(["", "initiator", *sorted({one.path for one in tasks.values()})])
            rest["then"] = pick(["", "resume", "rewalk"])
        elif verb == "claim":
            rest["then"] = pick(["", "steal"])
        elif verb == "remove_added":
            if not task.chairs:
                return
            added = [i for i, one in enumerate(task.chairs) if one.kind != "main"]
            rest["to"] = pick(added or list(range(len(task.chairs))))
            self.both(verb, who, at, **rest)
            return
        self.both(verb, who, at, seat, **rest)


def replayed(pair: Pair) -> State:
    """Return the state after everything that was done, done once more from the beginning."""
    world = PlainWorld(dict(ROLES), dict(pair.doc), managers={"ann": "p5"})
    play = Play(world, pair.flow["steps"], people=pair.flow["people"], subflows={"sub": SUB})
    for now, subject, doc, verb, who, asked in pair.done:
        world.now, play.state.subject_hash = now, subject
        world.doc.update(doc)
        play.do(verb, who, **asked)
    play.state.subject_hash = pair.play.state.subject_hash
    return play.state


def agree(after: str, what: str, mine: object, theirs: object) -> None:
    """Raise when the engine's answer is not the reference's."""
    if mine != theirs:
        raise Differ(f"{after}, {what}: engine {mine}, reference {theirs}")


def seen(seat: Seat | Chair) -> tuple[str, ...]:
    """Return what both say of a seat."""
    state = {"passed_over": "skipped"}.get(seat.state, seat.state)
    return seat.key, seat.kind, state, seat.ballot or ""


def numbered(found) -> dict[tuple, Any]:
    result: dict[tuple, Any] = {}
    for path, item, one in found:
        number = 1
        while (path, item, number) in result:
            number += 1
        result[(path, item, number)] = one
    return result
