"""What would become of a running approval, and that just this becomes of it."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import Conflict, Forbidden, Invalid, NotFound, UserError
from core.records.operations import update_record
from core.records.queries import get_record
from core.workflow.models import instance
from core.workflow.rehearsal.previews import replay
from core.workflow.rehearsal.whatif import Supposition, what_if
from core.workflow.run import read_instance
from core.workflow.timing.sweeping import strike
from tests.integration.flow_steps import act, submitted
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    BOTH,
    FINANCE,
    LIN,
    SOURCES,
    World,
    publish_sources,
)

FLOW = """
flow: rule_release
version: 2
title: {zh: 规则审核, en: Rule approval}
document: rule
in_flight: {subject_edit: stale_affected}
steps:
  - {id: review, type: approve, title: {zh: 审核, en: Review}, approvers: {role: approver}, may: [approve, reject, return, delegate]}
  - id: deep
    type: branch
    cases:
      - when: doc.rate < 0.7
        steps:
          - id: countersign
            type: approve
            title: {zh: 会签, en: Countersign}
            decide: all
            seats: {finance: {approvers: {role: finance}}, market: {approvers: {role: marketing}}}
            due:
              - {at: 2h, do: remind}
              - {at: 4h, do: escalate, to: {role: approver}}
            may: [approve, reject, return]
            return: {to: [review, initiator], then: resume}
    else: []
"""
STRICT = FLOW.replace("{subject_edit: stale_affected}", "{subject_edit: deny}")


@pytest.fixture
def deep(world: World) -> World:
    publish_sources(world.db, SOURCES | {"rule_flow.yaml": FLOW})
    return world


def dump(world: World) -> dict[str, list[Any]]:
    """Return every row of every table of the product and of its records."""
    with world.db.read() as connection:
        names = sa.inspect(connection).get_table_names()
        own = world.registries.current().tables["rule"].main.name
        assert {own, "gx_outbox", "gx_instance"} <= set(names)
        return {
            name: sorted(map(repr, connection.execute(sa.select("*").select_from(sa.table(name)))))
            for name in names
        }


def running(world: World, **values: Any) -> tuple[str, str, str]:
    """Return the ids of a submitted record, its task and its instance."""
    record_id, sent = submitted(world, **values)
    with world.db.read() as connection:
        query = sa.select(instance.c.id).where(instance.c.record_id == record_id)
        return record_id, sent["task"], connection.execute(query).scalar_one()


def ask(world: World, instance_id: str, **supposed: Any) -> dict[str, Any]:
    return what_if(world.ctx(ADMIN), instance_id, Supposition(**supposed))


def really_open(world: World, instance_id: str) -> dict[str, Any]:
    """Return the state as it is stored: status, waiting tasks, each with seats and people."""
    ctx = world.ctx(ADMIN)
    with ctx.reading() as connection:
        run = read_instance(ctx, connection, instance_id)
        state = run.state
        return {
            "state": state.status,
            "open": {
                (one.step, one.opened_at[:16]): {
                    seat.key: (seat.state, sorted(c.actor for c in state.candidates_of(seat.id)))
                    for seat in state.seats_of(one.id)
                }
                for one in state.live_visits()
                if one.state == "open" and run.tree.nodes[one.step].is_human
            },
        }


def opened(course: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        one["step"]: {seat["seat"]: seat["state"] for seat in one["seats"]}
        for one in course["open"]
    }


def stored(found: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        step: {key: state for key, (state, _) in seats.items()}
        for (step, _), seats in found["open"].items()
    }


def waiting_task(world: World, instance_id: str) -> str:
    ctx = world.ctx(ADMIN)
    with ctx.reading() as connection:
        state = read_instance(ctx, connection, instance_id).state
        return next(one.id for one in state.live_visits() if one.type == "approve")


def test_course_goes_on_from_the_votes_that_were_cast(deep: World) -> None:
    _, task_id, instance_id = running(deep, rate="0.6")
    act(deep, APPROVER, "approve", task_id)
    act(deep, FINANCE, "approve", waiting_task(deep, instance_id), seat="finance")
    found = ask(deep, instance_id)
    assert [(one["step"], one["result"]) for one in found["so_far"]] == [("review", "pass")]
    assert opened(found["now"]) == {"countersign": {"finance": "voted", "market": "open"}}
    assert [one["step"] for one in found["now"]["stops"]] == ["countersign"]
    assert (found["now"]["ending"], found["differences"]) == ("approved", [])
    [remind, escalate] = found["now"]["open"][0]["due"]
    assert (remind["do"], escalate["do"]) == ("remind", "escalate")
    then = ask(deep, instance_id, do=["countersign.market.approve"])["then"]
    assert (then["state"], then["open"], then["refusals"]) == ("approved", [], [])


def test_nothing_at_all_is_written(deep: World) -> None:
    _, task_id, instance_id = running(deep, rate="0.9")
    act(deep, APPROVER, "return", task_id, opinion="no", to=["initiator"])
    _, _, other = running(deep, code="B", rate="0.6")
    before = dump(deep)
    assert before["gx_outbox"] != []
    for one in (instance_id, other):
        ask(
            deep, one, values={"rate": "0.5", "name": "New"}, away=["21"],
            do=["submit", "review.approve", "wait 5h", "countersign.finance.approve",
                "countersign.market.reject", "withdraw"],
        )  # fmt: skip
    assert dump(deep) == before


@pytest.mark.parametrize(
    ("rate", "do"),
    [
        ("0.9", [(APPROVER, "review", "approve", "", ())]),
        ("0.6", [(APPROVER, "review", "reject", "", ())]),
        (
            "0.6",
            [
                (APPROVER, "review", "approve", "", ()),
                (FINANCE, "countersign", "approve", "finance", ()),
                (BOTH, "countersign", "return", "market", ("review",)),
                (APPROVER, "review", "approve", "", ()),
            ],
        ),
    ],
)
def test_same_verbs_done_for_real_lead_to_the_same(deep: World, rate: str, do: list[Any]) -> None:
    _, _, instance_id = running(deep, rate=rate)
    texts = [
        ".".join(filter(None, (step, seat, verb))) + "".join(f" {one}" for one in to)
        for _, step, verb, seat, to in do
    ]
    for done in range(1, len(do) + 1):
        told = ask(deep, instance_id, do=texts[done - 1 : done])["then"]
        actor, _, verb, seat, to = do[done - 1]
        act(
            deep, actor, verb, waiting_task(deep, instance_id), seat=seat, to=to, opinion="so"
        )  # fmt: skip
        real = really_open(deep, instance_id)
        assert told["refusals"] == []
        assert (told["state"], opened(told)) == (real["state"], stored(real))


def test_whole_course_of_verbs_and_time_is_the_real_one(deep: World) -> None:
    _, task_id, instance_id = running(deep, rate="0.6")
    told = ask(deep, instance_id, do=["review.approve", "wait 4h", "countersign.finance.approve"])
    act(deep, APPROVER, "approve", task_id)
    deep.clock.move(timedelta(hours=4))
    strike(deep.ctx(ADMIN))
    act(deep, FINANCE, "approve", waiting_task(deep, instance_id), seat="finance")
    real = really_open(deep, instance_id)
    assert opened(told["then"]) == stored(real)
    [seats] = real["open"].values()
    assert seats["market"][1] == ["approver", "marketing"]
    people = {
        one["name"]
        for seat in told["then"]["open"][0]["seats"]
        if seat["seat"] == "market"
        for one in seat["people"]
    }
    assert people == {"Chen", "Zhao", "Mei", "Bao"}


def test_changed_values_go_another_way_as_a_real_edit_does(deep: World) -> None:
    record_id, _, instance_id = running(deep, rate="0.9")
    found = ask(deep, instance_id, values={"rate": "0.6"}, do=["review.approve"])
    assert {"what": "added", "step": "countersign", "before": None, "after": None} in found[
        "differences"
    ]
    assert [one["step"] for one in found["now"]["stops"]] == ["review"]
    assert "removed" not in {one["what"] for one in found["differences"]}  # it was decided
    version = get_record(deep.ctx(LIN), "rule", record_id)["version"]
    update_record(deep.ctx(LIN), "rule", record_id, {"rate": "0.6"}, version=version)
    act(deep, APPROVER, "approve", waiting_task(deep, instance_id))
    assert opened(found["then"]) == stored(really_open(deep, instance_id))
    assert opened(found["then"]) == {"countersign": {"finance": "open", "market": "open"}}


def test_votes_stand_where_the_flow_lets_nobody_edit(world: World) -> None:
    publish_sources(world.db, SOURCES | {"rule_flow.yaml": STRICT})
    _, task_id, instance_id = running(world, rate="0.6")
    act(world, APPROVER, "approve", task_id)
    found = ask(world, instance_id, values={"rate": "0.9"})
    assert opened(found["then"]) == {"countersign": {"finance": "open", "market": "open"}}
    assert found["differences"] == []


def test_people_who_are_gone_leave_the_seats_that_are_open(deep: World) -> None:
    _, _, instance_id = running(deep, rate="0.9")
    found = ask(deep, instance_id, away=["chen"])
    [seat] = found["then"]["open"][0]["seats"]
    assert [one["name"] for one in seat["people"]] == ["Zhao"]
    [told] = found["differences"]
    assert told == {
        "what": "people", "step": "review", "before": ["Chen", "Zhao"], "after": ["Zhao"],
    }  # fmt: skip
    both = ask(deep, instance_id, away=["21", "22"])
    assert (both["then"]["ending"], both["then"]["stuck"]) == ("running", ["review"])
    assert both["then"]["attention"] == "no_approver"


def test_refused_act_changes_nothing_and_is_told(deep: World) -> None:
    _, task_id, instance_id = running(deep, rate="0.9")
    do = ["review.delegate", "countersign.finance.approve", "resume", "review.return deep"]
    with pytest.raises(Invalid):
        ask(deep, instance_id, do=do)  # nobody to delegate to
    then = ask(deep, instance_id, do=do[1:])["then"]
    assert [(one["act"], one["code"]) for one in then["refusals"]][:2] == [
        ("countersign.finance.approve", "nothing_waits"),
        ("resume", "flow.not_possible"),
    ]
    assert (len(then["refusals"]), list(opened(then))) == (3, ["review"])
    with pytest.raises(UserError):
        act(deep, APPROVER, "return", task_id, opinion="x", to=["deep"])


def test_it_is_refused_to_others_for_ended_items_and_for_wrong_values(deep: World) -> None:
    _, task_id, instance_id = running(deep)
    with pytest.raises(Forbidden):
        what_if(deep.ctx(LIN), instance_id)
    with pytest.raises(NotFound):
        ask(deep, "nothing")
    for values in ({"nothing": 1}, {"rate": "much"}, {"lines": 5}, {"lines": [{"amount": "x"}]}):
        with pytest.raises(Invalid):
            ask(deep, instance_id, values=values)
    for wrong in ({"away": ["999"]}, {"do": ["jump"]}, {"do": ["edit rate=1"]},
                  {"do": ["wait 1h"] * 51}):  # fmt: skip
        with pytest.raises(Invalid):
            ask(deep, instance_id, **wrong)
    act(deep, APPROVER, "approve", task_id)
    with pytest.raises(Conflict):
        ask(deep, instance_id)


def test_field_that_the_reader_may_not_see_is_not_there(world: World) -> None:
    hidden = SOURCES["rule.yaml"].replace(
        'role: [approver, Admin]}, actions: ["*"]}',
        'role: approver}, actions: ["*"]}\n  - {name: admins, who: {role: Admin}, '
        "actions: [view], fields: {view: [code, name, status]}}",
    )
    publish_sources(world.db, SOURCES | {"rule.yaml": hidden, "rule_flow.yaml": FLOW})
    _, _, instance_id = running(world, rate="0.9")
    with pytest.raises(Invalid) as refused:
        ask(world, instance_id, values={"rate": "0.6"})
    assert refused.value.problems[0].path == "values.rate"
    assert ask(world, instance_id, values={"name": "x"})["then"]["ending"] == "approved"


def test_replay_estimates_steps_from_the_past_and_tells_of_how_many(world: World) -> None:
    for code, hours in (("A", 1), ("B", 2), ("C", 9)):
        _, sent = submitted(world, code=code, rate="0.6")
        world.clock.move(timedelta(hours=hours))
        act(world, APPROVER, "approve", sent["task"])
    publish_sources(world.db, SOURCES | {"rule_flow.yaml": FLOW})
    release = world.ctx(ADMIN).registry.release
    found = replay(world.ctx(ADMIN), release, flow="rule_release")
    [review] = found["latency"]  # the countersign was never decided: nothing is told of it
    assert (review["step"], review["before"], review["after"], review["count"]) == (
        "review", 3, 3, 3,
    )  # fmt: skip
    assert review["median"] == pytest.approx(7200, abs=30)
    assert review["p90"] == pytest.approx(9 * 3600, abs=30)
    _, _, instance_id = running(world, code="D", rate="0.6")
    review, sign = ask(world, instance_id)["now"]["stops"]
    assert (review["estimate"]["count"], sign["estimate"]) == (3, None)
