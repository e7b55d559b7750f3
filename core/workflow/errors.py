"""Why a flow refuses; the codes are part of the contract.

Each carries its parameters in its one problem, for programs: who, when and what.
"""

from collections.abc import Mapping
from typing import Any, NoReturn

from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem, RateLimited, UserError
from core.i18n import N_

#: Verbs and states as messages say them, with `_` read as a space.
WORDS = (
    N_("approve"), N_("reject"), N_("abstain"), N_("complete"), N_("return"), N_("transfer"),
    N_("delegate"), N_("add before"), N_("add after"), N_("add beside"), N_("remove added"),
    N_("take back"), N_("claim"), N_("release"), N_("remind"), N_("withdraw"), N_("running"),
    N_("returned"), N_("suspended"), N_("apply blocked"), N_("approved"), N_("rejected"),
    N_("withdrawn"), N_("terminated"), N_("waiting"),
)  # fmt: skip


class NotACandidate(Forbidden):
    """The task is for other people."""

    code = "flow.not_a_candidate"
    text = N_("This task is not yours to decide.")


class SodViolation(Forbidden):
    """Nobody decides on their own work."""

    code = "flow.sod_violation"
    text = N_("You wrote, edited or submitted this, so somebody else must decide.")


class NotInitiator(Forbidden):
    """Only who submitted may do this."""

    code = "flow.not_initiator"
    text = N_("Only the person who submitted this can withdraw it.")


class AlreadyDecided(Conflict):
    """The task was decided before."""

    code = "flow.already_decided"
    text = N_("{by} decided this already ({verb}, {at}).")


class AlreadyEnded(Conflict):
    """The instance has ended."""

    code = "flow.already_ended"
    text = N_("This approval has ended already ({state}, {by}, {at}).")


class DuplicateOpen(Conflict):
    """The record is in a flow already."""

    code = "flow.duplicate_open"
    text = N_("This was submitted already by {by} at {at} and is still open.")


class Suspended(Conflict):
    """An administrator has halted the instance."""

    code = "flow.suspended"
    text = N_("This approval is suspended.")


class NotPossible(Conflict):
    """The instance's state does not allow it."""

    code = "flow.not_possible"
    text = N_("This cannot be done while the approval is {state}.")


class NothingToSubmit(Conflict):
    """There is no change that waits to be submitted."""

    code = "flow.nothing_to_submit"
    text = N_("There is no change to submit.")


class NotInForce(Conflict):
    """Only what is in force is voided."""

    code = "flow.not_in_force"
    text = N_("Only a document in force can be voided.")


class ProposalOpen(Conflict):
    """A change of the document waits to be submitted."""

    code = "flow.proposal_open"
    text = N_("A change of this document waits. Submit it or take it back before you void it.")


class NoFlow(Conflict):
    """No approval flow is published for the record type."""

    code = "flow.no_flow"
    text = N_("There is no approval flow for {type}.")


class SubjectLocked(Conflict):
    """What people are voting on must not change."""

    code = "flow.subject_locked"
    text = N_("This is waiting for approval and cannot be changed.")
    hint = N_("Withdraw it first.")


class ClaimedBy(Conflict):
    """Somebody else works on it."""

    code = "flow.claimed_by"
    text = N_("{by} is working on this until {until}.")


class ClaimRequired(Conflict):
    """The step's tasks are claimed before they are decided."""

    code = "flow.claim_required"
    text = N_("Claim this before you decide it.")


class RouteChanged(Conflict):
    """What is changed with the decision would have led another way."""

    code = "flow.route_changed"
    text = N_("With this change the document would have gone another way at {step}.")
    hint = N_("Return it, so that everybody who must decide on it is asked.")


class HasSuccessorVote(Conflict):
    """Somebody behind it has decided on the strength of it."""

    code = "flow.has_successor_vote"
    text = N_("Somebody has decided after you, so this cannot be taken back.")


class AddSignDepth(Conflict):
    """Voices are added at added voices only so deep."""

    code = "flow.add_sign_depth"
    text = N_("People can be added at most {limit} deep.")


class SeatNotRemovable(Conflict):
    """Only an added voice that has not spoken and is not needed can go."""

    code = "flow.seat_not_removable"
    text = N_("This voice cannot be removed: it was not added here, has spoken, or is needed.")


class NoApprover(Conflict):
    """Nobody can decide a step, and the flow does not let it wait for somebody."""

    code = "flow.no_approver"
    text = N_("There is nobody who may decide the step {step}.")


class TooManyRuns(Conflict):
    """A subflow is walked for a limited number of things."""

    code = "flow.too_many_runs"
    text = N_("The step {step} would be walked more than {limit} times.")


class NotMigratable(Conflict):
    """A running approval cannot go on under another version of its flow."""

    code = "flow.not_migratable"
    text = N_("This approval cannot go on under the new version.")


class TaskStale(UserError):
    """The task was opened before the document came back; it is another one by now."""

    code = "flow.task_stale"
    status = 412
    text = N_("This was returned and submitted again meanwhile. Look at it as it is now.")


class SubjectChanged(UserError):
    """The vote is for something else than what is stored."""

    code = "flow.subject_changed"
    status = 412
    text = N_("This was changed after you opened it. Look at it again before you decide.")


class OpinionRequired(Invalid):
    """The step asks for an opinion with this verb."""

    code = "flow.opinion_required"
    text = N_("Please give an opinion.")


class RequireFailed(Invalid):
    """What must hold for the document, or what the step asks for, does not."""

    code = "flow.require_failed"
    text = N_("The document does not meet what this approval asks for.")


class SignatureRequired(Invalid):
    """The step is signed."""

    code = "flow.signature_required"
    text = N_("This decision must be signed.")


class FieldReadonly(Invalid):
    """The step does not let its people change this field."""

    code = "flow.field_readonly"
    text = N_("{field} cannot be changed at this step.")


class ReturnTargetInvalid(Invalid):
    """It cannot be sent back there."""

    code = "flow.return_target_invalid"
    text = N_("It cannot be returned there.")


class PersonInvalid(Invalid):
    """The person named cannot be asked here."""

    code = "flow.person_invalid"
    text = N_("Choose other people: they must be active, and nobody twice.")


class RemindedLately(RateLimited):
    """The approvers were reminded a short time ago."""

    code = "flow.rate_limited"
    text = N_("They were reminded lately; you can do it again in {minutes} minutes.")


class VerbNotAllowed(Invalid):
    """The step does not offer this verb."""

    code = "flow.verb_not_allowed"
    text = N_("This step does not allow {verb}.")


class HashRequired(Invalid):
    """A vote says what it is for."""

    code = "flow.subject_hash_required"
    text = N_("Send the subject_hash of what you have seen.")


#: Code of a refusal of the engine -> the error that answers it.
BY_CODE: Mapping[str, type[UserError]] = {
    error.code: error
    for error in (
        NotACandidate, SodViolation, AlreadyDecided, AlreadyEnded, DuplicateOpen, Suspended,
        NotPossible, ClaimedBy, ClaimRequired, HasSuccessorVote, AddSignDepth,
        SeatNotRemovable, NoApprover, TooManyRuns, VerbNotAllowed, ReturnTargetInvalid,
        PersonInvalid, NotFound,
    )
}  # fmt: skip


def refuse(error: type[UserError], **params: Any) -> NoReturn:
    """Raise an error whose one problem carries its parameters for programs to read."""
    raise error(problems=[Problem("", error.code, error.text, params)], **params)
