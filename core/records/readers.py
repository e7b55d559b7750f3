"""Which people may see a record, by their own rights; nobody else is told about it."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from core.actor import Actor
from core.context import Context
from core.errors import Forbidden, NotFound
from core.records.people import PEOPLE, Person
from core.records.queries import get_record

#: People looked at for each one that is offered.
_TRIES = 5


def actors_of(ctx: Context, ids: Collection[str]) -> Mapping[str, Actor]:
    """Return the active users among `ids` as actors, by id."""
    with ctx.reading() as connection:
        return PEOPLE.actors(connection, ctx.registry, ids)


def find_readers(ctx: Context, record: tuple[str, str], text: str, limit: int) -> list[Person]:
    """Return active users whose name holds `text` and who may see a record, (type, id)."""
    if not text.isprintable():
        return []
    with ctx.reading() as connection:
        found = PEOPLE.search(connection, text, limit * _TRIES)
    actors = actors_of(ctx, [one.id for one in found])
    seeing = [one for one in found if one.id in actors and sees(ctx, actors[one.id], record)]
    return seeing[:limit]


def sees(ctx: Context, actor: Actor, record: tuple[str, str]) -> bool:
    """Return whether somebody may see a record, given as (type, id)."""
    try:
        get_record(replace(ctx, actor=actor), *record, fields=("id",))
    except (NotFound, Forbidden):
        return False
    return True
