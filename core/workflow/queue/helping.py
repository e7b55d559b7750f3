"""Approvals that cannot go on by themselves: why, since when, and what may be done about it."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden
from core.workflow.models import instance, task
from core.workflow.queue.pages import administering
from core.workflow.staff.people import may_administer
from core.workflow.timing.effects import EFFECT_FAILED, FAILED, effect
from core.workflow.timing.sweeping import trouble

#: Approvals that are listed of each reason, the ones that wait longest first.
MOST = 100


@dataclass(slots=True)
class Need:
    """One reason why an approval needs an administrator.

    Attributes:
        why: `no_approver`, `stuck`, `overdue`, `late`, `effect_failed`, `clock_failed`,
            `apply_blocked` or `suspended`.
        since: instant, wire form; of the approval's beginning where nothing tells more.
        step: what it waits at; its title by locale where it is a task.
        error: what was said when it failed.
        visit: of the effect that can be tried again, else empty.
        may: what an administrator may do with the approval.
    """

    why: str
    instance: str
    flow: str
    record: tuple[str, str]
    since: str
    step: str = ""
    step_title: dict[str, str] = field(default_factory=dict)
    error: str = ""
    visit: str = ""
    may: list[str] = field(default_factory=list)


def find_needs(ctx: Context) -> list[Need]:
    """Return what needs an administrator, reason by reason, longest waiting first.

    Raises:
        Forbidden: the actor does not administer approvals.
    """
    if not may_administer(ctx):
        raise Forbidden
    about = (
        instance.c.id, instance.c.flow, instance.c.record_type, instance.c.record_id,
        instance.c.state, instance.c.step, instance.c.opened_at,
    )  # fmt: skip
    waiting = (
        sa.select(*about, instance.c.attention, task.c.step_title, task.c.opened_at.label("since"))
        .join(task, task.c.id == instance.c.task_id, isouter=True)
        .order_by(instance.c.opened_at)
        .limit(MOST)
    )
    late = (
        sa.select(*about, task.c.step.label("at_step"), task.c.step_title, task.c.due_at)
        .join(instance, instance.c.id == task.c.instance_id)
        .where(
            task.c.state == "open", task.c.due_at < to_wire(ctx.now),
            instance.c.attention != "overdue",
        )
        .order_by(task.c.due_at)
        .limit(MOST)
    )  # fmt: skip
    failed = (
        sa.select(
            *about, effect.c.visit_id, effect.c.step.label("at_step"), effect.c.error, effect.c.at
        )
        .join(instance, instance.c.id == effect.c.instance_id)
        .where(effect.c.state == FAILED)
        .order_by(effect.c.at)
        .limit(MOST)
    )
    unswept = (
        sa.select(*about, trouble.c.error, trouble.c.since)
        .join(instance, instance.c.id == trouble.c.instance_id)
        .order_by(trouble.c.since)
        .limit(MOST)
    )
    # A failed effect is listed itself, not the approval that it flags.
    flagged = waiting.where(instance.c.attention.not_in(("", EFFECT_FAILED)))
    held = waiting.where(
        instance.c.state.in_(("apply_blocked", "suspended")), instance.c.attention == ""
    )
    with ctx.reading() as connection:

        def rows(query: sa.Select[Any]) -> sa.MappingResult:
            return connection.execute(query).mappings()

        return [
            *(_need(row, row["attention"], row["since"]) for row in rows(flagged)),
            *(_need(row, row["state"], row["since"]) for row in rows(held)),
            *(_need(row, EFFECT_FAILED, row["at"]) for row in rows(failed)),
            *(_need(row, "clock_failed", row["since"]) for row in rows(unswept)),
            *(_need(row, "late", row["due_at"]) for row in rows(late)),
        ]


def _need(row: sa.RowMapping, why: str, since: str | None) -> Need:
    title = row.get("step_title")
    return Need(
        why=why,
        instance=row["id"],
        flow=row["flow"],
        record=(row["record_type"], row["record_id"]),
        since=since or row["opened_at"],
        step=row.get("at_step") or row["step"],
        step_title=msgspec.json.decode(title) if title else {},
        error=row.get("error", ""),
        visit=row.get("visit_id", ""),
        may=administering(row["state"]),
    )
