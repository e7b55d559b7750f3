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
        other = is_now[row_id]
        if any(
            not same_value(column, row[column.name], other.get(column.name))
            for column in table.fields
            if column.name in changed & _changed(table, before, other)
        ):
            return None
        names = (column.name for column in table.fields if column.name in row)
        cells = {name: (row if name in changed else other).get(name) for name in names}
        merged.append({"id": row_id, **cells})
    added = [row for row in theirs if row["id"] not in was and row["id"] not in kept]
    return merged + [{"id": row["id"]} for row in added]


def _changed(table: Field, before: Row, after: Row) -> set[str]:
    """Return the columns that `after` names with other values than `before`."""
    return {
        column.name
        for column in table.fields
        if column.name in after
        and not same_value(column, after[column.name], before.get(column.name))
    }
