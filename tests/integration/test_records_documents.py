"""Documents: proposals beside the live row, the flow's door, and what is void."""

import pytest
import sqlalchemy as sa

from core.errors import Invalid, StaleVersion, Taken
from core.records.effects import put_effect
from core.records.history import history_problems
from core.records.operations import create_record, update_record
from core.records.proposals import find_proposal, set_proposal_status
from core.records.queries import get_record
from core.records.updating import DocumentEnded, lay_over
from core.records.validation import compile_validator
from core.records.wire import to_wire
from tests.integration.records_world import codes, world  # noqa: F401  a fixture


def effective_rule(world, name="A"):
    ctx = world.context("clerk")
    rule = create_record(
        ctx, "rule", {"name": name, "percent": 10, "steps": [{"level": 1}, {"level": 2}]}
    )
    put_effect(
        ctx, "rule", rule["id"], {"status": "effective", "audited_at": ctx.now, "audit_seq": 1}
    )
    return get_record(ctx, "rule", rule["id"])


def test_new_document_is_a_draft_that_is_edited_in_place(world):
    ctx = world.context("clerk")
    rule = create_record(ctx, "rule", {"name": "A"})
    assert (rule["status"], rule["audited_at"], rule["proposal"]) == ("draft", None, None)
    rule = update_record(ctx, "rule", rule["id"], {"name": "B"}, version=1)
    assert (rule["name"], rule["version"], rule["proposal"]) == ("B", 2, None)
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "rule", rule["id"], {"status": "effective", "audit_seq": 9}, version=2)
    assert codes(refused) == [("audit_seq", "field.read_only"), ("status", "field.read_only")]


def test_change_of_an_effective_document_is_its_one_proposal(world):
    ctx = world.context("clerk")
    rule = effective_rule(world)
    first = rule["steps"][0]["id"]
    changed = update_record(
        ctx,
        "rule",
        rule["id"],
        {"percent": 20, "steps": {"upsert": [{"id": first, "level": 9}, {"level": 3}]}},
        version=rule["version"],
    )
    assert (changed["percent"], [row["level"] for row in changed["steps"]]) == (10, [1, 2])
    proposal = changed["proposal"]
    assert (proposal["status"], proposal["version"], proposal["base"]["percent"]) == (
        "open",
        1,
        10,
    )
    assert [row["level"] for row in proposal["values"]["steps"]] == [9, 2, 3]
    with pytest.raises(StaleVersion):
        update_record(ctx, "rule", rule["id"], {"percent": 30}, version=rule["version"])
    again = update_record(ctx, "rule", rule["id"], {"percent": 30}, version=changed["version"])
    assert (again["proposal"]["id"], again["proposal"]["version"]) == (proposal["id"], 2)
    assert again["proposal"]["values"]["percent"] == 30
    assert [row["level"] for row in again["proposal"]["values"]["steps"]] == [9, 2, 3]
    with pytest.raises(Invalid) as refused:
        update_record(ctx, "rule", rule["id"], {"percent": 91}, version=again["version"])
    assert codes(refused) == [("percent", "field.too_large")]


def test_proposal_may_not_take_another_name(world):
    ctx = world.context("clerk")
    effective_rule(world, "A")
    rule = effective_rule(world, "B")
    with pytest.raises(Taken):
        update_record(ctx, "rule", rule["id"], {"name": "A"}, version=rule["version"])


def test_approved_proposal_becomes_the_live_row(world):
    ctx = world.context("clerk")
    rule = effective_rule(world)
    changed = update_record(
        ctx, "rule", rule["id"], {"percent": 20, "steps": [{"level": 5}]}, version=rule["version"]
    )
    with ctx.writing() as connection:
        found = find_proposal(connection, "rule", rule["id"])
        validator = compile_validator(ctx.registry, "rule")
        stored = get_record(ctx, "rule", rule["id"])
        whole = lay_over(validator, stored, found.values)
        put_effect(
            ctx,
            "rule",
            rule["id"],
            {name: whole[name] for name in found.values} | {"status": "effective", "audit_seq": 2},
        )
        set_proposal_status(connection, found.id, "applied")
    live = to_wire(ctx.registry, "rule", get_record(ctx, "rule", rule["id"]))
    assert (live["percent"], live["audit_seq"], live["proposal"]) == (20, 2, None)
    assert live["steps"] == changed["proposal"]["values"]["steps"]
    assert list(history_problems(world.db, ctx.registry)) == []


def test_void_document_never_changes(world):
    ctx = world.context("clerk")
    rule = effective_rule(world)
    put_effect(ctx, "rule", rule["id"], {"status": "void"})
    with pytest.raises(DocumentEnded):
        update_record(ctx, "rule", rule["id"], {"percent": 5}, version=None)


def test_effect_meets_every_rule_again(world):
    ctx = world.context("clerk")
    rule = create_record(ctx, "rule", {"name": "A"})
    with world.db.write() as connection:
        connection.execute(sa.text("UPDATE r_rule SET name = NULL"))
    with pytest.raises(Invalid) as refused:
        put_effect(ctx, "rule", rule["id"], {"status": "effective"})
    assert codes(refused) == [("name", "field.required")]
