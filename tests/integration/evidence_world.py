"""Approvals whose events say what became of their rows, and ways to tamper with them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Client
from core.workflow.evidence import Evidence, verify
from core.workflow.folding import FOLDED, Changes
from core.workflow.models import instance
from tests.integration.flow_steps import act, submitted
from tests.integration.flow_world import ADMIN, APPROVER, World, unguarded

DESK = Client("203.0.113.7", "Mozilla/5.0 (desk)", "session")


def rows_of(connection: Connection, instance_id: str) -> Changes:
    """Return every row of an instance as an operation that wrote all of them would tell it."""
    told = {}
    for name, table in FOLDED.items():
        key = table.c.id if table is instance else table.c.instance_id
        rows = connection.execute(sa.select(table).where(key == instance_id)).mappings()
        told[name] = {row["id"]: dict(row) for row in rows}
    return told


def tell_rows(world: World, instance_id: str, **rest: Any) -> None:
    """Append an event that says how the rows of an instance are."""
    ctx = world.ctx(ADMIN, client=DESK)
    with ctx.writing() as connection:
        query = sa.select(instance).where(instance.c.id == instance_id)
        row = connection.execute(query).mappings().one()
        evidence = Evidence(ctx, connection, row)
        evidence.add("told", changes=rows_of(connection, instance_id), **rest)
        evidence.close()


def approved(world: World, **values: Any) -> str:
    """Return the id of an approved instance with an opinion, whose rows are told."""
    _, sent = submitted(world, **values)
    act(world, APPROVER, "approve", sent["task"], opinion="同意，按此执行。")
    tell_rows(world, sent["instance"])
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
