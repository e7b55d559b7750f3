"""A small cache with a bound, for what is compiled from a release and from requests."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from core.tables.registry import Registry

T = TypeVar("T")

#: Statements kept per release; requests choose their shapes, so there must be a bound.
_STATEMENTS = 1000


class Bounded(Generic[T]):
    """The most recently used `size` values by key; safe to share between threads."""

    def __init__(self, size: int) -> None:
        """Keep at most `size` values."""
        self._size = size
        self._values: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value of `key`, made once and again only after it was pushed out."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()  # outside the lock: making may take long or ask for another key
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._values)


def compiled(registry: Registry, key: Hashable, make: Callable[[], T]) -> T:
    """Return what `make` compiles from the release for `key`, kept while it is in use."""
    kept: Bounded[T] = registry.memo("policies.compiled", lambda: Bounded(_STATEMENTS))
    return kept.get(key, make)
