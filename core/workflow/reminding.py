"""Reminding (催办): the initiator asks the approvers again; nothing about the approval changes."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from core.clock import to_wire
from core.context import Context
from core.errors import RateLimited
from core.i18n import N_
from core.workflow import errors
from core.workflow.models import candidate, event
from core.workflow.operations import answer_of, initiated_run
from core.workflow.run import Answer, Run, once, refuse

#: How long an approval is left alone after its approvers were reminded.
PAUSE = timedelta(hours=2)


class RemindedLately(RateLimited):
    """The approvers were reminded a short time ago."""

    text = N_("They were reminded lately; you can do it again in {minutes} minutes.")


def remind(ctx: Context, type_name: str, record_id: str, *, key: str | None = None) -> Answer:
    """Tell the approvers of a submitted document that it still waits for them.

    Raises:
        NotFound: the record has no approval that this actor may know of.
        NotInitiator: somebody else submitted it.
        AlreadyEnded: it is decided.
        Suspended: an administrator has halted it.
        RemindedLately: they were reminded less than two hours ago.
    """
    action = ("remind", type_name, record_id)
    return once(ctx, key, action, lambda: _remind(ctx, type_name, record_id))


def _remind(ctx: Context, type_name: str, record_id: str) -> Answer:
    run = initiated_run(
        ctx, type_name, record_id,
        N_("Only the person who submitted this can remind its approvers."),
    )  # fmt: skip
    row = run.row
    if row["state"] != "running":
        halted = row["state"] == "suspended"
        refuse(errors.Suspended.code if halted else errors.NotPossible.code, row)
    _require_pause(run)
    run.evidence.add("remind", step=row["step"], task_id=row["task_id"])
    run.emit(
        "task.reminded", task=row["task_id"], step=row["step"], makers=row["makers"],
        **_waiting_for(run),
    )  # fmt: skip
    run.evidence.close()
    return answer_of(run)


def _require_pause(run: Run) -> None:
    last = run.connection.execute(
        sa.select(sa.func.max(event.c.at)).where(
            event.c.instance_id == run.row["id"], event.c.verb == "remind",
            event.c.at > to_wire(run.ctx.now - PAUSE),
        )
    ).scalar()  # fmt: skip
    if last is not None:
        left = PAUSE - (run.ctx.now - datetime.fromisoformat(last))
        seconds = max(1, int(left.total_seconds()))
        raise RemindedLately(minutes=-(-seconds // 60), retry_after=seconds)


def _waiting_for(run: Run) -> dict[str, Any]:
    """Return the roles and people whose voice the open task still lacks."""
    rows = run.connection.execute(
        sa.select(candidate.c.kind, candidate.c.actor)
        .where(candidate.c.task_id == run.row["task_id"], candidate.c.is_open)
        .distinct()
    ).all()
    return {
        "roles": sorted(row.actor for row in rows if row.kind == "role"),
        "users": sorted(row.actor for row in rows if row.kind == "user"),
    }
