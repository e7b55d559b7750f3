"""One task as lists and pages show it: how late it is, who is missing, what one may do."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.businesstime import Calendar
from core.clock import to_wire
from core.context import Context
from core.workflow.clocks import calendar_for
from core.workflow.documents import shows_title
from core.workflow.models import OPEN_STATES, candidate, instance, task
from core.workflow.sla import sla_of
from core.workflow.staff.people import identities, is_maker

Row = dict[str, Any]

#: Tasks with what a row shows of their instance, so that no list reads a payload.
JOINED = sa.select(task, instance.c.state.label("instance_state"), instance.c.makers).select_from(
    task.join(instance, task.c.instance_id == instance.c.id)
)


def sitting(ctx: Context, connection: Connection, task_ids: Sequence[str]) -> dict[str, str]:
    """Return the tasks with an open seat that the actor may sit in -> for whom.

    That is who a deputy would sit for, and empty for a seat of one's own.
    """
    mine: dict[str, str] = {}
    for row in connection.execute(
        sa.select(candidate.c.task_id, candidate.c.on_behalf_of).where(
            candidate.c.task_id.in_(task_ids),
            candidate.c.is_open,
            sa.tuple_(candidate.c.kind, candidate.c.actor).in_(identities(ctx.actor)),
        )
    ):
        # A seat of one's own goes before that of somebody one stands in for.
        if mine.get(row.task_id) != "":
            mine[row.task_id] = row.on_behalf_of
    return mine


def task_rows(ctx: Context, connection: Connection, rows: Sequence[sa.RowMapping]) -> list[Row]:
    """Return rows of `JOINED` as lists show them."""
    if not rows:
        return []
    mine = sitting(ctx, connection, [row["id"] for row in rows])
    return [task_row(ctx, row, mine) for row in rows]


def task_row(ctx: Context, row: sa.RowMapping, mine: Mapping[str, str]) -> Row:
    """Return a row of `JOINED` as lists show it; `mine` is what `sitting` said."""
    task_id = row["id"]
    return {
        "id": task_id,
        "instance": row["instance_id"],
        "record": {"type": row["record_type"], "id": row["record_id"]},
        "title": row["title"] if shows_title(ctx, row["record_type"]) else "",
        "step": {"id": row["step"], "title": msgspec.json.decode(row["step_title"])},
        "initiator": {"id": row["initiator"], "name": row["initiator_name"]},
        "opened_at": row["opened_at"],
        "due_at": row["due_at"],
        "sla": sla_of(ctx.now, row, _calendar(ctx, row)),
        "progress": {
            "approved": row["approved"],
            "seats": row["seats"],
            "pending": msgspec.json.decode(row["pending"]),
        },
        "priority": row["priority"],
        "risk": row["risk"],
        "round": row["round"],
        "state": row["state"],
        "result": row["result"],
        "instance_state": row["instance_state"],
        "closed_at": row["closed_at"],
        "subject_hash": row["subject_hash"],
        "claimed": _claimed(ctx, row),
        "on_behalf_of": mine.get(task_id) or None,
        "may": _may(ctx, row, is_mine=task_id in mine),
    }


def _calendar(ctx: Context, row: sa.RowMapping) -> Calendar | None:
    """Return the business calendar of a task's clock, if it keeps one."""
    if not row["business"] or (row["due_at"] is None and not row["paused"]):
        return None
    return calendar_for(ctx, row["calendar"], row["place"])


def _claimed(ctx: Context, row: sa.RowMapping) -> dict[str, str] | None:
    """Return who works on a task, until when."""
    if not row["claimed_by"] or row["claimed_until"] < to_wire(ctx.now):
        return None
    return {
        "by": row["claimed_by"], "name": row["claimed_by_name"], "until": row["claimed_until"],
    }  # fmt: skip


def _may(ctx: Context, row: sa.RowMapping, *, is_mine: bool) -> list[str]:
    """Return the verbs that the actor has; the server asks again when one is used."""
    may: list[str] = []
    me, claimed = ctx.actor.id, _claimed(ctx, row)
    if is_mine and row["state"] == "open" and not is_maker(me, row["makers"]):
        offered = row["may"].split()
        may = [verb for verb in offered if verb not in {"claim", "remind"}]
        is_claimed = claimed is not None and claimed["by"] == me
        if row["claim"] == "required" and not is_claimed:
            # Whoever decides has said so first, so that nobody works for nothing.
            may = []
        if row["claim"] != "off" and (row["claim"] == "required" or "claim" in offered):
            may.append("release" if is_claimed else "claim")
    if row["instance_state"] in OPEN_STATES and row["initiator"] == me:
        may.append("withdraw")
        if row["instance_state"] == "running":
            may.append("remind")
    return may
