"""The tree as written to the tree as meant: names found, types fitted, problems collected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.expression import coerce, nodes
from core.expression.calls import Calls
from core.expression.coerce import BROKEN, ORDERED, TEXTUAL, common_type, is_null, read_literal
from core.expression.functions import Function
from core.expression.nodes import Node, Written
from core.expression.types import (
    BOOLEAN,
    DATETIME,
    DURATION,
    NULL,
    NUMBER,
    TEXT,
    Scope,
    Type,
    nearest,
    problem,
)
from core.i18n import N_

if TYPE_CHECKING:
    from core.errors import Problem


@dataclass(frozen=True, slots=True)
class Frame:
    """One level of names: the record, or inside a list function its rows."""

    owner: str
    fields: Mapping[str, Type]
    path: str


class Checker(Calls):
    """Checks one expression; afterwards holds what was found on the way."""

    def __init__(self, scope: Scope, functions: Mapping[str, Function]) -> None:
        """Check against `scope` with the functions of `functions`."""
        self.scope = scope
        self.functions = functions
        self.frames: list[Frame] = []
        for one in scope.around():
            # The paths of a row are its record's.
            outer = self.frames[-1] if self.frames else None
            path = f"{outer.path}{one.name.rpartition('.')[2]}." if outer else ""
            self.frames.append(Frame(one.name, one.fields, path))
        self.problems: list[Problem] = []
        self.uses: list[nodes.Use] = []
        self.paths: set[str] = set()
        self.called: set[str] = set()
        self.is_local = True
        self._dispatch: dict[type[Written], Any] = {
            nodes.Constant: self._constant,
            nodes.Array: self._array,
            nodes.Name: self._name,
            nodes.Dot: self._dot,
            nodes.Apply: self._apply,
            nodes.Operation: self._operation,
        }

    def check(self, written: Written) -> Node:
        """Return the typed node for a written one; a broken one has the type `BROKEN`."""
        node: Node = self._dispatch[type(written)](written)
        return node

    def fail(self, at: Written | Node | int, code: str, text: str, **params: Any) -> Node:
        """Note a problem and return a node that fits everywhere."""
        place = at if isinstance(at, int) else at.start
        self.problems.append(problem(place, code, text, **params))
        end = place if isinstance(at, int) else at.end
        return nodes.Literal(BROKEN, place, end, None)

    # -- values ---------------------------------------------------------------------------

    def _constant(self, written: nodes.Constant) -> Node:
        kinds = {str: TEXT, Decimal: NUMBER, bool: BOOLEAN, type(None): NULL}
        found = kinds[type(written.value)]
        return nodes.Literal(found, written.start, written.end, written.value)

    def _array(self, written: nodes.Array) -> Node:
        return self.fail(written, "list", N_("A list can only stand after in."))

    def _name(self, written: nodes.Name) -> Node:
        for number in range(len(self.frames) - 1, -1, -1):
            frame = self.frames[number]
            if written.name in frame.fields:
                self.use(frame.owner, written.name, written.start, written.end)
                self.paths.add(frame.path + written.name)
                return self._field(written, number, frame)
        if written.name in self.scope.variables:
            self.is_local = False
            found = self.scope.variables[written.name]
            return nodes.Variable(found, written.start, written.end, written.name)
        names = [name for frame in self.frames for name in frame.fields]
        return self._unknown(written, written.start, written.name, [*names, *self.scope.variables])

    def _field(self, written: nodes.Name, number: int, frame: Frame) -> Node:
        found = frame.fields[written.name]
        place = (found, written.start, written.end)
        if found.kind in {"rows", "records"}:
            return nodes.Rows(*place, written.name, frame.owner, number, None)
        return nodes.Field(*place, written.name, number)

    def _unknown(self, at: Written, start: int, name: str, names: list[str]) -> Node:
        meant = nearest(name, names)
        node = replace(at, start=start)
        if meant:
            return self.fail(
                node,
                "unknown_field",
                N_("There is no field {name}. Is {nearest} meant?"),
                name=name,
                nearest=meant,
            )
        text = N_("There is no field {name}. A text stands in quotes: '{name}'.")
        return self.fail(node, "unknown_field", text, name=name)

    def use(self, owner: str, name: str, start: int, end: int, option: str | None = None) -> None:
        """Note that a field, or an option of it, is used."""
        self.uses.append(nodes.Use(owner, name, start, end, option))

    def _dot(self, written: nodes.Dot) -> Node:
        base = self.check(written.base)
        if base.type is BROKEN:
            return base
        if isinstance(base, nodes.Rows):
            return self._each(written, base)
        if isinstance(base, nodes.Each):
            item = self._linked(written, base.item)
            return self._listed(replace(base, end=written.end, item=item))
        return self._linked(written, base)

    def _each(self, written: nodes.Dot, rows: nodes.Rows) -> Node:
        frame = self.open_rows(rows)
        item = self.check(nodes.Name(written.at, written.end, written.name))
        self.frames.pop()
        return self._listed(nodes.Each(BROKEN, written.start, written.end, rows, item, frame))

    def _listed(self, each: nodes.Each) -> Node:
        if each.item.type is BROKEN:
            return each.item
        if isinstance(each.item, nodes.Rows):
            return self.fail(each, "nested_list", N_("A list of lists cannot be used like this."))
        return replace(each, type=Type("list", element=each.item.type))

    def _part(self, written: nodes.Dot, base: Node) -> Node:
        parts = base.type.fields or {}
        if written.name not in parts:
            return self._unknown(written, written.at, written.name, list(parts))
        self.paths.add(_path(written))
        if base.type.target:
            self.use(base.type.target, written.name, written.at, written.end)
        return nodes.Part(parts[written.name], written.start, written.end, base, written.name)

    def _linked(self, written: nodes.Dot, base: Node) -> Node:
        if base.type.kind == "structure":
            return self._part(written, base)
        if base.type.kind != "record":
            return self.fail(
                written.at,
                "not_a_link",
                N_("{kind} has no fields: only links do."),
                kind=str(base.type),
            )
        fields = self.scope.record_types(base.type.target)
        if written.name not in fields:
            return self._unknown(written, written.at, written.name, list(fields))
        self.is_local = False
        self.use(base.type.target, written.name, written.at, written.end)
        self.paths.add(_path(written))
        found = fields[written.name]
        place = (found, written.start, written.end)
        if found.kind in {"rows", "records"}:
            return nodes.Rows(*place, written.name, base.type.target, len(self.frames) - 1, base)
        return nodes.Linked(*place, base, base.type.target, written.name)

    def open_rows(self, rows: nodes.Rows) -> int:
        """Enter the names of a list's rows and return their frame; pop it afterwards."""
        found = rows.type
        owner = found.target or f"{rows.owner}.{rows.name}"
        fields = (
            found.fields if found.fields is not None else self.scope.record_types(found.target)
        )
        if found.fields is None:
            self.is_local = False
        prefix = (
            f"{self.frames[rows.frame].path}{rows.name}."
            if rows.base is None
            else (f"{rows.owner}.{rows.name}.")
        )
        self.frames.append(Frame(owner, fields, prefix))
        return len(self.frames) - 1

    # -- operators ------------------------------------------------------------------------

    def _operation(self, written: nodes.Operation) -> Node:
        operator = written.operator
        if operator in {"and", "or", "not"}:
            parts = tuple(self.condition(operand) for operand in written.operands)
            return nodes.Logic(BOOLEAN, written.start, written.end, operator, parts)
        if operator == "if":
            return self.choose(written, written.operands)
        if operator == "empty":
            operand = self.check(written.operands[0])
            return nodes.Empty(BOOLEAN, written.start, written.end, operand)
        if operator == "in":
            return self._within(written)
        if operator in {"+", "-", "*", "/"}:
            return self._arithmetic(written)
        return self._compare(written)

    def condition(self, written: Written) -> Node:
        """Return a node that is true or false."""
        node = self.check(written)
        if node.type.kind != "boolean" and node.type is not BROKEN:
            return self.fail(
                written,
                "not_a_condition",
                N_("A condition is expected here, not {kind}."),
                kind=str(node.type),
            )
        return node

    def choose(self, written: Written, operands: tuple[Written, ...]) -> Node:
        """Return `then if condition else otherwise`; operands in the order of `IF`."""
        condition = self.condition(operands[0])
        branches = self.unify(written, [self.check(operand) for operand in operands[1:]])
        if branches is None:
            return nodes.Literal(BROKEN, written.start, written.end, None)
        found, (then, otherwise) = branches
        return nodes.Choose(found, written.start, written.end, condition, then, otherwise)

    def _arithmetic(self, written: nodes.Operation) -> Node:
        operands = [self.check(operand) for operand in written.operands]
        if len(operands) == 1:
            zero = nodes.Literal(NUMBER, written.start, written.start, Decimal(0))
            operands.insert(0, zero)
        left, right = operands
        kinds = (left.type.kind, right.type.kind)
        if BROKEN in (left.type, right.type):
            return left if left.type is BROKEN else right
        place = (written.start, written.end)
        if set(kinds) <= {"number", "null"}:
            return nodes.Arithmetic(NUMBER, *place, written.operator, left, right)
        if kinds == ("duration", "duration") and written.operator in {"+", "-"}:
            return nodes.Arithmetic(DURATION, *place, written.operator, left, right)
        shifted = self._shifted(written, left, right)
        if shifted is not None:
            return shifted
        hint = N_(
            "{left} {operator} {right} cannot be calculated. Texts are joined by CONCAT, "
            "dates counted by DATEADD and DATEDIFF."
        )
        return self.fail(
            written.at,
            "bad_arithmetic",
            hint,
            left=str(left.type),
            operator=written.operator,
            right=str(right.type),
        )

    def _shifted(self, written: nodes.Operation, left: Node, right: Node) -> Node | None:
        """Return datetime ± duration, or the duration between two datetimes."""
        place, kinds = (written.start, written.end), (left.type.kind, right.type.kind)
        second = nodes.Literal(TEXT, *place, "second")
        if kinds == ("datetime", "duration") and written.operator in {"+", "-"}:
            if written.operator == "-":
                zero = nodes.Literal(DURATION, *place, Decimal(0))
                right = nodes.Arithmetic(DURATION, *place, "-", zero, right)
            return nodes.Call(DATETIME, *place, "ADD_CLOCK", (left, right, second))
        if kinds == ("datetime", "datetime") and written.operator == "-":
            return nodes.Call(DURATION, *place, "CLOCK_BETWEEN", (right, left, second))
        return None

    def _compare(self, written: nodes.Operation) -> Node:
        pair = self.comparable(written.at, *map(self.check, written.operands))
        if pair is None:
            return nodes.Literal(BROKEN, written.start, written.end, None)
        left, right = pair
        if written.operator not in {"==", "!="}:
            for side in pair:
                if side.type.kind not in ORDERED and side.type is not BROKEN:
                    return self.fail(
                        written.at,
                        "no_order",
                        N_("{kind} has no order; use == or !=."),
                        kind=str(side.type),
                    )
        return nodes.Compare(BOOLEAN, written.start, written.end, written.operator, left, right)

    def comparable(self, at: int, left: Node, right: Node) -> tuple[Node, Node] | None:
        """Return two nodes fitted to each other, or None when they cannot be compared."""
        left, right = (
            read_literal(left, right.type.kind) or left,
            read_literal(right, left.type.kind) or right,
        )
        kinds = {left.type.kind, right.type.kind}
        if BROKEN in (left.type, right.type):
            return None
        if is_null(left) or is_null(right):
            return left, right
        if kinds == {"date", "datetime"}:
            return coerce.to_datetime(left), coerce.to_datetime(right)
        found = common_type([left.type, right.type])
        if found is None or found.kind in _INCOMPARABLE:
            self.fail(
                at,
                "cannot_compare",
                N_("{left} cannot be compared with {right}."),
                left=str(left.type),
                right=str(right.type),
            )
            return None
        return (left, right) if self._options_fit(left, right) else None

    def _options_fit(self, left: Node, right: Node) -> bool:
        for choice, other in ((left, right), (right, left)):
            options = choice.type.options
            if choice.type.kind not in {"choice", "choices"} or options is None:
                continue
            if isinstance(other, nodes.Literal) and isinstance(other.value, str):
                if other.value not in options:
                    self._unknown_option(other, options)
                    return False
                self._use_option(choice, other)
            elif other.type.options is not None and not options & other.type.options:
                self.fail(other, "no_common_option", N_("The two have no option in common."))
                return False
        return True

    def _unknown_option(self, other: nodes.Literal, options: frozenset[str]) -> None:
        known = ", ".join(sorted(options)[:10])
        meant = nearest(other.value, options)
        text = (
            N_("{value} is not an option. Is {nearest} meant?")
            if meant
            else N_("{value} is not an option. There are: {options}.")
        )
        self.fail(other, "unknown_option", text, value=other.value, nearest=meant, options=known)

    def _use_option(self, choice: Node, literal: nodes.Literal) -> None:
        if isinstance(choice, nodes.Field):
            owner = self.frames[choice.frame].owner
        elif isinstance(choice, nodes.Linked):
            owner = choice.target
        else:
            return
        self.use(owner, choice.name, literal.start, literal.end, literal.value)

    def _within(self, written: nodes.Operation) -> Node:
        item = self.check(written.operands[0])
        container = written.operands[1]
        if isinstance(container, nodes.Array):
            return self._within_list(written, item, container)
        holder = self.check(container)
        if BROKEN in (item.type, holder.type):
            return nodes.Literal(BROKEN, written.start, written.end, None)
        place = (BOOLEAN, written.start, written.end)
        kind = holder.type.kind
        if kind == "choices" and item.type.kind in TEXTUAL:
            if not self._options_fit(holder, item):
                return nodes.Literal(BROKEN, written.start, written.end, None)
            return nodes.Call(*place, "HAS", (item, holder))
        if isinstance(holder, nodes.Rows) and item.type.kind in TEXTUAL:
            return nodes.Within(*place, item, holder)
        if kind == "list" and holder.type.element is not None:
            one = nodes.Literal(holder.type.element, holder.start, holder.end, None)
            pair = self.comparable(written.at, item, replace(one, value=None))
            return nodes.Within(*place, pair[0], holder) if pair else self._broken(written)
        return self.fail(
            container,
            "not_a_list",
            N_("After in comes a list, not {kind}. For a part of a text use CONTAINS."),
            kind=str(holder.type),
        )

    def _broken(self, written: Written) -> Node:
        return nodes.Literal(BROKEN, written.start, written.end, None)

    def _within_list(self, written: nodes.Operation, item: Node, array: nodes.Array) -> Node:
        values: list[Node] = []
        for part in array.items:
            pair = self.comparable(part.start, item, self.check(part))
            if pair is None:
                return self._broken(written)
            item, value = pair
            values.append(value)
        listed = nodes.Items(
            Type("list", element=item.type), array.start, array.end, tuple(values)
        )
        return nodes.Within(BOOLEAN, written.start, written.end, item, listed)


#: Kinds whose values are compared part by part, or not at all.
_INCOMPARABLE = frozenset({"any", "structure", "rows", "records", "list", "choices"})


def _path(written: Written) -> str:
    if isinstance(written, nodes.Dot):
        return f"{_path(written.base)}.{written.name}"
    return written.name if isinstance(written, nodes.Name) else ""
