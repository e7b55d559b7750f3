"""What the engine asks of the world around an instance.

A running instance asks the database, a test in a flow's file asks plain values, a replay
asks the past: the engine is the same for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from core.schema.flows import Source
from core.workflow.engine.state import Identity


@dataclass(frozen=True, slots=True)
class Pool:
    """People that one source gave, of whom one voice is asked.

    Attributes:
        key: what its seat is called: a role, a post or a person's id.
        members: as what one sits in it; a pool of one person has one `user`.
    """

    key: str
    members: tuple[Identity, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """For whom and where people are looked up.

    Attributes:
        step: the step that asks.
        item: what a run of a subflow is about.
        seat: the people of the seat concerned, for `manager_of: seat`.
        decided: step -> who decided it, for `of_step` and `manager_of: STEP`.
        chosen: step -> who was named for it.
    """

    step: str
    item: Any = None
    seat: tuple[Identity, ...] = ()
    decided: dict[str, tuple[str, ...]] | None = None
    chosen: dict[str, tuple[str, ...]] | None = None


class World(Protocol):
    """Time, content and people as of now."""

    @property
    def now(self) -> datetime:
        """Return the instant, aware, in UTC; the same during one operation."""

    def new_id(self) -> str:
        """Return an id that no other visit, seat, vote or timer has."""

    def holds(self, condition: str, item: Any = None) -> bool:
        """Return whether a condition holds for the document as proposed; unknown is False."""

    def moment(self, expression: str, item: Any = None) -> datetime | bool:
        """Return the instant that a wait is for, or whether its condition holds."""

    def items(self, expression: str) -> Sequence[Any]:
        """Return what a subflow is walked for, as wire values."""

    def resolve(self, source: Source, asking: Asking) -> tuple[Pool, ...]:
        """Return the people of a source in their order; empty when there are none."""

    def people(self, identity: Identity) -> tuple[str, ...]:
        """Return the ids of the active users behind an identity, in a fixed order."""

    def name(self, person: str) -> str:
        """Return what people call a user."""

    def manager(self, person: str) -> str:
        """Return the id of somebody's active manager, or ""."""

    def deputy(self, person: str) -> str:
        """Return who stands in for somebody for this document now, or "".

        Chains of at most five are followed to their end; a circle has none.
        """

    def stand_ins(self, identity: Identity) -> Sequence[tuple[str, str]]:
        """Return who stands in for people of a role or post now, each with for whom.

        They are the deputies of those whose delegation includes their roles.
        """

    def clock(self, duration: str, start: datetime, item: Any = None) -> tuple[bool, int]:
        """Return whether a duration is business time, and its seconds from `start` on.

        The seconds of `3bd` are the open seconds until its end.
        """

    def fires(self, start: datetime, *, business: bool, left: int, item: Any = None) -> datetime:
        """Return when a clock with so many seconds left goes off, started at `start`."""

    def spent(self, start: datetime, *, business: bool, item: Any = None) -> int:
        """Return the seconds of a clock's time between `start` and now."""
