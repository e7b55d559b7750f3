"""The SQL target: a typed tree becomes one SQLAlchemy expression for SQLite or PostgreSQL.

Null counts as false where a condition is tested, so the operators of a filter stay
plain and indexes stay usable; where a condition is a value it is made true or false.
A number column against a literal is compared as it is stored. Environment values
(today, the person acting, …) are bound parameters, so that a statement is compiled
once and executed with `sql_values(env)` each time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, Protocol, cast

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from core.expression import nodes
from core.expression.compiled import Expression
from core.expression.functions import INTERNAL, Function
from core.expression.sqlfunctions import BY_KIND, function_name
from core.expression.sqlnumbers import SIGNS, StoredNumber, against_number
from core.expression.sqltypes import (
    Instant,
    NumberText,
    Postgres,
    json_part,
    listed,
    literal,
    sql_values,
    typed,
)

Element = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Joined:
    """Where other rows come from.

    Attributes:
        source: the table, under an alias of its own.
        condition: which of its rows belong to the row asked from.
        columns: the fields of those rows.
    """

    source: sa.FromClause
    condition: ColumnElement[bool]
    columns: "Columns"


class Columns(Protocol):
    """The fields of one row as SQL; implemented where the tables are known."""

    dialect: Literal["sqlite", "postgresql"]

    def element(self, name: str) -> Element:
        """Return a field's column, or the expression that computes it."""

    def scale(self, name: str) -> int | None:
        """Return the digits after the point of a stored number; None of a computed one."""

    def follow(self, name: str) -> Joined:
        """Return the record that link `name` leads to."""

    def rows(self, name: str) -> Joined:
        """Return the rows of table field, links field or backlink `name`."""


def sql_clause(
    expression: Expression, columns: Columns, *, is_open: bool = False
) -> ColumnElement[bool]:
    """Return a condition for WHERE: rows where it is null are left out as if it were false.

    With `is_open` it has a parameter for each text of `expression.opened.values`.
    """
    names = expression.opened.names if is_open else {}
    return _Builder(columns, expression.table, names=names).raw(expression.node)


def looked_up(joined: Joined, name: str) -> Element:
    """Return a field of another row as a value of this one, of that column's own type."""
    found = sa.select(joined.columns.element(name)).select_from(joined.source)
    return found.where(joined.condition).correlate_except(joined.source).scalar_subquery()


def sql_value(expression: Expression, columns: Columns) -> Element:
    """Return a value to select, with a type that gives the same Python value as `evaluate`."""
    return _Builder(columns, expression.table).selected(expression.node)


def sql_order(expression: Expression, columns: Columns) -> Element:
    """Return a value to sort by; nulls are the database's to place."""
    builder = _Builder(columns, expression.table)
    return builder.sorted(expression.node)


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NUMBERS = frozenset({"number", "duration"})
_TEXTS = frozenset({"text", "choice", "record"})


class _Builder:
    """Builds for one row; `stack[n]` gives the columns of frame n."""

    def __init__(
        self,
        columns: Columns,
        functions: Mapping[str, Function],
        stack: tuple[Columns, ...] = (),
        names: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self._stack = stack or (columns,)
        self._names = names
        self._functions = functions
        self._sqlite = columns.dialect == "sqlite"

    def _inside(self, columns: Columns) -> "_Builder":
        return _Builder(columns, self._functions, (*self._stack, columns), self._names)

    # -- the three ways to ask ------------------------------------------------------------

    def raw(self, node: nodes.Node) -> Element:
        """Return a condition that may be null where it means false."""
        if node.type.kind == "boolean" and isinstance(node, nodes.Literal):
            return sa.true() if node.value else sa.false()
        built: Element = self._build(node)
        if node.type.kind == "boolean" and isinstance(node, (nodes.Field, nodes.Linked)):
            return built == sa.true()
        return built

    def value(self, node: nodes.Node) -> Element:
        """Return a value of the form computations use: on SQLite, numbers are text."""
        if node.type.kind in _NUMBERS:
            return self._number_value(node)
        built = self._build(node)
        if (
            isinstance(node, _CONDITIONS)
            and node.type.kind == "boolean"
            and (getattr(node, "name", "") not in {"COALESCE", "MIN", "MAX"})
        ):
            return sa.func.coalesce(built, sa.false(), type_=sa.Boolean())
        return built

    def selected(self, node: nodes.Node) -> Element:
        """Return a value with the type that reads it back."""
        value = self.value(node)
        if node.type.kind in _NUMBERS:
            return sa.type_coerce(value, NumberText() if self._sqlite else sa.Numeric())
        return typed(value, node.type.kind)

    def sorted(self, node: nodes.Node) -> Element:
        """Return a value that sorts as the language orders."""
        if node.type.kind in _NUMBERS and self._sqlite:
            number = self._number(node)
            if number.scale is not None:
                return number.element
            return sa.func.gx_sort_key(number.element, type_=sa.Text())
        value = self.value(node)
        return self._by_code_point(value) if node.type.kind in _TEXTS else value

    def _build(self, node: nodes.Node) -> Element:
        built: Element = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return built

    def _by_code_point(self, element: Element) -> Element:
        return element if self._sqlite else sa.collate(element, "C")

    # -- numbers --------------------------------------------------------------------------

    def _number(self, node: nodes.Node) -> StoredNumber:
        """Return a number for SQLite, as a scaled integer where it is one."""
        if isinstance(node, nodes.Field):
            columns = self._stack[node.frame]
            scale = columns.scale(node.name)
            element = columns.element(node.name)
            kind: Any = sa.Text() if scale is None else sa.BigInteger()
            return StoredNumber(sa.type_coerce(element, kind), scale)
        if isinstance(node, nodes.Linked):
            joined = self._followed(node)
            scale = joined.columns.scale(node.name)
            element = self._looked_up(joined, node.name)
            kind = sa.Text() if scale is None else sa.BigInteger()
            return StoredNumber(sa.type_coerce(element, kind), scale)
        if isinstance(node, nodes.Rollup) and node.how == "count":
            return StoredNumber(self._counted(node), 0)
        return StoredNumber(self._build(node), None)

    def _number_value(self, node: nodes.Node) -> Element:
        if not self._sqlite:
            built = self._build(node)
            is_numeric = isinstance(built.type, sa.Numeric) and not isinstance(
                built.type, sa.Float
            )
            return built if is_numeric else sa.cast(built, sa.Numeric)
        number = self._number(node)
        if number.scale is None:
            return number.element
        if number.scale == 0:
            return sa.cast(number.element, sa.Text)
        return sa.func.gx_number(number.element, number.scale, type_=sa.Text())

    def _arithmetic(self, node: nodes.Arithmetic) -> Element:
        left, right = self._number_value(node.left), self._number_value(node.right)
        if self._sqlite:
            name = {"+": "gx_add", "-": "gx_subtract", "*": "gx_multiply", "/": "gx_divide"}
            return sa.Function(name[node.operator], left, right, type_=sa.Text())
        if node.operator == "/":
            return Postgres.divide(left, right)
        operators: Mapping[str, Callable[[Any, Any], Any]] = {
            "+": lambda a, b: a + b,
            "-": lambda a, b: a - b,
            "*": lambda a, b: a * b,
        }
        return sa.type_coerce(operators[node.operator](left, right), sa.Numeric())

    # -- values ---------------------------------------------------------------------------

    def _literal(self, node: nodes.Literal) -> Element:
        name = self._names.get(id(node))
        if name is not None:
            return sa.bindparam(name, type_=sa.Text())
        return literal(node.value, node.type.kind, is_sqlite=self._sqlite)

    def _field(self, node: nodes.Field) -> Element:
        return self._stack[node.frame].element(node.name)

    def _variable(self, node: nodes.Variable) -> Element:
        name = f"gx_{node.name.lstrip('@')}"
        kinds: Mapping[str, Any] = {
            "date": sa.Date(),
            "datetime": Instant(),
            "boolean": sa.Boolean(),
            "time": sa.Time(),
            "number": NumberText() if self._sqlite else sa.Numeric(),
        }
        if node.type.kind == "list":
            return cast("Element", listed(node.name, is_sqlite=self._sqlite))
        return sa.bindparam(name, type_=kinds.get(node.type.kind, sa.Text()))

    def _followed(self, node: nodes.Linked) -> Joined:
        return self._joined_by(node.base)

    def _joined_by(self, base: nodes.Node) -> Joined:
        """Return the record that a link node leads to, links before it included."""
        if isinstance(base, nodes.Field):
            return self._stack[base.frame].follow(base.name)
        if isinstance(base, nodes.Linked):
            outer = self._joined_by(base.base)
            inner = outer.columns.follow(base.name)
            key: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
                outer.condition, inner.condition
            )
            exists = key.select_from(outer.source).correlate_except(outer.source).exists()
            return Joined(inner.source, exists, inner.columns)
        raise TypeError(base)  # the checker lets only fields be followed

    def _looked_up(self, joined: Joined, name: str) -> Element:
        return looked_up(joined, name)

    def _linked(self, node: nodes.Linked) -> Element:
        return self._looked_up(self._followed(node), node.name)

    def _part(self, node: nodes.Part) -> Element:
        text = json_part(self._build(node.base), node.name, is_sqlite=self._sqlite)
        is_number = node.type.kind == "number"
        return sa.cast(text, sa.Numeric) if is_number and not self._sqlite else text

    # -- conditions -----------------------------------------------------------------------

    def _compare(self, node: nodes.Compare) -> Element:
        left, right, operator = node.left, node.right, node.operator
        if isinstance(left, nodes.Literal) and not isinstance(right, nodes.Literal):
            left, right, operator = right, left, _MIRRORED[operator]
        if isinstance(right, nodes.Literal) and right.value is None:
            return self._against_null(left, operator)
        if {left.type.kind, right.type.kind} & _NUMBERS:
            return self._compare_numbers(left, right, operator)
        first, second = self.value(left), self.value(right)
        if operator in {"==", "!="}:
            return self._equal(first, second, operator, isinstance(right, nodes.Literal))
        if left.type.kind in _TEXTS:
            first = self._by_code_point(first)
        return SIGNS[operator](first, second)  # type: ignore[no-any-return]

    def _equal(self, left: Element, right: Element, operator: str, plain: bool) -> Element:
        # Plain `=` can use an index on PostgreSQL, IS NOT DISTINCT FROM cannot.
        if operator == "==":
            return left == right if plain else left.is_not_distinct_from(right)
        return left.is_distinct_from(right)

    def _against_null(self, node: nodes.Node, operator: str) -> Element:
        if operator not in {"==", "!="}:
            return sa.false()
        value = self.value(node)
        return value.is_(None) if operator == "==" else value.is_not(None)

    def _compare_numbers(self, left: nodes.Node, right: nodes.Node, operator: str) -> Element:
        is_literal = isinstance(right, nodes.Literal)
        column = self._stored_number(left)
        if isinstance(right, nodes.Literal) and column is not None:
            return against_number(column, right.value, operator)
        other = self._stored_number(right)
        if column is not None and other is not None and column.scale == other.scale:
            return (
                self._equal(column.element, other.element, operator, plain=False)
                if operator in {"==", "!="}
                else SIGNS[operator](column.element, other.element)
            )
        first, second = self._number_value(left), self._number_value(right)
        if operator in {"==", "!="}:
            return self._equal(first, second, operator, is_literal)
        if not self._sqlite:
            return SIGNS[operator](first, second)  # type: ignore[no-any-return]
        order = sa.func.gx_compare(first, second, type_=sa.Integer())
        return SIGNS[operator](order, sa.literal_column("0"))  # type: ignore[no-any-return]

    def _stored_number(self, node: nodes.Node) -> StoredNumber | None:
        """Return a number that is stored as an integer, with its scale."""
        if isinstance(node, nodes.Rollup) and node.how == "count":
            return StoredNumber(self._counted(node), 0)
        if not isinstance(node, nodes.Field):
            return None
        columns = self._stack[node.frame]
        scale = columns.scale(node.name)
        if scale is None or (scale and not self._sqlite):
            return None
        return StoredNumber(sa.type_coerce(columns.element(node.name), sa.BigInteger()), scale)

    def _within(self, node: nodes.Within) -> Element:
        container = node.container
        if isinstance(container, nodes.Items):
            return self._within_items(node.item, container)
        if isinstance(container, (nodes.Rows, nodes.Each)):
            return self._within_rows(node.item, container)
        return self.value(node.item).in_(self._build(container))

    def _within_items(self, item: nodes.Node, container: nodes.Items) -> Element:
        if item.type.kind in _TEXTS and all(
            isinstance(part, nodes.Literal) and isinstance(part.value, str)
            for part in container.items
        ):
            texts = [part.value for part in container.items]  # type: ignore[attr-defined]
            return self.value(item).in_(texts)
        place = (container.start, container.end)
        parts = [
            self._compare(nodes.Compare(item.type, *place, "==", item, part))
            for part in container.items
        ]
        return sa.or_(sa.false(), *parts)

    def _within_rows(self, item: nodes.Node, container: nodes.Rows | nodes.Each) -> Element:
        rows = container.rows if isinstance(container, nodes.Each) else container
        joined = self._rows_of(rows)
        wanted = self.value(item)
        if isinstance(container, nodes.Each):
            found = self._inside(joined.columns).value(container.item)
        else:
            found = joined.columns.element("id")
        same = found.is_not_distinct_from(wanted)
        return _exists(joined, same)

    def _empty(self, node: nodes.Empty) -> Element:
        operand = node.operand
        if isinstance(operand, nodes.Rows):
            return ~_exists(self._rows_of(operand))
        value = self.value(operand)
        kind = operand.type.kind
        if kind in {"text", "choice", "record", "list"}:
            return sa.or_(value.is_(None), value == sa.literal_column("''"))
        is_stored = isinstance(operand, (nodes.Field, nodes.Linked))
        if is_stored and kind in {"choices", "any", "structure"}:
            text = sa.cast(sa.type_coerce(value, sa.Text()), sa.Text)
            return sa.or_(value.is_(None), text.in_(["[]", "{}", '""', "null"]))
        return value.is_(None)

    def _logic(self, node: nodes.Logic) -> Element:
        parts = [self.raw(part) for part in node.operands]
        if node.operator == "not":
            return sa.not_(sa.func.coalesce(parts[0], sa.false(), type_=sa.Boolean()))
        return sa.and_(*parts) if node.operator == "and" else sa.or_(*parts)

    def _choose(self, node: nodes.Choose) -> Element:
        then, otherwise = self.value(node.then), self.value(node.otherwise)
        return sa.case((self.raw(node.condition), then), else_=otherwise)

    # -- functions ------------------------------------------------------------------------

    def _call(self, node: nodes.Call) -> Element:
        function = INTERNAL.get(node.name) or self._functions[node.name]
        arguments = [self.value(argument) for argument in node.arguments]
        kind = node.type.kind
        if node.name == "COALESCE":
            return sa.func.coalesce(*arguments, type_=arguments[0].type)
        if not self._sqlite:
            plain = [
                argument.value
                if isinstance(argument, nodes.Literal) and place == _UNIT.get(node.name)
                else arguments[place]
                for place, argument in enumerate(node.arguments)
            ]
            if function.postgresql is None:
                raise TypeError(f"{node.name} has no SQL")  # the checker's functions all have
            built = function.postgresql(Postgres, *plain)
            return Postgres.result(built, kind)
        suffix = node.arguments[0].type.kind if node.name in BY_KIND else ""
        suffix = "text" if suffix in _TEXTS | {"null"} else suffix
        types: Mapping[str, Any] = {
            "boolean": sa.Boolean(),
            "date": sa.Date(),
            "datetime": Instant(),
            "time": sa.Time(),
        }
        result: Any = types.get(kind, sa.Text())
        return sa.Function(function_name(node.name, suffix), *arguments, type_=result)

    # -- lists ----------------------------------------------------------------------------

    def _rows_of(self, node: nodes.Rows) -> Joined:
        if node.base is None:
            return self._stack[node.frame].rows(node.name)
        outer = self._joined_by(node.base)
        inner = outer.columns.rows(node.name)
        link: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
            outer.condition, inner.condition
        )
        exists = link.select_from(outer.source).correlate_except(outer.source).exists()
        return Joined(inner.source, exists, inner.columns)

    def _rollup(self, node: nodes.Rollup) -> Element:
        joined = self._rows_of(node.rows)
        inside = self._inside(joined.columns)
        if node.how in {"any", "all"} and node.item is not None:
            condition = inside.raw(node.item)
            if node.how == "any":
                return _exists(joined, condition)
            false = sa.not_(sa.func.coalesce(condition, sa.false(), type_=sa.Boolean()))
            return ~_exists(joined, false)
        return self._counted(node) if node.how == "count" else self._folded(node, joined, inside)

    def _counted(self, node: nodes.Rollup) -> Element:
        joined = self._rows_of(node.rows)
        inside = self._inside(joined.columns)
        conditions = [] if node.item is None else [inside.raw(node.item)]
        return _aggregated(joined, sa.func.count(type_=sa.BigInteger()), *conditions)

    def _folded(self, node: nodes.Rollup, joined: Joined, inside: "_Builder") -> Element:
        item = node.item
        if item is None:
            raise TypeError(node.how)  # only count has no item
        value, is_inner = inside.value(item), _mentions(item, node.frame)
        if not is_inner:
            # An aggregate of outer columns alone would belong to the outer query.
            value = sa.case((joined.condition, value), else_=None)
        if not self._sqlite:
            return _aggregated(joined, Postgres.fold(node.how, value))
        if item.type.kind not in _NUMBERS:
            fold = sa.func.min if node.how == "min" else sa.func.max
            return _aggregated(joined, fold(value))
        stored = inside._stored_number(item) if is_inner else None  # noqa: SLF001  the same class
        number = stored or StoredNumber(value, None)
        if node.how == "sum" and number.scale is not None:
            high = sa.func.sum(number.element.op("/")(sa.literal_column("1000000000")))
            low = sa.func.sum(number.element.op("%")(sa.literal_column("1000000000")))
            total = sa.func.gx_joined_sum(high, low, number.scale, type_=sa.Text())
            return _aggregated(joined, total)
        fold_text = sa.Function(f"gx_rows_{node.how}", value, type_=sa.Text())
        if node.how == "sum":
            fold_text = sa.func.coalesce(fold_text, "0", type_=sa.Text())
        return _aggregated(joined, fold_text)


_CONDITIONS = (nodes.Compare, nodes.Within, nodes.Empty, nodes.Logic, nodes.Call, nodes.Rollup)
#: Which argument of a function is a unit, taken as the plain word.
_UNIT = {"ADD_TO_DATE": 2, "ADD_CLOCK": 2, "ADD_WALL": 2, "DAYS_BETWEEN": 2, "CLOCK_BETWEEN": 2}


def _mentions(node: Any, frame: int) -> bool:
    """Return whether a tree reads the rows of `frame` themselves."""
    if isinstance(node, (nodes.Field, nodes.Rows)) and node.frame == frame:
        return True
    if isinstance(node, nodes.Node):
        return any(_mentions(getattr(node, name), frame) for name in node.__dataclass_fields__)
    return isinstance(node, tuple) and any(_mentions(part, frame) for part in node)


def _exists(joined: Joined, *conditions: Element) -> Element:
    one: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(joined.source)
    return one.where(joined.condition, *conditions).correlate_except(joined.source).exists()


def _aggregated(joined: Joined, element: Element, *conditions: Element) -> Element:
    found = sa.select(element).select_from(joined.source).where(joined.condition, *conditions)
    return found.correlate_except(joined.source).scalar_subquery()


__all__ = ["Columns", "Joined", "looked_up", "sql_clause", "sql_order", "sql_value", "sql_values"]
