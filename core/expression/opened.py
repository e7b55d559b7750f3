"""Expressions that differ in the texts they compare with only: one shape, other values.

People ask the same question of many values (`store_code == 'S001'`, `'S002'` …). What is
compiled for one of them serves all, when those texts are bound instead of written.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from core.expression import nodes

#: Kinds of value that are compared as the texts they are.
_TEXTS = frozenset({"text", "choice", "record"})


@dataclass(frozen=True, slots=True)
class Opened:
    """An expression's text with holes where texts were.

    Attributes:
        shape: equal for expressions that mean the same but for the values.
        values: parameter name to text.
        names: identity of the tree's literal to the parameter that stands for it.
    """

    shape: tuple[str, ...]
    values: dict[str, str]
    names: dict[int, str]


def opened(text: str, root: nodes.Node) -> Opened:
    """Return `text`, whose tree is `root`, with its compared texts taken out.

    >>> from core.expression import Scope, Type, compile_expression
    >>> one = compile_expression("a == 'x'", Scope({"a": Type("text")}))
    >>> one.opened.shape, one.opened.values
    (('a == ', 'text', ''), {'gx_text0': 'x'})
    """
    shape: list[str] = []
    values: dict[str, str] = {}
    names: dict[int, str] = {}
    place = 0
    for literal in sorted(_compared(root), key=lambda one: one.start):
        if literal.start < place:
            return Opened((text,), {}, {})  # two literals from one place are not exchangeable
        name = f"gx_text{len(values)}"
        values[name], names[id(literal)] = literal.value, name
        shape += (text[place : literal.start], literal.type.kind)
        place = literal.end
    return Opened((*shape, text[place:]), values, names)


def _compared(node: nodes.Node) -> Iterator[nodes.Literal]:
    """Yield the text literals that are compared with something that is none."""
    if isinstance(node, nodes.Compare):
        sides = node.left, node.right
        literals = [one for one in sides if isinstance(one, nodes.Literal)]
        if len(literals) == 1 and all(one.type.kind in _TEXTS for one in sides):
            yield from (one for one in literals if isinstance(one.value, str))
    for part in _parts(node):
        yield from _compared(part)


def _parts(node: nodes.Node) -> Iterator[nodes.Node]:
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, nodes.Node):
            yield value
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, nodes.Node))
