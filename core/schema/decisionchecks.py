"""Checks decision tables: cells that can be read, rows that can be reached, no unwanted overlap.

Rows are boxes over their inputs, so looking at every bound, between any two, beyond the
outermost and at null decides exactly whether two rows can hold at once.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import combinations, pairwise, product

from core.i18n import N_
from core.schema.decisiontables import (
    MAX_INPUTS,
    MAX_ROWS,
    Cell,
    CellError,
    DecisionTable,
    Value,
    cells_of,
    read_cell,
)
from core.schema.draft import Draft
from core.schema.flows import sources_of
from core.schema.names import TYPE_NAME
from core.schema.yamlnodes import Node

#: Most combinations that are looked at for gaps.
_MOST_POINTS = 20_000
#: Some text that no cell names.
_OTHER = "\uffff other"


def check_decision_tables(draft: Draft) -> None:
    """Note every problem of every decision table."""
    for name, table in draft.decision_tables.items():
        node = draft.nodes[f"decision_table {name}"]
        if not TYPE_NAME.fullmatch(name):
            text = N_("{name} must be small letters, digits and _.")
            draft.add(node.at("decision_table"), "bad_name", text, name=name[:80])
        if _fits(draft, table, node) and _readable(draft, table, node):
            _check_rows(draft, table, node)


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


def _readable(draft: Draft, table: DecisionTable, node: Node) -> bool:
    readable = True
    for at, row in enumerate(table.rows):
        place = node.at("rows", at)
        if len(row.when) != len(table.inputs):
            text = N_("This row has {cells} cells, the table has {inputs} inputs.")
            draft.add(
                place.at("when"), "bad_count", text,
                cells=len(row.when), inputs=len(table.inputs),
            )  # fmt: skip
            readable = False
            continue
        for column, text_of_cell in enumerate(row.when):
            try:
                read_cell(text_of_cell, table.inputs[column].type)
            except CellError:
                text = N_("“{cell}” is no condition on a {type}, such as < 5, [1..5] or -.")
                draft.add(
                    place.at("when", column), "bad_cell", text,
                    cell=text_of_cell[:80], type=table.inputs[column].type,
                )  # fmt: skip
                readable = False
        for source in sources_of(row.approvers):
            draft.check_roles(place.at("approvers", "role"), source.roles)
            if source.table:
                text = N_("A decision table cannot lead to another one.")
                draft.add(place.at("approvers"), "nested_table", text)
    return readable


def _check_rows(draft: Draft, table: DecisionTable, node: Node) -> None:
    masks = [_masks(table, cells_of(table, row)) for row in table.rows]
    for later, earlier in _pairs(len(masks)):
        pair = list(zip(masks[later], masks[earlier], strict=True))
        if table.hit == "unique" and all(mine & theirs for mine, theirs in pair):
            text = N_("This row and row {other} can hold at once, but the table says unique.")
            draft.add(node.at("rows", later), "overlap", text, other=earlier + 1)
        elif table.hit == "first" and all(mine <= theirs for mine, theirs in pair):
            text = N_("This row is never reached: row {other} holds whenever it does.")
            draft.add(node.at("rows", later), "unreachable", text, other=earlier + 1)


def _pairs(number: int) -> Iterator[tuple[int, int]]:
    return ((later, earlier) for earlier, later in combinations(range(number), 2))


def _masks(table: DecisionTable, cells: Sequence[Cell]) -> list[frozenset[int]]:
    """Return for each cell the points of its column at which it holds."""
    return [
        frozenset(at for at, point in enumerate(points) if cell.holds(point))
        for cell, points in zip(cells, all_points(table), strict=True)
    ]


def all_points(table: DecisionTable) -> list[list[Value | None]]:
    """Return for each input what tells its cells apart: bounds, between, beyond, null."""
    columns: list[set[Value]] = [set() for _ in table.inputs]
    for row in table.rows:
        for bounds, cell in zip(columns, cells_of(table, row), strict=True):
            for one in cell.ranges:
                bounds |= {each for each in (one.low, one.high) if each is not None}
    return [
        [None, *_around(sorted(bounds), one.type)]
        for bounds, one in zip(columns, table.inputs, strict=True)
    ]


def _around(bounds: Sequence[Value], kind: str) -> list[Value]:
    if kind == "boolean":
        return [False, True]
    found: list[Value] = list(bounds)
    for low, high in pairwise(bounds):
        if isinstance(low, Decimal) and isinstance(high, Decimal):
            found.append((low + high) / 2)
        elif kind == "date":
            found.append(low + timedelta(days=1))  # type: ignore[operator]
        else:
            found.append(f"{low}\0")
    if not bounds:
        return [{"number": Decimal(0)}.get(kind, _OTHER)]
    first, last = bounds[0], bounds[-1]
    if isinstance(first, Decimal) and isinstance(last, Decimal):
        return [*found, first - 1, last + 1]
    if kind == "date":
        day = timedelta(days=1)
        return [*found, first - day, last + day]  # type: ignore[operator,list-item]
    return [*found, "", f"{last}\0"]


def find_gap(table: DecisionTable) -> list[Value | None] | None:
    """Return values for which no row holds, or None when every combination has one.

    None too where there are too many combinations to look at.
    """
    columns = all_points(table)
    size = 1
    for points in columns:
        size *= len(points)
    if size > _MOST_POINTS:
        return None
    rows = [cells_of(table, row) for row in table.rows]
    for values in product(*columns):
        if not any(
            all(cell.holds(value) for cell, value in zip(row, values, strict=True)) for row in rows
        ):
            return list(values)
    return None
