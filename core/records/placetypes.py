"""Record types that are places where people work, and the trees they form."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from core.schema.model import Field, RecordType
from core.schema.peopletypes import DEPARTMENTS
from core.schema.placerows import PLACE_TYPES
from core.tables.releases import bump_rights


def parent_field(record_type: RecordType) -> Field | None:
    """Return the link by which a place lies below another of its type; None without a tree."""
    if record_type.name not in PLACE_TYPES:
        return None
    return next(
        (
            one
            for one in record_type.fields
            if one.type == "link" and one.target == record_type.name
        ),
        None,
    )


#: Fields that say by which calendar and in which zone people at a place work.
CLOCK_FIELDS = ("calendar", "time_zone", "store")


def upward_links(record_type: RecordType) -> list[Field]:
    """Return the links that lead from a place to the one above it, the nearest first.

    A department lies below its parent department, otherwise below its store.
    """
    found = [parent_field(record_type)]
    if record_type.name == DEPARTMENTS:
        links = (one for one in record_type.fields if one.type == "link")
        found.append(next((one for one in links if one.target == "store"), None))
    return [one for one in found if one is not None]


def note_move(
    connection: Connection,
    record_type: RecordType,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Begin a new revision of rights when a place comes, goes, moves or keeps other hours.

    `before` is empty for a new one, whose hours nobody has asked for yet.
    """
    links = [one.name for one in upward_links(record_type)]
    watched = [*links, "deleted_at", *(CLOCK_FIELDS if before else ())]
    for name in watched if links else ():
        if before.get(name) != after.get(name):
            bump_rights(connection)
            return
