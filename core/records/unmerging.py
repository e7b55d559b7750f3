"""Merges read and undone: what was moved goes back, and what changed since is named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Conflict, NotFound
from core.i18n import N_
from core.ids import is_id
from core.policies.access import Access, access
from core.records.comments import return_comments
from core.records.deleting import as_system
from core.records.events import MASKED
from core.records.following import remove_followers
from core.records.history import may_read_history
from core.records.mergejournal import (
    losers_of,
    merge_table,
    merged_into,
    merges_of,
    moved_back,
)
from core.records.merging import check_waiting, current_values, row_ids, rows_to_write
from core.records.operations import restore_record
from core.records.relinking import Edits, apply_edits
from core.records.updating import Update, write_version
from core.schema.model import RecordType

Record = dict[str, Any]


class MergeUndone(Conflict):
    """The merge was undone before, or a later one must be undone first."""

    code = "merge.not_done"
    text = N_("This merge was undone already, or its record was merged into another one since.")


@dataclass(slots=True)
class Unmerged:
    """What undoing a merge did: records back, records relinked, and what stayed as it is.

    `kept` names (record type, record id, field) that were changed since.
    """

    restored: list[str] = field(default_factory=list)
    moved_back: int = 0
    kept: list[tuple[str, str, str]] = field(default_factory=list)


def list_merges(ctx: Context, type_name: str, record_id: str) -> list[Record]:
    """Return the merges of a record, newest first, ready for JSON.

    Each has `id survivor losers at actor_name state moved`.

    Raises:
        NotFound: the record is not there for this actor; one that was merged is.
    """
    if not may_read_history(ctx, type_name, record_id):
        raise NotFound
    with ctx.reading() as connection:
        return merges_of(connection, ctx.registry.record_type(type_name).names, record_id)


def find_survivor(ctx: Context, type_name: str, record_id: str) -> str | None:
    """Return the record that another one was merged into, for those who saw that one."""
    if not is_id(record_id) or not may_read_history(ctx, type_name, record_id):
        return None
    with ctx.reading() as connection:
        return merged_into(connection, ctx.registry.record_type(type_name).names, record_id)


def undo_merge(ctx: Context, type_name: str, merge_id: str, *, reason: str = "") -> Unmerged:
    """Take a merge back: the records live again, and what was moved goes back to them.

    Raises:
        NotFound: there is no such merge of the type, or not for this actor.
        Forbidden: the actor may not edit the survivor or delete such records.
        MergeUndone: it was undone, or the survivor was merged into another record since.
        Conflict: something that must be unique is another record's by now.
        Invalid: a record that comes back would break a rule of today.
    """
    rights = access(ctx, type_name)
    if not is_id(merge_id):
        raise NotFound
    done = Unmerged()
    with ctx.writing() as connection:
        merge = _claimed(ctx, connection, rights.record_type, merge_id)
        survivor, losers = merge["survivor"], losers_of(connection, merge_id)
        if merged_into(connection, rights.record_type.names, survivor) is not None:
            raise MergeUndone
        _give_back(ctx, connection, rights, merge, done, reason)
        for old_name, edits in moved_back(connection, merge_id):
            _move_back(ctx, connection, old_name, edits, done)
        for one, version in sorted(losers.items()):
            _restore(ctx, connection, rights, (one, version), done, reason)
        return_comments(connection, merge["comments"], survivor)
        remove_followers(connection, type_name, survivor, merge["followers"])
    return done


def _claimed(
    ctx: Context, connection: Connection, record_type: RecordType, merge_id: str
) -> Mapping[str, Any]:
    """Mark a merge as undone and return it.

    Raises:
        NotFound: there is none.
        MergeUndone: it was undone before.
    """
    mine = (merge_table.c.id == merge_id) & merge_table.c.record_type.in_(record_type.names)
    claimed = connection.execute(
        merge_table.update().where(mine, merge_table.c.state == "done").values(state="undone")
    )
    row = connection.execute(sa.select(merge_table).where(mine)).mappings().first()
    if row is None or not may_read_history(ctx, record_type.name, row["survivor"]):
        raise NotFound
    if not claimed.rowcount:
        raise MergeUndone
    return dict(row)


def _give_back(
    ctx: Context,
    connection: Connection,
    rights: Access,
    merge: Mapping[str, Any],
    done: Unmerged,
    reason: str,
) -> None:
    """Give the survivor its own values back, where they are still the merge's."""
    type_name, survivor = rights.record_type.name, merge["survivor"]
    current = current_values(ctx, connection, rights, survivor, merge["taken"])
    now = {one for value in current.values() for one in row_ids(value)}
    fields = {one.name: one for one in rights.record_type.fields}
    changes = {}
    for name, (before, after) in merge["taken"].items():
        if name in current and current[name] == after and MASKED not in (before, after):
            changes[name] = rows_to_write(fields[name], before, now)
        else:
            done.kept.append((type_name, survivor, name))
    update = Update(ctx, connection, rights)
    values = update.lock(survivor, None)
    row = update.apply(changes, "unmerge", reason)
    if row is not None and row["version"] == values["version"]:
        write_version(
            ctx, connection, type_name, values, {}, action="unmerge", changes={}, reason=reason
        )


def _move_back(
    ctx: Context, connection: Connection, old_name: str, edits: Edits, done: Unmerged
) -> None:
    """Relink one type's records; the type may have another name since."""
    types = ctx.registry.release.types.values()
    name = next((one.name for one in types if old_name in one.names and not one.archived), None)
    if name is None:
        done.kept += [(old_name, one, edit.field) for one in edits for edit in edits[one]]
        return
    check_waiting(ctx, connection, name, edits, ())
    missed = apply_edits(as_system(ctx), connection, name, edits)
    whole = {one for one, _field in missed}
    done.kept += [(name, one, path) for one, path in missed]
    done.moved_back += len(edits.keys() - whole)


def _restore(
    ctx: Context,
    connection: Connection,
    rights: Access,
    record: tuple[str, int],
    done: Unmerged,
    reason: str,
) -> None:
    """Have a record live again with its values of before the merge."""
    record_id, version = record
    main = ctx.registry.tables[rights.record_type.name].main
    query = sa.select(main.c.deleted_at).where(main.c.id == record_id)
    row = connection.execute(query).first()
    if row is None or row.deleted_at is None:  # erased, or restored by somebody
        done.kept.append((rights.record_type.name, record_id, ""))
        return
    restore_record(ctx, rights.record_type.name, record_id, to_version=version, reason=reason)
    done.restored.append(record_id)
