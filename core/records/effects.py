"""The one door through which a flow writes into its document; no edge reaches it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.actor import SYSTEM
from core.context import Context
from core.errors import Invalid
from core.records.proposals import Proposal
from core.records.stored import whole_record
from core.records.subject import Subject
from core.records.updating import write_record
from core.records.validation import Candidate, compile_validator, copied
from core.records.wire import wire_of
from core.schema.model import DOCUMENT_FIELDS

Record = dict[str, Any]

#: What a flow writes that people do not.
FLOW_FIELDS = frozenset({"status", *DOCUMENT_FIELDS})

#: States that a document may only enter when it meets every rule.
_SOUND = frozenset({"submitted", "effective"})


def put_effect(
    ctx: Context,
    type_name: str,
    record_id: str,
    values: Mapping[str, Any],
    *,
    action: str = "flow",
    reason: str = "",
) -> Record:
    """Write a flow's outcome into its document and return the whole record.

    `values` are Python values: the state, and the values of an approved proposal. Every
    rule of the record is checked once more before it is submitted and before it takes
    effect; the actor's rights are the flow's business.

    Raises:
        NotFound: the document is gone.
        Invalid: it breaks rules by now.
        Taken: another record has one of its unique values by now.
    """
    registry = ctx.registry
    record_type = registry.record_type(type_name)
    with ctx.writing() as connection:
        before = whole_record(connection, registry, type_name, record_id, lock=True)
        after = {**copied(wire_of(registry, type_name), before), **values}
        if after["status"] in _SOUND:
            given = frozenset(values) - FLOW_FIELDS
            candidate = Candidate(record_id, Subject(after, before, given))
            # Approved links need not be readable by the last approver.
            system = replace(ctx, actor=SYSTEM)
            compile_validator(registry, type_name).check(
                system,
                connection,
                [candidate],
                moment="submit" if after["status"] == "submitted" else "save",
            )
            if candidate.problems:
                raise Invalid(problems=candidate.problems)
            after = candidate.values
        stamp = write_record(
            ctx, connection, record_type, before, after, action=action, reason=reason
        )
    return {**after, **stamp}


def check_proposal(
    ctx: Context, type_name: str, record: Mapping[str, Any], proposal: Proposal
) -> None:
    """Check every rule of a change that is about to be submitted; nothing is written.

    `record` has the Python values in force, with every table and links field.

    Raises:
        Invalid: the document would break rules with the change.
    """
    validator = compile_validator(ctx.registry, type_name)
    after = validator.trusted(record, proposal.values)
    subject = Subject(after, record, frozenset(proposal.values))
    candidate = Candidate(str(record["id"]), subject)
    with ctx.reading() as connection:
        system = replace(ctx, actor=SYSTEM)
        validator.check(system, connection, [candidate], moment="submit")
    if candidate.problems:
        raise Invalid(problems=candidate.problems)
