"""Votes: who may cast one in which seat, and what follows from all that were cast."""

from core.schema.flows import Empty
from core.workflow.engine.route import cancel, finish_visit, leave, restart_clocks, vote_again
from core.workflow.engine.seating import UNMANNED, add_voices, barred_by_duty, man, mind_clocks
from core.workflow.engine.state import (
    Ballot,
    Candidate,
    Command,
    RefusalError,
    Seat,
    Visit,
    Vote,
)
from core.workflow.engine.tally import counts, said, tally_added, verdict_of, voices
from core.workflow.engine.work import Machine, timers_of

#: Verb -> what it says in the tally.
BALLOTS: dict[str, Ballot] = {
    "approve": "approve", "reject": "reject", "abstain": "abstain", "complete": "approve",
}  # fmt: skip
#: Seats that somebody sits in without being able to vote now.
_HELD = frozenset({"waiting", "advised"})
#: Seats whose voice is still to come.
_WAITING = frozenset({"open", "waiting", "advised"})
#: Why a seat waits whose holder asked others first; it stands in `Seat.because`.
ASKED = "asked"


def open_visit(machine: Machine, command: Command) -> Visit:
    """Return the task of a command, which people can act on.

    Raises:
        RefusalError: there is none, or it is over or halted.
    """
    visit = machine.state.visits.get(command.visit)
    if visit is None or not machine.node(visit).is_human:
        raise RefusalError("not_found")
    if visit.state == "done":
        raise RefusalError("flow.already_decided", visit=visit.id)
    if visit.state == "suspended" or machine.state.status == "suspended":
        raise RefusalError("flow.suspended")
    if visit.state != "open":
        raise RefusalError("flow.already_ended", visit=visit.id)
    return visit


def sits(machine: Machine, seat: Seat) -> Candidate | None:
    """Return as which candidate the acting person sits in a seat, if they do.

    Their own candidacy goes before one for somebody else.
    """
    mine = [
        one
        for one in machine.state.candidates_of(seat.id)
        if one.identity in machine.person.identities
    ]
    return min(mine, key=lambda one: bool(one.on_behalf_of), default=None)


def require_voice(machine: Machine, visit: Visit) -> list[Seat]:
    """Return the seats of a task that the person sits in, whatever their state.

    Raises:
        RefusalError: none is theirs, they made what is decided, or they decided a step
            that nobody may decide together with this one.
    """
    mine = [one for one in machine.state.seats_of(visit.id) if sits(machine, one)]
    if not mine:
        raise RefusalError("flow.not_a_candidate")
    if machine.person.id in machine.state.makers:
        raise RefusalError("flow.sod_violation")
    if machine.person.id in barred_by_duty(machine, visit):
        raise RefusalError("flow.sod_violation", because="distinct")
    return mine


def choose_seat(
    machine: Machine, visit: Visit, wanted: str, states: frozenset[str] = frozenset({"open"})
) -> Seat:
    """Return the seat a person acts in: the one named, else their first in one of `states`.

    Whoever has voted in the task must name a second seat, so that a double click never
    fills two.
    """
    mine = require_voice(machine, visit)
    state = machine.state
    own = [
        state.votes[seat.vote]
        for seat in state.seats_of(visit.id)
        if seat.vote and seat.kind != "advice"
    ]
    voted = any((one.actor, one.source) == (machine.person.id, "human") for one in own)
    if wanted and not any(wanted in {seat.key, seat.id} for seat in mine):
        raise RefusalError("flow.not_a_candidate")
    for seat in mine:
        is_meant = wanted in {seat.key, seat.id} if wanted else not voted
        if is_meant and seat.state in states:
            return seat
    if not voted and any(seat.state in _HELD for seat in mine):
        raise RefusalError("flow.not_possible", state="waiting")
    raise RefusalError("flow.already_decided", visit=visit.id)


def require_verb(machine: Machine, visit: Visit, verb: str) -> None:
    """Refuse a verb that the step does not offer.

    Raises:
        RefusalError: `flow.verb_not_allowed`.
    """
    if verb not in machine.node(visit).step.verbs:
        raise RefusalError("flow.verb_not_allowed", verb=verb)


def require_claim(machine: Machine, visit: Visit, seat: Seat) -> None:
    """Refuse a vote in a seat that must be claimed, or that somebody else has claimed.

    Raises:
        RefusalError: `flow.claimed_by` or `flow.claim_required`.
    """
    rule = machine.node(visit).step.queue.claim
    if rule != "required" or seat.kind != "main":
        return
    if not is_claimed(machine, seat):
        raise RefusalError("flow.claim_required")
    if seat.claimed_by != machine.person.id:
        by = machine.world.name(seat.claimed_by)
        raise RefusalError("flow.claimed_by", by=by, until=seat.claimed_until)


def is_claimed(machine: Machine, seat: Seat) -> bool:
    """Return whether somebody's claim on a seat still holds."""
    return bool(seat.claimed_by) and seat.claimed_until > machine.now


def vote(machine: Machine, command: Command) -> None:
    """Cast a vote, or give advice, in one of the person's seats."""
    visit = open_visit(machine, command)
    mine = require_voice(machine, visit)
    is_advice = command.verb == "complete" and any(
        seat.kind == "advice" and seat.state == "open" for seat in mine
    )
    if not is_advice:
        require_verb(machine, visit, command.verb)
    wanted = command.seat
    if is_advice and not wanted:
        wanted = next(one.id for one in mine if one.kind == "advice" and one.state == "open")
    seat = choose_seat(machine, visit, wanted)
    require_claim(machine, visit, seat)
    cast(machine, visit, seat, command)
    machine.state.chosen.update(command.chosen)
    machine.unsettled.append(visit.id)


def cast(machine: Machine, visit: Visit, seat: Seat, command: Command) -> None:
    """Write a person's vote into a seat."""
    state, person = machine.state, machine.person
    as_whom = sits(machine, seat)
    behalf = as_whom.on_behalf_of if as_whom else ""
    verb = command.verb if command.verb in BALLOTS else "approve"
    made = Vote(
        machine.world.new_id(), seat.id, visit.id, person.id, person.name, verb,
        command.opinion, state.subject_hash, machine.now, on_behalf_of=behalf,
    )  # fmt: skip
    state.votes[made.id] = made
    seat.state, seat.vote, seat.ballot, seat.because = "voted", made.id, BALLOTS[verb], ""
    seat.claimed_by = seat.claimed_until = ""
    detail = {"vote": made.id, "kind": seat.kind} | (
        {"for": machine.world.name(behalf)} if behalf else {}
    )
    machine.note(
        command.verb, visit, seat, opinion=command.opinion, on_behalf_of=behalf, detail=detail
    )


def settle(machine: Machine) -> None:
    """Count the votes of every visit that changed, until nothing follows any more."""
    while machine.unsettled:
        visit = machine.state.visits[machine.unsettled.pop(0)]
        if visit.state == "open" and machine.state.status == "running":
            _settle(machine, visit)
        if visit.state == "open":
            mind_clocks(machine, visit)


def _settle(machine: Machine, visit: Visit) -> None:
    _settle_added(machine, visit)
    step = machine.node(visit).step
    verdict = verdict_of(step, machine.state, visit.id)
    if verdict == "undecided":
        if visit.result == "stuck":
            visit.result = ""
        if step.decide == "sequence":
            _open_next(machine, visit, "main", "")
    elif verdict == "passed" and _asks_after(machine, visit):
        return
    elif verdict == "passed":
        finish_visit(machine, visit, "pass")
        leave(machine, visit)
    elif verdict == "rejected":
        finish_visit(machine, visit, "reject")
        end(machine, "rejected")
    else:
        _get_unstuck(machine, visit)


def _asks_after(machine: Machine, visit: Visit) -> bool:
    """Return whether somebody is still asked after an approval; nothing passes before that."""
    return any(one.state in _WAITING for one in machine.state.seats_of(visit.id, "after"))


def _settle_added(machine: Machine, visit: Visit) -> None:
    """Give seats back to those who asked others, once the answer is there."""
    # The innermost are settled first: they stand behind what they were added at.
    for seat in reversed(machine.state.seats_of(visit.id)):
        if seat.state == "advised":
            _hear_advice(machine, visit, seat)
        for kind in ("before", "after"):
            _hear_added(machine, visit, seat, kind)


def _hear_advice(machine: Machine, visit: Visit, seat: Seat) -> None:
    advice = machine.state.seats_of(visit.id, "advice", seat.id)
    if all(one.state not in _WAITING for one in advice):
        seat.state = "open"
        machine.note("advised", visit, seat)


def _hear_added(machine: Machine, visit: Visit, seat: Seat, kind: str) -> None:
    """Close the voices added at a seat when they have decided; before it, its own is due."""
    added = [one for one in machine.state.seats_of(visit.id, kind, seat.id) if counts(one)]
    verdict = tally_added(added[0].rule, voices(machine.state, added)) if added else "stuck"
    if verdict == "undecided":
        if added[0].rule == "sequence":
            _open_next(machine, visit, kind, seat.id)
        return
    for one in added:
        if one.state in _WAITING:
            one.state = "moot"
    if kind == "before" and (seat.state, seat.because) == ("waiting", ASKED):
        seat.state, seat.because = "open", ""
        machine.note("advised", visit, seat, detail={"verdict": verdict} if added else {})


def _open_next(machine: Machine, visit: Visit, kind: str, parent: str) -> None:
    """Open the next voice of a sequence when none is open."""
    group = [one for one in machine.state.seats_of(visit.id) if counts(one)]
    group = [
        one
        for one in group
        if (one.kind == kind and one.parent == parent) or (not parent and one.kind == "beside")
    ]
    if any(one.state in {"open", "advised"} or _is_asking(machine, one) for one in group):
        return
    following = next((one for one in group if one.state == "waiting"), None)
    if following is None:
        return
    following.state, following.opened_at = "open", machine.now
    man(machine, visit, following)
    if kind == "main":
        vote_again(machine, visit, following)
        restart_clocks(machine, visit)
    machine.note("open", visit, following, detail={"seats": [following.key]})
    # It may have been passed over.
    machine.unsettled.append(visit.id)


def _is_asking(machine: Machine, seat: Seat) -> bool:
    """Return whether a seat waits for voices that were asked before or after its own."""
    waits_after = seat.ballot is not None and said(machine.state, seat) is None
    return seat.because == ASKED or waits_after


def _get_unstuck(machine: Machine, visit: Visit) -> None:
    """Do what the flow says where no vote can decide any more; else administrators must."""
    if visit.result == "stuck":
        return
    visit.result = "stuck"
    rule = machine.people(visit).empty
    if rule == "auto_pass":
        finish_visit(machine, visit, "pass")
        leave(machine, visit)
        return
    machine.note("attention", visit, detail={"why": "stuck"})
    if isinstance(rule, Empty) and rule.to is not None and add_voices(machine, visit, rule.to):
        machine.unsettled.append(visit.id)


def end(machine: Machine, status: str) -> None:
    """End the instance; whatever still waits is cancelled."""
    state = machine.state
    cancel(machine, list(state.live_visits()), status)
    state.status = status  # type: ignore[assignment]
    close(machine)


def close(machine: Machine) -> None:
    """Stop every clock of an instance that has ended."""
    machine.state.resume = None
    for visit in machine.state.visits.values():
        for timer in timers_of(machine.state, visit.id):
            timer.state = "cancelled"
            timer.since = timer.fire_at = ""


def attention(machine: Machine) -> str:
    """Return why administrators must look at the instance, if they must."""
    state = machine.state
    if state.status not in {"running", "suspended"}:
        return ""
    for visit in state.live_visits():
        if visit.result == "stuck":
            return "stuck"
        if any(
            one.because == UNMANNED and one.state == "open" for one in state.seats_of(visit.id)
        ):
            return "no_approver"
        if visit.result == "overdue":
            return "overdue"
    return ""
