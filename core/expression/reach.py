"""What an expression looks at: its own record's fields, linked records, or further lists."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from core.expression import nodes


@dataclass(frozen=True, slots=True)
class Reach:
    """What must be at hand to compute an expression.

    Attributes:
        own: names of the record's own fields, table and links fields included.
        linked: (record type, field) of everything read through links.
        hops: the parts that read through a link.
        is_bounded: that is all; without it the expression reads lists of other records too.
    """

    own: frozenset[str]
    linked: frozenset[tuple[str, str]]
    hops: tuple[nodes.Linked, ...]
    is_bounded: bool
    columns: frozenset[str] = frozenset()


def reach_of(root: nodes.Node, depth: int = 0) -> Reach:
    """Return what the expression with the tree `root` looks at.

    >>> from core.expression import Scope, Type, compile_expression
    >>> scope = Scope({"m": Type("record", target="t")}, lambda name: {"tier": Type("text")})
    >>> reach_of(compile_expression("m.tier == 'gold'", scope).node).linked
    frozenset({('t', 'tier')})
    """
    own: set[str] = set()
    columns: set[str] = set()
    hops: list[nodes.Linked] = []
    is_bounded = True
    for node in _nodes(root):
        if isinstance(node, nodes.Field) and node.frame == 0:
            own.add(node.name)
        elif isinstance(node, nodes.Field) and node.frame == depth:
            columns.add(node.name)
        elif isinstance(node, nodes.Linked):
            hops.append(node)
        elif isinstance(node, nodes.Rows):
            if node.frame == 0 or node.base is not None:
                own.add(node.name)
            elif node.frame == depth:
                columns.add(node.name)
            # Rows inside of rows are at hand with these.
            is_near = node.frame <= depth or node.type.kind == "rows"
            is_bounded = is_bounded and node.base is None and is_near
        elif isinstance(node, (nodes.Each, nodes.Rollup)):
            goes_in = isinstance(node, nodes.Each) or node.item is not None
            is_bounded = is_bounded and not (goes_in and node.rows.type.kind == "records")
    linked = frozenset((one.target, one.name) for one in hops)
    return Reach(frozenset(own), linked, tuple(hops), is_bounded, frozenset(columns))


def _nodes(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield a node and everything below it."""
    yield node
    for each in fields(node):
        value = getattr(node, each.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, nodes.Node):
                yield from _nodes(part)
