"""Which rate a member pays for a product, and how it meets other discounts: pure functions.

A rate is the fraction paid: 0.9 is ten per cent off. Levels rise from class to
product; the highest level that matches wins whatever its age, and in one level
the document that was audited later. A matching rule replaces the card type's own
rate even when it is worse for the member.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

#: From the lowest to the highest.
LEVELS = ("big_class", "mid_class", "small_class", "counter", "brand", "product")

#: Control parameter E3: multiply always, or stack from a threshold on.
MULTIPLY, THRESHOLD = 1, 2


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of an audited discount document.

    Attributes:
        no: the document's number.
        line: the line's place in the document; of two that say the same, the later holds.
        effective_from: first store day it holds, `effective_to` the last, None without end.
        audited_at: from when it was known; `audit_seq` orders audits, also within a second.
        voided_at: from when it was void again.
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


@dataclass(frozen=True, slots=True)
class Stacking:
    """How member rates meet other discounts: E3 and the card type's two rates.

    Attributes:
        mode: `MULTIPLY` (E3 = 1) or `THRESHOLD` (E3 = 2).
        start: other discounts must leave at least this; None: the card type never stacks.
        rate: the fraction taken on top of other discounts.
        needs_other: without another discount nothing stacks.
    """

    mode: int
    start: Decimal | None = None
    rate: Decimal | None = None
    needs_other: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """What is due for a line, with the formula that gave it, the numbers filled in."""

    amount_due: Decimal
    formula: str


def price(
    list_amount: Decimal,
    *,
    other_rate: Fraction | Decimal,
    member_rate: Decimal,
    stacking: Stacking,
    joins_stacking: bool = True,
    digits: int = 2,
) -> Price:
    """Return the price of one line, exact until it is rounded once, half up.

    Args:
        list_amount: quantity times list price.
        other_rate: the fraction that other discounts leave, 1 when there is none.
        member_rate: what `RuleIndex.resolve` gave; 1 for a card that is not in use.
        stacking: the parameters.
        joins_stacking: whether the rule that gave the rate stacks.
        digits: places of the currency.

    >>> stacking = Stacking(THRESHOLD, Decimal("0.8"), Decimal("0.95"))
    >>> price(Decimal("200"), other_rate=Decimal("0.85"), member_rate=Decimal("0.9"),
    ...       stacking=stacking)
    Price(amount_due=Decimal('161.50'), formula='min(200 * 0.85 * 0.95, 200 * 0.9)')
    """
    factors = _factors(Fraction(other_rate), member_rate, stacking, joins=joins_stacking)
    # The smaller product of rates, not the smaller amount: a return's amounts are negative.
    exact = Fraction(list_amount) * min(map(_product, factors))
    texts = [" * ".join(map(_text, (list_amount, *each))) for each in factors]
    formula = texts[0] if len(texts) == 1 else f"min({', '.join(texts)})"
    return Price(round_half_up(exact, digits), formula)


def _factors(
    other: Fraction, member: Decimal, stacking: Stacking, *, joins: bool
) -> list[tuple[Fraction | Decimal, ...]]:
    """Return the products of rates of which the smallest is paid."""
    has_other = other != 1
    if not has_other and (stacking.needs_other or not joins or stacking.mode == MULTIPLY):
        return [(member,)]
    if joins and stacking.mode == MULTIPLY:
        return [(other, member)]
    if joins and stacking.start is not None and other >= Fraction(stacking.start):
        return [(other, Decimal(1) if stacking.rate is None else stacking.rate), (member,)]
    return [(other,), (member,)]


def _product(rates: Iterable[Fraction | Decimal]) -> Fraction:
    result = Fraction(1)
    for rate in rates:
        result *= Fraction(rate)
    return result


def round_half_up(value: Fraction, digits: int) -> Decimal:
    """Return `value` rounded once to `digits` places, halves away from zero.

    >>> round_half_up(Fraction(45, 1000), 2), round_half_up(Fraction(-45, 1000), 2)
    (Decimal('0.05'), Decimal('-0.05'))
    """
    scaled = abs(value) * 10**digits
    whole = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return Decimal(whole if value >= 0 else -whole).scaleb(-digits)


def _text(value: Fraction | Decimal) -> str:
    """Return a number as people write it: a decimal where it is one, else a fraction."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    left = value.denominator
    for prime in (2, 5):
        while left % prime == 0:
            left //= prime
    if left != 1:
        return f"{value.numerator}/{value.denominator}"
    places = 0
    while (value * 10**places).denominator != 1:
        places += 1
    return f"{round_half_up(value, places):f}"


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
