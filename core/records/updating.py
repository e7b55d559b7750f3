"""Changes of stored records: rows of their own, or the proposal of an effective document."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from core.context import Context
from core.errors import Conflict, Invalid, Problem
from core.extension.hookspecs import Change
from core.i18n import N_
from core.policies.access import Access, access
from core.policies.masks import is_masked, masker
from core.prebuilt import together, updating
from core.records.attachments import bind_files
from core.records.children import attach, give_all_ids, update_links, update_rows
from core.records.conflicts import taken, taken_by
from core.records.counters import number_rows
from core.records.creating import forbidden_fields
from core.records.environment import RecordEnv
from core.records.events import announce, field_changes, history_event, remember
from core.records.loading import NO_VALUE, as_written
from core.records.placetypes import note_move
from core.records.proposals import Proposal, find_proposal, save_proposal
from core.records.queries import get_record
from core.records.references import taken_fields
from core.records.searching import index_change
from core.records.stored import Stored, check_version, lock_record
from core.records.validation import Candidate, Validator, compile_validator
from core.records.wire import wire_of
from core.schema.model import RecordType
from core.tables.computed import COMPUTED

Record = dict[str, Any]


class DocumentEnded(Conflict):
    """The document is void and never changes again."""

    code = "conflict.void"
    text = N_("This document is void and cannot be changed.")


def change_record(
    ctx: Context,
    type_name: str,
    record_id: str,
    changes: Any,
    *,
    version: int | None,
    action: str = "update",
    reason: str = "",
) -> Record | None:
    """Lay wire-shaped `changes` over a stored record, or over its proposal.

    Returns the row as it is now; None when a proposal was written instead.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may not edit it, or not these fields.
        StaleVersion: it has another version than `version`.
        Invalid: the record would break rules; all of them are named.
        Conflict: it waits for approval, or another record has a unique value.
    """
    rights = access(ctx, type_name)
    with ctx.writing() as connection:
        update = Update(ctx, connection, rights)
        update.lock(record_id, version)
        return update.apply(changes, action, reason)


class VoidProposed(Conflict):
    """What shall no longer be in force is not changed meanwhile."""

    code = "conflict.void_proposed"
    text = N_("It is proposed to void this document, so it cannot be changed.")
    hint = N_("Withdraw it first.")


class Update:
    """One change of one record, within a write transaction."""

    def __init__(self, ctx: Context, connection: Connection, rights: Access) -> None:
        """Write through `connection` as the context's actor."""
        self._ctx, self._connection, self._rights = ctx, connection, rights
        self._type = rights.record_type
        self._validator: Validator = compile_validator(ctx.registry, self._type.name)
        self._stored: Stored
        self._proposal: Proposal | None = None

    def lock(self, record_id: str, version: int | None, *, deleted: bool = False) -> Record:
        """Lock the record and refuse what its state forbids; return its values."""
        self._stored = lock_record(
            self._ctx, self._connection, self._rights, record_id, action="edit", deleted=deleted
        )
        check_version(self._stored, version)
        if self._type.document:
            self._proposal = find_proposal(self._connection, self._type.name, record_id)
            check_open(self._stored.values)
            if self._proposal is not None and self._proposal.voids:
                raise VoidProposed
        return self._stored.values

    def apply(self, changes: Any, action: str, reason: str) -> Record | None:
        """Check the changes and write what really changes; return what `change_record` does."""
        changes = self._unmasked(changes)
        before = self._before(changes)
        if self._type.document and before["status"] == "effective" and not before["deleted_at"]:
            self._propose(before, changes, reason)
            return None
        candidate = self._checked(before, changes)
        after = candidate.values
        if before["deleted_at"] is not None:
            after["deleted_at"] = None
        if not self._differs(before, after):
            return before
        return write_record(
            self._ctx, self._connection, self._type, before, after, action=action, reason=reason
        )

    def preview(self, changes: Any) -> None:
        """Check the changes and write nothing; raises what `apply` would raise."""
        changes = self._unmasked(changes)
        before = self._before(changes)
        if self._proposal is not None:
            before = self._validator.trusted(before, self._proposal.values)
        self._checked(before, changes)

    def _before(self, changes: Any) -> Record:
        """Return the stored values with the table and links fields that matter."""
        before = dict(self._stored.values)
        tables = self._ctx.registry.tables[self._type.name]
        named = set(changes) if isinstance(changes, dict) else set()
        whole = self._type.document and before["status"] == "effective"
        names = [
            name
            for name in (*tables.children, *tables.links)
            if whole or name in self._validator.needs or name in named
        ]
        attach(self._connection, self._ctx.registry, self._type.name, [before], names)
        return before

    def _checked(self, before: Record, changes: Any) -> Candidate:
        """Return the record as it will be.

        Raises:
            Invalid: it breaks rules.
            Forbidden: it changes fields that the actor may not write.
        """
        shown = self._unseen()
        if self._type.document:
            shown["proposal"] = None if self._proposal is None else self._proposal.wire()
        shown |= self._read(before, changes)
        candidate = self._validator.load_change(before, changes, shown)
        subject = candidate.subject
        refusal = forbidden_fields(
            name for name in subject.given - self._stored.editable if subject.changed(name)
        )
        if refusal is not None:
            raise refusal
        self._validator.check(self._ctx, self._connection, [candidate])
        if not candidate.problems:
            self._call_hooks(before, candidate)
        if candidate.problems:
            raise Invalid(problems=as_written(candidate.problems, changes, candidate.values))
        return candidate

    def _unseen(self) -> Record:
        """Return the keys of an answer that say what its reader does not see."""
        sight = self._stored.sight
        shown: Record = {"no_access": sorted(self._rights.names - sight.clear - sight.masked)}
        if self._rights.masked:
            shown["masked"] = sorted(sight.masked)
        return shown

    def _unmasked(self, changes: Any) -> Any:
        """Return changes without the masks that were shown: what they stand for stays as it is.

        Raises:
            Invalid: a mask is not the one that was shown.
        """
        masked = self._stored.sight.masked
        if not masked or type(changes) is not dict:
            return changes
        sent = {name for name in masked & changes.keys() if is_masked(changes[name])}
        wrong = [name for name in sorted(sent) if changes[name] not in self._masks(name)]
        if wrong:
            raise Invalid(problems=[Problem(name, "field.masked", NO_VALUE) for name in wrong])
        return {name: value for name, value in changes.items() if name not in sent}

    def _masks(self, name: str) -> set[str]:
        """Return the masks of what a field holds, and of what its proposal would make of it."""
        wire = compile_validator(self._ctx.registry, self._type.name).wire
        held = [wire.value(name, self._stored.values.get(name))]
        if self._proposal is not None:
            held.append(self._proposal.values.get(name))
        mask = masker(self._type.field(name))
        return {mask(value) for value in held if value is not None}

    def _read(self, before: Record, changes: Any) -> Record:
        """Return the values that the changes name and that are computed for whoever reads."""
        if type(changes) is not dict or before["deleted_at"] is not None:
            return {}
        names = [name for name in changes if name in self._validator.computed]
        if not names:
            return {}
        found = get_record(self._ctx, self._type.name, before["id"], fields=names)
        return {name: found[name] for name in names if name in found}

    def _call_hooks(self, before: Record, candidate: Candidate) -> None:
        values = candidate.values
        changing = {name: value for name, value in values.items() if value != before.get(name)}
        if not changing:
            return
        change = Change(self._type.name, "update", candidate.record_id, before, dict(changing))
        self._ctx.hooks.before_save(self._ctx, change)
        added = {
            name: value
            for name, value in change.values.items()
            if name not in changing or changing[name] != value
        }
        if added:
            values.update(added)
            self._validator.reload(candidate, added)
            self._validator.check(self._ctx, self._connection, [candidate])

    @staticmethod
    def _differs(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        return any(value != before.get(name) for name, value in after.items())

    def _propose(self, before: Record, changes: Any, reason: str) -> None:
        """Write the document's proposal; the live row keeps its values."""
        wire = self._validator.wire
        live = {name: wire.kept(name, before.get(name)) for name in self._proposable()}
        proposed = before
        if self._proposal is not None:
            proposed = self._validator.trusted(before, self._proposal.values)
        candidate = self._checked(proposed, changes)
        after = candidate.values
        _name_rows(self._type, after)
        hits = taken_fields(self._ctx, self._connection, self._type, [(before["id"], after)])
        if hits[0] is not None:
            raise taken(hits[0])
        shape = {name: wire.kept(name, after.get(name)) for name in self._proposable()}
        values = {name: value for name, value in shape.items() if value != live[name]}
        if not self._differs(proposed, after):
            return
        bind_files(self._ctx, self._connection, self._type, [after])
        save_proposal(
            self._connection,
            self._proposal,
            record=(self._type.name, before["id"], before["version"]),
            base={name: live[name] for name in values},
            values=values,
            stamp=(self._ctx.now, self._ctx.actor.id),
        )
        write_version(
            self._ctx,
            self._connection,
            self._type.name,
            before,
            {},
            action="propose",
            changes=field_changes(self._type, wire, proposed, after),
            reason=reason,
        )

    def _proposable(self) -> list[str]:
        return [
            one.name
            for one in self._type.fields
            if one.type != "backlink"
            and one.name != "status"
            and (one.type not in COMPUTED or one.stored)
        ]


def _name_rows(record_type: RecordType, values: Record) -> None:
    """Give the new rows of a proposal their ids, by which later changes of it name them."""
    for one in record_type.fields:
        if one.type == "table":
            inner = [it.name for it in one.fields if it.type == "table"]
            give_all_ids(values.get(one.name) or (), inner)


def lay_over(validator: Validator, before: Mapping[str, Any], values: Mapping[str, Any]) -> Record:
    """Return stored values with a proposal's wire values over them, rows keeping their ids."""
    return validator.trusted(before, values)


def check_open(values: Mapping[str, Any]) -> None:
    """Refuse a change of a document that is void; what waits for approval the flow guards.

    Raises:
        DocumentEnded: it is void.
    """
    if values["status"] == "void":
        raise DocumentEnded


def write_record(
    ctx: Context,
    connection: Connection,
    record_type: RecordType,
    before: Record,
    after: Record,
    *,
    action: str,
    reason: str = "",
) -> Record:
    """Write what differs between two states of a record: row, rows, links, history, outbox.

    Raises:
        Taken: another record has one of its unique values.
    """
    tables = ctx.registry.tables[record_type.name]
    numbered = compile_validator(ctx.registry, record_type.name).numbered
    if numbered:
        day = RecordEnv(ctx, connection).today
        number_rows(connection, record_type.name, numbered, [(before, after)], day)
    for name, table in tables.children.items():
        if name in after and after[name] != before[name]:
            inner = tables.inner.get(name)
            update_rows(connection, table, after["id"], before[name], after[name], inner)
    for name, table in tables.links.items():
        if name in after and after[name] != before[name]:
            update_links(connection, table, after["id"], after[name])
    bind_files(ctx, connection, record_type, [after])
    changes = field_changes(record_type, wire_of(ctx.registry, record_type.name), before, after)
    changed = {
        column.key: after[column.key]
        for column in tables.main.c
        if column.key in after and after[column.key] != before.get(column.key)
    }
    return write_version(
        ctx,
        connection,
        record_type.name,
        before,
        changed,
        action=action,
        changes=changes,
        reason=reason,
    )


def write_version(
    ctx: Context,
    connection: Connection,
    type_name: str,
    before: Mapping[str, Any],
    changed: Mapping[str, Any],
    *,
    action: str,
    changes: Mapping[str, Any],
    reason: str = "",
    topics: Iterable[str] = ("record.updated",),
) -> Record:
    """Write a record's next version with its history event; return the row's new values.

    Raises:
        Taken: another record has one of its unique values.
    """
    record_type = ctx.registry.record_type(type_name)
    table = ctx.registry.tables[type_name].main
    record = {**before, **changed}
    record["version"] = before["version"] + 1
    event = history_event(ctx, record_type, record, action=action, changes=changes, reason=reason)
    stamp = {
        "version": record["version"],
        "release": ctx.registry.release.number,
        "updated_at": ctx.now,
        "updated_by": ctx.actor.id,
        "chain": event["hash"],
        "events": event["seq"],
    }
    record.update(stamp)
    try:
        values = {**changed, **stamp}
        update = updating(table, connection.dialect, tuple(values))
        # What waits for others leaves one statement, which needs no pipeline.
        with together(connection) if ctx.pending is None else nullcontext():
            update.run(connection, values | {"gx_id": before["id"]})
            remember(ctx, connection, [event])
            for topic in topics:
                announce(ctx, connection, topic, [(type_name, before["id"], record["version"])])
        note_move(connection, record_type, before, record)
        index_change(ctx, connection, record_type, record, changed)
    except IntegrityError as error:
        raise taken_by(ctx, record_type, error) from error
    return record
