"""A business calendar that changes moves the clocks that have not struck, and says so."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.records.operations import create_record
from core.testing.databases import Prepared
from core.workflow.models import task, timer
from core.workflow.operations import submit
from core.workflow.queue.pages import get_instance
from core.workflow.timing import sweeping
from core.workflow.timing.reckoning import Follower
from tests.integration.flow_world import (
    ADMIN,
    LIN,
    SOURCES,
    World,
    flows_on,
    fresh_world,
    publish_sources,
)

CALENDAR = """
calendar: shop
time_zone: Asia/Shanghai
hours: {{mon-sun: ["09:00-17:00"]}}
holidays: [{holidays}]
default: true
"""

FLOW = """
flow: budget_release
version: {version}
document: budget
steps:
  - {{id: check, approvers: {{role: approver}}, due: [{{at: 8bh, do: escalate, to: {{role: finance}}}}, {{at: 2h, do: remind}}]}}
"""


def sources(holidays: str, version: int) -> dict[str, str]:
    return SOURCES | {
        "shop.yaml": CALENDAR.format(holidays=holidays),
        "budget_flow.yaml": FLOW.format(version=version),
    }


@pytest.fixture(scope="module")
def reckoning_database(
    backend: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    with flows_on(backend, tmp_path_factory.mktemp("reckoning"), sources("", 1)) as made:
        yield made


@pytest.fixture
def world(reckoning_database: Prepared) -> Iterator[World]:
    with fresh_world(reckoning_database) as made:
        yield made


def turn(world: World, follower: Follower) -> int:
    """Follow the calendars as the worker does; return how many approvals were looked at."""
    ctx = world.ctx(SYSTEM)
    return follower.follow(ctx, lambda one, command: sweeping.attempt(ctx, one, [command]))


def clocks(world: World) -> dict[int, str]:
    with world.db.read() as connection:
        rows = connection.execute(sa.select(timer.c.rung, timer.c.fire_at)).all()
    return {row.rung: row.fire_at for row in rows}


def test_new_holiday_moves_the_clocks_that_have_not_struck(world: World) -> None:
    follower = Follower()
    assert turn(world, follower) == 0
    record_id = create_record(world.ctx(LIN), "budget", {"name": "B"})["id"]
    sent = submit(world.ctx(LIN), "budget", record_id)
    before = clocks(world)
    assert turn(world, follower) == 0, "nothing has changed"
    day = (world.clock.now() + timedelta(days=1)).date().isoformat()
    publish_sources(world.db, sources(f"{{day: {day}, label: {{en: Stocktaking}}}}", 1))
    assert turn(world, follower) == 1
    assert turn(world, follower) == 0
    after = clocks(world)
    assert after[0] > before[0]
    assert after[1] == before[1], "wall clocks have no holidays"
    with world.db.read() as connection:
        shown = connection.execute(sa.select(task.c.due_at)).scalar_one()
    assert shown == after[0]
    (event,) = [
        one
        for one in get_instance(world.ctx(ADMIN), sent["instance"])["events"]
        if one["verb"] == "reckon"
    ]
    assert event["detail"]["rungs"] == {"0": [before[0], after[0]]}
    assert turn(world, Follower()) == 0, "another process knows how far it was followed"
