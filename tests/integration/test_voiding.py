"""Voiding: a document in force ends by an approval, and only so; on both databases."""

from pathlib import Path
from typing import Any

import pytest

from core.api import Conflict, Document, Invalid, hookimpl, in_force
from core.errors import Forbidden, NotFound
from core.records.deleting import InForce
from core.records.history import record_history
from core.records.inforceproof import in_force_problems
from core.records.operations import delete_record, update_record
from core.records.updating import DocumentEnded, VoidProposed
from core.web.recordview import load_page
from core.web.taskdetail import load_detail
from core.workflow import errors
from core.workflow.operations import submit, terminate, withdraw
from core.workflow.queue.pages import get_task
from core.workflow.staff.people import STAFF
from core.workflow.voiding import void
from tests.integration.flow_steps import (
    act,
    effective,
    make_rule,
    refusal,
    rule,
    sound,
    submitted,
    topics,
)
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    EVERYBODY,
    FINANCE,
    LIN,
    RULE_FLOW,
    SOURCES,
    WANG,
    World,
    flows_on,
    person,
)


def collect(previous: Any, new: Any) -> list[tuple[int, str]]:
    return [*(previous or ()), *((one.seq, one.action) for one in new)]


def effects(world: World) -> list[tuple[int, str]]:
    return in_force(world.ctx(LIN), "rule", collect)


def assert_proved(world: World) -> None:
    assert list(in_force_problems(world.db, world.registries.current())) == []
    sound(world)


def proposed(world: World, record_id: str) -> Any:
    return rule(world, record_id)["proposal"]


def test_approved_void_takes_a_document_out_of_force(world: World) -> None:
    record_id = effective(world)
    sent = void(world.ctx(LIN), "rule", record_id, reason="Printed wrongly.")
    assert (sent["state"], sent["round"]) == ("running", 1)
    record = rule(world, record_id)
    assert record["status"] == "effective"
    assert record["proposal"]["values"] == {"status": "void"}
    task = get_task(world.ctx(APPROVER), sent["task"])
    (change,) = task["diff"]
    assert (change["field"], change["before"], change["after"]) == ("status", "effective", "void")
    assert task["void_reason"] == "Printed wrongly."
    shown = load_detail(world.ctx(APPROVER, locale="zh"), sent["task"])
    assert [(one.label, one.before, one.after) for one in shown.changes] == [
        ("状态", "生效", "作废"),
        ("原因", "", "Printed wrongly."),
    ]
    assert not shown.is_new
    assert effects(world) == [(1, "effective")]
    answer = act(world, APPROVER, "approve", sent["task"])
    assert answer["state"] == "approved"
    record = rule(world, record_id)
    assert (record["status"], record["audit_seq"], record["proposal"]) == ("void", 2, None)
    assert effects(world) == [(1, "effective"), (2, "void")]
    assert topics(world).count("document.void") == 1
    events = record_history(world.ctx(LIN), "rule", record_id)
    assert events[1]["reason"] == "Printed wrongly."
    assert events[0]["changes"]["status"] == ["effective", "void"]
    told = [one.what for one in load_page(world.ctx(LIN), rule_type(world), record_id).events]
    assert "voided it" in told
    assert_proved(world)


def rule_type(world: World) -> Any:
    return world.registries.current().record_type("rule")


def test_void_document_never_changes_again(world: World) -> None:
    record_id = effective(world)
    sent = void(world.ctx(LIN), "rule", record_id, reason="Old.")
    act(world, APPROVER, "approve", sent["task"])
    refusal(DocumentEnded, void, world.ctx(LIN), "rule", record_id, reason="Again.")
    refusal(
        DocumentEnded, update_record, world.ctx(LIN), "rule", record_id, {"rate": "0.5"},
        version=None,
    )  # fmt: skip
    refusal(DocumentEnded, delete_record, world.ctx(LIN), "rule", record_id, version=None)


def test_void_that_is_not_approved_leaves_the_document_in_force(world: World) -> None:
    record_id = effective(world)

    def rejected(sent: dict[str, Any]) -> None:
        act(world, APPROVER, "reject", sent["task"], opinion="Still wanted.")

    def withdrawn(_sent: dict[str, Any]) -> None:
        withdraw(world.ctx(LIN), "rule", record_id)

    def ended(sent: dict[str, Any]) -> None:
        terminate(world.ctx(ADMIN), sent["instance"], reason="Mistake.")

    for end in (rejected, withdrawn, ended):
        end(void(world.ctx(LIN), "rule", record_id, reason="Old."))
        record = rule(world, record_id)
        assert (record["status"], record["audit_seq"], record["proposal"]) == (
            "effective",
            1,
            None,
        )
    assert effects(world) == [(1, "effective")]
    # It can be changed, and voided, as before.
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.5"}, version=None)
    assert_proved(world)


def test_returned_void_is_sent_again(backend: str, tmp_path: Path) -> None:
    returning = RULE_FLOW + "    may: [approve, reject, return]\n"
    with (
        flows_on(backend, tmp_path, SOURCES | {"rule_flow.yaml": returning}) as made,
        made.fresh() as db,
        STAFF.asking(lambda _connection, _registry: EVERYBODY),
    ):
        send_again(World(db, made.registries()))


def send_again(world: World) -> None:
    record_id = effective(world)
    sent = void(world.ctx(LIN), "rule", record_id, reason="Old.")
    act(world, APPROVER, "return", sent["task"], opinion="Why?")
    refusal(
        VoidProposed, update_record, world.ctx(LIN), "rule", record_id, {"rate": "0.5"},
        version=None,
    )  # fmt: skip
    again = submit(world.ctx(LIN), "rule", record_id)
    assert get_task(world.ctx(APPROVER), again["task"])["void_reason"] == "Old."
    act(world, APPROVER, "approve", again["task"])
    assert rule(world, record_id)["status"] == "void"
    assert_proved(world)


def test_void_is_refused_where_it_cannot_be(world: World) -> None:
    draft = make_rule(world, code="A2")
    refusal(errors.NotInForce, void, world.ctx(LIN), "rule", draft, reason="Old.")
    record_id = effective(world)
    for empty in ("", "  "):
        refusal(Invalid, void, world.ctx(LIN), "rule", record_id, reason=empty)
    refusal(Forbidden, void, world.ctx(FINANCE), "rule", record_id, reason="Old.")
    stranger = person("77", "Nobody", "marketing")
    refusal(NotFound, void, world.ctx(stranger), "rule", record_id, reason="Old.")
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.5"}, version=None)
    refusal(errors.ProposalOpen, void, world.ctx(LIN), "rule", record_id, reason="Old.")
    assert proposed(world, record_id)["values"] == {"rate": "0.5000"}
    submit(world.ctx(LIN), "rule", record_id)
    refusal(errors.DuplicateOpen, void, world.ctx(LIN), "rule", record_id, reason="Old.")
    waiting, _ = submitted(world, code="A3")
    refusal(errors.DuplicateOpen, void, world.ctx(LIN), "rule", waiting, reason="Old.")


def test_change_is_refused_while_a_void_waits(world: World) -> None:
    record_id = effective(world)
    sent = void(world.ctx(LIN), "rule", record_id, reason="Old.")
    refusal(
        VoidProposed, update_record, world.ctx(WANG), "rule", record_id, {"rate": "0.5"},
        version=None,
    )  # fmt: skip
    refusal(errors.DuplicateOpen, void, world.ctx(WANG), "rule", record_id, reason="Old.")
    assert get_task(world.ctx(APPROVER), sent["task"])["state"] == "open"


def test_nobody_approves_a_void_of_their_own(world: World) -> None:
    both = person("21", "Chen", "approver", "clerk")
    record_id = effective(world)
    sent = void(world.ctx(both), "rule", record_id, reason="Old.")
    refusal(errors.SodViolation, act, world, both, "approve", sent["task"])
    assert rule(world, record_id)["status"] == "effective"


def test_repeated_void_has_one_effect(world: World) -> None:
    record_id = effective(world)
    first = void(world.ctx(LIN), "rule", record_id, reason="Old.", key="k1")
    assert void(world.ctx(LIN), "rule", record_id, reason="Old.", key="k1") == first


def test_document_in_force_is_voided_and_not_deleted(world: World) -> None:
    record_id = effective(world)
    refusal(InForce, delete_record, world.ctx(LIN), "rule", record_id, version=None)
    assert rule(world, record_id)["status"] == "effective"


class TooMany(Conflict):
    """A refusal of a plugin."""

    code = "plug.too_many"
    text = "Too many."


class Plug:
    """A plugin that remembers what it was asked, and refuses by a word in the name."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Document]] = []

    @hookimpl
    def guanxi_before_submit(self, document: Document) -> None:
        self.asked.append(("submit", document))
        if "refused" in document.values["name"]:
            raise TooMany

    @hookimpl
    def guanxi_before_apply(self, document: Document) -> None:
        self.asked.append(("apply", document))
        if document.values["status"] == "void" and document.values["name"] == "kept":
            raise TooMany


@pytest.fixture
def plug(world: World) -> Plug:
    plug = Plug()
    world.hooks.register_plugin("plug", plug)
    return plug


def test_plugins_are_asked_before_a_document_is_submitted(world: World, plug: Plug) -> None:
    record_id = make_rule(world, name="refused")
    refusal(TooMany, submit, world.ctx(LIN), "rule", record_id)
    record = rule(world, record_id)
    assert (record["status"], record["version"]) == ("draft", 1)
    assert topics(world) == ["record.created"]
    update_record(world.ctx(LIN), "rule", record_id, {"name": "Spring"}, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    act(world, APPROVER, "approve", sent["task"])
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.5"}, version=None)
    submit(world.ctx(LIN), "rule", record_id)
    what, change = plug.asked[-1]
    assert what == "submit"
    assert change.before is not None
    assert (str(change.before["rate"]), str(change.values["rate"])) == ("0.9000", "0.5000")
    assert (change.values["status"], len(change.values["lines"])) == ("effective", 1)


def test_plugins_may_refuse_a_void(world: World, plug: Plug) -> None:
    record_id = effective(world, name="kept")
    sent = void(world.ctx(LIN), "rule", record_id, reason="Old.")
    what, document = plug.asked[-1]
    assert (what, document.values["status"]) == ("submit", "void")
    assert document.before is not None
    assert document.before["status"] == "effective"
    answer = act(world, APPROVER, "approve", sent["task"])
    assert answer["state"] == "apply_blocked"
    assert answer["problems"][0]["code"] == "plug.too_many"
    assert rule(world, record_id)["status"] == "effective"
    assert effects(world) == [(1, "effective")]
    # Another try is another round; taking it back leaves nothing open.
    again = void(world.ctx(LIN), "rule", record_id, reason="Really.")
    assert again["round"] == 2
    assert get_task(world.ctx(APPROVER), again["task"])["void_reason"] == "Really."
    act(world, APPROVER, "approve", again["task"])
    withdraw(world.ctx(LIN), "rule", record_id)
    assert proposed(world, record_id) is None
    assert_proved(world)
