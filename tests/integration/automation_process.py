"""A worker with automations in a process of its own, for tests that kill it: URL MODE."""

import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from core.actor import SYSTEM
from core.automation import actions, registering, scheduling, sending
from core.context import Context
from core.db import Database
from core.extension.hooks import Hooks
from core.jobs.handlers import Handlers
from core.jobs.worker import Worker
from core.settings import Settings
from core.tables.registry import Registries
from core.workflow import guard


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def hang(_doing, _at, _action):
    say("inside")
    time.sleep(60)


def die_after_the_first_action():
    actions._DOING = {**actions._DOING, "notify": hang}


def die_after_the_answer():
    real = sending.call

    def call(*args, **kwargs):
        real(*args, **kwargs)
        hang(None, 0, None)

    sending.call = call


def die_at_the_tick():
    real = scheduling.emit

    def emit(*args, **kwargs):
        real(*args, **kwargs)
        hang(None, 0, None)

    scheduling.emit = emit


MODES = {
    "steady": lambda: None,
    "hang": die_after_the_first_action,
    "hang_after_call": die_after_the_answer,
    "hang_at_tick": die_at_the_tick,
}


def short_leases():
    second = timedelta(seconds=1)
    handlers = Handlers()
    registering.register(handlers)
    for one in list(handlers._handlers.values()):
        handlers.add(replace(one, lease=second))
    sending.LEASE = second
    return handlers, {"leader_lease": second, "event_lease": second}


def main(url, mode):
    db = Database(url)
    registries, hooks = Registries(db), Hooks()
    guard.register(hooks)

    def context():
        return Context(
            actor=SYSTEM, db=db, registries=registries, registry=registries.current(), hooks=hooks
        )

    MODES[mode]()
    handlers, leases = short_leases()
    worker = Worker(db, context, handlers=handlers, elected=False, **leases)
    settings = Settings(Path("/nowhere"), url, "k" * 40, webhook_hosts=("127.0.0.1",))
    sender = sending.Sender(settings, db, registries)
    say("started")  # before anything else can speak: a mode may be inside at once
    worker.start()
    sender.start()
    sys.stdin.read()
    say("stopped" if worker.stop() and sender.stop() else "hanging")
