"""Who wants which events."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.context import Context


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery of an event.

    Attributes:
        id: the same at every delivery; other systems take it as their idempotency key.
        attempt: 1 at the first delivery.
    """

    seq: int
    id: str
    topic: str
    payload: dict[str, Any]
    attempt: int


Handle = Callable[["Context", Event], None]


@dataclass(frozen=True, slots=True)
class Handler:
    """A function that wants events, and how it is to be called.

    Attributes:
        name: unique and stable; what was delivered is remembered by it.
        prefix: a topic, the first parts of one, or `""` for every event.
        in_transaction: the handler's own writes and the note that it ran commit together,
            so its effect happens exactly once. Without it the handler runs outside any
            transaction, at least once, and must not mind a second call with the same `id`.
        lease: how long it may take before the event is given to someone else.
        concerns: a further look at the event, without the database; None wants them all.
    """

    name: str
    prefix: str
    handle: Handle
    in_transaction: bool = True
    lease: timedelta = timedelta(seconds=60)
    concerns: Callable[["Context", Event], bool] | None = None

    def wants(self, topic: str) -> bool:
        """Return whether events of `topic` go to this handler."""
        return not self.prefix or topic == self.prefix or topic.startswith(f"{self.prefix}.")


@dataclass(frozen=True, slots=True)
class Chore:
    """Something that the worker does at intervals, in one process at a time.

    Attributes:
        name: unique and stable; the lease is called `chore:NAME`.
        every: how long the worker waits between two times.
        run: gets a context that acts as the system; it opens its own transactions, and
            must not mind being called again after it was killed half-way.
    """

    name: str
    every: timedelta
    run: Callable[["Context"], None]


class Handlers:
    """The handlers of one process, by topic, and its chores."""

    def __init__(self) -> None:
        """Start without any."""
        self._handlers: dict[str, Handler] = {}
        self._by_topic: dict[str, tuple[Handler, ...]] = {}
        self._chores: dict[str, Chore] = {}

    @property
    def chores(self) -> tuple[Chore, ...]:
        """Return what is done at intervals, in the order it was added."""
        return tuple(self._chores.values())

    def add_chore(self, chore: Chore) -> None:
        """Add a chore; one with the same name is replaced."""
        self._chores[chore.name] = chore

    def add(self, handler: Handler) -> None:
        """Add a handler; one with the same name is replaced."""
        self._handlers[handler.name] = handler
        self._by_topic = {}

    def remove(self, name: str) -> None:
        """Remove the handler called `name`, if there is one."""
        self._handlers.pop(name, None)
        self._by_topic = {}

    def of(self, topic: str) -> tuple[Handler, ...]:
        """Return the handlers that want `topic`, in the order they were added."""
        found = self._by_topic.get(topic)
        if found is None:
            found = tuple(each for each in self._handlers.values() if each.wants(topic))
            self._by_topic[topic] = found
        return found


#: The handlers that this process's worker calls.
HANDLERS = Handlers()


def register_handler(
    prefix: str,
    handle: Handle,
    *,
    name: str = "",
    in_transaction: bool = True,
    lease: timedelta = timedelta(seconds=60),
) -> None:
    """Have `handle(ctx, event)` called for each event whose topic begins with `prefix`."""
    HANDLERS.add(
        Handler(
            name=name or f"{handle.__module__}.{handle.__qualname__}",
            prefix=prefix,
            handle=handle,
            in_transaction=in_transaction,
            lease=lease,
        )
    )
