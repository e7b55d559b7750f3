"""What people are told of a discount document before they submit or decide on it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Literal

from core.api import N_, Context, Document, Review, option_label, translate
from plugins.discount_rules.operations.pricetests import review_tests
from plugins.discount_rules.operations.proposing import proposed_of, rule_sets
from plugins.discount_rules.operations.replay import review_replay
from plugins.discount_rules.rules.pricing import exact
from plugins.discount_rules.rules.proof import CardTerms, Finding, Span, prove
from plugins.discount_rules.rules.shape import EXAMPLE

#: Rows of one table; the rest is counted.
MOST_ROWS = 50

Level = Literal["note", "warning"]


@dataclass(frozen=True, slots=True)
class _Told:
    """How findings of one kind are told.

    Attributes:
        columns: heads after the line's number; `cells` gives their texts.
    """

    level: Level
    title: str
    detail: str = ""
    columns: tuple[str, ...] = ()
    cells: Callable[["_Teller", Mapping[str, Any]], Sequence[str]] | None = None


def review_document(ctx: Context, document: Document) -> list[Review]:
    """Return the proof of a document, its price tests, and the replay of receipts."""
    sets = rule_sets(ctx, document)
    proposed = proposed_of(ctx, sets)
    teller = _Teller(ctx, proposed.card_types)
    return [
        *teller.reviews(prove(proposed)),
        *review_tests(ctx, document, sets),
        *review_replay(ctx, document, sets, proposed.card_types),
    ]


class _Teller:
    """Puts findings into the reader's words."""

    def __init__(self, ctx: Context, card_types: Mapping[str, CardTerms]) -> None:
        self._ctx, self._card_types = ctx, card_types

    def reviews(self, findings: Sequence[Finding]) -> list[Review]:
        """Return a review for each kind of finding; one that says so where none is a warning."""
        sound = []
        if all(_TOLD[each.code].level == "note" for each in findings):
            text = N_("Every rule can apply, and no price turns, jumps or falls under the floor.")
            sound = [Review("ok", self.text(text))]
        kinds: defaultdict[str, list[Finding]] = defaultdict(list)
        for each in findings:
            kinds[each.code].append(each)
        return sound + [self._review(_TOLD[code], found) for code, found in kinds.items()]

    def _review(self, told: _Told, found: Sequence[Finding]) -> Review:
        values = {name: str(value) for name, value in found[0].params.items()}
        title = self.text(told.title, **(values if told.cells is None else {}))
        if told.cells is None:
            return Review(told.level, title, self.text(told.detail))
        rows = tuple(
            (str(each.line + 1), *told.cells(self, each.params)) for each in found[:MOST_ROWS]
        )
        detail = self.text(told.detail)
        if len(found) > MOST_ROWS:
            more = self.text(N_("{count} more of these."), count=len(found) - MOST_ROWS)
            detail = f"{detail} {more}".strip()
        columns = tuple(self.text(each) for each in (N_("Line"), *told.columns))
        return Review(told.level, title, detail, columns, rows)

    def text(self, text: str, **params: Any) -> str:
        """Return a text in the reader's language."""
        return translate(text, self._ctx.locale, **params)

    def card(self, card_type: str) -> str:
        """Return the name of a card type."""
        found = self._card_types.get(card_type)
        return found.name if found else card_type

    def cards(self, card_types: Sequence[str]) -> str:
        """Return the names of card types."""
        return ", ".join(map(self.card, card_types))

    def scope(self, params: Mapping[str, Any]) -> str:
        """Return a level in words."""
        return option_label(self._ctx, "discount_sharing", "scope", params["level"])

    def rule(self, no: str, line: int) -> str:
        """Return how a rule of another document is named."""
        return self.text(N_("{no}, line {line}"), no=no, line=line + 1)

    def days(self, span: Span) -> str:
        """Return days in words."""
        first, last = date.fromordinal(span[0]), date.fromordinal(span[1])
        if last == date.max:
            return self.text(N_("from {first} on"), first=first)
        return self.text(N_("{first} to {last}"), first=first, last=last)

    def rate(self, rate: Any, *, may: bool = False) -> str:
        """Return a rate, with a mark where it depends on a condition."""
        text = number(rate)
        return self.text(N_("{rate} where its condition holds"), rate=text) if may else text


def number(value: Any) -> str:
    """Return an exact number as people write it."""
    return exact(Fraction(value))[2]


def examples(*pairs: tuple[Fraction, Any]) -> str:
    """Return what `EXAMPLE` costs at some rates of other promotions."""
    return f"{EXAMPLE}: " + ", ".join(f"{number(rate)} → {price}" for rate, price in pairs)


def _dead_cells(teller: _Teller, params: Mapping[str, Any]) -> Sequence[str]:
    return (
        teller.scope(params),
        params["target"],
        teller.card(params["card_type"]),
        ", ".join(params["by"]),
    )


def _replaced_cells(teller: _Teller, params: Mapping[str, Any]) -> Sequence[str]:
    return params["no"], *_dead_cells(teller, params)


def _overlap_cells(teller: _Teller, params: Mapping[str, Any]) -> Sequence[str]:
    return (
        teller.scope(params),
        ", ".join(params["targets"]),
        teller.cards(params["card_types"]),
        teller.rule(params["no"], params["other_line"]),
        teller.days(params["days"]),
        teller.rate(params["other_rate"], may=params["other_may"]),
        teller.rate(params["rate"], may=params["may"]),
    )


def _price_cells(
    *cells: Callable[[Mapping[str, Any]], str],
) -> Callable[[_Teller, Mapping[str, Any]], Sequence[str]]:
    def told(teller: _Teller, params: Mapping[str, Any]) -> Sequence[str]:
        own = teller.card(params["card_type"]), number(params["rate"])
        return *own, *(cell(params) for cell in cells)

    return told


def _turn_interval(params: Mapping[str, Any]) -> str:
    found = params["inversion"]
    return f"{number(found.above)} – {number(found.below)}"


def _turn_examples(params: Mapping[str, Any]) -> str:
    found = params["inversion"]
    return examples((found.inside, found.price_inside), (found.over, found.price_over))


def _jump_examples(params: Mapping[str, Any]) -> str:
    found = params["jump"]
    return examples((found.at, found.price_at), (found.near, found.price_near))


def _under_interval(params: Mapping[str, Any]) -> str:
    return f"{number(params['under'].least)} – {number(params['under'].most)}"


_PRICES = (N_("Card type"), N_("Rate"))

#: Kind of finding -> how it is told.
_TOLD: dict[str, _Told] = {
    "over": _Told("warning", N_("The last day of this document, {last}, is over.")),
    "days_gone": _Told(
        "note",
        N_("The days from {first} to {last} are gone: sales of those days keep their prices."),
    ),
    "no_product": _Told(
        "warning",
        N_("Targets without any product on sale"),
        columns=(N_("Scope"), N_("Target")),
        cells=lambda teller, params: (teller.scope(params), params["target"]),
    ),
    "never_applies": _Told(
        "warning",
        N_("Rules that can never apply"),
        N_("Rules of a higher level or audited later cover all their products and days."),
        (N_("Scope"), N_("Target"), N_("Card type"), N_("Covered by")),
        _dead_cells,
    ),
    "replaced": _Told(
        "note",
        N_("Rules in force that can no longer apply"),
        N_("This document covers what was left of them."),
        (N_("Document"), N_("Scope"), N_("Target"), N_("Card type"), N_("Covered by")),
        _replaced_cells,
    ),
    "overlap": _Told(
        "note",
        N_("Overlaps on the same level: this document wins"),
        N_("It is audited later; of two of its lines the later holds."),
        (
            N_("Scope"), N_("Targets"), N_("Card types"), N_("Other rule"), N_("Days"),
            N_("Rate before"), N_("Rate"),
        ),
        _overlap_cells,
    ),
    "worse": _Told(
        "note",
        N_("Rates worse than the card type's own"),
        N_("A rule replaces the card type's own rate even when it is worse for the member."),
        (*_PRICES, N_("Own rate")),
        _price_cells(lambda params: number(params["default_rate"])),
    ),
    "inversion": _Told(
        "warning",
        N_("Deeper promotions that cost the member more"),
        N_("Where other promotions leave a fraction in between, the member pays more than above."),
        (*_PRICES, N_("Other promotions leave between"), N_("Example")),
        _price_cells(_turn_interval, _turn_examples),
    ),
    "jump": _Told(
        "warning",
        N_("Prices that jump by more than 2 % for 1 % of promotion"),
        columns=(*_PRICES, N_("At"), N_("Example")),
        cells=_price_cells(lambda params: number(params["jump"].at), _jump_examples),
    ),
    "never_stacks": _Told(
        "note",
        N_("Rates so low that stacking never lowers the price"),
        columns=_PRICES,
        cells=_price_cells(),
    ),
    "under_floor": _Told(
        "warning",
        N_("Rates under the floor"),
        columns=(*_PRICES, N_("Floor")),
        cells=_price_cells(lambda params: number(params["floor"])),
    ),
    "stacked_under_floor": _Told(
        "warning",
        N_("Promotions that bring the price under the floor"),
        N_("Other promotions alone stay above it; together with the member rate they do not."),
        (*_PRICES, N_("Floor"), N_("Other promotions leave between")),
        _price_cells(lambda params: number(params["floor"]), _under_interval),
    ),
    "under_cost": _Told(
        "warning",
        N_("Products sold for less than they cost"),
        columns=(*_PRICES, N_("Products"), N_("Such as")),
        cells=_price_cells(
            lambda params: str(params["products"]), lambda params: ", ".join(params["examples"])
        ),
    ),
}  # fmt: skip
