"""Groups of a list and what is told of each: counts, sums, means, extremes, in SQL.

The rows are those that the list itself would show to the same reader, and only fields
that the reader sees in every row can be grouped by or totalled: a sum would otherwise
tell what is hidden.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.errors import Invalid, Problem
from core.policies.access import Access, access
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt
from core.records.groupvalues import group_value
from core.records.queries import Query, asked_query
from core.records.selection import Selection
from core.records.wire import wire_of
from core.schema.model import Field, View
from core.schema.viewchecks import kind_of, split_group, view_flaws
from core.tables.storage import storage_of

#: Groups of one answer.
MOST_GROUPS = 200

Wire = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """One group, ready for JSON.

    Attributes:
        value: what its records share: a value in wire form, or `2026-03` for parts of a date, of a
            week its Monday.
        totals: field -> its total in wire form, None where no record has a value.
    """

    value: Any
    count: int
    totals: Wire


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a list in the order of their values, those without one last.

    Attributes:
        is_cut: there are more than `MOST_GROUPS`; the first are here.
        whole: what is told of all records together.
    """

    items: list[Group]
    is_cut: bool
    whole: Group


def group_records(
    ctx: Context, type_name: str, query: Query, by: str, totals: Mapping[str, str]
) -> Groups:
    """Return the groups of what `query` finds; without `by` only the whole.

    Args:
        ctx: who asks.
        type_name: the records' type.
        query: filter and search of the list.
        by: a field, or a part of a date such as `FIELD.month` (`core.schema.buckets`).
        totals: field to `sum`, `avg`, `min` or `max`.

    Raises:
        Forbidden: the actor may see none of the type, or may not ask by a field.
        Invalid: an unknown field, or one that cannot be grouped by or totalled.
    """
    rights = access(ctx, type_name)
    rights.require("view")
    _check(rights, by, totals)
    asked = asked_query(
        ctx, rights, replace(query, sort=(), fields=("id",)), limit=MOST_GROUPS + 1
    )
    selection, values = asked.selection, asked.values
    pairs = tuple(totals.items())
    whole, grouped = compiled(
        ctx.registry,
        ("records.groups", type_name, selection, by, pairs),
        lambda: _statements(ctx, rights, selection, by, pairs),
    )
    reader = _Reader(ctx, rights, by, pairs)
    with ctx.reading() as connection:
        rows = grouped.rows(connection, values) if grouped else []
        total = whole.rows(connection, values)[0]
    items = [reader.group(row) for row in rows[:MOST_GROUPS]]
    return Groups(items, len(rows) > MOST_GROUPS, reader.group((None, *total)))


def _check(rights: Access, by: str, totals: Mapping[str, str]) -> None:
    view = View(name="groups", columns=(), group_by=by, totals=dict(totals))  # type: ignore[arg-type]
    problems = [
        Problem(".".join(map(str, flaw.path)), f"query.{flaw.code}", flaw.text, flaw.params)
        for flaw in view_flaws(rights.record_type, view)
    ]
    if problems:
        raise Invalid(problems=problems)
    names = {split_group(by)[0], *totals} - {""}
    rights.require_certain(frozenset(names))


def _statements(
    ctx: Context,
    rights: Access,
    selection: Selection,
    by: str,
    totals: tuple[tuple[str, str], ...],
) -> tuple[Prebuilt, Prebuilt | None]:
    """Return the statements of the whole and of the groups."""
    table = ctx.registry.tables[rights.record_type.name].main
    dialect = ctx.db.engine.dialect
    told: list[sa.ColumnElement[Any]] = [sa.func.count().label("_count")]
    for name, how in totals:
        column = table.c[name]
        told.append(sa.func.sum(column) if how == "avg" else getattr(sa.func, how)(column))
        if how == "avg":
            told.append(sa.func.count(column))
    conditions = selection.conditions
    whole = Prebuilt(sa.select(*told).select_from(table).where(*conditions), dialect)
    if not by:
        return whole, None
    value = _value(ctx, rights, by)
    statement = sa.select(value.label("_value"), *told).select_from(table).where(*conditions)
    order = value.nulls_last() if not ctx.db.is_sqlite else value.is_(None)
    statement = statement.group_by(value).order_by(order, value)
    statement = statement.limit(sa.bindparam("limit", type_=sa.Integer))
    return whole, Prebuilt(statement, dialect)


def _value(ctx: Context, rights: Access, by: str) -> sa.ColumnElement[Any]:
    name, bucket = split_group(by)
    record_type = rights.record_type
    column = ctx.registry.tables[record_type.name].main.c[name]
    is_instant = kind_of(record_type, name) == "datetime"
    return group_value(ctx, record_type.name, column, bucket, is_instant=is_instant)


class _Reader:
    """Makes groups of rows: the value, the count, then the totals."""

    def __init__(
        self, ctx: Context, rights: Access, by: str, totals: tuple[tuple[str, str], ...]
    ) -> None:
        self._wire = wire_of(ctx.registry, rights.record_type.name)
        self._by = "" if split_group(by)[1] else by
        self._totals = [(name, how, rights.record_type.field(name)) for name, how in totals]

    def group(self, row: Any) -> Group:
        """Return the group that a row tells."""
        value, count, *told = row
        told.reverse()
        totals: Wire = {}
        for name, how, field in self._totals:
            found = told.pop()
            if how == "avg":
                found = mean(found, told.pop(), field)
            totals[name] = self._dumped(name, found, how)
        if self._by:
            value = self._wire.value(self._by, value)
        return Group(value, int(count), totals)

    def _dumped(self, name: str, value: Any, how: str) -> Any:
        if value is None or how in {"min", "max"}:
            return self._wire.value(name, value)
        return format(Decimal(value), "f")


def mean(total: Any, count: int, field: Field | None) -> Decimal | None:
    """Return a mean with two digits more than its values have."""
    if not count:
        return None
    digits = (storage_of(field).scale if field else 0) + 2
    return (Decimal(total) / count).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
