"""A worked-out card as the page draws it: a table that everybody can read, and its chart."""

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import urlencode

from core.context import Context
from core.errors import Forbidden, UserError
from core.i18n import N_, pick, translate
from core.records.cards import ALWAYS, CardResult, Series, Span, compute_card
from core.records.filtertexts import joined
from core.records.views import schema_views
from core.schema.dashboardchecks import Place, find_place
from core.schema.dashboards import Card
from core.schema.model import Field, RecordType
from core.schema.peopletypes import USERS
from core.web.display import Reading, grouped, value_text
from core.web.page import problem_body
from core.web.reading import SYSTEM_FIELDS, label_of, make_reading

#: Named colours as they are drawn, light or dark; without any, series take them in this order.
HUES = {
    "blue": "#3b7dd8", "orange": "#e08a2e", "teal": "#1f9a94", "purple": "#8b6bd1",
    "pink": "#d45d95", "lime": "#7fa832", "red": "#d5544b", "cyan": "#3aa5c9",
    "yellow": "#c9a227", "indigo": "#5a67c8", "green": "#3f9b5f", "gray": "#8a93a3",
}  # fmt: skip

HOW_TEXTS = {
    "count": N_("Number"),
    "sum": N_("Sum of {field}"),
    "avg": N_("Mean of {field}"),
    "min": N_("Least {field}"),
    "max": N_("Greatest {field}"),
}

#: Charts of which one series is drawn.
_ONE_SERIES = frozenset({"pie"})


@dataclass(slots=True)
class Row:
    """One group: what it is called, where its records are, and a text per series."""

    label: str
    href: str
    cells: list[str]


@dataclass(slots=True)
class Drawn:
    """A card ready for its template.

    Attributes:
        state: `ok`, `empty`, `no_access` or `error`.
        message: what is said instead of figures.
        head: what the groups are.
        columns: what the series are called.
        figures: what a number card says, one per currency.
        totals: texts for all groups together, where that can be said.
        rest: texts for the groups that are not shown.
        href: the list of all its records; empty where it has none.
        chart: what the browser draws; None for none.
    """

    card: Card
    label: str
    state: str = "ok"
    message: str = ""
    problems: list[str] = dataclass_field(default_factory=list)
    head: str = ""
    columns: list[str] = dataclass_field(default_factory=list)
    rows: list[Row] = dataclass_field(default_factory=list)
    figures: list[str] = dataclass_field(default_factory=list)
    totals: list[str] = dataclass_field(default_factory=list)
    rest: list[str] = dataclass_field(default_factory=list)
    href: str = ""
    is_cut: bool = False
    is_timed: bool = True
    chart: dict[str, Any] | None = None


def card_label(ctx: Context, card: Card) -> str:
    """Return a card's heading; without one, what it counts by what."""
    if card.label:
        return pick(card.label, ctx.locale, card.name)
    record_type = ctx.registry.release.type(card.type)
    if record_type is None:
        return card.name
    told = measure_label(record_type, card, ctx.locale)
    noun = pick(record_type.label_plural or record_type.label, ctx.locale, record_type.name)
    parts = [noun, told]
    if card.group_by:
        parts.append(place_label(record_type, card.group_by, ctx.locale))
    return " · ".join(parts)


def measure_label(record_type: RecordType, card: Card, locale: str) -> str:
    """Return what a card tells of each group."""
    name = place_label(record_type, card.take, locale) if card.take else ""
    return translate(HOW_TEXTS[card.how], locale, **({"field": name} if name else {}))


def place_label(record_type: RecordType, text: str, locale: str) -> str:
    """Return the label of what a card names, columns of table fields included."""
    found = find_place(record_type, text)
    if found is None:
        return text
    if found.table:
        return pick(found.field.label if found.field else None, locale, found.name)
    return label_of(record_type, found.name, locale)


def draw_card(ctx: Context, card: Card, span: Span = ALWAYS) -> Drawn:
    """Work a card out and return it ready for its template; what is refused is said in it."""
    drawn = Drawn(card, card_label(ctx, card))
    try:
        result = compute_card(ctx, card, span)
    except Forbidden:
        drawn.state = "no_access"
        drawn.message = translate(N_("You have no access to what this card shows."), ctx.locale)
        return drawn
    except UserError as error:
        body = problem_body(error)
        drawn.state, drawn.message = "error", body["message"]
        drawn.problems = [one["message"] for one in body["problems"]]
        return drawn
    _Drawer(ctx, card, result, drawn).draw()
    drawn.is_timed = result.is_timed or span == ALWAYS
    return drawn


class _Drawer:
    def __init__(self, ctx: Context, card: Card, result: CardResult, drawn: Drawn) -> None:
        self._ctx, self._card, self._result, self._drawn = ctx, card, result, drawn
        self._type = ctx.registry.record_type(card.type)
        self._take, self._group, self._series = (
            find_place(self._type, text) if text else None
            for text in (card.take, card.group_by, card.series_by)
        )
        self._reading = self._titles()

    def draw(self) -> None:
        drawn, result = self._drawn, self._result
        drawn.href = self._list(result.filter)
        drawn.is_cut = result.is_cut
        if self._card.chart == "number":
            drawn.figures = [
                self._text(value, currency) for currency, value in sorted(result.whole.items())
            ]
            return
        if not result.groups:
            drawn.state = "empty"
            drawn.message = translate(N_("Nothing to show yet"), self._ctx.locale)
            return
        drawn.head = place_label(self._type, self._card.group_by, self._ctx.locale)
        drawn.columns = [self._series_label(one) for one in result.series]
        drawn.rows = [
            Row(
                self._label(self._group, one.value),
                self._list(joined(result.filter, one.filter)),
                [
                    self._text(value, series.currency)
                    for value, series in zip(one.values, result.series, strict=True)
                ],
            )
            for one in result.groups
        ]
        drawn.totals = [self._text(v, currency) for currency, v in sorted(result.whole.items())]
        drawn.rest = [self._text(v, currency) for currency, v in sorted(result.rest.items())]
        drawn.chart = self._chart()

    # -- texts ----------------------------------------------------------------------------

    def _titles(self) -> Reading:
        """Return how to read values: titles of everything that groups and series link to."""
        fields, records = [], []
        for place, values in (
            (self._group, [one.value for one in self._result.groups]),
            (self._series, [one.value for one in self._result.series]),
        ):
            field = _shown_as(place) if place else None
            if field is not None and field.target:
                fields.append(field)
                records += [{field.name: value} for value in values if value is not None]
        return make_reading(self._ctx, fields, records)

    def _label(self, place: Place | None, value: Any) -> str:
        if value is None:
            return translate(N_("Without a value"), self._ctx.locale)
        if place is None:
            return str(value)
        if place.bucket == "week":
            return translate(N_("Week of {day}"), self._ctx.locale, day=value)
        field = _shown_as(place)
        if place.bucket or field is None:
            return str(value)
        if field.target and (field.target, value) not in self._reading.titles:
            return translate(N_("No access"), self._ctx.locale)
        return value_text(field, value, self._reading) or str(value)

    def _series_label(self, one: Series) -> str:
        currencies = {each.currency for each in self._result.series}
        label = measure_label(self._type, self._card, self._ctx.locale)
        if self._series is not None:
            label = self._label(self._series, one.value)
        if len(currencies) > 1:
            label += f" · {one.currency or translate(N_('Currency unknown'), self._ctx.locale)}"
        return label

    def _text(self, value: Any, currency: str) -> str:
        if value is None:
            return "—"
        field = self._take.field if self._take else None
        if self._card.how == "count" or field is None:
            return grouped(value)
        if self._card.how == "avg" and (currency or field.type == "money"):
            # A mean is told with two digits more than there are minor units.
            digits = len(value.partition(".")[2]) - 2
            value = str(Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
        if currency:
            return f"{grouped(value)} {currency}"
        if self._card.how in {"sum", "avg"} and (field.result or field.type) in {
            "integer", "decimal", "money", "rating",
        }:  # fmt: skip
            unit = pick(field.unit, self._ctx.locale)
            return f"{grouped(value)} {unit}".strip()
        return value_text(field, value, self._reading)

    def _list(self, text: str) -> str:
        """Return the address of the list of some records, in a view that leaves none out."""
        views = [
            view
            for view in schema_views(self._ctx, self._type)
            if not view.filter and view.type == "list"
        ]
        pairs = {"view": views[0].name} if views else {}
        if text:
            pairs["filter"] = text
        return f"/records/{self._type.name}/?{urlencode(pairs)}"

    # -- the chart ------------------------------------------------------------------------

    def _chart(self) -> dict[str, Any] | None:
        card, result, drawn = self._card, self._result, self._drawn
        if card.chart == "table" or (card.chart in _ONE_SERIES and len(result.series) > 1):
            return None
        hues = self._hues()
        return {
            "type": card.chart,
            "stacked": card.stacked and len(result.series) > 1,
            "across": card.chart == "bar" and not (self._group and self._group.bucket),
            "label": drawn.label,
            "labels": [row.label for row in drawn.rows],
            "series": [
                {
                    "name": drawn.columns[at],
                    "values": [_number(one.values[at]) for one in result.groups],
                    "texts": [row.cells[at] for row in drawn.rows],
                    "color": hues[at % len(hues)],
                }
                for at in range(len(result.series))
            ],
            "colors": self._group_hues(hues),
            "list": self._list(""),
            "filters": [one.filter for one in result.groups],
            "series_filters": [one.filter for one in result.series],
            "filter": result.filter,
        }

    def _hues(self) -> list[str]:
        own = self._card.colors or self._option_colours(
            self._series, [one.value for one in self._result.series]
        )
        return [HUES.get(one, one) for one in own] or list(HUES.values())

    def _group_hues(self, hues: list[str]) -> list[str]:
        """Return the colour of each group, where there is one series; none are all alike."""
        if len(self._result.series) > 1 or self._card.chart == "line":
            return []
        if self._card.colors and self._card.chart != "pie":
            return [hues[at % len(hues)] for at in range(len(self._result.groups))]
        own = self._option_colours(self._group, [one.value for one in self._result.groups])
        if own and not self._card.colors:
            return [HUES.get(one, one) for one in own]
        if self._card.chart == "pie":
            return [hues[at % len(hues)] for at in range(len(self._result.groups))]
        return []

    def _option_colours(self, place: Place | None, values: Iterable[Any]) -> list[str]:
        """Return the colours that a select field gives its options; none unless all have one."""
        if place is None or place.field is None:
            return []
        known = {one.value: one.color for one in place.field.options}
        found = [known.get(value, "") if value is not None else "gray" for value in values]
        drawable = all(one in HUES or one.startswith("#") for one in found)
        return found if drawable else []


def _shown_as(place: Place) -> Field | None:
    """Return the field as which a value is shown; who made a record is a person."""
    if place.field is not None:
        return place.field
    if place.name in {"created_by", "updated_by"}:
        return Field(id=place.name, name=place.name, type="user", target=USERS)
    return SYSTEM_FIELDS.get(place.name)


def _number(value: Any) -> float | None:
    return None if value is None else float(Decimal(str(value)))


def with_card(cards: Iterable[Card], card: Card, instead_of: str = "") -> tuple[Card, ...]:
    """Return the cards with one more, or with it in the place of one that was called otherwise."""
    found = list(cards)
    for at, one in enumerate(found):
        if one.name == instead_of:
            found[at] = card
            return tuple(found)
    return (*found, card)


def free_name(cards: Iterable[Card]) -> str:
    """Return a name that none of the cards has."""
    taken = {one.name for one in cards}
    return next(name for n in range(1, len(taken) + 2) if (name := f"chart_{n}") not in taken)
