"""A run is done: all its writes in one transaction, tried again when it fails, then given up."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from core.actor import SYSTEM, Actor
from core.automation.actions import Doing
from core.automation.environment import AutomationEnv
from core.automation.inputs import input_values
from core.automation.models import DEAD, DONE, OPEN, RETRYING, SENDING, WAITING, run
from core.automation.starting import TOPIC
from core.automation.subject import NOTHING, Subject, present, subject_at
from core.clock import to_wire
from core.context import Context
from core.errors import GuanxiError, NotFound, PluginError, Unavailable
from core.i18n import N_, pick, translate
from core.jobs.handlers import Event
from core.jobs.outbox import emit
from core.schema.automations import CHANGES, Automation

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

#: Deliveries of one event after which its run is held to kill the process.
MAX_CRASHES = 3

#: How long a run waits for another with its concurrency key before it looks again.
_LOOK_AGAIN = timedelta(seconds=30)
_LONGEST_WAIT = 3600
_ERROR_LENGTH = 2000


class ActionFailedError(Exception):
    """An action could not be done; `results` are those before it, which are undone with it."""

    def __init__(self, results: list[dict[str, Any]]) -> None:
        """Carry the results so far."""
        super().__init__("an action failed")
        self.results = results


@dataclass(slots=True)
class _Clock:
    """Measures how long actions take."""

    started: float

    def milliseconds(self) -> int:
        return round((monotonic() - self.started) * 1000)


def actor_of(ctx: Context, automation: Automation) -> Actor:
    """Return as whom an automation acts; the history names the automation either way."""
    name = pick(automation.label, ctx.locale, automation.automation)[:200]
    if automation.run_as.system:
        return replace(SYSTEM, name=f"system ({name})"[:200])
    return Actor(f"auto:{automation.automation}", name, automation.run_as.roles)


def execute(ctx: Context, event: Event) -> None:
    """Do the run that an event names; called again, it does nothing a second time."""
    run_id = event.payload["run"]
    clock = _Clock(monotonic())
    if event.attempt > MAX_CRASHES:
        with ctx.writing() as connection:
            row = _locked(connection, run_id)
            if row is not None and row["state"] in OPEN:
                text = translate(
                    N_("The process died each time that this run was tried."), ctx.locale
                )
                _give_up(ctx, connection, row, text, clock)
        return
    try:
        _attempt(ctx, run_id, clock)
    except Exception as error:
        results = error.results if isinstance(error, ActionFailedError) else []
        cause = error.__cause__ if isinstance(error, ActionFailedError) else error
        if is_nobodys_fault(cause):
            # The event comes back by itself, and the try does not count.
            raise
        _failed(ctx, run_id, said(cause, ctx.locale), results, clock)


def is_nobodys_fault(error: BaseException | None) -> bool:
    """Return whether the database was busy or gone, which no automation can help."""
    if isinstance(error, Unavailable):
        return not isinstance(error, PluginError)
    return isinstance(error, OperationalError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )


def _attempt(ctx: Context, run_id: str, clock: _Clock) -> None:
    with ctx.writing() as connection:
        row = _locked(connection, run_id)
        if row is None or row["state"] not in OPEN:
            return
        if _is_behind(connection, row):
            payload = {"run": run_id, "type": row["record_type"]}
            emit(connection, TOPIC, payload, at=ctx.now + _LOOK_AGAIN)
            return
        automation = ctx.registry.release.automations.get(row["automation"])
        if automation is None:
            text = translate(N_("The automation is gone from the release."), ctx.locale)
            _give_up(ctx, connection, row, text, clock)
            return
        results = _perform(ctx, connection, automation, row)
        sends = any(one["state"] == "queued" for one in results)
        _note(ctx, connection, row, SENDING if sends else DONE, results, clock)
        _wake_next(connection, row)


def _perform(
    ctx: Context, connection: Connection, automation: Automation, row: Row
) -> list[dict[str, Any]]:
    """Do the actions one after the other and return what became of each.

    Raises:
        ActionFailedError: one failed; everything is undone with the transaction.
    """
    acting = replace(
        ctx, actor=actor_of(ctx, automation), door="automation", cause=row["id"],
        request_id=f"run {row['id']}", warnings=[],
    )  # fmt: skip
    doing = _doing(acting, connection, automation, row)
    results: list[dict[str, Any]] = []
    for at, action in enumerate(automation.actions):
        clock = _Clock(monotonic())
        try:
            result = doing.do(at, action)
        except Exception as error:
            for one in results:
                if one["state"] != "skipped":
                    one["state"] = "undone"
            failed = {"do": action.do, "state": "failed", "error": said(error, ctx.locale)}
            results.append({**failed, "milliseconds": clock.milliseconds()})
            raise ActionFailedError(results) from error
        results.append({"do": action.do, **result, "milliseconds": clock.milliseconds()})
    return results


def _doing(ctx: Context, connection: Connection, automation: Automation, row: Row) -> Doing:
    given = msgspec.json.decode(row["input"])
    subject = _subject(ctx, connection, automation, row, given)
    env = AutomationEnv(
        ctx, connection, automation.type if row["record_id"] else "",
        old=subject.old, values=input_values(automation, given.get("values", {})),
        user=given.get("by", ""), guards=True,
    )  # fmt: skip
    record: Mapping[str, Any] = {}
    if subject.record is not None:
        record = env.seen(automation.type, subject.record)
    return Doing(
        ctx, connection, automation, row["id"], row["record_id"], record, env,
        event=given.get("event", "") or row["key"],
    )  # fmt: skip


def _subject(
    ctx: Context, connection: Connection, automation: Automation, row: Row, given: Row
) -> Subject:
    """Return the record as it is now, and as it was before the event.

    Raises:
        NotFound: it is gone meanwhile.
    """
    if not row["record_id"]:
        return NOTHING
    trigger = automation.trigger.on
    if trigger not in CHANGES:
        record = present(ctx, connection, automation.type, row["record_id"])
        if record is None or record["deleted_at"] is not None:
            raise NotFound(N_("The record is gone."))
        return Subject(record, None)
    subject = subject_at(ctx, connection, automation.type, row["record_id"], given["version"])
    record = present(ctx, connection, automation.type, row["record_id"])
    if trigger == "deleted":
        return Subject(record or subject.record, subject.old)
    if record is None or record["deleted_at"] is not None:
        raise NotFound(N_("The record is gone."))
    return Subject(record, subject.old)


def _locked(connection: Connection, run_id: str) -> Row | None:
    query = sa.select(run).where(run.c.id == run_id).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _is_behind(connection: Connection, row: Row) -> bool:
    """Return whether an earlier run with the same concurrency key has not ended."""
    if not row["concurrency"]:
        return False
    earlier = sa.select(run.c.id).where(
        run.c.concurrency == row["concurrency"], run.c.state.in_(OPEN), run.c.id < row["id"]
    )
    return connection.execute(earlier.limit(1)).first() is not None


def _wake_next(connection: Connection, row: Row) -> None:
    """Have the next run with the same concurrency key done."""
    if not row["concurrency"]:
        return
    query = (
        sa.select(run.c.id, run.c.record_type)
        .where(
            run.c.concurrency == row["concurrency"],
            run.c.state == WAITING,
            run.c.id > row["id"],
        )
        .order_by(run.c.id)
        .limit(1)
    )
    following = connection.execute(query).first()
    if following is not None:
        emit(connection, TOPIC, {"run": following.id, "type": following.record_type})


def _failed(
    ctx: Context, run_id: str, error: str, results: list[dict[str, Any]], clock: _Clock
) -> None:
    """Note a failed try: the run is tried again later, or given up."""
    with ctx.writing() as connection:
        row = _locked(connection, run_id)
        if row is None or row["state"] not in OPEN:
            return
        automation = ctx.registry.release.automations.get(row["automation"])
        times = automation.retry.times if automation else 0
        if automation is None or row["attempts"] >= times:
            log.warning(
                "run %s of automation %s is given up: %s", run_id, row["automation"], error
            )
            _give_up(ctx, connection, row, error, clock, results)
            return
        due = ctx.now + retry_after(automation.retry.wait, row["attempts"])
        _note(ctx, connection, row, RETRYING, results, clock, error=error)
        emit(connection, TOPIC, {"run": run_id, "type": row["record_type"]}, at=due)


def retry_after(wait: int, attempts: int) -> timedelta:
    """Return how long to wait after so many failed tries; twice as long each time."""
    return timedelta(seconds=min(wait * 2**attempts, _LONGEST_WAIT))


def _give_up(
    ctx: Context,
    connection: Connection,
    row: Row,
    error: str,
    clock: _Clock,
    results: list[dict[str, Any]] | None = None,
) -> None:
    _note(ctx, connection, row, DEAD, results or [], clock, error=error)
    _wake_next(connection, row)


def _note(
    ctx: Context,
    connection: Connection,
    row: Row,
    state: str,
    results: list[dict[str, Any]],
    clock: _Clock,
    *,
    error: str = "",
) -> None:
    now: datetime = ctx.now
    values = {
        "state": state,
        "results": msgspec.json.encode(results).decode(),
        "error": error[:_ERROR_LENGTH].replace("\0", ""),
        "attempts": row["attempts"] + 1,
        "started_at": row["started_at"] or to_wire(now),
        "ended_at": to_wire(now) if state in {DONE, DEAD} else "",
        "milliseconds": clock.milliseconds(),
    }
    connection.execute(run.update().where(run.c.id == row["id"]).values(values))


def said(error: BaseException | None, locale: str) -> str:
    """Return an error with its problems in a language, as a run keeps it."""
    if not isinstance(error, GuanxiError):
        return f"{type(error).__name__}: {error}"[:_ERROR_LENGTH]
    lines = [translate(error.text, locale, **error.params)]
    for problem in error.problems:
        where = f"{problem.path}: " if problem.path else ""
        lines.append(where + translate(problem.text, locale, **dict(problem.params)))
    return "\n".join(lines)[:_ERROR_LENGTH]
