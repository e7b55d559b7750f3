"""What an ended flow does to its document, in the transaction that ends it.

An approval is of a proposal against a base. At the end the base is looked at again,
plugins are asked again and every rule of the record is checked again; what collides
by then does not take effect: the instance is `apply_blocked`, its votes stand, and
the reasons are kept for the people who must mend it.
"""

from typing import Any

import msgspec

from core.errors import Conflict, Problem, UserError, problem_body
from core.extension.hookspecs import Document
from core.i18n import N_
from core.records.counters import next_number
from core.records.effects import put_effect
from core.records.proposals import APPLIED, OPEN, set_proposal_status
from core.workflow.documents import load_document, with_proposal
from core.workflow.models import Row
from core.workflow.run import Run
from core.workflow.subject import Subject, moved

#: The counter that orders all approvals of the database.
AUDIT_SEQ = "audit_seq"

#: What an outcome writes when the flow does not say.
_DEFAULTS = {"approved": "effective", "rejected": "rejected", "withdrawn": "draft"}


class BaseMoved(Conflict):
    """What was approved would overwrite a value that changed in the meantime."""

    code = "flow.base_moved"
    text = N_("The document changed after this was proposed.")


def apply(run: Run, subject: Subject) -> None:
    """Put an approved document in force, or note why that is not possible."""
    try:
        with run.connection.begin_nested():
            number = _take_effect(run, subject)
    except UserError as refusal:
        _block(run, refusal)
        return
    run.advance("finish")
    run.evidence.add("effective", step=run.row["step"], detail={"audit_seq": number})
    run.emit("document.effective", audit_seq=number)
    _emit_own(run, "approved")


def reject(run: Run) -> None:
    """End the instance as rejected; its document can be edited again."""
    run.advance("reject")
    hand_back(run, "rejected")
    run.emit("document.rejected")
    _emit_own(run, "rejected")


def hand_back(run: Run, outcome: str) -> None:
    """Let the document be edited again after a round that did not end in force."""
    if run.row["proposal_id"]:
        # The live row was never touched, and nobody shall have to type the change again.
        set_proposal_status(run.connection, run.row["proposal_id"], OPEN)
        return
    _put(run, _outcome_values(run, outcome))


def _take_effect(run: Run, subject: Subject) -> int:
    type_name, record_id = run.record
    record = load_document(run.ctx, type_name, record_id, lock=True)
    found = subject.proposal
    _check_base(subject)
    changes = with_proposal(run.ctx, type_name, record, found)
    status = _outcome_values(run, "approved")
    run.ctx.hooks.before_apply(
        run.as_system,
        Document(
            record_type=type_name,
            record_id=record_id,
            before=record if found is not None else None,
            values={**record, **changes, **status},
        ),
    )
    number = next_number(run.connection, AUDIT_SEQ)
    _put(run, {**changes, **status, "audited_at": run.ctx.now, "audit_seq": number})
    if found is not None:
        set_proposal_status(run.connection, found.id, APPLIED)
    return number


def _check_base(subject: Subject) -> None:
    found = subject.proposal
    collisions = moved(subject)
    if found is None or not collisions:
        return
    raise BaseMoved(
        problems=[
            Problem(
                name,
                BaseMoved.code,
                N_("It was {base} when this was proposed and is {live} now."),
                {"base": _short(found.base.get(name)), "live": _short(subject.live.get(name))},
            )
            for name in collisions
        ]
    )


def _short(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()[:200]


def _block(run: Run, refusal: UserError) -> None:
    """Keep the votes, say why it is not in force, and let the document be mended."""
    problems = [
        {"path": each.path, "code": each.code, "text": each.text, "params": dict(each.params)}
        for each in refusal.problems
    ] or [{"path": "", "code": refusal.code, "text": refusal.text, "params": refusal.params}]
    run.advance("block")
    run.set(problems=msgspec.json.encode(problems).decode())
    run.evidence.add("block", step=run.row["step"], detail={"problems": problems})
    hand_back(run, "withdrawn")
    run.emit("document.apply_blocked", problems=problems)


def _put(run: Run, values: dict[str, Any]) -> None:
    type_name, record_id = run.record
    record = put_effect(run.in_flow, type_name, record_id, values)
    run.set(record_version=record["version"])


def _outcome_values(run: Run, outcome: str) -> dict[str, Any]:
    found = run.flow.outcome.get(outcome)  # type: ignore[call-overload]
    return {"status": _DEFAULTS[outcome], **(found.set if found else {})}


def _emit_own(run: Run, outcome: str) -> None:
    found = run.flow.outcome.get(outcome)  # type: ignore[call-overload]
    if found is not None and found.emit:
        run.emit(found.emit)


def blocking_problems(row: Row, locale: str) -> list[dict[str, Any]]:
    """Return why an approved document could not take effect, as every problem is told."""
    return [
        problem_body(Problem(**stored), locale) for stored in msgspec.json.decode(row["problems"])
    ]
