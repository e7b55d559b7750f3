"""Reminding approvers: who may, how often, and what it leaves behind."""

from datetime import timedelta

import pytest

from core.errors import NotFound
from core.records.operations import create_record
from core.workflow import errors
from core.workflow.deciding import decide
from core.workflow.errors import RemindedLately
from core.workflow.evidence import events as evidence
from core.workflow.operations import submit, suspend
from core.workflow.queue.inbox import list_tasks
from core.workflow.queue.notices import list_notices
from core.workflow.queue.pages import get_instance, get_task
from core.workflow.timing.reminding import remind
from tests.integration.flow_world import ADMIN, APPROVER, FINANCE, LIN, MARKETING, WANG, World


def send(world: World, type_name: str = "rule") -> dict:
    record_id = create_record(world.ctx(LIN), type_name, {"name": "Spring"})["id"]
    return submit(world.ctx(LIN), type_name, record_id)


def messages(world: World, actor) -> list[str]:
    return [each["message"] for each in list_notices(world.ctx(actor))]


def test_remind_tells_the_approvers_and_changes_nothing(world: World) -> None:
    sent = send(world)
    before = get_task(world.ctx(APPROVER), sent["task"])
    answer = remind(world.ctx(LIN), "rule", sent["record"]["id"])
    assert answer == sent
    world.deliver()
    assert messages(world, APPROVER) == [
        "Lin reminds you: Rule Spring waits for your decision.",
        "Rule Spring waits for your decision.",
    ]
    assert messages(world, LIN) == []
    after = get_task(world.ctx(APPROVER), sent["task"])
    assert (after["subject_hash"], after["state"]) == (before["subject_hash"], "open")
    events = get_instance(world.ctx(APPROVER), sent["instance"])["events"]
    assert [each["verb"] for each in events] == ["submit", "open", "remind"]
    with world.db.read() as connection:
        assert evidence.verify(connection) == (1, [])


def test_remind_waits_two_hours_before_the_next(world: World) -> None:
    record_id = send(world)["record"]["id"]
    remind(world.ctx(LIN), "rule", record_id)
    world.clock.move(timedelta(minutes=119))
    with pytest.raises(RemindedLately) as refused:
        remind(world.ctx(LIN), "rule", record_id)
    assert refused.value.params == {"minutes": 1, "retry_after": 59}
    world.clock.move(timedelta(minutes=1))
    assert remind(world.ctx(LIN), "rule", record_id)["state"] == "running"


def test_remind_with_a_key_has_one_effect(world: World) -> None:
    sent = send(world)
    first = remind(world.ctx(LIN), "rule", sent["record"]["id"], key="once")
    assert remind(world.ctx(LIN), "rule", sent["record"]["id"], key="once") == first
    events = get_instance(world.ctx(APPROVER), sent["instance"])["events"]
    assert [each["verb"] for each in events] == ["submit", "open", "remind"]


def test_remind_is_for_the_initiator_alone(world: World) -> None:
    record_id = send(world)["record"]["id"]
    with pytest.raises(errors.NotInitiator):
        remind(world.ctx(WANG), "rule", record_id)
    draft = create_record(world.ctx(LIN), "rule", {"name": "Draft"})["id"]
    with pytest.raises(NotFound):
        remind(world.ctx(LIN), "rule", draft)


def test_remind_is_refused_when_nobody_can_decide(world: World) -> None:
    sent = send(world)
    suspend(world.ctx(ADMIN), sent["instance"], reason="stop")
    with pytest.raises(errors.Suspended):
        remind(world.ctx(LIN), "rule", sent["record"]["id"])


def test_remind_after_the_decision_says_how_it_ended(world: World) -> None:
    sent = send(world)
    shown = get_task(world.ctx(APPROVER), sent["task"])["subject_hash"]
    decide(world.ctx(APPROVER), sent["task"], "approve", subject_hash=shown)
    with pytest.raises(errors.AlreadyEnded):
        remind(world.ctx(LIN), "rule", sent["record"]["id"])


def test_remind_reaches_only_voices_that_are_missing(world: World) -> None:
    sent = send(world, "budget")
    shown = get_task(world.ctx(APPROVER), sent["task"])["subject_hash"]
    decide(world.ctx(APPROVER), sent["task"], "approve", subject_hash=shown)
    task = list_tasks(world.ctx(FINANCE))["items"][0]["id"]
    shown = get_task(world.ctx(FINANCE), task)["subject_hash"]
    decide(world.ctx(FINANCE), task, "approve", subject_hash=shown)
    world.deliver()
    before = messages(world, FINANCE)
    remind(world.ctx(LIN), "budget", sent["record"]["id"])
    world.deliver()
    assert messages(world, FINANCE) == before
    assert (
        messages(world, MARKETING)[0] == "Lin reminds you: Budget Spring waits for your decision."
    )
