"""What became of effect steps: done, to be tried again, or failed until somebody mends it.

An effect is carried out after the commit that reached it and never changes the decision: a
failed one is flagged on the approval, and administrators try it again when its reason is gone.
"""

from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Forbidden, NotFound
from core.i18n import N_
from core.jobs.outbox import emit
from core.workflow.models import instance
from core.workflow.run import Answer, lock_instance, once
from core.workflow.settling import settle
from core.workflow.staff.people import may_administer

#: Topic of effects to be carried out.
TOPIC = "flow.effect"
#: States: to be done or tried again, done, given up.
WAITING, DONE, FAILED = "waiting", "done", "failed"
#: Why administrators must look at an approval one of whose effects failed.
EFFECT_FAILED = "effect_failed"
_ERROR_LENGTH = 2000

effect = sa.Table(
    "gx_flow_effect",
    metadata,
    sa.Column("visit_id", sa.String(36), primary_key=True),
    sa.Column("instance_id", sa.String(36), nullable=False, index=True),
    sa.Column("step", sa.String(320), nullable=False),
    sa.Column("item", sa.Text, nullable=False, doc="JSON: what a run of a subflow is about"),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("results", sa.Text, nullable=False, doc="JSON: one entry per action"),
    sa.Column("at", sa.String(27), nullable=False),
)

_insert = {
    "sqlite": sqlite.insert(effect).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(effect).on_conflict_do_nothing(),
}


def begin(connection: Connection, payload: dict[str, Any], at: str) -> sa.RowMapping:
    """Return the row of an effect, locked; a new one is written down first."""
    connection.execute(
        _insert[connection.dialect.name],
        {
            "visit_id": payload["visit"], "instance_id": payload["instance"],
            "step": payload["step"], "item": msgspec.json.encode(payload.get("item")).decode(),
            "state": WAITING, "attempts": 0, "error": "", "results": "[]", "at": at,
        },
    )  # fmt: skip
    query = sa.select(effect).where(effect.c.visit_id == payload["visit"]).with_for_update()
    return connection.execute(query).mappings().one()


def note(
    connection: Connection, visit_id: str, state: str, *, attempts: int, at: str,
    error: str = "", results: Any = (),
) -> None:  # fmt: skip
    """Write down what became of one attempt."""
    connection.execute(
        effect.update().where(effect.c.visit_id == visit_id)
        .values(
            state=state, attempts=attempts, at=at,
            error=error[:_ERROR_LENGTH].replace("\0", ""),
            results=msgspec.json.encode(results).decode(),
        )
    )  # fmt: skip


def flag(ctx: Context, instance_id: str, *, step: str, visit_id: str, error: str = "") -> None:
    """Record on the approval that an effect failed, or, without an error, that it is mended."""

    def act() -> Answer:
        connection = ctx.connection
        assert connection is not None  # noqa: S101  `once` has opened it
        run = lock_instance(ctx, connection, instance_id)
        verb = EFFECT_FAILED if error else "effect_done"
        run.note(verb, step=step, visit=visit_id, detail={"error": error} if error else {})
        if error:
            run.state.attention = EFFECT_FAILED
            run.announce("flow.attention", task=run.row["task_id"], step=step, why=EFFECT_FAILED)
        elif run.state.attention == EFFECT_FAILED and not _others_failed(
            connection, run.row["id"]
        ):
            run.state.attention = ""
        settle(run)
        return {}

    once(ctx, None, (), act)


def _others_failed(connection: Connection, instance_id: str) -> bool:
    failed = sa.select(effect.c.visit_id).where(
        effect.c.instance_id == instance_id, effect.c.state == FAILED
    )
    return connection.execute(failed.limit(1)).first() is not None


def effects_of(connection: Connection, instance_id: str) -> list[Answer]:
    """Return the effects of an approval and what became of them, in the order of trying."""
    rows = connection.execute(
        sa.select(effect).where(effect.c.instance_id == instance_id)
        .order_by(effect.c.at, effect.c.visit_id)
    ).mappings()  # fmt: skip
    return [
        {
            "visit": row["visit_id"], "step": row["step"], "state": row["state"],
            "attempts": row["attempts"], "error": row["error"], "at": row["at"],
        }
        for row in rows
    ]  # fmt: skip


def retry_effect(ctx: Context, instance_id: str, visit_id: str) -> Answer:
    """Have an effect that failed carried out again.

    Raises:
        Forbidden: the actor does not administer approvals.
        NotFound: there is no such effect.
        Conflict: it did not fail.
    """
    if not may_administer(ctx):
        raise Forbidden
    with ctx.writing() as connection:
        row = connection.execute(
            sa.select(effect, instance.c.record_type, instance.c.record_id)
            .join(instance, instance.c.id == effect.c.instance_id)
            .where(effect.c.visit_id == visit_id, effect.c.instance_id == instance_id)
        ).mappings().first()  # fmt: skip
        if row is None:
            raise NotFound
        if row["state"] != FAILED:
            raise Conflict(N_("This has not failed."))
        note(connection, visit_id, WAITING, attempts=0, at=to_wire(ctx.now))
        emit(
            connection,
            TOPIC,
            {
                "type": row["record_type"], "id": row["record_id"], "instance": instance_id,
                "step": row["step"], "visit": visit_id, "again": True,
                "item": msgspec.json.decode(row["item"]),
                "actor": ctx.actor.id, "actor_name": ctx.actor.name, "at": to_wire(ctx.now),
            },
        )  # fmt: skip
    return {"instance": instance_id, "visit": visit_id, "state": WAITING}
