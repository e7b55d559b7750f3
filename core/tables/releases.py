"""Releases in the database, and the one row of revisions that every request reads.

`gx_revision.schema` is the number of the release in force; `rights` and `settings`
grow whenever users, roles, policies or settings change. A process compares them
with what it has in memory, which is how a change reaches every process at its
next request without any message between them.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.db import metadata
from core.errors import NotFound
from core.schema.model import Release, decode_release, encode
from core.tables.columns import ID, JSON, TEXT, Instant

release_table = sa.Table(
    "gx_release",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("content", TEXT, nullable=False, doc="the compiled schema as JSON"),
    sa.Column("sources", JSON, nullable=False, doc="[{layer, path, text}], every layer's YAML"),
    sa.Column("note", TEXT, nullable=False, server_default=""),
    sa.Column("plan", JSON, nullable=False, doc="what publishing it did, for people"),
    sa.Column("published_at", Instant(), nullable=False),
    sa.Column("published_by", ID, nullable=False),
    sa.Column("published_by_name", TEXT, nullable=False, server_default=""),
    sa.Column("chain", sa.String(64), nullable=False, doc="head of the schema's history here"),
)

revision_table = sa.Table(
    "gx_revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("schema", sa.Integer, nullable=False),
    sa.Column("rights", sa.Integer, nullable=False),
    sa.Column("settings", sa.Integer, nullable=False),
)

#: Read on every request, so one constant text that the driver prepares once.
REVISION_SQL = 'SELECT "schema", rights, settings FROM gx_revision WHERE id = 1'

#: The same as one text, to select besides the columns of another statement.
REVISION_TEXT: sa.ColumnElement[str] = sa.literal_column(
    "(SELECT \"schema\" || ',' || rights || ',' || settings FROM gx_revision WHERE id = 1)",
    sa.Text,
).label("gx_revision")


@dataclass(frozen=True, slots=True)
class Revision:
    """What is in force: the release's number and the counters of rights and settings."""

    schema: int = 0
    rights: int = 0
    settings: int = 0

    @property
    def text(self) -> str:
        """Return the three as `REVISION_TEXT` selects them."""
        return f"{self.schema},{self.rights},{self.settings}"


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release as the list of releases shows it."""

    number: int
    note: str
    published_at: datetime
    published_by: str
    published_by_name: str
    plan: dict[str, Any]


def read_revision(connection: Connection) -> Revision:
    """Return the revisions in force; all zero before the first release."""
    row = connection.exec_driver_sql(REVISION_SQL).first()
    return Revision(*row) if row else Revision()


def bump_rights(connection: Connection) -> None:
    """Make every process read users, roles and rights anew at its next request."""
    _bump(connection, "rights")


def bump_settings(connection: Connection) -> None:
    """Make every process read settings anew at its next request."""
    _bump(connection, "settings")


def _bump(connection: Connection, name: str) -> None:
    column = revision_table.c[name]
    connection.execute(revision_table.update().values({name: column + 1}))


def ensure_revision(connection: Connection) -> None:
    """Insert the one row of revisions if it is not there; the caller holds the boot lock."""
    if connection.execute(sa.select(revision_table.c.id)).first() is None:
        connection.execute(revision_table.insert().values(id=1, schema=0, rights=0, settings=0))


def insert_release(
    connection: Connection, release: Release, row: ReleaseRow, sources: list[dict[str, str]]
) -> None:
    """Store a release and put it in force, in the caller's transaction.

    The history of the schema is one chain: event `n` is release `n`.
    """
    content = encode(release)
    columns = release_table.c
    before = sa.select(columns.chain).where(columns.number == release.number - 1)
    event = audit.event_row(
        record_type="gx_release",
        record_id="schema",
        seq=release.number,
        version=release.number,
        at=row.published_at,
        actor=row.published_by,
        actor_name=row.published_by_name,
        door="cli" if row.published_by == "system" else "form",
        action="publish",
        changes={"content": [None, hashlib.sha256(content).hexdigest()]},
        reason=row.note,
        release=release.number,
    )
    audit.chained(event, connection.execute(before).scalar() or "")
    audit.append(connection, [event])
    connection.execute(
        release_table.insert().values(
            number=release.number,
            content=content.decode(),
            chain=event["hash"],
            sources=sources,
            note=row.note,
            plan=row.plan,
            published_at=row.published_at,
            published_by=row.published_by,
            published_by_name=row.published_by_name,
        )
    )
    connection.execute(
        revision_table.update().values(schema=release.number, rights=revision_table.c.rights + 1)
    )


def load_release(connection: Connection, number: int) -> Release:
    """Return a stored release.

    Raises:
        NotFound: there is no release of that number.
    """
    query = sa.select(release_table.c.content).where(release_table.c.number == number)
    content = connection.execute(query).scalar()
    if content is None:
        raise NotFound
    return decode_release(content)


def chain_head(connection: Connection, number: int) -> str:
    """Return the hash that the schema's history had with a release; empty without it."""
    query = sa.select(release_table.c.chain).where(release_table.c.number == number)
    return connection.execute(query).scalar() or ""


def load_sources(connection: Connection, number: int) -> list[dict[str, str]]:
    """Return the YAML sources a release was made of; none for release 0."""
    query = sa.select(release_table.c.sources).where(release_table.c.number == number)
    return connection.execute(query).scalar() or []


def list_release_rows(connection: Connection) -> list[ReleaseRow]:
    """Return all releases, newest first."""
    columns = release_table.c
    query = sa.select(
        columns.number, columns.note, columns.published_at, columns.published_by,
        columns.published_by_name, columns.plan,
    ).order_by(columns.number.desc())  # fmt: skip
    return [ReleaseRow(*row) for row in connection.execute(query)]
