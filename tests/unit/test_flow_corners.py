"""Where verbs, blocks and clocks of the engine meet: found by random walks, kept by name."""

import pytest

from tests.unit.engine_world import ALL, PlainWorld, office, people, refused, step, submitted


@pytest.fixture
def world() -> PlainWorld:
    return office()


def test_take_back_behind_a_block_calls_in_what_follows_the_block(world):
    cases = [{"when": "tax", "steps": [step("a")]}]
    world.doc["tax"] = True
    block = {"id": "b", "type": "branch", "cases": cases, "else": []}
    play = submitted(world, block, step("z", ["finance", "marketing"], decide="all"))
    play.do("approve", "bob", "a")
    play.do("take_back", "bob", "a")
    assert play.open == ["a"]
    play.do("approve", "bob", "a")
    assert play.open == ["z.finance", "z.marketing"]
    play.do("approve", "fay", "z")
    refused("flow.has_successor_vote", play.do, "take_back", "bob", "a")


def test_detached_run_holds_up_no_step_behind_the_block_around_it(world):
    world.doc["regions"] = ["n"]
    block = {"id": "r", "type": "subflow", "flow": "ack", "each": "regions", "wait": "none"}
    lanes = [{"steps": [block]}, {"steps": [step("x", "finance")]}]
    parallel = {"id": "p", "type": "parallel", "lanes": lanes}
    play = submitted(world, parallel, step("z", "ops"), subflows={"ack": [step("ok")]})
    play.do("approve", "fay", "x")
    assert sorted(play.open) == ["r/ok", "z"]
    play.do("approve", "oz", "z")
    assert play.state.status == "running"
    play.do("approve", "bob", "r/ok")
    assert play.state.status == "approved"


def test_taken_back_vote_of_a_detached_run_opens_nothing_twice(world):
    world.doc["regions"] = ["n"]
    block = {"id": "r", "type": "subflow", "flow": "ack", "each": "regions", "wait": "none"}
    play = submitted(world, block, step("z", "ops"), subflows={"ack": [step("ok")]})
    for verb in ("approve", "take_back", "approve"):
        play.do(verb, "bob", "r/ok")
    assert play.open == ["z"]


def test_straight_back_asks_no_strand_beside_again(world):
    back = {"return": {"then": "resume"}}
    lanes = [{"steps": [step("b", "finance", **back)]}, {"steps": [step("a")]}]
    play = submitted(world, {"id": "p", "type": "parallel", "lanes": lanes})
    play.do("approve", "bob", "a")
    play.do("return", "fay", "b")
    play.do("submit")
    assert play.open == ["b"]


def test_straight_back_asks_what_was_to_be_walked_again(world):
    back = {"return": {"then": "resume"}}
    lanes = [{"steps": [step("a")]}, {"steps": [step("b", "finance", **back)]}]
    play = submitted(world, {"id": "p", "type": "parallel", "lanes": lanes}, step("c", "ops"))
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "b")
    play.do("return", "oz", "c")
    play.do("submit")
    play.do("return", "fay", "b")
    play.do("submit")
    assert play.open == ["a", "b"]


def test_straight_back_waits_no_second_time(world):
    back = {"return": {"then": "resume"}}
    play = submitted(world, {"id": "w", "type": "wait", "for": "2h"}, step("a", **back))
    play.move(hours=3)
    play.do("return", "bob", "a")
    play.do("submit")
    assert play.open == ["a"]


def test_step_that_is_asked_again_repeats_no_vote_of_its_own(world):
    back = {"return": {"to": ["a"]}}
    flow = {"people": {"same_person": "any_prior"}}
    play = submitted(world, people("a", "bob"), step("b", "finance", **back), **flow)
    play.do("approve", "bob", "a")
    play.do("return", "fay", "b")
    assert play.open == ["a"]


def test_same_person_need_not_speak_again_later_in_a_sequence(world):
    flow = {"people": {"same_person": "any_prior"}}
    line = people("b", "fay", "bob", "oz", decide="sequence")
    play = submitted(world, people("a", "bob"), line, **flow)
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "b")
    assert play.open == ["b.oz"]


def test_removed_voice_takes_those_with_it_whom_it_asked(world):
    world.roles["crowd"] = ("p1", "p2")
    play = submitted(world, people("a", "bob"))
    for asker, asked in (("bob", "p1"), ("p1", "p2"), ("p2", "max")):
        play.do("add_before", asker, "a", to=(asked,))
    play.do("remove_added", "bob", "a", to=("p1",))
    assert play.open == ["a"]


def test_taken_back_vote_leaves_a_seat_without_people_told_about(world):
    first = people("a", "fay", "ann", decide={"weight": "1/2"})
    play = submitted(world, first, step("z", "ops"))
    assert play.state.attention == "no_approver"
    play.do("approve", "fay", "a")
    play.do("take_back", "fay", "a")
    assert play.state.attention == "no_approver"


def test_whoever_is_asked_for_advice_sends_nothing_back(world):
    play = submitted(world, people("a", "bob"))
    play.do("delegate", "bob", "a", to=("fay",))
    refused("flow.verb_not_allowed", play.do, "return", "fay", "a")


def test_nothing_passes_while_somebody_is_asked_afterwards(world):
    play = submitted(world, people("q", "bob", "fay", "max", decide={"quorum": 2}))
    play.do("add_after", "bob", "q", to=("oz",))
    play.do("approve", "fay", "q")
    play.do("approve", "max", "q")
    assert play.open == ["q.oz"]
    play.do("approve", "oz", "q")
    assert play.state.status == "approved"


def test_sequence_waits_for_those_whom_the_asked_have_asked(world):
    play = submitted(world, people("a", "bob", "fay", decide="sequence"))
    play.do("add_before", "bob", "a", to=("max", "oz"), rule="any")
    play.do("reject", "max", "a")
    play.do("add_after", "oz", "a", to=("bea",))
    assert play.open == ["a.bea"]
    play.do("approve", "bea", "a")
    assert play.open == ["a.bob"]


def test_rung_that_went_off_before_two_returns_stays_silent(world):
    back = {"return": {"then": "resume"}, "due": [{"at": "1h", "do": "remind"}]}
    play = submitted(world, step("a", **back))
    play.move(hours=2)
    for _ in range(2):
        play.do("return", "bob", "a")
        play.do("submit")
    play.move(hours=2)
    assert [one.verb for one in play.events].count("remind") == 1


def test_repeated_vote_does_not_ask_its_owner_for_a_second_seat_by_name(world):
    flow = {"people": {"same_person": "any_prior"}}
    both = people("b", "bob", "fay", decide="all", may=ALL)
    play = submitted(world, people("a", "bob"), both, **flow)
    play.do("approve", "bob", "a")
    play.do("transfer", "fay", "b", to=("max",))
    play.do("add_before", "max", "b", to=("bob",))
    play.do("approve", "bob", "b")
    assert play.open == ["b.fay"]


def test_taken_back_sequence_has_one_clock(world):
    due = [{"at": "5h", "do": "remind"}]
    play = submitted(
        world, people("a", "bob", "fay", decide="sequence", due=due), step("z", "ops")
    )
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "a")
    play.do("take_back", "fay", "a")
    assert [one.state for one in play.state.timers.values()].count("pending") == 1


def test_clock_stands_once_only_seats_without_people_are_left(world):
    due = [{"at": "5h", "do": "remind"}]
    play = submitted(world, step("a", ["finance", "maker"], decide="all", due=due))
    (timer,) = play.state.timers.values()
    assert timer.fire_at
    play.do("approve", "fay", "a")
    (timer,) = play.state.timers.values()
    assert (timer.fire_at, play.state.attention) == ("", "no_approver")


def test_same_person_counts_the_step_right_before_not_a_strand_beside(world):
    lanes = [
        {"steps": [people("a", "bob"), people("b", "bob")]},
        {"steps": [people("c", "fay"), people("d", "bob")]},
    ]
    flow = {"people": {"same_person": "consecutive"}}
    play = submitted(world, {"id": "p", "type": "parallel", "lanes": lanes}, **flow)
    play.do("approve", "bob", "a")
    assert play.open == ["c"]
    play.do("approve", "fay", "c")
    assert play.open == ["d"]
