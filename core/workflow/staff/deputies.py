"""Who stands in for whom (代理): standing delegations as plain values; pure.

A delegation holds in its window [start, end) for the document types it names, and with a
ceiling only for documents whose amount is known and not above it. Where several hold, the
narrowest counts: one that names types before one for all, one with a ceiling before one
without, and among equals the latest.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

#: Links that a chain of deputies has at most.
MOST_LINKS = 5


@dataclass(frozen=True, slots=True)
class Delegation:
    """One person's word that another decides for them for a time.

    Attributes:
        giver: id of who is away.
        deputy: id of who stands in.
        start: from then on.
        end: until then, and no longer at that instant.
        types: names of the document types; none is all of them.
        amount_field: the field that the ceiling is for; empty for none.
        amount_max: documents above it stay with the giver.
        include_roles: whether the deputy also gets what waits for the giver's roles and
            positions, and not only what waits for the giver by name.
        reason: why, for people.
    """

    id: str
    giver: str
    deputy: str
    start: datetime
    end: datetime
    types: tuple[str, ...] = ()
    amount_field: str = ""
    amount_max: Decimal | None = None
    include_roles: bool = False
    reason: str = ""

    @property
    def width(self) -> tuple[bool, bool]:
        """Return how wide it is; the narrower compares as less."""
        return (not self.types, self.amount_max is None)

    def is_open(self, now: datetime) -> bool:
        """Return whether its window is open."""
        return self.start <= now < self.end

    def covers(self, type_name: str, values: Mapping[str, Any]) -> bool:
        """Return whether it is for this document, given as its wire values."""
        if self.types and type_name not in self.types:
            return False
        if self.amount_max is None:
            return True
        amount = _number(values.get(self.amount_field))
        return amount is not None and amount <= self.amount_max


#: Who is away -> what they said, the narrowest and latest first.
Standing = Mapping[str, tuple[Delegation, ...]]


def standing(delegations: Iterable[Delegation]) -> Standing:
    """Return delegations by giver, in the order in which they count."""
    found: dict[str, list[Delegation]] = {}
    newest = sorted(delegations, key=lambda one: (one.start, one.id), reverse=True)
    for one in sorted(newest, key=lambda one: one.width):
        found.setdefault(one.giver, []).append(one)
    return {giver: tuple(said) for giver, said in found.items()}


@dataclass(frozen=True, slots=True)
class Matter:
    """The document that somebody would decide, and when.

    Attributes:
        values: the document's wire values.
    """

    type_name: str
    values: Mapping[str, Any]
    now: datetime


def next_deputy(said: Standing, person: str, matter: Matter, *, pooled: bool = False) -> str:
    """Return whom somebody's own delegation names for the matter, or "".

    Args:
        said: all delegations.
        person: who may be away.
        matter: the document and the instant.
        pooled: ask for what waits for their roles rather than for them by name.
    """
    for one in said.get(person, ()):
        if one.is_open(matter.now) and one.covers(matter.type_name, matter.values):
            return one.deputy if one.include_roles or not pooled else ""
    return ""


def final_deputy(
    said: Standing, person: str, matter: Matter, is_active: Callable[[str], bool],
    *, pooled: bool = False,
) -> str:  # fmt: skip
    """Return who stands in for somebody at the end of the chain of deputies, or "".

    Nobody does where the chain is a circle, has more than `MOST_LINKS` links, or ends with
    somebody who is not active. What waits for roles is passed on by the first link only as
    far as that delegation says so; from there on it waits for the deputy by name.
    """
    seen, at = {person}, next_deputy(said, person, matter, pooled=pooled)
    if not at:
        return ""
    while len(seen) <= MOST_LINKS:
        if at in seen:
            return ""
        seen.add(at)
        further = next_deputy(said, at, matter)
        if not further:
            return at if is_active(at) else ""
        at = further
    return ""


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None
