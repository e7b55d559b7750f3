"""Daily roots: what is carried out of the database so that nothing can be cut off its end.

A chain proves its middle, never its tail: whoever owns the database can drop the last events
of an approval, or all of it, and set the heads back. A root covers the head and length of
every chain that grew since the root before. Its file belongs somewhere that the owner of
the database cannot write to.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.appendonly import append_only
from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Problem
from core.i18n import N_
from core.jobs.outbox import emit
from core.workflow.evidence import merkle
from core.workflow.evidence.events import canonical
from core.workflow.evidence.folding import broken
from core.workflow.models import Row, event, instance

_T = TypeVar("_T")

#: The outbox's topic of a new root; its payload is the root.
TOPIC = "evidence.root"

#: Most chains that one root covers, which bounds how long decisions wait for it.
MOST_LEAVES = 2_000

#: So many leaves are read, written or looked up at once.
_CHUNK = 500

root = append_only(
    sa.Table(
        "gx_flow_root",
        metadata,
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("day", sa.String(10), nullable=False, doc="the store day it was made on"),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("leaves", sa.Integer, nullable=False, doc="approvals that it covers"),
        sa.Column("instances", sa.Integer, nullable=False, doc="approvals covered so far"),
        sa.Column("events", sa.BigInteger, nullable=False, doc="events covered so far"),
        sa.Column("merkle", sa.String(64), nullable=False, doc="over the leaves by instance"),
        sa.Column("prev", sa.String(64), nullable=False, doc="hash of the root before"),
        sa.Column("hash", sa.String(64), nullable=False),
    )
)

leaf = append_only(
    sa.Table(
        "gx_flow_leaf",
        metadata,
        sa.Column("root", sa.Integer, primary_key=True),
        sa.Column("instance_id", sa.String(36), primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sqlite_with_rowid=False,
    )
)
sa.Index("ix_gx_flow_leaf__instance", leaf.c.instance_id, leaf.c.root)

_is_unrooted = instance.c.events > instance.c.rooted


@dataclass(frozen=True, slots=True)
class Root:
    """A root as it is stored and exported; see `gx_flow_root`."""

    number: int
    day: str
    at: str
    leaves: int
    instances: int
    events: int
    merkle: str
    prev: str
    hash: str = ""

    @property
    def file_name(self) -> str:
        """Return how its file is called; names sort by number."""
        return f"{self.number:06d}-{self.day}.jsonl"

    def sealed(self) -> str:
        """Return the hash over everything else about it."""
        body = {name: value for name, value in asdict(self).items() if name != "hash"}
        return hashlib.sha256(f"root1{canonical(body)}".encode()).hexdigest()


def leaf_text(row: Row) -> str:
    """Return the text of a leaf: the length and head of one chain."""
    names = ("events", "head", "instance_id")
    return canonical({name: row[name] for name in names})


def make_roots(ctx: Context) -> list[Root]:
    """Cover all that happened since the last root; each root is a transaction of its own.

    A day's first root is made even when nothing happened, so that a gap shows.
    """
    made: list[Root] = []
    while True:
        with ctx.writing(durable=True) as connection:
            before = last_root(connection)
            is_due = before is None or before.day < ctx.today.isoformat()
            grown = _take_grown(connection)
            if not grown and (made or not is_due or not _has_instances(connection)):
                return made
            made.append(_write(ctx, connection, before, grown))
            if len(grown) < MOST_LEAVES:
                return made


def last_root(connection: Connection) -> Root | None:
    """Return the newest root, if there is one."""
    return next(iter(newest_roots(connection, 1)), None)


def find_root(connection: Connection, number: int) -> Root | None:
    """Return a root by its number, if there is one."""
    row = connection.execute(sa.select(root).where(root.c.number == number)).mappings().first()
    return None if row is None else Root(**row)


def newest_roots(connection: Connection, most: int) -> list[Root]:
    """Return the newest roots, newest first."""
    query = sa.select(root).order_by(root.c.number.desc()).limit(most)
    return [Root(**row) for row in connection.execute(query).mappings()]


def list_roots(connection: Connection, *, after: int = 0) -> Iterator[Root]:
    """Yield the roots behind a number, oldest first."""
    query = sa.select(root).where(root.c.number > after).order_by(root.c.number)
    return (Root(**row) for row in connection.execute(query).mappings())


def list_leaves(connection: Connection, number: int) -> Iterator[Row]:
    """Yield what a root covers, in the order of its tree."""
    after = ""
    while True:
        rows = connection.execute(
            sa.select(leaf)
            .where(leaf.c.root == number, leaf.c.instance_id > after)
            .order_by(leaf.c.instance_id)
            .limit(_CHUNK)
        ).mappings().all()  # fmt: skip
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["instance_id"]


def _has_instances(connection: Connection) -> bool:
    return connection.execute(sa.select(instance.c.id).limit(1)).first() is not None


def _take_grown(connection: Connection) -> list[Row]:
    """Return instances whose chains grew, in the order of their ids; they count as covered."""
    columns = instance.c.id, instance.c.events, instance.c.rooted, instance.c.chain
    query = sa.select(*columns).where(_is_unrooted).order_by(instance.c.id).limit(MOST_LEAVES)
    rows = connection.execute(query.with_for_update()).mappings().all()
    for some in _chunks(rows):
        mine = instance.c.id.in_([row["id"] for row in some])
        connection.execute(instance.update().where(mine).values(rooted=instance.c.events))
    return list(rows)


def _write(
    ctx: Context, connection: Connection, before: Root | None, grown: Sequence[Row]
) -> Root:  # fmt: skip
    leaves = [
        {"instance_id": row["id"], "events": row["events"], "head": row["chain"]} for row in grown
    ]
    unsealed = Root(
        number=before.number + 1 if before else 1,
        day=ctx.today.isoformat(),
        at=to_wire(ctx.now),
        leaves=len(leaves),
        instances=(before.instances if before else 0) + sum(not row["rooted"] for row in grown),
        events=(before.events if before else 0)
        + sum(row["events"] - row["rooted"] for row in grown),
        merkle=merkle.root_of(map(leaf_text, leaves)),
        prev=before.hash if before else "",
    )
    made = replace(unsealed, hash=unsealed.sealed())
    connection.execute(root.insert(), asdict(made))
    for some in _chunks(leaves):
        connection.execute(leaf.insert(), [row | {"root": made.number} for row in some])
    emit(connection, TOPIC, asdict(made))
    return made


def _chunks(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def root_problems(connection: Connection) -> Iterator[Problem]:
    """Yield what is wrong with the stored roots, their leaves, and the chains below them."""
    number = 1
    while number:
        found, number = prove_root(connection, number)
        yield from found


def prove_root(connection: Connection, number: int) -> tuple[list[Problem], int]:
    """Prove one root, and that the chains reach what it saw; the last call proves what is left.

    Args:
        connection: reads.
        number: of the root, from 1.

    Returns:
        What is wrong, and the number to go on with; 0 when that was all.
    """
    one = find_root(connection, number)
    if one is None:
        return list(_left_over(connection, number)), 0
    before = find_root(connection, number - 1)
    tree = merkle.Tree()
    for row in list_leaves(connection, number):
        tree.add(merkle.leaf_hash(leaf_text(row)))
    found = one.prev, one.hash, one.leaves, one.merkle
    if found != (before.hash if before else "", one.sealed(), len(tree), tree.root()):
        return [broken(N_("root {number} was altered"), number=number)], number + 1
    seen = sa.exists().where(
        event.c.instance_id == leaf.c.instance_id,
        event.c.seq == leaf.c.events,
        event.c.hash == leaf.c.head,
    )
    unseen = sa.select(leaf).where(leaf.c.root == number, ~seen).order_by(leaf.c.instance_id)
    rows = connection.execute(unseen).mappings()
    return [gone(row, number) for row in rows], number + 1


def _left_over(connection: Connection, number: int) -> Iterator[Problem]:
    """Yield what speaks of roots that are not there, from `number` on."""
    later = sa.select(root.c.number).where(root.c.number > number)
    stray = sa.select(leaf.c.root).where(leaf.c.root >= number)
    if connection.execute(sa.union_all(later, stray).limit(1)).first() is not None:
        yield broken(N_("root {number} is missing"), number=number)
    covered = sa.select(sa.func.coalesce(sa.func.max(leaf.c.events), 0)).where(
        leaf.c.instance_id == instance.c.id
    )
    marked = sa.select(instance.c.id).where(instance.c.rooted != covered.scalar_subquery())
    for one in connection.execute(marked.limit(_CHUNK)).scalars():
        yield broken(N_("the root that covered it is missing"), one)


def gone(row: Row, number: int) -> Problem:
    """Return how a chain is told of that does not reach what a root saw."""
    text = N_("the {count} events that root {number} saw are not there any more")
    return broken(text, row["instance_id"], count=row["events"], number=number)
