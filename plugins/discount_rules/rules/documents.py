"""What a discount document says by itself, before it meets others: pure functions."""

from collections.abc import Iterable


def rated_twice(lines: Iterable[tuple[str, frozenset[str]]]) -> list[tuple[int, int, str]]:
    """Return (line, later line, target) of each target that one document rates twice.

    `lines` are (level, targets) in their order; of two lines that say the same the
    later holds.

    >>> rated_twice([("brand", frozenset({"olay"})), ("brand", frozenset({"olay"}))])
    [(0, 1, 'olay')]
    """
    seen: dict[tuple[str, str], int] = {}
    found = []
    for line, (level, targets) in enumerate(lines):
        for target in sorted(targets):
            if (level, target) in seen:
                found.append((seen[level, target], line, target))
            seen[level, target] = line
    return found
