"""Schedules and dates: in the right zone, once over all processes, caught up once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from core.automation import administration
from core.automation.scheduling import tick
from core.clock import FixedClock
from core.records.operations import create_many
from core.records.queries import Query, list_records
from core.workflow.queue.notices import list_notices
from tests.integration.automation_world import *  # noqa: F403

DAILY = """
automation: daily
trigger: {on: schedule, cron: "0 9 * * *"}
run_as: {role: clerk}
actions:
  - {do: create, type: visit, values: {subject: "CONCAT('Report ', TEXT(TODAY()))"}}
"""

BIRTHDAY = """
automation: birthday
type: member
trigger: {on: date_field, field: birthday, days: -3, yearly: true, at: "09:00"}
when: "level == 'vip'"
run_as: {role: clerk}
actions:
  - {do: notify, to: {role: clerk}, title: {en: "{name} {birthday}"}}
"""


def at(world, text):
    world.clock._instant = datetime.fromisoformat(text).astimezone(UTC)


def told(world):
    return sorted(one["message"] for one in list_notices(world.ctx("clerk"), limit=100))


def look(world):
    tick(world.ctx())
    world.deliver()


def test_schedule_runs_at_its_time_in_the_zone_of_the_store(world):
    at(world, "2026-03-01T08:59:00+08:00")
    world.publish(DAILY)
    look(world)
    at(world, "2026-03-01T08:59:58+08:00")
    look(world)
    assert world.runs() == []
    at(world, "2026-03-01T09:00:01+08:00")
    look(world)
    look(world)
    assert world.states() == [("daily", "done")]
    assert world.runs()[0]["input"]["due"] == "2026-03-01T01:00:00.000000Z"
    visit = list_records(world.ctx(), "visit", Query()).items[0]
    assert visit["subject"] == "Report 2026-03-01"


def test_zone_of_its_own_is_kept_over_the_change_of_clocks(world):
    text = DAILY.replace('"0 9 * * *"', '"30 2 * * *", time_zone: Europe/Berlin')
    at(world, "2026-03-28T12:00:00+00:00")
    world.publish(text)
    look(world)
    for day in ("2026-03-29T12:00:00+00:00", "2026-03-30T12:00:00+00:00"):
        at(world, day)
        look(world)
    assert len(world.runs()) == 2  # 02:30 does not exist on 29 March, and is not lost


def test_missed_schedules_are_caught_up_once(world):
    at(world, "2026-03-01T08:00:00+08:00")
    world.publish(DAILY)
    look(world)
    at(world, "2026-03-20T12:00:00+08:00")
    look(world)
    look(world)
    assert [one["input"]["due"] for one in world.runs()] == ["2026-03-20T01:00:00.000000Z"]


def test_two_processes_that_look_at_once_call_once(world):
    at(world, "2026-03-01T08:59:00+08:00")
    world.publish(DAILY)
    look(world)
    at(world, "2026-03-01T09:00:01+08:00")
    contexts = [world.ctx() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(tick, contexts))
    world.deliver()
    assert len(world.runs()) == 1


def test_what_was_due_before_it_was_published_or_while_it_was_off_is_not_made_up_for(world):
    at(world, "2026-03-01T09:30:00+08:00")
    world.publish(DAILY)
    look(world)
    administration.set_on(world.ctx("Admin"), "daily", is_on=False)
    at(world, "2026-03-02T09:30:00+08:00")
    look(world)
    administration.set_on(world.ctx("Admin"), "daily", is_on=True)
    look(world)
    assert world.runs() == []
    shown = administration.get_automation(world.ctx("Admin"), "daily")
    assert shown["next_due"] == "2026-03-03T01:00:00.000000Z"


def test_date_field_finds_the_records_of_its_day_every_year(world):
    at(world, "2026-03-01T08:00:00+08:00")
    world.publish(BIRTHDAY)
    look(world)
    for name, day, level in (
        ("Lin", "1990-03-04", "vip"), ("Wang", "1991-03-04", "basic"),
        ("Zhao", "1992-03-05", "vip"), ("Sun", "2030-03-04", "vip"),
    ):  # fmt: skip
        world.create(name=name, birthday=day, level=level)
    at(world, "2026-03-01T09:00:05+08:00")
    look(world)
    look(world)
    assert told(world) == ["Lin 1990-03-04"]
    at(world, "2027-03-01T09:00:05+08:00")
    look(world)
    assert told(world).count("Lin 1990-03-04") == 2


def test_leap_day_is_kept_on_the_day_before_in_other_years(world):
    at(world, "2026-02-25T08:00:00+08:00")
    world.publish(BIRTHDAY)
    look(world)
    world.create(name="Leap", birthday="2000-02-29", level="vip")
    at(world, "2026-02-25T09:01:00+08:00")
    look(world)
    assert told(world) == ["Leap 2000-02-29"]


def test_missed_days_of_a_date_field_are_each_looked_at(world):
    at(world, "2026-03-01T08:00:00+08:00")
    world.publish(BIRTHDAY.replace("days: -3, yearly: true", "days: 2"))
    look(world)
    for day in ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-30"):
        world.create(name=f"N{day}", birthday=day, level="vip")
    at(world, "2026-03-05T12:00:00+08:00")
    look(world)
    assert [one[:11] for one in told(world)] == ["N2026-03-01", "N2026-03-02", "N2026-03-03"]


def test_instant_field_counts_the_days_of_the_store(world):
    at(world, "2026-03-01T08:00:00+08:00")
    world.publish(
        BIRTHDAY.replace(
            "field: birthday, days: -3, yearly: true", "field: seen_at, days: 0"
        ).replace("{birthday}", "")
    )
    look(world)
    world.create(name="Early", seen_at="2026-02-28T16:30:00Z", level="vip")  # 1 March in Shanghai
    world.create(name="Late", seen_at="2026-03-01T16:30:00Z", level="vip")
    at(world, "2026-03-01T09:00:01+08:00")
    look(world)
    assert told(world) == ["Early "]


def test_schedule_over_records_runs_once_for_each_that_its_actor_may_see(world):
    at(world, "2026-03-01T08:00:00+08:00")
    world.publish("""
automation: decay
type: member
trigger: {on: schedule, cron: "0 9 * * *"}
when: "points > 0"
run_as: {role: robot}
actions:
  - {do: set, values: {points: "points - 1"}}
""")
    look(world)
    rows = [{"no": f"M{at}", "name": "Lin", "points": at % 3} for at in range(210)]
    members = [one["id"] for one in create_many(world.ctx("clerk"), "member", rows)]
    hidden = world.create(points=9)
    world.change(hidden, level=None)
    at(world, "2026-03-01T09:00:01+08:00")
    look(world)
    done = administration.list_runs(world.ctx(), limit=200, state="done")["items"]
    assert len(done) == 140
    assert sum(world.get(one)["points"] for one in members) == 70
    assert world.get(hidden)["points"] == 9


def test_runs_that_ended_long_ago_are_forgotten(world):
    world.publish(DAILY)
    look(world)
    at(world, "2026-03-02T12:00:00+08:00")
    look(world)
    assert len(world.runs()) == 1
    at(world, "2026-06-02T08:00:00+08:00")
    tick(world.ctx())
    assert world.runs() == []


@pytest.mark.parametrize("cron", ["*/5 * * * *", "0 9 1 1 *", "59 23 * * SUN"])
def test_long_outage_costs_one_look(world, cron):
    world.publish(DAILY.replace("0 9 * * *", cron))
    look(world)
    world.clock = FixedClock(datetime(2036, 1, 7, tzinfo=UTC))
    look(world)
    assert len(world.runs()) <= 1
