"""What records are grouped by, in SQL: a value as it is, or a part of a day as its text."""

from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.expression.sql import sql_value

Element = sa.ColumnElement[Any]

#: How PostgreSQL writes the parts of a day.
_FORMATS = {
    "day": "YYYY-MM-DD",
    "week": "YYYY-MM-DD",
    "month": "YYYY-MM",
    "quarter": 'YYYY-"Q"Q',
    "year": "YYYY",
}
_LENGTHS = {"day": 10, "month": 7, "year": 4}


def group_value(
    ctx: Context, scope: str, column: Element, bucket: str, *, is_instant: bool
) -> Element:
    """Return what is grouped by: `column`, or the part of its store day as text.

    Args:
        ctx: who asks.
        scope: a record type, or `TYPE.TABLE` for rows of a table field.
        column: the field's column.
        bucket: one of `core.schema.buckets.BUCKETS`; empty for the value as it is.
        is_instant: the field holds instants, whose day depends on the zone.
    """
    if not bucket:
        return column
    return bucket_of(ctx, store_day(ctx, scope, column, is_instant=is_instant), bucket)


def store_day(ctx: Context, scope: str, column: Element, *, is_instant: bool) -> Element:
    """Return the day of a date, or of an instant in the store day's zone."""
    if not is_instant and ctx.db.is_sqlite:
        # As an expression: by an index of the column SQLite would look up every row on its own.
        return _part(sa.type_coerce(column, sa.Text()), 1, _LENGTHS["day"])
    if not is_instant:
        return column
    expression = ctx.registry.expression(scope, f"DATE({column.key})")
    source = column.table if isinstance(column, sa.Column) else None
    return sql_value(expression, _Column(ctx, column, source))


def bucket_of(ctx: Context, day: Element, bucket: str) -> Element:
    """Return the part of the calendar that a day is in, as text."""
    return _sqlite(day, bucket) if ctx.db.is_sqlite else _postgres(day, bucket)


class _Column:
    """The one column that an expression over it reads, wherever its table stands in a query."""

    def __init__(self, ctx: Context, column: Element, source: Any) -> None:
        self.dialect = ctx.registry.dialect
        self._column, self._source = column, source

    def element(self, name: str) -> Element:
        """Return the column."""
        del name
        return self._column

    def scale(self, name: str) -> int | None:
        """Return None: it is no number."""
        del name
        return None

    def follow(self, name: str) -> Any:
        """Refuse: nothing is followed."""
        raise LookupError(name)

    rows = follow


def _constant(value: object) -> Element:
    """Return a constant written out: parameters would differ between SELECT and GROUP BY."""
    return sa.literal_column(str(value) if isinstance(value, int) else f"'{value}'")


def _sqlite(day: Element, bucket: str) -> Element:
    text = sa.type_coerce(day, sa.Text())
    if bucket == "week":
        # On to Sunday unless it is one, and back to its Monday.
        moved = sa.func.date(text, _constant("weekday 0"), _constant("-6 days"))
        return sa.type_coerce(moved, sa.Text())
    if bucket == "quarter":
        month = sa.cast(_part(text, 6, 2), sa.Integer)
        quarter = sa.func.substr(_constant("111222333444"), month, _constant(1))
        made = _part(text, 1, 4).op("||")(_constant("-Q")).op("||")(quarter)
        return sa.type_coerce(made, sa.Text())
    return _part(text, 1, _LENGTHS[bucket])


def _part(text: Element, start: int, length: int) -> Element:
    return sa.func.substr(text, _constant(start), _constant(length), type_=sa.Text())


def _postgres(day: Element, bucket: str) -> Element:
    if bucket == "week":
        day = sa.func.date_trunc(_constant("week"), sa.cast(day, sa.DateTime()))
    return sa.func.to_char(day, _constant(_FORMATS[bucket]), type_=sa.Text())
