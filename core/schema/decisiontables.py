"""Decision tables: who approves, as a matrix of conditions that business users read at a glance.

The cells are the unary tests of DMN 1.3's S-FEEL: `-` (anything), `"tea"`, `tea, coffee`,
`< 1000`, `[1000..5000)`, `not(tea)`, `null`. A table is turned into conditions of the one
expression language, so a cell means what the same condition means everywhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

from core.schema.flows import Approvers, Flow, Source, sources_of
from core.schema.modelbase import Label, Model

MAX_ROWS, MAX_INPUTS, MAX_CELL = 200, 8, 300

InputType = Literal["text", "number", "date", "boolean"]
#: A value that a cell compares with.
Value = str | Decimal | date | bool


class TableInput(Model, frozen=True, kw_only=True):
    """One column of conditions.

    Attributes:
        name: what messages call it.
        label: what people call it.
        type: what its cells compare: `text`, `number`, `date` or `boolean`.
    """

    name: str
    label: Label = {}
    type: InputType = "text"


class TableRow(Model, frozen=True, kw_only=True):
    """One rule: a cell for each input, and who approves where all of them hold.

    Attributes:
        when: a cell for each input, in their order.
        approvers: who approves.
        note: why, for people.
    """

    when: tuple[str, ...]
    approvers: Approvers
    note: Label = {}


class DecisionTable(Model, frozen=True, kw_only=True):
    """A matrix of approvers that steps of flows look people up in.

    Attributes:
        decision_table: its name.
        label: what people call it.
        hit: `first` (the first row that holds), `unique` (never two) or `collect` (the
            people of every row that holds).
        inputs: the columns; a step's `in` gives a value for each.
        rows: the rules.
    """

    decision_table: str
    layer: str = ""
    label: Label = {}
    hit: Literal["first", "unique", "collect"] = "first"
    inputs: tuple[TableInput, ...]
    rows: tuple[TableRow, ...]


class CellError(ValueError):
    """A cell cannot be read."""


@dataclass(frozen=True, slots=True)
class Range:
    """Values between two bounds; a bound that is None is open.

    One value is a range from itself to itself.
    """

    low: Value | None
    high: Value | None
    with_low: bool = True
    with_high: bool = True

    def holds(self, value: Value | None) -> bool:
        """Return whether a value lies in it; null never does."""
        if value is None:
            return False
        above = self.low is None or (
            value >= self.low if self.with_low else value > self.low  # type: ignore[operator]
        )
        below = self.high is None or (
            value <= self.high if self.with_high else value < self.high  # type: ignore[operator]
        )
        return above and below

    def condition(self, subject: str) -> str:
        """Return the same as a condition on the expression `subject`."""
        if self.low is not None and self.low == self.high:
            return f"{subject} == {written(self.low)}"
        parts = []
        if self.low is not None:
            parts.append(f"{subject} {'>=' if self.with_low else '>'} {written(self.low)}")
        if self.high is not None:
            parts.append(f"{subject} {'<=' if self.with_high else '<'} {written(self.high)}")
        return " and ".join(parts)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one cell asks: any of its ranges, or none of them; without any, anything."""

    ranges: tuple[Range, ...] = ()
    with_null: bool = False
    negated: bool = False

    @property
    def is_anything(self) -> bool:
        """Return whether it holds for every value, null too."""
        return not self.ranges and not self.with_null

    def holds(self, value: Value | None) -> bool:
        """Return whether it holds for a value; `not(…)` never holds for null."""
        if self.is_anything:
            return True
        if value is None:
            return self.with_null and not self.negated
        return any(one.holds(value) for one in self.ranges) is not self.negated

    def condition(self, subject: str) -> str:
        """Return the same as a condition on an expression; empty for anything."""
        if self.is_anything:
            return ""
        subject = f"({subject})"
        parts = [f"({one.condition(subject)})" for one in self.ranges]
        if self.negated:
            inner = " or ".join(parts) or "false"
            return f"({subject} is not empty and not ({inner}))"
        if self.with_null:
            parts.append(f"{subject} is empty")
        return f"({' or '.join(parts)})"


def written(value: Value) -> str:
    """Return a value as a literal of the expression language."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    text = value.isoformat() if isinstance(value, date) else value
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_TEST = re.compile(
    r"""\s*(?:
        (?P<open>[\[(\]])\s*(?P<low>"[^"]*"|[^,"]+?)\s*\.\.\s*(?P<high>"[^"]*"|[^,"]+?)\s*(?P<close>[\])\[])
      | (?P<sign><=|>=|<|>|=)\s*(?P<bound>"[^"]*"|[^,"()\[\]]+)
      | (?P<value>"[^"]*"|[^,"()\[\]<>=]+)
    )\s*(?P<end>,|$)""",
    re.VERBOSE,
)
_NOT = re.compile(r"not\s*\((?P<inner>.*)\)", re.DOTALL)
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,10})?")


def read_cell(text: str, kind: InputType) -> Cell:
    """Return what a cell asks.

    Raises:
        CellError: it is no unary test, or compares with another type than the input's.
    """
    text = text.strip()
    if text in {"", "-"}:
        return Cell()
    inner = _NOT.fullmatch(text)
    ranges: list[Range] = []
    with_null, at, body = False, 0, inner["inner"].strip() if inner else text
    if not body or len(body) > MAX_CELL:
        raise CellError(text)
    while at < len(body):
        found = _TEST.match(body, at)
        if found is None or (found["end"] == "," and found.end() == len(body)):
            raise CellError(body[at:])
        at = found.end()
        if found["value"] is not None and found["value"].strip() == "null":
            with_null = True
        else:
            ranges.append(_range(found, kind))
    return Cell(tuple(ranges), with_null, inner is not None)


def _range(found: re.Match[str], kind: InputType) -> Range:
    if found["low"] is not None:
        low, high = _value(found["low"], kind), _value(found["high"], kind)
        if kind == "boolean" or low > high:  # type: ignore[operator]
            raise CellError(found[0])
        return Range(low, high, found["open"] == "[", found["close"] == "]")
    if found["sign"] is None:
        value = _value(found["value"], kind)
        return Range(value, value)
    value = _value(found["bound"], kind)
    if kind == "boolean" and found["sign"] != "=":
        raise CellError(found[0])
    return {
        "<": Range(None, value, with_high=False),
        "<=": Range(None, value),
        ">": Range(value, None, with_low=False),
        ">=": Range(value, None),
        "=": Range(value, value),
    }[found["sign"]]


def _value(text: str, kind: InputType) -> Value:
    text = text.strip()
    bare = text[1:-1] if text.startswith('"') and text.endswith('"') and len(text) > 1 else text
    if kind == "text" and bare:
        return bare
    if kind == "number" and _NUMBER.fullmatch(text):
        return Decimal(text)
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    if kind == "date":
        try:
            return date.fromisoformat(bare)
        except ValueError as error:
            raise CellError(text) from error
    raise CellError(text)


def cells_of(table: DecisionTable, row: TableRow) -> list[Cell]:
    """Return the cells of a row, read.

    Raises:
        CellError: one cannot be read; publishing has refused such a table.
    """
    kinds = [one.type for one in table.inputs]
    return [read_cell(text, kind) for text, kind in zip(row.when, kinds, strict=True)]


def row_conditions(table: DecisionTable, inputs: Sequence[str]) -> list[str]:
    """Return each row as one condition; `inputs` are the expressions of the step's `in`."""
    found = []
    for row in table.rows:
        cells = zip(cells_of(table, row), inputs, strict=True)
        parts = [cell.condition(subject) for cell, subject in cells]
        found.append(" and ".join(part for part in parts if part) or "true")
    return found


def with_tables(flow: Flow, tables: Mapping[str, DecisionTable]) -> Flow:
    """Return a flow that holds the decision tables it asks, so that it goes by them for good."""
    if not tables:
        return flow

    def held(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [held(one) for one in value]
        if not isinstance(value, dict):
            return value
        inner = {name: held(one) for name, one in value.items()}
        table = inner.get("table")
        if isinstance(table, str) and "in" in inner and table in tables:
            inner["matrix"] = msgspec.to_builtins(tables[table])
        return inner

    return msgspec.convert(held(msgspec.to_builtins(flow)), Flow)


def table_of(source: Source, tables: Mapping[str, DecisionTable]) -> DecisionTable:
    """Return the decision table that a source asks: the one it holds, else of the release."""
    if source.matrix is not None:
        return msgspec.convert(source.matrix, DecisionTable)
    return tables[source.table]


def chosen_sources(table: DecisionTable, held: Sequence[bool]) -> tuple[Source, ...]:
    """Return who approves, given which rows hold.

    Nobody where no row holds, and where a `unique` table has two: it never guesses, and
    the step's rule for empty seats says what then happens.
    """
    rows = [row for row, holds in zip(table.rows, held, strict=True) if holds]
    if table.hit == "unique" and len(rows) > 1:
        return ()
    if table.hit != "collect":
        rows = rows[:1]
    return tuple(source for row in rows for source in sources_of(row.approvers))
