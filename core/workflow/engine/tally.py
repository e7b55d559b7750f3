"""What votes say under a decision rule, in whole numbers only.

Source of the rules: a seat is one voice; N counts the seats that were not removed or
passed over. Abstentions alone decide nothing: such a step is stuck, which a person must
settle; it is never passed or rejected silently.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.schema.flows import Decide, Need, Step
from core.workflow.engine.state import Ballot, Seat, State

Verdict = Literal["undecided", "passed", "rejected", "stuck"]


@dataclass(frozen=True, slots=True)
class Voice:
    """One seat as the tally sees it: what it said, if it has, and its weight."""

    ballot: Ballot | None
    weight: int = 1
    group: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How voices stand; weights when they are weighed."""

    total: int
    approved: int
    rejected: int
    abstained: int

    @property
    def open(self) -> int:
        """Return how many are still missing."""
        return self.total - self.approved - self.rejected - self.abstained


def count(voices: Iterable[Voice], *, weighed: bool = False) -> Count:
    """Return how voices stand, each as one or as its weight."""
    sums: dict[Ballot | None, int] = defaultdict(int)
    for voice in voices:
        sums[voice.ballot] += voice.weight if weighed else 1
    return Count(sum(sums.values()), sums["approve"], sums["reject"], sums["abstain"])


def any_of(votes: Count, on_reject: str = "all") -> Verdict:
    """Return what follows where one approval is enough."""
    if votes.approved:
        return "passed"
    if votes.rejected and on_reject == "first":
        return "rejected"
    if votes.open:
        return "undecided"
    return "rejected" if votes.rejected else "stuck"


def all_of(votes: Count, *, veto: bool = True) -> Verdict:
    """Return what follows where everybody has to agree; abstentions do not object."""
    if votes.rejected and (veto or not votes.open):
        return "rejected"
    if votes.open:
        return "undecided"
    return "passed" if votes.approved else "stuck"


def at_least(votes: Count, needed: int, scale: int = 1) -> Verdict:
    """Return what follows where `needed` of the votes, each times `scale`, must approve."""
    if scale * votes.approved >= needed:
        return "passed"
    if scale * (votes.approved + votes.open) >= needed:
        return "undecided"
    return "rejected" if votes.rejected else "stuck"


def fraction(text: str) -> tuple[int, int]:
    """Return a fraction such as `2/3` as its two whole numbers.

    >>> fraction("2/3")
    (2, 3)
    """
    above, _, below = text.partition("/")
    return int(above), int(below or "1")


def tally(step: Step, voices: Sequence[Voice]) -> Verdict:
    """Return what a step's votes say by its rule; without any voice it is passed over."""
    if not voices:
        return "passed"
    decide = step.decide
    needs = {name: spec.need for name, spec in step.seats.items()}
    if isinstance(decide, Decide):
        if decide.quorum:
            return at_least(count(voices), decide.quorum)
        if decide.weight:
            above, below = fraction(decide.weight)
            votes = count(voices, weighed=True)
            return at_least(votes, above * votes.total, below)
        return _groups(decide.groups, voices, needs)
    if any(voice.group for voice in voices):
        return _groups("1" if decide == "any" else "all", voices, needs)
    if decide == "any":
        return any_of(count(voices), step.on_reject)
    return all_of(count(voices), veto=step.veto or decide == "sequence")


def _groups(
    wanted: str, voices: Sequence[Voice], needs: Mapping[str, Literal["any", "all"] | Need]
) -> Verdict:
    """Return what follows where groups agree, each by its own rule."""
    groups: dict[str, list[Voice]] = defaultdict(list)
    for place, voice in enumerate(voices):
        groups[voice.group or f"\0{place}"].append(voice)
    verdicts = [_group(needs.get(name, "any"), held) for name, held in groups.items()]
    passed, rejected = verdicts.count("passed"), verdicts.count("rejected")
    if wanted == "all":
        if rejected:
            return "rejected"
        if passed == len(verdicts):
            return "passed"
        return "undecided" if "undecided" in verdicts else "stuck"
    needed = int(wanted)
    if passed >= needed:
        return "passed"
    if passed + verdicts.count("undecided") >= needed:
        return "undecided"
    return "rejected" if rejected else "stuck"


def _group(need: Literal["any", "all"] | Need, voices: Sequence[Voice]) -> Verdict:
    votes = count(voices)
    if isinstance(need, Need):
        return at_least(votes, need.quorum)
    return all_of(votes) if need == "all" else any_of(votes)


def tally_added(rule: str, voices: Sequence[Voice]) -> Verdict:
    """Return what the voices asked before or after a seat say: any, all or sequence."""
    votes = count(voices)
    return any_of(votes) if rule == "any" else all_of(votes)


def said(state: State, seat: Seat) -> Ballot | None:
    """Return what a seat says: an approval holds once those asked afterwards agree."""
    if seat.ballot != "approve":
        return seat.ballot
    after = [one for one in state.seats_of(seat.visit, "after", seat.id) if counts(one)]
    if not after:
        return seat.ballot
    verdict = tally_added(after[0].rule, voices(state, after))
    return {"passed": "approve", "rejected": "reject", "stuck": "approve"}.get(verdict)  # type: ignore[return-value]


def counts(seat: Seat) -> bool:
    """Return whether a seat is a voice: not removed, and not passed over."""
    return seat.state not in {"removed", "skipped"}


def voices(state: State, seats: Iterable[Seat]) -> list[Voice]:
    """Return seats as voices, with what was added at them."""
    return [Voice(said(state, seat), seat.weight, seat.group) for seat in seats if counts(seat)]


def verdict_of(step: Step, state: State, visit: str) -> Verdict:
    """Return what the votes of a task say as they stand."""
    seats = [one for one in state.seats_of(visit) if one.kind in {"main", "beside"}]
    return tally(step, voices(state, seats))
