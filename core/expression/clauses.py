"""A condition as the parts that people build by choosing: groups of field, operator, value.

What cannot be shown so stays as the text it was written as, so that nothing is lost
when a condition is opened in a builder and written again.
"""

from decimal import Decimal
from typing import Any

from core.expression.arithmetic import number_text
from core.expression.lexer import Token, tokenize
from core.expression.nodes import Apply, Array, Constant, Dot, Name, Operation, Written
from core.expression.parser import parse

#: A group `{"all": […]}` or `{"any": […]}`, a clause `{"field", "operator", "value"}`, or
#: `{"text"}`; numbers in values are texts, and `{"call": "TODAY"}` is a value of its own.
Part = dict[str, Any]

_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_SEARCHES = {"CONTAINS": "contains", "STARTSWITH": "starts with"}
_MOMENTS = frozenset({"TODAY", "NOW"})


def clauses(text: str) -> Part:
    """Return a condition as one group.

    Raises:
        ExpressionError: it is no expression.

    >>> clauses("status == 'a' or x is empty")["any"][1]
    {'field': 'x', 'operator': 'is empty'}
    """
    if not text.strip():
        return {"all": []}
    part = _part(parse(text), text)
    return part if "all" in part or "any" in part else {"all": [part]}


def _part(node: Written, text: str) -> Part:
    if isinstance(node, Operation) and node.operator in {"and", "or"}:
        key = "all" if node.operator == "and" else "any"
        return {key: [_part(one, text) for one in node.operands]}
    return _clause(node) or {"text": _slice(node, text)}


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


def _clause(node: Written) -> Part | None:
    if isinstance(node, Apply):
        return _searched(node)
    if not isinstance(node, Operation):
        return None
    if node.operator == "not":
        return _negated(node.operands[0])
    if node.operator == "empty":
        return _of(node.operands[0], "is empty")
    if node.operator == "in":
        return _of(node.operands[0], "in", node.operands[1])
    if node.operator not in _MIRRORED:
        return None
    left, right = node.operands
    found = _of(left, node.operator, right)
    return found or _of(right, _MIRRORED[node.operator], left)


def _negated(node: Written) -> Part | None:
    """Return `is not empty` and `not in`; a `not` before anything else stays text."""
    if isinstance(node, Operation) and node.operator == "empty":
        return _of(node.operands[0], "is not empty")
    if isinstance(node, Operation) and node.operator == "in":
        return _of(node.operands[0], "not in", node.operands[1])
    return None


def _searched(node: Apply) -> Part | None:
    operator = _SEARCHES.get(node.name.upper())
    if operator is None or len(node.arguments) != 2:  # noqa: PLR2004  a text and what it holds
        return None
    return _of(node.arguments[0], operator, node.arguments[1])


def _of(field: Written, operator: str, value: Written | None = None) -> Part | None:
    path = _path(field)
    if not path:
        return None
    if value is None:
        return {"field": path, "operator": operator}
    plain = _value(value)
    return None if plain is None else {"field": path, "operator": operator, "value": plain[0]}


def _path(node: Written) -> str:
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Dot):
        base = _path(node.base)
        return f"{base}.{node.name}" if base else ""
    return ""


def _value(node: Written) -> tuple[Any] | None:
    """Return a value that a control can hold, in a tuple; None where it is no such value."""
    if isinstance(node, Constant):
        is_number = isinstance(node.value, Decimal)
        return (number_text(node.value),) if is_number else (node.value,)
    if isinstance(node, Name) and node.name == "current_user":
        return ({"call": node.name},)
    if isinstance(node, Apply) and not node.arguments and node.name.upper() in _MOMENTS:
        return ({"call": f"{node.name.upper()}()"},)
    if isinstance(node, Array):
        items = [_value(one) for one in node.items]
        if all(one is not None and not isinstance(one[0], list | dict) for one in items):
            return ([one[0] for one in items if one is not None],)
    return None
