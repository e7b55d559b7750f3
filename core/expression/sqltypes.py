"""SQL types and building blocks of the SQL target."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeEngine

from core.expression.arithmetic import QUOTIENT_PLACES, number_text
from core.expression.dates import instant_text, read_instant
from core.expression.places import PLACES, places_text
from core.expression.types import Env

Element = ColumnElement[Any]


class NumberText(sa.types.TypeDecorator[Decimal]):
    """A number that SQLite computed: text in the database, Decimal in Python."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return a number's text."""
        return None if value is None else number_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        """Return the number."""
        return None if value is None else Decimal(value)


class Instant(sa.types.TypeDecorator[datetime]):
    """An instant: timestamptz, on SQLite the fixed-width text it is stored as."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type in `dialect`."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Return the driver's value."""
        if value is None or dialect.name != "sqlite":
            return value
        return instant_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC."""
        if value is None or dialect.name != "sqlite":
            return value if value is None else value.astimezone(UTC)
        return read_instant(value)


_TYPES: dict[str, Any] = {
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "time": sa.Time(),
    "datetime": Instant(),
}


def typed(element: Element, kind: str) -> Element:
    """Return `element` with the type that reads a value of `kind` back."""
    return sa.type_coerce(element, _TYPES[kind]) if kind in _TYPES else element


def literal(value: Any, kind: str, *, is_sqlite: bool) -> Element:
    """Return a value of `kind` as a bound parameter."""
    if value is None:
        return sa.null()
    if kind in {"number", "duration"}:
        return sa.literal(value, NumberText() if is_sqlite else sa.Numeric())
    return sa.literal(value, _TYPES.get(kind, sa.Text()))


def json_part(value: Element, name: str, *, is_sqlite: bool) -> Element:
    """Return a part of a structured value as text; `name` is one that its type declares."""
    if is_sqlite:
        return sa.func.json_extract(sa.type_coerce(value, sa.Text()), f"$.{name}", type_=sa.Text())
    return sa.func.jsonb_extract_path_text(sa.cast(value, JSONB), name, type_=sa.Text())


class Postgres:
    """What a function's `postgresql` target builds with; hands SQLAlchemy in.

    `let` and `kept` name a computed value so that it can be used several times without
    being written, and computed, several times.
    """

    func = sa.func
    cast = staticmethod(sa.cast)
    case = staticmethod(sa.case)
    collate = staticmethod(sa.collate)
    Integer, BigInteger, Numeric, Float = sa.Integer, sa.BigInteger, sa.Numeric, sa.Float
    Date, DateTime, Text = sa.Date, sa.DateTime, sa.Text

    @staticmethod
    def date(text: str) -> Element:
        """Return a constant day."""
        return sa.literal(date.fromisoformat(text), sa.Date)

    @staticmethod
    def instant(text: str) -> Element:
        """Return a constant instant."""
        return sa.literal(read_instant(text), Instant)

    @staticmethod
    def extract(part: str, value: Any) -> Element:
        """Return a part of a date, instant or interval, as a number."""
        return sa.type_coerce(sa.extract(part, value), sa.Numeric())

    @staticmethod
    def _named(value: Any) -> Any:
        return sa.func.unnest(array([value])).column_valued()

    @classmethod
    def let(cls, value: Any, make: Callable[[Any], Any]) -> Element:
        """Return `make(v)` with `v` standing for `value`."""
        name = sa.type_coerce(cls._named(value), value.type)
        return sa.select(make(name)).scalar_subquery()

    @classmethod
    def kept(cls, value: Any, condition: Callable[[Any], Any]) -> Element:
        """Return `value` where the condition on it holds, else null."""
        name = sa.type_coerce(cls._named(value), value.type)
        return sa.select(name).where(condition(name)).scalar_subquery()

    @staticmethod
    def divide(left: Any, right: Any) -> Element:
        """Return the quotient half up to ten places; so many digits first that it is exact."""
        wide = sa.literal_column("1." + "0" * 60, sa.Numeric())
        quotient = (left * wide).op("/")(sa.func.nullif(right, 0))
        return sa.func.round(quotient, QUOTIENT_PLACES, type_=sa.Numeric())

    @classmethod
    def fold(cls, how: str, value: Any) -> Element:
        """Return an aggregate over rows."""
        if how == "sum":
            return sa.func.coalesce(sa.func.sum(value), 0, type_=sa.Numeric())
        if how == "avg":
            total = sa.func.sum(value, type_=sa.Numeric())
            return cls.divide(total, sa.cast(sa.func.count(value), sa.Numeric))
        if isinstance(value.type, (sa.Text, sa.String)):
            value = sa.collate(value, "C")
        return (sa.func.min if how == "min" else sa.func.max)(value)

    @classmethod
    def _across(cls, how: str, values: tuple[Any, ...]) -> Element:
        value = sa.func.unnest(array([sa.cast(one, sa.Numeric) for one in values])).column_valued()
        return sa.select(cls.fold(how, sa.type_coerce(value, sa.Numeric()))).scalar_subquery()

    @classmethod
    def total(cls, *values: Any) -> Element:
        """Return the sum of the values that are not null."""
        return cls._across("sum", values)

    @classmethod
    def average(cls, *values: Any) -> Element:
        """Return the mean of the values that are not null."""
        return cls._across("avg", values)

    @staticmethod
    def text(value: Any) -> Element:
        """Return a number, truth value or day as text."""
        if isinstance(value.type, sa.Boolean):
            return sa.case((value, "true"), (sa.not_(value), "false"), else_=None)
        if isinstance(value.type, sa.Date):
            return sa.func.to_char(value, "YYYY-MM-DD", type_=sa.Text())
        if isinstance(value.type, sa.Numeric):
            return sa.cast(sa.func.trim_scale(value), sa.Text)
        return cast("sa.ColumnElement[Any]", value)

    @staticmethod
    def choice_count(value: Any) -> Element:
        """Return how many choices are chosen."""
        return sa.func.jsonb_array_length(sa.cast(value, JSONB))

    @staticmethod
    def has_choice(item: Any, value: Any) -> Element:
        """Return whether a choice is among those chosen."""
        return sa.func.jsonb_exists(sa.cast(value, JSONB), item, type_=sa.Boolean())

    @staticmethod
    def result(built: Element, kind: str) -> Element:
        """Return what a function built, as its kind's type."""
        if kind in {"number", "duration"}:
            return sa.cast(built, sa.Numeric)
        return sa.type_coerce(built, _TYPES.get(kind, sa.Text()))


def listed(name: str, *, is_sqlite: bool) -> Any:
    """Return what follows IN for a list variable: its values, or a subquery of places."""
    if not name.startswith(PLACES):
        return sa.bindparam(f"gx_{name}", expanding=True, type_=sa.Text())
    key, places = name.removeprefix(PLACES), sa.bindparam("gx_places", type_=sa.Text())
    if is_sqlite:
        rows = sa.func.json_each(places, sa.literal_column(f"'$.\"{key}\"'"))
    else:
        held = sa.cast(places, sa.JSON).op("->")(sa.literal_column(f"'{key}'"))
        rows = sa.func.json_array_elements_text(held)
    return sa.select(rows.table_valued("value").c.value)


def sql_values(env: Env) -> dict[str, Any]:
    """Return the parameters that statements with expressions are executed with."""
    return {
        "gx_today": env.today,
        "gx_now": env.now,
        "gx_zone": env.zone.key,
        "gx_current_user": env.user,
        "gx_places": places_text(env.places),
        **{f"gx_{name}": value for name, value in env.variables.items()},
    }
