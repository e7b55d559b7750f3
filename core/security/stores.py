"""Which stores a user works for; policies compare records with them."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.db import metadata
from core.tables.releases import bump_rights

user_store = sa.Table(
    "gx_user_store",
    metadata,
    sa.Column("user_id", sa.String(36), primary_key=True),
    sa.Column("store_id", sa.String(36), primary_key=True),
)


def list_stores(connection: Connection, user_id: str) -> frozenset[str]:
    """Return the ids of the store records that a user works for."""
    query = sa.select(user_store.c.store_id).where(user_store.c.user_id == user_id)
    return frozenset(connection.execute(query).scalars())


def assign_stores(connection: Connection, user_id: str, stores: Iterable[str]) -> None:
    """Make `stores` the user's stores, in force at the next request of every process."""
    connection.execute(user_store.delete().where(user_store.c.user_id == user_id))
    rows = [{"user_id": user_id, "store_id": store} for store in sorted(set(stores))]
    if rows:
        connection.execute(user_store.insert(), rows)
    bump_rights(connection)
