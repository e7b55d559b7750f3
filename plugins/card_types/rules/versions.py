"""Which version of a card type holds at a moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """A card type from one approval on.

    Attributes:
        seq: its audit number.
        at: when it took effect, in UTC.
        values: what holds since, with the type's `id`; empty for one that was voided.
    """

    seq: int
    at: datetime
    values: Record


#: Card type -> its versions by audit number.
Versions = Mapping[str, tuple[Version, ...]]


def with_versions(known: Versions, new: Iterable[tuple[str, Version]]) -> Versions:
    """Return the versions known before with new ones; what was known is left as it is."""
    made = dict(known)
    for type_id, version in new:
        made[type_id] = (*made.get(type_id, ()), version)
    return made


def version_at(versions: Sequence[Version], at: datetime, seq: int) -> Version | None:
    """Return the version that held at an instant, as it was known at an audit number.

    A card type has no first day: its first version holds before it was approved too, which
    matters for sales that are entered later.
    """
    known = [version for version in versions if version.seq <= seq]
    held = [version for version in known if version.at <= at]
    return held[-1] if held else next(iter(known), None)
