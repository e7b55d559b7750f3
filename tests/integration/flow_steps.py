"""Steps through an approval that several tests take, and what must hold after any of them."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import UserError
from core.jobs.outbox import outbox
from core.records.operations import create_record
from core.records.queries import get_record
from core.workflow.deciding import decide
from core.workflow.evidence.events import verify
from core.workflow.models import instance, task
from core.workflow.operations import submit
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    LIN,
    World,
)


def make_rule(world: World, **values: Any) -> str:
    lines = [{"product": "P1", "amount": 3}]
    given = {"code": "A1", "name": "Spring", "rate": "0.9", "lines": lines}
    return create_record(world.ctx(LIN), "rule", given | values)["id"]


def submitted(world: World, **values: Any) -> tuple[str, dict[str, Any]]:
    record_id = make_rule(world, **values)
    return record_id, submit(world.ctx(LIN), "rule", record_id)


def shown_hash(world: World, task_id: str) -> str:
    with world.db.read() as connection:
        return connection.execute(
            sa.select(task.c.subject_hash).where(task.c.id == task_id)
        ).scalar_one()


def act(world: World, actor, verb: str, task_id: str, **rest: Any) -> dict[str, Any]:
    rest.setdefault("subject_hash", shown_hash(world, task_id))
    if verb == "reject":
        rest.setdefault("opinion", "Too low.")
    return decide(world.ctx(actor), task_id, verb, **rest)


def effective(world: World, **values: Any) -> str:
    record_id, sent = submitted(world, **values)
    act(world, APPROVER, "approve", sent["task"])
    return record_id


def rule(world: World, record_id: str) -> dict[str, Any]:
    return get_record(world.ctx(ADMIN), "rule", record_id)


def topics(world: World) -> list[str]:
    with world.db.read() as connection:
        return list(connection.execute(sa.select(outbox.c.topic).order_by(outbox.c.seq)).scalars())


def count(world: World, table: sa.Table) -> int:
    with world.db.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def refusal(error: type[UserError], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Run a call that must be refused; return the refusal's parameters."""
    call, *rest = args
    with pytest.raises(error) as refused:
        call(*rest, **kwargs)
    assert refused.value.code == error.code
    return dict(refused.value.problems[0].params) if refused.value.problems else {}


def sound(world: World) -> None:
    """Check the invariants that hold after any step."""
    with world.db.read() as connection:
        assert verify(connection)[1] == []
        ended = sa.select(instance.c.id).where(instance.c.ended_at.is_not(None))
        open_tasks = sa.select(task.c.id).where(
            task.c.state == "open", task.c.instance_id.in_(ended)
        )
        assert connection.execute(open_tasks).all() == []
