"""Standing delegations (代理) as rows: which there are, and whom a change of one concerns."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.db import metadata
from core.workflow.staff.deputies import MOST_LINKS, Delegation

_ID = sa.String(36)
_TIME = sa.String(27)

delegation = sa.Table(
    "gx_delegation",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("giver", _ID, nullable=False, doc="id of who is away"),
    sa.Column("deputy", _ID, nullable=False),
    sa.Column("start", _TIME, nullable=False),
    sa.Column("end", _TIME, nullable=False, doc="not included"),
    sa.Column("types", sa.Text, nullable=False, doc="document types between spaces; empty is all"),
    sa.Column("amount_field", sa.String(80), nullable=False),
    sa.Column("amount_max", sa.String(40), nullable=False, doc="a decimal; empty is none"),
    sa.Column("include_roles", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("created_by", _ID, nullable=False),
    sa.Column("revoked_at", _TIME, nullable=True),
    sa.Column("revoked_by", _ID, nullable=True),
)
sa.Index("ix_gx_delegation__giver", delegation.c.giver, delegation.c.start)
sa.Index("ix_gx_delegation__deputy", delegation.c.deputy, delegation.c.start)


def list_standing(connection: Connection, now: datetime) -> Iterator[Delegation]:
    """Yield the delegations that are not over, those that begin later too."""
    query = sa.select(delegation).where(
        delegation.c.revoked_at.is_(None), delegation.c.end > to_wire(now)
    )
    return (value_of(row) for row in connection.execute(query).mappings())


def moved_windows(connection: Connection, since: str, now: str) -> frozenset[str]:
    """Return the ids of all whose seats may have other deputies than before.

    These are the givers of delegations that began or ended after `since` and until `now`,
    and those whose own deputy had passed on to them.

    Args:
        connection: to read by.
        since: an instant as rows keep it; so is `now`.
        now: until when, included.
    """
    start, end = delegation.c.start, delegation.c.end
    query = sa.select(delegation.c.giver).where(
        delegation.c.revoked_at.is_(None),
        sa.or_(sa.and_(start > since, start <= now), sa.and_(end > since, end <= now)),
    )
    moved = frozenset(connection.execute(query).scalars())
    return upstream(connection, moved, since)


def upstream(connection: Connection, people: Iterable[str], since: str) -> frozenset[str]:
    """Return people with all whose chain of deputies may lead through them.

    Args:
        connection: to read by.
        people: ids.
        since: delegations that ended before that instant do not count.
    """
    query = sa.select(delegation.c.giver, delegation.c.deputy).where(
        delegation.c.revoked_at.is_(None), delegation.c.end > since
    )
    found, links = set(people), connection.execute(query).all() if people else []
    for _ in range(MOST_LINKS):
        found |= {row.giver for row in links if row.deputy in found}
    return frozenset(found)


def value_of(row: Any) -> Delegation:
    """Return a row of the table as a value."""
    return Delegation(
        id=row["id"],
        giver=row["giver"],
        deputy=row["deputy"],
        start=datetime.fromisoformat(row["start"]),
        end=datetime.fromisoformat(row["end"]),
        types=tuple(row["types"].split()),
        amount_field=row["amount_field"],
        amount_max=Decimal(row["amount_max"]) if row["amount_max"] else None,
        include_roles=row["include_roles"],
        reason=row["reason"],
    )
