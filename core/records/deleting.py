"""Deletion: what is allowed, what it does to those who point to the record, and its undoing."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import SYSTEM
from core.context import Context
from core.errors import Conflict, InUse, Problem
from core.expression.sql import sql_clause
from core.extension.hookspecs import Change
from core.i18n import N_, pick
from core.policies.access import access
from core.policies.bounded import compiled
from core.records.attachments import release_files
from core.records.binding import bound
from core.records.children import attach
from core.records.comments import forget_comments
from core.records.events import announce, field_changes, history_event, remember
from core.records.following import forget_followers
from core.records.proposals import DROPPED, find_proposal, set_proposal_status
from core.records.searching import index_removal
from core.records.stored import check_version, lock_record
from core.records.unsaved import forget_forms
from core.records.updating import check_open, write_version
from core.records.usage import MOST, MOST_DEPTH, Pointer, owners, pointers_to
from core.records.validation import compile_validator
from core.records.wire import wire_of
from core.schema.model import RecordType

Record = dict[str, Any]


class InForce(Conflict):
    """What took effect by approval ends by approval."""

    code = "conflict.in_force"
    text = N_("This document is in force and cannot be deleted.")
    hint = N_("Void it instead.")


class DeleteRefused(InUse):
    """The record type's own rule forbids the deletion."""

    code = "conflict.delete_refused"


def remove_record(
    ctx: Context, type_name: str, record_id: str, *, version: int | None, reason: str = ""
) -> None:
    """Delete a record, softly where its type says so.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may not delete it.
        StaleVersion: it has another version than `version`.
        InUse: others point to it, or the type's rule forbids it.
        Conflict: it waits for approval.
    """
    rights = access(ctx, type_name)
    with ctx.writing() as connection:
        stored = lock_record(ctx, connection, rights, record_id, action="delete", deleting=True)
        check_version(stored, version)
        _remove(ctx, connection, rights.record_type, stored.values, reason)


def _remove(
    ctx: Context,
    connection: Connection,
    record_type: RecordType,
    values: Record,
    reason: str,
    depth: int = 0,
) -> None:
    if record_type.document:
        check_open(values)
        if values["status"] == "effective":
            raise InForce
        proposal = find_proposal(connection, record_type.name, values["id"])
        if proposal is not None:
            set_proposal_status(connection, proposal.id, DROPPED)
    check_delete_rule(ctx, connection, record_type, values["id"])
    ctx.hooks.before_save(ctx, Change(record_type.name, "delete", values["id"], values, {}))
    _settle_pointers(ctx, connection, record_type.name, values["id"], depth)
    if record_type.soft_delete:
        write_version(
            ctx,
            connection,
            record_type.name,
            values,
            {"deleted_at": ctx.now},
            action="delete",
            changes={},
            reason=reason,
            topics=("record.deleted",),
        )
    else:
        _erase(ctx, connection, record_type, values, reason)


def check_delete_rule(
    ctx: Context, connection: Connection, record_type: RecordType, record_id: str
) -> None:
    """Refuse the deletion of what the type's `delete.allow_when` does not allow.

    Raises:
        DeleteRefused: with the type's own message.
    """
    rule = record_type.delete
    if rule is None:
        return
    registry = ctx.registry
    table = registry.tables[record_type.name].main

    def make() -> sa.Select[Any]:
        expression = registry.expression(record_type.name, rule.allow_when, "boolean")
        clause = sql_clause(expression, registry.columns(record_type.name))
        return sa.select(table.c.id).where(table.c.id == sa.bindparam("record"), clause)

    statement = compiled(registry, ("records.delete", record_type.name), make)
    if connection.execute(statement, bound(ctx, record=record_id)).first() is None:
        message = pick(rule.message, ctx.locale, rule.allow_when)
        raise DeleteRefused("{message}", message=message)


def _settle_pointers(
    ctx: Context, connection: Connection, type_name: str, record_id: str, depth: int
) -> None:
    """Refuse, clear or delete those who point to the record, as each link says.

    Raises:
        InUse: a link restricts; it names each type, field and how many.
    """
    pointers = pointers_to(ctx.registry, type_name)
    users = [
        (one, owners(connection, ctx.registry, one, record_id, limit=MOST + 1)) for one in pointers
    ]
    refusing = [
        _in_use(ctx, one, ids)
        for one, ids in users
        if ids and (one.effect == "restrict" or len(ids) > MOST or depth >= MOST_DEPTH)
    ]
    if refusing:
        raise InUse(problems=refusing)
    # What follows from a deletion is the product's doing: the actor asked for this record only.
    system = as_system(ctx)
    for pointer, ids in users:
        for owner in ids:
            if pointer.effect == "set_null":
                _clear(system, connection, pointer, owner, record_id)
            else:
                _cascade(system, connection, pointer, owner, depth + 1)


def as_system(ctx: Context) -> Context:
    """Return the same context as the product itself, for what follows from a person's act."""
    return replace(ctx, actor=replace(SYSTEM, name=f"system ({ctx.actor.name})"[:200]))


def _in_use(ctx: Context, pointer: Pointer, ids: list[str]) -> Problem:
    other = ctx.registry.record_type(pointer.type)
    text = N_("{count} records of {type} use it ({field}).")
    count = f"{MOST}+" if len(ids) > MOST else str(len(ids))
    label = pick(other.label, ctx.locale, other.name)
    params = {"count": count, "type": label, "field": pointer.path}
    return Problem("", "conflict.in_use", text, params | {"name": other.name})


def _clear(
    ctx: Context, connection: Connection, pointer: Pointer, owner: str, record_id: str
) -> None:
    """Take the link to a deleted record out of one that points to it."""
    rights = access(ctx, pointer.type)
    values = lock_record(ctx, connection, rights, owner, action="edit").values
    name = pointer.field.name
    wire = wire_of(ctx.registry, pointer.type)
    if pointer.field.type == "links":
        attach(connection, ctx.registry, pointer.type, [values], [name])
        links = ctx.registry.tables[pointer.type].links[name]
        connection.execute(
            links.delete().where(links.c.record_id == owner, links.c.target_id == record_id)
        )
        after: Record = {name: [one for one in values[name] if one != record_id]}
        changed: Record = {}
    else:
        after = changed = {name: None}
    write_version(
        ctx,
        connection,
        pointer.type,
        values,
        changed,
        action="update",
        changes=field_changes(rights.record_type, wire, values, after),
    )


def _cascade(
    ctx: Context, connection: Connection, pointer: Pointer, owner: str, depth: int
) -> None:
    rights = access(ctx, pointer.type)
    stored = lock_record(
        ctx, connection, rights, owner, action="delete", deleting=True, deleted=True
    )
    if stored.values["deleted_at"] is None:
        _remove(ctx, connection, rights.record_type, stored.values, "", depth)


def _erase(
    ctx: Context, connection: Connection, record_type: RecordType, values: Record, reason: str
) -> None:
    """Delete the row itself; the history keeps what it held."""
    tables = ctx.registry.tables[record_type.name]
    attach(connection, ctx.registry, record_type.name, [values], (*tables.children, *tables.links))
    wire = compile_validator(ctx.registry, record_type.name).wire
    gone: Record = {
        one.name: [] if one.type in {"table", "links"} else None
        for one in record_type.fields
        if one.name in values
    }
    record = {**values, "version": values["version"] + 1}
    event = history_event(
        ctx,
        record_type,
        record,
        action="delete",
        reason=reason,
        changes=field_changes(record_type, wire, values, gone),
    )
    for table in tables:
        if table is tables.main:
            continue  # the row itself comes last
        connection.execute(table.delete().where(table.c.record_id == values["id"]))
    connection.execute(tables.main.delete().where(tables.main.c.id == values["id"]))
    index_removal(ctx, connection, record_type, values["id"])
    release_files(ctx, connection, record_type, values["id"])

    forget_comments(connection, record_type.name, values["id"])
    forget_followers(connection, record_type.name, values["id"])
    forget_forms(connection, record_type.name, values["id"])
    remember(ctx, connection, [event])
    gone_for_good = (record_type.name, values["id"], record["version"])
    announce(ctx, connection, "record.deleted", [gone_for_good])
