"""What administrators and configurators see of automations, and do with them."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.automation.models import (
    DEAD,
    LOST,
    OPEN,
    READY,
    SENDING,
    STOPPED,
    WAITING,
    message,
    run,
    switch,
)
from core.automation.scheduling import next_due
from core.automation.starting import TOPIC, Start, begin
from core.automation.subject import Subject, present
from core.automation.switches import Switch, ensure_row, find_automation, switches
from core.clock import to_wire
from core.context import Context
from core.errors import Conflict, Forbidden, NotFound
from core.i18n import N_, pick
from core.ids import is_id, new_id
from core.jobs.outbox import emit
from core.schema.automations import Automation

Record = dict[str, Any]

#: Roles that switch automations and do runs again, and those that only look.
ADMINISTRATORS = frozenset({"Admin", "configurator"})
ONLOOKERS = ADMINISTRATORS | {"auditor"}
#: Runs of one page.
PAGE = 50
MAX_PAGE = 200


class StillAtWork(Conflict):
    """A run that has not ended cannot be done again."""

    code = "automation.at_work"
    text = N_("The run has not ended yet.")


def may_administer(ctx: Context) -> bool:
    """Return whether the actor may switch automations and do runs again."""
    return bool(ctx.actor.roles & ADMINISTRATORS) or ctx.actor.is_system


def may_look(ctx: Context) -> bool:
    """Return whether the actor may see automations and their runs."""
    return bool(ctx.actor.roles & ONLOOKERS) or ctx.actor.is_system


def _require(ctx: Context) -> None:
    if not may_administer(ctx):
        raise Forbidden


def _require_sight(ctx: Context) -> None:
    if not may_look(ctx):
        raise Forbidden


def list_automations(ctx: Context) -> list[Record]:
    """Return every automation of the release in force, with its switch and its last runs.

    Raises:
        Forbidden: the actor administers nothing.
    """
    _require_sight(ctx)
    every = list(ctx.registry.release.automations.values())
    with ctx.reading() as connection:
        known = switches(connection, every)
        counts = _counts(connection)
        return [
            _shown(ctx, one, known[one.automation], counts.get(one.automation, {}))
            for one in every
        ]


def get_automation(ctx: Context, name: str) -> Record:
    """Return one automation as `list_automations` does, with what its document says.

    Raises:
        NotFound: there is none.
        Forbidden: the actor administers nothing.
    """
    _require_sight(ctx)
    automation = find_automation(ctx, name)
    with ctx.reading() as connection:
        known = switches(connection, [automation])[name]
        counts = _counts(connection, name).get(name, {})
    made = _shown(ctx, automation, known, counts)
    return made | {"document": msgspec.to_builtins(automation)}


def _counts(connection: Connection, name: str = "") -> dict[str, dict[str, int]]:
    """Return how many runs of each automation are in each state, and when the last began."""
    query = sa.select(run.c.automation, run.c.state, sa.func.count()).group_by(
        run.c.automation, run.c.state
    )
    if name:
        query = query.where(run.c.automation == name)
    found: dict[str, dict[str, int]] = {}
    for automation, state, count in connection.execute(query):
        found.setdefault(automation, {})[state] = count
    return found


def _shown(
    ctx: Context, automation: Automation, known: Switch, counts: Mapping[str, int]
) -> Record:
    due = next_due(ctx, automation) if known.is_on else None
    return {
        "name": automation.automation,
        "label": pick(automation.label, ctx.locale, automation.automation),
        "description": pick(automation.description, ctx.locale),
        "layer": automation.layer,
        "type": automation.type,
        "trigger": automation.trigger.on,
        "actions": [one.do for one in automation.actions],
        "is_on": known.is_on,
        "is_running": ctx.hooks.is_running(ctx, automation.layer),
        "changed_at": known.changed_at,
        "changed_by": known.changed_by,
        "secret_round": known.secret_round,
        "next_due": to_wire(due) if due else "",
        "runs": dict(counts),
    }


def set_on(ctx: Context, name: str, *, is_on: bool) -> Record:
    """Switch an automation on or off; what already runs goes on.

    Raises:
        NotFound: there is none.
        Forbidden: the actor administers nothing.
    """
    _change(ctx, name, {"is_off": not is_on})
    return get_automation(ctx, name)


def renew_secret(ctx: Context, name: str) -> Record:
    """Give a webhook another secret; the one before is worth nothing from now on.

    Raises:
        NotFound: there is none.
        Forbidden: the actor administers nothing.
    """
    _change(ctx, name, {"secret_round": switch.c.secret_round + 1})
    return get_automation(ctx, name)


def _change(ctx: Context, name: str, values: Mapping[str, Any]) -> None:
    _require(ctx)
    automation = find_automation(ctx, name)
    stamp = {"changed_at": to_wire(ctx.now), "changed_by": ctx.actor.name}
    with ctx.writing() as connection:
        # What the clock missed while it was off, or before it was there, is not made up for.
        ensure_row(connection, automation.automation, last_due=ctx.now)
        connection.execute(
            switch.update().where(switch.c.name == name).values({**values, **stamp})
        )


def list_runs(
    ctx: Context,
    *,
    automation: str = "",
    state: str = "",
    record_id: str = "",
    before: str = "",
    limit: int = PAGE,
) -> Record:
    """Return a page of runs, newest first: `items`, and `next` to go on from.

    Raises:
        Forbidden: the actor administers nothing.
    """
    _require_sight(ctx)
    query = sa.select(run).order_by(run.c.id.desc()).limit(limit + 1)
    for column, value in (
        (run.c.automation, automation),
        (run.c.state, state),
        (run.c.record_id, record_id),
    ):
        if value:
            query = query.where(column == value)
    if before:
        query = query.where(run.c.id < before)
    with ctx.reading() as connection:
        rows = connection.execute(query).mappings().all()
    return {
        "items": [_run(ctx, row) for row in rows[:limit]],
        "next": rows[limit - 1]["id"] if len(rows) > limit else None,
    }


def get_run(ctx: Context, run_id: str) -> Record:
    """Return a run with its input, each action's result and what was sent.

    Raises:
        NotFound: there is none.
        Forbidden: the actor administers nothing.
    """
    _require_sight(ctx)
    with ctx.reading() as connection:
        row = _find(connection, run_id)
        sent = connection.execute(
            sa.select(message)
            .where(message.c.run_id == run_id)
            .order_by(message.c.action, message.c.id)
        ).mappings()
        messages = {one["id"]: _message(one) for one in sent}
        followed = connection.execute(
            sa.select(run)
            .where(run.c.cause == run_id, run.c.id > run_id)
            .order_by(run.c.id)
            .limit(PAGE)
        ).mappings()
        caused = [_run(ctx, one) for one in followed]
    results = msgspec.json.decode(row["results"])
    for one in results:
        if one.get("message") in messages:
            one["message"] = messages[one["message"]]
    return _run(ctx, row) | {
        "input": msgspec.json.decode(row["input"]),
        "results": results,
        "caused": caused,
    }


def _find(connection: Connection, run_id: str, *, lock: bool = False) -> sa.RowMapping:
    query = sa.select(run).where(run.c.id == run_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if not is_id(run_id) or row is None:
        raise NotFound
    return row


def _run(ctx: Context, row: sa.RowMapping) -> Record:
    automation = ctx.registry.release.automations.get(row["automation"])
    label = pick(automation.label, ctx.locale, row["automation"]) if automation else ""
    given = msgspec.json.decode(row["input"])
    chain: Iterable[tuple[str, str]] = msgspec.json.decode(row["chain"])
    return {
        "id": row["id"],
        "automation": row["automation"],
        "label": label or row["automation"],
        "release": row["release"],
        "state": row["state"],
        "record": {"type": row["record_type"], "id": row["record_id"], "title": row["title"]}
        if row["record_id"]
        else None,
        "trigger": given.get("trigger", ""),
        "by": given.get("by_name", ""),
        "door": given.get("door", ""),
        "attempts": row["attempts"],
        "error": row["error"],
        "cause": row["cause"],
        "chain": [name for name, _ in chain],
        "created_at": row["created_at"],
        "ended_at": row["ended_at"],
        "milliseconds": row["milliseconds"],
    }


def _message(row: sa.RowMapping) -> Record:
    return {
        "id": row["id"],
        "kind": row["kind"],
        "target": row["target"],
        "content": msgspec.json.decode(row["content"]),
        "state": row["state"],
        "attempts": row["attempts"],
        "error": row["error"],
        "ended_at": row["ended_at"],
    }


def replay(ctx: Context, run_id: str) -> str:
    """Do a run again and return the id of the run that does it.

    One whose messages got lost sends those again, one that was given up is tried again
    from the start, and one that is done gets a new run with the same input.

    Raises:
        NotFound: there is none, or its automation is gone.
        StillAtWork: it has not ended.
        Forbidden: the actor administers nothing.
    """
    _require(ctx)
    with ctx.writing() as connection:
        row = _find(connection, run_id, lock=True)
        automation = find_automation(ctx, row["automation"])
        if row["state"] in {*OPEN, SENDING}:
            raise StillAtWork
        if _send_again(connection, row):
            return run_id
        if row["state"] in {DEAD, STOPPED}:
            connection.execute(
                run.update()
                .where(run.c.id == run_id)
                .values(state=WAITING, attempts=0, error="", ended_at="", started_at="")
            )
            emit(connection, TOPIC, {"run": run_id, "type": row["record_type"]})
            return run_id
        return _anew(ctx, connection, automation, row)


def _send_again(connection: Connection, row: sa.RowMapping) -> bool:
    """Make the lost messages of a run due again; return whether there were any."""
    made = connection.execute(
        message.update()
        .where(message.c.run_id == row["id"], message.c.state == LOST)
        .values(state=READY, attempts=0, visible_at="", error="", ended_at="")
    )
    if made.rowcount:
        connection.execute(
            run.update().where(run.c.id == row["id"]).values(state=SENDING, error="", ended_at="")
        )
    return bool(made.rowcount)


def _anew(ctx: Context, connection: Connection, automation: Automation, row: sa.RowMapping) -> str:
    given = msgspec.json.decode(row["input"])
    record = None
    if row["record_id"]:
        record = present(ctx, connection, automation.type, row["record_id"])
    start = Start(
        key=f"{row['id']}+{new_id()}",
        record_id=row["record_id"],
        subject=Subject(record, None),
        input={**given, "again": row["id"], "again_by": ctx.actor.name},
    )
    made = begin(ctx, connection, automation, start)
    if made is None:
        raise NotFound
    return made
