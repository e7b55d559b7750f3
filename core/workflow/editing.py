"""Fields that people of a step change together with their decision, within their own rights."""

from collections.abc import Mapping
from typing import Any

from core.errors import Problem
from core.i18n import N_
from core.records.proposals import SUBMITTED, find_proposal, set_proposal_status
from core.records.subject import is_empty
from core.records.updating import change_record
from core.schema.flows import Step
from core.workflow import errors
from core.workflow.engine.state import Seat
from core.workflow.fieldrights import editable, named_for
from core.workflow.operations import take_content
from core.workflow.run import Run


def edit_with_decision(run: Run, seat: Seat, step: Step, fields: Mapping[str, Any]) -> None:
    """Write what somebody changes of the document with their decision.

    Raises:
        FieldReadonly: the step does not let them change a field.
        Forbidden: a policy does not.
        Invalid: the document would break rules.
        SubjectLocked: others have voted on the content as it is in what still waits.
        RouteChanged: on the changed content another way would have been taken before.
    """
    name = seat.group or seat.key
    wrong = sorted(fields.keys() - editable(step.fields, name))
    if wrong:
        raise errors.FieldReadonly(
            field=wrong[0],
            problems=[
                Problem(
                    f"fields.{one}", errors.FieldReadonly.code, errors.FieldReadonly.text,
                    {"field": one},
                )
                for one in wrong
            ],
        )  # fmt: skip
    cases = _cases(run)
    before = run.state.subject_hash
    type_name, record_id = run.record
    change_record(run.in_flow, type_name, record_id, dict(fields), version=None)
    found = find_proposal(run.connection, type_name, record_id)
    if run.row["proposal_id"]:
        if found is None:
            raise errors.NothingToSubmit
        set_proposal_status(run.connection, found.id, SUBMITTED)
    run.forget()
    run.row["record_version"] = run.document["version"]
    take_content(run)
    if run.state.subject_hash == before:
        return
    _require_no_votes(run)
    for block, chosen in _cases(run).items():
        if cases.get(block) != chosen:
            errors.refuse(errors.RouteChanged, step=run.state.visits[block].step)
    for waiting in run.state.live_visits():
        waiting.subject_hash = run.state.subject_hash
    run.state.makers |= {run.ctx.actor.id}


def _require_no_votes(run: Run) -> None:
    """Refuse to change what others have voted on in what is still being decided."""
    for visit in run.state.live_visits():
        for seat in run.state.seats_of(visit.id):
            if seat.vote and seat.kind != "advice":
                errors.refuse(
                    errors.SubjectLocked,
                    by=run.state.votes[seat.vote].actor_name, at=run.state.votes[seat.vote].at,
                    instance=run.row["id"], link=f"/tasks/{visit.id}",
                )  # fmt: skip


def _cases(run: Run) -> dict[str, tuple[int, ...]]:
    """Return which cases of each block that was walked hold on the document as it is."""
    found: dict[str, tuple[int, ...]] = {}
    for visit in run.state.visits.values():
        if visit.type not in {"branch", "inclusive"} or visit.state == "cancelled":
            continue
        held = [
            place
            for place, case in enumerate(run.tree.nodes[visit.step].step.cases)
            if run.world.holds(case.when, visit.item)
        ]
        found[visit.id] = tuple(held[:1] if visit.type == "branch" else held)
    return found


def check_required(run: Run, seat: Seat, step: Step) -> None:
    """Refuse to pass a step while fields that it asks for are empty.

    Raises:
        RequireFailed: names each of them.
    """
    missing = [
        name
        for name in sorted(named_for(step.fields.require, seat.group or seat.key))
        if is_empty(run.subject.proposed.get(name))
    ]
    if missing:
        raise errors.RequireFailed(
            require=", ".join(missing),
            problems=[
                Problem(
                    f"fields.{name}", errors.RequireFailed.code,
                    N_("This step asks for it."), {"field": name},
                )
                for name in missing
            ],
        )  # fmt: skip
