"""The time, through one door, so that tests and replays can set it."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo


class Clock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    def today(self, zone: tzinfo) -> date:
        """Return the store day that it is now in `zone`."""
        return self.now().astimezone(zone).date()


class FixedClock(Clock):
    """A clock that stands still until it is moved; for tests and replays."""

    def __init__(self, instant: datetime) -> None:
        """Start at `instant`, which must be aware."""
        self._instant = instant

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self._instant

    def move(self, by: timedelta) -> None:
        """Move the clock by `by`, forwards or backwards."""
        self._instant += by


def to_wire(instant: datetime) -> str:
    """Return an aware instant as RFC 3339 in UTC with microseconds and `Z`."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def zone(name: str) -> ZoneInfo:
    """Return the time zone called `name` (IANA); raises ZoneInfoNotFoundError."""
    return ZoneInfo(name)
