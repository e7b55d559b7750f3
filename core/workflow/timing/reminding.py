"""Reminding (催办): the initiator asks the approvers again; nothing about the approval changes."""

from datetime import datetime

import sqlalchemy as sa

from core.context import Context
from core.i18n import N_
from core.workflow import errors
from core.workflow.models import event
from core.workflow.operations import answer_of, initiated_run
from core.workflow.run import Answer, Run, once, suspension_of
from core.workflow.settling import settle


def remind(ctx: Context, type_name: str, record_id: str, *, key: str | None = None) -> Answer:
    """Tell the approvers of a submitted document that it still waits for them.

    Raises:
        NotFound: the record has no approval that this actor may know of.
        NotInitiator: somebody else submitted it.
        AlreadyEnded: it is decided.
        Suspended: an administrator has halted it.
        RemindedLately: they were reminded less long ago than the flow asks.
    """
    action = ("remind", type_name, record_id)
    return once(ctx, key, action, lambda: _remind(ctx, type_name, record_id))


def _remind(ctx: Context, type_name: str, record_id: str) -> Answer:
    run = initiated_run(
        ctx, type_name, record_id,
        N_("Only the person who submitted this can remind its approvers."),
    )  # fmt: skip
    status = run.state.status
    if status != "running":
        if status == "suspended":
            errors.refuse(errors.Suspended, **suspension_of(run))
        errors.refuse(errors.NotPossible, state=status)
    _require_pause(run)
    for visit in run.state.live_visits():
        if run.tree.nodes[visit.step].is_human:
            run.note("remind", step=visit.step, visit=visit.id)
    settle(run)
    return answer_of(run)


def _require_pause(run: Run) -> None:
    """Refuse when the initiator reminded less long ago than the flow's `remind.every`."""
    last = run.connection.execute(
        sa.select(sa.func.max(event.c.at)).where(
            event.c.instance_id == run.row["id"],
            event.c.verb == "remind",
            event.c.actor == run.row["initiator"],
        )
    ).scalar()
    if last is None:
        return
    since = datetime.fromisoformat(last)
    business, seconds = run.world.clock(run.flow.remind.every, since)
    left = seconds - run.world.spent(since, business=business)
    if left <= 0:
        return
    again = run.world.fires(run.world.now, business=business, left=left)
    wait = max(1, int((again - run.world.now).total_seconds()))
    raise errors.RemindedLately(minutes=-(-wait // 60), retry_after=wait)
