"""What can be said of a points document by itself."""

from collections.abc import Iterable, Mapping
from typing import Any

#: Effects that decide the rate; a multiplier stands beside them.
RATES = frozenset({"rate", "excluded"})


def named_twice(lines: Iterable[Mapping[str, Any]]) -> list[tuple[int, int, str]]:
    """Return (line, later line, target) of each target that two lines decide the same for.

    Lines are taken in their order; of two the later holds. A rate and a multiplier for one
    target do not meet.

    >>> olay = {"scope": "brand", "targets": ["olay"]}
    >>> named_twice([{**olay, "effect": "rate"}, {**olay, "effect": "multiplier"},
    ...              {**olay, "effect": "excluded"}])
    [(0, 2, 'olay')]
    """
    seen: dict[tuple[bool, str, str], int] = {}
    found = []
    for at, line in enumerate(lines):
        for target in sorted(line.get("targets") or ()):
            key = line.get("effect") in RATES, str(line.get("scope") or ""), target
            if key in seen:
                found.append((seen[key], at, target))
            seen[key] = at
    return found
