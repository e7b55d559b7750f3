"""Documents in force: what is kept of them, what is made of it, and the proof of both."""

import threading
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.api import Effect, audit_seq, in_force
from core.records.inforce import backfill_in_force, in_force_table
from core.records.inforceproof import in_force_problems
from core.records.operations import update_record
from core.workflow.operations import submit
from tests.integration.flow_steps import act, effective, make_rule, rule, sound, submitted
from tests.integration.flow_world import (
    APPROVER,
    LIN,
    RULE,
    SOURCES,
    World,
    flows_on,
    fresh_world,
    publish_sources,
    unguarded,
)


def collect(previous: list[Effect] | None, new: list[Effect]) -> list[Effect]:
    """Make nothing of effects but a list of them."""
    return [*(previous or ()), *new]


def effects(world: World) -> list[Effect]:
    return in_force(world.ctx(LIN), "rule", collect)


def change(world: World, record_id: str, **values: Any) -> None:
    """Change a document in force, as a clerk proposes and an approver approves it."""
    update_record(world.ctx(LIN), "rule", record_id, values, version=None)
    sent = submit(world.ctx(LIN), "rule", record_id)
    act(world, APPROVER, "approve", sent["task"])


def proof(world: World) -> list[str]:
    return list(in_force_problems(world.db, world.registries.current()))


def test_approved_documents_are_kept_with_their_audit_numbers(world: World) -> None:
    assert audit_seq(world.ctx(LIN)) == 0
    assert effects(world) == []
    record_id = effective(world)
    at = rule(world, record_id)["audited_at"]
    world.clock.move(timedelta(hours=1))
    change(world, record_id, rate="0.8")
    first, second = effects(world)
    assert (first.seq, first.record_id, first.action, first.at) == (1, record_id, "effective", at)
    assert (first.values["rate"], second.values["rate"]) == (Decimal("0.9"), Decimal("0.8"))
    assert second.at > first.at
    (line,) = first.values["lines"]
    assert (line["product"], line["amount"], line["position"]) == ("P1", 3, 0)
    assert second.values == {
        "code": "A1", "name": "Spring", "rate": Decimal("0.8"), "cost": None,
        "lines": [line], "status": "effective",
    }  # fmt: skip
    assert audit_seq(world.ctx(LIN)) == 2
    assert proof(world) == []
    sound(world)


def test_make_is_called_with_new_effects_alone(world: World) -> None:
    calls: list[tuple[int, list[int]]] = []

    def make(previous: int | None, new: list[Effect]) -> int:
        calls.append((previous or 0, [one.seq for one in new]))
        return (previous or 0) + len(new)

    effective(world)
    ctx = world.ctx(LIN)
    assert [in_force(ctx, "rule", make) for _ in range(3)] == [1, 1, 1]
    effective(world, code="A2")
    effective(world, code="A3")
    assert in_force(world.ctx(LIN), "rule", make) == 3
    # What is known already is not asked for again.
    assert in_force(world.ctx(LIN), "rule", make, seq=2) == 3
    assert calls == [(0, [1]), (1, [2, 3])]
    # A number that was never given is not taken for known.
    assert in_force(world.ctx(LIN), "rule", make, seq=99) == 3
    effective(world, code="A4")
    assert in_force(world.ctx(LIN), "rule", make) == 4


def test_threads_at_a_new_number_make_once(world: World) -> None:
    calls: list[int] = []
    ready = threading.Barrier(6)
    found: list[Any] = []

    def make(previous: int | None, new: list[Effect]) -> int:
        calls.append(len(new))
        return (previous or 0) + len(new)

    def ask() -> None:
        ctx = world.ctx(LIN)
        ready.wait()
        found.append(in_force(ctx, "rule", make))

    effective(world)
    effective(world, code="A2")
    threads = [threading.Thread(target=ask) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [2] * 6
    assert calls == [2]


def test_reader_of_an_older_snapshot_keeps_working(world: World) -> None:
    effective(world)
    older = world.ctx(LIN)
    with older.reading():
        before = in_force(older, "rule", collect)
        assert [one.seq for one in before] == [1]
        effective(world, code="A2")
        assert [one.seq for one in effects(world)] == [1, 2]
        # It may be told of later ones, which carry their numbers.
        again = in_force(older, "rule", collect)
        assert [one.seq for one in again][:1] == [1]
        assert [one.seq for one in before] == [1]
    effective(world, code="A3")
    assert [one.seq for one in effects(world)] == [1, 2, 3]


def test_effect_that_is_taken_back_is_seen_by_its_own_transaction_only(world: World) -> None:
    effective(world)
    assert len(effects(world)) == 1
    _, sent = submitted(world, code="A2", name="Gone")

    class Undo(Exception):
        pass

    ctx = world.ctx(APPROVER)

    def attempt() -> None:
        with ctx.writing():
            act_within(ctx, sent["task"])
            assert [one.values["name"] for one in in_force(ctx, "rule", collect)] == [
                "Spring",
                "Gone",
            ]
            raise Undo

    with pytest.raises(Undo):
        attempt()
    assert len(effects(world)) == 1
    effective(world, code="A3", name="Kept")
    assert [one.values["name"] for one in effects(world)] == ["Spring", "Kept"]


def act_within(ctx: Any, task_id: str) -> None:
    from core.workflow.deciding import decide
    from core.workflow.models import task

    with ctx.reading() as connection:
        query = sa.select(task.c.subject_hash).where(task.c.id == task_id)
        shown = connection.execute(query).scalar_one()
    decide(ctx, task_id, "approve", subject_hash=shown)


RENAMED = (
    RULE.replace("{name: rate, type: rate", "{name: share, was: rate, type: rate")
    .replace("{name: cost, type: decimal}", "{name: cost, type: text}")
    .replace("{name: product, type: text", "{name: item, was: product, type: text")
    .replace(
        "policies:\n", "  - {name: note, type: text}\nchanges:\n"
        "  - {retype: {field: cost, to: text}}\npolicies:\n", 1,
    )
    .replace("fields: {view: [code, name, rate,", "fields: {view: [code, name, share,")
)  # fmt: skip


@pytest.mark.parametrize(
    "renamed",
    [
        RULE.replace("{name: rate, type: rate", "{name: share, was: rate, type: rate").replace(
            "name, rate, lines", "name, share, lines"
        ),
        RENAMED,
    ],
    ids=["renamed", "renamed-and-retyped"],
)
def test_fields_are_followed_through_releases(backend: str, tmp_path: Path, renamed: str) -> None:
    with flows_on(backend, tmp_path, SOURCES) as made, fresh_world(made) as world:
        follow(world, renamed)


def follow(world: World, renamed: str) -> None:
    record_id = effective(world, cost="12.50")
    assert effects(world)[0].values["rate"] == Decimal("0.9")
    publish_sources(world.db, SOURCES | {"rule.yaml": renamed})
    (found,) = effects(world)
    assert found.values["share"] == Decimal("0.9")
    assert "rate" not in found.values
    assert proof(world) == []
    (line,) = found.values["lines"]
    if renamed == RENAMED:
        assert (found.values["cost"], found.values["note"]) == ("12.50", None)
        assert (line["item"], line["amount"]) == ("P1", 3)
    change(world, record_id, share="0.7")
    assert [one.values["share"] for one in effects(world)] == [Decimal("0.9"), Decimal("0.7")]
    assert proof(world) == []


def test_documents_from_before_are_kept_by_an_upgrade(world: World) -> None:
    effective(world)
    record_id = effective(world, code="A2")
    make_rule(world, code="A3")
    with world.db.write() as connection, unguarded(connection):
        connection.execute(in_force_table.delete())
    assert len(proof(world)) == 2
    registry = world.registries.current()
    with world.db.write() as connection:
        assert backfill_in_force(connection, registry) == 2
        assert backfill_in_force(connection, registry) == 0
    found = effects(world)
    assert [one.seq for one in found] == [1, 2]
    assert found[1].record_id == record_id
    assert found[1].at == rule(world, record_id)["audited_at"]
    assert found[1].values["lines"][0]["amount"] == 3
    assert proof(world) == []


def test_proof_names_what_differs(world: World) -> None:
    changed, gone, voided = (effective(world, code=f"A{number}") for number in range(3))
    table = world.registries.current().tables["rule"].main
    with world.db.write() as connection:
        one = table.c.id
        connection.execute(table.update().where(one == changed).values(rate=Decimal("0.5")))
        connection.execute(
            world.registries.current().tables["rule"].children["lines"].delete().where(
                sa.column("record_id") == gone
            )
        )  # fmt: skip
        connection.execute(table.delete().where(one == gone))
        connection.execute(table.update().where(one == voided).values(status="void", audit_seq=9))
    assert sorted(proof(world)) == sorted(
        [
            f"rule {changed}: rate is another than what took effect",
            f"rule {gone}: it is in force, but there is no such record",
            f"rule {voided}: its status is void, its last effect says effective",
            f"rule {voided}: its audit number is 9, its last effect has 3",
        ]
    )


def test_effects_cannot_be_changed(world: World) -> None:
    effective(world)
    for statement in (in_force_table.delete(), in_force_table.update().values(action="void")):
        with pytest.raises(sa.exc.DatabaseError), world.db.write() as connection:
            connection.execute(statement)
    assert len(effects(world)) == 1


def test_effects_are_known_by_the_new_name_of_their_form(backend: str, tmp_path: Path) -> None:
    sources = {
        name: text.replace("record_type: rule", "record_type: tariff\nwas: rule").replace(
            "version: 1\ntitle: {zh: 规则审核, en: Rule approval}\ndocument: rule\n",
            "version: 2\ntitle: {zh: 规则审核, en: Rule approval}\ndocument: tariff\n",
        )
        for name, text in SOURCES.items()
    }
    with flows_on(backend, tmp_path, SOURCES) as made, fresh_world(made) as world:
        effective(world)
        publish_sources(world.db, sources)
        ctx = world.ctx(LIN)
        assert [one.values["name"] for one in in_force(ctx, "tariff", collect)] == ["Spring"]
