"""A compiled expression: what everything else holds and asks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from core.expression import nodes
from core.expression.check import Checker
from core.expression.coerce import BROKEN, read_literal, to_date, to_datetime
from core.expression.evaluate import Counted, Run, compile_node, has_rows
from core.expression.functions import FUNCTIONS, Function
from core.expression.jsontree import to_json
from core.expression.opened import Opened, opened
from core.expression.parser import parse
from core.expression.reach import Reach, reach_of
from core.expression.types import Env, ExpressionError, Kind, Scope, Type, problem
from core.i18n import N_


@dataclass(frozen=True)
class Expression:
    """A typed expression.

    Attributes:
        text: as a person wrote it.
        type: of its value.
        paths: dotted names it reads, such as `member.tier.name` and `lines.amount`.
        functions: names of the functions it calls.
        uses: each field and option it names, with its place, for renaming and impact.
        is_local: it reads nothing but the record's own fields and table rows, so that
            its value changes only when the record does.
        node: the typed tree.
        depth: 1 where it is about a row and sees the record that holds it: it is then
            evaluated for the pair of both, and its `paths` are the record's. 2 for a row
            inside a row, whose pair has such a pair in the record's place.
    """

    text: str
    type: Type
    paths: frozenset[str]
    functions: frozenset[str]
    uses: tuple[nodes.Use, ...]
    is_local: bool
    node: nodes.Node
    table: Mapping[str, Function] = field(repr=False)
    depth: int = 0

    @cached_property
    def _counts(self) -> bool:
        return has_rows(self.node)

    @cached_property
    def opened(self) -> Opened:
        """Return the text with the texts it compares with taken out."""
        return opened(self.text, self.node)

    @cached_property
    def run(self) -> Run:
        """Return the bare closure `f(row, env)`, for loops over many rows.

        It equals `evaluate` where the expression has no list functions.
        """
        run = compile_node(self.node, self.table, self.depth)
        if self._counts:
            return lambda row, env: run(row, Counted(env))
        return run

    def evaluate(self, row: Any, env: Env) -> Any:
        """Return the value for one row: field name to Python value, or a pair of such.

        Raises:
            BudgetExceeded: its list functions would visit too many rows.
        """
        return self.run(row, env)

    @cached_property
    def reach(self) -> Reach:
        """Return what must be at hand to compute it."""
        return reach_of(self.node, self.depth)

    @cached_property
    def parts(self) -> "tuple[Part, ...]":
        """Return each part that decides the value, in reading order, the whole first."""
        return tuple(
            Part(
                self.part(node),
                frozenset(
                    (use.owner, use.name)
                    for use in self.uses
                    if node.start <= use.start and use.end <= node.end
                ),
            )
            for node in _deciding(self.node)
        )

    def part(self, node: nodes.Node) -> "Expression":
        """Return the part of it that `node`, outside any list, stands for."""
        text = self.text[node.start : node.end]
        return replace(self, text=text, type=node.type, uses=(), node=node)

    def trace(self, row: Any, env: Env) -> list[dict[str, Any]]:
        """Return the text and the value of each part that decides the value."""
        return [
            {"text": part.expression.text, "value": part.expression.evaluate(row, env)}
            for part in self.parts
        ]

    def to_json(self) -> Any:
        """Return the tree as plain JSON values, which `expression.js` computes."""
        return to_json(self.node, self.table)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an expression that decides its value.

    Attributes:
        expression: the part on its own, over the same record.
        reads: (record type, field) of everything that it names.
    """

    expression: Expression
    reads: frozenset[tuple[str, str]]

    @property
    def is_value(self) -> bool:
        """Return whether it is a field's value rather than a condition on some."""
        return isinstance(self.expression.node, (nodes.Field, nodes.Linked))


def _deciding(node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield the conditions of a tree and the fields that they read, outermost frame only."""
    if isinstance(node, (nodes.Field, nodes.Linked)) or (
        node.type.kind == "boolean" and not isinstance(node, nodes.Literal)
    ):
        yield node
    if isinstance(node, (nodes.Rollup, nodes.Each, nodes.Linked)):
        return
    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, nodes.Node):
                yield from _deciding(part)


def compile_expression(
    text: str,
    scope: Scope,
    *,
    expect: Kind | None = None,
    functions: Mapping[str, Function] = FUNCTIONS,
) -> Expression:
    """Return `text` compiled against the names of `scope`.

    Args:
        text: the expression.
        scope: the names it may use.
        expect: kind that its value must have; null fits every kind but `boolean`, and any
            list is a `list`, which no other expression may give.
        functions: the functions it may call.

    Raises:
        ExpressionError: it is wrong; all problems are named, each with its position.
    """
    checker = Checker(scope, functions)
    node = checker.check(parse(text))
    if not checker.problems and expect is not None:
        node = _expected(checker, node, expect)
    if not checker.problems and expect != "list" and node.type.kind in _LISTS - {"choices"}:
        checker.fail(node, "a_list", N_("A list is not a value; use SUM, COUNT, ANY or ALL."))
    if checker.problems:
        raise ExpressionError(problems=checker.problems)
    return Expression(
        text,
        node.type,
        frozenset(checker.paths),
        frozenset(checker.called),
        tuple(checker.uses),
        checker.is_local,
        node,
        functions,
        len(scope.around()) - 1,
    )


_LISTS = frozenset({"rows", "records", "list", "choices"})

#: Which other kinds do for an expected one.
_FITS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"choice", "record"}),
    "choice": frozenset({"text"}),
    "record": frozenset({"text"}),
}


def _expected(checker: Checker, node: nodes.Node, expect: Kind) -> nodes.Node:
    kind = node.type.kind
    if expect == "list" and kind in _LISTS:
        return node
    if kind == expect or node.type is BROKEN or kind in _FITS.get(expect, ()):
        return node
    if kind == "null" and expect != "boolean":
        return node
    if expect == "datetime" and kind in {"date", "text"}:
        read = read_literal(node, expect)
        if read is not None or kind == "date":
            return to_datetime(read or node)
    if expect == "date" and kind == "datetime":
        return to_date(node)
    return read_literal(node, expect) or checker.fail(
        node,
        "wrong_type",
        N_("The value must be {expected}, not {found}."),
        expected=expect,
        found=str(node.type),
    )


__all__ = ["Expression", "compile_expression", "problem"]
