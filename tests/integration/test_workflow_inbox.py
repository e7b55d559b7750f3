"""The boxes of the audit queue and what a task page shows to whom."""

from typing import Any

import pytest

from core.errors import Malformed, NotFound
from core.records.operations import create_record, update_record
from core.workflow.deciding import decide
from core.workflow.operations import submit, withdraw
from core.workflow.queue.inbox import Narrowing, counts, list_tasks
from core.workflow.queue.notices import list_notices, mark_read
from core.workflow.queue.pages import get_instance, get_task, record_flow
from core.workflow.staff.people import STAFF
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    BOTH,
    FINANCE,
    LIN,
    MARKETING,
    SECOND,
    WANG,
    World,
    person,
    staff_of,
)


def send(world: World, name: str, actor=LIN, type_name: str = "rule") -> dict[str, Any]:
    record_id = create_record(world.ctx(actor), type_name, {"name": name})["id"]
    return submit(world.ctx(actor), type_name, record_id)


def approve(world: World, actor, task_id: str) -> dict[str, Any]:
    shown = get_task(world.ctx(actor), task_id)["subject_hash"]
    return decide(world.ctx(actor), task_id, "approve", subject_hash=shown)


def titles(world: World, actor, **query: Any) -> list[str]:
    return [row["title"] for row in list_tasks(world.ctx(actor), **query)["items"]]


def test_row_has_everything_the_contract_names(world: World) -> None:
    sent = send(world, "Spring")
    (row,) = list_tasks(world.ctx(APPROVER))["items"]
    assert row == {
        "id": sent["task"],
        "instance": sent["instance"],
        "record": sent["record"],
        "title": "Spring",
        "step": {"id": "review", "title": {"zh": "审核", "en": "Review"}},
        "initiator": {"id": "11", "name": "Lin"},
        "opened_at": "2026-01-05T08:00:02.000000Z",
        "due_at": None,
        "sla": None,
        "progress": {"approved": 0, "seats": 1, "pending": ["approver"]},
        "priority": 0,
        "risk": "",
        "round": 1,
        "state": "open",
        "result": "",
        "instance_state": "running",
        "closed_at": None,
        "subject_hash": row["subject_hash"],
        "claimed": None,
        "on_behalf_of": None,
        "may": ["approve", "reject"],
    }


def test_boxes_follow_a_task_through_its_life(world: World) -> None:
    sent = send(world, "Spring")
    assert counts(world.ctx(APPROVER)) == {
        "todo": 1, "started": 0, "done": 0, "cc": 0, "claimable": 0, "team": 1,
    }  # fmt: skip
    assert counts(world.ctx(LIN))["started"] == 1
    assert titles(world, LIN, box="started") == ["Spring"]
    assert list_tasks(world.ctx(LIN), box="started")["items"][0]["may"] == ["withdraw", "remind"]
    approve(world, APPROVER, sent["task"])
    assert titles(world, APPROVER) == titles(world, SECOND) == []
    assert titles(world, APPROVER, box="done") == ["Spring"]
    assert titles(world, SECOND, box="done") == []
    (row,) = list_tasks(world.ctx(LIN), box="started")["items"]
    assert (row["instance_state"], row["may"]) == ("approved", [])
    assert counts(world.ctx(LIN))["started"] == 0


def test_pages_follow_each_other_without_gap_or_repetition(world: World) -> None:
    for number in range(7):
        send(world, f"R{number}")
    for sort, expected in (("", range(7)), ("-opened_at", range(6, -1, -1))):
        seen, after = [], ""
        while True:
            page = list_tasks(world.ctx(APPROVER), sort=sort, after=after, limit=3)
            seen += [row["title"] for row in page["items"]]
            if page["next"] is None:
                break
            after = page["next"]
        assert seen == [f"R{number}" for number in expected]


def test_box_can_be_narrowed_to_one_type(world: World) -> None:
    send(world, "Spring")
    send(world, "Money", type_name="budget")
    assert titles(world, APPROVER, narrowing=Narrowing(type_name="budget")) == ["Money"]
    assert titles(world, LIN, box="started", narrowing=Narrowing(type_name="rule")) == ["Spring"]
    assert titles(world, APPROVER, box="done", narrowing=Narrowing(type_name="budget")) == []


def test_person_with_two_roles_sees_a_task_once(world: World) -> None:
    sent = send(world, "Money", type_name="budget")
    approve(world, APPROVER, sent["task"])
    assert titles(world, BOTH) == ["Money"]
    assert counts(world.ctx(BOTH))["todo"] == 1


def test_own_work_is_in_no_todo_but_in_the_team_box(world: World) -> None:
    both = person("11", "Lin", "clerk", "approver")
    send(world, "Spring")
    assert titles(world, both) == []
    (row,) = list_tasks(world.ctx(both), box="team")["items"]
    assert row["may"] == ["withdraw", "remind"]
    assert titles(world, ADMIN, box="team") == ["Spring"]
    assert titles(world, WANG, box="team") == []


@pytest.mark.parametrize(
    "query",
    [
        {"box": "trash"},
        {"narrowing": Narrowing(type_name="nothing")},
        {"sort": "title"},
        {"after": "!!"},
        {"after": "aGVsbG8"},
    ],
)
def test_senseless_query_is_refused(world: World, query: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        list_tasks(world.ctx(APPROVER), **query)


def test_page_says_why_one_sees_it_and_what_a_click_causes(world: World) -> None:
    sent = send(world, "Money", type_name="budget")
    page = get_task(world.ctx(APPROVER), sent["task"])
    (because,) = page["because"]
    assert (because["kind"], because["actor"], because["for"]) == ("role", "approver", "")
    assert page["why_not"] is None
    assert page["opinion_rules"] == {"approve": "optional", "reject": "required"}
    assert page["effects"] == {
        "approve": {
            "verdict": "passed",
            "ends": None,
            "next_step": {"en": "sign"},
            "next_steps": [{"en": "sign"}],
        },
        "reject": {
            "verdict": "rejected",
            "ends": "rejected",
            "next_step": None,
            "next_steps": [],
        },
    }
    second = approve(world, APPROVER, sent["task"])["next_task"]
    page = get_task(world.ctx(FINANCE), second)
    assert page["effects"]["approve"]["verdict"] == "undecided"
    approve(world, FINANCE, second)
    page = get_task(world.ctx(MARKETING), second)
    assert page["effects"]["approve"] == {
        "verdict": "passed", "ends": "approved", "next_step": None, "next_steps": [],
    }  # fmt: skip
    assert [one["verb"] for one in page["timeline"]] == [
        "submit", "open", "approve", "open", "approve",
    ]  # fmt: skip


def test_field_the_reader_may_not_see_is_in_no_part_of_the_page(world: World) -> None:
    record_id = create_record(world.ctx(LIN), "rule", {"name": "Spring", "cost": "12345.67"})["id"]
    sent = submit(world.ctx(LIN), "rule", record_id)
    page = get_task(world.ctx(FINANCE), sent["task"])
    assert "cost" in page["no_access"]
    assert "12345" not in repr(page)
    assert "12345" in repr(get_task(world.ctx(APPROVER), sent["task"]))


def test_document_nobody_shows_cannot_be_opened_through_its_task(world: World) -> None:
    sent = send(world, "Spring")
    for read, target in ((get_task, sent["task"]), (get_instance, sent["instance"])):
        with pytest.raises(NotFound):
            read(world.ctx(MARKETING), target)
        with pytest.raises(NotFound):
            read(world.ctx(APPROVER), "nothing")


def test_closed_task_still_shows_what_was_decided(world: World) -> None:
    sent = send(world, "Spring")
    approve(world, APPROVER, sent["task"])
    update_record(world.ctx(LIN), "rule", sent["record"]["id"], {"name": "Autumn"}, version=None)
    page = get_task(world.ctx(APPROVER), sent["task"])
    assert {one["field"]: one["after"] for one in page["diff"]}["name"] == "Spring"
    assert page["effects"] == {}
    assert record_flow(world.ctx(LIN), "rule", sent["record"]["id"])["state"] == "approved"
    assert record_flow(world.ctx(LIN), "rule", "none") is None


def test_task_says_when_nobody_but_its_maker_could_decide(world: World) -> None:
    sent = send(world, "Spring")
    maker = person("11", "Lin", "clerk", "approver")
    with STAFF.asking(lambda _connection, _registry: staff_of(maker)):
        blocked = get_task(world.ctx(LIN), sent["task"])["blocked"]
    assert (blocked["code"], blocked["roles"]) == ("flow.no_approver", ["approver"])
    with STAFF.asking(lambda _connection, _registry: staff_of(maker, APPROVER)):
        assert get_task(world.ctx(LIN), sent["task"])["blocked"] is None


def test_notices_reach_approvers_then_the_initiator(world: World) -> None:
    sent = send(world, "Spring")
    world.deliver()
    (notice,) = list_notices(world.ctx(APPROVER))
    assert (notice["message"], notice["link"]) == (
        "Rule Spring waits for your decision.", f"/tasks/{sent['task']}",
    )  # fmt: skip
    assert list_notices(world.ctx(LIN)) == []
    assert list_notices(world.ctx(person("11", "Lin", "clerk", "approver"))) == []
    assert mark_read(world.ctx(APPROVER)) == 1
    assert list_notices(world.ctx(APPROVER)) == []
    assert len(list_notices(world.ctx(APPROVER), unread=False)) == 1
    assert len(list_notices(world.ctx(SECOND))) == 1
    approve(world, APPROVER, sent["task"])
    world.deliver()
    assert list_notices(world.ctx(SECOND)) == [], "the task is closed"
    (notice,) = list_notices(world.ctx(LIN))
    assert notice["message"] == "Rule Spring was approved by Chen and is in force."
    assert notice["link"] == f"/records/rule/{sent['record']['id']}"


def test_notice_about_a_withdrawn_document_disappears(world: World) -> None:
    sent = send(world, "Spring")
    world.deliver()
    withdraw(world.ctx(LIN), "rule", sent["record"]["id"])
    assert list_notices(world.ctx(APPROVER)) == []
