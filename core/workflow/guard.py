"""What people are voting on does not change unseen: the flow's guard at every door.

It is core's own implementation of the plugins' hook, so records call it without knowing that
flows exist. What may happen to a document while it is decided stands in its flow
(`in_flight`): a change of what is voted on is refused, or has everybody asked again, or those
whom it concerns; the flow itself writes its document through a door of its own.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from core.context import Context
from core.db import is_busy
from core.extension.hooks import Hooks
from core.extension.hookspecs import Change, hookimpl
from core.schema.flows import Flow
from core.workflow import errors
from core.workflow.concerns import unconcerned
from core.workflow.engine.state import Command
from core.workflow.models import instance
from core.workflow.operations import take_content, transaction
from core.workflow.outcome import is_locking
from core.workflow.run import Run, lock_instance, open_instance, pinned
from core.workflow.settling import settle
from core.workflow.subject import data_fields


class FlowGuard:
    """Refuses to change or delete a record that is waiting for a decision."""

    @hookimpl
    def guanxi_before_save(self, ctx: Context, change: Change) -> None:
        """Refuse the change, or have it decided on anew, while an approval is under way."""
        if change.action == "create" or ctx.connection is None or ctx.door == "flow":
            return
        record_type = ctx.registry.release.type(change.record_type)
        if record_type is None or not record_type.document:
            return
        row = open_instance(ctx.connection, change.record_type, change.record_id)
        if row is None:
            if (change.before or {}).get("status") == "submitted":
                raise errors.SubjectLocked  # nobody knows who submitted it
            return
        flow = pinned(row["definition"], row["subflows"])[0]
        if change.action == "delete":
            _guard_delete(ctx, flow, row)
        elif is_locking(row["state"], row["former_state"]):
            _guard_edit(ctx, flow, row, change)


def _refuse(row: Mapping[str, Any]) -> None:
    errors.refuse(
        errors.SubjectLocked,
        by=row["initiator_name"], at=row["opened_at"], instance=row["id"],
        link=f"/tasks/{row['task_id']}",
    )  # fmt: skip


def _guard_delete(ctx: Context, flow: Flow, row: Mapping[str, Any]) -> None:
    """End the approval with its document where the flow says so; else refuse."""
    if flow.in_flight.on_delete == "deny":
        _refuse(row)
    run = _lock(ctx, row)
    run.perform(Command("terminate"))
    run.announce("document.terminated")
    # There is no document left to hand back.
    run.former = run.state.status
    settle(run)


def _guard_edit(ctx: Context, flow: Flow, row: Mapping[str, Any], change: Change) -> None:
    fields = [one.name for one in data_fields(ctx.registry.record_type(change.record_type))]
    changed = {name for name in fields if name in change.values}
    voted = changed & set(flow.subject or fields)
    rules = flow.in_flight
    if changed - voted and rules.other_edit == "deny":
        _refuse(row)
    if not voted:
        return
    if rules.subject_edit == "deny" or row["state"] != "running":
        _refuse(row)
    # What is decided is looked at once the change is written, in the same transaction.
    ctx.last.append(lambda: _revise(ctx, row, frozenset(voted)))


def _revise(ctx: Context, row: Mapping[str, Any], changed: frozenset[str]) -> None:
    """Begin the route again on the changed content; votes that it does not concern stand."""
    run = _lock(ctx, row)
    if run.state.status != "running" or run.subject.hash == run.state.subject_hash:
        return  # it was taken back by itself
    kept: tuple[str, ...] = ()
    if run.flow.in_flight.subject_edit == "stale_affected":
        kept = unconcerned(run.tree, changed, run.world.reads)
    take_content(run)
    run.row["record_version"] = run.document["version"]
    run.state.makers |= {ctx.actor.id}
    run.perform(Command("revise", to=kept))
    settle(run)


def _lock(ctx: Context, row: Mapping[str, Any]) -> Run:
    """Return the instance, locked now or not at all.

    The record is held already, and elsewhere the instance is locked first: waiting here
    could wait for ever.

    Raises:
        SubjectLocked: somebody decides on it at this very moment.
    """
    connection = transaction(ctx)
    now = sa.select(instance.c.id).where(instance.c.id == row["id"]).with_for_update(nowait=True)
    try:
        with connection.begin_nested():
            connection.execute(now)
    except OperationalError as error:
        if is_busy(error):
            _refuse(row)
        raise
    return lock_instance(ctx, connection, row["id"])


def register(hooks: Hooks) -> None:
    """Put the guard before every plugin."""
    hooks.register_core("workflow.guard", FlowGuard())
