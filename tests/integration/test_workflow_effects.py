"""What an approval puts into effect: proposals, bases that moved, refusals at the end."""

from decimal import Decimal
from typing import Any

import pytest

from core.context import Context
from core.errors import Conflict, Invalid
from core.extension.hookspecs import Document, hookimpl
from core.i18n import N_
from core.records.operations import update_record
from core.workflow.models import vote
from core.workflow.operations import submit
from core.workflow.queue.pages import get_task
from tests.integration.flow_steps import (
    act,
    count,
    effective,
    rule,
    sound,
    submitted,
)
from tests.integration.flow_world import (
    APPROVER,
    LIN,
    WANG,
    World,
)


def test_proposal_waits_beside_the_live_values_and_then_replaces_them(world: World) -> None:
    record_id = effective(world)
    update_record(
        world.ctx(LIN), "rule", record_id,
        {"rate": "0.7", "lines": [{"product": "P2", "amount": 5}]}, version=None,
    )  # fmt: skip
    sent = submit(world.ctx(LIN), "rule", record_id)
    live = rule(world, record_id)
    assert (live["status"], live["rate"]) == ("effective", Decimal("0.9"))
    with pytest.raises(Conflict) as refused:
        update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.6"}, version=None)
    assert refused.value.code == "flow.subject_locked"
    page = get_task(world.ctx(APPROVER), sent["task"])
    (rate, lines) = page["diff"]
    assert (rate["before"], rate["after"]) == ("0.9000", "0.7000")
    assert [row["change"] for row in lines["rows"]] == ["added", "removed"]
    assert [one["field"] for one in page["unchanged"]] == ["code", "name"]
    act(world, APPROVER, "approve", sent["task"], subject_hash=page["subject_hash"])
    live = rule(world, record_id)
    assert (live["rate"], live["audit_seq"]) == (Decimal("0.7"), 2)
    assert [(row["product"], row["amount"]) for row in live["lines"]] == [("P2", 5)]
    assert live["proposal"] is None
    sound(world)


def test_rejected_proposal_is_kept_for_another_try(world: World) -> None:
    record_id = effective(world)
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.7"}, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    act(world, APPROVER, "reject", sent["task"])
    record = rule(world, record_id)
    assert (record["status"], record["rate"]) == ("effective", Decimal("0.9"))
    assert record["proposal"]["status"] == "open"
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.75"}, version=None)
    again = submit(world.ctx(LIN), "rule", record_id)
    assert again["round"] == 2
    act(world, APPROVER, "approve", again["task"])
    assert rule(world, record_id)["rate"] == Decimal("0.75")


def test_base_that_moved_in_the_same_field_blocks_the_effect(world: World) -> None:
    record_id = effective(world)
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.7"}, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    table = world.registries.current().tables["rule"].main
    with world.db.write() as connection:
        connection.execute(table.update().values(rate=Decimal("0.85"), name="Summer"))
    answer = act(world, APPROVER, "approve", sent["task"], subject_hash=_hash_now(world, sent))
    assert answer["state"] == "apply_blocked"
    assert [(one["path"], one["code"]) for one in answer["problems"]] == [
        ("rate", "flow.base_moved")
    ]
    record = rule(world, record_id)
    assert (record["rate"], record["audit_seq"]) == (Decimal("0.85"), 1)
    assert record["proposal"]["status"] == "open"
    sound(world)


def test_base_that_moved_elsewhere_is_kept(world: World) -> None:
    record_id = effective(world)
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.7"}, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    table = world.registries.current().tables["rule"].main
    with world.db.write() as connection:
        connection.execute(table.update().values(cost=Decimal(5)))
    act(world, APPROVER, "approve", sent["task"], subject_hash=_hash_now(world, sent))
    record = rule(world, record_id)
    assert (record["rate"], record["cost"]) == (Decimal("0.7"), Decimal(5))


def _hash_now(world: World, sent: dict[str, Any]) -> str:
    return get_task(world.ctx(APPROVER), sent["task"])["subject_hash"]


class Cautious:
    """A plugin that lets no rate under a half take effect."""

    @hookimpl
    def guanxi_before_apply(self, ctx: Context, document: Document) -> None:
        if document.values["rate"] < Decimal("0.5"):
            raise Invalid(N_("The rate {rate} is too low."), rate=str(document.values["rate"]))


def test_plugin_refusal_at_the_end_blocks_the_effect_and_keeps_the_vote(world: World) -> None:
    world.hooks.register_plugin("cautious", Cautious())
    record_id, sent = submitted(world, rate="0.4")
    answer = act(world, APPROVER, "approve", sent["task"])
    assert answer["state"] == "apply_blocked"
    assert answer["problems"][0]["params"] == {"rate": "0.4000"}
    assert set(answer["problems"][0]) == {"path", "code", "message", "params"}
    assert "{" not in answer["problems"][0]["message"]
    record = rule(world, record_id)
    assert (record["status"], record["audit_seq"]) == ("draft", None)
    assert count(world, vote) == 1
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.6"}, version=None)
    again = submit(world.ctx(LIN), "rule", record_id)
    assert again["round"] == 2
    assert act(world, APPROVER, "approve", again["task"])["state"] == "approved"
    assert rule(world, record_id)["audit_seq"] == 1
    sound(world)


def test_document_that_breaks_a_rule_by_then_is_blocked(world: World) -> None:
    first = effective(world, code="A1")
    second = effective(world, code="A2", name="Other")
    update_record(world.ctx(LIN), "rule", second, {"code": "A3"}, version=None)
    sent = submit(world.ctx(LIN), "rule", second)
    update_record(world.ctx(WANG), "rule", first, {"code": "A3"}, version=None)
    other = submit(world.ctx(WANG), "rule", first)
    act(world, APPROVER, "approve", other["task"])
    answer = act(world, APPROVER, "approve", sent["task"])
    assert answer["state"] == "apply_blocked"
    assert answer["problems"] != []
    assert rule(world, second)["code"] == "A2"
