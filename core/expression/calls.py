"""Checking of function calls: which function, which arguments, which result."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.expression import coerce, dates, nodes
from core.expression.coerce import BROKEN, ORDERED, TEXTUAL, common_type, read_literal
from core.expression.functions import SPECIAL, Function
from core.expression.nodes import Node, Written
from core.expression.places import PLACE_LISTS, PLACES, POSITION, place_key
from core.expression.types import (
    BOOLEAN,
    DATE,
    DATETIME,
    NUMBER,
    TEXT,
    Kind,
    Type,
    nearest,
)
from core.i18n import N_

_ROLLUPS = frozenset({"SUM", "AVG", "MIN", "MAX", "COUNT", "ANY", "ALL"})
#: How many arguments a special function takes.
_ARITY = {
    "IF": (3, 3),
    "TEXT": (1, 1),
    "DATE": (1, 1),
    "TODAY": (0, 0),
    "NOW": (0, 0),
    "MY_STORES": (0, 1),
    "MY_STORES_BELOW": (0, 1),
    "MY_DEPARTMENTS": (0, 1),
    "MY_DEPARTMENTS_BELOW": (0, 1),
    "DATEADD": (2, 3),
    "DATEDIFF": (2, 3),
    "ANY": (2, 2),
    "ALL": (2, 2),
}


class Calls(ABC):
    """The half of the checker that knows functions."""

    functions: Mapping[str, Function]
    frames: list[Any]
    called: set[str]
    is_local: bool

    @abstractmethod
    def check(self, written: Written) -> Node:
        """Return the typed node for a written one."""

    @abstractmethod
    def condition(self, written: Written) -> Node:
        """Return a node that is true or false."""

    @abstractmethod
    def choose(self, written: Written, operands: tuple[Written, ...]) -> Node:
        """Return a choice between two values."""

    @abstractmethod
    def open_rows(self, rows: nodes.Rows) -> int:
        """Enter the names of a list's rows."""

    @abstractmethod
    def fail(self, at: Written | Node | int, code: str, text: str, **params: Any) -> Node:
        """Note a problem."""

    def _apply(self, written: nodes.Apply) -> Node:
        name = written.name.upper()
        if name not in SPECIAL and name not in self.functions:
            return self._no_function(written)
        self.called.add(name)
        function = self.functions.get(name)
        least, most = _arity(name, function)
        if not least <= len(written.arguments) <= most:
            signature = SPECIAL.get(name) or _signature(self.functions[name])
            return self.fail(
                written, "argument_count", N_("It takes {signature}."), signature=signature
            )
        if function is not None:
            return self._plain(written, function)
        if name in PLACE_LISTS:
            return self._places(written, name)
        node: Node = getattr(self, f"_call_{name.lower()}", self._rollup_or_values)(written)
        return node

    def _places(self, written: nodes.Apply, name: str) -> Node:
        """Return the list of places where the person acting holds a position, or any."""
        self.is_local = False
        position = ""
        for argument in written.arguments:
            if not (isinstance(argument, nodes.Constant) and isinstance(argument.value, str)):
                text = N_("A position is named here, as in MY_STORES('manager').")
                return self.fail(argument, "wrong_argument", text)
            position = argument.value
            if not POSITION.fullmatch(position):
                text = N_("A name is of small letters, digits and single _; not {name}.")
                return self.fail(argument, "wrong_argument", text, name=position[:80])
        key = place_key(PLACE_LISTS[name], position)
        found = Type("list", element=TEXT)
        return nodes.Variable(found, written.start, written.end, f"{PLACES}{key}")

    def _no_function(self, written: nodes.Apply) -> Node:
        meant = nearest(written.name, [*SPECIAL, *self.functions])
        if meant:
            return self.fail(
                written,
                "unknown_function",
                N_("There is no function {name}. Is {nearest} meant?"),
                name=written.name,
                nearest=meant,
            )
        return self.fail(
            written, "unknown_function", N_("There is no function {name}."), name=written.name
        )

    def _plain(self, written: nodes.Apply, function: Function) -> Node:
        arguments: list[Node] = []
        for number, argument in enumerate(written.arguments):
            last = min(number, len(function.parameters) - 1)
            arguments.append(self._fitted(self.check(argument), function.parameters[last]))
        if any(argument.type is BROKEN for argument in arguments):
            return nodes.Literal(BROKEN, written.start, written.end, None)
        found = Type(function.result)
        return nodes.Call(found, written.start, written.end, function.name, tuple(arguments))

    def _fitted(self, node: Node, kind: Kind) -> Node:
        """Return a node as an argument of `kind`, with a problem noted when it is none."""
        if node.type is BROKEN or kind in {"any", node.type.kind} or node.type.kind == "null":
            return node
        if kind == "text" and node.type.kind == "choice":
            return node
        if kind == "date" and node.type.kind == "datetime":
            return coerce.to_date(node)
        if kind == "datetime" and node.type.kind == "date":
            return coerce.to_datetime(node)
        literal = read_literal(node, kind)
        if literal is not None:
            return coerce.to_datetime(literal) if kind == "datetime" else literal
        return self.fail(
            node,
            "wrong_argument",
            N_("{kind} is expected here, not {found}."),
            kind=kind,
            found=str(node.type),
        )

    def unify(self, at: Written, values: Sequence[Node]) -> tuple[Type, list[Node]] | None:
        """Return one type for all values and the values fitted to it, or None."""
        kinds = {value.type.kind for value in values} - {"null", "text"}
        if len(kinds) == 1:
            kind = next(iter(kinds))
            values = [read_literal(value, kind) or value for value in values]
        found = common_type([value.type for value in values])
        if found is None or found.kind in {"rows", "records", "list"}:
            shown = ", ".join(sorted({str(value.type) for value in values}))
            self.fail(
                at, "no_common_type", N_("These values do not go together: {kinds}."), kinds=shown
            )
            return None
        if found is BROKEN:
            return None
        if found.kind == "datetime":
            values = [coerce.to_datetime(value) for value in values]
        return found, list(values)

    # -- special functions ----------------------------------------------------------------

    def _call_if(self, written: nodes.Apply) -> Node:
        return self.choose(written, written.arguments)

    def _call_today(self, written: nodes.Apply) -> Node:
        self.is_local = False
        return nodes.Variable(DATE, written.start, written.end, "@today")

    def _call_now(self, written: nodes.Apply) -> Node:
        self.is_local = False
        return nodes.Variable(DATETIME, written.start, written.end, "@now")

    def _call_date(self, written: nodes.Apply) -> Node:
        return self._fitted(self.check(written.arguments[0]), "date")

    def _call_text(self, written: nodes.Apply) -> Node:
        node = self._as_text(self.check(written.arguments[0]))
        if node.type.kind in {"choice", "record"}:
            return nodes.Call(TEXT, node.start, node.end, "TEXT", (node,))
        return node

    def _call_concat(self, written: nodes.Apply) -> Node:
        parts = tuple(self._as_text(self.check(argument)) for argument in written.arguments)
        if any(part.type is BROKEN for part in parts):
            return nodes.Literal(BROKEN, written.start, written.end, None)
        return nodes.Call(TEXT, written.start, written.end, "CONCAT", parts)

    def _as_text(self, node: Node) -> Node:
        if node.type is BROKEN or node.type.kind in {*TEXTUAL, "null"}:
            return node
        if node.type.kind not in {"number", "boolean", "date"}:
            return self.fail(node, "no_text", N_("{kind} has no text form."), kind=str(node.type))
        return nodes.Call(TEXT, node.start, node.end, "TEXT", (node,))

    def _call_coalesce(self, written: nodes.Apply) -> Node:
        return self._values(written, "COALESCE")

    def _values(self, written: nodes.Apply, name: str) -> Node:
        found = self.unify(written, [self.check(argument) for argument in written.arguments])
        if found is None:
            return nodes.Literal(BROKEN, written.start, written.end, None)
        result, values = found
        return nodes.Call(result, written.start, written.end, name, tuple(values))

    def _call_dateadd(self, written: nodes.Apply) -> Node:
        unit = self._unit(written)
        start = self._day_or_instant(self.check(written.arguments[0]))
        count = self._fitted(self.check(written.arguments[1]), "number")
        if unit is None or BROKEN in (start.type, count.type):
            return nodes.Literal(BROKEN, written.start, written.end, None)
        place = (written.start, written.end)
        if unit.value in dates.SECONDS:
            if start.type.kind != "datetime":
                return self.fail(unit, "unit", N_("A date has no {unit}s."), unit=unit.value)
            return nodes.Call(DATETIME, *place, "ADD_CLOCK", (start, count, unit))
        if start.type.kind == "datetime":
            zone = coerce.zone_at(start)
            return nodes.Call(DATETIME, *place, "ADD_WALL", (start, count, unit, zone))
        return nodes.Call(DATE, *place, "ADD_TO_DATE", (start, count, unit))

    def _call_datediff(self, written: nodes.Apply) -> Node:
        unit = self._unit(written)
        pair = [self._day_or_instant(self.check(part)) for part in written.arguments[:2]]
        if unit is None or any(part.type is BROKEN for part in pair):
            return nodes.Literal(BROKEN, written.start, written.end, None)
        clock = unit.value in dates.SECONDS
        fit, name = (
            (coerce.to_datetime, "CLOCK_BETWEEN") if clock else (coerce.to_date, "DAYS_BETWEEN")
        )
        first, last = map(fit, pair)
        return nodes.Call(NUMBER, written.start, written.end, name, (first, last, unit))

    def _day_or_instant(self, node: Node) -> Node:
        literal = read_literal(node, "datetime")
        return literal or (node if node.type.kind == "datetime" else self._fitted(node, "date"))

    def _unit(self, written: nodes.Apply) -> nodes.Literal | None:
        if len(written.arguments) < 3:  # noqa: PLR2004  the unit is the third
            return nodes.Literal(TEXT, written.end, written.end, "day")
        unit = self.check(written.arguments[2])
        if isinstance(unit, nodes.Literal) and unit.value in dates.UNITS:
            return unit
        if unit.type is not BROKEN:
            self.fail(
                unit,
                "unit",
                N_("The unit is one of {units}, in quotes."),
                units=", ".join(dates.UNITS),
            )
        return None

    # -- lists ----------------------------------------------------------------------------

    def _rollup_or_values(self, written: nodes.Apply) -> Node:
        name = written.name.upper()
        stepwise = self._stepwise(written, name)
        if stepwise is not None:
            return stepwise
        first = self.check(written.arguments[0])
        if first.type is BROKEN:
            return first
        if isinstance(first, nodes.Rows):
            return self._over_rows(written, name, first)
        if isinstance(first, nodes.Each):
            return self._over_each(written, name, first)
        if name in {"ANY", "ALL"}:
            return self.fail(
                first, "not_rows", N_("{name} needs a table field or a list of links."), name=name
            )
        if name == "COUNT":
            return self._count_values(written, first)
        node = self._values(written, name)
        return self._checked_result(node, name)

    def _stepwise(self, written: nodes.Apply, name: str) -> Node | None:
        """Return a list function over rows inside of rows, taken row by row; None for others.

        `SUM(lines.parts.amount)` is `SUM(lines, SUM(parts.amount))`.
        """
        steps = _steps(written.arguments[0])
        if len(steps) < 2 or not isinstance(steps[0], nodes.Name):  # noqa: PLR2004
            return None
        outer = next((it for it in reversed(self.frames) if steps[0].name in it.fields), None)
        found = outer.fields[steps[0].name] if outer else None
        inside = (found.fields or {}).get(steps[1].name) if found else None
        if found is None or found.kind != "rows" or inside is None or inside.kind != "rows":
            return None
        if name == "AVG":
            text = N_("A mean over rows inside of rows is SUM divided by COUNT.")
            return self.fail(written, "nested_mean", text)
        place: Written = nodes.Name(steps[1].at, written.arguments[0].end, steps[1].name)
        for step in steps[2:]:
            place = nodes.Dot(place.start, step.end, place, step.name, step.at)
        each = replace(written, arguments=(place, *written.arguments[1:]))
        whole = nodes.Apply(
            written.start, written.end, "SUM" if name == "COUNT" else name, (steps[0], each)
        )
        return self.check(whole)

    def _checked_result(self, node: Node, name: str) -> Node:
        kinds = {"number"} if name in {"SUM", "AVG"} else ORDERED
        if node.type is BROKEN or node.type.kind in kinds:
            return node
        return self.fail(
            node,
            "wrong_argument",
            N_("{name} cannot take {found}."),
            name=name,
            found=str(node.type),
        )

    def _count_values(self, written: nodes.Apply, first: Node) -> Node:
        place = (NUMBER, written.start, written.end)
        if first.type.kind == "choices" and len(written.arguments) == 1:
            return nodes.Call(*place, "COUNT_CHOICES", (first,))
        rest = [self.check(argument) for argument in written.arguments[1:]]
        return nodes.Call(*place, "COUNT", (first, *rest))

    def _over_rows(self, written: nodes.Apply, name: str, rows: nodes.Rows) -> Node:
        place = (written.start, written.end)
        if len(written.arguments) > 2:  # noqa: PLR2004  the rows and one expression over them
            return self.fail(
                written,
                "argument_count",
                N_("It takes {signature}."),
                signature=f"{name}(rows, expression)",
            )
        if len(written.arguments) == 1:
            if name != "COUNT":
                return self.fail(
                    rows, "needs_field", N_("Say which field of {name} is meant."), name=rows.name
                )
            return nodes.Rollup(NUMBER, *place, "count", rows, None, len(self.frames))
        frame = self.open_rows(rows)
        wants_condition = name in {"ANY", "ALL", "COUNT"}
        item = (self.condition if wants_condition else self.check)(written.arguments[1])
        self.frames.pop()
        return self._rollup(written, name, nodes.Each(BROKEN, *place, rows, item, frame))

    def _over_each(self, written: nodes.Apply, name: str, each: nodes.Each) -> Node:
        if len(written.arguments) != 1 or (
            name in {"ANY", "ALL"} and each.item.type.kind != "boolean"
        ):
            return self.fail(
                written,
                "argument_count",
                N_("It takes {signature}."),
                signature=f"{name}({each.rows.name}, expression)",
            )
        if name == "COUNT":
            item: Node = nodes.Empty(BOOLEAN, each.start, each.end, each.item)
            present = nodes.Logic(BOOLEAN, each.start, each.end, "not", (item,))
            each = replace(each, item=present)
        return self._rollup(written, name, each)

    def _rollup(self, written: Written, name: str, each: nodes.Each) -> Node:
        item = (
            self._checked_result(each.item, name)
            if name not in {"ANY", "ALL", "COUNT"}
            else (each.item)
        )
        if item.type is BROKEN:
            return item
        result = BOOLEAN if name in {"ANY", "ALL"} else NUMBER if name == "COUNT" else item.type
        return nodes.Rollup(
            result, written.start, written.end, name.lower(), each.rows, item, each.frame
        )


def _steps(written: Written) -> list[Any]:
    """Return `lines.parts.amount` as its name and the dots after it; empty for anything else."""
    steps: list[Any] = []
    while isinstance(written, nodes.Dot):
        steps.insert(0, written)
        written = written.base
    return [written, *steps] if isinstance(written, nodes.Name) else []


def _arity(name: str, function: Function | None) -> tuple[int, int]:
    if function is None:
        return _ARITY.get(name, (1, 100))
    count = len(function.parameters)
    return count - function.optional, 100 if function.variadic else count


def _signature(function: Function) -> str:
    return f"{function.name}({', '.join(function.parameters)})"
