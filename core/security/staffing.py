"""Reads everybody who works here at once, for flows, which look for approvers among them."""

from collections import defaultdict
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.records.people import Person
from core.records.placetypes import upward_links
from core.schema.peopletypes import DEPARTMENTS
from core.schema.placerows import PLACE_TYPES
from core.security.managers import user_manager
from core.security.people import every_person
from core.security.places import user_position
from core.security.stores import user_store
from core.security.users import active_role_holders
from core.tables.registry import Registry
from core.workflow.staff.roster import Post, Staff


def load_staff(connection: Connection, registry: Registry) -> Staff:
    """Return the whole staff; seven statements whatever its size."""
    people = {person.id: person for person in every_person(connection)}
    roles: dict[str, list[str]] = defaultdict(list)
    for role, person in active_role_holders(connection):
        roles[role].append(person)
    assigned = connection.execute(sa.select(user_manager.c.user_id, user_manager.c.manager_id))
    return Staff(
        people=people,
        roles={role: tuple(sorted(ids, key=int)) for role, ids in roles.items()},
        places=_places(connection, people),
        above=_above(connection, registry),
        heads=tuple(one.name for one in registry.release.positions if one.manages),
        assigned={row.user_id: row.manager_id for row in assigned},
    )


def _places(
    connection: Connection, people: Mapping[str, Person]
) -> Mapping[str, tuple[Post, ...]]:
    """Return what everybody is where: departments first, then by the place's id."""
    of = user_position.c
    posts = connection.execute(
        sa.select(of.user_id, of.place_type, of.place_id, of.position)
    ).all()
    stores = connection.execute(sa.select(user_store.c.user_id, user_store.c.store_id)).all()
    held = [(person, kind != DEPARTMENTS, place, name) for person, kind, place, name in posts]
    held += [(person, True, store, "") for person, store in stores]
    held.sort()
    found: dict[str, list[Post]] = defaultdict(list)
    for person, _, place, position in held:
        if person in people:
            found[person].append(Post(position, place))
    return {person: tuple(posts) for person, posts in found.items()}


def _above(connection: Connection, registry: Registry) -> Mapping[str, str]:
    """Return the live places that lie below another, with that other."""
    found: dict[str, str] = {}
    for name in PLACE_TYPES:
        record_type = registry.release.type(name)
        links = [] if record_type is None else upward_links(record_type)
        if not links:
            continue
        table = registry.tables[name].main
        nearest = sa.func.coalesce(*(table.c[one.name] for one in links), None)
        query = sa.select(table.c.id, nearest.label("above")).where(
            nearest.is_not(None), table.c.deleted_at.is_(None)
        )
        found |= {row.id: row.above for row in connection.execute(query)}
    return found
