"""Whenever a process is killed, an event has its effects once and nothing is lost."""

import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.automation.models import run, switch
from core.clock import Clock, to_wire
from core.records.queries import Query, list_records
from core.testing.processes import Talking
from tests.integration import automation_process
from tests.integration.automation_world import *  # noqa: F403


@pytest.fixture
def start(world):
    world.clock = Clock()
    processes, url = [], world.db.url.render_as_string(hide_password=False)

    def begin(mode):
        process = Talking(automation_process.main, url, mode)
        processes.append(process)
        assert process.heard.readline().startswith("started")
        return process

    yield begin
    for process in processes:
        process.close()


def kill_inside(process):
    assert process.heard.readline().strip() == "inside"
    process.kill()


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not holds():
        time.sleep(0.1)
    return holds()


@pytest.fixture
def here(world, monkeypatch):
    monkeypatch.setattr(Clock, "move", lambda *_: None, raising=False)
    return world


def test_run_whose_process_is_killed_half_way_has_its_effects_once(here, start):
    here.publish("""
automation: both
type: member
trigger: {on: created}
run_as: {system: true}
actions:
  - {do: create, type: visit, values: {subject: name}}
  - {do: notify, to: {role: clerk}, title: {en: "{name}"}}
""")
    victim = start("hang")
    here.create()
    kill_inside(victim)
    assert list_records(here.ctx(), "visit", Query()).items == []
    start("steady")
    assert until(lambda: here.states() == [("both", "done")])
    time.sleep(1.5)
    assert len(list_records(here.ctx(), "visit", Query()).items) == 1


def test_call_whose_sender_is_killed_comes_again_with_the_same_delivery(here, start, receiver):
    here.publish(f"""
automation: call
type: member
trigger: {{on: created}}
run_as: {{system: true}}
actions:
  - {{do: webhook, url: "http://127.0.0.1:{receiver.port}/", values: {{name: name}}}}
""")
    victim = start("hang_after_call")
    here.create()
    kill_inside(victim)
    start("steady")
    assert until(lambda: here.states() == [("call", "done")])
    assert len(receiver.calls) == 2
    assert len({headers["X-Guanxi-Delivery"] for _, headers, _ in receiver.calls}) == 1


def test_schedule_is_called_once_by_two_processes_and_after_a_kill(here, start):
    here.publish("""
automation: always
trigger: {on: schedule, cron: "* * * * *"}
run_as: {system: true}
actions:
  - {do: create, type: visit, values: {subject: "'tick'"}}
""")
    now = here.clock.now()
    with here.db.write() as connection:
        values = {
            "name": "always", "is_off": None, "secret_round": 0, "changed_at": "", "changed_by": "",
            "last_due": to_wire(now - timedelta(minutes=5)),
        }  # fmt: skip
        connection.execute(switch.insert(), values)
    kill_inside(start("hang_at_tick"))
    with here.db.write() as connection:  # the dead process's lease need not be waited for
        connection.execute(sa.text("delete from gx_lease"))
    start("steady")
    start("steady")
    assert until(lambda: here.states()[:1] == [("always", "done")])
    time.sleep(6)
    with here.db.read() as connection:
        keys = connection.execute(sa.select(run.c.key)).scalars().all()
    minutes = (here.clock.now() - now).total_seconds() // 60 + 2
    assert len(keys) == len(set(keys)) <= minutes
    assert len(list_records(here.ctx(), "visit", Query()).items) == len(keys)
