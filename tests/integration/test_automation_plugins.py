"""What plugins offer automations to do, and that none of them can stop the worker."""

import logging
import threading
import time

import pytest

from core.api import ActionCall, Invalid, PluginAction, Problem
from core.automation import running
from core.extension import hooks as hooks_module
from core.jobs.handlers import Event
from core.jobs.outbox import outbox
from core.records.queries import Query, list_records
from core.schema import actiontypes
from core.schema.actiontypes import register_actions
from tests.integration.automation_world import *  # noqa: F403

COUNT = """
automation: count_up
type: member
trigger: {on: created}
run_as: {system: true}
retry: {times: 1, wait: 1}
actions:
  - {do: create, type: visit, values: {subject: name}}
  - {do: plugin, name: loyalty.count, values: {by: "points + 1", who: name}}
"""
SECOND = """
automation: beside
type: member
trigger: {on: created}
run_as: {system: true}
actions: [{do: set, values: {level: "'vip'"}}]
"""


@pytest.fixture
def offer(world, monkeypatch):
    monkeypatch.setattr(actiontypes, "_ACTIONS", {})

    def register(run):
        world.hooks.register_plugin("loyalty", object())
        action = PluginAction("count", run, {"by": "number", "who": "text"})
        register_actions("loyalty", [action])
        world.publish(COUNT, SECOND)

    return register


def visits(world):
    return len(list_records(world.ctx(), "visit", Query()).items)


def test_plugin_action_gets_its_values_and_acts_in_the_run(world, offer):
    calls = []

    def run(ctx, call):
        assert isinstance(call, ActionCall)
        assert ctx.is_writing
        calls.append(
            (ctx.actor.name, ctx.door, call.record_type, call.record_id, dict(call.values))
        )

    offer(run)
    member = world.create(points=4, name="Lin")
    world.deliver()
    assert calls == [
        ("system (count_up)", "automation", "member", member, {"by": 5, "who": "Lin"})
    ]
    assert ("count_up", "done") in world.states()


def test_plugin_that_refuses_undoes_the_run_and_stays_on(world, offer):
    def run(_ctx, _call):
        raise Invalid(problems=[Problem("by", "loyalty.enough", "It is enough.")])

    offer(run)
    world.create()
    world.deliver()
    assert sorted(world.states()) == [("beside", "done"), ("count_up", "retrying")]
    world.later(seconds=2)
    world.deliver()
    dead = world.runs(state="dead")[0]
    assert "It is enough." in dead["error"]
    assert visits(world) == 0


@pytest.mark.parametrize("how", ["raises", "hangs", "exits"])
def test_plugin_that_breaks_is_switched_off_and_the_worker_goes_on(
    world, offer, how, monkeypatch, caplog
):
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(hooks_module, "BEFORE_SECONDS", 0.3)
    let_go = threading.Event()

    def run(_ctx, _call):
        if how == "raises":
            raise ZeroDivisionError
        if how == "exits":
            raise SystemExit
        let_go.wait(5)

    offer(run)
    members = [world.create() for _ in range(3)]
    began = time.monotonic()
    world.deliver()
    assert time.monotonic() - began < 10
    let_go.set()
    world.hooks.wait_for_notes()
    assert [world.get(one)["level"] for one in members] == ["vip"] * 3
    assert {state for name, state in world.states() if name == "beside"} == {"done"}
    failed = [one for one in world.runs() if one["automation"] == "count_up"]
    assert {one["state"] for one in failed} == {"retrying"}
    assert "loyalty" in failed[0]["error"]
    assert visits(world) == 0


def test_what_is_no_action_is_refused_when_plugins_are_loaded():
    with pytest.raises(TypeError):
        register_actions("loyalty", ["count"])


def test_run_that_kills_its_process_each_time_is_given_up(world):
    world.publish(SECOND)
    world.create()
    with world.db.read() as connection:
        (event,) = connection.execute(outbox.select()).mappings().all()
    world.handlers.remove("automations:run")
    world.deliver()
    assert world.states() == [("beside", "waiting")]
    run = world.runs()[0]["id"]
    payload = {"run": run, "type": "member"}
    running.execute(world.ctx(), Event(1, event["id"], "automation.run", payload, 4))
    assert world.states() == [("beside", "dead")]
    assert "process died" in world.runs()[0]["error"]
