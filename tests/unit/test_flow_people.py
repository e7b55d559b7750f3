"""People who come and go while an instance waits for them: deputies, leavers, successors."""

import pytest

from core.workflow.engine.state import Candidate, Identity
from core.workflow.engine.world import Pool
from tests.unit.engine_world import PlainWorld, Play, people, refused, step, submitted


@pytest.fixture
def world() -> PlainWorld:
    return PlainWorld({"reviewer": ("bob", "bea"), "finance": ("fay",)})


def sitting(play: Play, name: str = "a") -> set[tuple[str, str, str]]:
    """Return who may sit at a step: actor, why, for whom."""
    return {
        (one.actor, one.via, one.on_behalf_of)
        for seat in play.state.seats_of(play.visit(name).id)
        for one in play.state.candidates_of(seat.id)
    }


def reseats(play: Play) -> list[dict]:
    return [one.detail for one in play.events if one.verb == "reseat"]


def test_deputy_comes_and_goes_with_the_window(world):
    play = submitted(world, people("a", "bob"))
    world.deputies["bob"] = "fay"
    play.do("recheck", "system")
    assert sitting(play) == {("bob", "", ""), ("fay", "away", "bob")}
    assert play.do("recheck", "system") == []
    del world.deputies["bob"]
    play.do("recheck", "system")
    assert sitting(play) == {("bob", "", "")}
    refused("flow.not_a_candidate", play.do, "approve", "fay", "a")
    fay = {"kind": "user", "actor": "fay", "name": "Fay", "via": "away", "for": "Bob"}
    assert reseats(play) == [{"added": [fay]}, {"gone": [fay]}]
    world.deputies["bob"] = "bea"
    play.do("recheck", "system")
    play.do("approve", "bea", "a")
    assert play.state.status == "approved"


def test_deputies_never_change_how_many_voices_are_needed(world):
    play = submitted(world, people("a", "bob", "bea", decide="all"))
    world.deputies.update({"bob": "fay", "bea": "fay"})
    play.do("recheck", "system")
    seats = play.state.seats_of(play.visit("a").id)
    play.do("approve", "fay", "a", seat=seats[0].id)
    assert play.open == ["a.bea"]
    play.do("approve", "fay", "a", seat=seats[1].id)
    assert [one.on_behalf_of for one in play.state.votes.values()] == ["bob", "bea"]


def test_deputies_of_pools_are_seated_where_the_delegation_says_so(world):
    world.deputies.update({"bob": "fay", "bea": "mia"})
    world.with_roles.add("bob")
    play = submitted(world, step("a", "reviewer"))
    assert sitting(play) == {("reviewer", "", ""), ("fay", "away", "bob")}


def test_deputy_who_made_the_document_stands_in_for_nobody(world):
    world.deputies["bob"] = "ann"
    assert sitting(submitted(world, people("a", "bob"))) == {("bob", "", "")}


def test_flow_without_deputies_asks_for_none(world):
    world.deputies["bob"] = "fay"
    play = submitted(world, people("a", "bob"), people={"away": "none"})
    assert sitting(play) == {("bob", "", "")}


def test_deputy_may_not_fill_a_second_distinct_duty(world):
    play = submitted(
        world, people("a", "bob"), people("b", "bea"), people={"distinct": ["a", "b"]}
    )
    play.do("approve", "bob", "a")
    world.deputies["bea"] = "bob"
    play.do("recheck", "system")
    refused("flow.sod_violation", play.do, "approve", "bob", "b")


def test_resumed_instance_looks_for_its_people_again(world):
    play = submitted(world, people("a", "bob"))
    play.do("suspend", "system")
    world.disabled.add("bob")
    world.managers["bob"] = "mia"
    play.do("resume", "system")
    assert ("mia", "vacant", "") in sitting(play)


def test_seat_that_is_manned_again_says_so_and_its_clock_goes_on(world):
    play = submitted(world, step("a", "reviewer", due=[{"at": "2h", "do": "remind"}]))
    world.disabled.update({"bob", "bea"})
    play.do("recheck", "system")
    assert play.state.attention == "no_approver"
    (timer,) = play.state.timers.values()
    assert timer.fire_at == ""
    world.disabled.clear()
    made = play.do("recheck", "system")
    assert [one.verb for one in made] == ["reseat"]
    assert play.state.attention == ""
    assert next(iter(play.state.timers.values())).fire_at


def test_named_pool_without_people_keeps_its_voice(world, monkeypatch):
    def resolve(source, _asking):
        return (Pool("far", ()), Pool("finance", (Identity("role", "finance"),)))

    monkeypatch.setattr(world, "resolve", resolve)
    play = submitted(world, step("a", "finance", decide="all"))
    play.do("approve", "fay", "a")
    assert (play.state.status, play.state.attention) == ("running", "no_approver")
    assert play.open == ["a.far"]


def test_leaver_is_replaced_in_open_and_waiting_seats(world):
    play = submitted(world, people("a", "bea", "bob", decide="sequence"))
    play.do("claim", "bea", "a")
    play.do("hand_over", "system", "a", to=("fay",), leaver="bob", opinion="left us")
    assert sitting(play) == {("bea", "", ""), ("fay", "transfer", "")}
    play.do("approve", "bea", "a")
    play.do("approve", "fay", "a")
    assert play.state.status == "approved"
    (event,) = [one for one in play.events if one.verb == "hand_over"]
    assert (event.opinion, event.detail["from"], event.detail["to"]) == ("left us", "Bob", "Fay")


def test_leaver_who_is_disabled_already_hands_over_all_the_same(world):
    play = submitted(world, people("a", "bob"))
    world.disabled.add("bob")
    play.do("recheck", "system")
    assert play.state.attention == "no_approver"
    play.do("hand_over", "system", "a", to=("fay",), leaver="bob")
    assert play.state.attention == ""
    play.do("approve", "fay", "a")
    assert play.state.status == "approved"


def test_hand_over_works_on_suspended_instances_and_their_claims_end(world):
    play = submitted(world, people("a", "bob"))
    play.do("claim", "bob", "a")
    play.do("suspend", "system")
    play.do("hand_over", "system", "a", to=("fay",), leaver="bob")
    play.do("resume", "system")
    assert sitting(play) == {("fay", "transfer", "")}
    assert play.state.seats_of(play.visit("a").id)[0].claimed_by == ""


def test_hand_over_to_somebody_who_cannot_decide_is_refused(world):
    flow = {"people": {"distinct": ["z", "a"]}}
    play = submitted(world, people("z", "mia"), people("a", "bob", "bea", decide="all"), **flow)
    play.do("approve", "mia", "z")
    world.disabled.add("gus")

    def over(to, leaver="bob"):
        play.do("hand_over", "system", "a", to=(to,), leaver=leaver)

    refused("flow.sod_violation", over, "ann")
    refused("flow.sod_violation", over, "mia")
    for person in ("gus", "bea", "bob"):
        refused("flow.person_invalid", over, person)
    refused("flow.already_decided", over, "fay", leaver="cid")
    play.do("approve", "bob", "a")
    refused("flow.already_decided", over, "fay")
    play.do("withdraw")
    refused("flow.already_ended", over, "fay", leaver="bea")


def test_hand_over_leaves_seats_that_the_leaver_holds_for_others(world):
    world.deputies["bea"] = "bob"
    play = submitted(world, people("a", "bea"))
    refused("flow.already_decided", play.do, "hand_over", "system", "a", to=("fay",), leaver="bob")
    assert (
        Candidate(play.state.seats_of(play.visit("a").id)[0].id, "user", "bob", "away", "bea")
        in play.state.candidates
    )
