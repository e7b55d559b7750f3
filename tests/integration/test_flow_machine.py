"""Random verbs on stored instances, on both databases: the invariants hold after every step."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from core.errors import UserError
from core.records.operations import create_record
from core.records.queries import get_record
from core.testing.campaigns import IS_NIGHTLY
from core.workflow.deciding import decide
from core.workflow.engine.state import TERMINAL, Command, State
from core.workflow.evidence.events import prove
from core.workflow.models import event, instance, vote
from core.workflow.operations import resume, submit, suspend, terminate, withdraw
from core.workflow.run import read_instance
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    BOTH,
    FINANCE,
    LIN,
    MARKETING,
    SECOND,
    SOURCES,
    World,
    publish_sources,
)
from tests.integration.test_workflow_concurrency import at_once
from tests.unit.flow_invariants import Watch

FLOW = """
flow: budget_release
version: 2
document: budget
steps:
  - id: check
    type: approve
    approvers: {role: approver}
    decide: any
    may: *may
    comment: *comment
    return: {to: [initiator], then: resume}
  - id: side
    type: parallel
    lanes:
      - steps:
          - {id: sign, type: approve, approvers: {role: [finance, marketing]}, decide: all,
             may: *may, comment: *comment, return: {to: [initiator, check], then: ask}}
      - steps:
          - {id: board, type: approve, approvers: {user: [chen, zhao, fang]},
             decide: {quorum: 2}, may: *may, comment: *comment, return: {then: resume}}
  - {id: last, type: approve, approvers: {role: approver}, decide: any, may: *may,
     comment: *comment, return: {to: [initiator, check], then: rewalk}}
outcome:
  approved: {set: {status: effective}}
"""
MAY = (
    "[approve, reject, abstain, return, transfer, delegate, add_before, add_after, add_beside, "
    "remove_added, take_back, claim]"
)
COMMENT = "{reject: optional, return: optional}"
ACTORS = (APPROVER, SECOND, FINANCE, MARKETING, BOTH)
VERBS = (
    *["approve"] * 12, "reject", "abstain", "return", "transfer", "delegate", "add_before",
    "add_after", "add_beside", "take_back", "take_back", "claim", "complete",
)  # fmt: skip


def shape(state: State) -> object:
    """Return what two states have in common that differ in their ids alone."""
    visits = [
        (
            one.step, one.number, one.state, one.result,
            sorted((s.key, s.kind, s.state, s.ballot or "") for s in state.seats_of(one.id)),
        )
        for one in state.visits.values()
    ]  # fmt: skip
    return state.status, state.attention, visits


class Stored(RuleBasedStateMachine):
    """One stored approval on which people do whatever comes to their minds."""

    world: World

    @initialize()
    def begin(self) -> None:
        values = {"name": "B", "amount": 1}
        self.record = create_record(self.world.ctx(LIN), "budget", values)["id"]
        self.id = submit(self.world.ctx(LIN), "budget", self.record)["instance"]
        with self.world.db.read() as connection:
            before = sa.select(sa.func.max(instance.c.id)).where(instance.c.id < self.id)
            self.former = connection.execute(before).scalar_one() or ""
            run = read_instance(self.world.ctx(ADMIN), connection, self.id)
            self.watch = Watch(run.tree, run.world)
        self.key = 0
        self.look("submit")

    @rule(data=st.data())
    def act(self, data: st.DataObject) -> None:
        """Do something with a task, or with the whole of it."""
        self.pick = picker(data)
        state = self.state()
        if state.status == "returned":
            self.attempt("submit", lambda: submit(self.world.ctx(LIN), "budget", self.record))
            return
        if state.status in TERMINAL:
            return
        what = self.pick(["vote"] * 8 + ["both", "hold", "end"])
        if what == "hold":
            act = self.pick([suspend, resume])
            self.attempt(act.__name__, lambda: act(self.world.ctx(ADMIN), self.id, reason="So."))
        elif what == "end" and self.pick([True, False, False]):
            end = lambda: withdraw(self.world.ctx(LIN), "budget", self.record)  # noqa: E731
            halt = lambda: terminate(self.world.ctx(ADMIN), self.id, reason="So.")  # noqa: E731
            verb, call = self.pick([("withdraw", end), ("terminate", halt)])
            self.attempt(verb, call)
        elif what == "both":
            self.two_at_once(state)
        else:
            self.vote(state)

    def vote(self, state: State) -> None:
        """One person acts, twice with the same key; the pure engine says the same before."""
        tasks = [one for one in state.visits.values() if one.type == "approve"]
        live = [one for one in tasks if one.state == "open"]
        visit = self.pick(live or tasks)
        verb, actor = self.pick(VERBS), self.pick(ACTORS)
        others = [self.pick(ACTORS).id]
        to = tuple(others) if verb in {"transfer", "delegate"} or verb.startswith("add") else ()
        seats = [one.id for one in state.seats_of(visit.id)]
        seat = self.pick(["", "", *seats])
        rule_ = self.pick(["any", "all", "sequence"])
        ctx = self.world.ctx(actor)
        self.key += 1
        more = {"subject_hash": state.subject_hash, "seat": seat, "to": to, "rule": rule_}

        def call() -> Any:
            return decide(ctx, visit.id, verb, key=f"{self.id}-{self.key}", **more)

        with ctx.reading() as connection:
            run = read_instance(ctx, connection, self.id)
            try:
                run.perform(Command(verb, visit.id, seat, "", to, "", rule_))
                expected: object = shape(run.state)
            except UserError:
                expected = None
        answer = self.attempt(verb, call)
        if isinstance(answer, dict):
            assert shape(self.state()) == expected, "12: the pure engine says otherwise"
            votes = self.count(vote)
            assert call() == answer, "6: another answer under the same key"
            assert self.count(vote) == votes, "6: a second effect under the same key"

    def two_at_once(self, state: State) -> None:
        """Two people decide at the same moment, each on a connection of their own."""
        live = [one for one in state.visits.values() if one.state == "open"]
        if not live:
            return
        visit, verbs = self.pick(live), [self.pick(["approve", "reject", "return"]) for _ in "ab"]
        actors = [self.pick(ACTORS), self.pick(ACTORS)]

        def calling(place: int) -> Callable[[], Any]:
            ctx = self.world.ctx(actors[place])
            shown = {"subject_hash": state.subject_hash}
            return lambda: decide(ctx, visit.id, verbs[place], **shown)

        answers = at_once(calling(0), calling(1))
        for one in answers:
            assert isinstance(one, dict) or one.startswith("flow."), f"neither done nor no: {one}"
        self.look("two at once")

    def attempt(self, verb: str, call: Callable[[], Any]) -> Any:
        """Do something; what is refused has changed nothing."""
        before = shape(self.state())
        try:
            answer: Any = call()
        except UserError as refused:
            assert shape(self.state()) == before, f"{verb} was refused and did something"
            return refused.code
        self.look(verb)
        return answer

    def state(self) -> State:
        with self.world.db.read() as connection:
            return read_instance(self.world.ctx(ADMIN), connection, self.id).state

    def count(self, table: sa.Table, *where: Any) -> int:
        query = sa.select(sa.func.count()).where(table.c.instance_id == self.id, *where)
        with self.world.db.read() as connection:
            return connection.execute(query).scalar_one()

    def look(self, verb: str) -> None:
        """Assert the invariants; 3 and 10 by the proof of its events."""
        ctx = self.world.ctx(ADMIN)
        with ctx.reading() as connection:
            run = read_instance(ctx, connection, self.id)
            self.watch.world = run.world
            if verb == "two at once":
                self.watch = Watch(run.tree, run.world)
            self.watch.look(run.state, verb)
            (proof,) = prove(connection, after=self.former, most=1)
        assert not proof.problems, proof.problems
        record = get_record(self.world.ctx(ADMIN), "budget", self.record)
        is_approved = run.state.status == "approved"
        assert (record["status"] == "effective") == is_approved, "7: changed without an outcome"
        assert self.count(event, event.c.verb == "effective") == int(is_approved), "7: not once"


def picker(data: st.DataObject) -> Any:
    """Return what chooses one of several by a drawn place."""

    def pick(options: Sequence[Any]) -> Any:
        return options[data.draw(st.integers(0, len(options) - 1))]

    return pick


def test_invariants_hold_after_every_verb_on_stored_instances(world: World) -> None:
    flow = FLOW.replace("*may", MAY).replace("*comment", COMMENT)
    publish_sources(world.db, SOURCES | {"budget_flow.yaml": flow})

    class Here(Stored):
        pass

    Here.world = world
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=2_000 if IS_NIGHTLY else 15,
            stateful_step_count=50 if IS_NIGHTLY else 20,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
