"""The roles that a release declares, as rows that people can be given."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.tables.releases import bump_rights

#: Flask-AppBuilder's table of roles, as far as it is written here: accounts refer to it.
_roles = sa.Table(
    "ab_role",
    sa.MetaData(),
    sa.Column("id", sa.Integer, sa.Sequence("ab_role_id_seq"), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
)


def ensure_roles(connection: Connection, names: Iterable[str]) -> None:
    """Add the roles that are missing; none where no accounts were ever made."""
    if not sa.inspect(connection).has_table(_roles.name):
        return
    known = set(connection.execute(sa.select(_roles.c.name)).scalars())
    missing = [{"name": name} for name in dict.fromkeys(names) if name not in known]
    if missing:
        connection.execute(_roles.insert(), missing)
        bump_rights(connection)
