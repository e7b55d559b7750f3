"""Voiding: a document in force ends as it began, by an approval.

The proposal is the status alone. Its row stays with all it held, so whoever asks what was in
force before still finds it; a void document never changes again.
"""

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.records.proposals import VOID, find_proposal, save_proposal
from core.records.updating import DocumentEnded, write_version
from core.schema.flowtexts import flows_in_order
from core.workflow import errors
from core.workflow.documents import load_document
from core.workflow.operations import (
    Chosen,
    begin_round,
    require_submit,
    supersede,
    transaction,
)
from core.workflow.opinion import read_opinion
from core.workflow.run import Answer, once, open_instance, refuse_open


def void(
    ctx: Context, type_name: str, record_id: str, *, reason: str, chosen: Chosen | None = None,
    key: str | None = None,
) -> Answer:  # fmt: skip
    """Propose that a document in force be void, and send that to its approvers.

    Raises:
        NotFound: there is no such record for this actor.
        Forbidden: the actor may not submit it.
        Invalid: no reason is given.
        NoFlow: its type has no approval flow, or none for this document.
        DuplicateOpen: something of it is being decided already.
        NotInForce: it is not in force.
        DocumentEnded: it is void already.
        ProposalOpen: a change of it waits to be submitted.
        UserError: a plugin refuses it.
    """
    if not flows_in_order(ctx.registry.release.flows, ctx.registry.record_type(type_name).name):
        raise errors.NoFlow(type=type_name)
    said = read_opinion(reason)
    if not said:
        raise Invalid(problems=[Problem("reason", "field.required", N_("Say why."))])
    named = {step: tuple(people) for step, people in (chosen or {}).items()}
    return once(
        ctx, key, ("void", type_name, record_id, said, named),
        lambda: _void(ctx, type_name, record_id, said, named),
    )  # fmt: skip


def _void(
    ctx: Context, type_name: str, record_id: str, reason: str, chosen: dict[str, tuple[str, ...]]
) -> Answer:
    connection = transaction(ctx)
    # The instance is locked before the record, as everywhere.
    former = open_instance(connection, type_name, record_id, lock=True)
    record = load_document(ctx, type_name, record_id, lock=True)
    require_submit(ctx, connection, type_name, record)
    # Somebody may have submitted while this waited for the record.
    former = open_instance(connection, type_name, record_id) or former
    if former is not None and former["state"] != "apply_blocked":
        refuse_open(former)
    if record["status"] == VOID:
        raise DocumentEnded
    if record["status"] != "effective":
        raise errors.NotInForce
    found = find_proposal(connection, type_name, record_id)
    if found is not None and not found.voids:
        raise errors.ProposalOpen
    if former is not None:
        supersede(ctx, connection, former)
    change = {"status": VOID}
    base = {"status": record["status"]}
    save_proposal(
        connection,
        found,
        record=(ctx.registry.record_type(type_name).name, record_id, record["version"]),
        base=base,
        values=change,
        stamp=(ctx.now, ctx.actor.id),
    )
    write_version(
        ctx,
        connection,
        type_name,
        record,
        {},
        action="propose",
        changes={"status": [record["status"], VOID]},
        reason=reason,
    )
    return begin_round(
        ctx, type_name, load_document(ctx, type_name, record_id), chosen, reason=reason
    )
