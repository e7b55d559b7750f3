"""Tasks as rows: opened for a step with their seats and candidates, and closed again."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from core.clock import to_wire
from core.ids import new_id
from core.schema.flows import Step
from core.workflow.machine import SeatPlan, seats_of
from core.workflow.models import candidate, rank_of, seat, task
from core.workflow.run import Run


def open_task(run: Run, step: Step) -> str:
    """Show a step to its people; return the task's id."""
    row, now = run.row, to_wire(run.ctx.now)
    task_id, plans = new_id(), seats_of(step)
    run.connection.execute(
        task.insert().values(
            id=task_id,
            instance_id=row["id"],
            step=step.id,
            step_title=msgspec.json.encode(step.title).decode(),
            record_type=row["record_type"],
            record_id=row["record_id"],
            title=row["title"],
            round=row["round"],
            may=" ".join(step.verbs),
            state="open",
            result="",
            initiator=row["initiator"],
            initiator_name=row["initiator_name"],
            subject_hash=row["subject_hash"],
            seats=len(plans),
            approved=0,
            opened_at=now,
        )
    )
    for position, plan in enumerate(plans):
        _open_seat(run, task_id, position, plan)
    run.set(step=step.id, task_id=task_id)
    run.evidence.add(
        "open", step=step.id, task_id=task_id, detail={"seats": [plan.key for plan in plans]}
    )
    pool = {each for plan in plans for each in plan.candidates}
    run.emit(
        "task.opened",
        task=task_id,
        step=step.id,
        makers=row["makers"],
        roles=sorted(each.actor for each in pool if each.kind == "role"),
        users=sorted(each.actor for each in pool if each.kind == "user"),
    )
    return task_id


def _open_seat(run: Run, task_id: str, position: int, plan: SeatPlan) -> None:
    seat_id = new_id()
    run.connection.execute(
        seat.insert().values(
            id=seat_id,
            instance_id=run.row["id"],
            task_id=task_id,
            position=position,
            key=plan.key,
            state="open",
            ballot=None,
            version=1,
        )
    )
    run.connection.execute(
        candidate.insert(),
        [
            {
                "id": f"{seat_id}.{place}",
                "instance_id": run.row["id"],
                "seat_id": seat_id,
                "position": place,
                "kind": each.kind,
                "actor": each.actor,
                "task_id": task_id,
                "is_open": True,
                "record_type": run.row["record_type"],
                "makers": run.row["makers"],
                "opened_at": to_wire(run.ctx.now),
                "rank": rank_of(0, to_wire(run.ctx.now)),
            }
            for place, each in enumerate(plan.candidates)
        ],
    )


def close_task(run: Run, task_id: str, *, state: str, result: str) -> None:
    """Take a task away from everybody who has not voted on it."""
    run.connection.execute(
        task.update()
        .where(task.c.id == task_id)
        .values(
            state=state,
            result=result,
            closed_at=to_wire(run.ctx.now),
            closed_by=run.ctx.actor.id,
            closed_by_name=run.ctx.actor.name,
        )
    )
    run.connection.execute(
        seat.update()
        .where(seat.c.task_id == task_id, seat.c.state.in_(("open", "waiting")))
        .values(state="moot", version=seat.c.version + 1)
    )
    run.connection.execute(
        candidate.update().where(candidate.c.task_id == task_id).values(is_open=False)
    )


def close_open_tasks(run: Run, result: str) -> None:
    """Cancel whatever task of the instance is still open; `result` says why."""
    rows = run.connection.execute(
        sa.select(task.c.id).where(
            task.c.instance_id == run.row["id"], task.c.state.in_(("open", "suspended"))
        )
    )
    for task_id in rows.scalars().all():
        close_task(run, task_id, state="cancelled", result=result)


def set_suspended(run: Run, *, suspended: bool) -> None:
    """Hide the instance's open tasks from everybody, or show them again."""
    old, new = ("open", "suspended") if suspended else ("suspended", "open")
    tasks = sa.select(task.c.id).where(task.c.instance_id == run.row["id"], task.c.state == old)
    ids = list(run.connection.execute(tasks).scalars())
    run.connection.execute(task.update().where(task.c.id.in_(ids)).values(state=new))
    still_open = sa.select(seat.c.id).where(seat.c.task_id.in_(ids), seat.c.state == "open")
    run.connection.execute(
        candidate.update().where(candidate.c.seat_id.in_(still_open)).values(is_open=not suspended)
    )


def seat_rows(run: Run, task_id: str) -> list[Mapping[str, Any]]:
    """Return a task's seats in their order."""
    rows = run.connection.execute(
        sa.select(seat).where(seat.c.task_id == task_id).order_by(seat.c.position)
    )
    return [dict(row) for row in rows.mappings()]
