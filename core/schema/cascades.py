"""Filters that depend on the record being filled in: `province == this.province`.

The filter of a link, or of where choices come from, is about the records to choose among;
`this` stands for the record or row that is chosen for. Before such a filter is asked, what
`this` names is put in as plain values, so that it is a filter like any other.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from core.clock import to_wire
from core.expression import Expression, nodes
from core.expression.arithmetic import number_text
from core.expression.types import TEXT, Scope, Type

#: What the record being filled in is called.
THIS = "this"

#: Kinds that a filter can compare with.
_PLAIN = frozenset({"text", "number", "boolean", "date", "time", "datetime", "choice"})


def cascading_scope(target: Scope, own: Scope) -> Scope:
    """Return the scope of a filter over `target` for fields of `own`."""
    fields: dict[str, Type] = {}
    for name, kind in own.fields.items():
        if kind.kind == "record":
            fields[name] = TEXT  # its id: what a link is compared by
        elif kind.kind in _PLAIN:
            # An option of one form need not be one of the other.
            fields[name] = TEXT if kind.kind == "choice" else kind
    this = Type("structure", target=own.name, fields=fields)
    return replace(target, variables={**target.variables, THIS: this})


def cascades(text: str) -> bool:
    """Return whether a filter may depend on the record being filled in."""
    return f"{THIS}." in text


def named(expression: Expression) -> frozenset[str]:
    """Return the fields of the record being filled in that a filter depends on."""
    return frozenset(part.name for part in _parts(expression.node))


def narrowed(expression: Expression, row: Mapping[str, Any]) -> str:
    """Return a cascading filter for one record or row (Python values), as plain text."""
    text = expression.text
    for part in sorted(_parts(expression.node), key=lambda one: one.start, reverse=True):
        text = text[: part.start] + _literal(row.get(part.name)) + text[part.end :]
    return text


def _parts(node: Any) -> Iterator[nodes.Part]:
    if isinstance(node, nodes.Part) and isinstance(node.base, nodes.Variable):
        yield node
    elif isinstance(node, nodes.Node):
        for name in node.__dataclass_fields__:
            yield from _parts(getattr(node, name))
    elif isinstance(node, tuple):
        for one in node:
            yield from _parts(one)


def _literal(value: Any) -> str:
    """Return a value as the language writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return f"({number_text(Decimal(value))})"
    if isinstance(value, datetime):
        value = to_wire(value)
    elif isinstance(value, date | time):
        value = value.isoformat()
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
