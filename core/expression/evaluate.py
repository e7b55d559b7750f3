"""The Python target: a typed tree becomes one closure `f(row, env)`.

At frame 0 `row` is the record. Inside a list function it is the pair of the list's row
and the `row` outside, so that names of any frame are found without a search. Common
shapes (a field against a literal) get closures of their own: they are most of all rules.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.expression import arithmetic, nodes
from core.expression.functions import INTERNAL, Function
from core.expression.places import PLACES
from core.expression.types import MAX_STEPS, BudgetExceeded, Env

if TYPE_CHECKING:
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

Run = Callable[[Any, Any], Any]

_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_ARITHMETIC = {
    "+": arithmetic.add,
    "-": arithmetic.subtract,
    "*": arithmetic.multiply,
    "/": arithmetic.divide,
}


class Counted:
    """An environment that also counts the rows that list functions visit."""

    __slots__ = (
        "_env",
        "_left",
        "follow",
        "now",
        "places",
        "rows",
        "today",
        "user",
        "variables",
        "zone",
    )

    def __init__(self, env: Env) -> None:
        """Count anew for one evaluation in `env`."""
        self._left = MAX_STEPS
        self.today: date = env.today
        self.now: datetime = env.now
        self.user: str = env.user
        self.zone: ZoneInfo = env.zone
        self.variables = env.variables
        self.places = env.places
        self.follow = env.follow
        self.rows = env.rows

    def spend(self, steps: int) -> None:
        """Take `steps` off the budget.

        Raises:
            BudgetExceeded: nothing is left.
        """
        self._left -= steps
        if self._left < 0:
            raise BudgetExceeded(limit=MAX_STEPS)


def compile_node(node: nodes.Node, functions: Mapping[str, Function], frame: int = 0) -> Run:
    """Return the closure that computes `node` for a row of frame `frame`."""
    return _Compiler(functions, frame).run(node)


class _Compiler:
    def __init__(self, functions: Mapping[str, Function], frame: int) -> None:
        self._functions = functions
        self._frame = frame

    def run(self, node: nodes.Node) -> Run:
        made: Run = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return made

    def _inside(self, frame: int) -> "_Compiler":
        return _Compiler(self._functions, frame)

    # -- values ---------------------------------------------------------------------------

    def _literal(self, node: nodes.Literal) -> Run:
        value = node.value
        return lambda _row, _env: value

    def _row(self, frame: int) -> Run:
        """Return what gives the mapping of `frame` from the row of the present frame."""
        if self._frame == 0:
            return lambda row, _env: row
        levels = self._frame - frame

        def outer(row: Any, _env: Any) -> Any:
            for _ in range(levels):
                row = row[1]
            return row[0] if frame else row

        return outer

    def _field(self, node: nodes.Field) -> Run:
        name = node.name
        if self._frame == 0:
            return lambda row, _env: row.get(name)
        if self._frame == node.frame:
            return lambda row, _env: row[0].get(name)
        find = self._row(node.frame)
        return lambda row, env: find(row, env).get(name)

    def _variable(self, node: nodes.Variable) -> Run:
        name = node.name
        known: dict[str, Run] = {
            "@today": lambda _row, env: env.today,
            "@now": lambda _row, env: env.now,
            "@zone": lambda _row, env: env.zone.key,
            "current_user": lambda _row, env: env.user,
        }
        if name.startswith(PLACES):
            key = name.removeprefix(PLACES)
            return lambda _row, env: env.places.get(key, ())
        return known.get(name) or (lambda _row, env: env.variables.get(name))

    def _linked(self, node: nodes.Linked) -> Run:
        base, target, name = self.run(node.base), node.target, node.name

        def follow(row: Any, env: Any) -> Any:
            key = base(row, env)
            found = None if key is None else env.follow(target, key)
            return None if found is None else found.get(name)

        return follow

    def _part(self, node: nodes.Part) -> Run:
        base, name, is_number = self.run(node.base), node.name, node.type.kind == "number"

        def part(row: Any, env: Any) -> Any:
            found = base(row, env)
            value = None if found is None else found.get(name)
            return Decimal(value) if is_number and value is not None else value

        return part

    # -- operators ------------------------------------------------------------------------

    def _arithmetic(self, node: nodes.Arithmetic) -> Run:
        left, right, compute = (
            self.run(node.left),
            self.run(node.right),
            _ARITHMETIC[node.operator],
        )

        def calculate(row: Any, env: Any) -> Any:
            first = left(row, env)
            second = right(row, env)
            return None if first is None or second is None else compute(first, second)

        return calculate

    def _compare(self, node: nodes.Compare) -> Run:
        if (
            isinstance(node.right, nodes.Literal)
            and isinstance(node.left, nodes.Field)
            and (self._frame == 0)
        ):
            return _field_against_literal(node.operator, node.left.name, node.right.value)
        left, right = self.run(node.left), self.run(node.right)
        if node.operator == "==":
            return lambda row, env: left(row, env) == right(row, env)
        if node.operator == "!=":
            return lambda row, env: left(row, env) != right(row, env)
        order = _ORDER[node.operator]

        def compare(row: Any, env: Any) -> bool:
            first = left(row, env)
            second = right(row, env)
            return first is not None and second is not None and order(first, second)

        return compare

    def _within(self, node: nodes.Within) -> Run:
        item, container = self.run(node.item), node.container
        if isinstance(container, nodes.Items) and all(
            isinstance(part, nodes.Literal) for part in container.items
        ):
            known = frozenset(part.value for part in container.items)  # type: ignore[attr-defined]
            if isinstance(node.item, nodes.Field) and self._frame == 0:
                name = node.item.name
                return lambda row, _env: row.get(name) in known
            return lambda row, env: item(row, env) in known
        values = self.run(container)
        if isinstance(container, nodes.Rows):
            return lambda row, env: item(row, env) in map(_id_of, values(row, env))
        return lambda row, env: item(row, env) in (values(row, env) or ())

    def _items(self, node: nodes.Items) -> Run:
        parts = [self.run(part) for part in node.items]
        return lambda row, env: [part(row, env) for part in parts]

    def _empty(self, node: nodes.Empty) -> Run:
        if isinstance(node.operand, nodes.Rows):
            rows = self.run(node.operand)
            return lambda row, env: not rows(row, env)
        value = self.run(node.operand)

        def empty(row: Any, env: Any) -> bool:
            found = value(row, env)
            return found is None or found in ("", [], (), {})

        return empty

    def _logic(self, node: nodes.Logic) -> Run:
        parts = tuple(self.run(part) for part in node.operands)
        if node.operator == "not":
            only = parts[0]
            return lambda row, env: not only(row, env)
        if len(parts) == 2:  # noqa: PLR2004  most have two
            first, second = parts
            if node.operator == "and":
                return lambda row, env: bool(first(row, env) and second(row, env))
            return lambda row, env: bool(first(row, env) or second(row, env))
        found_ends = node.operator == "or"

        def chain(row: Any, env: Any) -> bool:
            for part in parts:
                if bool(part(row, env)) is found_ends:
                    return found_ends
            return not found_ends

        return chain

    def _choose(self, node: nodes.Choose) -> Run:
        condition, then, otherwise = map(self.run, (node.condition, node.then, node.otherwise))
        return lambda row, env: then(row, env) if condition(row, env) else otherwise(row, env)

    def _call(self, node: nodes.Call) -> Run:
        function = INTERNAL.get(node.name) or self._functions[node.name]
        parts = tuple(self.run(part) for part in node.arguments)
        run = function.run
        if len(parts) == 1 and not function.takes_null:
            only, python = parts[0], function.python
            missing = False if function.result == "boolean" else None

            def call_one(row: Any, env: Any) -> Any:
                value = only(row, env)
                return missing if value is None else python(value)

            return call_one
        return lambda row, env: run(*[part(row, env) for part in parts])

    # -- lists ----------------------------------------------------------------------------

    def _rows(self, node: nodes.Rows) -> Run:
        """Return what gives ids for links, mappings for the rest."""
        name, owner = node.name, node.owner
        find = self._row(node.frame) if node.base is None else self._base(node.base)

        def rows(row: Any, env: Any) -> Sequence[Any]:
            holder = find(row, env)
            if holder is None:
                return ()
            found: Sequence[Any] | None = holder.get(name)
            return env.rows(owner, holder, name) if found is None else found

        return rows

    def _base(self, base: nodes.Node) -> Run:
        link, target = self.run(base), base.type.target

        def follow(row: Any, env: Any) -> Any:
            key = link(row, env)
            return None if key is None else env.follow(target, key)

        return follow

    def _mappings(self, node: nodes.Rows) -> Run:
        """Return what gives the rows as mappings, counting them."""
        rows, target, linked = self._rows(node), node.type.target, node.type.kind == "records"

        def mappings(row: Any, env: Any) -> Sequence[Mapping[str, Any]]:
            found: Sequence[Mapping[str, Any]] = rows(row, env)
            env.spend(len(found))
            if linked:
                records = [
                    one if isinstance(one, Mapping) else env.follow(target, one) for one in found
                ]
                return [one for one in records if one is not None]
            return found

        return mappings

    def _each(self, node: nodes.Each) -> Run:
        rows, item = self._mappings(node.rows), self._inside(node.frame).run(node.item)
        return lambda row, env: [item((one, row), env) for one in rows(row, env)]

    def _rollup(self, node: nodes.Rollup) -> Run:
        if node.item is None:
            rows = self._rows(node.rows)
            return lambda row, env: len(rows(row, env))
        each = self._each(
            nodes.Each(node.type, node.start, node.end, node.rows, node.item, node.frame)
        )
        fold = _FOLDS[node.how]
        return lambda row, env: fold(each(row, env))


def _id_of(record: Any) -> Any:
    return record.get("id") if isinstance(record, Mapping) else record


def _least(values: Sequence[Any]) -> Any:
    return min((value for value in values if value is not None), default=None)


def _most(values: Sequence[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


_FOLDS: dict[str, Callable[[Any], Any]] = {
    "sum": arithmetic.total,
    "avg": arithmetic.average,
    "min": _least,
    "max": _most,
    "any": any,
    "all": all,
    "count": lambda values: sum(map(bool, values)),
}


def _field_against_literal(sign: str, name: str, value: Any) -> Run:
    if sign == "==":
        return lambda row, _env: row.get(name) == value
    if sign == "!=":
        return lambda row, _env: row.get(name) != value
    # One function per sign: a call of `operator.ge` costs a third of the whole.
    if sign == ">=":
        return lambda row, _env: (found := row.get(name)) is not None and found >= value
    if sign == ">":
        return lambda row, _env: (found := row.get(name)) is not None and found > value
    if sign == "<=":
        return lambda row, _env: (found := row.get(name)) is not None and found <= value
    return lambda row, _env: (found := row.get(name)) is not None and found < value


def has_rows(node: Any) -> bool:
    """Return whether a tree visits lists, and so needs a counted environment."""
    if isinstance(node, nodes.Rows):
        return True
    if isinstance(node, nodes.Node):
        return any(has_rows(getattr(node, name)) for name in node.__dataclass_fields__)
    return isinstance(node, tuple) and any(map(has_rows, node))
