"""Approvals, and ways to tamper with them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Client
from core.workflow.evidence.events import verify
from core.workflow.evidence.folding import FOLDED, Changes
from core.workflow.models import instance
from tests.integration.flow_steps import act, submitted
from tests.integration.flow_world import APPROVER, World, unguarded

DESK = Client("203.0.113.7", "Mozilla/5.0 (desk)", "session")


def rows_of(connection: Connection, instance_id: str) -> Changes:
    """Return every row of an instance as an operation that wrote all of them would tell it."""
    told = {}
    for name, table in FOLDED.items():
        key = table.c.id if table is instance else table.c.instance_id
        rows = connection.execute(sa.select(table).where(key == instance_id)).mappings()
        told[name] = {row["id"]: dict(row) for row in rows}
    return told


def approved(world: World, **values: Any) -> str:
    """Return the id of an approved instance with an opinion."""
    _, sent = submitted(world, **values)
    act(world, APPROVER, "approve", sent["task"], opinion="同意，按此执行。")
    return str(sent["instance"])


def problems_after(world: World, *statements: sa.Executable) -> list[str]:
    """Return what is found after statements that are then taken back."""
    with world.db.engine.connect() as connection, connection.begin() as transaction:
        with unguarded(connection):
            for statement in statements:
                connection.execute(statement)
        found = verify(connection)[1]
        transaction.rollback()
    return found
