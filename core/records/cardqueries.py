"""The statements of a card: groups and what is told of each, in SQL.

Every row of an answer is one group of one series in one currency, with the place of its
group: groups beyond the limit are left out by the database. Amounts in different
currencies are never added up.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.policies.access import Access, access
from core.prebuilt import Prebuilt
from core.records.groupvalues import bucket_of, store_day
from core.records.selection import Selection
from core.schema.dashboardchecks import Place, find_place, rows_of
from core.schema.dashboards import Card
from core.schema.model import Field, RecordType, Release

#: Rows of one answer at most.
MOST_ROWS = 20_000

Element = sa.ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a card asks of a record type, its names found.

    Attributes:
        table: the table field whose rows are counted; empty for records.
        currency: that of what is taken, where the field says it.
        money: the link to the record that says the currency, where the field does not.
        order: `group`, `-group`, `value` or `-value`.
        is_latest: of the groups the last ones are wanted, first ones first.
    """

    how: str
    take: Place | None
    group: Place | None
    series: Place | None
    table: str
    currency: str
    money: str
    order: str
    is_latest: bool


def read_card(ctx: Context, record_type: RecordType, card: Card) -> Asked:
    """Return what a card without flaws asks."""
    take, group, series = (
        find_place(record_type, text) if text else None
        for text in (card.take, card.group_by, card.series_by)
    )
    currency = _taken_currency(record_type, take) if take else None
    link = _currency_link(record_type, ctx.registry.release) if currency == "" else ""
    is_time = group is not None and group.kind in {"date", "datetime"}
    order = card.sort or ("group" if is_time else "-value")
    return Asked(
        how=card.how,
        take=take,
        group=group,
        series=series,
        table=rows_of(record_type, card),
        currency=currency or "",
        money=link,
        order="-group" if is_time and order == "group" else order,
        is_latest=is_time and order == "group",
    )


def named(asked: Asked) -> frozenset[str]:
    """Return the fields of the record that a card reads."""
    places = (asked.take, asked.group, asked.series)
    names = {one.table or one.name for one in places if one is not None}
    return frozenset(names | ({asked.money} if asked.money else set()))


# -- currencies ---------------------------------------------------------------------------


def _taken_currency(record_type: RecordType, take: Place) -> str | None:
    owner = record_type.field(take.table) if take.table else None
    fields = owner.fields if owner else record_type.fields
    return currency_of(fields, take.field) if take.field else None


def _currency_link(record_type: RecordType, release: Release) -> str:
    """Return the first link to a record that says its currency, such as an order's store."""
    for field in record_type.fields:
        target = release.type(field.target) if field.type == "link" else None
        found = target.field("currency") if target else None
        if found is not None and found.type == "text":
            return field.name
    return ""


def currency_of(fields: Iterable[Field], field: Field) -> str | None:
    """Return the currency of a field's amounts; empty where records differ, None for no money.

    Amounts are money fields, and what formulas and rollups without a division make of them.
    """
    fields = tuple(fields)
    if field.currency or "money" in {field.type, field.result}:
        return field.currency
    parts: list[str | None] = []
    if field.type == "formula" and "/" not in field.formula:
        words = set(re.findall(r"\w+", field.formula)) - {field.name}
        parts = [currency_of(fields, one) for one in fields if one.name in words]
    elif field.type == "rollup" and field.how != "count":
        inner = next((one.fields for one in fields if one.name == field.of), ())
        parts = [currency_of(inner, one) for one in inner if one.name == field.take]
    known = [one for one in parts if one is not None]
    return max(known) if known else None


# -- statements ---------------------------------------------------------------------------


class CardStatements:
    """The statements of one shape of question; serves every filter of that shape."""

    def __init__(self, ctx: Context, rights: Access, selection: Selection, asked: Asked) -> None:
        """Compile them.

        Raises:
            Forbidden: the actor may not know the currency of what is added up.
        """
        self._ctx, self._asked, self._rights = ctx, asked, rights
        tables = ctx.registry.tables[rights.record_type.name]
        self._main = tables.main
        self._rows = tables.children[asked.table] if asked.table else None
        self._source: sa.FromClause = self._main
        if self._rows is not None:
            on = self._rows.c.record_id == self._main.c.id
            self._source = self._main.join(self._rows, on)
        self._conditions = selection.conditions
        self._money = self._currency()
        dialect = ctx.db.engine.dialect
        self.groups = Prebuilt(self._groups(), dialect) if asked.group else None
        self.whole = Prebuilt(self._whole(), dialect)

    def _currency(self) -> Element:
        name = self._asked.money
        if not name:
            return sa.type_coerce(sa.literal_column("''"), sa.Text())
        field = self._rights.record_type.field(name)
        target = field.target if field else ""
        rights = access(self._ctx, target)
        rights.require("view")
        rights.require_certain(frozenset(("currency",)))
        linked = self._ctx.registry.tables[target].main.alias("gx_currency")
        clause = rights.clause_over("view", self._ctx.registry.columns(target, linked))
        on = linked.c.id == self._main.c[name]
        self._source = self._source.outerjoin(
            linked, on if clause is None else sa.and_(on, clause)
        )
        return linked.c.currency

    def _value(self, place: Place) -> Element:
        """Return what is taken or grouped by; of parts of days the day, whatever the part."""
        table = self._rows if place.table and self._rows is not None else self._main
        column = table.c[place.name]
        if not place.bucket:
            return column
        owner = self._rights.record_type.name
        scope = f"{owner}.{place.table}" if place.table else owner
        return store_day(self._ctx, scope, column, is_instant=place.kind == "datetime")

    def _told(self) -> list[Element]:
        """Return the count, what is taken, and of how many values."""
        count = sa.func.count().label("n")
        if self._asked.take is None:
            return [count, count.label("v"), count.label("c")]
        column = self._value(self._asked.take)
        how = "sum" if self._asked.how == "avg" else self._asked.how
        value = getattr(sa.func, how)(column).label("v")
        counted = sa.func.count(column).label("c") if self._asked.how == "avg" else count
        return [count, value, counted.label("c")]

    def _whole(self) -> sa.Select[Any]:
        currency = self._money.label("m")
        statement = sa.select(currency, *self._told()).select_from(self._source)
        statement = statement.where(*self._conditions)
        return statement.group_by(self._money) if self._asked.money else statement

    def _groups(self) -> sa.Select[Any]:
        group, series = self._asked.group, self._asked.series
        if group is None:
            raise LookupError("group_by")
        keys = [self._value(group).label("g")]
        if series is not None:
            keys.append(self._value(series).label("s"))
        if self._asked.money:
            keys.append(self._money.label("m"))
        found = sa.select(*keys, *self._told()).select_from(self._source)
        found = found.where(*self._conditions).group_by(*(key.element for key in keys))
        pairs = self._bucketed(found.subquery()).subquery()
        blank = sa.type_coerce(sa.literal_column("''"), sa.Text())
        s = pairs.c.s if series is not None else sa.null()
        m = pairs.c.m if self._asked.money else blank
        totals = [self._over(pairs.c.n), self._total(pairs), self._over(pairs.c.c)]
        each = sa.select(
            pairs.c.g, s.label("s"), m.label("m"), pairs.c.n, pairs.c.v, pairs.c.c,
            *(one.label(f"t{at}") for at, one in enumerate(totals)),
        ).subquery()  # fmt: skip
        place = sa.func.dense_rank().over(order_by=self._order(each)).label("place")
        ranked = sa.select(*(each.c[name] for name in "gsmnvc"), place).subquery()
        statement = sa.select(ranked).where(
            ranked.c.place <= sa.bindparam("limit", type_=sa.Integer)
        )
        return statement.order_by(ranked.c.place).limit(sa.literal_column(str(MOST_ROWS + 1)))

    def _bucketed(self, days: sa.Subquery) -> sa.Select[Any]:
        """Return groups by days as groups by the parts of days that are asked for.

        There are few days and many rows: what is made of a day is made of few.
        """
        places = {"g": self._asked.group, "s": self._asked.series}
        parts = {key: place.bucket for key, place in places.items() if place and place.bucket}
        if not parts:
            return sa.select(days)
        keys = [
            bucket_of(self._ctx, column, parts[column.key]) if column.key in parts else column
            for column in days.c
            if column.key in "gsm"
        ]
        names = [column.key for column in days.c if column.key in "gsm"]
        value = getattr(sa.func, self._adding)(days.c.v)
        told = [
            sa.func.sum(days.c.n).label("n"),
            value.label("v"),
            sa.func.sum(days.c.c).label("c"),
        ]
        labelled = [key.label(name) for key, name in zip(keys, names, strict=True)]
        return sa.select(*labelled, *told).group_by(*keys)

    @property
    def _adding(self) -> str:
        """Return how what is told of two groups is told of both."""
        return self._asked.how if self._asked.how in {"min", "max"} else "sum"

    def _over(self, column: Element, how: str = "sum") -> Element:
        """Return a total over everything of one group."""
        return getattr(sa.func, how)(column).over(partition_by=column.table.c.g)  # type: ignore[no-any-return]

    def _total(self, pairs: Any) -> Element:
        return self._over(pairs.c.v, self._adding)

    def _order(self, each: Any) -> list[Element]:
        is_down = self._asked.order.startswith("-")
        by_group = _sorted(self._ctx, each.c.g, is_down=is_down)
        if self._asked.order.endswith("group"):
            return by_group
        value: Element = each.c.t1
        if self._asked.how == "avg":
            number = sa.Integer() if self._ctx.db.is_sqlite else sa.Numeric()
            kind = sa.Float() if self._ctx.db.is_sqlite else sa.Numeric()
            value = sa.cast(sa.type_coerce(value, number), kind) / sa.func.nullif(each.c.t2, 0)
        return [
            *_sorted(self._ctx, value, is_down=is_down),
            *_sorted(self._ctx, each.c.g, is_down=False),
        ]


def _sorted(ctx: Context, element: Element, *, is_down: bool) -> list[Element]:
    """Return how to sort: texts by code point, without a value last, on both databases."""
    by = element
    if not ctx.db.is_sqlite and isinstance(element.type, sa.String):
        by = sa.collate(element, "C")
    return [element.is_(None), by.desc() if is_down else by.asc()]
