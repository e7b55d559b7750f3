"""Asking others: transfer, delegate, voices before, after and beside one's own, and claims."""

from datetime import timedelta

from core.clock import to_wire
from core.schema.flows import Decide
from core.workflow.engine.seating import add_candidate, add_seat, barred_by_duty, man
from core.workflow.engine.state import (
    Candidate,
    Command,
    Identity,
    RefusalError,
    Seat,
    SeatKind,
    Visit,
)
from core.workflow.engine.tally import counts
from core.workflow.engine.voting import (
    ASKED,
    cast,
    choose_seat,
    is_claimed,
    open_visit,
    require_claim,
    require_verb,
    require_voice,
)
from core.workflow.engine.work import Machine

#: So deep may voices be added at added voices.
MOST_DEEP = 3
_MOST_ADDED = 50


def transfer(machine: Machine, command: Command) -> None:
    """Give the seat to somebody else, who votes in it in one's place; the clock goes on."""
    visit, seat = _acting(machine, command)
    (person,) = _others(machine, visit, command, most=1)
    for one in machine.state.candidates_of(seat.id):
        one.gone = True
    add_candidate(machine, seat, Identity("user", person), "transfer")
    seat.claimed_by = seat.claimed_until = ""
    _note(machine, visit, seat, command)
    man(machine, visit, seat)
    machine.unsettled.append(visit.id)


def hand_over(machine: Machine, command: Command) -> None:
    """Put somebody else in the place of a person in a task, whatever they sit there as.

    An administrator's verb: the caller has checked that. Seats in which the person only
    stands in for somebody follow that delegation.
    """
    visit, leaver, person = machine.state.visits[command.visit], command.leaver, command.to[0]
    seats = machine.state.seats_of(visit.id)
    waiting = [one for one in seats if one.state in {"open", "waiting", "advised"}]
    theirs = [one for one in waiting if _planned(machine, one, leaver)]
    if visit.state not in {"open", "suspended"} or not theirs:
        raise RefusalError("flow.already_decided", visit=visit.id)
    if person in machine.state.makers:
        raise RefusalError("flow.sod_violation", person=person)
    if person in barred_by_duty(machine, visit):
        raise RefusalError("flow.sod_violation", person=person, because="distinct")
    elsewhere = any(_planned(machine, one, person) for one in seats if one not in theirs)
    is_active = machine.world.people(Identity("user", person))
    if person == leaver or elsewhere or not is_active:
        raise RefusalError("flow.person_invalid", person=person)
    names = {"from": machine.world.name(leaver), "to": machine.world.name(person)}
    for seat in theirs:
        for one in _planned(machine, seat, leaver):
            one.gone = True
        add_candidate(machine, seat, Identity("user", person), "transfer")
        if seat.claimed_by == leaver:
            seat.claimed_by = seat.claimed_until = ""
        detail = {**names, "leaver": leaver, "person": person}
        machine.note("hand_over", visit, seat, opinion=command.opinion, detail=detail)
        if seat.state == "open" and visit.state == "open":
            man(machine, visit, seat)
    machine.unsettled.append(visit.id)


def _planned(machine: Machine, seat: Seat, person: str) -> list[Candidate]:
    """Return as what somebody sits in a seat by name and not for another."""
    return [
        one
        for one in machine.state.candidates_of(seat.id)
        if (one.kind, one.actor) == ("user", person) and one.via != "away"
    ]


def delegate(machine: Machine, command: Command) -> None:
    """Ask somebody for advice; it never counts, and the seat comes back to be voted in."""
    visit, seat = _acting(machine, command)
    _require_depth(seat)
    (person,) = _others(machine, visit, command, most=1)
    seat.state = "advised"
    _add(machine, visit, seat, [person], "advice", "any")
    _note(machine, visit, seat, command)
    machine.unsettled.append(visit.id)


def add_before(machine: Machine, command: Command) -> None:
    """Ask others first; one's own vote waits for what they say."""
    visit, seat = _acting(machine, command)
    _require_depth(seat)
    people = _others(machine, visit, command)
    seat.state, seat.because = "waiting", ASKED
    _add(machine, visit, seat, people, "before", command.rule)
    _note(machine, visit, seat, command)
    machine.unsettled.append(visit.id)


def add_after(machine: Machine, command: Command) -> None:
    """Approve, and have others agree before that approval holds."""
    visit, seat = _acting(machine, command)
    _require_depth(seat)
    people = _others(machine, visit, command)
    cast(machine, visit, seat, command)
    _add(machine, visit, seat, people, "after", command.rule)
    machine.unsettled.append(visit.id)


def add_beside(machine: Machine, command: Command) -> None:
    """Add voices to the tally; as many more are needed as the rule says."""
    visit, seat = _acting(machine, command)
    _require_depth(seat)
    people = _others(machine, visit, command)
    _add(machine, visit, seat, people, "beside", "")
    _note(machine, visit, seat, command)
    machine.unsettled.append(visit.id)


def remove_added(machine: Machine, command: Command) -> None:
    """Take back a voice that was added and has not spoken yet."""
    visit = open_visit(machine, command)
    require_verb(machine, visit, "remove_added")
    require_voice(machine, visit)
    wanted = command.to[0] if command.to else command.seat
    seat = next(
        (one for one in machine.state.seats_of(visit.id) if wanted in {one.id, one.key}), None
    )
    if seat is None or not _is_removable(machine, visit, seat):
        raise RefusalError("flow.seat_not_removable", seat=wanted[:200])
    _remove(machine, seat)
    machine.note("remove_added", visit, seat, opinion=command.opinion)
    machine.unsettled.append(visit.id)


def _remove(machine: Machine, seat: Seat) -> None:
    """Remove a voice and those who were asked on behalf of it, however deep."""
    seat.state = "removed"
    for one in machine.state.candidates_of(seat.id):
        one.gone = True
    for below in machine.state.seats_of(seat.visit, parent=seat.id):
        if below.state in {"open", "waiting", "advised"}:
            _remove(machine, below)


def _is_removable(machine: Machine, visit: Visit, seat: Seat) -> bool:
    """Return whether a seat was added while it ran, is unvoted, and is not needed to pass."""
    if not seat.added_by or seat.state not in {"open", "waiting"}:
        return False
    decide = machine.node(visit).step.decide
    if seat.kind == "beside" and isinstance(decide, Decide) and decide.quorum:
        seats = [one for one in machine.state.seats_of(visit.id) if one.kind in {"main", "beside"}]
        return sum(map(counts, seats)) - 1 >= decide.quorum
    return True


def claim(machine: Machine, command: Command) -> None:
    """Say that one works on it; `then` steal takes it from somebody else, who is told."""
    visit = open_visit(machine, command)
    step = machine.node(visit).step
    if step.queue.claim == "off" and "claim" not in step.verbs:
        raise RefusalError("flow.verb_not_allowed", verb="claim")
    seat = choose_seat(machine, visit, command.seat)
    former = seat.claimed_by if is_claimed(machine, seat) else ""
    if former and former != machine.person.id and command.then != "steal":
        by = machine.world.name(former)
        raise RefusalError("flow.claimed_by", by=by, until=seat.claimed_until)
    seat.claimed_by = machine.person.id
    _business, seconds = machine.world.clock(step.queue.lease, machine.world.now, visit.item)
    seat.claimed_until = to_wire(machine.world.now + timedelta(seconds=seconds))
    if former == machine.person.id:
        return  # a sign of life is no news
    stolen = {"from": former} if former else {}
    machine.note("claim", visit, seat, detail=stolen)


def release(machine: Machine, command: Command) -> None:
    """Let go of a claim."""
    visit = open_visit(machine, command)
    for seat in require_voice(machine, visit):
        if seat.claimed_by == machine.person.id:
            seat.claimed_by = seat.claimed_until = ""
            machine.note("release", visit, seat)


def _acting(machine: Machine, command: Command) -> tuple[Visit, Seat]:
    """Return the task and the open seat in which somebody asks others."""
    visit = open_visit(machine, command)
    # Whoever has no voice is told so before anything is said of the step.
    require_voice(machine, visit)
    require_verb(machine, visit, command.verb)
    seat = choose_seat(machine, visit, command.seat)
    require_claim(machine, visit, seat)
    if seat.kind == "advice":
        raise RefusalError("flow.verb_not_allowed", verb=command.verb)
    return visit, seat


def _others(
    machine: Machine, visit: Visit, command: Command, most: int = _MOST_ADDED
) -> tuple[str, ...]:
    """Return the people of a command: active, not oneself, no maker, not in the task already."""
    people = tuple(dict.fromkeys(command.to))
    if not people or len(people) > most:
        raise RefusalError("flow.person_invalid", reason="count")
    seated = {
        one.actor
        for seat in machine.state.seats_of(visit.id)
        if seat.state in {"open", "waiting", "advised"}
        for one in machine.state.candidates_of(seat.id)
        if one.kind == "user"
    }
    for person in people:
        if person in machine.state.makers:
            raise RefusalError("flow.sod_violation", person=person)
        is_there = person == machine.person.id or person in seated
        if is_there or not machine.world.people(Identity("user", person)):
            raise RefusalError("flow.person_invalid", person=person)
    return people


def _require_depth(seat: Seat) -> None:
    if seat.depth >= MOST_DEEP:
        raise RefusalError("flow.add_sign_depth", limit=MOST_DEEP)


def _add(
    machine: Machine, visit: Visit, at: Seat, people: list[str] | tuple[str, ...],
    kind: SeatKind, rule: str,
) -> None:  # fmt: skip
    for place, person in enumerate(people):
        seat = add_seat(
            machine, visit, person, [Identity("user", person)], kind=kind, parent=at, rule=rule
        )
        if rule == "sequence" and place:
            seat.state = "waiting"
        else:
            man(machine, visit, seat)


def _note(machine: Machine, visit: Visit, seat: Seat, command: Command) -> None:
    names = [machine.world.name(one) for one in command.to]
    rule = {"rule": command.rule} if command.verb == "add_before" else {}
    machine.note(
        command.verb, visit, seat, opinion=command.opinion,
        detail={"to": list(command.to), "names": names, **rule},
    )  # fmt: skip
