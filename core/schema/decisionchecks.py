"""Checks decision tables: cells that can be read, rows that can be reached, no unwanted overlap.

Rows are boxes over their inputs, so looking at every bound, between any two, beyond the
outermost and at null decides exactly whether two rows can hold at once.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any

from core.i18n import N_
from core.schema.decisiontables import (
    MAX_INPUTS,
    MAX_ROWS,
    Cell,
    CellError,
    DecisionTable,
    InputType,
    Value,
    cells_of,
    read_cell,
)
from core.schema.draft import Draft
from core.schema.flows import sources_of
from core.schema.names import TYPE_NAME
from core.schema.yamlnodes import Node

#: Most looks at a row for one combination of values in the search for gaps.
_MOST_WORK = 200_000
_DAY = timedelta(days=1)
#: A value where no cell names any.
_SOME: Mapping[InputType, Value] = {
    "text": "",
    "number": Decimal(0),
    "date": date(2000, 1, 1),
    "boolean": False,
}


def check_decision_tables(draft: Draft) -> None:
    """Note every problem of every decision table."""
    for name, table in draft.decision_tables.items():
        node = draft.nodes[f"decision_table {name}"]
        if not TYPE_NAME.fullmatch(name):
            text = N_("{name} must be small letters, digits and _.")
            draft.add(node.at("decision_table"), "bad_name", text, name=name[:80])
        if not _fits(draft, table, node):
            continue
        rows = _read(draft, table, node)
        if rows is not None:
            _check_rows(draft, table, rows, node)


def _fits(draft: Draft, table: DecisionTable, node: Node) -> bool:
    counts = (("inputs", len(table.inputs), MAX_INPUTS), ("rows", len(table.rows), MAX_ROWS))
    fits = True
    for key, number, most in counts:
        if not 0 < number <= most:
            text = N_("There must be 1 to {most} of them.")
            draft.add(node.at(key), "bad_count", text, most=most)
            fits = False
    names = [one.name for one in table.inputs]
    for at, name in enumerate(names):
        if name in names[:at]:
            twice = N_("{name} stands twice.")
            draft.add(node.at("inputs", at, "name"), "duplicate", twice, name=name[:80])
    return fits


def _read(draft: Draft, table: DecisionTable, node: Node) -> list[list[Cell]] | None:
    """Return the cells of every row, or None after noting which cannot be read."""
    rows, readable = [], True
    for at, row in enumerate(table.rows):
        place = node.at("rows", at)
        for source in sources_of(row.approvers):
            draft.check_roles(place.at("approvers", "role"), source.roles)
            if source.table:
                text = N_("A decision table cannot lead to another one.")
                draft.add(place.at("approvers"), "nested_table", text)
        if len(row.when) != len(table.inputs):
            text = N_("This row has {cells} cells, the table has {inputs} inputs.")
            draft.add(
                place.at("when"), "bad_count", text,
                cells=len(row.when), inputs=len(table.inputs),
            )  # fmt: skip
            readable = False
            continue
        cells = [
            _cell(draft, written, one.type, place.at("when", column))
            for column, (written, one) in enumerate(zip(row.when, table.inputs, strict=True))
        ]
        rows.append([cell for cell in cells if cell is not None])
        readable = readable and None not in cells
    return rows if readable else None


def _cell(draft: Draft, written: str, kind: InputType, place: Node) -> Cell | None:
    try:
        return read_cell(written, kind)
    except CellError:
        text = N_("“{cell}” is no condition on a {type}, such as < 5, [1..5] or -.")
        draft.add(place, "bad_cell", text, cell=written[:80], type=kind)
    return None


def _check_rows(
    draft: Draft, table: DecisionTable, rows: Sequence[Sequence[Cell]], node: Node
) -> None:
    """Note rows that are never reached, and rows that hold at once though none may."""
    masks = row_masks(rows)
    for later in range(1, len(masks)):
        for earlier in range(later):
            pair = list(zip(masks[later], masks[earlier], strict=True))
            if table.hit == "unique" and all(mine & theirs for mine, theirs in pair):
                text = N_("This row and row {other} can hold at once, but the table says unique.")
                draft.add(node.at("rows", later), "overlap", text, other=earlier + 1)
                break
            if table.hit == "first" and all(not mine & ~theirs for mine, theirs in pair):
                text = N_("This row is never reached: row {other} holds whenever it does.")
                draft.add(node.at("rows", later), "unreachable", text, other=earlier + 1)
                break


def row_masks(rows: Sequence[Sequence[Cell]]) -> list[list[int]]:
    """Return for each cell the points of its column at which it holds, as bits.

    Bit 0 is null; then come, in order, what is below the lowest bound, that bound, what is
    between it and the next, and so on to what is above the highest.
    """
    columns = [_bounds(column) for column in zip(*rows, strict=True)]
    return [
        [_mask(cell, bounds) for cell, bounds in zip(row, columns, strict=True)] for row in rows
    ]


def _bounds(column: Sequence[Cell]) -> list[Any]:
    """Return every value that the cells of a column compare with, in order."""
    ranges = [one for cell in column for one in cell.ranges]
    found: set[Any] = {each for one in ranges for each in (one.low, one.high) if each is not None}
    return sorted(found)


def _mask(cell: Cell, bounds: Sequence[Any]) -> int:
    last = 2 * len(bounds) + 1
    everything = (1 << (last + 1)) - 1
    if cell.is_anything:
        return everything
    inside = 0
    for one in cell.ranges:
        low, high = 1, last
        if one.low is not None:
            low = 2 * bisect_left(bounds, one.low) + (2 if one.with_low else 3)
        if one.high is not None:
            high = 2 * bisect_left(bounds, one.high) + (2 if one.with_high else 1)
        if low <= high:
            inside |= (1 << (high + 1)) - (1 << low)
    if cell.negated:
        return everything & ~inside & ~1
    return inside | int(cell.with_null)


def points_of(bounds: Sequence[Any], kind: InputType) -> list[Value | None]:
    """Return a value for each bit of a column's masks; None stands for null, and for no value."""
    points: list[Value | None] = [None, _below(bounds[0], kind) if bounds else _SOME[kind]]
    for at, bound in enumerate(bounds):
        following = bounds[at + 1] if at + 1 < len(bounds) else None
        points += [bound, _behind(bound, following, kind)]
    return points


def _below(bound: Any, kind: InputType) -> Any:
    if kind == "number":
        return bound - 1
    if kind == "date":
        return bound - _DAY
    return "" if kind == "text" else False if bound else None


def _behind(bound: Any, following: Any, kind: InputType) -> Any:
    """Return a value above a bound and below the following one, where there is one."""
    if kind == "number":
        return bound + 1 if following is None else (bound + following) / 2
    if kind == "date":
        value = bound + _DAY
        return None if value == following else value
    if kind == "text":
        return f"{bound}\0"
    return True if not bound and following is None else None


def find_gap(table: DecisionTable) -> list[Value | None] | None:
    """Return values for which no row holds, or None when every combination has one.

    None too where there are too many combinations to look at.
    """
    rows = [cells_of(table, row) for row in table.rows]
    masks = row_masks(rows)
    columns = [
        points_of(_bounds(column), one.type)
        for column, one in zip(zip(*rows, strict=True), table.inputs, strict=True)
    ]
    if prod(map(len, columns)) * len(rows) > _MOST_WORK:
        return None
    for places in product(*(range(len(points)) for points in columns)):
        values = [points[at] for points, at in zip(columns, places, strict=True)]
        # A place without a value of its own, such as between two days, is none to miss.
        has_value = all(
            at == 0 or value is not None for at, value in zip(places, values, strict=True)
        )
        if has_value and not any(
            all(mask >> at & 1 for mask, at in zip(row, places, strict=True)) for row in masks
        ):
            return values
    return None
