"""Leases: which process does a job that one of them is enough for, and who is alive."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.db import metadata

lease = sa.Table(
    "gx_lease",
    metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("owner", sa.String(80), nullable=False),
    sa.Column("until", sa.String(27), nullable=False),
    sa.Column("beat", sa.String(27), nullable=False, doc="when the owner was last alive"),
)

_insert = {
    "sqlite": sqlite.insert(lease).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(lease).on_conflict_do_nothing(),
}


def is_free(connection: Connection, name: str, owner: str, now: datetime) -> bool:
    """Return whether `owner` could take the lease now; reads only."""
    row = connection.execute(
        sa.select(lease.c.owner, lease.c.until).where(lease.c.name == name)
    ).first()
    return row is None or row.owner == owner or row.until < to_wire(now)


def acquire(
    connection: Connection, name: str, owner: str, *, now: datetime, length: timedelta
) -> bool:
    """Take or renew the lease for `owner`; return whether they hold it."""
    values = {"owner": owner, "until": to_wire(now + length), "beat": to_wire(now)}
    taken = connection.execute(
        lease.update()
        .where(
            lease.c.name == name,
            sa.or_(lease.c.owner == owner, lease.c.until < to_wire(now)),
        )
        .values(values)
    )
    if taken.rowcount:
        return True
    # Without the option SQLAlchemy does not keep an insert's row count on PostgreSQL.
    added = connection.execute(
        _insert[connection.dialect.name],
        {"name": name, **values},
        execution_options={"preserve_rowcount": True},
    )
    return bool(added.rowcount)


def release(connection: Connection, name: str, owner: str) -> None:
    """Give the lease back, so that another process can take it at once."""
    connection.execute(lease.delete().where(lease.c.name == name, lease.c.owner == owner))


def forget_before(connection: Connection, prefix: str, instant: datetime) -> None:
    """Remove leases called `prefix…` whose owners have been silent since `instant`."""
    connection.execute(
        lease.delete().where(lease.c.name.startswith(prefix), lease.c.beat < to_wire(instant))
    )
