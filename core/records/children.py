"""The rows of table fields and the targets of links fields: read, compared, written."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    inner = registry.tables[type_name].inner.get(name)
    if inner and found:
        for within, inside in inner.items():
            _read_inside(connection, registry, (*place, within), inside, found)
    return found


def _read_inside(
    connection: Connection,
    registry: Registry,
    place: tuple[str, str, str],
    table: sa.Table,
    found: Mapping[str, list[Row]],
) -> None:
    """Put into the rows found, by record, the rows that each of them owns."""
    name = place[2]
    columns = [column for column in table.c if column.key not in {"record_id", "row_id"}]
    statement = compiled(
        registry,
        ("records.rows", place),
        lambda: (
            sa.select(table.c.row_id, *columns)
            .where(table.c.record_id.in_(sa.bindparam("ids", expanding=True)))
            .order_by(table.c.row_id, table.c.position)
        ),
    )
    names = [column.key for column in columns]
    holders: dict[str, list[Row]] = {}
    for rows in found.values():
        for row in rows:
            row[name] = holders[row["id"]] = []
    for part in _parts(found):
        for holder, *values in connection.execute(statement, {"ids": part}):
            holders[holder].append(dict(zip(names, values, strict=True)))


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
    connection: Connection,
    table: sa.Table,
    owned: Iterable[tuple[str, Sequence[Row]]],
    inner: Mapping[str, sa.Table] | None = None,
) -> None:
    """Write the rows of new records, giving each its id, in one statement.

    `inner` has the tables of the table fields among their columns, written as well.
    """
    listed = [(owner, rows) for owner, rows in owned if rows]
    every = [row for _owner, rows in listed for row in rows]
    give_ids(every)
    owners = [owner for owner, rows in listed for _row in rows]
    insert_all(connection, table, every, {"record_id": owners})
    for name, inside in (inner or {}).items():
        _insert_inside(connection, inside, name, zip(owners, every, strict=True))


def _insert_inside(
    connection: Connection, table: sa.Table, name: str, rows: Iterable[tuple[str, Row]]
) -> None:
    """Write what new rows, each with its record, hold in their table field `name`."""
    held = [(owner, row["id"], one) for owner, row in rows for one in row.get(name) or ()]
    if held:
        owners, holders, inside = zip(*held, strict=True)
        give_ids(inside)
        insert_all(connection, table, inside, {"record_id": owners, "row_id": holders})


def give_ids(rows: Iterable[Row]) -> None:
    """Give each row that has no id yet one, in their order."""
    without = [row for row in rows if "id" not in row]
    for row, row_id in zip(without, new_ids(len(without)), strict=True):
        row["id"] = row_id


def give_all_ids(rows: Sequence[Row], inner: Iterable[str] = ()) -> None:
    """Give each row its id, and those inside it, which its columns `inner` hold."""
    give_ids(rows)
    for name in inner:
        give_ids([one for row in rows for one in row.get(name) or ()])


def _parameters(row: Row, names: Iterable[str], owners: Mapping[str, str]) -> Row:
    return {**{name: row.get(name) for name in names}, **owners}


def update_rows(
    connection: Connection,
    table: sa.Table,
    owner: str,
    before: Sequence[Row],
    after: Sequence[Row],
    inner: Mapping[str, sa.Table] | None = None,
) -> None:
    """Make a record's stored rows `before` into `after`; new rows get their ids.

    `inner` has the tables of the table fields among their columns, written as well.
    """
    _update_level(connection, table, {"record_id": owner}, before, after)
    for name, inside in (inner or {}).items():
        held = {row["id"]: row.get(name) or [] for row in before}
        for row in after:
            was, now = held.pop(row["id"], []), row.get(name) or []
            if was != now:
                owners = {"record_id": owner, "row_id": row["id"]}
                _update_level(connection, inside, owners, was, now)
        if held:
            gone = inside.c.row_id.in_(held)
            connection.execute(inside.delete().where(gone, inside.c.record_id == owner))


def _update_level(
    connection: Connection,
    table: sa.Table,
    owners: Mapping[str, str],
    before: Sequence[Row],
    after: Sequence[Row],
) -> None:
    """Make the rows of one owner `before` into `after`; `owners` are the columns that name it."""
    owner = owners["record_id"]
    kept = {row["id"] for row in after if "id" in row}
    gone = [row["id"] for row in before if row["id"] not in kept]
    if gone:
        connection.execute(table.delete().where(table.c.id.in_(gone), table.c.record_id == owner))
    known = {row["id"]: row for row in before}
    names = [column.key for column in table.c if column.key not in owners]
    added, changed = [], []
    for row in after:
        if row.setdefault("id", new_id()) not in known:
            added.append(_parameters(row, names, owners))
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
    before: Sequence[Row],
    after: Sequence[Row],
    dumps: Mapping[str, Dump],
    inner: Collection[str] = (),
) -> dict[str, list[Any]]:
    """Return how rows changed, by row id, in wire form.

    Unless rows were only added at the end, `order` has both orders. A table field `inner`
    of changed rows says in the same way how its rows changed.
    """
    if not before:
        return {"added": dump_rows(after, dumps), "removed": [], "changed": []}
    old = {row["id"]: dump_mapping(row, dumps) for row in before}
    new = {row["id"]: dump_mapping(row, dumps) for row in after}
    changes: dict[str, list[Any]] = {
        "added": [row for row_id, row in new.items() if row_id not in old],
        "removed": [row for row_id, row in old.items() if row_id not in new],
        "changed": [
            {"id": row_id, **cells}
            for row_id, row in new.items()
            if row_id in old and (cells := _cells(old[row_id], row, inner))
        ],
    }
    if list(new)[: len(old)] != list(old):
        changes["order"] = [list(old), list(new)]
    return changes


def _cells(before: Row, after: Row, inner: Collection[str]) -> dict[str, Any]:
    cells: dict[str, Any] = {}
    for name, value in after.items():
        if name == "position" or before.get(name) == value:
            continue
        if name not in inner:
            cells[name] = [before.get(name), value]
            continue
        rows = row_changes(before.get(name) or [], value or [], {})
        if any(rows.values()):
            cells[name] = rows
    return cells
