"""A run begins: once per event and automation, and not at all when they go in circles."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from core.automation.environment import AutomationEnv, compiled_text
from core.automation.models import DEAD, STOPPED, WAITING, run
from core.automation.subject import NOTHING, Subject
from core.clock import to_wire
from core.context import Context
from core.i18n import N_, translate
from core.ids import new_id
from core.jobs.outbox import emit
from core.schema.automations import Automation

#: Automations that may set each other going, one after the other.
MAX_DEPTH = 8
#: How often the same automation may come back to the same record in one chain.
MAX_REPEATS = 3

#: Topic of the event that has a run done.
TOPIC = "automation.run"

_KEY_LENGTH = 200
_insert = {
    "sqlite": sqlite.insert(run).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(run).on_conflict_do_nothing(),
}


@dataclass(frozen=True, slots=True)
class Start:
    """What sets an automation going.

    Attributes:
        key: the same for the same event; a second one begins nothing.
        subject: the record and its past.
        input: plain JSON, shown with the run: `trigger`, `door`, `by`, `version`, `values` …
        values: the input's values as expressions see them.
        cause: the run whose change it was; empty when no automation did it.
    """

    key: str
    record_id: str = ""
    subject: Subject = NOTHING
    input: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""


def holds(ctx: Context, connection: Connection, automation: Automation, start: Start) -> bool:
    """Return whether an automation's condition is true."""
    if not automation.when:
        return True
    expression = compiled_text(ctx, automation, automation.when, "boolean")
    env = _env(ctx, connection, automation, start)
    return expression.evaluate(_row(env, automation, start), env) is True


def begin(
    ctx: Context, connection: Connection, automation: Automation, start: Start, error: str = ""
) -> str | None:
    """Write a run and the event that has it done; return its id, None when it was there already.

    With an `error` it is given up at once. One that goes on where automations have been
    setting each other going too often is stopped, and says which ones.
    """
    concurrency = ""
    try:
        concurrency = "" if error else _concurrency(ctx, connection, automation, start)
    except DBAPIError:
        raise
    except Exception as problem:  # noqa: BLE001  one automation must not stop the others
        error = f"concurrency_key: {type(problem).__name__}: {problem}"
    chain = _chain(connection, start.cause)
    chain.append([automation.automation, start.record_id])
    state = DEAD if error else WAITING
    loop = _loop(ctx, chain)
    if loop:
        state, error = STOPPED, loop
    run_id, now = new_id(), to_wire(ctx.now)
    values = {
        "id": run_id,
        "key": start.key[:_KEY_LENGTH],
        "automation": automation.automation,
        "release": ctx.registry.release.number,
        "state": state,
        "record_type": automation.type if start.record_id else "",
        "record_id": start.record_id,
        "title": _title(ctx, automation, start.subject.record),
        "input": msgspec.json.encode(start.input).decode(),
        "results": "[]",
        "error": error,
        "attempts": 0,
        "cause": start.cause,
        "chain": msgspec.json.encode(chain).decode(),
        "concurrency": concurrency,
        "created_at": now,
        "started_at": "",
        "ended_at": now if error else "",
        "milliseconds": 0,
    }
    added = connection.execute(
        _insert[connection.dialect.name], values, execution_options={"preserve_rowcount": True}
    )
    if not added.rowcount:
        return None
    if state == WAITING:
        emit(connection, TOPIC, {"run": run_id, "type": values["record_type"]})
    return run_id


def _env(
    ctx: Context, connection: Connection, automation: Automation, start: Start
) -> AutomationEnv:
    return AutomationEnv(
        ctx, connection, automation.type if start.subject.record is not None else "",
        old=start.subject.old, values=start.values, user=str(start.input.get("by", "")),
    )  # fmt: skip


def _row(env: AutomationEnv, automation: Automation, start: Start) -> Mapping[str, Any]:
    record = start.subject.record
    return {} if record is None else env.view(automation.type, record)


def _concurrency(
    ctx: Context, connection: Connection, automation: Automation, start: Start
) -> str:
    if not automation.concurrency_key:
        return ""
    expression = compiled_text(ctx, automation, automation.concurrency_key, "text")
    env = _env(ctx, connection, automation, start)
    value = expression.evaluate(_row(env, automation, start), env)
    return f"{automation.automation}:{value}"[:_KEY_LENGTH]


def _chain(connection: Connection, cause: str) -> list[list[str]]:
    if not cause:
        return []
    text = connection.execute(sa.select(run.c.chain).where(run.c.id == cause)).scalar()
    chain: list[list[str]] = msgspec.json.decode(text) if text else []
    return chain


def _loop(ctx: Context, chain: list[list[str]]) -> str:
    """Return how automations went in circles; empty when they did not."""
    repeats = chain.count(chain[-1])
    if len(chain) <= MAX_DEPTH and repeats <= MAX_REPEATS:
        return ""
    text = N_("Automations set each other going: {chain}")
    return translate(text, ctx.locale, chain=" → ".join(name for name, _ in chain))


def _title(ctx: Context, automation: Automation, record: Mapping[str, Any] | None) -> str:
    if record is None or not automation.type:
        return ""
    title = record.get(ctx.registry.record_type(automation.type).title_field)
    return "" if title is None else str(title)[:200]
