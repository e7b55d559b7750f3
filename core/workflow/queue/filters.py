"""Filters of the audit queue that people keep for themselves.

A filter is a question about one box and never rights; everybody has their own.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Invalid, NotFound, Problem, TooLarge
from core.i18n import N_
from core.ids import is_id, new_id
from core.tables.columns import ID, JSON
from core.workflow.queue.inbox import BOXES, LONGEST_TEXT

#: Filters of one person, and characters of a name.
MOST, LONGEST_LABEL = 50, 60

#: Keys of a filter -> what each holds.
KEYS: Mapping[str, type] = {
    "box": str, "type": str, "step": str, "initiator": str, "text": str, "sort": str,
    "overdue": bool, "attention": bool, "snoozed": bool,
}  # fmt: skip

filter_table = sa.Table(
    "gx_task_filter",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("owner", sa.String(36), nullable=False),
    sa.Column("label", sa.String(LONGEST_LABEL), nullable=False),
    sa.Column("query", JSON, nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
)
sa.Index("ux_gx_task_filter__label", filter_table.c.owner, filter_table.c.label, unique=True)

Answer = dict[str, Any]


def list_filters(ctx: Context) -> list[Answer]:
    """Return the actor's filters by name."""
    query = sa.select(filter_table).where(filter_table.c.owner == ctx.actor.id)
    with ctx.reading() as connection:
        rows = connection.execute(query.order_by(filter_table.c.label)).mappings()
        return [_wire(row) for row in rows]


def save_filter(ctx: Context, label: str, query: Mapping[str, Any]) -> Answer:
    """Keep a filter of the actor's under a name, in the place of one that has it.

    Raises:
        Invalid: the name or a part of the filter is not right.
        TooLarge: the actor has very many.
    """
    label = label.strip()
    _check(label, query)
    with ctx.writing() as connection:
        mine = filter_table.c.owner == ctx.actor.id
        known = connection.execute(
            sa.select(filter_table.c.id).where(mine, filter_table.c.label == label)
        ).scalar()
        if known is not None:
            connection.execute(
                filter_table.update()
                .where(filter_table.c.id == known).values(query=dict(query))
            )  # fmt: skip
            return {"id": known, "label": label, "query": dict(query)}
        count = sa.select(sa.func.count()).select_from(filter_table).where(mine)
        if connection.execute(count).scalar_one() >= MOST:
            raise TooLarge(N_("At most {most} items."), most=MOST)
        row = {
            "id": new_id(), "owner": ctx.actor.id, "label": label, "query": dict(query),
            "created_at": to_wire(ctx.now),
        }  # fmt: skip
        connection.execute(filter_table.insert().values(row))
    return _wire(row)


def remove_filter(ctx: Context, filter_id: str) -> None:
    """Forget one of the actor's filters.

    Raises:
        NotFound: they have none with this id.
    """
    with ctx.writing() as connection:
        mine = sa.and_(filter_table.c.id == filter_id, filter_table.c.owner == ctx.actor.id)
        if (
            not is_id(filter_id)
            or not connection.execute(filter_table.delete().where(mine)).rowcount
        ):
            raise NotFound


def _check(label: str, query: Mapping[str, Any]) -> None:
    problems = []
    if not 0 < len(label) <= LONGEST_LABEL or not label.isprintable():
        text = N_("A name has 1 to {limit} characters.")
        problems.append(Problem("label", "view.label", text, {"limit": LONGEST_LABEL}))
    for name, value in query.items():
        kind = KEYS.get(name)
        is_right = kind is not None and type(value) is kind
        if is_right and kind is str:
            is_right = len(value) <= LONGEST_TEXT and (value.isprintable() or not value)
        if is_right and name == "box":
            is_right = value in BOXES
        if not is_right:
            text = N_("This is of the wrong kind.")
            problems.append(Problem(f"query.{name}"[:100], "field.wrong_type", text))
    if problems:
        raise Invalid(problems=problems)


def _wire(row: Any) -> Answer:
    return {"id": row["id"], "label": row["label"], "query": row["query"]}
