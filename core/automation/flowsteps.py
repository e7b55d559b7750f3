"""Carries out the actions of a flow's effect steps, after the commit that reached them."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from core.actor import SYSTEM
from core.automation.actions import Doing
from core.automation.environment import AutomationEnv
from core.automation.running import is_nobodys_fault, retry_after, said
from core.automation.subject import present
from core.clock import to_wire
from core.context import Context
from core.errors import NotFound
from core.i18n import N_, pick
from core.jobs.handlers import Event
from core.jobs.outbox import emit
from core.schema.automations import Automation, RunAs, Trigger
from core.workflow.models import instance
from core.workflow.run import pinned
from core.workflow.timing import effects

log = logging.getLogger(__name__)

#: Attempts before an effect is given up, and seconds before the second of them.
ATTEMPTS, FIRST_WAIT = 4, 10
#: How long the actions of one step may take.
LEASE = timedelta(minutes=5)
#: Characters of the name that runs and messages keep.
_NAME = 40


def carry_out(ctx: Context, event: Event) -> None:
    """Do the actions of a step: all writes together or none, once, whatever is delivered twice."""
    payload = event.payload
    try:
        was_failing = _attempt(ctx, event)
    except Exception as error:
        if is_nobodys_fault(error):
            raise
        log.warning("effect %s of approval %s failed", payload["step"], payload["instance"])
        _failed(ctx, event, said(error, ctx.locale))
        return
    if was_failing:
        effects.flag(ctx, payload["instance"], step=payload["step"], visit_id=payload["visit"])


def _attempt(ctx: Context, event: Event) -> bool:
    """Do the actions; return whether the approval is flagged because they had failed."""
    payload = event.payload
    with ctx.writing() as connection:
        row = effects.begin(connection, payload, to_wire(ctx.now))
        if row["state"] != effects.WAITING:
            return False
        held = connection.execute(
            sa.select(instance).where(instance.c.id == payload["instance"])
        ).mappings().one()  # fmt: skip
        flow, _subflows, tree = pinned(held["definition"], held["subflows"])
        step = tree.nodes[payload["step"]].step
        automation = Automation(
            automation=f"{flow.flow}/{step.id}"[:_NAME], type=held["record_type"],
            trigger=Trigger(on="manual"), run_as=RunAs(system=True), actions=step.actions,
        )  # fmt: skip
        record = present(ctx, connection, held["record_type"], held["record_id"])
        if record is None or record["deleted_at"] is not None:
            raise NotFound(N_("The record is gone."))
        title = pick(flow.title, ctx.locale, flow.flow)
        acting = replace(
            ctx, actor=replace(SYSTEM, name=f"system ({title})"[:200]), door="flow",
            cause=event.id, request_id=f"effect {payload['visit']}", warnings=[],
        )  # fmt: skip
        env = AutomationEnv(acting, connection, held["record_type"], user=held["initiator"])
        doing = Doing(
            acting, connection, automation, payload["visit"], held["record_id"],
            env.seen(held["record_type"], record), env, event=f"flow.{step.id}",
        )  # fmt: skip
        results: list[dict[str, Any]] = [
            {"do": action.do, **doing.do(at, action)} for at, action in enumerate(step.actions)
        ]
        effects.note(
            connection, payload["visit"], effects.DONE, attempts=row["attempts"] + 1,
            at=to_wire(ctx.now), results=results,
        )  # fmt: skip
        return bool(payload.get("again")) and held["attention"] == effects.EFFECT_FAILED


def _failed(ctx: Context, event: Event, error: str) -> None:
    """Have it tried again later, or give it up and flag the approval."""
    payload = event.payload
    with ctx.writing() as connection:
        row = effects.begin(connection, payload, to_wire(ctx.now))
        if row["state"] != effects.WAITING:
            return
        attempts = row["attempts"] + 1
        is_over = attempts >= ATTEMPTS
        effects.note(
            connection, payload["visit"], effects.FAILED if is_over else effects.WAITING,
            attempts=attempts, at=to_wire(ctx.now), error=error,
        )  # fmt: skip
        if not is_over:
            due = ctx.now + retry_after(FIRST_WAIT, attempts - 1)
            emit(connection, effects.TOPIC, payload, at=due)
            return
        effects.flag(
            ctx, payload["instance"], step=payload["step"], visit_id=payload["visit"],
            error=error,
        )  # fmt: skip
