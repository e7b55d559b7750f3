"""The world of a running instance as somebody supposes it: other values, fewer people, later.

It reads what the live world reads and writes nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from core.businesstime import Calendar
from core.clock import FixedClock
from core.context import Context
from core.records.validation import compile_validator
from core.records.wire import to_wire
from core.workflow.liveworld import LiveWorld, Matter
from core.workflow.staff.roster import Staff
from core.workflow.subject import make_subject


class SupposedWorld(LiveWorld):
    """A live world with a staff of its own, whose time is moved by whoever plays."""

    def __init__(self, ctx: Context, connection: Connection, matter: Matter, staff: Staff) -> None:
        """Ask through `connection` about a matter, with these people."""
        super().__init__(ctx, connection, matter)
        self._people = staff

    @property
    def staff(self) -> Staff:
        """Return the people there would be."""
        return self._people

    @property
    def calendar(self) -> Calendar:
        """Return the calendar of the document's clocks."""
        return self._calendar(None)

    def move(self, instant: datetime) -> None:
        """Let it be `instant` from now on."""
        self._now = instant
        self._ctx = replace(self._ctx, clock=FixedClock(instant))
        for name in ("_env", "_row", "_directory"):
            self.__dict__.pop(name, None)  # they are as of an instant


def supposed_matter(ctx: Context, matter: Matter, values: Mapping[str, Any]) -> Matter:
    """Return what an instance would be about if its document had other wire values.

    Raises:
        Invalid: a field does not take its value.
    """
    if not values:
        return matter
    registry, name = ctx.registry, matter.type_name
    record = compile_validator(registry, name).trusted(matter.record, values)
    found = matter.subject.proposal
    if found is not None:
        found = replace(found, values={**found.values, **values})
    subject = make_subject(
        registry.record_type(name), matter.tree.flow, to_wire(registry, name, record), found
    )
    return replace(matter, record=record, subject=subject)


def without(staff: Staff, people: Collection[str]) -> Staff:
    """Return the staff with some people gone."""
    gone = set(people)
    return replace(
        staff,
        people={
            one: replace(person, is_active=person.is_active and one not in gone)
            for one, person in staff.people.items()
        },
        roles={
            role: tuple(one for one in held if one not in gone)
            for role, held in staff.roles.items()
        },
    )
