"""Approvers from a decision table: by the document's values, and by the table as it was then."""

from collections.abc import Iterator

import pytest

from core.errors import Forbidden
from core.records.operations import create_record
from core.testing.databases import Prepared
from core.workflow.deciding import decide
from core.workflow.operations import submit
from core.workflow.queue.inbox import list_tasks
from tests.integration.flow_world import (
    APPROVER,
    FINANCE,
    LIN,
    MARKETING,
    SOURCES,
    World,
    flows_on,
    fresh_world,
    publish_sources,
)

MATRIX = """
decision_table: budget_matrix
hit: first
inputs: [{{name: amount, type: number}}]
rows:
  - {{when: ["< 1000"], approvers: {{role: {small}}}}}
  - {{when: [">= 1000"], approvers: {{role: finance}}}}
"""

FLOW = """
flow: budget_release
version: 1
document: budget
steps:
  - {id: check, approvers: {role: approver}}
  - {id: sign, approvers: {table: budget_matrix, in: [doc.amount]}}
"""


def sources(small: str) -> dict[str, str]:
    matrix = MATRIX.format(small=small)
    return SOURCES | {"budget_flow.yaml": FLOW, "budget_matrix.yaml": matrix}


@pytest.fixture(scope="module")
def tables_database(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with flows_on(backend, tmp_path_factory.mktemp("tables"), sources("marketing")) as made:
        yield made


@pytest.fixture
def world(tables_database: Prepared) -> Iterator[World]:
    with fresh_world(tables_database) as made:
        yield made


def test_table_names_the_approvers_and_stays_as_it_was_at_the_submit(world: World) -> None:
    sent = {}
    for name, amount in (("small", 999), ("large", 1000)):
        values = {"name": name, "amount": amount}
        record_id = create_record(world.ctx(LIN), "budget", values)["id"]
        sent[name] = submit(world.ctx(LIN), "budget", record_id)
    publish_sources(world.db, sources("clerk"))
    for row in list_tasks(world.ctx(APPROVER))["items"]:
        decide(world.ctx(APPROVER), row["id"], "approve", subject_hash=row["subject_hash"])
    assert [one["title"] for one in list_tasks(world.ctx(MARKETING))["items"]] == ["small"]
    assert [one["title"] for one in list_tasks(world.ctx(FINANCE))["items"]] == ["large"]


def test_nobody_decides_a_document_that_they_may_not_see(world: World) -> None:
    hidden = SOURCES["budget.yaml"].replace("finance, marketing, Admin", "finance, Admin")
    publish_sources(world.db, sources("marketing") | {"budget.yaml": hidden})
    record_id = create_record(world.ctx(LIN), "budget", {"name": "B", "amount": 1})["id"]
    first = submit(world.ctx(LIN), "budget", record_id)
    shown = list_tasks(world.ctx(APPROVER))["items"][-1]
    made = decide(
        world.ctx(APPROVER), first["task"], "approve", subject_hash=shown["subject_hash"]
    )
    for verb in ("approve", "reject"):
        with pytest.raises(Forbidden):
            decide(
                world.ctx(MARKETING), made["next_task"], verb,
                subject_hash=shown["subject_hash"], opinion="Blindly.",
            )  # fmt: skip
    assert list_tasks(world.ctx(MARKETING))["items"][-1]["progress"]["approved"] == 0
