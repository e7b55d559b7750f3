"""What an ended flow does to its document, in the transaction that ends it.

An approval is of a proposal against a base. At the end the base is looked at again,
conditions and plugins are asked again and every rule of the record is checked again; what
collides by then does not take effect: the instance is `apply_blocked`, its votes stand, and
the reasons are kept for the people who must mend it.
"""

from dataclasses import replace
from typing import Any

import msgspec

from core.db import taken_back
from core.errors import Conflict, Problem, UserError, problem_body
from core.expression import ExpressionError
from core.extension.hookspecs import Document
from core.i18n import N_
from core.records.counters import AUDIT_SEQ, next_number
from core.records.effects import put_effect
from core.records.inforce import keep_effect
from core.records.proposals import APPLIED, DROPPED, OPEN, VOID, set_proposal_status
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field
from core.workflow import errors, rechecking
from core.workflow.documents import load_document, with_proposal
from core.workflow.engine.machine import block
from core.workflow.models import Row
from core.workflow.run import Run

_SAVEPOINT = "gx_outcome"

#: What an outcome writes when the flow does not say.
_DEFAULTS = {
    "approved": "effective", "rejected": "rejected", "withdrawn": "draft", "returned": "draft",
}  # fmt: skip


class OutcomeUnfit(Conflict):
    """A value that the flow sets at its end does not fit its field."""

    code = "flow.outcome_unfit"
    text = N_("What the flow sets at its end does not fit the field {field}.")


def is_locking(state: str, former: str) -> bool:
    """Return whether an instance in this state holds its document back from changes."""
    return state == "running" or (state == "suspended" and former == "running")


def apply(run: Run) -> None:
    """Put an approved document in force, or note why that is not possible."""
    try:
        with taken_back(run.connection, _SAVEPOINT):
            number = _take_effect(run)
    except UserError as refusal:
        _block(run, refusal)
        return
    run.row["problems"] = "[]"
    is_void = run.document["status"] == VOID
    verb = VOID if is_void else "effective"
    run.note(verb, step=run.row["step"], detail={"audit_seq": number})
    run.announce(f"document.{verb}", audit_seq=number)
    if not is_void:
        emit_own(run, "approved")


def hand_back(run: Run, outcome: str) -> None:
    """Let the document be edited again after a round that did not end in force."""
    if run.row["proposal_id"]:
        if _voids(run) and outcome != "returned" and run.state.status != "apply_blocked":
            drop_void(run)
            return
        # The live row was never touched, and nobody shall have to type the change again.
        set_proposal_status(run.connection, run.row["proposal_id"], OPEN)
        run.forget()
        return
    put(run, _outcome_values(run, outcome))


def drop_void(run: Run) -> None:
    """Forget that the document should be void: it stays in force, and nobody typed a change."""
    if _voids(run):
        set_proposal_status(run.connection, run.row["proposal_id"], DROPPED)
        run.forget()


def _voids(run: Run) -> bool:
    found = run.subject.proposal
    return found is not None and found.voids


def put(run: Run, values: dict[str, Any]) -> None:
    """Write Python values into the document as the flow does."""
    type_name, record_id = run.record
    record = put_effect(run.in_flow, type_name, record_id, values)
    run.row["record_version"] = record["version"]
    run.forget()


def emit_own(run: Run, outcome: str) -> None:
    """Announce the flow's own topic for an outcome, if it has one."""
    found = run.flow.outcome.get(outcome)  # type: ignore[call-overload]
    if found is not None and found.emit:
        run.announce(found.emit)


def _take_effect(run: Run) -> int:
    type_name, record_id = run.record
    rechecking.serialise(run)
    record = load_document(run.ctx, type_name, record_id, lock=True)
    # Others may have written it since this transaction first looked.
    run.forget(record)
    rechecking.recheck(run)
    found = run.subject.proposal
    changes = with_proposal(run.ctx, type_name, record, found)
    status = {} if _voids(run) else _outcome_values(run, "approved")
    document = Document(
        record_type=type_name,
        record_id=record_id,
        before=record if found is not None else None,
        values={**record, **changes, **status},
    )
    run.ctx.hooks.at_document(run.as_system, "guanxi_before_apply", document)
    number = next_number(run.connection, AUDIT_SEQ)
    stamp = {"audited_at": run.ctx.now, "audit_seq": number}
    put(run, {**changes, **document.sets, **status, **stamp})
    if found is not None:
        set_proposal_status(run.connection, found.id, APPLIED)
        run.forget()
    _keep(run, was_in_force=found is not None)
    return number


def _keep(run: Run, *, was_in_force: bool) -> None:
    """Keep for good what is in force from now on, or that it is no more."""
    registry, document = run.ctx.registry, run.document
    record_type = registry.record_type(run.record[0])
    if document["status"] == "effective":
        keep_effect(run.connection, registry, record_type, document, "effective")
    elif was_in_force:
        keep_effect(run.connection, registry, record_type, document, "void")


def _block(run: Run, refusal: UserError) -> None:
    """Keep the votes, say why it is not in force, and let the document be mended."""
    run.forget()
    problems = [
        {"path": each.path, "code": each.code, "text": each.text, "params": dict(each.params)}
        for each in refusal.problems
    ] or [{"path": "", "code": refusal.code, "text": refusal.text, "params": refusal.params}]
    noted = block(run.machine())
    detail = {"problems": problems}
    run.events += [replace(one, step=run.row["step"], detail=detail) for one in noted]
    run.row["problems"] = msgspec.json.encode(problems).decode()
    hand_back(run, "withdrawn")
    run.announce("document.apply_blocked", problems=problems, approver=_last_approver(run))


def _last_approver(run: Run) -> str:
    votes = [one for one in run.state.votes.values() if one.source == "human"]
    return max(votes, key=lambda one: one.at).actor if votes else ""


def _outcome_values(run: Run, outcome: str) -> dict[str, Any]:
    """Return the Python values that an outcome writes."""
    found = run.flow.outcome.get(outcome)  # type: ignore[call-overload]
    record_type = run.ctx.registry.record_type(run.record[0])
    values: dict[str, Any] = {"status": _DEFAULTS[outcome]}
    for name, value in (found.set if found else {}).items():
        field = record_type.field(name)
        values[name] = value if field is None else _outcome_value(run, field, value)
    return values


def _outcome_value(run: Run, field: Field, value: Any) -> Any:
    """Return the value of a field: a literal where the field accepts it, else an expression."""
    kind = field_type(field.type)
    try:
        return kind.load(value, field)
    except FieldError:
        if not isinstance(value, str):
            errors.refuse(OutcomeUnfit, field=field.name)
    try:
        return kind.load(run.world.value(value), field)
    except (FieldError, ExpressionError):
        errors.refuse(OutcomeUnfit, field=field.name)


def blocking_problems(row: Row, locale: str) -> list[dict[str, Any]]:
    """Return why an approved document could not take effect, as every problem is told."""
    return [
        problem_body(Problem(**stored), locale) for stored in msgspec.json.decode(row["problems"])
    ]
