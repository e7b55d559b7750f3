"""The flow machine: states, tally and route as pure functions of plain values.

Nothing here knows a database, a clock or a person, so the same functions decide a
real vote, a preview and a property test. Numbers are integers, never fractions.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.schema.flowchecks import roles_of
from core.schema.flows import Flow, Step

Vote = Literal["approve", "reject", "abstain"]
SeatState = Literal[
    "waiting", "open", "voted", "transferred", "advised", "skipped", "removed", "moot"
]
Verdict = Literal["undecided", "passed", "rejected", "stuck"]
InstanceState = Literal[
    "running", "returned", "suspended", "apply_blocked",
    "approved", "rejected", "withdrawn", "terminated",
]  # fmt: skip
Trigger = Literal[
    "submit", "pass", "finish", "reject", "return", "withdraw", "suspend", "resume",
    "terminate", "block",
]  # fmt: skip

#: States that nothing leaves; a new submit begins another round.
TERMINAL = frozenset({"approved", "rejected", "withdrawn", "terminated"})
#: States in which the subject of a vote must not change.
LOCKING = frozenset({"running", "suspended"})


class NotPossibleError(Exception):
    """The instance's state does not allow this; `code` is the refusal's stable code."""

    def __init__(self, code: str) -> None:
        """Carry the code, such as `flow.already_ended`."""
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who may fill a seat: everyone with a role, or one user."""

    kind: Literal["role", "user"]
    actor: str


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """A seat that a step needs, before anybody sits in it."""

    key: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Seat:
    """One required voice and what became of it."""

    key: str
    state: SeatState
    vote: Vote | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How the seats of a task stand; removed ones are not counted."""

    seats: int
    approved: int
    rejected: int
    abstained: int

    @property
    def open(self) -> int:
        """Return how many voices are still missing."""
        return self.seats - self.approved - self.rejected - self.abstained


@dataclass(frozen=True, slots=True)
class Move:
    """What follows from the votes of a task.

    Attributes:
        moot: keys of the seats that no longer matter.
        trigger: what happens to the instance; None while the task is undecided.
        step: the next step to open, if any.
    """

    verdict: Verdict
    moot: tuple[str, ...] = ()
    trigger: Trigger | None = None
    step: Step | None = None


def count(seats: Iterable[Seat]) -> Count:
    """Return how the seats stand."""
    counted = [seat for seat in seats if seat.state != "removed"]
    votes = [seat.vote for seat in counted if seat.state == "voted"]
    return Count(
        len(counted), votes.count("approve"), votes.count("reject"), votes.count("abstain")
    )


def _any(votes: Count) -> Verdict:
    if votes.approved:
        return "passed"
    if votes.open:
        return "undecided"
    return "rejected" if votes.rejected else "stuck"


def _all(votes: Count) -> Verdict:
    if votes.rejected:
        return "rejected"
    if votes.open:
        return "undecided"
    return "passed" if votes.approved else "stuck"


_RULES: dict[str, Callable[[Count], Verdict]] = {"any": _any, "all": _all}


def tally(rule: str, seats: Iterable[Seat]) -> Verdict:
    """Return what the votes say under `rule`, the value of a step's `decide`.

    Abstentions alone decide nothing: such a task is stuck, which a person must settle;
    it is never passed or rejected silently.
    """
    return _RULES[rule](count(seats))


def seats_of(step: Step) -> tuple[SeatPlan, ...]:
    """Return the seats a step needs.

    `all` wants a voice of each role; for `any` the roles share one seat, so the first
    person who decides decides.
    """
    roles = tuple(dict.fromkeys(roles_of(step)))
    pools = tuple(Candidate("role", role) for role in roles)
    if step.decide == "all":
        return tuple(SeatPlan(pool.actor, (pool,)) for pool in pools)
    return (SeatPlan("+".join(roles), pools),)


def first_step(flow: Flow) -> Step:
    """Return the step that a submit opens."""
    return flow.steps[0]


def find_step(flow: Flow, step_id: str) -> Step:
    """Return a step of a flow by its id."""
    return next(step for step in flow.steps if step.id == step_id)


def after(flow: Flow, step_id: str) -> Step | None:
    """Return the step that follows `step_id`, or None after the last one."""
    position = [step.id for step in flow.steps].index(step_id)
    return flow.steps[position + 1] if position + 1 < len(flow.steps) else None


def move(flow: Flow, step_id: str, seats: Sequence[Seat]) -> Move:
    """Return what follows from the votes of the step's task as they stand."""
    verdict = tally(str(find_step(flow, step_id).decide), seats)
    if verdict in {"undecided", "stuck"}:
        return Move(verdict)
    moot = tuple(seat.key for seat in seats if seat.state in {"open", "waiting"})
    if verdict == "rejected":
        return Move(verdict, moot, "reject")
    step = after(flow, step_id)
    return Move(verdict, moot, "finish" if step is None else "pass", step)


_ENDED = "!flow.already_ended"
_SUSPENDED = "!flow.suspended"
_NO = "!flow.not_possible"

#: state -> trigger -> the next state, or `!` and the code of the refusal.
_TABLE: dict[str, dict[str, str]] = {
    "running": {
        "submit": "!flow.duplicate_open", "pass": "running", "finish": "approved",
        "reject": "rejected", "return": "returned", "withdraw": "withdrawn",
        "suspend": "suspended", "terminate": "terminated", "block": "apply_blocked",
    },
    "returned": {
        "submit": "running", "withdraw": "withdrawn", "suspend": "suspended",
        "terminate": "terminated",
    },
    "suspended": {
        "submit": "!flow.duplicate_open", "pass": _SUSPENDED, "finish": _SUSPENDED,
        "reject": _SUSPENDED, "return": _SUSPENDED, "block": _SUSPENDED,
        "suspend": _SUSPENDED, "withdraw": "withdrawn", "resume": "@former",
        "terminate": "terminated",
    },
    "apply_blocked": {
        "submit": "running", "finish": "approved", "return": "returned",
        "withdraw": "withdrawn", "terminate": "terminated", "block": "apply_blocked",
    },
    **{state: {"submit": "running"} for state in TERMINAL},
}  # fmt: skip


def next_state(state: str, trigger: Trigger, former: str = "running") -> InstanceState:
    """Return the state that `trigger` leads to; a suspended instance resumes to `former`.

    A submit in a terminal or blocked state begins another round, as a new instance.

    Raises:
        NotPossibleError: the state does not allow it.
    """
    found = _TABLE[state].get(trigger, _ENDED if state in TERMINAL else _NO)
    if found.startswith("!"):
        raise NotPossibleError(found[1:])
    return former if found == "@former" else found  # type: ignore[return-value]
