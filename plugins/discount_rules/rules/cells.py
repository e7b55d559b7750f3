"""The rules of one cell in the order of their audits, where those that are over cost nothing.

A cell is what one card type pays for one target. Over the years it may gather thousands of
documents, nearly all of them over. So blocks of 16 rules know from when to when any of them
holds, blocks of 16 blocks too, and a search steps over blocks of which none does.
"""

from collections.abc import Iterator
from datetime import date
from itertools import count
from typing import Generic, Protocol, TypeVar

#: A block is 2 to this power of what is below it.
_SHIFT = 4
_LAST = (1 << _SHIFT) - 1

#: Later than every day, and than every audit.
_NEVER = 1 << 62


class Dated(Protocol):
    """What a cell holds: from when to when, and from which audit to which."""

    effective_from: date
    effective_to: date | None
    audit_seq: int
    line: int
    end_seq: int | None


R = TypeVar("R", bound=Dated)


class Cell(Generic[R]):
    """The rules of one cell, rising in rank; it only grows, and rules in it end.

    Attributes:
        rules: by audit, then line.
    """

    __slots__ = ("_blocks", "rules")

    def __init__(self) -> None:
        """Begin empty."""
        self.rules: list[R] = []
        # For each size of block: (first day, last day, last audit) in which any rule holds.
        self._blocks: list[list[tuple[int, int, int]]] | None = None

    def append(self, rule: R) -> None:
        """Add the rule that was audited last."""
        self.rules.append(rule)
        if len(self.rules) & _LAST == 0:
            self._measure(len(self.rules) - 1)

    def ended(self, rule: R) -> None:
        """Note that a rule in it ended: the blocks that hold it may be over now."""
        if self._blocks is not None:
            place = self._place(rule)
            if place | _LAST < len(self.rules):
                self._measure(place | _LAST)

    def falling(self, day: date, known: int | None, *, is_now: bool) -> Iterator[int]:
        """Yield the places of rules that may hold on a day, the highest rank first.

        Args:
            day: the store day.
            known: the highest audit that is known, None for all of them.
            is_now: every end up to that audit holds; it may not at an earlier instant.
        """
        # What never ends lasts longer than whatever may be known.
        last = _NEVER - 1 if known is None else known
        over = last if is_now else 0
        place = self._count_known(last) - 1
        while place >= 0:
            if place & _LAST == _LAST:
                step = self._over(place, day.toordinal(), over)
                if step:
                    place -= step
                    continue
            yield place
            place -= 1

    def _count_known(self, last: int) -> int:
        """Return how many of the rules were audited up to `last`."""
        rules = self.rules
        if rules[-1].audit_seq <= last:
            return len(rules)
        low, high = 0, len(rules)
        while low < high:
            middle = (low + high) // 2
            if rules[middle].audit_seq <= last:
                low = middle + 1
            else:
                high = middle
        return low

    def _over(self, place: int, day: int, over: int) -> int:
        """Return the size of the largest block ending at `place` in which nothing holds, or 0."""
        step, number = 0, place
        for size, blocks in enumerate(self._blocks or (), 1):
            if number & _LAST != _LAST:
                break
            number >>= _SHIFT
            first_day, last_day, last_audit = blocks[number]
            if first_day <= day <= last_day and last_audit > over:
                break
            step = 1 << (_SHIFT * size)
        return step

    def _place(self, rule: R) -> int:
        low, high = 0, len(self.rules)
        wanted = rule.audit_seq, rule.line
        while low < high:
            middle = (low + high) // 2
            found = self.rules[middle]
            if (found.audit_seq, found.line) < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def _measure(self, place: int) -> None:
        """Measure the blocks that end at or after `place`, the last of a block of rules."""
        if self._blocks is None:
            self._blocks = []
        number = place >> _SHIFT
        part = [_span(rule) for rule in self.rules[number << _SHIFT : (number + 1) << _SHIFT]]
        for size in count():
            if size == len(self._blocks):
                self._blocks.append([])
            blocks = self._blocks[size]
            span = (min(one[0] for one in part), max(one[1] for one in part),
                    max(one[2] for one in part))  # fmt: skip
            if number == len(blocks):
                blocks.append(span)
            else:
                blocks[number] = span
            number >>= _SHIFT
            part = blocks[number << _SHIFT : (number + 1) << _SHIFT]
            if len(part) <= _LAST:
                return


def _span(rule: Dated) -> tuple[int, int, int]:
    last = rule.effective_to
    return (
        rule.effective_from.toordinal(),
        _NEVER if last is None else last.toordinal(),
        _NEVER if rule.end_seq is None else rule.end_seq,
    )
