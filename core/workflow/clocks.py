"""By which business calendar a clock runs: that of the place, of the flow, or the default."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.businesstime import Calendar, is_zone
from core.context import Context
from core.policies.bounded import Bounded
from core.records.placetypes import CLOCK_FIELDS, parent_field
from core.schema.calendars import calendar_of, chosen_calendar, zone_of
from core.schema.placerows import PLACE_TYPES
from core.tables.registry import Registry

#: Places whose hours a process remembers.
_KEPT = 10_000
#: A place asks so many others for what it does not say itself.
_MOST_ASKED = 50


@dataclass(frozen=True, slots=True)
class PlaceHours:
    """What a store or department says of its hours, or those that it belongs to.

    Attributes:
        calendar: the name of its calendar, empty for none.
        zone: the time zone that its hours are read in, empty for none.
    """

    calendar: str = ""
    zone: str = ""


_NOWHERE = PlaceHours()


def calendar_for(ctx: Context, name: str = "", place_id: str | None = None) -> Calendar:
    """Return the calendar that clocks about a place run by.

    The place's own calendar goes first, or that of the nearest place that it belongs to (a
    department asks its store before the department above), then the one called `name`, then
    the default of the release; who has none of them works around the clock. Hours are read
    in the time zone of the place's store, else of the calendar, else of the installation.

    Args:
        ctx: whose release holds; a changed store is seen by the next context.
        name: the calendar that a flow names; empty for none.
        place_id: a store or department; None or empty for no place.
    """
    registry, known = ctx.registry, ctx.registry.release.calendars
    place = _place(ctx, place_id) if place_id else _NOWHERE
    home = ctx.time_zone.key

    def find() -> Calendar:
        found = chosen_calendar((place.calendar, name), known)
        zone = place.zone or zone_of(found, known) or home
        # Whoever keeps the same hours shares the days that were worked out.
        key = ("workflow.calendar", found, zone)
        return registry.memo(key, lambda: calendar_of(found, known, zone))

    return registry.memo(("workflow.clock", place, name, home), find)


def _place(ctx: Context, place_id: str) -> PlaceHours:
    """Return what a place says, as of the rights revision of the context's release."""
    kept: Bounded[PlaceHours] = ctx.registry.memo("workflow.places", lambda: Bounded(_KEPT))

    def read() -> PlaceHours:
        with ctx.reading() as connection:
            return _read(connection, ctx.registry, place_id)

    return kept.get((ctx.registry.revision.rights, place_id), read)


def _read(connection: Connection, registry: Registry, place_id: str) -> PlaceHours:
    calendar = zone = ""
    for row in _asked(connection, registry, place_id):
        calendar = calendar or row.get("calendar") or ""
        stated = row.get("time_zone") or ""
        if not zone and stated and is_zone(stated):
            zone = stated
        if calendar and zone:
            break
    return PlaceHours(calendar, zone)


def _asked(
    connection: Connection, registry: Registry, place_id: str
) -> Iterator[Mapping[str, Any]]:
    """Yield the place and those that it belongs to, the nearest first, each once."""
    seen: set[str] = set()
    queue = [(kind, place_id) for kind in reversed(PLACE_TYPES)]
    while queue and len(seen) < _MOST_ASKED:
        kind, asked = queue.pop()
        record_type = registry.release.type(kind)
        if record_type is None or asked in seen:
            continue
        parent = parent_field(record_type)
        names = {one.name for one in record_type.fields}.intersection(CLOCK_FIELDS)
        if parent is not None:
            names.add(parent.name)
        table = registry.tables[kind].main
        columns = [table.c.id, *(table.c[name] for name in sorted(names))]
        row = connection.execute(sa.select(*columns).where(table.c.id == asked)).mappings().first()
        if row is None:
            continue
        seen.add(asked)
        yield dict(row)
        if parent is not None and row[parent.name]:
            queue.append((kind, row[parent.name]))
        if row.get("store"):
            queue.append(("store", row["store"]))
