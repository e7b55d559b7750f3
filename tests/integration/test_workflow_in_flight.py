"""What happens to a document while it is decided, and to an approval when it takes effect."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.actor import SYSTEM
from core.errors import Conflict, Forbidden, SchemaError
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import get_record
from core.testing.databases import Prepared
from core.workflow import errors
from core.workflow.deciding import decide
from core.workflow.engine.state import Command
from core.workflow.migrating import migrate
from core.workflow.operations import retry, submit
from core.workflow.queue.pages import get_instance, get_task, record_flow
from core.workflow.staff.people import STAFF
from core.workflow.timing.sweeping import attempt
from tests.integration.flow_steps import refusal, sound
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    EVERYBODY,
    FINANCE,
    LIN,
    ROLES,
    SECOND,
    World,
    flows_on,
    fresh_world,
    publish_sources,
)

OFFER = """
record_type: offer
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: shop, type: text}
  - {name: kind, type: text, default: plain}
  - {name: rate, type: rate}
  - {name: from_day, type: date}
  - {name: to_day, type: date}
  - {name: remark, type: text}
  - {name: since, type: date}
policies:
  - {name: all, who: {role: [clerk, approver, finance, marketing, Admin]}, actions: ["*"]}
"""

FLOW = """
flow: offer_plain
version: 1
document: offer
order: 9
subject: [name, shop, rate, from_day, to_day]
start: {require: "rate != null and rate > 0.5"}
at_apply:
  conflict_key: shop
  no_overlap: {of: shop, during: [from_day, to_day], among: {status: effective}}
steps:
  - {id: check, approvers: {role: approver}}
outcome:
  approved: {set: {since: "doc.from_day"}, emit: offer.agreed}
"""

NEW_ROUND = """
flow: offer_round
version: 1
document: offer
order: 1
when: doc.kind == 'round'
subject: [name, rate]
in_flight: {subject_edit: new_round, other_edit: deny, on_delete: terminate}
at_apply: {base_moved: block}
steps:
  - {id: first, approvers: {role: approver}}
  - {id: last, approvers: {role: finance}}
"""

AFFECTED = """
flow: offer_affected
version: 1
document: offer
order: 2
when: doc.kind == 'affected'
subject: [name, rate]
in_flight: {subject_edit: stale_affected}
steps:
  - {id: wording, approvers: {role: approver}, fields: {default: hide, read: [name]}}
  - {id: money, approvers: {role: finance}}
  - {id: last, approvers: {role: marketing}}
"""

SOURCES = {"a": OFFER, "b": FLOW, "c": NEW_ROUND, "d": AFFECTED, "e": ROLES}


@pytest.fixture(scope="module")
def offers(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with flows_on(backend, tmp_path_factory.mktemp("offers"), SOURCES) as made:
        yield made


@pytest.fixture
def desk(offers: Prepared) -> Iterator[World]:
    with fresh_world(offers) as made:
        yield made


def offer(desk: World, **values: Any) -> str:
    given = {"name": "Spring", "shop": "S1", "rate": "0.9"} | values
    return str(create_record(desk.ctx(LIN), "offer", given)["id"])


def send(desk: World, record_id: str) -> dict[str, Any]:
    return submit(desk.ctx(LIN), "offer", record_id)


def act(desk: World, actor, verb: str, task_id: str, **rest: Any) -> dict[str, Any]:
    rest.setdefault("subject_hash", get_task(desk.ctx(actor), task_id)["subject_hash"])
    return decide(desk.ctx(actor), task_id, verb, **rest)


def edit(desk: World, record_id: str, **values: Any) -> None:
    update_record(desk.ctx(LIN), "offer", record_id, values, version=None)


def see(desk: World, record_id: str) -> dict[str, Any]:
    return get_record(desk.ctx(ADMIN), "offer", record_id)


def in_force(desk: World, **values: Any) -> str:
    record_id = offer(desk, **values)
    assert act(desk, APPROVER, "approve", send(desk, record_id)["task"])["state"] == "approved"
    return record_id


def test_flow_is_the_first_whose_condition_holds_for_the_document(desk: World) -> None:
    for kind, flow in (
        ("plain", "offer_plain"), ("round", "offer_round"), ("affected", "offer_affected"),
    ):  # fmt: skip
        sent = send(desk, offer(desk, kind=kind, shop=kind))
        shown = get_instance(desk.ctx(ADMIN), sent["instance"])
        assert shown["flow"]["name"] == flow


def test_only_what_is_not_voted_on_may_be_edited_by_default(desk: World) -> None:
    record_id = offer(desk)
    sent = send(desk, record_id)
    refusal(errors.SubjectLocked, update_record, desk.ctx(LIN), "offer", record_id,
            {"rate": "0.8"}, version=None)  # fmt: skip
    refusal(errors.SubjectLocked, delete_record, desk.ctx(LIN), "offer", record_id, version=None)
    edit(desk, record_id, remark="Later.")
    assert act(desk, APPROVER, "approve", sent["task"])["state"] == "approved"
    assert see(desk, record_id)["remark"] == "Later."
    sound(desk)


def test_edit_of_what_is_voted_on_asks_everybody_again_where_the_flow_says_so(desk: World) -> None:
    record_id = offer(desk, kind="round")
    sent = send(desk, record_id)
    second = act(desk, APPROVER, "approve", sent["task"])["next_task"]
    stale = get_task(desk.ctx(FINANCE), second)["subject_hash"]
    refusal(errors.SubjectLocked, update_record, desk.ctx(LIN), "offer", record_id,
            {"remark": "x"}, version=None)  # fmt: skip
    edit(desk, record_id, rate="0.8")
    shown = get_instance(desk.ctx(ADMIN), sent["instance"])
    waiting = [one for one in shown["tasks"] if one["state"] == "open"]
    assert [one["step"]["id"] for one in waiting] == ["first"]
    with pytest.raises(Conflict):
        act(desk, FINANCE, "approve", second, subject_hash=stale)
    with pytest.raises(errors.SubjectChanged) as refused:
        act(desk, SECOND, "approve", waiting[0]["id"], subject_hash=stale)
    assert [one.path for one in refused.value.problems] == ["rate"]
    last = act(desk, SECOND, "approve", waiting[0]["id"])["next_task"]
    assert act(desk, FINANCE, "approve", last)["state"] == "approved"
    sound(desk)


def test_edit_leaves_votes_that_it_does_not_concern_where_the_flow_says_so(desk: World) -> None:
    record_id = offer(desk, kind="affected")
    sent = send(desk, record_id)
    money = act(desk, APPROVER, "approve", sent["task"])["next_task"]
    act(desk, FINANCE, "approve", money)
    edit(desk, record_id, rate="0.8")
    shown = get_instance(desk.ctx(ADMIN), sent["instance"])
    waiting = [one["step"]["id"] for one in shown["tasks"] if one["state"] == "open"]
    assert waiting == ["money"], "the wording was not touched"
    edit(desk, record_id, name="Summer")
    shown = get_instance(desk.ctx(ADMIN), sent["instance"])
    waiting = [one for one in shown["tasks"] if one["state"] == "open"]
    assert [one["step"]["id"] for one in waiting] == ["wording"]
    sound(desk)


def test_deletion_ends_the_approval_where_the_flow_says_so(desk: World) -> None:
    record_id = offer(desk, kind="round")
    sent = send(desk, record_id)
    delete_record(desk.ctx(LIN), "offer", record_id, version=None)
    with pytest.raises(Conflict) as refused:
        decide(desk.ctx(APPROVER), sent["task"], "approve", subject_hash="x")
    assert refused.value.code == "flow.already_ended"
    sound(desk)


def test_condition_is_asked_at_the_start_and_when_it_takes_effect(desk: World) -> None:
    refusal(errors.RequireFailed, send, desk, offer(desk, rate="0.4"))
    assert see(desk, offer(desk, rate="0.4"))["status"] == "draft"


def test_outcome_may_be_an_expression_over_the_document(desk: World) -> None:
    record_id = in_force(desk, from_day="2030-05-01")
    assert str(see(desk, record_id)["since"]) == "2030-05-01"


def test_documents_of_one_scope_never_overlap_in_force(desk: World) -> None:
    first = offer(desk, from_day="2026-01-01", to_day="2026-01-31")
    second = offer(desk, name="Also", from_day="2026-01-31", to_day=None)
    other = offer(desk, name="Elsewhere", shop="S2", from_day="2026-01-10")
    later = offer(desk, name="Later", from_day="2026-03-01", to_day="2026-03-02")
    tasks = {one: send(desk, one)["task"] for one in (first, second, other, later)}
    assert act(desk, APPROVER, "approve", tasks[first])["state"] == "approved"
    blocked = act(desk, APPROVER, "approve", tasks[second])
    assert blocked["state"] == "apply_blocked"
    (problem,) = blocked["problems"]
    assert (problem["path"], problem["code"]) == ("shop", "flow.overlaps")
    assert problem["params"]["record"] == first
    assert act(desk, APPROVER, "approve", tasks[other])["state"] == "approved"
    assert act(desk, APPROVER, "approve", tasks[later])["state"] == "approved"
    # Where the other goes, the same votes put it in force.
    refusal(errors.NotPossible, retry, desk.ctx(ADMIN), _instance(desk, first), reason="x")
    again = retry(desk.ctx(ADMIN), blocked["instance"], reason="Again.")
    assert again["state"] == "apply_blocked"
    edit(desk, second, from_day="2026-02-01", to_day="2026-02-28")
    refusal(errors.SubjectChanged, retry, desk.ctx(ADMIN), blocked["instance"], reason="x")
    renewed = send(desk, second)
    assert renewed["round"] == 2
    assert act(desk, SECOND, "approve", renewed["task"])["state"] == "approved"
    sound(desk)


def _instance(desk: World, record_id: str) -> str:

    found = record_flow(desk.ctx(ADMIN), "offer", record_id)
    assert found is not None
    return str(found["id"])


NEWER = FLOW.replace("version: 1", "version: 2").replace(
    "  - {id: check, approvers: {role: approver}}",
    """  - {id: check, approvers: {role: approver}, may: [approve, reject, return],
      due: [{at: 2h, do: remind}, {at: 4h, do: escalate, to: {role: finance}}]}
  - {id: money, approvers: {role: finance}}""",
)


def test_running_approval_stays_on_its_version_until_it_is_migrated(desk: World) -> None:
    stays, moves = (send(desk, offer(desk, shop=shop)) for shop in ("S1", "S2"))
    refusal(errors.NotMigratable, migrate, desk.ctx(ADMIN), moves["instance"], reason="x")
    publish_sources(desk.db, SOURCES | {"b": NEWER})
    refusal(Forbidden, migrate, desk.ctx(APPROVER), moves["instance"], dry_run=True)
    look = migrate(desk.ctx(ADMIN), moves["instance"], dry_run=True)
    assert (look["from"], look["to"], look["possible"]) == (1, 2, True)
    assert look["steps"] == [{"step": "check", "state": "open", "maps": True, "reason": ""}]
    desk.clock.move(timedelta(hours=1))
    refusal(errors.OpinionRequired, migrate, desk.ctx(ADMIN), moves["instance"])
    migrate(desk.ctx(ADMIN), moves["instance"], reason="The rules changed.")
    task = get_task(desk.ctx(APPROVER), moves["task"])
    assert "return" in task["may"]
    opened = datetime.fromisoformat(task["opened_at"])
    assert datetime.fromisoformat(task["due_at"]) - opened == timedelta(hours=4)
    assert act(desk, APPROVER, "approve", moves["task"])["step"] == "money"
    assert act(desk, APPROVER, "approve", stays["task"])["state"] == "approved"
    sound(desk)


def test_approval_whose_step_is_gone_is_not_migrated(desk: World) -> None:
    sent = send(desk, offer(desk))
    publish_sources(desk.db, SOURCES | {"b": NEWER.replace("id: check", "id: look")})
    look = migrate(desk.ctx(ADMIN), sent["instance"], dry_run=True)
    assert (look["possible"], look["steps"][0]["reason"]) == (False, "flow.step_gone")
    params = refusal(errors.NotMigratable, migrate, desk.ctx(ADMIN), sent["instance"], reason="x")
    assert params == {"step": "check"}
    assert act(desk, APPROVER, "approve", sent["task"])["state"] == "approved"


def test_person_who_is_disabled_meanwhile_is_followed_by_their_manager(desk: World) -> None:
    named = FLOW.replace("version: 1", "version: 2").replace("{role: approver}", "{user: chen}")
    publish_sources(desk.db, SOURCES | {"b": named})
    sent = send(desk, offer(desk))
    gone = replace(EVERYBODY.people[APPROVER.id], is_active=False)
    staff = replace(
        EVERYBODY, people={**EVERYBODY.people, APPROVER.id: gone},
        assigned={APPROVER.id: SECOND.id},
    )  # fmt: skip
    with STAFF.asking(lambda _connection, _registry: staff):
        assert attempt(desk.ctx(SYSTEM), sent["instance"], [Command("recheck")])
        assert act(desk, SECOND, "approve", sent["task"])["state"] == "approved"
    sound(desk)


def test_nobody_left_to_decide_is_told_to_administrators_and_never_passes(desk: World) -> None:
    sent = send(desk, offer(desk))
    nobody = replace(EVERYBODY, roles={**EVERYBODY.roles, "approver": ()})
    with STAFF.asking(lambda _connection, _registry: nobody):
        assert attempt(desk.ctx(SYSTEM), sent["instance"], [Command("recheck")])
        shown = get_instance(desk.ctx(ADMIN), sent["instance"])
        assert (shown["state"], shown["attention"]) == ("running", "no_approver")
    assert attempt(desk.ctx(SYSTEM), sent["instance"], [Command("recheck")])
    assert get_instance(desk.ctx(ADMIN), sent["instance"])["attention"] == ""
    sound(desk)


def test_field_that_a_running_approval_decides_by_neither_goes_nor_changes(
    desk: World,
) -> None:
    sent = send(desk, offer(desk))
    without = OFFER.replace("  - {name: shop, type: text}\n", "")
    retyped = OFFER.replace("{name: rate, type: rate}", "{name: rate, type: text}")
    flow = (
        FLOW.replace("version: 1", "version: 2")
        .replace("shop, rate, ", "")
        .replace('start: {require: "rate != null and rate > 0.5"}\n', "")
    )
    flow = flow[: flow.index("at_apply")] + flow[flow.index("steps") :]
    for changed, field in ((without, "shop"), (retyped, "rate")):
        with pytest.raises(SchemaError) as refused:
            publish_sources(desk.db, SOURCES | {"a": changed, "b": flow})
        problems = {one.path: one.code for one in refused.value.problems}
        assert problems == {f"offer.{field}": "schema.running_field"}
    publish_sources(desk.db, SOURCES | {"a": OFFER.replace("remark", "note")})
    more = OFFER.replace("  - {name: since", "  - {name: extra, type: text}\n  - {name: since")
    publish_sources(desk.db, SOURCES | {"a": more})
    assert act(desk, APPROVER, "approve", sent["task"])["state"] == "approved"
