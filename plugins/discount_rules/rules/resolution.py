"""Which rate a member pays for a product: pure functions.

Levels rise from class to product; the highest level that matches wins whatever its
age, and in one level the document that was audited later. A matching rule replaces
the card type's own rate even when it is worse for the member. A rate is the fraction
paid: 0.9 is ten per cent off (domain §2.2).
"""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from plugins.discount_rules.rules.cells import Cell
from plugins.discount_rules.rules.pricing import plain_rate

#: From the lowest to the highest.
LEVELS = ("big_class", "mid_class", "small_class", "counter", "brand", "product")

_FALLING = LEVELS[::-1]
_HEIGHT = {level: height for height, level in enumerate(LEVELS)}

#: Rules that lost which a resolution names at most, the nearest to the one that won;
#: at least so many of them that rank above it, where there are.
MOST_LOST, LEAST_ABOVE = 20, 10

#: Products whose rate of the day is kept, for each card type.
_MOST_ANSWERS = 10_000


@dataclass(slots=True, eq=False)
class Rule:
    """One line of an audited discount document.

    Attributes:
        no: the document's number.
        line: the line's place in the document; of two that say the same, the later holds.
        effective_from: first store day it holds, `effective_to` the last, None without end.
        audited_at: from when it was known; `audit_seq` orders audits, also within a second.
        voided_at: from when it was known that it no longer holds, None while it does;
            `end_seq` is that audit's number, and `is_replaced` that the document took effect
            anew rather than being voided.
        condition: the stored expression that must hold for a sale and line; "" for every one.
        record_id: the document's id.
    """

    no: str
    line: int
    level: str
    targets: Collection[str]
    card_types: Collection[str]
    rate: Decimal
    joins_stacking: bool
    effective_from: date
    effective_to: date | None
    audited_at: datetime
    audit_seq: int
    voided_at: datetime | None = None
    condition: str = ""
    end_seq: int | None = None
    is_replaced: bool = False
    record_id: str = ""
    _facts: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Return what people are told of it, made once: number, version, line from 1 on, rate."""
        if self._facts is None:
            self._facts = {
                "no": self.no,
                "audit_seq": self.audit_seq,
                "line": self.line + 1,
                "level": self.level,
                "rate": f"{self.rate:f}",
                "from": _day(self.effective_from),
                "to": _day(self.effective_to),
            }
        return self._facts

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return what decides between matching rules: level, then audit, then line."""
        return _HEIGHT[self.level], self.audit_seq, self.line


@lru_cache(maxsize=4096)
def _day(day: date | None) -> str:
    return day.isoformat() if day else ""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a sale happens: its store day, its instant, and the last audit it could know.

    Attributes:
        audit_seq: the highest audit the sale saw; a replay passes the one stamped on it.
    """

    on: date
    at: datetime
    audit_seq: int | None = None


class Lost(NamedTuple):
    """A rule for this product and card type that does not apply, and why."""

    rule: Rule
    why: str


@dataclass(slots=True)
class Resolution:
    """The member rate of one product for one card type at one moment, with its grounds.

    Attributes:
        rule: what gave it; None where it is the card type's own.
        lost: the nearest of the other rules for the product, at most `MOST_LOST`, by rank.
        told: what was made of it for people, kept as long as it is; never changed.
    """

    rate: Decimal
    rule: Rule | None
    lost: tuple[Lost, ...]
    told: tuple[Any, ...] | None = field(default=None, compare=False, repr=False)

    @property
    def joins_stacking(self) -> bool:
        """Return whether the rate may stack; the card type's own rate may."""
        return self.rule is None or self.rule.joins_stacking


#: Why the condition of a rule does not hold, such as `condition_not_met`; None when it holds.
Holds = Callable[[str], str | None]


def always(_condition: str) -> str | None:
    """Return that a condition holds, for whoever asks without a sale."""
    return None


class RuleIndex:
    """Rules arranged so that a look-up costs six probes, however many documents there are.

    A document that takes effect or ends is added; whoever resolves at an earlier moment
    still finds what held and was known then, so an index may be used while it grows. What
    a product's rate is today is found once: the same goods are sold again and again.
    """

    __slots__ = ("_cells", "_last_at", "_last_seq", "_live", "_shared", "_today")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        """Arrange `rules`."""
        self._cells: dict[tuple[str, str], dict[str, Cell[Rule]]] = {}
        self._live: dict[str, list[Rule]] = {}
        self._shared: dict[Any, Any] = {}
        self._last_seq = 0
        self._last_at = datetime.min.replace(tzinfo=UTC)
        self._today: tuple[date, dict[Any, Any]] = (date.min, {})
        for rule in sorted(rules, key=lambda rule: (rule.audit_seq, rule.line)):
            self._knows(rule.audit_seq, max(rule.audited_at, rule.voided_at or rule.audited_at))
            self._add(rule)

    def take_effect(
        self, record_id: str, seq: int, at: datetime, values: Mapping[str, Any]
    ) -> None:
        """Add a document that took effect, in the place of what it said until now.

        `values` are its stored values; later audits have higher numbers.
        """
        self.end(record_id, seq, at, is_replaced=True)
        share = self._shared.setdefault
        card_types = share(found := tuple(values["card_types"]), found)
        first, last = values["effective_from"], values.get("effective_to")
        for number, line in enumerate(values["lines"]):
            self._add(
                Rule(
                    no=values["no"],
                    line=number,
                    level=sys.intern(line["scope"]),
                    targets=tuple(map(sys.intern, line["targets"])),
                    card_types=card_types,
                    rate=share(rate := plain_rate(line["rate"]), rate),
                    joins_stacking=line["joins_stacking"] is not False,
                    effective_from=share(first, first),
                    effective_to=share(last, last),
                    audited_at=at,
                    audit_seq=seq,
                    condition=line.get("condition") or "",
                    record_id=record_id,
                )
            )
        self._today = (date.min, {})

    def end(self, record_id: str, seq: int, at: datetime, *, is_replaced: bool) -> None:
        """Note that what a document said until now ended with an audit."""
        self._knows(seq, at)
        for rule in self._live.pop(record_id, ()):
            rule.end_seq, rule.is_replaced, rule.voided_at = seq, is_replaced, at
            for card_type in rule.card_types:
                cells = self._cells[card_type, rule.level]
                for target in rule.targets:
                    cells[target].ended(rule)
        self._today = (date.min, {})

    def _knows(self, seq: int, at: datetime) -> None:
        # Before the rules come: who finds them must not take the day's answers for whole.
        self._last_seq = max(self._last_seq, seq)
        self._last_at = max(self._last_at, at)

    def _add(self, rule: Rule) -> None:
        """Add a rule that was audited after all the others."""
        for card_type in rule.card_types:
            cells = self._cells.setdefault((card_type, rule.level), {})
            for target in rule.targets:
                cell = cells.get(target)
                if cell is None:
                    cells[target] = cell = Cell()
                cell.append(rule)
        if rule.record_id:
            self._live.setdefault(rule.record_id, []).append(rule)

    def rules_of(self, record_id: str) -> tuple[Rule, ...]:
        """Return what a document says by the last audit, in the order of its lines."""
        return tuple(self._live.get(record_id, ()))

    def rules_at(self, card_type: str, level: str, target: str) -> tuple[Rule, ...]:
        """Return the rules of one cell, the highest rank first, whether they hold or not."""
        cell = self._cells.get((card_type, level), {}).get(target)
        return tuple(reversed(cell.rules)) if cell else ()

    def resolve(
        self,
        product: Mapping[str, str | None],
        *,
        card_type: str,
        default_rate: Decimal,
        moment: Moment,
        holds: Holds = always,
    ) -> Resolution:
        """Return the rate of a product, given as level -> code; a missing level never matches.

        `holds` tells whether the condition of a rule does, for this sale and line.
        """
        known = moment.audit_seq
        is_now = moment.at >= self._last_at
        if not is_now or (known is not None and known < self._last_seq):
            return self._resolved(product, card_type, default_rate, moment, holds, is_now=is_now)[
                0
            ]
        day, answers = self._today
        if day != moment.on:
            self._today = _, answers = moment.on, {}
        key = card_type, product.get("product")
        answer = answers.get(key)
        if answer is not None and answer[0] == default_rate and answer[1] == product:
            return answer[2]  # type: ignore[no-any-return]
        found, is_conditional = self._resolved(
            product, card_type, default_rate, moment, holds, is_now=True
        )
        if not is_conditional:
            if len(answers) >= _MOST_ANSWERS:
                answers.clear()
            answers[key] = default_rate, dict(product), found
        return found

    def _resolved(
        self,
        product: Mapping[str, str | None],
        card_type: str,
        default_rate: Decimal,
        moment: Moment,
        holds: Holds,
        *,
        is_now: bool,
    ) -> tuple[Resolution, bool]:
        """Return the rate, and whether it hung on a condition."""
        cells: list[list[Rule]] = []
        winner: Rule | None = None
        home, place = -1, -1
        unmet: dict[int, str] = {}
        for level in _FALLING:
            found = self._cells.get((card_type, level))
            target = product.get(level)
            cell = found.get(target) if found and target else None
            if cell is None:
                continue
            if winner is None:
                winner, place = _highest(cell, moment, holds, unmet, is_now=is_now)
                if winner is not None:
                    home = len(cells)
            cells.append(cell.rules)
        if winner is None:
            lost = _lost(cells, len(cells), 0, None, moment, unmet) if cells else ()
            return Resolution(default_rate, None, lost), bool(unmet)
        lost = _lost(cells, home, place, winner, moment, unmet)
        return Resolution(winner.rate, winner, lost), bool(unmet or winner.condition)


def _highest(
    cell: Cell[Rule], moment: Moment, holds: Holds, unmet: dict[int, str], *, is_now: bool
) -> tuple[Rule | None, int]:
    """Return the rule of a cell that ranks highest of those that hold, and its place."""
    rules = cell.rules
    for place in cell.falling(moment.on, moment.audit_seq, is_now=is_now):
        rule = rules[place]
        if not_in_force(rule, moment) is None:
            why = holds(rule.condition) if rule.condition else None
            if why is None:
                return rule, place
            unmet[id(rule)] = why
    return None, -1


def _lost(
    cells: Sequence[list[Rule]],
    home: int,
    place: int,
    winner: Rule | None,
    moment: Moment,
    unmet: Mapping[int, str],
) -> tuple[Lost, ...]:
    """Return the losers nearest to the winner at `place` of `cells[home]`, by rank.

    Cells go from the highest level down, the rules in each rise in rank.
    """
    below: list[Rule] = []
    for number in range(home, len(cells)):
        rules = cells[number][:place] if number == home else cells[number]
        below += rules[max(0, len(rules) - MOST_LOST + len(below)) :][::-1]
        if len(below) >= MOST_LOST:
            break
    left = max(LEAST_ABOVE, MOST_LOST - len(below))
    above: list[Rule] = []
    for number in range(min(home, len(cells) - 1), -1, -1):
        rules = cells[number][place + 1 :] if number == home else cells[number]
        above[:0] = rules[max(0, len(rules) - left + len(above)) :][::-1]
        if len(above) >= left:
            break
    found = []
    for rule in above + below[: MOST_LOST - len(above)]:
        why = not_in_force(rule, moment) or (unmet.get(id(rule)) if unmet else None)
        found.append(Lost(rule, why or _beaten(rule, winner)))
    return tuple(found)


def not_in_force(rule: Rule, moment: Moment) -> str | None:
    """Return why `rule` does not hold at a moment, or None when it holds.

    One of `not_yet_audited`, `void`, `replaced`, `not_yet_effective`, `expired`; its
    condition is another matter.
    """
    known = moment.audit_seq
    if (known is not None and rule.audit_seq > known) or rule.audited_at > moment.at:
        return "not_yet_audited"
    ended = rule.voided_at
    if (
        ended is not None
        and ended <= moment.at
        and (known is None or rule.end_seq is None or rule.end_seq <= known)
    ):
        return "replaced" if rule.is_replaced else "void"
    if rule.effective_from > moment.on:
        return "not_yet_effective"
    if rule.effective_to is not None and rule.effective_to < moment.on:
        return "expired"
    return None


def _beaten(rule: Rule, winner: Rule | None) -> str:
    if winner is None or winner.level != rule.level:
        return "lower_level"
    return "earlier_audit" if winner.audit_seq != rule.audit_seq else "earlier_line"
