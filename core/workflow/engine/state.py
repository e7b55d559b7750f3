"""The state of one instance: what it went through, who has a voice, and what they said.

Instance → visit (one pass through a step; of a human step it is the task people see) →
seat (one required voice) → candidate (who may sit in it) and vote (what was said).
Seats and candidates are kept apart: escalation, deputies and claims change candidates and
never how many voices are needed. Nothing is ever removed from a state.

Times are RFC 3339 texts in UTC with microseconds, so their order as text is order in time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

InstanceState = Literal[
    "running", "returned", "suspended", "apply_blocked",
    "approved", "rejected", "withdrawn", "terminated",
]  # fmt: skip
VisitState = Literal["waiting", "open", "suspended", "done", "cancelled"]
SeatState = Literal["waiting", "open", "voted", "advised", "skipped", "removed", "moot"]
SeatKind = Literal["main", "before", "after", "beside", "advice"]
Ballot = Literal["approve", "reject", "abstain"]
CandidateKind = Literal["user", "role", "post"]

#: States that nothing leaves; a new submit begins another round.
TERMINAL = frozenset({"approved", "rejected", "withdrawn", "terminated"})


@dataclass(frozen=True, slots=True)
class Identity:
    """As what somebody may sit in a seat.

    Attributes:
        kind: `user` (one person), `role` (everyone who holds it) or `post` (everyone who
            holds a position at a place).
        actor: the user's id, the role's name, or `POSITION@PLACE_ID`.
    """

    kind: CandidateKind
    actor: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts on an instance.

    Attributes:
        identities: as what they may sit in a seat.
    """

    id: str
    name: str
    identities: frozenset[Identity] = frozenset()


@dataclass(slots=True)
class Visit:
    """One pass through a step.

    Attributes:
        id: of a human step also the id of the task.
        step: the step's id; `SUBFLOW/STEP` inside a subflow.
        parent: the visit of the block around it; empty at the top.
        lane: which case or strand of that block it is in.
        number: 1 for the first pass through this step in this instance.
        item: of a run of a subflow, what it is about: the wire value that `each` gave.
        state: `waiting` people cannot act yet (a wait, an effect, a block), `open`,
            `suspended`, `done`, `cancelled`.
        result: pass, reject, return, keep (an earlier pass on the same content counts),
            stuck (no vote can decide it any more); why it was cancelled.
        subject_hash: of the content it was opened on.
        resumes: the visit whose clock it goes on with.
        cause: the visit whose end led here; empty after a submit.
    """

    id: str
    step: str
    type: str
    parent: str = ""
    lane: int = 0
    number: int = 1
    item: Any = None
    state: VisitState = "open"
    result: str = ""
    subject_hash: str = ""
    opened_at: str = ""
    closed_at: str = ""
    closed_by: str = ""
    resumes: str = ""
    cause: str = ""


@dataclass(slots=True)
class Seat:
    """One required voice.

    Attributes:
        visit: the task it belongs to.
        position: its place among the seats of the task; the order of a sequence.
        key: what it is called: the named seat, or the role, post or person it was made for.
        group: the named seat that a group's voices belong to.
        kind: `main`, `beside` (added to the tally), `before`, `after` (votes of their own
            around the vote of `parent`) or `advice` (never counts).
        parent: the seat it was added at.
        rule: of `before` and `after`: any, all or sequence.
        depth: how many additions lead to it; 0 for a planned seat.
        ballot: the vote that counts; None before, and again after a take-back.
        vote: id of that vote.
        because: why it was skipped, or `unmanned` while nobody can sit in it.
        added_by: who added it while it was running.
        claimed_by: who works on it, until `claimed_until`.
    """

    id: str
    visit: str
    position: int
    key: str
    group: str = ""
    weight: int = 1
    kind: SeatKind = "main"
    parent: str = ""
    rule: str = ""
    depth: int = 0
    state: SeatState = "open"
    ballot: Ballot | None = None
    vote: str = ""
    because: str = ""
    added_by: str = ""
    claimed_by: str = ""
    claimed_until: str = ""
    opened_at: str = ""


@dataclass(slots=True)
class Candidate:
    """Who may sit in a seat.

    Attributes:
        via: why: empty (planned), `escalated`, `away` (deputy), `transfer`, `vacant`,
            `manager`, `empty`.
        on_behalf_of: of a deputy, for whom.
        gone: no longer a candidate, for example after a transfer.
    """

    seat: str
    kind: CandidateKind
    actor: str
    via: str = ""
    on_behalf_of: str = ""
    gone: bool = False

    @property
    def identity(self) -> Identity:
        """Return as what one sits."""
        return Identity(self.kind, self.actor)


@dataclass(frozen=True, slots=True)
class Vote:
    """What somebody said in a seat; never changed, only taken back by another event.

    Attributes:
        verb: approve, reject, abstain, or complete (work done, advice given).
        source: `human`, `auto` (repeats an earlier vote or a policy) or `timer`.
        because: of an automatic one, the id of the vote it repeats, or the rung.
        on_behalf_of: for whom a deputy voted.
    """

    id: str
    seat: str
    visit: str
    actor: str
    actor_name: str
    verb: str
    opinion: str
    subject_hash: str
    at: str
    source: str = "human"
    because: str = ""
    on_behalf_of: str = ""


@dataclass(slots=True)
class Timer:
    """Something that happens to a visit at a time.

    Attributes:
        rung: place in the step's `due`; -1 of a wait.
        business: whether the clock is the business calendar's.
        left: seconds of its clock that were left when it last started to run.
        since: when it last started; empty while it stands still.
        fire_at: when it goes off; empty while it stands still.
        state: pending, fired or cancelled.
    """

    id: str
    visit: str
    rung: int
    business: bool
    left: int
    since: str
    fire_at: str
    state: Literal["pending", "fired", "cancelled"] = "pending"


@dataclass(slots=True)
class Resume:
    """Where a returned document goes when it is submitted again.

    Attributes:
        visit: the visit that returned it.
        step: its step; empty when everything is walked again.
        to: the step it was returned to; empty is the initiator.
    """

    visit: str
    step: str
    to: str


@dataclass(slots=True)
class State:
    """Everything about one instance that decides what may happen next.

    Attributes:
        status: state of the instance.
        former: where a resume from suspension leads.
        makers: ids of those who made what is decided; nobody of them has a voice.
        subject_hash: of what is being decided now.
        returns: how often it was returned.
        resume: set while it waits to go straight back.
        copied: people who have had their copy.
        chosen: step -> people that were named for it.
        attention: why administrators must look: `no_approver`, `effect_failed`, or empty.
    """

    initiator: str
    makers: frozenset[str]
    subject_hash: str
    status: InstanceState = "running"
    former: InstanceState = "running"
    returns: int = 0
    resume: Resume | None = None
    copied: tuple[str, ...] = ()
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attention: str = ""
    visits: dict[str, Visit] = field(default_factory=dict)
    seats: dict[str, Seat] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)
    votes: dict[str, Vote] = field(default_factory=dict)
    timers: dict[str, Timer] = field(default_factory=dict)

    def seats_of(self, visit: str, kind: str = "", parent: str | None = None) -> list[Seat]:
        """Return seats of a visit in their order; of one kind, or added at one seat."""
        found = [
            seat
            for seat in self.seats.values()
            if seat.visit == visit
            and (not kind or seat.kind == kind)
            and (parent is None or seat.parent == parent)
        ]
        return sorted(found, key=lambda seat: seat.position)

    def candidates_of(self, seat: str) -> list[Candidate]:
        """Return who may sit in a seat now."""
        return [one for one in self.candidates if one.seat == seat and not one.gone]

    def live_visits(self) -> Iterator[Visit]:
        """Yield the visits that are not over."""
        return (one for one in self.visits.values() if one.state not in {"done", "cancelled"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an instance, as its history keeps it.

    Attributes:
        verb: what was done, or what followed: `open`, `moot`, `skip`, `cancel`, …
        detail: plain JSON that belongs to the verb.
    """

    verb: str
    step: str = ""
    visit: str = ""
    seat: str = ""
    opinion: str = ""
    on_behalf_of: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody wants to do.

    Attributes:
        verb: a verb of the contract, or submit, revise (its content was changed), withdraw,
            suspend, resume, terminate, fire (a timer), recheck (people or waits may have
            changed), reckon (a calendar was changed), hand_over (somebody else takes a
            person's seats).
        visit: the task; for `fire` the visit of the timer.
        seat: which seat of the task, by its key or id; empty is the first that is theirs.
        to: user ids (transfer, delegate, add_…), a seat (remove_added), a step (return),
            steps that the change does not concern (revise).
        then: of a return, where the step lets the approver say: resume or rewalk; of a
            claim, `steal` takes it from somebody else.
        rule: of add_before and add_after: any, all or sequence.
        rung: of `fire`.
        chosen: step -> user ids, named with a submit or an approval.
        leaver: of `hand_over`, whose seats of the task go to the one in `to`.
    """

    verb: str
    visit: str = ""
    seat: str = ""
    opinion: str = ""
    to: tuple[str, ...] = ()
    then: str = ""
    rule: str = "any"
    rung: int = -1
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    leaver: str = ""


class RefusalError(Exception):
    """The engine does not allow it; `code` is stable, such as `flow.already_decided`.

    Attributes:
        params: who, when and what, for messages and programs.
    """

    def __init__(self, code: str, **params: Any) -> None:
        """Carry the code and its parameters."""
        super().__init__(code)
        self.code = code
        self.params = params
