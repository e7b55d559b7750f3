"""The flow machine against a slow, obvious reference."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.schema.flows import Flow, Source, Step
from core.workflow.machine import (
    TERMINAL,
    Candidate,
    Move,
    NotPossibleError,
    Seat,
    SeatPlan,
    after,
    count,
    first_step,
    move,
    next_state,
    seats_of,
    tally,
)

VOTES = ("approve", "reject", "abstain")
RULES = st.sampled_from(["any", "all"])
BALLOT = st.lists(st.sampled_from([*VOTES, None]), min_size=1, max_size=6)


def step(name: str, decide: str = "any", roles: tuple[str, ...] = ("approver",)) -> Step:
    return Step(id=name, approvers=Source(role=roles), decide=decide)


def flow(*steps: Step) -> Flow:
    return Flow(flow="f", version=1, document="d", steps=steps)


def closing(rule: str, votes: tuple[str, ...]) -> str:
    """What a complete ballot says, in the plainest words."""
    if rule == "any":
        if "approve" in votes:
            return "passed"
        return "rejected" if "reject" in votes else "stuck"
    if "reject" in votes:
        return "rejected"
    return "passed" if "approve" in votes else "stuck"


def reference(rule: str, votes: list[str | None]) -> str:
    """Decided exactly when every way the missing voices could vote gives the same answer."""
    endings = {
        closing(rule, tuple(ballot))
        for ballot in product(*[VOTES if vote is None else (vote,) for vote in votes])
    }
    return endings.pop() if len(endings) == 1 else "undecided"


def seated(votes: list[str | None]) -> list[Seat]:
    return [
        Seat(str(number), "open" if vote is None else "voted", vote)
        for number, vote in enumerate(votes)
    ]


@given(RULES, BALLOT)
def test_tally_agrees_with_every_completion_of_the_ballot(rule, votes):
    assert tally(rule, seated(votes)) == reference(rule, votes)


@given(RULES, st.permutations(["approve", "reject", "abstain", None, None]))
def test_tally_does_not_depend_on_the_order_of_seats(rule, votes):
    assert tally(rule, seated(votes)) == tally(rule, seated(sorted(votes, key=str)))


@given(st.lists(st.sampled_from(VOTES), min_size=1, max_size=5), st.integers(0, 3))
def test_removed_seats_never_count(votes, removed):
    seats = seated(votes)
    more = [*seats, *[Seat(f"r{n}", "removed") for n in range(removed)]]
    assert count(more) == count(seats)


@given(
    st.lists(st.tuples(RULES, st.integers(1, 3)), min_size=1, max_size=4),
    st.data(),
)
def test_walk_ends_as_the_reference_says(shape, data):
    """Vote at random through a whole flow; the reference reads the ballots afterwards."""
    steps = [
        step(f"s{n}", decide, tuple(f"r{k}" for k in range(roles)))
        for n, (decide, roles) in enumerate(shape)
    ]
    definition = flow(*steps)
    state, current, walked = "running", first_step(definition), []
    while state == "running":
        seats = [Seat(plan.key, "open") for plan in seats_of(current)]
        made = Move("undecided")
        for number in data.draw(st.permutations(range(len(seats)))):
            vote = data.draw(st.sampled_from(["approve", "reject"]))
            seats[number] = Seat(seats[number].key, "voted", vote)
            made = move(definition, current.id, seats)
            if made.trigger:
                break
        walked.append((current, [seat.vote for seat in seats]))
        assert made.moot == tuple(seat.key for seat in seats if seat.state == "open")
        assert made.trigger is not None
        state = next_state(state, made.trigger)
        current = made.step
    results = [reference(node.decide, votes) for node, votes in walked]
    assert [node.id for node, _ in walked] == [f"s{n}" for n in range(len(walked))]
    assert results[:-1] == ["passed"] * (len(walked) - 1)
    assert state == ("rejected" if results[-1] == "rejected" else "approved")
    if state == "approved":
        assert len(walked) == len(steps)


def test_step_with_any_has_one_seat_that_its_roles_share():
    assert seats_of(step("s", "any", ("a", "b", "a"))) == (
        SeatPlan("a+b", (Candidate("role", "a"), Candidate("role", "b"))),
    )


def test_step_with_all_has_a_seat_for_each_role():
    assert seats_of(step("s", "all", ("a", "b", "a"))) == (
        SeatPlan("a", (Candidate("role", "a"),)),
        SeatPlan("b", (Candidate("role", "b"),)),
    )


def test_abstentions_alone_open_no_next_step():
    definition = flow(step("one", "all", ("a", "b")), step("two"))
    assert move(definition, "one", seated(["abstain", "abstain"])) == Move("stuck")


def test_last_step_has_no_next_one():
    definition = flow(step("one"), step("two"))
    assert [after(definition, name) for name in ("one", "two")] == [definition.steps[1], None]


#: The table of the design, row by row: submit, pass, finish, reject, return, withdraw,
#: suspend, resume, terminate, block. A dot is a refusal.
TRIGGERS = (
    "submit", "pass", "finish", "reject", "return", "withdraw", "suspend", "resume",
    "terminate", "block",
)  # fmt: skip
ALLOWED = {
    "running": (
        ". running approved rejected returned withdrawn suspended . terminated apply_blocked"
    ),
    "returned": "running . . . . withdrawn suspended . terminated .",
    "suspended": ". . . . . withdrawn . returned terminated .",
    "apply_blocked": "running . approved . returned withdrawn . . terminated apply_blocked",
    "approved": "running . . . . . . . . .",
    "rejected": "running . . . . . . . . .",
    "withdrawn": "running . . . . . . . . .",
    "terminated": "running . . . . . . . . .",
}


@pytest.mark.parametrize("state", ALLOWED)
def test_instance_moves_exactly_as_the_table_says(state):
    found = []
    for trigger in TRIGGERS:
        try:
            found.append(next_state(state, trigger, former="returned"))
        except NotPossibleError:
            found.append(".")
    assert " ".join(found) == ALLOWED[state]


@pytest.mark.parametrize(
    ("state", "trigger", "code"),
    [
        ("running", "submit", "flow.duplicate_open"),
        ("suspended", "submit", "flow.duplicate_open"),
        ("suspended", "finish", "flow.suspended"),
        ("running", "resume", "flow.not_possible"),
        *[(state, "reject", "flow.already_ended") for state in sorted(TERMINAL)],
    ],
)
def test_refusal_has_its_own_code(state, trigger, code):
    with pytest.raises(NotPossibleError) as refused:
        next_state(state, trigger)
    assert refused.value.code == code
