"""What merges did: which record lives on, which were merged into it, what was moved."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.ids import new_id
from core.records.relinking import Edit, Edits
from core.tables.columns import ID, JSON, TEXT, Instant

#: Rows of a journal read at once.
_PART = 500
#: Merges listed of one record.
MOST = 100

merge_table = sa.Table(
    "gx_merge",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False, doc="its name at that time"),
    sa.Column("survivor", ID, nullable=False),
    sa.Column("at", Instant(), nullable=False),
    sa.Column("actor", ID, nullable=False),
    sa.Column("actor_name", TEXT, nullable=False),
    sa.Column("state", sa.String(10), nullable=False, doc="done or undone"),
    sa.Column("taken", JSON, nullable=False, doc="name -> [before, after] of the survivor"),
    sa.Column("comments", JSON, nullable=False, doc="ids of comments -> whose they were"),
    sa.Column("followers", JSON, nullable=False, doc="users who follow the survivor since"),
    sa.Column("moved", sa.Integer, nullable=False, doc="records that were relinked"),
    sa.Index("ix_gx_merge__survivor", "survivor"),
)

loser_table = sa.Table(
    "gx_merge_loser",
    metadata,
    sa.Column("merge", ID, primary_key=True),
    sa.Column("record_id", ID, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False, doc="its version before"),
    sa.Index("ix_gx_merge_loser__record", "record_id"),
    sqlite_with_rowid=False,
)

moved_table = sa.Table(
    "gx_merge_moved",
    metadata,
    sa.Column("merge", ID, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", ID, nullable=False),
    sa.Column("edits", JSON, nullable=False),
    sqlite_with_rowid=False,
)


def note_merge(
    ctx: Context,
    connection: Connection,
    *,
    record: tuple[str, str],
    losers: Mapping[str, int],
    taken: Mapping[str, Any],
    moved: Mapping[str, Edits],
    comments: Mapping[str, str],
    followers: Sequence[str],
) -> str:
    """Write down a merge in the transaction that made it; return its id.

    Args:
        ctx: who merged.
        connection: the transaction.
        record: type and id of the survivor.
        losers: id -> version before.
        taken: name -> [before, after] of the survivor's values, wire form.
        moved: type -> the edits of its records.
        comments: id of each comment moved -> whose it was.
        followers: who follows the survivor since.
    """
    merge_id = new_id()
    rows = [
        {
            "merge": merge_id,
            "record_type": type_name,
            "record_id": record_id,
            "edits": [msgspec.to_builtins(edit) for edit in edits],
        }
        for type_name, some in moved.items()
        for record_id, edits in some.items()
    ]
    connection.execute(
        merge_table.insert().values(
            id=merge_id,
            record_type=record[0],
            survivor=record[1],
            at=ctx.now,
            actor=ctx.actor.id,
            actor_name=ctx.actor.name,
            state="done",
            taken=dict(taken),
            comments=dict(comments),
            followers=list(followers),
            moved=len(rows),
        )
    )
    connection.execute(
        loser_table.insert(),
        [
            {"merge": merge_id, "record_id": one, "version": version}
            for one, version in losers.items()
        ],
    )
    for start in range(0, len(rows), _PART):
        part = [
            {**row, "place": place}
            for place, row in enumerate(rows[start : start + _PART], start=start)
        ]
        connection.execute(moved_table.insert(), part)
    return merge_id


def moved_back(connection: Connection, merge_id: str) -> Iterator[tuple[str, Edits]]:
    """Yield (record type, edits that take back what a merge moved), in parts."""
    table = moved_table.c
    last = -1
    while True:
        query = (
            sa.select(table.place, table.record_type, table.record_id, table.edits)
            .where(table.merge == merge_id, table.place > last)
            .order_by(table.place)
            .limit(_PART)
        )
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].place
        parts: dict[str, Edits] = {}
        for row in rows:
            edits = [msgspec.convert(one, Edit).back() for one in row.edits]
            parts.setdefault(row.record_type, {})[row.record_id] = edits
        yield from parts.items()


def merged_into(connection: Connection, names: Iterable[str], record_id: str) -> str | None:
    """Return the record that another one was merged into and that was not undone."""
    query = (
        sa.select(merge_table.c.survivor)
        .join(loser_table, loser_table.c.merge == merge_table.c.id)
        .where(
            loser_table.c.record_id == record_id,
            merge_table.c.record_type.in_(list(names)),
            merge_table.c.state == "done",
        )
    )
    return connection.execute(query).scalar()


def merges_of(
    connection: Connection, names: Iterable[str], record_id: str
) -> list[dict[str, Any]]:
    """Return the merges in which a record lived on or was merged, newest first, as JSON."""
    is_loser = merge_table.c.id.in_(
        sa.select(loser_table.c.merge).where(loser_table.c.record_id == record_id)
    )
    query = (
        sa.select(merge_table)
        .where(
            merge_table.c.record_type.in_(list(names)),
            sa.or_(merge_table.c.survivor == record_id, is_loser),
        )
        .order_by(merge_table.c.at.desc(), merge_table.c.id.desc())
        .limit(MOST)
    )
    rows = list(connection.execute(query).mappings())
    return [
        {
            "id": row["id"],
            "survivor": row["survivor"],
            "losers": sorted(losers_of(connection, row["id"])),
            "at": to_wire(row["at"]),
            "actor_name": row["actor_name"],
            "state": row["state"],
            "moved": row["moved"],
        }
        for row in rows
    ]


def losers_of(connection: Connection, merge_id: str) -> dict[str, int]:
    """Return the records that a merge put away, each with its version before."""
    query = sa.select(loser_table.c.record_id, loser_table.c.version).where(
        loser_table.c.merge == merge_id
    )
    return dict(map(tuple, connection.execute(query)))
