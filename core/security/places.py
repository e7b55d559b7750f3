"""Where people work: positions held at stores and in departments, and what lies below them.

Stores and departments are trees where their record type has a link to itself, such as
`parent`. What somebody holds is worked out once per revision of rights, so moving a store
in its tree is a new revision.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Places
from core.db import metadata
from core.expression.places import place_key
from core.records.placetypes import parent_field
from core.schema.placerows import PLACE_TYPES
from core.security.stores import list_stores
from core.tables.registry import Registry
from core.tables.releases import bump_rights
from core.workflow.staff.people import note_staff

user_position = sa.Table(
    "gx_user_position",
    metadata,
    sa.Column("user_id", sa.String(36), primary_key=True),
    sa.Column("place_type", sa.String(20), primary_key=True, doc="store or department"),
    sa.Column("place_id", sa.String(36), primary_key=True),
    sa.Column("position", sa.String(80), primary_key=True, doc="empty is a member without one"),
)

#: Holding of somebody: (record type of the place, its id, position or "").
Held = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Holding:
    """One position that somebody holds; a store they merely work for has none."""

    user_id: str
    place_type: str
    place_id: str
    position: str


def list_holdings(connection: Connection, user_id: str = "") -> list[Holding]:
    """Return what a user holds, or everybody's, in a fixed order; plain stores not included."""
    query = sa.select(user_position).order_by(*user_position.primary_key)
    if user_id:
        query = query.where(user_position.c.user_id == user_id)
    return [Holding(**row) for row in connection.execute(query).mappings()]


def hold(connection: Connection, holding: Holding) -> None:
    """Give somebody a position at a place, in force at the next request; twice is once."""
    if holding not in list_holdings(connection, holding.user_id):
        values = {name: getattr(holding, name) for name in Holding.__slots__}
        connection.execute(user_position.insert().values(values))
        bump_rights(connection)
        note_staff(connection)


def release(connection: Connection, holding: Holding) -> None:
    """Take a position away, in force at the next request."""
    same = [user_position.c[name] == getattr(holding, name) for name in Holding.__slots__]
    connection.execute(user_position.delete().where(*same))
    bump_rights(connection)
    note_staff(connection)


def places_of(connection: Connection, registry: Registry | None, user_id: str) -> Places:
    """Return where a user works as of now; without a registry, without what lies below."""
    held: list[Held] = [("store", one, "") for one in list_stores(connection, user_id)]
    held += [
        (one.place_type, one.place_id, one.position) for one in list_holdings(connection, user_id)
    ]
    if not held:
        return Places({})
    own: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place_type, place_id, position in held:
        own["", place_type].add(place_id)
        if position:
            own[position, place_type].add(place_id)
    lists: dict[str, frozenset[str]] = {}
    below = dict(_below(connection, registry, own))
    for (position, place_type), ids in own.items():
        under = ids.union(*(below.get((place_type, one), ()) for one in ids))
        lists[place_key(place_type, position)] = frozenset(ids)
        lists[place_key(f"{place_type}_below", position)] = frozenset(under)
    text = msgspec.json.encode({key: sorted(ids) for key, ids in lists.items()}).decode()
    positions = frozenset(position for _, _, position in held if position)
    return Places(lists, text, positions)


def _below(
    connection: Connection,
    registry: Registry | None,
    own: Mapping[tuple[str, str], Collection[str]],
) -> Iterator[tuple[tuple[str, str], set[str]]]:
    """Yield (record type, id) of each place held, with the live places below it."""
    for place_type in PLACE_TYPES:
        roots = sorted(own.get(("", place_type), ()))
        record_type = None if registry is None else registry.release.type(place_type)
        parent = None if record_type is None else parent_field(record_type)
        if not roots or registry is None or parent is None:
            continue
        table = registry.tables[place_type].main
        first = sa.select(table.c.id.label("root"), table.c.id).where(
            table.c.id.in_(sa.bindparam("roots", expanding=True))
        )
        tree = first.cte("gx_below", recursive=True)
        # UNION, not UNION ALL: a circle in the data ends instead of going round.
        tree = tree.union(
            sa.select(tree.c.root, table.c.id)
            .join(tree, table.c[parent.name] == tree.c.id)
            .where(table.c.deleted_at.is_(None))
        )
        found: dict[str, set[str]] = defaultdict(set)
        for root, place_id in connection.execute(sa.select(tree), {"roots": roots}):
            found[root].add(place_id)
        yield from (((place_type, root), ids) for root, ids in found.items())
