"""What happens to approvals by themselves: clocks, waits, effects, copies, and who is told."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.automation import flowsteps, registering
from core.errors import Conflict, Forbidden, NotFound
from core.jobs.outbox import outbox
from core.records.operations import create_record, update_record
from core.records.queries import get_record
from core.testing.databases import Prepared
from core.workflow.deciding import decide
from core.workflow.models import instance, seat, task, timer
from core.workflow.operations import resume, submit, suspend
from core.workflow.queue.copies import mark_copy_read
from core.workflow.queue.inbox import counts, list_tasks
from core.workflow.queue.notices import list_notices
from core.workflow.queue.pages import get_instance, get_task
from core.workflow.timing import effects, sweeping
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    FINANCE,
    LIN,
    MARKETING,
    SECOND,
    SOURCES,
    World,
    flows_on,
    fresh_world,
)

REQUEST = """
record_type: request
label: {zh: 申请, en: Request}
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: agreed, type: boolean, default: "false"}
  - {name: remark, type: text}
policies:
  - {name: all, who: {role: [clerk, approver, finance, marketing, Admin]}, actions: ["*"]}
"""

REQUEST_FLOW = """
flow: request_release
version: 1
document: request
subject: [name]
steps:
  - id: review
    approvers: {role: approver}
    queue: {claim: required, lease: 5m}
    may: [approve, reject, return, claim]
    due:
      - {at: 1h, do: remind}
      - {at: 2h, do: escalate, to: {role: finance}, keep_original: true}
  - {id: tell, type: cc, to: {role: marketing}}
  - {id: agreement, type: wait, until: agreed}
  - id: after
    type: effect
    actions:
      - {do: set, values: {remark: "concat(name, ' was looked at')"}}
  - {id: last, approvers: {role: finance}}
"""


@pytest.fixture(scope="module")
def clock_database(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with flows_on(
        backend,
        tmp_path_factory.mktemp("clocks"),
        SOURCES | {"request.yaml": REQUEST, "request_flow.yaml": REQUEST_FLOW},
    ) as made:
        yield made


@pytest.fixture
def world(clock_database: Prepared) -> Iterator[World]:
    with fresh_world(clock_database) as made:
        sweeping.register(made.handlers)
        registering.register(made.handlers)
        yield made


def send(world: World, name: str = "Desk") -> dict[str, Any]:
    record_id = create_record(world.ctx(LIN), "request", {"name": name})["id"]
    return submit(world.ctx(LIN), "request", record_id)


def act(world: World, actor, verb: str, task_id: str, **rest: Any) -> dict[str, Any]:
    shown = get_task(world.ctx(actor), task_id)["subject_hash"]
    return decide(world.ctx(actor), task_id, verb, subject_hash=shown, **rest)


def sweep(world: World, **later: int) -> int:
    world.clock.move(timedelta(**later))
    return sweeping.strike(world.ctx(SYSTEM))


def row_of(world: World, table: sa.Table, row_id: str) -> sa.RowMapping:
    with world.db.read() as connection:
        return connection.execute(sa.select(table).where(table.c.id == row_id)).mappings().one()


def verbs(world: World, instance_id: str) -> list[str]:
    return [one["verb"] for one in get_instance(world.ctx(ADMIN), instance_id)["events"]]


def messages(world: World, actor) -> list[str]:
    world.deliver()
    return [one["message"] for one in list_notices(world.ctx(actor))]


def agree(world: World, sent: dict[str, Any]) -> None:
    """Write what the wait is for, as another effect of the approval would."""
    ctx = world.ctx(SYSTEM, door="flow")
    update_record(ctx, "request", sent["record"]["id"], {"agreed": True}, version=None)


def to_wait(world: World) -> dict[str, Any]:
    """Walk a request up to the step that waits for an agreement."""
    sent = send(world)
    act(world, APPROVER, "claim", sent["task"])
    act(world, APPROVER, "approve", sent["task"])
    return sent


# -- clocks --------------------------------------------------------------------------------------


def test_clocks_remind_then_escalate_without_another_seat(world: World) -> None:
    sent = send(world)
    row = list_tasks(world.ctx(APPROVER))["items"][0]
    assert (row["sla"]["state"], row["sla"]["business"]) == ("green", False)
    assert sweep(world, minutes=50) == 0
    assert sweep(world, minutes=20) == 1
    assert messages(world, APPROVER)[0].endswith("Request Desk waits for your decision.")
    assert list_tasks(world.ctx(FINANCE))["items"] == []
    assert sweep(world, minutes=50) == 1
    row = list_tasks(world.ctx(FINANCE))["items"][0]
    assert (row["id"], row["progress"]["seats"]) == (sent["task"], 1)
    assert row["sla"] is None or row["sla"]["state"] == "red"
    assert messages(world, FINANCE) == ["Request Desk waits for your decision."]
    assert sweep(world, hours=50) == 0, "each rung goes off once"
    assert verbs(world, sent["instance"]).count("escalate") == 1


def test_clock_that_is_late_to_a_decision_does_nothing(world: World) -> None:
    sent = to_wait(world)
    before = verbs(world, sent["instance"])
    assert sweep(world, hours=5) == 0
    with world.db.read() as connection:
        pending = sa.select(timer.c.id).where(timer.c.state == "pending", timer.c.rung >= 0)
        assert connection.execute(pending).all() == []
    assert verbs(world, sent["instance"]) == before


def test_clock_stands_while_an_approval_is_suspended(world: World) -> None:
    sent = send(world)
    sweep(world, minutes=40)
    suspend(world.ctx(ADMIN), sent["instance"], reason="Audit")
    row = list_tasks(world.ctx(ADMIN), box="team")["items"][0]
    assert row["sla"] == {"state": "paused", "seconds": None, "business": False}
    assert sweep(world, hours=50) == 0
    resume(world.ctx(ADMIN), sent["instance"], reason="Go on")
    assert sweep(world, minutes=15) == 0
    assert sweep(world, minutes=10) == 1


def test_failing_approval_is_left_alone_and_holds_up_no_other(world: World) -> None:
    broken, sound = send(world, "Broken"), send(world, "Sound")
    with world.db.write() as connection:
        connection.execute(
            instance.update().where(instance.c.id == broken["instance"]).values(definition="{")
        )
    assert sweep(world, hours=1) == 2
    assert "remind" in verbs(world, sound["instance"])
    assert sweep(world) == 0, "it is left alone for a while"
    for _ in range(sweeping.TELL_AFTER - 1):
        assert sweep(world, hours=2) >= 1
    with world.db.read() as connection:
        topics = connection.execute(sa.select(outbox.c.topic)).scalars().all()
        row = connection.execute(sa.select(sweeping.trouble)).mappings().one()
    assert topics.count("flow.attention") == 1
    assert (row["attempts"], row["instance_id"]) == (sweeping.TELL_AFTER, broken["instance"])


def test_claim_ends_when_its_holder_gives_no_sign_of_life(world: World) -> None:
    sent = send(world)
    assert counts(world.ctx(SECOND))["claimable"] == 1
    row = list_tasks(world.ctx(APPROVER))["items"][0]
    assert row["may"] == ["claim"], "who decides claims first"
    act(world, APPROVER, "claim", sent["task"])
    (row,) = list_tasks(world.ctx(SECOND))["items"]
    assert (row["claimed"]["name"], row["may"]) == ("Chen", ["claim"])
    assert counts(world.ctx(SECOND))["claimable"] == 0
    assert sweeping.free_claims(world.ctx(SYSTEM)) == 0
    world.clock.move(timedelta(minutes=6))
    assert sweeping.free_claims(world.ctx(SYSTEM)) == 1
    assert counts(world.ctx(SECOND))["claimable"] == 1
    with world.db.read() as connection:
        claimed = sa.select(seat.c.claimed_by).where(seat.c.task_id == sent["task"])
        assert connection.execute(claimed).scalars().all() == [""]
    assert verbs(world, sent["instance"])[-1] == "release"


# -- waits and effects ---------------------------------------------------------------------------


def test_wait_ends_as_soon_as_its_document_says_so(world: World) -> None:
    sent = to_wait(world)
    assert sweeping.Asker().ask(world.ctx(SYSTEM)) == 1
    assert get_instance(world.ctx(ADMIN), sent["instance"])["state"] == "running"
    assert list_tasks(world.ctx(FINANCE))["items"] == []
    agree(world, sent)
    world.deliver()
    assert [one["step"]["id"] for one in list_tasks(world.ctx(FINANCE))["items"]] == ["last"]
    assert sweeping.Asker().ask(world.ctx(SYSTEM)) == 0


def test_effect_acts_once_and_the_approval_goes_on(world: World) -> None:
    sent = to_wait(world)
    agree(world, sent)
    world.deliver()
    record = get_record(world.ctx(LIN), "request", sent["record"]["id"])
    assert record["remark"] == "Desk was looked at"
    with world.db.read() as connection:
        (done,) = effects.effects_of(connection, sent["instance"])
    assert (done["step"], done["state"], done["attempts"]) == ("after", "done", 1)
    with pytest.raises(Conflict):
        effects.retry_effect(world.ctx(ADMIN), sent["instance"], done["visit"])


def test_failed_effect_keeps_the_outcome_and_is_tried_again_from_the_admin_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = to_wait(world)
    breaks = [True]
    do = flowsteps.Doing.do

    def sometimes(self: Any, at: int, action: Any) -> dict[str, Any]:
        if breaks:
            raise NotFound
        return do(self, at, action)

    monkeypatch.setattr(flowsteps.Doing, "do", sometimes)
    agree(world, sent)
    for _ in range(flowsteps.ATTEMPTS):
        world.deliver()
        with world.db.write() as connection:
            connection.execute(outbox.update().values(visible_at=""))
    world.deliver()
    found = get_instance(world.ctx(ADMIN), sent["instance"])
    assert found["state"] == "running"
    assert row_of(world, instance, sent["instance"])["attention"] == "effect_failed"
    assert "The approval of Request Desk cannot go on by itself." in messages(world, ADMIN)
    with world.db.read() as connection:
        (failed,) = effects.effects_of(connection, sent["instance"])
    assert (failed["state"], failed["attempts"]) == ("failed", flowsteps.ATTEMPTS)
    with pytest.raises(Forbidden):
        effects.retry_effect(world.ctx(LIN), sent["instance"], failed["visit"])
    breaks.clear()
    effects.retry_effect(world.ctx(ADMIN), sent["instance"], failed["visit"])
    world.deliver()
    assert row_of(world, instance, sent["instance"])["attention"] == ""
    assert get_record(world.ctx(LIN), "request", sent["record"]["id"])["remark"]
    assert [one for one in verbs(world, sent["instance"]) if one.startswith("effect_")] == [
        "effect_failed", "effect_done",
    ]  # fmt: skip


# -- copies and notices --------------------------------------------------------------------------


def test_copy_is_in_a_box_of_its_own_and_unread_until_it_is_read(world: World) -> None:
    sent = to_wait(world)
    assert messages(world, MARKETING) == ["You have a copy of Request Desk to read."]
    assert counts(world.ctx(MARKETING))["cc"] == 1
    (row,) = list_tasks(world.ctx(MARKETING), box="cc")["items"]
    assert (row["instance"], row["may"]) == (sent["instance"], [])
    mark_copy_read(world.ctx(MARKETING), sent["instance"])
    mark_copy_read(world.ctx(MARKETING), sent["instance"])
    assert counts(world.ctx(MARKETING))["cc"] == 0
    assert len(list_tasks(world.ctx(MARKETING), box="cc")["items"]) == 1
    with pytest.raises(NotFound):
        mark_copy_read(world.ctx(SECOND), sent["instance"])


def test_returned_document_and_taken_claim_are_told(world: World) -> None:
    sent = send(world)
    act(world, APPROVER, "claim", sent["task"])
    act(world, SECOND, "claim", sent["task"], then="steal")
    told = "Zhao has taken over Request Desk, which you were working on."
    assert told in messages(world, APPROVER)
    act(world, SECOND, "return", sent["task"], opinion="Say more.", to=("initiator",))
    assert messages(world, LIN) == ["Request Desk was returned by Zhao to be changed."]
    assert row_of(world, task, sent["task"])["result"] == "return"
