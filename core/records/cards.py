"""A card of a dashboard, worked out: one function, under the rights of whoever looks at it.

The rows are those that the list of the same filter shows to the same reader, and a field
hidden from them in any row can be neither grouped by nor added up: a total would tell
what is hidden.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.policies.access import access
from core.policies.bounded import compiled
from core.records.cardqueries import MOST_ROWS, Asked, CardStatements, named, read_card
from core.records.filtertexts import days_filter, joined, value_filter
from core.records.grouping import mean
from core.records.queries import Query, asked_query
from core.records.wire import wire_of
from core.schema.buckets import bucket_days, bucket_text, buckets_between
from core.schema.dashboardchecks import NUMERIC, Place, card_flaws, time_of
from core.schema.dashboards import LIMIT, MOST_GROUPS, TIME_LIMIT, TIME_RANGES, Card
from core.schema.model import RecordType
from core.schema.viewchecks import kind_of
from core.tables.storage import storage_of

#: Series of one card; of more, those with the most records are shown.
MOST_SERIES = 20

Span = tuple[date | None, date | None]
#: All time, and what an address calls it.
ALWAYS: Span = (None, None)
ALL_TIME = "always"


@dataclass(frozen=True, slots=True)
class Series:
    """One series.

    Attributes:
        value: the value of `series_by` in wire form.
        currency: that of its amounts; empty where it is unknown, or nothing is money.
        filter: the condition of its records, currencies aside.
    """

    value: Any
    currency: str
    filter: str = ""


@dataclass(frozen=True, slots=True)
class CardGroup:
    """One group.

    Attributes:
        value: what its records share, in wire form; a part of a day as in `core.schema.buckets`.
        values: what is told, series by series: counts as numbers, all else in wire form;
            None where there is nothing.
        filter: the condition of its records, for a list.
    """

    value: Any
    values: tuple[Any, ...]
    filter: str


@dataclass(frozen=True, slots=True)
class CardResult:
    """What a card shows.

    Attributes:
        filter: the condition of all its records, time range included.
        series: at least one; a single one without a value where there is no `series_by`.
        groups: in their order.
        whole: what is told of everything together, by currency; empty where that was not
            asked, as of the mean of groups.
        rest: what `whole` has beyond the groups shown, by currency, for counts and sums.
        is_cut: there are more groups or series than are shown.
        is_timed: the card follows time ranges.
    """

    filter: str
    series: tuple[Series, ...]
    groups: tuple[CardGroup, ...]
    whole: dict[str, Any]
    rest: dict[str, Any]
    is_cut: bool
    is_timed: bool


def range_days(name: str, today: date) -> Span:
    """Return the days of a named time range (`core.schema.dashboards.TIME_RANGES`)."""
    buckets = {"this_week": "week", "this_month": "month", "this_quarter": "quarter",
               "this_year": "year", "today": "day"}  # fmt: skip
    if name in buckets:
        return bucket_days(bucket_text(today, buckets[name]), buckets[name])
    back = {"last_7_days": 6, "last_30_days": 29, "last_90_days": 89}
    if name in back:
        return today - timedelta(days=back[name]), today
    if name == "last_12_months":
        month = date(today.year - 1, today.month, 1)
        return bucket_days(bucket_text(month, "month"), "month")[1] + timedelta(days=1), today
    return ALWAYS


def asked_span(ctx: Context, query: Mapping[str, str], usual: str) -> Span:
    """Return the days that `time`, or `from` and `to`, of a query ask for; else the usual range.

    Raises:
        Invalid: it names no range, or no days.
    """
    name = query.get("time", "" if query.get("from") or query.get("to") else usual)
    if name not in {*TIME_RANGES, ALL_TIME}:
        text = N_("Use one of: {expected}.")
        expected = ", ".join((ALL_TIME, *TIME_RANGES[1:]))
        raise Invalid(problems=[Problem("time", "query.choice", text, {"expected": expected})])
    if name:
        return ALWAYS if name == ALL_TIME else range_days(name, ctx.today)
    return _day(query, "from"), _day(query, "to")


def _day(query: Mapping[str, str], key: str) -> date | None:
    if not query.get(key):
        return None
    try:
        return date.fromisoformat(query[key])
    except ValueError as error:
        text = N_("A day is written YYYY-MM-DD.")
        raise Invalid(problems=[Problem(key, "query.day", text)]) from error


def compute_card(ctx: Context, card: Card, span: Span = ALWAYS) -> CardResult:
    """Return what a card shows to whoever asks.

    Args:
        ctx: who asks.
        card: the card.
        span: first and last day; the card goes by them where it has a date to go by.

    Raises:
        Forbidden: the actor may see none of the type, or may not ask by a field.
        Invalid: something in the card is wrong, such as a field that is gone.
    """
    if ctx.registry.release.type(card.type) is not None:
        access(ctx, card.type).require("view")
    problems = [
        Problem(".".join(map(str, flaw.path)), f"card.{flaw.code}", flaw.text, flaw.params)
        for flaw in card_flaws(ctx.registry.release.types, card)
    ]
    if problems:
        raise Invalid(problems=problems)
    rights = access(ctx, card.type)
    record_type = rights.record_type
    asked, day = read_card(ctx, record_type, card), time_of(record_type, card)
    rights.require_certain(named(asked) | ({day} if day and span != ALWAYS else set()))
    zone = ctx.time_zone if day and kind_of(record_type, day) == "datetime" else None
    text = joined(card.filter, days_filter(day, *span, zone) if day else "")
    limit = card.limit or (TIME_LIMIT if asked.is_latest else LIMIT)
    question = asked_query(ctx, rights, Query(filter=text, fields=("id",)), limit=limit + 1)
    statements = compiled(
        ctx.registry,
        ("records.card", card.type, question.selection, asked),
        lambda: CardStatements(ctx, rights, question.selection, asked),
    )
    reader = _Reader(ctx, record_type, card, asked)
    with ctx.reading() as connection:
        found = statements.groups.rows(connection, question.values) if statements.groups else []
        is_cut = any(row[-1] > limit for row in found) or len(found) > MOST_ROWS
        whole = []
        if asked.group is None or (is_cut and reader.adds):
            whole = statements.whole.rows(connection, question.values)
    kept = [row for row in found[:MOST_ROWS] if row[-1] <= limit]
    return reader.result(text, kept, whole, is_cut=is_cut, is_timed=bool(day))


class _Reader:
    """Makes the result of the rows that the database gave."""

    def __init__(self, ctx: Context, record_type: RecordType, card: Card, asked: Asked) -> None:
        self._ctx, self._type, self._card, self._asked = ctx, record_type, card, asked
        self._wire = wire_of(ctx.registry, record_type.name)
        self.adds = card.how in {"count", "sum"}
        field = asked.take.field if asked.take else None
        self._field = field
        self._currency = asked.currency
        self._scale = storage_of(field).scale if field is not None else 0

    def result(
        self,
        text: str,
        rows: Sequence[Sequence[Any]],
        whole: Iterable[Sequence[Any]],
        *,
        is_cut: bool,
        is_timed: bool,
    ) -> CardResult:
        series, most = self._series(rows)
        places: dict[Any, dict[Series, Any]] = defaultdict(dict)
        order: list[Any] = []
        for g, s, m, n, v, c, _ in rows:
            value = self._value(self._asked.group, g)
            if value not in places:
                order.append(value)
            places[value][self._one(s, m)] = self._told(n, v, c)
        if self._asked.is_latest:
            order = [*sorted(one for one in order if one is not None)] + (
                [None] if None in places else []
            )
        groups = [
            CardGroup(
                value,
                self._values(places.get(value, {}), series),
                self._filter(self._asked.group, value),
            )
            for value in self._filled(order)
        ]
        told = {self._money(m): self._told(n, v, c) for m, n, v, c in whole}
        if self._asked.group is None:
            told = {key: value for key, value in told.items() if value is not None} or {
                self._currency: self._empty
            }
        elif not told and self.adds:
            told = self._summed(rows)
        return CardResult(
            text, series, tuple(groups), told, self._rest(told, rows) if is_cut else {},
            is_cut or most, is_timed,
        )  # fmt: skip

    def _one(self, s: Any, m: Any) -> Series:
        value = self._value(self._asked.series, s)
        text = self._filter(self._asked.series, value) if self._asked.series else ""
        return Series(value, self._money(m), text)

    def _money(self, value: Any) -> str:
        return str(value or "") if self._asked.money else self._currency

    def _value(self, place: Place | None, value: Any) -> Any:
        if place is None or place.bucket or value is None:
            return value
        if place.table:
            dump = self._wire.rows.get(place.table, {}).get(place.name)
            return value if dump is None else dump(value)
        return self._wire.value(place.name, value)

    @property
    def _empty(self) -> Any:
        """Return what is told of no records."""
        if self._card.how == "count":
            return 0
        return format(Decimal(0).scaleb(-self._scale), "f") if self.adds else None

    def _told(self, count: int, value: Any, counted: int) -> Any:
        if self._card.how == "count":
            return int(count)
        if value is None:
            return None
        if self._card.how in {"min", "max"}:
            return self._value(self._asked.take, value)
        if self._card.how == "avg":
            made = mean(value, counted, self._field)
            return None if made is None else format(made, "f")
        return format(Decimal(value), "f")

    def _series(self, rows: Sequence[Sequence[Any]]) -> tuple[tuple[Series, ...], bool]:
        """Return the series in the order of their values, and whether there are too many."""
        counts: dict[Series, int] = defaultdict(int)
        for _, s, m, n, *_ in rows:
            counts[self._one(s, m)] += int(n)
        found = sorted(counts, key=lambda one: -counts[one])[:MOST_SERIES]
        found.sort(key=lambda one: (one.value is None, str(one.value), one.currency))
        if not found:
            found = [Series(None, self._currency)]
        return tuple(found), len(counts) > MOST_SERIES

    def _values(self, known: dict[Series, Any], series: tuple[Series, ...]) -> tuple[Any, ...]:
        return tuple(known.get(one, self._empty) for one in series)

    def _filled(self, order: list[Any]) -> list[Any]:
        """Return the groups with the parts of days between them in which there is nothing."""
        place = self._asked.group
        if place is None or not place.bucket or not self._asked.is_latest or not self.adds:
            return order
        known = [one for one in order if one is not None]
        if len(known) < 2:  # noqa: PLR2004  nothing lies between
            return order
        whole = buckets_between(known[0], known[-1], place.bucket, 2 * MOST_GROUPS)
        return [*(whole if len(whole) >= len(known) else known), *order[len(known) :]]

    def _filter(self, place: Place | None, value: Any) -> str:
        """Return the condition of the records of one value."""
        if place is None:
            return ""
        if place.bucket and value is not None:
            zone = self._ctx.time_zone if place.kind == "datetime" else None
            text = days_filter(place.name, *bucket_days(value, place.bucket), zone)
        else:
            text = value_filter(place.name, value, is_number=place.kind in NUMERIC)
        return f"any({place.table}, {text})" if place.table else text

    def _summed(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        totals: dict[str, Decimal] = defaultdict(Decimal)
        for _, _, m, n, v, *_ in rows:
            told = n if self._card.how == "count" else v
            totals[self._money(m)] += Decimal(told) if told is not None else 0
        if self._card.how == "count":
            return {key: int(total) for key, total in totals.items()}
        return {key: format(total, "f") for key, total in totals.items()}

    def _rest(self, whole: dict[str, Any], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        if not self.adds:
            return {}
        shown = self._summed(rows)
        left = {
            key: Decimal(value or 0) - Decimal(shown.get(key, 0)) for key, value in whole.items()
        }
        if self._card.how == "count":
            return {key: int(value) for key, value in left.items()}
        return {key: format(value, "f") for key, value in left.items()}
