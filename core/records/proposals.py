"""Proposed changes of effective documents, which wait for approval beside the live row.

A document's row holds its last effective values. Changing an effective one writes
its single open proposal; the flow submits it, applies it or hands it back.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.db import metadata
from core.ids import new_id
from core.prebuilt import Prebuilt

#: States of a proposal; the first two are the living ones, of which a record has one at most.
OPEN, SUBMITTED, APPLIED, REJECTED, DROPPED = "open", "submitted", "applied", "rejected", "dropped"

#: The status of a document that is no longer in force, and never again.
VOID = "void"

proposal = sa.Table(
    "gx_proposal",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", sa.String(36), nullable=False),
    sa.Column("base_version", sa.Integer, nullable=False, doc="the record's version at the start"),
    sa.Column("base", sa.Text, nullable=False, doc="JSON: the live values it would replace"),
    sa.Column("values", sa.Text, nullable=False, doc="JSON: name -> proposed value, wire form"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("status", sa.String(12), nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("created_by", sa.String(36), nullable=False),
    sa.Column("updated_at", sa.String(27), nullable=False),
    sa.Column("updated_by", sa.String(36), nullable=False),
)
_living = proposal.c.status.in_([sa.literal_column("'open'"), sa.literal_column("'submitted'")])
sa.Index(
    "ux_gx_proposal__living",
    proposal.c.record_type,
    proposal.c.record_id,
    unique=True,
    sqlite_where=_living,
    postgresql_where=_living,
)
_find = sa.select(proposal).where(
    proposal.c.record_type == sa.bindparam("type"),
    proposal.c.record_id == sa.bindparam("record"),
    _living,  # literally, else SQLite would not use the partial index
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """The living proposal of one document.

    Attributes:
        base: name -> live value when it was proposed; `values` -> what it shall be; wire form.
        base_version: the record's version when the proposal was begun.
    """

    id: str
    record_type: str
    record_id: str
    base_version: int
    base: dict[str, Any]
    values: dict[str, Any]
    version: int
    status: str
    created_by: str
    updated_by: str

    @property
    def voids(self) -> bool:
        """Return whether it proposes that the document be void, and nothing else."""
        return self.values.get("status") == VOID

    def wire(self) -> dict[str, Any]:
        """Return what an answer shows of it."""
        return {
            "id": self.id,
            "version": self.version,
            "status": self.status,
            "base": self.base,
            "values": self.values,
            "created_by": self.created_by,
            "updated_by": self.updated_by,
        }


def find_proposal(connection: Connection, type_name: str, record_id: str) -> Proposal | None:
    """Return the document's open or submitted proposal."""
    rows = _finding(connection.dialect).rows(connection, {"type": type_name, "record": record_id})
    if not rows:
        return None
    row = dict(zip(proposal.columns.keys(), rows[0], strict=True))
    return Proposal(
        id=row["id"],
        record_type=row["record_type"],
        record_id=row["record_id"],
        base_version=row["base_version"],
        base=msgspec.json.decode(row["base"]),
        values=msgspec.json.decode(row["values"]),
        version=row["version"],
        status=row["status"],
        created_by=row["created_by"],
        updated_by=row["updated_by"],
    )


@lru_cache(maxsize=4)
def _finding(dialect: sa.Dialect) -> Prebuilt:
    return Prebuilt(_find, dialect)


def living_proposals(connection: Connection, type_name: str) -> list[tuple[str, str]]:
    """Return (record id, JSON of all values) of a type's open and submitted proposals."""
    query = sa.select(proposal.c.record_id, proposal.c["values"], proposal.c.base).where(
        proposal.c.record_type == type_name, _living
    )
    return [(row[0], f"{row[1]} {row[2]}") for row in connection.execute(query)]


def save_proposal(
    connection: Connection,
    found: Proposal | None,
    *,
    record: tuple[str, str, int],
    base: dict[str, Any],
    values: dict[str, Any],
    stamp: tuple[datetime, str],
) -> None:
    """Write a document's proposal anew or over `found`; empty `values` drop it.

    Args:
        connection: the caller's transaction, which holds the record's row.
        found: the living proposal, if there is one.
        record: type name, id and version of the document.
        base: the live values of the proposed names.
        values: the proposed values.
        stamp: when and by whom.
    """
    at, actor = to_wire(stamp[0]), stamp[1]
    changed = {
        "base": msgspec.json.encode(base).decode(),
        "values": msgspec.json.encode(values).decode(),
        "updated_at": at,
        "updated_by": actor,
    }
    if found is not None:
        changed["status"] = OPEN if values else DROPPED
        connection.execute(
            proposal.update().where(proposal.c.id == found.id),
            changed | {"version": found.version + 1},
        )
    elif values:
        connection.execute(
            proposal.insert(),
            changed
            | {
                "id": new_id(),
                "record_type": record[0],
                "record_id": record[1],
                "base_version": record[2],
                "version": 1,
                "status": OPEN,
                "created_at": at,
                "created_by": actor,
            },
        )


def set_proposal_status(connection: Connection, proposal_id: str, status: str) -> None:
    """Move a proposal to another state; the flow does so with the document locked."""
    connection.execute(proposal.update().where(proposal.c.id == proposal_id), {"status": status})
