"""Record types that are places where people work, and the trees they form."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Connection

from core.schema.model import Field, RecordType
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


def note_move(
    connection: Connection,
    record_type: RecordType,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Begin a new revision of rights when a place comes, goes, moves or keeps other hours.

    `before` is empty for a new one, whose hours nobody has asked for yet.
    """
    parent = parent_field(record_type)
    if parent is None:
        return
    for name in (parent.name, "deleted_at", *(CLOCK_FIELDS if before else ())):
        if before.get(name) != after.get(name):
            bump_rights(connection)
            return
