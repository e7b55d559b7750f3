"""Receipts priced once under the rules in force and once under proposed ones: pure functions.

Every receipt is moved by the same whole weeks, so that the days replayed begin when the
proposal does and weekdays stay: customers come again as they did. All amounts are of one
currency, in its smallest unit.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from plugins.discount_rules.rules.pricing import paid_fraction
from plugins.discount_rules.rules.proof import CardTerms, Cells
from plugins.discount_rules.rules.resolution import LEVELS, Rule

#: Rates and multiples are whole numbers of this part.
SCALE = 10_000

_WEEK = 7


@dataclass(frozen=True, slots=True)
class SoldLine:
    """One line of a receipt.

    Attributes:
        product: the id of the product; lines of one id have the same `scopes`.
        amount: quantity times list price.
        other: the exact fraction that other promotions left, 1 without any.
    """

    product: str
    scopes: Mapping[str, str]
    amount: int
    other: Fraction


@dataclass(frozen=True, slots=True)
class Earning:
    """What a receipt's net amounts earn, with rates and multiples in parts of `SCALE`.

    Attributes:
        rates: points per unit of the currency, for each line.
        extras: what multipliers add for each line, such as 2 for three times the points;
            empty without any.
        identity: the card's multiple of the purchase points.
        points_paid: the part that was paid in points, which earns none.
    """

    rates: Sequence[int]
    extras: Sequence[int] = ()
    identity: int = 0
    points_paid: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """A sale to be replayed.

    Attributes:
        on: its store day.
        card_type: None where no good card was shown; then no member rate holds.
        earning: None where nobody earns.
        origin: what else whoever asks about conditions knows of it.
    """

    id: str
    no: str
    on: date
    member: str | None
    card_type: str | None
    lines: Sequence[SoldLine]
    earning: Earning | None = None
    origin: Any = None


@dataclass(slots=True)
class Sum:
    """Money and points before and after."""

    paid_before: int = 0
    paid_after: int = 0
    points_before: int = 0
    points_after: int = 0

    @property
    def paid_more(self) -> int:
        """Return how much more is paid under the proposed rules."""
        return self.paid_after - self.paid_before

    def add(self, other: "Sum") -> None:
        """Add the amounts of `other`."""
        self.paid_before += other.paid_before
        self.paid_after += other.paid_after
        self.points_before += other.points_before
        self.points_after += other.points_after


@dataclass(slots=True)
class Replayed:
    """What a replay gave.

    Attributes:
        total: all receipts together; `receipts` how many.
        changed: the receipts whose price changes.
        members: member id -> sum over the receipts that change.
    """

    receipts: int = 0
    total: Sum = field(default_factory=Sum)
    changed: list[tuple[Receipt, Sum]] = field(default_factory=list)
    members: dict[str, Sum] = field(default_factory=lambda: defaultdict(Sum))

    def better(self) -> list[tuple[str, Sum]]:
        """Return the members who pay less, those who gain most first."""
        found = [each for each in self.members.items() if each[1].paid_more < 0]
        return sorted(found, key=lambda each: (each[1].paid_more, each[0]))

    def worse(self) -> list[tuple[str, Sum]]:
        """Return the members who pay more, those who lose most first."""
        found = [each for each in self.members.items() if each[1].paid_more > 0]
        return sorted(found, key=lambda each: (-each[1].paid_more, each[0]))

    def most_changed(self, most: int) -> list[tuple[Receipt, Sum]]:
        """Return the `most` receipts whose price changes most."""
        return sorted(self.changed, key=lambda each: (-abs(each[1].paid_more), each[0].no))[:most]


#: Whether a rule's condition holds for a line (by its index) of a receipt, on its new day.
Holds = Callable[[Rule, Receipt, int], bool]


def weeks_shift(oldest: date, begins: date) -> timedelta:
    """Return the least whole weeks that bring `oldest` to `begins` or later.

    >>> weeks_shift(date(2026, 3, 2), date(2026, 3, 10)).days
    14
    """
    return timedelta(days=-(-(begins - oldest).days // _WEEK) * _WEEK)


class Pricer:
    """Prices lines under one rule set, remembering what it has worked out."""

    def __init__(
        self, cells: Cells, card_types: Mapping[str, CardTerms], shift: timedelta, holds: Holds
    ) -> None:
        """Price by `cells` as they hold `shift` after each receipt's own day."""
        self._cells, self._card_types, self._holds = cells, card_types, holds
        self._shift = shift
        self._candidates: dict[tuple[str, str, date], tuple[Rule, ...]] = {}
        self._factors: dict[tuple[str | None, int, Fraction], tuple[int, int]] = {}

    def paid(self, receipt: Receipt, index: int) -> int:
        """Return what a line costs, rounded once, half up."""
        line = receipt.lines[index]
        rule = self.rule(receipt, index)
        # Rules live as long as the rule set, so their identity is enough of a name here.
        key = (receipt.card_type, id(rule), line.other)
        factor = self._factors.get(key)
        if factor is None:
            factor = self._factors[key] = self._factor(receipt.card_type, rule, line.other)
        top, bottom = factor
        return (2 * line.amount * top + bottom) // (2 * bottom)

    def _factor(
        self, card_type: str | None, rule: Rule | None, other: Fraction
    ) -> tuple[int, int]:
        terms = self._card_types.get(card_type or "")
        if terms is None:
            return other.as_integer_ratio()
        rate = rule.rate if rule else terms.default_rate
        joins = rule is None or rule.joins_stacking
        return paid_fraction(other, rate, terms.stacking, joins=joins).as_integer_ratio()

    def rule(self, receipt: Receipt, index: int) -> Rule | None:
        """Return the rule that gives a line its rate; None where it is the card type's own."""
        card_type, line = receipt.card_type, receipt.lines[index]
        if card_type is None:
            return None
        key = (card_type, line.product, receipt.on)
        found = self._candidates.get(key)
        if found is None:
            found = self._candidates[key] = tuple(self._look_up(card_type, line, receipt.on))
        for rule in found:
            if not rule.condition or self._holds(rule, receipt, index):
                return rule
        return None

    def _look_up(self, card_type: str, line: SoldLine, on: date) -> Iterable[Rule]:
        """Yield the rules in force from the highest rank down to the first without condition."""
        on += self._shift
        for level in reversed(LEVELS):
            target = line.scopes.get(level)
            for rule in self._cells.rules_at(card_type, level, target) if target else ():
                if rule.effective_from <= on and (
                    rule.effective_to is None or on <= rule.effective_to
                ):
                    yield rule
                    if not rule.condition:
                        return


def replay(
    receipts: Iterable[Receipt], before: Pricer, after: Pricer, digits: int = 2
) -> Replayed:
    """Return what `receipts` cost and earn under both rule sets.

    Args:
        receipts: of one currency.
        before: prices by the rules in force.
        after: prices by the proposed ones.
        digits: places of the currency.
    """
    found, unit = Replayed(), 10**digits
    for receipt in receipts:
        lines = range(len(receipt.lines))
        old = [before.paid(receipt, index) for index in lines]
        new = [after.paid(receipt, index) for index in lines]
        earned = points(receipt.earning, old, unit)
        later = earned if old == new else points(receipt.earning, new, unit)
        one = Sum(sum(old), sum(new), earned, later)
        found.receipts += 1
        found.total.add(one)
        if one.paid_more:
            found.changed.append((receipt, one))
            if receipt.member is not None:
                found.members[receipt.member].add(one)
    return found


def points(earning: Earning | None, paid: Sequence[int], unit: int = 100) -> int:
    """Return the points that lines paid for earn: A floored per receipt, B and E on A.

    The part paid in points is taken from all lines alike, and B uses the mean multiplier of
    the lines, so that B may be a point off where lines have different ones.

    >>> points(Earning([1000], [20000], identity=20000), [100000])
    500
    """
    if earning is None:
        return 0
    total = sum(paid)
    net = total - earning.points_paid
    if net <= 0:
        return 0
    weights = [amount * rate for amount, rate in zip(paid, earning.rates, strict=True)]
    weight = sum(weights)
    if not weight:
        return 0
    purchase = weight * net // (total * unit * SCALE)
    extra = sum(each * more for each, more in zip(weights, earning.extras, strict=False))
    return purchase + purchase * earning.identity // SCALE + purchase * extra // (weight * SCALE)
