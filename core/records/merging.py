"""Several records of one thing made one: values chosen, links moved, the others put away.

Everything happens in one transaction and is written down, so that it can be undone: the
records come back and what was moved goes back, unless somebody changed it since.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Conflict, Forbidden, Invalid, Problem
from core.extension.hookspecs import Change
from core.i18n import N_
from core.policies.access import Access, access
from core.records.attachments import bind_files
from core.records.children import attach
from core.records.comments import move_comments
from core.records.deleting import as_system, check_delete_rule
from core.records.following import add_followers
from core.records.mergejournal import (
    note_merge,
)
from core.records.operations import MAX_REASON
from core.records.proposals import SUBMITTED, living_proposals
from core.records.queries import read_back
from core.records.relinking import Edits, apply_edits, find_edits
from core.records.stored import Stored, check_version, lock_record
from core.records.updating import Update, write_version
from core.records.usage import Pointer, pointers_to
from core.records.wire import wire_of
from core.schema.fieldtypes import is_written
from core.schema.model import Field, RecordType

Record = dict[str, Any]

#: Records merged into one at a time, and records relinked with them.
MOST = 20
MOST_MOVED = 100_000
#: What `take` says for the values of all records together, and for which fields it can.
ALL = "*"
JOINED = frozenset({"links", "users", "multi_select", "files", "table"})


class MergeWaits(Conflict):
    """Something that would change with the merge waits for approval."""

    code = "merge.waiting"
    text = N_("Approvals or proposed changes under way involve these records: {count}.")
    hint = N_("Decide or withdraw them first.")


class NotMergeable(Conflict):
    """Records of this type cannot be merged."""

    code = "merge.not_possible"
    text = N_(
        "Records of this form cannot be merged: they need approval, or are deleted for good."
    )


class TooManyMoved(Conflict):
    """More records point to the merged ones than one merge moves."""

    code = "merge.too_many"
    text = N_("More than {limit} records point to these; that is too many for one merge.")


@dataclass(slots=True)
class Merged:
    """What a merge did.

    Attributes:
        id: by which it can be undone.
        record: the survivor as its writer sees it.
        moved: record type -> how many of its records point to the survivor now.
    """

    id: str
    record: Record
    moved: dict[str, int]


def merge_records(
    ctx: Context,
    type_name: str,
    survivor: str,
    others: Mapping[str, int | None],
    *,
    version: int | None,
    take: Mapping[str, str] | None = None,
    reason: str = "",
) -> Merged:
    """Merge records into one and return what was done.

    Args:
        ctx: who merges; links of others' records are moved by the product on their behalf.
        type_name: the records' type.
        survivor: the record that lives on.
        others: the records that are put away -> the version seen; None takes any.
        version: the survivor's version that the caller has seen; None takes any.
        take: field -> the record whose value lives on, or `*` for all values together.
        reason: told in the history.

    Raises:
        NotFound: one of them is not there for this actor.
        Forbidden: the actor may not edit the survivor, delete the others, or see or write a field.
        StaleVersion: one was changed meanwhile.
        Invalid: the survivor would break rules, or `take` names what cannot be taken.
        MergeWaits: approvals or proposed changes under way involve them.
        NotMergeable: the type's records are documents, or deleted for good.
        Conflict: a rule forbids putting them away, or something must be unique.
    """
    _check_asked(survivor, others, reason)
    rights = access(ctx, type_name)
    record_type = rights.record_type
    if record_type.document or not record_type.soft_delete:
        raise NotMergeable
    with ctx.writing() as connection:
        stored = _locked(ctx, connection, rights, survivor, {survivor: version, **others})
        changes = _changes(ctx, rights, stored, survivor, take or {})
        moved = _move(ctx, connection, type_name, survivor, sorted(others))
        _put_away(ctx, connection, record_type, [stored[one].values for one in others], reason)
        comments = move_comments(connection, type_name, sorted(others), survivor)
        followers = add_followers(ctx, connection, type_name, sorted(others), survivor)
        bind_files(ctx, connection, record_type, [{"id": survivor, **changes.files}])
        taken = _survive(ctx, connection, rights, survivor, changes.values, reason)
        merge_id = note_merge(
            ctx,
            connection,
            record=(type_name, survivor),
            losers={one: stored[one].values["version"] for one in others},
            taken=taken,
            moved=moved,
            comments=comments,
            followers=followers,
        )
        record = read_back(ctx, type_name, survivor)
    counts = {name: len(edits) for name, edits in sorted(moved.items())}
    return Merged(merge_id, record, counts)


def _check_asked(survivor: str, others: Mapping[str, int | None], reason: str) -> None:
    """Refuse what cannot be meant.

    Raises:
        Invalid: there is nothing to merge, too much of it, or the reason is too long.
    """
    problems = []
    if not others or len(others) > MOST or survivor in others:
        text = N_("Name 1 to {limit} other records.")
        problems.append(Problem("records", "merge.records", text, {"limit": MOST}))
    if len(reason) > MAX_REASON:
        text = N_("At most {limit} characters; this has {length}.")
        params = {"limit": MAX_REASON, "length": len(reason)}
        problems.append(Problem("reason", "field.too_long", text, params))
    if problems:
        raise Invalid(problems=problems)


def _locked(
    ctx: Context,
    connection: Connection,
    rights: Access,
    survivor: str,
    versions: Mapping[str, int | None],
) -> dict[str, Stored]:
    """Lock all of the records, always in the same order; return them with their rows."""
    found = {}
    for one in sorted(versions):
        is_other = one != survivor
        action = "delete" if is_other else "edit"
        stored = lock_record(ctx, connection, rights, one, action=action, deleting=is_other)
        check_version(stored, versions[one])
        found[one] = stored
    tables = ctx.registry.tables[rights.record_type.name]
    rows = [one.values for one in found.values()]
    names = (*tables.children, *tables.links)
    attach(connection, ctx.registry, rights.record_type.name, rows, names)
    return found


# -- the values that live on ----------------------------------------------------------------


@dataclass(slots=True)
class _Changes:
    values: Record
    files: Record


def _changes(
    ctx: Context,
    rights: Access,
    stored: Mapping[str, Stored],
    survivor: str,
    take: Mapping[str, str],
) -> _Changes:
    """Return the survivor's new wire values, and the same as Python values for its files.

    Raises:
        Invalid: a field or a record is none that values can be taken from.
        Forbidden: the actor does not see a value, or only its mask.
    """
    record_type, wire = rights.record_type, wire_of(ctx.registry, rights.record_type.name)
    fields = {one.name: one for one in record_type.fields}
    changes = _Changes({}, {})
    problems = [
        problem
        for name, source in take.items()
        if (problem := _take_problem(fields.get(name), name, source, stored)) is not None
    ]
    if problems:
        raise Invalid(problems=problems)
    for name, source in take.items():
        one = fields[name]
        if source != survivor:
            sources = list(stored) if source == ALL else [source]
            if any(name not in stored[each].sight.clear for each in sources):
                raise Forbidden
            ordered = sorted(sources, key=lambda each: each != survivor)
            raw = [stored[each].values[name] for each in ordered]
            value = _joined(one, raw) if source == ALL else raw[0]
            value = _without(one, value, set(stored))
            own = row_ids(stored[survivor].values[name])
            changes.files[name] = value
            changes.values[name] = rows_to_write(one, wire.value(name, value), own)
    return changes


def _take_problem(
    one: Field | None, name: str, source: str, stored: Mapping[str, Stored]
) -> Problem | None:
    """Return why a value cannot be taken from a record."""
    path = f"take.{name[:80]}"
    if one is None or not can_take(one):
        return Problem(path, "merge.field", N_("No value of this field can be taken over."))
    if source == ALL and one.type not in JOINED:
        return Problem(path, "merge.all", N_("Only one of the values can live on."))
    if source != ALL and source not in stored:
        return Problem(path, "merge.source", N_("This is none of the records that are merged."))
    return None


def can_take(one: Field) -> bool:
    """Return whether a merge can take a field's value from another record."""
    return is_written(one) and one.type != "secret" and one.sensitive != "secret"


def _joined(one: Field, values: Sequence[Any]) -> Any:
    every = [item for value in values for item in value or ()]
    return every if one.type == "table" else list(dict.fromkeys(every))


def _without(one: Field, value: Any, merged: set[str]) -> Any:
    """Return linked records without those that are merged: nothing links to itself."""
    if one.type == "links":
        return [each for each in value or () if each not in merged]
    return None if one.type == "link" and value in merged else value


def rows_to_write(one: Field, value: Any, known: Collection[str]) -> Any:
    """Return a field's wire value as it is written: rows that are not `known` are new ones."""
    if one.type != "table":
        return value
    inner = {each.name: each for each in one.fields if is_written(each)}
    return [
        {
            name: rows_to_write(inner[name], cell, known) if name in inner else cell
            for name, cell in row.items()
            if name in inner or (name == "id" and cell in known)
        }
        for row in value or ()
    ]


def row_ids(value: Any) -> set[str]:
    """Return the ids of the rows of a table field and of the rows that they own."""
    found: set[str] = set()
    for row in value if isinstance(value, list) else ():
        if isinstance(row, dict):
            found.add(row.get("id", ""))
            found = found.union(*(row_ids(cell) for cell in row.values()))
    return found


def _survive(
    ctx: Context,
    connection: Connection,
    rights: Access,
    survivor: str,
    changes: Record,
    reason: str,
) -> dict[str, list[Any]]:
    """Write the survivor; return what changed in it, as name -> [before, after] on the wire."""
    before = current_values(ctx, connection, rights, survivor, changes)
    update = Update(ctx, connection, rights)
    values = update.lock(survivor, None)
    row = update.apply(changes, "merge", reason)
    if row is not None and row["version"] == values["version"]:
        type_name = rights.record_type.name
        write_version(
            ctx, connection, type_name, values, {}, action="merge", changes={}, reason=reason
        )
    after = current_values(ctx, connection, rights, survivor, changes)
    return {name: [before[name], after[name]] for name in changes if before[name] != after[name]}


def current_values(
    ctx: Context, connection: Connection, rights: Access, record_id: str, names: Iterable[str]
) -> Record:
    """Return some fields of a record as they are now, in wire form."""
    type_name = rights.record_type.name
    tables = ctx.registry.tables[type_name]
    names = set(names)
    row = dict(lock_record(ctx, connection, rights, record_id, action="edit").values)
    listed = [name for name in (*tables.children, *tables.links) if name in names]
    attach(connection, ctx.registry, type_name, [row], listed)
    wire = wire_of(ctx.registry, type_name)
    return {name: wire.value(name, row[name]) for name in names if name in row}


# -- the records that point to them, and those that go --------------------------------------


def _move(
    ctx: Context, connection: Connection, type_name: str, survivor: str, losers: Sequence[str]
) -> dict[str, Edits]:
    """Have every record that points to a loser point to the survivor.

    Raises:
        MergeWaits: some of them wait for approval, or their proposed changes point there.
        TooManyMoved: there are too many.
    """
    moved: dict[str, Edits] = {}
    pointers: dict[str, list[Pointer]] = defaultdict(list)
    for pointer in pointers_to(ctx.registry, type_name):
        pointers[pointer.type].append(pointer)
    for owner_type, some in pointers.items():
        edits: Edits = defaultdict(list)
        for pointer in some:
            for owner, edit in find_edits(ctx, connection, pointer, losers, survivor):
                edits[owner].append(edit)
                if len(edits) > MOST_MOVED:
                    raise TooManyMoved(limit=MOST_MOVED)
        check_waiting(ctx, connection, owner_type, edits, losers)
        if edits:
            apply_edits(as_system(ctx), connection, owner_type, edits)
            moved[owner_type] = dict(edits)
    return moved


def check_waiting(
    ctx: Context, connection: Connection, type_name: str, edits: Edits, losers: Sequence[str]
) -> None:
    """Refuse to change what is voted on, or what a proposal would change back.

    Raises:
        MergeWaits: there is such a record.
    """
    if not ctx.registry.record_type(type_name).document:
        return
    main = ctx.registry.tables[type_name].main
    waiting: set[str] = set()
    ids = sorted(edits)
    for start in range(0, len(ids), 500):
        query = sa.select(main.c.id).where(
            main.c.id.in_(ids[start : start + 500]), main.c.status == SUBMITTED
        )
        waiting.update(connection.execute(query).scalars())
    for record_id, text in living_proposals(connection, type_name):
        if record_id in edits or any(one in text for one in losers):
            waiting.add(record_id)
    if waiting:
        raise MergeWaits(count=len(waiting))


def _put_away(
    ctx: Context,
    connection: Connection,
    record_type: RecordType,
    rows: Sequence[Record],
    reason: str,
) -> None:
    """Delete the records softly; their history says that they were merged."""
    for values in rows:
        check_delete_rule(ctx, connection, record_type, values["id"])
        ctx.hooks.before_save(ctx, Change(record_type.name, "delete", values["id"], values, {}))
        current = dict(values)
        write_version(
            ctx,
            connection,
            record_type.name,
            current,
            {"deleted_at": ctx.now},
            action="merged",
            changes={},
            reason=reason,
            topics=("record.deleted",),
        )
