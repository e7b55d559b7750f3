"""A document's way through its approval, on both databases."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Conflict, Forbidden, Invalid, KeyReused, NotFound
from core.jobs.outbox import outbox
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import get_record
from core.workflow import errors
from core.workflow.deciding import decide
from core.workflow.evidence.events import verify
from core.workflow.models import event, instance, task, vote
from core.workflow.operations import resume, submit, suspend, terminate, withdraw
from core.workflow.queue import bulk
from core.workflow.queue.inbox import list_tasks
from core.workflow.queue.pages import get_instance, get_task
from tests.integration.flow_steps import (
    act,
    count,
    effective,
    make_rule,
    refusal,
    rule,
    shown_hash,
    sound,
    submitted,
    topics,
)
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    BOTH,
    BUDGET,
    BUDGET_FLOW,
    FINANCE,
    LIN,
    MARKETING,
    ROLES,
    RULE,
    RULE_FLOW,
    SECOND,
    WANG,
    World,
    person,
    publish_sources,
    unguarded,
)


def test_approved_document_is_in_force_with_its_audit_number(world: World) -> None:
    record_id, sent = submitted(world)
    assert rule(world, record_id)["status"] == "submitted"
    answer = act(world, APPROVER, "approve", sent["task"])
    assert (answer["state"], answer["verdict"]) == ("approved", "passed")
    record = rule(world, record_id)
    assert (record["status"], record["audit_seq"]) == ("effective", 1)
    assert record["audited_at"] == world.clock.now() - timedelta(seconds=1)
    second = make_rule(world, code="A2")
    sent = submit(world.ctx(LIN), "rule", second)
    act(world, APPROVER, "approve", sent["task"])
    assert rule(world, second)["audit_seq"] == 2
    assert "document.effective" in topics(world)
    sound(world)


def test_rejected_document_can_be_edited_and_opens_a_second_round(world: World) -> None:
    record_id, sent = submitted(world)
    answer = act(world, APPROVER, "reject", sent["task"], opinion="Too low.")
    assert answer["state"] == "rejected"
    assert rule(world, record_id)["status"] == "rejected"
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.95"}, version=None)
    again = submit(world.ctx(LIN), "rule", record_id)
    assert again["round"] == 2
    page = get_task(world.ctx(APPROVER), again["task"])
    assert page["previous"] == sent["instance"]
    assert [(one["field"], one["before"], one["after"]) for one in page["since_last_round"]] == [
        ("rate", "0.9000", "0.9500")
    ]
    act(world, APPROVER, "approve", again["task"])
    assert rule(world, record_id)["rate"] == Decimal("0.95")
    sound(world)


def test_second_submit_names_the_first(world: World) -> None:
    record_id, sent = submitted(world)
    params = refusal(errors.DuplicateOpen, submit, world.ctx(LIN), "rule", record_id)
    assert params["by"] == "Lin"
    assert params["link"] == f"/tasks/{sent['task']}"
    assert count(world, instance) == 1


def test_submit_with_the_same_key_is_answered_again(world: World) -> None:
    record_id = make_rule(world)
    first = submit(world.ctx(LIN), "rule", record_id, key="k1")
    assert submit(world.ctx(LIN), "rule", record_id, key="k1") == first
    assert count(world, instance) == 1
    with pytest.raises(KeyReused):
        withdraw(world.ctx(LIN), "rule", record_id, key="k1")


def test_record_without_a_flow_or_without_a_change_is_not_submitted(world: World) -> None:
    record_id = effective(world)
    refusal(errors.NothingToSubmit, submit, world.ctx(LIN), "rule", record_id)
    refusal(NotFound, submit, world.ctx(LIN), "rule", "0" * 36)
    refusal(Forbidden, submit, world.ctx(FINANCE), "rule", record_id)
    refusal(NotFound, submit, world.ctx(MARKETING), "rule", record_id)


def test_double_click_with_a_key_is_one_vote_and_one_answer(world: World) -> None:
    _, sent = submitted(world)
    first = act(world, APPROVER, "approve", sent["task"], key="click")
    assert act(world, APPROVER, "approve", sent["task"], key="click") == first
    assert count(world, vote) == 1


def test_double_click_without_a_key_says_who_decided(world: World) -> None:
    _, sent = submitted(world)
    act(world, APPROVER, "approve", sent["task"])
    params = refusal(errors.AlreadyDecided, act, world, APPROVER, "approve", sent["task"])
    assert (params["by"], params["verb"]) == ("Chen", "approve")
    params = refusal(errors.AlreadyDecided, act, world, SECOND, "reject", sent["task"])
    assert params["by"] == "Chen"
    assert count(world, vote) == 1


def test_maker_never_decides_whatever_their_roles(world: World) -> None:
    maker = person("11", "Lin", "clerk", "approver", "Admin")
    record_id, sent = submitted(world)
    refusal(errors.SodViolation, act, world, maker, "approve", sent["task"])
    refusal(errors.NotACandidate, act, world, ADMIN, "approve", sent["task"])
    refusal(errors.NotACandidate, act, world, WANG, "approve", sent["task"])
    assert rule(world, record_id)["status"] == "submitted"
    assert [row["id"] for row in list_tasks(world.ctx(maker))["items"]] == []


def test_last_editor_who_did_not_submit_does_not_decide_either(world: World) -> None:
    record_id = make_rule(world)
    update_record(world.ctx(APPROVER), "rule", record_id, {"rate": "0.5"}, version=None)
    update_record(world.ctx(LIN), "rule", record_id, {"name": "Autumn"}, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    refusal(errors.SodViolation, act, world, APPROVER, "approve", sent["task"])
    assert act(world, SECOND, "approve", sent["task"])["state"] == "approved"


def test_approver_of_the_last_change_may_approve_the_next(world: World) -> None:
    record_id = effective(world)
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.8"}, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    assert act(world, APPROVER, "approve", sent["task"])["state"] == "approved"


def test_vote_for_another_subject_is_refused_with_what_changed(world: World) -> None:
    record_id, sent = submitted(world)
    before = count(world, vote)
    refusal(
        errors.SubjectChanged, act, world, APPROVER, "approve", sent["task"],
        subject_hash="f" * 64,
    )  # fmt: skip
    refusal(errors.HashRequired, act, world, APPROVER, "approve", sent["task"], subject_hash="")
    # Somebody goes round every door and writes to the table.
    table = world.registries.current().tables["rule"].main
    with world.db.write() as connection:
        connection.execute(table.update().values(rate=Decimal("0.1")))
    params = refusal(errors.SubjectChanged, act, world, APPROVER, "approve", sent["task"])
    assert params == {"field": "rate", "before": "0.9000", "after": "0.1000"}
    assert (count(world, vote), rule(world, record_id)["status"]) == (before, "submitted")


def test_reject_needs_an_opinion(world: World) -> None:
    _, sent = submitted(world)
    for empty in ("", "  ", "\n"):
        refusal(
            errors.OpinionRequired, act, world, APPROVER, "reject", sent["task"], opinion=empty
        )
    with pytest.raises(Invalid) as refused:
        act(world, APPROVER, "reject", sent["task"], opinion="a\0b")
    assert refused.value.problems[0].path == "opinion"
    with pytest.raises(Invalid):
        act(world, APPROVER, "reject", sent["task"], opinion="x" * 2001)


@pytest.mark.parametrize("verb", ["return", "transfer", "abstain", "add_before"])
def test_verb_that_the_step_does_not_offer_has_a_clear_code(world: World, verb: str) -> None:
    _, sent = submitted(world)
    refusal(errors.VerbNotAllowed, act, world, APPROVER, verb, sent["task"])


def test_unknown_task_and_unknown_verb_are_not_found(world: World) -> None:
    _, sent = submitted(world)
    refusal(NotFound, decide, world.ctx(APPROVER), "no-such-task", "approve", subject_hash="x")
    refusal(NotFound, act, world, APPROVER, "explode", sent["task"])


def test_withdrawn_document_is_a_draft_and_its_task_is_over(world: World) -> None:
    record_id, sent = submitted(world)
    refusal(errors.NotInitiator, withdraw, world.ctx(WANG), "rule", record_id)
    answer = withdraw(world.ctx(LIN), "rule", record_id, reason="Mistake.")
    assert answer["state"] == "withdrawn"
    assert rule(world, record_id)["status"] == "draft"
    params = refusal(errors.AlreadyEnded, act, world, APPROVER, "approve", sent["task"])
    assert (params["by"], params["state"]) == ("Lin", "withdrawn")
    assert list_tasks(world.ctx(APPROVER))["items"] == []
    refusal(errors.AlreadyEnded, withdraw, world.ctx(LIN), "rule", record_id)
    assert submit(world.ctx(LIN), "rule", record_id)["round"] == 2
    sound(world)


def test_submitted_document_is_locked_at_every_door(world: World) -> None:
    record_id, _ = submitted(world)
    for door in ("form", "api", "import", "bulk", "automation", "plugin", "cli"):
        ctx = world.ctx(LIN, door=door)
        with pytest.raises(Conflict) as refused:
            update_record(ctx, "rule", record_id, {"rate": "0.5"}, version=None)
        assert refused.value.code == "flow.subject_locked"
        with pytest.raises(Conflict) as refused:
            delete_record(world.ctx(LIN, door=door), "rule", record_id, version=None)
        assert refused.value.code == "flow.subject_locked"
    assert rule(world, record_id)["rate"] == Decimal("0.9")


def walk_budget(world: World) -> tuple[str, dict[str, Any]]:
    record_id = create_record(world.ctx(LIN), "budget", {"name": "B", "amount": 10})["id"]
    sent = submit(world.ctx(LIN), "budget", record_id)
    passed = act(world, APPROVER, "approve", sent["task"])
    assert (passed["state"], passed["step"]) == ("running", "sign")
    return record_id, passed


def test_all_step_passes_when_every_role_has_approved(world: World) -> None:
    record_id, passed = walk_budget(world)
    task_id = passed["next_task"]
    half = act(world, FINANCE, "approve", task_id)
    assert (half["verdict"], half["state"]) == ("undecided", "running")
    row = list_tasks(world.ctx(MARKETING))["items"][0]
    assert row["progress"]["approved"] == 1
    assert list_tasks(world.ctx(FINANCE))["items"] == []
    assert act(world, MARKETING, "approve", task_id)["state"] == "approved"
    assert get_record(world.ctx(ADMIN), "budget", record_id)["status"] == "effective"
    assert "budget.agreed" in topics(world)
    sound(world)


def test_one_veto_ends_an_all_step_and_makes_the_other_seat_moot(world: World) -> None:
    _, passed = walk_budget(world)
    act(world, FINANCE, "reject", passed["next_task"])
    seats = get_task(world.ctx(MARKETING), passed["next_task"])["seats"]
    assert [(one["key"], one["state"]) for one in seats] == [
        ("finance", "voted"),
        ("marketing", "moot"),
    ]
    refusal(errors.AlreadyDecided, act, world, MARKETING, "approve", passed["next_task"])


def test_person_with_both_seats_fills_the_second_only_by_naming_it(world: World) -> None:
    _, passed = walk_budget(world)
    task_id = passed["next_task"]
    act(world, BOTH, "approve", task_id)
    refusal(errors.AlreadyDecided, act, world, BOTH, "approve", task_id)
    refusal(errors.AlreadyDecided, act, world, BOTH, "approve", task_id, seat="finance")
    refusal(errors.NotACandidate, act, world, FINANCE, "approve", task_id, seat="marketing")
    assert act(world, BOTH, "approve", task_id, seat="marketing")["state"] == "approved"


def test_running_approval_keeps_the_flow_it_started_with(world: World) -> None:
    _, sent = submitted(world)
    changed = RULE_FLOW.replace("version: 1", "version: 2").replace(
        "approvers: {role: approver}", "approvers: {role: finance}"
    )
    publish_sources(world.db, {"a": RULE, "b": changed, "c": BUDGET, "d": BUDGET_FLOW, "e": ROLES})
    refusal(errors.NotACandidate, act, world, FINANCE, "approve", sent["task"])
    assert act(world, APPROVER, "approve", sent["task"])["state"] == "approved"
    other = make_rule(world, code="A9")
    sent = submit(world.ctx(LIN), "rule", other)
    refusal(errors.NotACandidate, act, world, APPROVER, "approve", sent["task"])
    assert act(world, FINANCE, "approve", sent["task"])["state"] == "approved"


def test_suspended_approval_waits_until_an_administrator_resumes_it(world: World) -> None:
    record_id, sent = submitted(world)
    refusal(Forbidden, suspend, world.ctx(APPROVER), sent["instance"], reason="x")
    refusal(errors.OpinionRequired, suspend, world.ctx(ADMIN), sent["instance"], reason=" ")
    suspend(world.ctx(ADMIN), sent["instance"], reason="Audit.")
    refusal(errors.Suspended, act, world, APPROVER, "approve", sent["task"])
    assert list_tasks(world.ctx(APPROVER))["items"] == []
    refusal(errors.DuplicateOpen, submit, world.ctx(LIN), "rule", record_id)
    refusal(errors.Suspended, suspend, world.ctx(ADMIN), sent["instance"], reason="Again.")
    resume(world.ctx(ADMIN), sent["instance"], reason="Done.")
    refusal(errors.NotPossible, resume, world.ctx(ADMIN), sent["instance"], reason="Again.")
    assert act(world, APPROVER, "approve", sent["task"])["state"] == "approved"
    sound(world)


def test_terminated_approval_leaves_an_editable_draft(world: World) -> None:
    record_id, sent = submitted(world)
    terminate(world.ctx(ADMIN), sent["instance"], reason="Wrong store.")
    assert rule(world, record_id)["status"] == "draft"
    params = refusal(errors.AlreadyEnded, act, world, APPROVER, "approve", sent["task"])
    assert (params["state"], params["by"]) == ("terminated", "Admin")
    refusal(errors.AlreadyEnded, terminate, world.ctx(ADMIN), sent["instance"], reason="x")
    sound(world)


def test_bulk_previews_then_decides_each_in_its_own_transaction(world: World) -> None:
    good = submitted(world, code="A1")[1]["task"]
    stale = submitted(world, code="A2")[1]["task"]
    gone = submitted(world, code="A3")
    withdraw(world.ctx(LIN), "rule", gone[0])
    items = [
        {"id": good, "subject_hash": shown_hash(world, good)},
        {"id": stale, "subject_hash": "0" * 64},
        {"id": gone[1]["task"], "subject_hash": shown_hash(world, gone[1]["task"])},
        {"id": "nothing", "subject_hash": ""},
    ]
    preview = bulk.preview(world.ctx(APPROVER), "approve", items)
    codes = [(one["result"], one.get("code")) for one in preview]
    assert codes == [
        ("eligible", None),
        ("changed", "flow.subject_changed"),
        ("refused", "flow.already_ended"),
        ("not_yours", "not_found"),
    ]
    assert count(world, vote) == 0
    rejecting = bulk.preview(world.ctx(APPROVER), "reject", items)
    assert rejecting[0]["result"] == "needs_opinion", "a reject needs an opinion in bulk too"
    applied = bulk.decide_all(world.ctx(APPROVER), "approve", items)
    assert [one["result"] for one in applied] == ["applied", "refused", "refused", "refused"]
    assert count(world, vote) == 1
    for wrong in ({}, [{"id": 1}], [{}], "x", items * 126):
        with pytest.raises(Invalid):
            bulk.decide_all(world.ctx(APPROVER), "approve", wrong)


def test_events_form_a_chain_that_any_change_breaks(world: World) -> None:
    _, sent = submitted(world)
    act(world, APPROVER, "approve", sent["task"])
    history = get_instance(world.ctx(APPROVER), sent["instance"])["events"]
    assert [one["verb"] for one in history] == ["submit", "open", "approve", "effective"]
    own = event.c.instance_id == sent["instance"]
    tampering = [
        event.update().where(own, event.c.seq == 3).values(verb="reject"),
        event.update().where(own, event.c.seq == 3).values(opinion="x"),
        event.delete().where(own, event.c.seq == 2),
        event.delete().where(own, event.c.seq == 4),
    ]
    for statement in tampering:
        with world.db.engine.connect() as connection:
            with unguarded(connection):
                connection.execute(statement)
            assert len(verify(connection)[1]) == 1
            connection.rollback()
    sound(world)


def test_refused_decision_leaves_nothing_behind(world: World) -> None:
    _, sent = submitted(world)
    tables = (event, vote, outbox, instance, task)
    before = [count(world, table) for table in tables]
    maker = person("11", "Lin", "approver")
    refusal(
        errors.OpinionRequired, act, world, APPROVER, "reject", sent["task"],
        opinion="", key="k",
    )  # fmt: skip
    refusal(errors.SodViolation, act, world, maker, "approve", sent["task"])
    assert [count(world, table) for table in tables] == before
    # The refused key is not used up.
    assert act(world, APPROVER, "reject", sent["task"], key="k")["state"] == "rejected"
