"""How long steps took in the past, as an estimate of how long they will take."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.workflow.models import task
from core.workflow.queue.bottlenecks import Clocks, quantile
from core.workflow.sla import seconds_between

#: Past tasks that an estimate looks at, the latest first.
MOST = 5000
#: How far back an estimate looks.
PERIOD = timedelta(days=366)


def step_times(
    ctx: Context, connection: Connection, record_type: str, steps: Collection[str]
) -> dict[str, dict[str, Any]]:
    """Return step -> `median` and `p90` in seconds of its clock, and `count` of past tasks.

    Seconds are business time where the flow's calendar says so. Only tasks count that were
    decided, in the last year; a step that never was is left out.
    """
    query = (
        sa.select(task.c.step, task.c.opened_at, task.c.closed_at, task.c.calendar, task.c.place)
        .where(
            task.c.record_type == record_type,
            task.c.step.in_(sorted(steps)),
            task.c.state == "done",
            task.c.closed_at >= to_wire(ctx.now - PERIOD),
        )
        .order_by(task.c.closed_at.desc(), task.c.id)
        .limit(MOST)
    )
    clocks, found = Clocks(ctx), defaultdict(list)
    for row in connection.execute(query):
        start, end = map(datetime.fromisoformat, (row.opened_at, row.closed_at))
        found[row.step].append(seconds_between(start, end, clocks.of(row.calendar, row.place)))
    return {
        step: {
            "count": len(seconds),
            "median": quantile(sorted(seconds), 50),
            "p90": quantile(sorted(seconds), 90),
        }
        for step, seconds in found.items()
    }
