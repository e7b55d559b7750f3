"""Numbers on SQLite as they are stored: scaled integers, compared without leaving their index."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

Element = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class StoredNumber:
    """A number on SQLite: a scaled integer, or with `scale` None its text."""

    element: Element
    scale: int | None


_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
#: The comparisons, null-safe where they must be.
SIGNS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a.is_distinct_from(b),
}


def against_number(column: StoredNumber, value: Any, operator: str) -> Element:
    """Return a comparison of a scaled integer column with a literal, as plain integers."""
    exact = Decimal(value).scaleb(column.scale or 0)
    whole = int(exact.to_integral_value(ROUND_FLOOR))
    if whole != exact:
        if operator in {"==", "!="}:
            return sa.false() if operator == "==" else sa.true()
        # x < 2.5 and x <= 2.5 both mean x <= 2; x > 2.5 and x >= 2.5 mean x >= 3.
        if operator in {"<", "<="}:
            operator = "<="
        else:
            operator, whole = ">=", int(exact.to_integral_value(ROUND_CEILING))
    if not _MIN_INTEGER <= whole <= _MAX_INTEGER:
        return _beyond(column.element, operator, is_above=whole > 0)
    return SIGNS[operator](column.element, sa.literal(whole, sa.BigInteger))  # type: ignore[no-any-return]


def _beyond(element: Element, operator: str, *, is_above: bool) -> Element:
    """Return the comparison with a number that no column can reach."""
    if operator == "!=":
        return sa.true()
    if operator != "==" and (operator in {"<", "<="}) is is_above:
        return element.is_not(None)
    return sa.false()
