"""Column types that mean the same on SQLite and on PostgreSQL.

Values in Python are the same on both: `Decimal`, aware `datetime` in UTC, `date`,
`time`, `int`, `bool`, `str` and plain JSON. Text orders by code point. Processors
are plain closures, because they run once per cell of every page.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

#: Total digits of a decimal column, before and after the point together.
DIGITS = 18

#: An id or a link: the 36 characters of a UUIDv7.
ID = sa.String(36).with_variant(sa.String(36, collation="C"), "postgresql")

#: Text ordered by code point, as SQLite does by itself.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

#: Plain JSON; None is SQL's NULL.
JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

_EXACT = Context(prec=40, traps=[Inexact, InvalidOperation])

Processor = Callable[[Any], Any]


class ScaledDecimal(sa.types.TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC on PostgreSQL, an integer of its last digits on SQLite.

    SQLite's own NUMERIC is a binary float, in which 0.1 + 0.2 = 0.3 is false.
    A value with more digits after the point than `scale` is refused rather than rounded.
    """

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, scale: int) -> None:
        """Keep `scale` digits after the point."""
        super().__init__(DIGITS, scale)
        self.scale = scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column in `dialect`."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.BigInteger())
        return dialect.type_descriptor(sa.Numeric(DIGITS, self.scale))

    def bind_processor(self, dialect: Dialect) -> Processor:
        """Return what turns a Decimal into the driver's value."""
        unit = Decimal(1).scaleb(-self.scale)
        scale = self.scale
        quantize = _EXACT.quantize

        def bind(value: Decimal | int | None) -> Decimal | None:
            return None if value is None else quantize(Decimal(value), unit)

        def bind_scaled(value: Decimal | int | None) -> int | None:
            return None if value is None else int(quantize(Decimal(value), unit).scaleb(scale))

        return bind_scaled if dialect.name == "sqlite" else bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return what turns the driver's value into a Decimal."""
        if dialect.name != "sqlite":
            return None
        scale = -self.scale

        def result(value: int | None) -> Decimal | None:
            return None if value is None else Decimal(value).scaleb(scale)

        return result


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware instant in UTC: timestamptz, on SQLite fixed-width text that orders by time."""

    impl = sa.DateTime
    cache_ok = True

    def __init__(self) -> None:
        """Make the type; it takes no options."""
        super().__init__(timezone=True)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the type of the column in `dialect`."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def bind_processor(self, dialect: Dialect) -> Processor:
        """Return what turns an aware datetime into the driver's value; a naive one is refused."""
        is_text = dialect.name == "sqlite"

        def bind(value: datetime | None) -> datetime | str | None:
            if value is None:
                return None
            if value.tzinfo is not UTC:
                if value.tzinfo is None:
                    raise ValueError(f"an instant needs a time zone: {value!r}")
                value = value.astimezone(UTC)
            return value.isoformat(timespec="microseconds")[:26] + "Z" if is_text else value

        return bind

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return what turns the driver's value into an aware datetime."""
        if dialect.name != "sqlite":
            return None
        read = datetime.fromisoformat

        def result(value: str | None) -> datetime | None:
            return None if value is None else read(value)

        return result


_BY_KIND: dict[str, TypeEngine[Any]] = {
    "text": TEXT,
    "id": ID,
    "integer": sa.BigInteger(),
    "boolean": sa.Boolean(),
    "date": sa.Date(),
    "time": sa.Time(),
    "instant": Instant(),
    "json": JSON,
}


def column_type(kind: str, scale: int = 0) -> TypeEngine[Any]:
    """Return the SQLAlchemy type for a storage kind, such as `text` or `decimal`."""
    return ScaledDecimal(scale) if kind == "decimal" else _BY_KIND[kind]
