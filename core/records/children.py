"""The rows of table fields and the targets of links fields: read, compared, written."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.ids import new_id, new_ids
from core.policies.bounded import compiled
from core.records.wire import Dump, dump_mapping, dump_rows
from core.tables.inserting import insert_all
from core.tables.registry import Registry

Row = dict[str, Any]

#: Owners whose rows are read in one statement.
BATCH = 500

#: What names one table or links field: record type and field.
Place = tuple[str, str]


def read_rows(
    connection: Connection, registry: Registry, place: Place, ids: Iterable[str]
) -> dict[str, list[Row]]:
    """Return the rows of a table field by record id, in their order."""
    type_name, name = place
    table = registry.tables[type_name].children[name]
    columns = [column for column in table.c if column.key != "record_id"]
    statement = compiled(
        registry,
        ("records.rows", place),
        lambda: (
            sa.select(table.c.record_id, *columns)
            .where(table.c.record_id.in_(sa.bindparam("ids", expanding=True)))
            .order_by(table.c.record_id, table.c.position)
        ),
    )
    names = [column.key for column in columns]
    found: dict[str, list[Row]] = defaultdict(list)
    for part in _parts(ids):
        for owner, *values in connection.execute(statement, {"ids": part}):
            found[owner].append(dict(zip(names, values, strict=True)))
    return found


def read_links(
    connection: Connection, registry: Registry, place: Place, ids: Iterable[str]
) -> dict[str, list[str]]:
    """Return the targets of a links field by record id, in their order."""
    type_name, name = place
    table = registry.tables[type_name].links[name]
    statement = compiled(
        registry,
        ("records.links", place),
        lambda: (
            sa.select(table.c.record_id, table.c.target_id)
            .where(table.c.record_id.in_(sa.bindparam("ids", expanding=True)))
            .order_by(table.c.record_id, table.c.position, table.c.target_id)
        ),
    )
    found: dict[str, list[str]] = defaultdict(list)
    for part in _parts(ids):
        for owner, target in connection.execute(statement, {"ids": part}):
            found[owner].append(target)
    return found


def _parts(ids: Iterable[str]) -> Iterable[list[str]]:
    listed = list(ids)
    return (listed[start : start + BATCH] for start in range(0, len(listed), BATCH))


def attach(
    connection: Connection,
    registry: Registry,
    type_name: str,
    records: Sequence[Row],
    names: Iterable[str],
) -> None:
    """Put the named table and links fields into records that carry their `id`."""
    tables = registry.tables[type_name]
    ids = [record["id"] for record in records]
    for name in names:
        found: Mapping[str, list[Any]]
        if name in tables.children:
            found = read_rows(connection, registry, (type_name, name), ids)
        else:
            found = read_links(connection, registry, (type_name, name), ids)
        for record in records:
            record[name] = found.get(record["id"], [])


def insert_rows(
    connection: Connection, table: sa.Table, owned: Iterable[tuple[str, Sequence[Row]]]
) -> None:
    """Write the rows of new records, giving each its id, in one statement."""
    listed = [(owner, rows) for owner, rows in owned if rows]
    every = [row for _owner, rows in listed for row in rows]
    give_ids(every)
    owners = [owner for owner, rows in listed for _row in rows]
    insert_all(connection, table, every, {"record_id": owners})


def give_ids(rows: Iterable[Row]) -> None:
    """Give each row that has no id yet one, in their order."""
    without = [row for row in rows if "id" not in row]
    for row, row_id in zip(without, new_ids(len(without)), strict=True):
        row["id"] = row_id


def _parameters(owner: str, row: Row, names: Iterable[str]) -> Row:
    made = {name: row.get(name) for name in names}
    made["record_id"] = owner
    return made


def update_rows(
    connection: Connection,
    table: sa.Table,
    owner: str,
    before: Sequence[Row],
    after: Sequence[Row],
) -> None:
    """Make a record's stored rows `before` into `after`; new rows get their ids."""
    kept = {row["id"] for row in after if "id" in row}
    gone = [row["id"] for row in before if row["id"] not in kept]
    if gone:
        connection.execute(table.delete().where(table.c.id.in_(gone), table.c.record_id == owner))
    known = {row["id"]: row for row in before}
    names = [column.key for column in table.c if column.key != "record_id"]
    added, changed = [], []
    for row in after:
        if row.setdefault("id", new_id()) not in known:
            added.append(_parameters(owner, row, names))
        elif known[row["id"]] != row:
            changed.append({f"_{name}": row.get(name) for name in names})
    if changed:
        statement = table.update().where(table.c.id == sa.bindparam("_id"))
        given: dict[str, Any] = {name: sa.bindparam(f"_{name}") for name in names if name != "id"}
        connection.execute(statement.values(given), changed)
    if added:
        connection.execute(table.insert(), added)


def insert_links(
    connection: Connection, table: sa.Table, owned: Iterable[tuple[str, Sequence[str]]]
) -> None:
    """Write the targets of new records in one statement."""
    rows = [
        {"record_id": owner, "target_id": target, "position": position}
        for owner, targets in owned
        for position, target in enumerate(targets)
    ]
    insert_all(connection, table, rows)


def update_links(
    connection: Connection, table: sa.Table, owner: str, after: Sequence[str]
) -> None:
    """Make `after` the targets of a record."""
    connection.execute(table.delete().where(table.c.record_id == owner))
    insert_links(connection, table, [(owner, after)])


def row_changes(
    before: Sequence[Row], after: Sequence[Row], dumps: Mapping[str, Dump]
) -> dict[str, list[Any]]:
    """Return how rows changed, by row id, in wire form.

    Unless rows were only added at the end, `order` has both orders.
    """
    if not before:
        return {"added": dump_rows(after, dumps), "removed": [], "changed": []}
    old = {row["id"]: dump_mapping(row, dumps) for row in before}
    new = {row["id"]: dump_mapping(row, dumps) for row in after}
    changes: dict[str, list[Any]] = {
        "added": [row for row_id, row in new.items() if row_id not in old],
        "removed": [row for row_id, row in old.items() if row_id not in new],
        "changed": [
            {"id": row_id, **_cells(old[row_id], row)}
            for row_id, row in new.items()
            if row_id in old and _cells(old[row_id], row)
        ],
    }
    if list(new)[: len(old)] != list(old):
        changes["order"] = [list(old), list(new)]
    return changes


def _cells(before: Row, after: Row) -> dict[str, Any]:
    return {
        name: [before.get(name), value]
        for name, value in after.items()
        if name != "position" and before.get(name) != value
    }
