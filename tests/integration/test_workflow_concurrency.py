"""Two people at once: exactly one advance, one effect, one answer each, on both databases."""

import threading
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from core.records.operations import create_record, update_record
from core.records.queries import get_record
from core.workflow.deciding import decide
from core.workflow.evidence.events import verify
from core.workflow.models import event, instance, seat, task, vote
from core.workflow.operations import submit, withdraw
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    FINANCE,
    LIN,
    MARKETING,
    SECOND,
    World,
)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Run the calls in threads that start together; return each answer or error's code."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            results[index] = call()
        except Exception as error:  # noqa: BLE001  the test looks at it
            results[index] = getattr(error, "code", repr(error))

    threads = [
        threading.Thread(target=run, args=(index, call)) for index, call in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def budget(world: World, number: int) -> str:
    values = {"name": f"B{number}", "amount": number}
    return create_record(world.ctx(LIN), "budget", values)["id"]


def hash_of(world: World, task_id: str) -> str:
    with world.db.read() as connection:
        query = sa.select(task.c.subject_hash).where(task.c.id == task_id)
        return connection.execute(query).scalar_one()


def voting(world: World, actor, verb: str, task_id: str, **rest: Any) -> Callable[[], Any]:
    ctx, shown = world.ctx(actor), hash_of(world, task_id)
    opinion = "No." if verb == "reject" else ""
    return lambda: decide(ctx, task_id, verb, subject_hash=shown, opinion=opinion, **rest)


def signing_task(world: World, number: int) -> tuple[str, str]:
    """Return a budget and its task at the step that needs two roles."""
    record_id = budget(world, number)
    sent = submit(world.ctx(LIN), "budget", record_id)
    return record_id, voting(world, APPROVER, "approve", sent["task"])()["next_task"]


def count(world: World, table: sa.Table, *where: Any) -> int:
    with world.db.read() as connection:
        query = sa.select(sa.func.count()).select_from(table).where(*where)
        return connection.execute(query).scalar_one()


def assert_sound(world: World) -> None:
    with world.db.read() as connection:
        assert verify(connection)[1] == []


def test_two_last_voters_at_once_advance_exactly_once(world: World) -> None:
    for number in range(8):
        record_id, task_id = signing_task(world, number)
        answers = at_once(
            voting(world, FINANCE, "approve", task_id),
            voting(world, MARKETING, "approve", task_id),
        )
        assert sorted(one["verdict"] for one in answers) == ["passed", "undecided"]
        record = get_record(world.ctx(ADMIN), "budget", record_id)
        assert (record["status"], record["audit_seq"]) == ("effective", number + 1)
    assert count(world, seat, seat.c.state == "open") == 0
    assert count(world, event, event.c.verb == "effective") == 8
    assert_sound(world)


def test_approve_and_reject_at_once_have_one_winner(world: World) -> None:
    for number in range(6):
        record_id = budget(world, number)
        sent = submit(world.ctx(LIN), "budget", record_id)
        answers = at_once(
            voting(world, APPROVER, "approve", sent["task"]),
            voting(world, SECOND, "reject", sent["task"]),
        )
        assert answers.count("flow.already_decided") == 1
        (winner,) = [one for one in answers if isinstance(one, dict)]
        assert winner["state"] == ("running" if winner["verb"] == "approve" else "rejected")
    assert count(world, vote) == 6
    assert_sound(world)


def test_double_click_at_once_is_one_vote_with_and_without_a_key(world: World) -> None:
    first = submit(world.ctx(LIN), "budget", budget(world, 1))["task"]
    answers = at_once(*(voting(world, APPROVER, "approve", first, key="once") for _ in range(3)))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["verdict"] == "passed"
    second = submit(world.ctx(LIN), "budget", budget(world, 2))["task"]
    answers = at_once(*(voting(world, APPROVER, "approve", second) for _ in range(3)))
    assert answers.count("flow.already_decided") == 2
    assert count(world, vote) == 2


def test_two_submits_at_once_open_one_instance(world: World) -> None:
    for number in range(6):
        record_id = budget(world, number)
        first, second = world.ctx(LIN), world.ctx(LIN)
        answers = at_once(
            lambda ctx=first, record_id=record_id: submit(ctx, "budget", record_id),
            lambda ctx=second, record_id=record_id: submit(ctx, "budget", record_id),
        )
        assert answers.count("flow.duplicate_open") == 1
    assert count(world, instance) == 6


def test_withdraw_and_approve_at_once_agree_on_what_happened(world: World) -> None:
    for number in range(6):
        record_id = budget(world, number)
        sent = submit(world.ctx(LIN), "budget", record_id)
        ctx = world.ctx(LIN)
        withdrawn, voted = at_once(
            lambda ctx=ctx, record_id=record_id: withdraw(ctx, "budget", record_id),
            voting(world, APPROVER, "reject", sent["task"]),
        )
        status = get_record(world.ctx(ADMIN), "budget", record_id)["status"]
        if isinstance(withdrawn, dict):
            assert (voted, status) == ("flow.already_ended", "draft")
        else:
            assert (withdrawn, status) == ("flow.already_ended", "rejected")
    assert_sound(world)


def test_edit_and_submit_at_once_never_vote_on_what_was_not_submitted(world: World) -> None:
    for number in range(6):
        record_id = budget(world, number)
        editor, sender = world.ctx(LIN), world.ctx(LIN)
        edited, sent = at_once(
            lambda ctx=editor, record_id=record_id: update_record(
                ctx, "budget", record_id, {"amount": 777}, version=None
            ),
            lambda ctx=sender, record_id=record_id: submit(ctx, "budget", record_id),
        )
        assert isinstance(sent, dict)
        voting(world, APPROVER, "approve", sent["task"])()
        amount = get_record(world.ctx(ADMIN), "budget", record_id)["amount"]
        assert amount == (777 if isinstance(edited, dict) else number)
    assert_sound(world)
