"""The engine on plain values: every verb, block and clock, without a database."""

import pytest

from tests.unit.engine_world import PlainWorld, office, people, refused, step, submitted


@pytest.fixture
def world() -> PlainWorld:
    return office()


def test_steps_follow_one_another_until_the_flow_is_approved(world):
    play = submitted(world, step("a"), step("b", "finance"))
    assert play.open == ["a"]
    play.do("approve", "bob", "a")
    assert play.open == ["b"]
    play.do("approve", "fay", "b")
    assert play.state.status == "approved"
    assert [one.verb for one in play.events].count("moot") == 0


def test_rejection_ends_everything_that_waits(world):
    lanes = [{"steps": [step("a")]}, {"steps": [step("b", "finance")]}]
    play = submitted(world, {"id": "p", "type": "parallel", "lanes": lanes})
    assert sorted(play.open) == ["a", "b"]
    play.do("reject", "fay", "b")
    assert play.state.status == "rejected"
    assert play.visit("a").state == "cancelled"


def test_parallel_goes_on_once_every_lane_has_ended(world):
    lanes = [{"steps": [step("a")]}, {"steps": [step("b", "finance"), step("c", "ops")]}]
    play = submitted(world, {"id": "p", "type": "parallel", "lanes": lanes}, step("z"))
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "b")
    assert play.open == ["c"]
    play.do("approve", "oz", "c")
    assert play.open == ["z"]


def test_branch_takes_the_first_case_that_holds_else_the_rest(world):
    cases = [
        {"when": "rate < 0.5", "steps": [step("deep", "ops")]},
        {"when": "rate < 0.7", "steps": [step("low", "finance")]},
    ]
    block = {"id": "b", "type": "branch", "cases": cases, "else": []}
    for rate, expected in ((0.4, ["deep"]), (0.6, ["low"]), (0.9, ["z"])):
        world.doc["rate"] = rate
        assert submitted(world, block, step("z")).open == expected


def test_inclusive_walks_every_case_that_holds(world):
    cases = [
        {"when": "tax", "steps": [step("t", "finance")]},
        {"when": "big", "steps": [step("g", "ops")]},
    ]
    block = {"id": "i", "type": "inclusive", "cases": cases, "else": [step("e")]}
    world.doc.update(tax=True, big=True)
    assert submitted(world, block).open == ["t", "g"]
    world.doc.update(tax=False, big=False)
    assert submitted(world, block).open == ["e"]


def test_subflow_runs_once_per_item_and_waits_for_all(world):
    world.doc["regions"] = ["n", "s"]
    block = {"id": "r", "type": "subflow", "flow": "ack", "each": "regions"}
    play = submitted(world, block, step("z"), subflows={"ack": [step("ok")]})
    first, second = [one for one in play.state.visits.values() if one.step == "r/ok"]
    assert (first.item, second.item) == ("n", "s")
    play.do("approve", "bob", visit=first.id)
    assert play.open == ["r/ok"]
    play.do("approve", "bea", visit=second.id)
    assert play.open == ["z"]


def test_two_seats_of_all_need_both_and_one_veto_rejects(world):
    sign = step("s", ["finance", "marketing"], decide="all")
    play = submitted(world, sign)
    assert play.open == ["s.finance", "s.marketing"]
    play.do("approve", "fay", "s")
    assert play.open == ["s.marketing"]
    play.do("reject", "max", "s")
    assert play.state.status == "rejected"


def test_quorum_counts_persons_and_needs_as_many(world):
    quorum = people("q", "bob", "bea", "fay", decide={"quorum": 2})
    play = submitted(world, quorum)
    play.do("reject", "bob", "q")
    play.do("approve", "bea", "q")
    assert play.state.status == "running"
    play.do("approve", "fay", "q")
    assert play.state.status == "approved"


def test_abstentions_alone_decide_nothing_and_ask_for_attention(world):
    play = submitted(world, step("a", ["finance", "marketing"], decide="all"))
    play.do("abstain", "fay", "a")
    play.do("abstain", "max", "a")
    assert (play.state.status, play.state.attention) == ("running", "stuck")


def test_sequence_opens_one_after_the_other(world):
    play = submitted(world, people("s", "bob", "fay", "max", decide="sequence"))
    for person in ("bob", "fay", "max"):
        refused("flow.not_possible", play.do, "approve", "max", "s") if person != "max" else None
        play.do("approve", person, "s")
    assert play.state.status == "approved"


def test_maker_never_decides_even_with_the_role(world):
    world.roles["boss"] = ("bob", "ann")
    play = submitted(world, step("a"))
    refused("flow.sod_violation", play.do, "approve", "ann", "a")
    refused("flow.not_a_candidate", play.do, "approve", "fay", "a")


def test_nobody_but_the_maker_pauses_and_asks_for_attention(world):
    play = submitted(world, step("a", "maker", due=[{"at": "1h", "do": "remind"}]))
    assert play.state.attention == "no_approver"
    (timer,) = play.state.timers.values()
    assert timer.fire_at == ""
    world.roles["maker"] = ("ann", "kim")
    play.do("recheck", "system")
    assert play.state.attention == ""
    (timer,) = play.state.timers.values()
    assert timer.fire_at


def test_empty_seat_may_go_to_the_manager_of_the_initiator(world):
    world.managers["ann"] = "mia"
    play = submitted(world, step("a", "maker"), people={"self_approval": "to_manager"})
    play.do("approve", "mia", "a")
    assert play.state.status == "approved"


def test_transfer_replaces_the_candidate_and_keeps_the_seat(world):
    play = submitted(world, people("a", "bob"))
    refused("flow.person_invalid", play.do, "transfer", "bob", "a", to=("bob",))
    refused("flow.sod_violation", play.do, "transfer", "bob", "a", to=("ann",))
    play.do("transfer", "bob", "a", to=("fay",))
    refused("flow.not_a_candidate", play.do, "approve", "bob", "a")
    assert len(play.state.seats) == 1
    play.do("approve", "fay", "a")
    assert play.state.status == "approved"


def test_delegate_asks_advice_that_never_counts(world):
    play = submitted(world, people("a", "bob"))
    play.do("delegate", "bob", "a", to=("fay",))
    refused("flow.not_possible", play.do, "approve", "bob", "a")
    play.do("complete", "fay", "a", opinion="Fine by me.")
    assert play.state.status == "running"
    play.do("reject", "bob", "a")
    assert play.state.status == "rejected"


def test_add_before_waits_and_a_rejection_there_only_informs(world):
    play = submitted(world, people("a", "bob"))
    play.do("add_before", "bob", "a", to=("fay", "max"), rule="all")
    play.do("reject", "fay", "a")
    assert play.open == ["a"]
    play.do("approve", "bob", "a")
    assert play.state.status == "approved"


def test_add_after_holds_the_approval_until_the_others_agree(world):
    play = submitted(world, people("a", "bob"), step("z", "ops"))
    play.do("add_after", "bob", "a", to=("fay",))
    assert play.open == ["a.fay"]
    play.do("approve", "fay", "a")
    assert play.open == ["z"]


def test_add_beside_adds_a_voice_that_can_be_removed_again(world):
    play = submitted(world, people("a", "bob", "max", decide="all"))
    play.do("add_beside", "bob", "a", to=("fay",))
    assert len(play.open) == 3
    play.do("remove_added", "bob", "a", to=("fay",))
    refused("flow.seat_not_removable", play.do, "remove_added", "bob", "a", to=("max",))
    play.do("approve", "bob", "a")
    play.do("approve", "max", "a")
    assert play.state.status == "approved"


def test_additions_nest_three_deep_at_most(world):
    world.roles["crowd"] = ("p1", "p2", "p3", "p4")
    play = submitted(world, people("a", "bob"))
    for asker, asked in (("bob", "p1"), ("p1", "p2"), ("p2", "p3")):
        play.do("add_before", asker, "a", to=(asked,))
    refused("flow.add_sign_depth", play.do, "add_before", "p3", "a", to=("p4",))
    for person in ("p3", "p2", "p1", "bob"):
        play.do("approve", person, "a")
    assert play.state.status == "approved"


def test_return_to_the_initiator_and_again_walks_everything(world):
    play = submitted(world, step("a"), step("b", "finance"))
    play.do("approve", "bob", "a")
    play.do("return", "fay", "b")
    assert (play.state.status, play.open) == ("returned", [])
    play.do("submit")
    assert play.open == ["a"]


def test_resume_goes_straight_back_when_nothing_was_changed(world):
    back = {"return": {"then": "resume"}}
    play = submitted(world, step("a"), step("b", "finance", **back))
    play.do("approve", "bob", "a")
    play.do("return", "fay", "b")
    play.do("submit")
    assert play.open == ["b"]
    assert [one.verb for one in play.events].count("keep") == 1


def test_resume_never_jumps_over_a_step_that_the_change_calls_for(world):
    world.doc["rate"] = 0.8
    cases = [{"when": "rate < 0.7", "steps": [step("deep", "finance")]}]
    play = submitted(
        world,
        {"id": "b", "type": "branch", "cases": cases, "else": []},
        step("last", **{"return": {"then": "resume"}}),
    )
    play.do("return", "bob", "last")
    world.doc["rate"] = 0.6
    play.state.subject_hash = "h2"
    play.do("submit")
    assert play.open == ["deep"]
    play.do("approve", "fay", "deep")
    assert play.open == ["last"]


def test_return_into_a_strand_beside_is_refused(world):
    lanes = [
        {"steps": [step("a")]},
        {"steps": [step("b", "finance", **{"return": {"to": ["a", "first"]}})]},
    ]
    play = submitted(world, step("first"), {"id": "p", "type": "parallel", "lanes": lanes})
    play.do("approve", "bob", "first")
    refused("flow.return_target_invalid", play.do, "return", "fay", "b", to=("a",))
    play.do("return", "fay", "b", to=("first",))
    assert play.open == ["first"]
    assert play.visit("a").state == "cancelled"


def test_take_back_reopens_what_nobody_has_built_upon(world):
    play = submitted(world, step("a"), step("b", "finance"))
    play.do("approve", "bob", "a")
    play.do("take_back", "bob", "a")
    assert play.open == ["a"]
    play.do("approve", "bea", "a")
    play.do("approve", "fay", "b")
    refused("flow.already_ended", play.do, "take_back", "fay", "b")


def test_take_back_is_refused_once_somebody_behind_has_voted(world):
    two = step("b", ["finance", "marketing"], decide="all")
    play = submitted(world, step("a"), two)
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "b")
    refused("flow.has_successor_vote", play.do, "take_back", "bob", "a")
    play.do("take_back", "fay", "b")
    assert len(play.open) == 2


def test_escalation_adds_a_candidate_and_never_a_voice(world):
    due = [{"at": "24bh", "do": "escalate", "to": {"role": "ops"}}]
    play = submitted(world, people("a", "bob", due=due))
    refused("flow.not_a_candidate", play.do, "approve", "oz", "a")
    play.move(hours=25)
    assert len(play.state.seats) == 1
    play.do("approve", "oz", "a")
    assert play.state.status == "approved"


def test_suspension_keeps_the_time_that_was_used(world):
    play = submitted(world, step("a", due=[{"at": "10h", "do": "remind"}]))
    play.move(hours=4)
    play.do("suspend", "adm")
    refused("flow.suspended", play.do, "approve", "bob", "a")
    play.move(hours=100)
    play.do("resume", "adm")
    (timer,) = play.state.timers.values()
    assert timer.left == 6 * 3600
    play.move(hours=6)
    assert play.events[-1].verb == "remind"


def test_wait_goes_on_by_itself(world):
    play = submitted(world, {"id": "w", "type": "wait", "for": "2h"}, step("a"))
    assert play.open == []
    play.move(hours=3)
    assert play.open == ["a"]


def test_same_person_approves_the_same_content_once(world):
    flow = {"people": {"same_person": "any_prior"}}
    play = submitted(world, people("a", "bob"), step("x", "finance"), people("b", "bob"), **flow)
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "x")
    assert play.state.status == "approved"
    (auto,) = [one for one in play.state.votes.values() if one.source == "auto"]
    assert play.state.votes[auto.because].actor == "bob"


def test_distinct_duties_need_two_people(world):
    world.roles["finance"] = ("fay", "bob")
    flow = {"people": {"distinct": ["a", "b"]}}
    play = submitted(world, step("a"), step("b", "finance"), **flow)
    play.do("approve", "bob", "a")
    refused("flow.sod_violation", play.do, "approve", "bob", "b")
    play.do("approve", "fay", "b")
    assert play.state.status == "approved"


def test_deputy_votes_for_somebody_away(world):
    world.deputies["bob"] = "fay"
    play = submitted(world, people("a", "bob"))
    play.do("approve", "fay", "a")
    (vote,) = play.state.votes.values()
    assert (vote.actor, vote.on_behalf_of) == ("fay", "bob")


def test_claim_keeps_others_out_where_it_is_required(world):
    play = submitted(world, step("a", queue={"claim": "required", "lease": "5m"}))
    refused("flow.claim_required", play.do, "approve", "bob", "a")
    play.do("claim", "bob", "a")
    refused("flow.claimed_by", play.do, "approve", "bea", "a")
    refused("flow.claimed_by", play.do, "claim", "bea", "a")
    play.move(minutes=6)
    play.do("claim", "bea", "a")
    play.do("approve", "bea", "a")
    assert play.state.status == "approved"


def test_disabled_approver_is_followed_by_their_manager(world):
    world.managers["bob"] = "mia"
    play = submitted(world, people("a", "bob"))
    world.disabled.add("bob")
    play.do("recheck", "system")
    play.do("approve", "mia", "a")
    assert play.state.status == "approved"


def test_copies_go_to_everybody_once(world):
    cc = {"id": "c", "type": "cc", "to": {"role": "finance"}}
    play = submitted(world, cc, {**cc, "id": "d"}, step("a"))
    copied = [one.detail["people"] for one in play.events if one.verb == "copy"]
    assert copied == [["fay"], []]


def test_withdrawn_instance_has_nothing_open(world):
    play = submitted(world, step("a", due=[{"at": "1h", "do": "remind"}]))
    play.do("withdraw")
    assert (play.state.status, play.open) == ("withdrawn", [])
    assert {one.state for one in play.state.timers.values()} == {"cancelled"}
    refused("flow.already_ended", play.do, "approve", "bob", "a")


def test_return_to_a_step_asks_it_again_although_it_had_passed(world):
    back = {"return": {"to": ["a"], "then": "resume"}}
    play = submitted(world, step("a"), step("b", "ops"), step("c", "finance", **back))
    play.do("approve", "bob", "a")
    play.do("approve", "oz", "b")
    play.do("return", "fay", "c")
    assert play.open == ["a"]
    play.do("approve", "bea", "a")
    assert play.open == ["c"]


def test_detached_runs_hold_up_nothing_but_the_end(world):
    world.doc["regions"] = ["n"]
    block = {"id": "r", "type": "subflow", "flow": "ack", "each": "regions", "wait": "none"}
    lanes = [{"steps": [block]}, {"steps": [step("x", "finance")]}]
    play = submitted(
        world, {"id": "p", "type": "parallel", "lanes": lanes}, subflows={"ack": [step("ok")]}
    )
    play.do("approve", "fay", "x")
    play.do("approve", "bob", "r/ok")
    assert play.state.status == "approved"


def test_revised_content_keeps_the_steps_that_it_leaves_alone(world):
    play = submitted(world, step("a"), step("b", "finance"), step("c", "ops"))
    play.do("approve", "bob", "a")
    play.do("approve", "fay", "b")
    play.state.subject_hash = "h2"
    play.do("revise", to=("a",))
    assert play.open == ["b"]
    play.do("approve", "fay", "b")
    assert play.open == ["c"]


def test_quorum_that_cannot_be_reached_asks_whom_the_flow_names(world):
    rule = {"empty": {"to": {"role": "ops"}}}
    play = submitted(world, people("q", "bob", decide={"quorum": 2}), people=rule)
    assert play.open == ["q", "q.oz"]
    play.do("approve", "bob", "q")
    play.do("approve", "oz", "q")
    assert play.state.status == "approved"
