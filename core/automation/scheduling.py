"""What the clock sets going: schedules, and days counted from a date field.

Each automation's last call is kept in the database and moved on in the transaction that
writes its event, so that two processes never call twice and a killed one loses nothing.
What was missed while nobody ran is called once, not once per time; of a date field each
missed day is looked at, since every day has its own records.
"""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from cronsim import CronSim
from sqlalchemy.engine import Connection

from core.automation.models import KEEP, OPEN, SENDING, message, run, switch
from core.automation.running import actor_of
from core.automation.starting import Start, begin
from core.automation.subject import NOTHING, Subject, present
from core.automation.switches import Switch, ensure_row, switches
from core.clock import to_wire
from core.context import Context
from core.expression.sql import sql_clause
from core.jobs.handlers import Event
from core.jobs.outbox import emit
from core.policies.access import access
from core.records.binding import bound
from core.schema.automationchecks import clock_pattern
from core.schema.automations import CLOCKED, Automation

#: Topic of the event that has the records of one call found.
TOPIC = "automation.scan"
#: Records for which one event begins runs; the rest is the next event's.
BATCH = 200
#: Missed days of a date field that are looked at after an outage.
MOST_DAYS = 31

_PURGE_ROWS = 1_000


def tick(ctx: Context) -> None:
    """Call every automation whose time has come, and forget what ended long ago."""
    clocked = [
        one for one in ctx.registry.release.automations.values() if one.trigger.on in CLOCKED
    ]
    if clocked:
        with ctx.reading() as connection:
            known = switches(connection, clocked)
        for automation in clocked:
            _look(ctx, automation, known[automation.automation])
    _purge(ctx)


def _look(ctx: Context, automation: Automation, known: Switch) -> None:
    """Call one automation if its time has come since the last look."""
    name, now = automation.automation, ctx.now
    if not known.last_due:
        # The first look: what was due before it was published is nobody's business.
        with ctx.writing() as connection:
            ensure_row(connection, name, last_due=now)
            connection.execute(
                switch.update()
                .where(switch.c.name == name, switch.c.last_due == "")
                .values(last_due=to_wire(now))
            )
        return
    due = list(_due(ctx, automation, datetime.fromisoformat(known.last_due)))
    if not due:
        return
    calls = due[-MOST_DAYS:] if automation.trigger.on == "date_field" else due[-1:]
    with ctx.writing() as connection:
        moved = connection.execute(
            switch.update()
            .where(switch.c.name == name, switch.c.last_due == known.last_due)
            .values(last_due=to_wire(due[-1]))
        )
        if (
            not moved.rowcount
            or not known.is_on
            or not ctx.hooks.is_running(ctx, automation.layer)
        ):
            return
        for at in calls:
            payload = {"automation": name, "due": to_wire(at), "after": ""}
            emit(connection, TOPIC, payload, key=f"{TOPIC}:{name}:{to_wire(at)}")


def zone_of(ctx: Context, automation: Automation) -> ZoneInfo:
    """Return the zone that an automation's times are in: its own, else the store day's."""
    zone = automation.trigger.time_zone
    return ZoneInfo(zone) if zone else ctx.time_zone


def next_due(ctx: Context, automation: Automation) -> datetime | None:
    """Return when a clocked automation comes next; None for others."""
    if automation.trigger.on not in CLOCKED:
        return None
    start = ctx.now.astimezone(zone_of(ctx, automation))
    found: datetime = next(CronSim(clock_pattern(automation.trigger), start))
    return found.astimezone(UTC)


def _due(ctx: Context, automation: Automation, since: datetime) -> Iterator[datetime]:
    """Yield the instants after `since` up to now, of a long outage the last ones only."""
    zone = zone_of(ctx, automation)
    now = ctx.now
    # Only the last ones count: a minute's pattern needs no walk through a year's outage.
    since = max(since, now - timedelta(days=MOST_DAYS + 1))
    if automation.trigger.on == "schedule":
        latest = _latest(automation, zone, since, now)
        yield from [latest] if latest else []
        return
    times: Iterator[datetime] = CronSim(clock_pattern(automation.trigger), since.astimezone(zone))
    for at in islice(times, MOST_DAYS + 2):
        if at > now:
            return
        yield at.astimezone(UTC)


def _latest(
    automation: Automation, zone: ZoneInfo, since: datetime, now: datetime
) -> datetime | None:
    """Return the last instant of a schedule after `since` and up to now."""
    backwards = CronSim(
        clock_pattern(automation.trigger), (now + timedelta(seconds=1)).astimezone(zone),
        reverse=True,
    )  # fmt: skip
    for at in islice(backwards, 1):
        found: datetime = at.astimezone(UTC)
        return found if found > since else None
    return None


def scan(ctx: Context, event: Event) -> None:
    """Begin the runs of one call: one without a record, or one for each record that is meant."""
    connection = ctx.connection
    assert connection is not None  # noqa: S101  the worker calls it in a transaction
    payload = event.payload
    automation = ctx.registry.release.automations.get(payload["automation"])
    if automation is None or automation.trigger.on not in CLOCKED:
        return
    due = datetime.fromisoformat(payload["due"])
    if not automation.type:
        begin(ctx, connection, automation, _start(automation, due))
        return
    ids = _meant(ctx, connection, automation, due, payload["after"])
    for record_id in ids:
        record = present(ctx, connection, automation.type, record_id)
        start = _start(automation, due, record_id, Subject(record, None))
        begin(ctx, connection, automation, start)
    if len(ids) == BATCH:
        emit(connection, TOPIC, {**payload, "after": ids[-1]})


def _start(
    automation: Automation, due: datetime, record_id: str = "", subject: Subject | None = None
) -> Start:
    return Start(
        key=f"{automation.automation}@{to_wire(due)}{record_id}",
        record_id=record_id,
        subject=subject or NOTHING,
        input={"trigger": automation.trigger.on, "due": to_wire(due)},
    )


def _meant(
    ctx: Context, connection: Connection, automation: Automation, due: datetime, after: str
) -> list[str]:
    """Return the next records that a call is about, among those that the automation may see."""
    table = ctx.registry.tables[automation.type].main
    texts = [automation.when] if automation.when else []
    if automation.trigger.on == "date_field":
        texts.append(date_condition(ctx, automation, due))
    columns = ctx.registry.columns(automation.type)
    clauses = [
        sql_clause(ctx.registry.expression(automation.type, text, "boolean"), columns)
        for text in texts
    ]
    rights_of = Context.of(
        ctx, actor_of(ctx, automation), registry=ctx.registry, time_zone=ctx.time_zone
    )
    rows = access(rights_of, automation.type).row_clause("view")
    if rows is not None:
        clauses.append(rows)
    query = (
        sa.select(table.c.id)
        .where(table.c.deleted_at.is_(None), table.c.id > after, *clauses)
        .order_by(table.c.id)
        .limit(BATCH)
    )
    return list(connection.execute(query, bound(rights_of)).scalars())


def date_condition(ctx: Context, automation: Automation, due: datetime) -> str:
    """Return the condition on records whose date is so many days from the day of a call."""
    trigger = automation.trigger
    day = due.astimezone(zone_of(ctx, automation)).date() - timedelta(days=trigger.days)
    field = ctx.registry.record_type(automation.type).field(trigger.field)
    is_instant = field is not None and (field.result or field.type) == "datetime"
    name = f"DATE(`{trigger.field}`)" if is_instant else f"`{trigger.field}`"
    if not trigger.yearly:
        return f"{name} == '{day.isoformat()}'"
    days = [day.day, 29] if _stands_for_leap_day(day) else [day.day]
    # Nobody has a birthday before being born.
    return f"MONTH({name}) == {day.month} and DAY({name}) in {days} and {name} <= '{day}'"


def _stands_for_leap_day(day: date) -> bool:
    """Return whether a day is kept for 29 February, in a year that has none."""
    return (day.month, day.day) == (2, 28) and not calendar.isleap(day.year)


def _purge(ctx: Context) -> None:
    """Forget runs that ended long ago, with what they sent."""
    before = to_wire(ctx.now - KEEP)
    old: Any = (
        sa.select(run.c.id)
        .where(
            run.c.created_at < before,
            run.c.state.not_in((*OPEN, SENDING)),
        )
        .order_by(run.c.created_at)
        .limit(_PURGE_ROWS)
    )
    with ctx.reading() as connection:
        ids = list(connection.execute(old).scalars())
    if ids:
        with ctx.writing() as connection:
            connection.execute(message.delete().where(message.c.run_id.in_(ids)))
            connection.execute(run.delete().where(run.c.id.in_(ids)))
