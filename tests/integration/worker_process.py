"""A worker in a process of its own, for tests that kill it: URL MODE."""

import os
import sys
import time
from datetime import timedelta

import sqlalchemy as sa

from core.actor import SYSTEM
from core.context import Context
from core.db import Database
from core.extension.hooks import Hooks
from core.jobs.handlers import Event, Handler, Handlers
from core.jobs.outbox import emit_many
from core.jobs.worker import Worker
from core.tables.registry import Registries

own = sa.MetaData()
effect = sa.Table(
    "t_effect",
    own,
    sa.Column("nr", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("event", sa.String(36)),
    sa.Column("number", sa.Integer),
    sa.Column("pid", sa.Integer),
)


def system_context(db: Database) -> Context:
    registries = Registries(db)
    return Context(
        actor=SYSTEM, db=db, registries=registries, registry=registries.current(), hooks=Hooks()
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def put(connection: sa.Connection, event: Event) -> None:
    connection.execute(
        effect.insert(),
        {"event": event.id, "number": event.payload["number"], "pid": os.getpid()},
    )


def steady(ctx: Context, event: Event) -> None:
    put(ctx.connection, event)


def slow(ctx: Context, event: Event) -> None:
    put(ctx.connection, event)
    say("inside")
    time.sleep(30)


def outside(ctx: Context, event: Event) -> None:
    """Have an effect that commits by itself, as another system's would."""
    with ctx.db.write() as connection:
        known = connection.execute(sa.select(effect).where(effect.c.event == event.id)).first()
        if known is None:
            put(connection, event)
    if event.attempt == 1:
        say("inside")
        time.sleep(30)


def busy(ctx: Context, event: Event) -> None:
    put(ctx.connection, event)
    time.sleep(0.005)


MODES = {"steady": steady, "slow": slow, "outside": outside, "busy": busy}


def main(url: str, mode: str) -> None:
    db = Database(url)
    if mode == "emit":
        with db.write(durable=True) as connection:
            emit_many(connection, [("test.event", {"number": n}) for n in range(50)])
        say("committed")
        time.sleep(30)
    handlers = Handlers()
    handlers.add(
        Handler(
            name="test",
            prefix="test",
            handle=MODES[mode],
            in_transaction=mode != "outside",
            lease=timedelta(seconds=1),
        )
    )
    worker = Worker(
        db,
        lambda: system_context(db),
        handlers=handlers,
        leader_lease=timedelta(seconds=1),
        event_lease=timedelta(seconds=1),
    )
    worker.start()
    say("started")
    sys.stdin.read()
    say("stopped" if worker.stop() else "hanging")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
