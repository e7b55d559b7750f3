"""What a discount document would do, proved before it is audited: pure functions.

Looked at is every cell, which is a target on its level times a card type, over all days
from today on; nothing is sampled. A rule with a condition may hold or not: it never
covers another for certain, except one of the very same condition.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from plugins.discount_rules.rules.pricing import Stacking
from plugins.discount_rules.rules.resolution import LEVELS, Rule, RuleIndex
from plugins.discount_rules.rules.shape import (
    Benefit,
    below_floor,
    inversion,
    jumps,
    never_binds,
)

#: Products that stand as examples in one finding.
MOST_EXAMPLES = 10

#: First and last day, both included, as ordinals.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CardTerms:
    """What prices depend on of a card type that is in force."""

    id: str
    name: str
    default_rate: Decimal
    stacking: Stacking


@dataclass(frozen=True, slots=True)
class LiveProduct:
    """A product that is sold.

    Attributes:
        scopes: scope level -> code; a level that it lacks is absent.
        cost: what it costs the shop, where that is known.
    """

    scopes: Mapping[str, str]
    list_price: Decimal | None = None
    cost: Decimal | None = None


class Cells(Protocol):
    """Rules by cell, such as a `RuleIndex`."""

    def rules_at(self, card_type: str, level: str, target: str) -> Sequence[Rule]:
        """Return the rules of a cell, the highest rank first."""


class Overlay:
    """Rules with a document's on top, which is audited after every other."""

    def __init__(self, below: Cells, rules: Iterable[Rule], *, without: str) -> None:
        """Lay `rules` over those `below` that are not of the document numbered `without`."""
        self._below, self._without, self._above = below, without, RuleIndex(rules)

    def rules_at(self, card_type: str, level: str, target: str) -> tuple[Rule, ...]:
        """Return the rules of one cell, the highest rank first."""
        below = self._below.rules_at(card_type, level, target)
        above = self._above.rules_at(card_type, level, target)
        return *above, *(each for each in below if each.no != self._without)


class InForce:
    """The rules of an index that are not void, whatever their days."""

    def __init__(self, index: Cells) -> None:
        """Look into `index`, which holds voided and replaced rules too."""
        self._index = index

    def rules_at(self, card_type: str, level: str, target: str) -> tuple[Rule, ...]:
        """Return the rules of one cell, the highest rank first."""
        found = self._index.rules_at(card_type, level, target)
        return tuple(each for each in found if each.voided_at is None)


class Assortment:
    """The products that are sold, by what they belong to."""

    def __init__(self, products: Iterable[LiveProduct]) -> None:
        """Arrange `products`; the assortment never changes afterwards."""
        self._under: defaultdict[tuple[str, str], list[LiveProduct]] = defaultdict(list)
        for product in products:
            for scope in product.scopes.items():
                self._under[scope].append(product)

    def under(self, level: str, target: str) -> Sequence[LiveProduct]:
        """Return the products of a target."""
        return self._under.get((level, target), ())


@dataclass(frozen=True, slots=True)
class Proposed:
    """The rule set with a document on top.

    Attributes:
        rules: the document's rules, audited after every other.
        before: the rules in force; `after` the same, with the document in place of what it was.
        card_types: id -> terms of the card types in force.
        floor: the least fraction of a list amount that shall be paid; None without one.
    """

    rules: Sequence[Rule]
    before: Cells
    after: Cells
    card_types: Mapping[str, CardTerms]
    assortment: Assortment
    today: date
    floor: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that people should know.

    Attributes:
        code: what it is, such as `never_applies`.
        line: the document's line from 1 on, 0 for all of it.
        params: values that it is told with.
    """

    code: str
    line: int
    params: Mapping[str, Any]


def prove(proposed: Proposed) -> list[Finding]:
    """Return everything found, in an order that people read: dates, reach, then prices."""
    found: list[Finding] = []
    for look in (_dates, _targets, _never_applies, _replaced, _overlaps, _prices, _costs):
        found += look(proposed)
    return found


def span(rule: Rule, today: date) -> Span | None:
    """Return the days from `today` on at which a rule can hold, or None when it is over."""
    first = max(rule.effective_from, today).toordinal()
    last = (rule.effective_to or date.max).toordinal()
    return (first, last) if first <= last else None


def is_covered(wanted: Span, spans: Iterable[Span]) -> bool:
    """Return whether every day of `wanted` lies in one of `spans`.

    >>> is_covered((1, 9), [(5, 12), (0, 4)]), is_covered((1, 9), [(0, 4), (6, 9)])
    (True, False)
    """
    first, last = wanted
    for begin, end in sorted(spans):
        if begin > first:
            return False
        first = max(first, end + 1)
        if first > last:
            return True
    return False


def covering(
    rule: Rule, card_type: str, target: str, cells: Cells, proposed: Proposed
) -> tuple[Rule, ...] | None:
    """Return the rules that together keep a cell of `rule` from ever applying, else None.

    A cell without any product is not covered: that is another finding.
    """
    wanted = span(rule, proposed.today)
    products = proposed.assortment.under(rule.level, target)
    if wanted is None or not products:
        return None
    beside = _certain(rule, cells.rules_at(card_type, rule.level, target), proposed)
    beside = [(each, days) for each, days in beside if each.rank > rule.rank]
    if is_covered(wanted, (days for _, days in beside)):
        return tuple(each for each, _ in beside)
    higher, used = LEVELS[LEVELS.index(rule.level) + 1 :], {each: None for each, _ in beside}
    for product in products:
        over = list(beside)
        for level in higher:
            code = product.scopes.get(level)
            if code is not None:
                over += _certain(rule, cells.rules_at(card_type, level, code), proposed)
        if not is_covered(wanted, (days for _, days in over)):
            return None
        used |= {each: None for each, _ in over}
    return tuple(used)


def _certain(rule: Rule, others: Iterable[Rule], proposed: Proposed) -> list[tuple[Rule, Span]]:
    """Return the others that hold on some of the rule's days whenever the rule itself does."""
    found = []
    for other in others:
        days = _common(rule, other, proposed.today)
        if days is not None and other.condition in {"", rule.condition}:
            found.append((other, days))
    return found


def _dates(proposed: Proposed) -> Iterator[Finding]:
    """The document is over, or begins on days that are gone: audits never reach back."""
    if not proposed.rules:
        return
    rule, today = proposed.rules[0], proposed.today
    if span(rule, today) is None:
        yield Finding("over", 0, {"last": rule.effective_to})
    elif rule.effective_from < today:
        params = {"first": rule.effective_from, "last": today - timedelta(days=1)}
        yield Finding("days_gone", 0, params)


def _targets(proposed: Proposed) -> Iterator[Finding]:
    """Targets that no live product belongs to."""
    for rule in proposed.rules:
        for target in sorted(rule.targets):
            if not proposed.assortment.under(rule.level, target):
                yield Finding("no_product", rule.line, {"level": rule.level, "target": target})


def _never_applies(proposed: Proposed) -> Iterator[Finding]:
    """Cells of the document itself that others cover on all of its days."""
    for rule in proposed.rules:
        for card_type, target in _cells(rule, proposed):
            over = covering(rule, card_type, target, proposed.after, proposed)
            if over is not None:
                yield _dead("never_applies", rule, card_type, target, over)


def _replaced(proposed: Proposed) -> Iterator[Finding]:
    """Cells of documents in force that can still apply now and no longer could."""
    own = {rule.no for rule in proposed.rules}
    seen = set()
    for rule in proposed.rules:
        for card_type, target in _cells(rule, proposed):
            for other, code in _below(rule, card_type, target, proposed):
                key = (other.no, other.line, card_type, code)
                if other.no in own or key in seen:
                    continue
                seen.add(key)
                if covering(other, card_type, code, proposed.before, proposed) is not None:
                    continue
                over = covering(other, card_type, code, proposed.after, proposed)
                if over is not None:
                    yield _dead("replaced", other, card_type, code, over)


def _below(
    rule: Rule, card_type: str, target: str, proposed: Proposed
) -> Iterator[tuple[Rule, str]]:
    """Yield the rules, with their target, that a cell of `rule` may take products from."""
    level = LEVELS.index(rule.level)
    codes = {(rule.level, target): None}
    for product in proposed.assortment.under(rule.level, target):
        codes |= {
            (each, product.scopes[each]): None for each in LEVELS[:level] if each in product.scopes
        }
    for each, code in codes:
        for other in proposed.after.rules_at(card_type, each, code):
            if other.rank < rule.rank:
                yield other, code


def _dead(code: str, rule: Rule, card_type: str, target: str, over: Sequence[Rule]) -> Finding:
    by = sorted({each.no for each in over})
    params = {
        "no": rule.no,
        "level": rule.level,
        "target": target,
        "card_type": card_type,
        "by": by,
    }
    return Finding(code, rule.line, params)


def _overlaps(proposed: Proposed) -> Iterator[Finding]:
    """Rules of the same level over the same goods and days: the later audit or line wins."""
    found: dict[tuple[int, str, int], tuple[Rule, Rule, set[str], set[str]]] = {}
    for rule in proposed.rules:
        for card_type, target in _cells(rule, proposed):
            for other in proposed.after.rules_at(card_type, rule.level, target):
                if other.rank < rule.rank and _common(rule, other, proposed.today):
                    key = (rule.line, other.no, other.line)
                    _, _, targets, types = found.setdefault(key, (rule, other, set(), set()))
                    targets.add(target)
                    types.add(card_type)
    for rule, other, targets, types in found.values():
        days = _common(rule, other, proposed.today)
        params = {
            "no": other.no, "other_line": other.line, "level": rule.level,
            "targets": sorted(targets), "card_types": sorted(types), "days": days,
            "rate": rule.rate, "other_rate": other.rate,
            "may": bool(rule.condition), "other_may": bool(other.condition),
        }  # fmt: skip
        yield Finding("overlap", rule.line, params)


def _common(rule: Rule, other: Rule, today: date) -> Span | None:
    """Return the days that two rules have in common from today on."""
    one, two = span(rule, today), span(other, today)
    if one is None or two is None:
        return None
    days = max(one[0], two[0]), min(one[1], two[1])
    return days if days[0] <= days[1] else None


def _prices(proposed: Proposed) -> Iterator[Finding]:
    """What the rates do together with other promotions, each different case once."""
    seen = set()
    for rule in proposed.rules:
        for card_type in sorted(rule.card_types & proposed.card_types.keys()):
            terms = proposed.card_types[card_type]
            benefit = Benefit(rule.rate, terms.stacking, rule.joins_stacking)
            if (card_type, benefit) not in seen:
                seen.add((card_type, benefit))
                yield from _prices_of(rule, terms, benefit, proposed.floor)


def _prices_of(
    rule: Rule, terms: CardTerms, benefit: Benefit, floor: Decimal | None
) -> Iterator[Finding]:
    told = {"card_type": terms.id, "rate": rule.rate}
    if rule.rate > terms.default_rate:
        yield Finding("worse", rule.line, told | {"default_rate": terms.default_rate})
    turned = inversion(benefit)
    if turned is not None:
        yield Finding("inversion", rule.line, told | {"inversion": turned})
    for jump in jumps(benefit):
        yield Finding("jump", rule.line, told | {"jump": jump})
    if never_binds(benefit):
        yield Finding("never_stacks", rule.line, told)
    if floor is not None and rule.rate < floor:
        yield Finding("under_floor", rule.line, told | {"floor": floor})
    elif floor is not None:
        under = below_floor(benefit, Fraction(floor))
        if under is not None:
            yield Finding(
                "stacked_under_floor", rule.line, told | {"floor": floor, "under": under}
            )


def _costs(proposed: Proposed) -> Iterator[Finding]:
    """Products that the member rate alone sells for less than they cost."""
    for rule in proposed.rules:
        for card_type in sorted(rule.card_types & proposed.card_types.keys()):
            codes = [
                product.scopes["product"]
                for target in sorted(rule.targets)
                for product in proposed.assortment.under(rule.level, target)
                if _is_under_cost(product, rule.rate)
                and _can_win(rule, card_type, product, proposed)
            ]
            if codes:
                params = {"card_type": card_type, "rate": rule.rate, "products": len(codes)}
                yield Finding(
                    "under_cost", rule.line, params | {"examples": codes[:MOST_EXAMPLES]}
                )


def _is_under_cost(product: LiveProduct, rate: Decimal) -> bool:
    if product.cost is None or product.list_price is None:
        return False
    return product.list_price * rate < product.cost


def _can_win(rule: Rule, card_type: str, product: LiveProduct, proposed: Proposed) -> bool:
    """Return whether on some day no other rule takes the product from `rule` for certain."""
    over: list[Span] = []
    for level in LEVELS[LEVELS.index(rule.level) :]:
        code = product.scopes.get(level)
        others = proposed.after.rules_at(card_type, level, code) if code is not None else ()
        certain = _certain(rule, others, proposed)
        over += [days for other, days in certain if other.rank > rule.rank]
    wanted = span(rule, proposed.today)
    return wanted is not None and not is_covered(wanted, over)


def _cells(rule: Rule, proposed: Proposed) -> Iterator[tuple[str, str]]:
    """Yield (card type, target) of a rule, of the card types in force."""
    for card_type in sorted(rule.card_types & proposed.card_types.keys()):
        for target in sorted(rule.targets):
            yield card_type, target
