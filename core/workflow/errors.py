"""Why a flow refuses; the codes are part of the contract.

Where somebody else was first, `problems` says who, when and what.
"""

from typing import NoReturn

from core.errors import Conflict, Forbidden, Invalid, Problem, UserError
from core.i18n import N_


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


class NoFlow(Conflict):
    """No approval flow is published for the record type."""

    code = "flow.no_flow"
    text = N_("There is no approval flow for {type}.")


class SubjectLocked(Conflict):
    """What people are voting on must not change."""

    code = "flow.subject_locked"
    text = N_("This is waiting for approval and cannot be changed.")
    hint = N_("Withdraw it first.")


class SubjectChanged(UserError):
    """The vote is for something else than what is stored."""

    code = "flow.subject_changed"
    status = 412
    text = N_("This was changed after you opened it. Look at it again before you decide.")


class OpinionRequired(Invalid):
    """The step asks for an opinion with this verb."""

    code = "flow.opinion_required"
    text = N_("Please give an opinion.")


class SignatureRequired(Invalid):
    """The step is signed."""

    code = "flow.signature_required"
    text = N_("This decision must be signed.")


class VerbNotAllowed(Invalid):
    """The step does not offer this verb."""

    code = "flow.verb_not_allowed"
    text = N_("This step does not allow {verb}.")


class HashRequired(Invalid):
    """A vote says what it is for."""

    code = "flow.subject_hash_required"
    text = N_("Send the subject_hash of what you have seen.")


def refuse(error: type[UserError], **params: str | None) -> NoReturn:
    """Raise an error whose one problem carries its parameters for programs to read."""
    raise error(problems=[Problem("", error.code, error.text, params)], **params)
