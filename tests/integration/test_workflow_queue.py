"""What makes a queue fast to work off: bulk, undo, filters, putting off, and its figures."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from core.actor import SYSTEM
from core.context import Client
from core.errors import Conflict, Invalid, NotFound
from core.jobs.worker import Worker
from core.records.people import PEOPLE, Person
from core.workflow.deciding import Decision, decide
from core.workflow.evidence.events import list_events
from core.workflow.models import instance
from core.workflow.operations import withdraw
from core.workflow.queue import bulk, holding
from core.workflow.queue import filters as taskfilters
from core.workflow.queue.bottlenecks import bottlenecks
from core.workflow.queue.inbox import Narrowing, counts, list_tasks
from core.workflow.queue.notices import list_notices
from core.workflow.queue.openings import mark_opened
from core.workflow.queue.pages import get_instance, get_task
from core.workflow.queue.snoozing import bring_back, put_off
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    FINANCE,
    LIN,
    MARKETING,
    SECOND,
    START,
    World,
)
from tests.integration.test_workflow_inbox import approve, send, titles


class _Staff:
    """Answers for the people of these tests, as the security layer does for users."""

    people = (APPROVER, SECOND, LIN)

    def by_id(self, _connection, ids):
        return [Person(one.id, one.name, one.name) for one in self.people if one.id in ids]

    def by_login(self, _connection, _logins):
        return []

    def search(self, _connection, _text, _limit):
        return []

    def actors(self, _connection, _registry, ids):
        return {one.id: one for one in self.people if one.id in ids}


@pytest.fixture(autouse=True)
def _staff() -> Iterator[None]:
    with PEOPLE.asking(_Staff()):
        yield


def shown(world: World, actor, task_id: str) -> dict[str, str]:
    return {"id": task_id, "subject_hash": get_task(world.ctx(actor), task_id)["subject_hash"]}


def work(world: World) -> None:
    """Let the worker deliver and do its chores."""
    bulk.register(world.handlers)
    world.deliver()


def spoil(world: World, instance_id: str) -> None:
    """Leave an instance whose definition nobody can read, as a damaged database does."""
    with world.db.write() as connection:
        connection.execute(
            instance.update().where(instance.c.id == instance_id).values(definition="{")
        )


def hold(world: World, sent: dict[str, Any], verb: str = "approve", **rest: Any) -> dict[str, Any]:
    item = shown(world, APPROVER, sent["task"])
    decision = Decision(item["id"], verb, item["subject_hash"], rest.pop("opinion", ""))
    return holding.hold(world.ctx(APPROVER), decision, rest.pop("seconds", 10))


# -- bulk ----------------------------------------------------------------------------------------


def test_preview_says_of_each_task_what_is_missing(world: World) -> None:
    good, changed = (send(world, name) for name in ("Good", "Changed"))
    ctx = world.ctx(APPROVER)
    items = [
        shown(world, APPROVER, good["task"]),
        {"id": changed["task"], "subject_hash": "0" * 64},
        {"id": "nothing", "subject_hash": ""},
    ]
    assert [one["result"] for one in bulk.preview(ctx, "approve", items)] == [
        "eligible", "changed", "not_yours",
    ]  # fmt: skip
    (found,) = bulk.preview(ctx, "reject", items[:1])
    assert (found["result"], found["code"]) == ("needs_opinion", "flow.opinion_required")
    assert bulk.preview(world.ctx(LIN), "approve", items[:1])[0]["result"] == "not_yours"
    assert counts(world.ctx(APPROVER))["todo"] == 2, "a preview writes nothing"


def test_small_bulk_answers_at_once_and_a_repetition_is_no_operation(world: World) -> None:
    sent = [send(world, f"R{number}") for number in range(3)]
    items = [shown(world, APPROVER, one["task"]) for one in sent]
    results = bulk.decide_all(world.ctx(APPROVER), "approve", items)
    assert [one["result"] for one in results] == ["applied"] * 3
    again = bulk.decide_all(world.ctx(APPROVER), "approve", items)
    assert [one["result"] for one in again] == ["no_op"] * 3
    (late,) = bulk.decide_all(world.ctx(SECOND), "approve", items[:1])
    assert (late["result"], late["code"]) == ("refused", "flow.already_decided")


def test_large_bulk_is_done_by_the_worker_with_a_result_per_task(world: World) -> None:
    sent = [send(world, f"R{number:02}") for number in range(bulk.AT_ONCE + 4)]
    items = [shown(world, APPROVER, one["task"]) for one in sent]
    items[3]["subject_hash"] = "0" * 64
    withdraw(world.ctx(LIN), "rule", sent[5]["record"]["id"])
    bulk_id = bulk.decide_all(world.ctx(APPROVER), "approve", items)
    before = bulk.progress(world.ctx(APPROVER), bulk_id)
    assert (before["state"], before["done"], before["total"]) == ("working", 0, len(items))
    with pytest.raises(Conflict):
        bulk.retry(world.ctx(APPROVER), bulk_id)
    work(world)
    after = bulk.progress(world.ctx(APPROVER), bulk_id)
    assert (after["state"], after["done"]) == ("done", len(items))
    assert after["counts"] == {
        "open": 0, "applied": len(items) - 2, "no_op": 0, "refused": 2, "failed": 0,
    }  # fmt: skip
    codes = {one["code"] for one in after["items"] if one["result"] == "refused"}
    assert codes == {"flow.subject_changed", "flow.already_ended"}
    with pytest.raises(NotFound):
        bulk.progress(world.ctx(SECOND), bulk_id)


def test_task_that_breaks_keeps_none_behind_it_from_being_decided(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    sent = [send(world, f"R{number}") for number in range(2)]
    items = [shown(world, APPROVER, one["task"]) for one in sent]
    spoil(world, sent[0]["instance"])
    results = bulk.decide_all(world.ctx(APPROVER), "approve", items)
    assert [one["result"] for one in results] == ["failed", "applied"]
    assert results[0]["code"] == "flow.not_made"
    assert "could not be decided with others" in caplog.text


def test_retry_does_only_what_was_not_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    sent = [send(world, f"R{number:02}") for number in range(bulk.AT_ONCE + 1)]
    items = [shown(world, APPROVER, one["task"]) for one in sent]
    bulk_id = bulk.decide_all(world.ctx(APPROVER), "reject", items)
    work(world)
    first = bulk.progress(world.ctx(APPROVER), bulk_id)
    assert first["counts"]["refused"] == len(items), "an opinion is required"
    # Somebody else settles one of them; the retry finds that and the rest as it was.
    approve(world, SECOND, sent[0]["task"])
    bulk.retry(world.ctx(APPROVER), bulk_id)
    work(world)
    codes = [one["code"] for one in bulk.progress(world.ctx(APPROVER), bulk_id)["items"]]
    assert codes == ["flow.already_decided"] + ["flow.opinion_required"] * bulk.AT_ONCE


@pytest.mark.parametrize("items", [None, [1], [{"id": "x", "other": "y"}], [{"id": "x"}] * 501])
def test_senseless_bulk_is_refused(world: World, items: Any) -> None:
    with pytest.raises(Invalid):
        bulk.decide_all(world.ctx(APPROVER), "approve", items)


# -- undo ----------------------------------------------------------------------------------------


def test_held_decision_is_made_when_its_time_has_come(world: World) -> None:
    sent = send(world, "Spring")
    held = hold(world, sent)
    assert hold(world, sent)["held"] == held["held"], "a double click holds once"
    assert titles(world, APPROVER) == [], "it is out of the box"
    assert titles(world, SECOND) == ["Spring"], "for others it is as it was"
    holding.perform_due(world.ctx(SYSTEM))
    assert get_instance(world.ctx(APPROVER), sent["instance"])["state"] == "running"
    world.clock.move(timedelta(seconds=10))
    # A worker that starts anew finds it in the table.
    holding.register(world.handlers)
    Worker(world.db, lambda: world.ctx(SYSTEM), handlers=world.handlers, elected=False).turn()
    found = get_instance(world.ctx(APPROVER), sent["instance"])
    assert (found["state"], found["ended_by"]) == ("approved", "Chen")
    with pytest.raises(holding.AlreadyDone):
        holding.cancel(world.ctx(APPROVER), held["held"])


def test_held_decision_can_be_called_back_by_its_person_only(world: World) -> None:
    sent = send(world, "Spring")
    held = hold(world, sent)
    with pytest.raises(NotFound):
        holding.cancel(world.ctx(SECOND), held["held"])
    assert holding.cancel(world.ctx(APPROVER), held["held"])["state"] == "cancelled"
    world.clock.move(timedelta(seconds=60))
    assert holding.perform_due(world.ctx(SYSTEM)) == 0
    assert titles(world, APPROVER) == ["Spring"]


def test_held_decision_on_what_changed_meanwhile_is_refused_and_told(world: World) -> None:
    sent = send(world, "Spring")
    hold(world, sent)
    approve(world, SECOND, sent["task"])
    world.clock.move(timedelta(seconds=20))
    holding.perform_due(world.ctx(SYSTEM))
    (notice,) = list_notices(world.ctx(APPROVER))
    assert "Your decision was not made: Zhao decided this already" in notice["message"]
    found = get_instance(world.ctx(APPROVER), sent["instance"])
    assert [one["verb"] for one in found["events"]].count("approve") == 1


def test_held_decision_that_breaks_keeps_no_other_from_being_made(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = send(world, "Broken"), send(world, "Sound")
    hold(world, broken)
    hold(world, sound)
    spoil(world, broken["instance"])
    world.clock.move(timedelta(seconds=10))
    holding.perform_due(world.ctx(SYSTEM))
    assert "could not be made" in caplog.text
    assert get_instance(world.ctx(APPROVER), sound["instance"])["state"] == "approved"
    (notice,) = list_notices(world.ctx(APPROVER))
    assert "Something went wrong" in notice["message"]
    assert holding.perform_due(world.ctx(SYSTEM)) == 0


def test_what_would_be_refused_is_not_held(world: World) -> None:
    sent = send(world, "Spring")
    with pytest.raises(Invalid):
        hold(world, sent, seconds=11)
    with pytest.raises(Invalid):
        hold(world, sent, "transfer")
    with pytest.raises(Invalid, match=r"opinion"):
        hold(world, sent, "reject")
    hold(world, sent)
    with pytest.raises(holding.HeldAlready):
        hold(world, sent, "reject", opinion="No.")


# -- putting off, filters ------------------------------------------------------------------------


def test_task_put_off_comes_back_by_itself(world: World) -> None:
    sent = send(world, "Spring")
    ctx = world.ctx(APPROVER)
    put_off(ctx, sent["task"], ctx.now + timedelta(hours=1))
    assert titles(world, APPROVER) == []
    assert counts(world.ctx(APPROVER))["todo"] == 0
    assert titles(world, APPROVER, narrowing=Narrowing(snoozed=True)) == ["Spring"]
    assert titles(world, SECOND) == ["Spring"]
    world.clock.move(timedelta(hours=2))
    assert titles(world, APPROVER) == ["Spring"]
    ctx = world.ctx(APPROVER)
    put_off(ctx, sent["task"], ctx.now + timedelta(hours=1))
    bring_back(world.ctx(APPROVER), sent["task"])
    assert titles(world, APPROVER) == ["Spring"]
    for until in (ctx.now - timedelta(hours=1), ctx.now + timedelta(days=91)):
        with pytest.raises(Invalid):
            put_off(ctx, sent["task"], until)
    with pytest.raises(NotFound):
        put_off(ctx, "nothing", ctx.now + timedelta(hours=1))


def test_box_is_narrowed_by_step_initiator_and_text(world: World) -> None:
    send(world, "Spring 50% off")
    send(world, "Money", type_name="budget")
    for narrowing, expected in (
        (Narrowing(step="review"), ["Spring 50% off"]),
        (Narrowing(initiator=LIN.id), ["Spring 50% off", "Money"]),
        (Narrowing(initiator="12"), []),
        (Narrowing(text="spring"), ["Spring 50% off"]),
        (Narrowing(text="50%"), ["Spring 50% off"]),
        (Narrowing(text="%"), ["Spring 50% off"]),
        (Narrowing(text="Lin"), ["Spring 50% off", "Money"]),
        (Narrowing(overdue=True), []),
        (Narrowing(attention=True), []),
    ):
        assert titles(world, APPROVER, narrowing=narrowing) == expected
        assert titles(world, ADMIN, box="team", narrowing=narrowing) == expected


def test_saved_filter_belongs_to_one_person(world: World) -> None:
    query = {"box": "todo", "overdue": True}
    saved = taskfilters.save_filter(world.ctx(APPROVER), "Late", query)
    assert taskfilters.list_filters(world.ctx(APPROVER)) == [saved]
    again = taskfilters.save_filter(world.ctx(APPROVER), "Late", {"box": "team"})
    assert (again["id"], again["query"]) == (saved["id"], {"box": "team"})
    assert taskfilters.list_filters(world.ctx(SECOND)) == []
    with pytest.raises(NotFound):
        taskfilters.remove_filter(world.ctx(SECOND), saved["id"])
    taskfilters.remove_filter(world.ctx(APPROVER), saved["id"])
    assert taskfilters.list_filters(world.ctx(APPROVER)) == []
    for wrong in ({"box": "trash"}, {"overdue": "yes"}, {"other": 1}, {"text": "x" * 101}):
        with pytest.raises(Invalid):
            taskfilters.save_filter(world.ctx(APPROVER), "Wrong", wrong)


# -- figures -------------------------------------------------------------------------------------


def look(world: World, actor, **rest: Any) -> dict[str, Any]:
    until = START + timedelta(days=60)
    return bottlenecks(world.ctx(actor), since=START, until=until, **rest)


def test_figures_tell_waits_and_rubber_stamps(world: World) -> None:
    for minutes, is_read in ((10, True), (20, True), (30, False)):
        sent = send(world, f"R{minutes}")
        if is_read:
            mark_opened(world.ctx(APPROVER), sent["task"])
        world.clock.move(timedelta(minutes=minutes))
        approve(world, APPROVER, sent["task"])
    found = look(world, ADMIN, type_name="rule")
    (step,) = found["steps"]
    assert (step["type"], step["step"], step["count"]) == ("rule", "review", 3)
    assert step["median"] // 60 == 20
    assert step["p90"] // 60 == 30
    assert step["stamped"] == round(1 / 3, 4)
    assert (step["automatic"], step["return_rate"]) == (0.0, 0.0)
    assert [(one["id"], one["count"]) for one in found["people"]] == [(APPROVER.id, 3)]
    assert found["rounds"] == {"ended": 3, "average": 1.0, "repeated": 0.0}
    assert found["waiting"]["approver"] // 60 == 60


def test_figures_of_people_are_for_those_who_audit(world: World) -> None:
    approve(world, APPROVER, send(world, "Spring")["task"])
    assert [one["id"] for one in look(world, ADMIN)["people"]] == [APPROVER.id]
    assert [one["id"] for one in look(world, APPROVER)["people"]] == [APPROVER.id]
    assert look(world, SECOND)["people"] == []


def test_figures_leave_out_what_the_reader_may_not_see(world: World) -> None:
    approve(world, APPROVER, send(world, "Spring")["task"])
    approve(world, APPROVER, send(world, "Money", type_name="budget")["task"])
    assert {one["type"] for one in look(world, FINANCE)["steps"]} == {"rule", "budget"}
    assert {one["type"] for one in look(world, MARKETING)["steps"]} == {"budget"}
    with pytest.raises(Invalid):
        bottlenecks(world.ctx(ADMIN), since=START, until=START)


def test_task_is_opened_once_and_only_while_it_is_open(world: World) -> None:
    sent = send(world, "Spring")
    mark_opened(world.ctx(APPROVER), sent["task"])
    mark_opened(world.ctx(APPROVER), sent["task"])
    with pytest.raises(NotFound):
        mark_opened(world.ctx(APPROVER), "nothing")
    row = list_tasks(world.ctx(APPROVER))["items"][0]
    decide(world.ctx(APPROVER), row["id"], "approve", subject_hash=row["subject_hash"])
    with pytest.raises(NotFound):
        mark_opened(world.ctx(SECOND), sent["task"])


def test_decision_made_later_says_from_where_it_was_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    desk = {"client": Client("203.0.113.9", "Desk", "session"), "request_id": "request-77"}
    sent = [send(world, f"R{number:02}") for number in range(bulk.AT_ONCE + 2)]
    items = [shown(world, APPROVER, one["task"]) for one in sent]
    bulk.decide_all(world.ctx(APPROVER, **desk), "approve", items[1:])
    work(world)
    decision = Decision(items[0]["id"], "approve", items[0]["subject_hash"])
    holding.hold(world.ctx(APPROVER, **desk), decision, 5)
    world.clock.move(timedelta(seconds=10))
    holding.perform_due(world.ctx(SYSTEM))
    with world.db.read() as connection:
        for one in sent:
            (said,) = (
                each
                for each in list_events(connection, one["instance"])
                if each["verb"] == "approve"
            )
            told = (said["ip"], said["user_agent"], said["auth"], said["request_id"])
            assert told == ("203.0.113.9", "Desk", "session", "request-77")
