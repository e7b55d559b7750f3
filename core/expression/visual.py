"""Conditions as rows of field, operator and value, for people who build them by choosing.

`read_rows` takes an expression apart; what no row can say stays as its own text, so that
nothing is lost. Writing is the browser's: a row's text is put together there.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from core.expression.arithmetic import number_text
from core.expression.lexer import Token, tokenize
from core.expression.nodes import Apply, Array, Constant, Dot, Name, Operation, Written
from core.expression.parser import parse

#: Functions of a field and a text that are operators in a row.
_CALLS = {"CONTAINS": "contains", "STARTSWITH": "starts with"}
_COMPARED = frozenset({"==", "!=", "<", "<=", ">", ">="})
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
#: Functions without arguments whose result can stand as a value.
_MOMENTS = frozenset({"TODAY", "NOW"})
#: `DATEADD(TODAY(), -30, 'day')`: a day counted from one of the moments.
_SHIFT = 3
_WEEKDAYS = frozenset("1234567")
#: Functions by which two days are compared, as on birthdays -> the row's operator.
_SAME = {"MONTH": "same month", "DAY": "same day"}
_DAYS = frozenset({"field", "call"})
#: Names that are values and no fields.
_VARIABLES = frozenset({"current_user"})
#: Groups inside each other that rows show.
_DEEPEST = 4

Row = dict[str, Any]


def read_rows(text: str) -> Row:
    """Return an expression as a group of rows.

    A group is `{"how": "and" | "or", "parts": […]}`, a row `{"field", "operator", "values"}`
    with values `{"kind": "text" | "number" | "truth" | "name" | "call" | "field", "text"}`,
    and anything else `{"text"}`. A blank text is no condition: a group of nothing.

    Raises:
        ExpressionError: the text is not an expression.

    >>> read_rows("status == 'a' or x is empty")["parts"][1]
    {'field': 'x', 'operator': 'is empty', 'values': []}
    """
    if not text.strip():
        return {"how": "and", "parts": []}
    tree = parse(text)
    found = _part(tree, text, 0)
    return found if "parts" in found else {"how": "and", "parts": [found]}


def _part(tree: Written, text: str, depth: int) -> Row:
    if isinstance(tree, Operation) and tree.operator in {"and", "or"} and depth < _DEEPEST:
        parts = [_part(one, text, depth + 1) for one in tree.operands]
        return {"how": tree.operator, "parts": parts}
    return _row(tree) or {"text": _slice(tree, text)}


def _slice(node: Written, text: str) -> str:
    """Return the text of a node with the brackets that belong to it.

    A node's place begins and ends with its operands, which may stand in brackets.
    """
    start, end = node.start, node.end
    tokens = tokenize(text)
    opened, unopened = 0, 0
    for token in tokens:
        if not start <= token.start < end:
            continue
        if _is(token, "("):
            opened += 1
        elif _is(token, ")"):
            opened, unopened = (opened - 1, unopened) if opened else (0, unopened + 1)
    before = [one.start for one in tokens if one.start < start and _is(one, "(")]
    after = [one.end for one in tokens if one.start >= end and _is(one, ")")]
    if unopened:
        start = before[-unopened]
    if opened:
        end = after[opened - 1]
    return text[start:end]


def _is(token: Token, bracket: str) -> bool:
    return token.kind == "operator" and token.value == bracket


def _row(tree: Written) -> Row | None:
    if isinstance(tree, Apply):
        return _called(tree)
    if not isinstance(tree, Operation):
        return None
    if tree.operator == "not":
        inner = _row(tree.operands[0])
        negated = {"is empty": "is not empty", "in": "not in", "has": "has not"}
        if inner is None or inner["operator"] not in negated:
            return None
        return {**inner, "operator": negated[inner["operator"]]}
    if tree.operator == "empty":
        field = _field(tree.operands[0])
        return {"field": field, "operator": "is empty", "values": []} if field else None
    if tree.operator == "in":
        return _within(tree)
    return _compared(tree) if tree.operator in _COMPARED else None


def _called(tree: Apply) -> Row | None:
    operator = _CALLS.get(tree.name.upper())
    if operator is None or len(tree.arguments) != 2:  # noqa: PLR2004  a field and a text
        return None
    field, value = _field(tree.arguments[0]), _value(tree.arguments[1])
    return _made(field, operator, value)


def _compared(tree: Operation) -> Row | None:
    left, right, operator = *tree.operands, tree.operator
    of_days = (_weekdays(left, (right,)) or _same(left, right)) if operator == "==" else None
    if of_days is not None:
        return of_days
    if not _field(left) and _field(right):
        left, right, operator = right, left, _MIRRORED[operator]
    other = _field(right)
    return _made(
        _field(left), operator, {"kind": "field", "text": other} if other else _value(right)
    )


def _within(tree: Operation) -> Row | None:
    item, container = tree.operands
    if isinstance(container, Array):
        values = [_value(one) for one in container.items]
        weekdays = _weekdays(item, container.items)
        if weekdays is not None:
            return weekdays
        field = _field(item)
        plain = [one for one in values if one is not None and one["kind"] not in {"name", "call"}]
        if not field or not values or len(plain) != len(values):
            return None
        return {"field": field, "operator": "in", "values": plain}
    return _made(_field(container), "has", _value(item))


def _weekdays(tree: Written, days: Sequence[Written]) -> Row | None:
    """Return `WEEKDAY(field) in [2, 6]` as a row: the days of the week, Monday 1 to Sunday 7."""
    if not isinstance(tree, Apply) or tree.name.upper() != "WEEKDAY" or len(tree.arguments) != 1:
        return None
    field, values = _field(tree.arguments[0]), [_value(one) for one in days]
    known = [one for one in values if one is not None and one["text"] in _WEEKDAYS]
    if not field or not known or len(known) != len(values):
        return None
    return {"field": field, "operator": "weekday", "values": known}


def _same(left: Written, right: Written) -> Row | None:
    """Return `MONTH(born) == MONTH(sold)` as a row that compares one day with another."""
    called = [
        (one.name.upper(), *one.arguments)
        for one in (left, right)
        if isinstance(one, Apply) and len(one.arguments) == 1
    ]
    if len(called) < 2 or called[0][0] != called[1][0] or called[0][0] not in _SAME:  # noqa: PLR2004
        return None
    (name, first), (_name, second) = called
    other = _field(second)
    value = {"kind": "field", "text": other} if other else _value(second)
    # The other one is a field, or today: nothing else says a day by itself.
    return _made(_field(first), _SAME[name], value) if value and value["kind"] in _DAYS else None


def _made(field: str, operator: str, value: Row | None) -> Row | None:
    if not field or value is None:
        return None
    return {"field": field, "operator": operator, "values": [value]}


def _field(tree: Written) -> str:
    """Return the dotted name of a field, or `""`."""
    if isinstance(tree, Dot):
        base = _field(tree.base)
        return f"{base}.{tree.name}" if base else ""
    return tree.name if isinstance(tree, Name) and tree.name not in _VARIABLES else ""


def _value(tree: Written) -> Row | None:
    if isinstance(tree, Name) and tree.name in _VARIABLES:
        return {"kind": "name", "text": tree.name}
    if isinstance(tree, Apply) and tree.name.upper() in _MOMENTS and not tree.arguments:
        return {"kind": "call", "text": f"{tree.name.upper()}()"}
    if isinstance(tree, Apply):
        return _shifted(tree)
    if not isinstance(tree, Constant) or tree.value is None:
        return None
    if isinstance(tree.value, bool):
        return {"kind": "truth", "text": str(tree.value).lower()}
    if isinstance(tree.value, Decimal):
        return {"kind": "number", "text": number_text(tree.value)}
    return {"kind": "text", "text": tree.value}


def _shifted(tree: Apply) -> Row | None:
    """Return a day that is counted from now: so many days, and no other unit."""
    if tree.name.upper() != "DATEADD" or len(tree.arguments) != _SHIFT:
        return None
    start, days, unit = tree.arguments
    moment = _value(start) if isinstance(start, Apply) and not start.arguments else None
    count = days.value if isinstance(days, Constant) else None
    if moment is None or not isinstance(count, Decimal) or count != count.to_integral_value():
        return None
    if not isinstance(unit, Constant) or unit.value != "day":
        return None
    return {"kind": "call", "text": f"DATEADD({moment['text']}, {number_text(count)}, 'day')"}
