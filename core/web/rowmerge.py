"""Two people's changes of one table field, row by row and cell by cell."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.schema.model import Field
from core.web.formvalues import same_value

Row = Mapping[str, Any]


def merge_rows(
    table: Field, base: Sequence[Row], theirs: Sequence[Row], mine: Sequence[Row]
) -> list[dict[str, Any]] | None:
    """Return the rows with both people's changes; None when they collide.

    All rows are in wire form; those of `mine` that are new have no `id`. Their order is kept,
    and rows that somebody else added come after them. It is a collision when both changed
    one cell to different values, or one changed a row that the other removed.
    """
    was = {row["id"]: row for row in base}
    is_now = {row["id"]: row for row in theirs}
    kept = {row["id"] for row in mine if row.get("id")}
    for row_id in was.keys() & is_now.keys() - kept:
        if _changed(table, was[row_id], is_now[row_id]):
            return None
    merged: list[dict[str, Any]] = []
    for row in mine:
        row_id = row.get("id")
        before = was.get(row_id) if row_id else None
        if before is None:
            merged.append(dict(row))
            continue
        changed = _changed(table, before, row)
        if row_id not in is_now:
            if changed:
                return None
            continue
        made = _merged_row(table, before, is_now[row_id], row)
        if made is None:
            return None
        merged.append({"id": row_id, **made})
    added = [row for row in theirs if row["id"] not in was and row["id"] not in kept]
    return merged + [{"id": row["id"]} for row in added]


def _merged_row(table: Field, before: Row, other: Row, mine: Row) -> dict[str, Any] | None:
    """Return the cells of a row that both may have changed; None when they collide."""
    changed = _changed(table, before, mine)
    names = (column.name for column in table.fields if column.name in mine)
    cells = {name: (mine if name in changed else other).get(name) for name in names}
    twice = changed & _changed(table, before, other)
    columns = [column for column in table.fields if column.name in twice]
    settled = all(_settle(column, before, other, cells) for column in columns)
    return cells if settled else None


def _settle(column: Field, before: Row, other: Row, cells: dict[str, Any]) -> bool:
    """Merge what both changed in one cell of `cells`; return whether that is possible."""
    name = column.name
    if same_value(column, cells[name], other.get(name)):
        return True
    if column.type != "table":
        return False
    inside = (before.get(name) or [], other.get(name) or [], cells[name] or [])
    cells[name] = merge_rows(column, *inside)
    return cells[name] is not None


def _changed(table: Field, before: Row, after: Row) -> set[str]:
    """Return the columns that `after` names with other values than `before`."""
    return {
        column.name
        for column in table.fields
        if column.name in after
        and not same_value(column, after[column.name], before.get(column.name))
    }
