"""What happened to a record, under field rights; going back; proving that nothing was altered."""

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.context import Context
from core.db import Database
from core.errors import NotFound
from core.ids import is_id
from core.policies.access import Access, access
from core.policies.masks import Masker, masker
from core.records.binding import bound
from core.records.pastschema import PastTypes, names_today
from core.schema.writtentypes import MASK
from core.tables.registry import Registry

Record = dict[str, Any]

#: Events of one record that are read at most, newest first.
MOST = 1_000


def record_history(
    ctx: Context, type_name: str, record_id: str, *, limit: int = 200
) -> list[Record]:
    """Return a record's events, newest first, with the changes its reader may see.

    A field that is hidden in any row is left out everywhere, for the record may have
    been such a row before; its name stands in `no_access`. One that is masked in any row
    is masked everywhere.

    Raises:
        NotFound: it is not there for this actor; a deleted one is.
        Forbidden: the actor may read no history of the type.
    """
    rights = access(ctx, type_name).through("history")
    if not is_id(record_id):
        raise NotFound
    names = ctx.registry.record_type(type_name).names
    with ctx.reading() as connection:
        if not _is_in_sight(ctx, connection, rights, record_id):
            raise NotFound
        events = audit.list_events(
            connection, names=names, record_id=record_id, limit=min(limit, MOST)
        )
        past = PastTypes(connection, ctx.registry, rights.record_type)
        then = {one["release"]: past.at(one["release"]) for one in events}
    sees_all = rights.certain >= rights.names
    masks = {name: masker(rights.record_type.field(name)) for name in rights.surely}
    for event in events:
        event["no_access"] = []
        if not sees_all:
            changes = event["changes"]
            # Rights are on the fields of today, whatever these were called then.
            today = names_today(then[event["release"]], rights.record_type)
            shown = {name: it for name in changes if (it := today.get(name, "")) in rights.surely}
            event["changes"] = {
                name: (
                    changes[name]
                    if it in rights.certain
                    else masked_change(masks[it], changes[name])
                )
                for name, it in shown.items()
            }
            event["no_access"] = sorted(changes.keys() - shown.keys())
    return events


def masked_change(mask: Masker, change: Any) -> list[str | None]:
    """Return how a field changed, [before, after], with masks in the place of its values."""
    if not isinstance(change, list):
        return [MASK, MASK]  # of a table field, which is a masked one today
    return [None if value is None else mask(value) for value in change]


def _is_in_sight(ctx: Context, connection: Connection, rights: Access, record_id: str) -> bool:
    """Return whether a record, deleted or not, is one whose history the actor may read."""
    table = ctx.registry.tables[rights.record_type.name].main
    statement = sa.select(table.c.id).where(table.c.id == sa.bindparam("record"))
    clause = rights.row_clause("view")
    if clause is not None:
        statement = statement.where(clause)
    return connection.execute(statement, bound(ctx, record=record_id)).first() is not None


def may_read_history(ctx: Context, type_name: str, record_id: str) -> bool:
    """Return whether the actor may read what a record's fields held before.

    It says so of the fields that the actor sees in every row, as `record_history` does.
    """
    rights = access(ctx, type_name)
    if not (rights.may("view") and rights.may("history") and is_id(record_id)):
        return False
    with ctx.reading() as connection:
        return _is_in_sight(ctx, connection, rights.through("history"), record_id)


def history_problems(db: Database, registry: Registry) -> Iterator[str]:
    """Yield what is wrong in the history of any record; nothing when all of it is proved.

    Both the events and the records are read as streams in the order of their ids, so
    that memory does not grow with the database.
    """
    for type_name in sorted(registry.tables):
        with db.read() as first, db.read() as second:
            yield from _type_problems(first, second, registry, type_name)


def _type_problems(
    first: Connection, second: Connection, registry: Registry, type_name: str
) -> Iterator[str]:
    table = registry.tables[type_name].main
    heads = _stream(
        first,
        sa.select(table.c.id, table.c.chain, table.c.events, table.c.version).order_by(table.c.id),
    )
    events = _stream(
        second,
        sa.select(audit.history)
        .where(audit.history.c.record_type.in_(registry.record_type(type_name).names))
        .order_by(audit.history.c.record_id, audit.history.c.seq),
    )
    chains = groupby(events, key=itemgetter("record_id"))
    head = next(heads, None)
    for record_id, group in chains:
        while head is not None and head["id"] < record_id:
            yield f"{type_name} {head['id']}: it has no history"
            head = next(heads, None)
        listed = [dict(event) for event in group]
        if head is not None and head["id"] == record_id:
            yield from _chain_problems(type_name, head, listed)
            head = next(heads, None)
        else:
            yield from _gone_problems(type_name, record_id, listed)
    while head is not None:
        yield f"{type_name} {head['id']}: it has no history"
        head = next(heads, None)


def _chain_problems(type_name: str, head: sa.RowMapping, events: list[Record]) -> Iterator[str]:
    place = f"{type_name} {head['id']}"
    found = audit.broken_links(events, head["chain"])
    yield from (f"{place}: {problem}" for problem in found)
    if found:
        return
    if head["events"] != len(events):
        yield f"{place}: it counts {head['events']} events and has {len(events)}"
    if events[-1]["version"] != head["version"]:
        yield f"{place}: its version {head['version']} is not that of its last event"


def _gone_problems(type_name: str, record_id: str, events: list[Record]) -> Iterator[str]:
    place = f"{type_name} {record_id}"
    for problem in audit.broken_links(events, events[-1]["hash"]):
        yield f"{place}: {problem}"
    if events[-1]["action"] != "delete":
        yield f"{place}: the record is gone without a deletion"


def _stream(connection: Connection, statement: sa.Select[Any]) -> Iterator[sa.RowMapping]:
    rows = connection.execution_options(stream_results=True, yield_per=500).execute(statement)
    yield from rows.mappings()
