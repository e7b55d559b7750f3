"""Links of many records moved from some targets to another, and back, batch by batch.

Each record gets a new version with its event in the history, as from any other change;
nothing else of it is looked at, since it points to the same thing under another id.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core import audit
from core.context import Context
from core.records.children import attach, update_links
from core.records.conflicts import taken_by
from core.records.events import announce, field_changes, history_event
from core.records.usage import Pointer
from core.records.wire import wire_of

#: Records changed by one statement.
BATCH = 500

Record = dict[str, Any]


class Edit(msgspec.Struct, frozen=True):
    """One field of one record that pointed to one thing and points to another now.

    Attributes:
        field: the link or links field; of a row the path of its table field.
        old: what it pointed to: an id, or all ids of a links field; so is `new`.
        row: id of the row, where the link is a column of a table field.
        column: that column.
    """

    field: str
    old: Any
    new: Any
    row: str = ""
    column: str = ""

    @property
    def name(self) -> str:
        """Return the record's own field that it is in."""
        return self.field.partition(".")[0]

    def back(self) -> "Edit":
        """Return the edit that takes this one back."""
        return Edit(self.field, self.new, self.old, self.row, self.column)


#: The edits of one record type: record id -> what changes in it.
Edits = dict[str, list[Edit]]


def find_edits(
    ctx: Context, connection: Connection, pointer: Pointer, targets: Sequence[str], to: str
) -> Iterator[tuple[str, Edit]]:
    """Yield (record id, edit) for every live record that points to `targets` through a field.

    Records among the targets are left out: they are about to go.
    """
    tables = ctx.registry.tables[pointer.type]
    main, name = tables.main, pointer.field.name
    live = (main.c.deleted_at.is_(None), main.c.id.not_in(targets))
    if pointer.field.type == "links":
        links = tables.links[name]
        query = (
            sa.select(main.c.id)
            .distinct()
            .join(links, links.c.record_id == main.c.id)
            .where(links.c.target_id.in_(targets), *live)
        )
        owners = [{"id": one} for one in connection.execute(query).scalars()]
        attach(connection, ctx.registry, pointer.type, owners, [name])
        gone = set(targets)
        for owner in owners:
            put = [to if one in gone else one for one in owner[name]]
            kept = [one for one in dict.fromkeys(put) if one != owner["id"]]
            yield owner["id"], Edit(name, owner[name], kept)
        return
    if pointer.table:
        child = tables.rows_of(pointer.table)
        row_query = (
            sa.select(main.c.id, child.c.id, child.c[name])
            .join(child, child.c.record_id == main.c.id)
            .where(child.c[name].in_(targets), *live)
        )
        for owner_id, row_id, old in connection.execute(row_query):
            yield owner_id, Edit(pointer.table, old, to, row_id, name)
        return
    link_query = sa.select(main.c.id, main.c[name]).where(main.c[name].in_(targets), *live)
    for owner_id, old in connection.execute(link_query):
        is_self = owner_id == to and not pointer.field.required
        yield owner_id, Edit(name, old, None if is_self else to)


def apply_edits(
    ctx: Context, connection: Connection, type_name: str, edits: Mapping[str, Sequence[Edit]]
) -> list[tuple[str, str]]:
    """Write edits; return (record id, field) of those whose value is another one by now.

    Raises:
        Taken: two records would have a combination that must be unique.
    """
    missed: list[tuple[str, str]] = []
    ids = sorted(edits)
    for start in range(0, len(ids), BATCH):
        part = {one: edits[one] for one in ids[start : start + BATCH]}
        try:
            with connection.begin_nested():
                missed += _apply(ctx, connection, type_name, part)
        except IntegrityError as error:
            raise taken_by(ctx, ctx.registry.record_type(type_name), error) from error
    return missed


def _apply(
    ctx: Context, connection: Connection, type_name: str, edits: Mapping[str, Sequence[Edit]]
) -> list[tuple[str, str]]:
    main = ctx.registry.tables[type_name].main
    tables = ctx.registry.tables[type_name]
    records = _locked(ctx, connection, type_name, edits)
    found = {record["id"] for record in records}
    missed = [(one, edit.field) for one in edits if one not in found for edit in edits[one]]
    rows: dict[tuple[str, str], list[Record]] = defaultdict(list)
    changed: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    events, told = [], []
    for record in records:
        after = dict(record)
        done = [one for one in edits[record["id"]] if _edited(after, one, tables.children)]
        missed += [(record["id"], one.field) for one in edits[record["id"]] if one not in done]
        if not done:
            continue
        for edit in done:
            if edit.row:
                rows[edit.field, edit.column].append({"_id": edit.row, "_new": edit.new})
            elif edit.field in tables.links:
                update_links(connection, tables.links[edit.field], record["id"], after[edit.field])
        event = _event(ctx, type_name, record, after, {edit.name for edit in done})
        columns = tuple(sorted({edit.field for edit in done if edit.field in main.c}))
        changed[columns].append(
            {
                "_id": record["id"],
                "_version": event["version"],
                "_chain": event["hash"],
                "_events": event["seq"],
                **{f"_{name}": after[name] for name in columns},
            }
        )
        events.append(event)
        told.append((type_name, record["id"], event["version"]))
    _write(ctx, connection, type_name, changed, rows)
    if events:
        audit.append(connection, events)
        announce(ctx, connection, "record.updated", told)
    return missed


def _locked(
    ctx: Context, connection: Connection, type_name: str, edits: Mapping[str, Sequence[Edit]]
) -> list[Record]:
    """Return the live records that are to be edited, with the tables and links that matter."""
    tables = ctx.registry.tables[type_name]
    query = (
        sa.select(tables.main)
        .where(tables.main.c.id.in_(list(edits)), tables.main.c.deleted_at.is_(None))
        .order_by(tables.main.c.id)
        .with_for_update(of=tables.main)
    )
    records = [dict(row) for row in connection.execute(query).mappings()]
    used = {edit.name for some in edits.values() for edit in some}
    names = [name for name in (*tables.children, *tables.links) if name in used]
    attach(connection, ctx.registry, type_name, records, names)
    return records


def _event(
    ctx: Context, type_name: str, before: Record, after: Record, names: Iterable[str]
) -> Record:
    """Return the event of a record's next version, in which the named fields changed."""
    names = list(names)
    changes = field_changes(
        ctx.registry.record_type(type_name),
        wire_of(ctx.registry, type_name),
        {name: before[name] for name in names},
        {name: after[name] for name in names},
    )
    record = {**after, "version": before["version"] + 1}
    record_type = ctx.registry.record_type(type_name)
    return history_event(ctx, record_type, record, action="update", changes=changes)


def _edited(record: Record, edit: Edit, children: Iterable[str]) -> bool:
    """Make an edit in a record's values; return whether it was still to be made."""
    if edit.name not in children:
        if record.get(edit.field) != edit.old:
            return False
        record[edit.field] = edit.new
        return True
    rows = _edited_rows(record[edit.name], edit, edit.field.split(".")[1:])
    if rows is None:
        return False
    record[edit.name] = rows
    return True


def _edited_rows(rows: Sequence[Record], edit: Edit, inside: Sequence[str]) -> list[Record] | None:
    """Return rows with an edit made in one of them, or in a row that one owns; None if in none."""
    for place, row in enumerate(rows):
        made: Record | None = None
        if inside:
            inner = _edited_rows(row.get(inside[0]) or (), edit, inside[1:])
            made = None if inner is None else {**row, inside[0]: inner}
        elif row["id"] == edit.row and row.get(edit.column) == edit.old:
            made = {**row, edit.column: edit.new}
        if made is not None:
            return [*rows[:place], made, *rows[place + 1 :]]
    return None


def _write(
    ctx: Context,
    connection: Connection,
    type_name: str,
    changed: Mapping[tuple[str, ...], Sequence[Record]],
    rows: Mapping[tuple[str, str], Sequence[Record]],
) -> None:
    tables = ctx.registry.tables[type_name]
    for columns, records in changed.items():
        names = ("version", "chain", "events", *columns)
        statement = (
            tables.main.update()
            .where(tables.main.c.id == sa.bindparam("_id"))
            .values(
                release=ctx.registry.release.number,
                updated_at=ctx.now,
                updated_by=ctx.actor.id,
                **{name: sa.bindparam(f"_{name}") for name in names},
            )
        )
        connection.execute(statement, list(records))
    for (table, column), some in rows.items():
        child = tables.rows_of(table)
        connection.execute(
            child.update()
            .where(child.c.id == sa.bindparam("_id"))
            .values({column: sa.bindparam("_new")}),
            list(some),
        )
