"""Which rate a member pays for a product: pure functions.

Levels rise from class to product; the highest level that matches wins whatever its
age, and in one level the document that was audited later. A matching rule replaces
the card type's own rate even when it is worse for the member. A rate is the fraction
paid: 0.9 is ten per cent off.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

#: From the lowest to the highest.
LEVELS = ("big_class", "mid_class", "small_class", "counter", "brand", "product")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an audited discount document.

    Attributes:
        no: the document's number.
        line: the line's place in the document; of two that say the same, the later holds.
        effective_from: first store day it holds, `effective_to` the last, None without end.
        audited_at: from when it was known; `audit_seq` orders audits, also within a second.
        voided_at: from when it was void again.
        condition: the stored expression that must hold for a sale and line; "" for every one.
    """

    no: str
    line: int
    level: str
    targets: frozenset[str]
    card_types: frozenset[str]
    rate: Decimal
    joins_stacking: bool
    effective_from: date
    effective_to: date | None
    audited_at: datetime
    audit_seq: int
    voided_at: datetime | None = None
    condition: str = ""

    @property
    def rank(self) -> tuple[int, int, int]:
        """Return what decides between matching rules: level, then audit, then line."""
        return LEVELS.index(self.level), self.audit_seq, self.line


@dataclass(frozen=True, slots=True)
class Moment:
    """When a sale happens: its store day, its instant, and the last audit it could know.

    Attributes:
        audit_seq: the highest audit the sale saw; a replay passes the one stamped on it.
    """

    on: date
    at: datetime
    audit_seq: int | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """A rule for this product and card type that does not apply, and why."""

    rule: Rule
    why: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """The member rate of one product for one card type at one moment, with its grounds."""

    rate: Decimal
    rule: Rule | None
    lost: tuple[Lost, ...]

    @property
    def joins_stacking(self) -> bool:
        """Return whether the rate may stack; the card type's own rate may."""
        return self.rule is None or self.rule.joins_stacking


class RuleIndex:
    """Rules arranged so that a look-up costs six probes, however many documents there are."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Arrange `rules`; the index never changes afterwards."""
        cells: defaultdict[tuple[str, str, str], list[Rule]] = defaultdict(list)
        for rule in rules:
            for card_type in rule.card_types:
                for target in rule.targets:
                    cells[card_type, rule.level, target].append(rule)
        self._cells = {
            key: tuple(sorted(found, key=lambda rule: rule.rank, reverse=True))
            for key, found in cells.items()
        }

    def rules_at(self, card_type: str, level: str, target: str) -> tuple[Rule, ...]:
        """Return the rules of one cell, the highest rank first, whether they hold or not."""
        return self._cells.get((card_type, level, target), ())

    def resolve(
        self,
        product: Mapping[str, str | None],
        *,
        card_type: str,
        default_rate: Decimal,
        moment: Moment,
    ) -> Resolution:
        """Return the rate of a product, given as level -> code; a missing level never matches."""
        winner: Rule | None = None
        lost: list[Lost] = []
        for level in reversed(LEVELS):
            target = product.get(level)
            for rule in self._cells.get((card_type, level, target), ()) if target else ():
                why = not_in_force(rule, moment)
                if why is None and winner is None:
                    winner = rule
                else:
                    lost.append(Lost(rule, why or _beaten(rule, winner)))
        return Resolution(winner.rate if winner else default_rate, winner, tuple(lost))


def not_in_force(rule: Rule, moment: Moment) -> str | None:
    """Return why `rule` does not hold at a moment, or None when it holds.

    One of `not_yet_audited`, `void`, `not_yet_effective`, `expired`.
    """
    unseen = moment.audit_seq is not None and rule.audit_seq > moment.audit_seq
    if unseen or rule.audited_at > moment.at:
        return "not_yet_audited"
    if rule.voided_at is not None and rule.voided_at <= moment.at:
        return "void"
    if rule.effective_from > moment.on:
        return "not_yet_effective"
    if rule.effective_to is not None and rule.effective_to < moment.on:
        return "expired"
    return None


def _beaten(rule: Rule, winner: Rule | None) -> str:
    if winner is None or winner.level != rule.level:
        return "lower_level"
    return "earlier_audit" if winner.audit_seq != rule.audit_seq else "earlier_line"
