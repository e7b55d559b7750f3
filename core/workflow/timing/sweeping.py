"""What happens to approvals by themselves: clocks strike, waits end, deputies come and go.

One process at a time sweeps, a few times a minute. Each instance is a transaction of its
own, under the same lock as a person's decision: who comes second finds nothing to do. An
instance that fails is left alone for longer each time and holds up no other; administrators
are told when it goes on failing.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import NotFound
from core.jobs.handlers import HANDLERS, Chore, Event, Handler, Handlers
from core.jobs.outbox import emit
from core.workflow.engine.state import Command
from core.workflow.models import (
    IS_CLAIMED,
    IS_WAIT,
    instance,
    task,
    timer,
    visit,
)
from core.workflow.run import Answer, Run, lock_instance, make_run, once
from core.workflow.settling import settle
from core.workflow.staff.away import RECHECK
from core.workflow.staff.delegations import moved_windows
from core.workflow.timing.reckoning import Follower

log = logging.getLogger(__name__)

#: How often the clocks are looked at, and how many of them at once.
EVERY, BATCH = timedelta(seconds=2), 200
#: How often conditions that something waits for are asked, and how many of them at once.
ASK_EVERY, ASKED = timedelta(seconds=30), 100
#: Failures after which administrators are told.
TELL_AFTER = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 5, 3600
_ERROR_LENGTH = 1000

trouble = sa.Table(
    "gx_flow_trouble",
    metadata,
    sa.Column("instance_id", sa.String(36), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.String(27), nullable=False, doc="left alone until then"),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("since", sa.String(27), nullable=False),
)

#: How far things have been followed that happen at a time and leave no row to be marked.
mark = sa.Table(
    "gx_flow_mark",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("at", sa.String(27), nullable=False),
)

_WINDOWS = "windows"
_keep_mark = {
    name: make(mark).on_conflict_do_update(
        index_elements=["name"], set_={"at": sa.bindparam("then")}
    )
    for name, make in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}

_left_alone = sa.select(trouble.c.instance_id).where(trouble.c.next_at > sa.bindparam("now"))
#: In the words of the index of pending clocks.
_DUE = (
    sa.select(timer.c.instance_id, timer.c.visit_id, timer.c.rung)
    .where(
        timer.c.state == sa.literal_column("'pending'"),
        timer.c.fire_at != sa.literal_column("''"),
        timer.c.fire_at <= sa.bindparam("now"),
        timer.c.instance_id.not_in(_left_alone),
    )
    .order_by(timer.c.fire_at)
    .limit(BATCH)
)

_LAPSED = (
    sa.select(task.c.instance_id)
    .where(
        IS_CLAIMED, task.c.state == "open", task.c.claimed_until < sa.bindparam("now"),
        task.c.instance_id.not_in(_left_alone),
    )
    .order_by(task.c.claimed_until)
    .limit(BATCH)
)  # fmt: skip


def register(handlers: Handlers = HANDLERS) -> None:
    """Have the worker sweep, and ask what waits for its document when that changes."""
    asker = Asker()
    handlers.add_chore(Chore("flows:clocks", EVERY, sweep))
    handlers.add_chore(Chore("flows:waits", ASK_EVERY, asker.look))
    handlers.add(Handler("flows:record", "record.updated", wake, concerns=_is_document))


def sweep(ctx: Context) -> None:
    """Do what is due by the clock."""
    strike(ctx)
    free_claims(ctx)


# -- clocks --------------------------------------------------------------------------------------


def strike(ctx: Context) -> int:
    """Do what clocks say that are due; return how many there were."""
    with ctx.reading() as connection:
        due = connection.execute(_DUE, {"now": to_wire(ctx.now)}).all()
    by_instance: dict[str, list[Command]] = defaultdict(list)
    for row in due:
        by_instance[row.instance_id].append(Command("fire", visit=row.visit_id, rung=row.rung))
    for instance_id, commands in by_instance.items():
        attempt(ctx, instance_id, commands)
    return len(due)


def attempt(
    ctx: Context, instance_id: str, commands: Sequence[Command], *, lets_go: bool = False
) -> bool:
    """Do the product's own commands on one instance; return whether that worked.

    What a person did meanwhile counts: a command that has nothing left to do does nothing.
    A failure is noted and the instance left alone for a while. With `lets_go` claims end
    whose time is over.
    """
    try:
        once(ctx, None, (), lambda: _perform(ctx, instance_id, commands, lets_go=lets_go))
    except NotFound:
        return False
    except Exception as error:
        log.exception("approval %s could not be moved by its clock", instance_id)
        _note_failure(ctx, instance_id, error)
        return False
    return True


def free_claims(ctx: Context) -> int:
    """Let go of claims whose holders gave no sign of life; return how many tasks had one."""
    with ctx.reading() as connection:
        ids = connection.execute(_LAPSED, {"now": to_wire(ctx.now)}).scalars().all()
    for instance_id in dict.fromkeys(ids):
        attempt(ctx, instance_id, [], lets_go=True)
    return len(ids)


def _perform(
    ctx: Context, instance_id: str, commands: Sequence[Command], *, lets_go: bool = False
) -> Answer:
    connection = ctx.connection
    assert connection is not None  # noqa: S101  `once` has opened it
    run = lock_instance(ctx, connection, instance_id)
    for command in commands:
        run.perform(command)
    if lets_go:
        _let_go(run)
    if run.events or run.state.status != run.former:
        settle(run)
    connection.execute(trouble.delete().where(trouble.c.instance_id == instance_id))
    return {}


def _let_go(run: Run) -> None:
    now = to_wire(run.ctx.now)
    for seat in run.state.seats.values():
        if seat.claimed_by and seat.claimed_until < now:
            step = run.state.visits[seat.visit].step
            detail = {"of": seat.claimed_by, "why": "lease"}
            seat.claimed_by = seat.claimed_until = ""
            run.note("release", step=step, visit=seat.visit, seat=seat.key, detail=detail)


def _note_failure(ctx: Context, instance_id: str, error: Exception) -> None:
    said = f"{type(error).__name__}: {error}"[:_ERROR_LENGTH].replace("\0", "")
    with ctx.writing() as connection:
        known = connection.execute(
            sa.select(trouble.c.attempts).where(trouble.c.instance_id == instance_id)
        ).scalar()
        attempts = (known or 0) + 1
        pause = timedelta(seconds=min(_FIRST_PAUSE * 2**attempts, _LONGEST_PAUSE))
        values = {"attempts": attempts, "next_at": to_wire(ctx.now + pause), "error": said}
        if known is None:
            since = to_wire(ctx.now)
            connection.execute(
                trouble.insert().values(instance_id=instance_id, since=since, **values)
            )
        else:
            connection.execute(
                trouble.update().where(trouble.c.instance_id == instance_id).values(values)
            )
        if attempts == TELL_AFTER:
            _tell(ctx, connection, instance_id)


def _tell(ctx: Context, connection: Connection, instance_id: str) -> None:
    """Tell administrators of an instance that goes on failing, once."""
    row = connection.execute(
        sa.select(instance).where(instance.c.id == instance_id)
    ).mappings().one()  # fmt: skip
    emit(
        connection,
        "flow.attention",
        {
            "type": row["record_type"], "id": row["record_id"], "instance": instance_id,
            "task": row["task_id"], "title": row["title"], "initiator": row["initiator"],
            "actor": ctx.actor.id, "actor_name": ctx.actor.name, "at": to_wire(ctx.now),
            "why": "clock_failed",
        },
    )  # fmt: skip


# -- waits ---------------------------------------------------------------------------------------

#: Waits for a condition: those for a time have a clock.
_WAITS = (
    sa.select(visit.c.id, visit.c.instance_id)
    .where(
        IS_WAIT,
        ~sa.exists().where(timer.c.visit_id == visit.c.id, timer.c.state == "pending"),
    )
    .order_by(visit.c.id)
)


class Asker:
    """Asks the conditions that steps wait for, some at each turn, all of them in the end."""

    def __init__(self) -> None:
        """Begin with the oldest."""
        self._last = ""
        self._calendars = Follower()

    def look(self, ctx: Context) -> None:
        """Ask some conditions, and follow who went away or came back and which hours changed."""
        self.ask(ctx)
        follow_windows(ctx)
        self._calendars.follow(ctx, lambda one, command: attempt(ctx, one, [command]))

    def ask(self, ctx: Context) -> int:
        """Go on with the approvals whose conditions hold by now; return how many were asked."""
        query = _WAITS.where(visit.c.id > self._last).limit(ASKED)
        with ctx.reading() as connection:
            rows = connection.execute(query).all()
        self._last = rows[-1].id if len(rows) == ASKED else ""
        for row in rows:
            _ask(ctx, row.instance_id, row.id)
        return len(rows)


def _ask(ctx: Context, instance_id: str, visit_id: str) -> None:
    """Go on with one approval if its condition holds; it is asked without any lock first."""
    with ctx.reading() as connection:
        row = connection.execute(
            sa.select(instance).where(instance.c.id == instance_id, instance.c.state == "running")
        ).mappings().first()  # fmt: skip
        if row is None:
            return
        try:
            run = make_run(ctx, connection, row)
            waiting = run.state.visits[visit_id]
            step = run.tree.nodes[waiting.step].step
            holds = run.world.moment(step.until, waiting.item) is True
        except Exception:  # one broken condition must not keep the others from being asked
            log.exception("what approval %s waits for could not be asked", instance_id)
            return
    if holds:
        attempt(ctx, instance_id, [Command("recheck", visit=visit_id)])


def _is_document(ctx: Context, event: Event) -> bool:
    record_type = ctx.registry.release.type(event.payload["type"])
    return record_type is not None and record_type.document


def wake(ctx: Context, event: Event) -> None:
    """Ask what an approval waits for as soon as its own document was changed."""
    connection = ctx.connection
    assert connection is not None  # noqa: S101  the worker calls it in a transaction
    found = connection.execute(
        sa.select(visit.c.id, visit.c.instance_id)
        .join(instance, instance.c.id == visit.c.instance_id)
        .where(
            instance.c.record_type == event.payload["type"],
            instance.c.record_id == event.payload["id"],
            instance.c.state == "running",
            visit.c.type == "wait",
            visit.c.state == "waiting",
        )
    ).all()
    for row in found:
        _perform(ctx, row.instance_id, [Command("recheck", visit=row.id)])


# -- people --------------------------------------------------------------------------------------


def follow_windows(ctx: Context) -> None:
    """Look again at what waits for people whose time away began or ended by itself."""
    now = to_wire(ctx.now)
    with ctx.reading() as connection:
        since = connection.execute(sa.select(mark.c.at).where(mark.c.name == _WINDOWS)).scalar()
        people = moved_windows(connection, since, now) if since else ()
    with ctx.writing() as connection:
        for person in sorted(people):
            emit(connection, RECHECK, {"person": person})
        connection.execute(
            _keep_mark[connection.dialect.name], {"name": _WINDOWS, "at": now, "then": now}
        )
