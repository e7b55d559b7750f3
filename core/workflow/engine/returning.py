"""Going back: return to an earlier step or to the initiator, submit again, take back."""

from collections.abc import Iterator

from core.schema.flows import Return
from core.workflow.engine.route import DETACHED, begin, cancel, enter, finish_visit, within
from core.workflow.engine.seating import man
from core.workflow.engine.state import Command, RefusalError, Resume, Visit
from core.workflow.engine.voting import choose_seat, open_visit, require_claim, require_verb
from core.workflow.engine.work import Machine, start_timer

INITIATOR = "initiator"


def targets(machine: Machine, visit: Visit) -> list[str]:
    """Return where a task may be sent back to, the first being what is meant by default."""
    node = machine.node(visit)
    rule = node.step.return_ or Return()
    walked = _walked_before(machine, visit)
    found: dict[str, None] = {}
    prefix = visit.step[: visit.step.rfind("/") + 1]
    for wanted in rule.to:
        if wanted == INITIATOR:
            found[INITIATOR] = None
        elif wanted == "previous":
            found[walked[0] if walked else INITIATOR] = None
        elif wanted == "chosen":
            found.update(dict.fromkeys(walked))
        elif prefix + wanted in walked:
            found[prefix + wanted] = None
        elif wanted in walked:
            found[wanted] = None
    return list(found)


def _walked_before(machine: Machine, visit: Visit) -> list[str]:
    """Return the earlier steps that were really walked, the nearest first."""
    walked = {
        one.step for one in machine.state.visits.values() if one.state in {"done", "cancelled"}
    }
    return [one for one in machine.tree.earlier(visit.step) if one in walked]


def give_back(machine: Machine, command: Command) -> None:
    """Return the document; this is no vote, it ends the pass through the step at once."""
    visit = open_visit(machine, command)
    seat = choose_seat(machine, visit, command.seat)
    require_verb(machine, visit, "return")
    if seat.kind == "advice":
        raise RefusalError("flow.verb_not_allowed", verb="return")
    require_claim(machine, visit, seat)
    rule = machine.node(visit).step.return_ or Return()
    allowed = targets(machine, visit)
    target = command.to[0] if command.to else next(iter(allowed), "")
    if target not in allowed:
        raise RefusalError("flow.return_target_invalid", target=target[:200], allowed=allowed)
    if rule.rounds_max and machine.state.returns >= rule.rounds_max:
        raise RefusalError("flow.return_target_invalid", limit=rule.rounds_max)
    then = rule.then if rule.then != "ask" else command.then or "rewalk"
    if then not in {"resume", "rewalk"}:
        raise RefusalError("flow.return_target_invalid", then=then[:80])
    machine.note(
        "return", visit, seat, opinion=command.opinion, detail={"to": target, "then": then}
    )
    go_back(machine, visit, target, then)


def go_back(machine: Machine, visit: Visit, target: str, then: str) -> None:
    """Send an open task back to `target`; tokens in strands beside it are called in."""
    state = machine.state
    state.returns += 1
    finish_visit(machine, visit, "return")
    back = Resume(visit.id, visit.step, target) if then == "resume" else None
    machine.cause, state.resume = visit.id, None
    if target == INITIATOR:
        cancel(machine, list(state.live_visits()), "returned")
        state.status, state.resume = "returned", back
        return
    node = machine.tree.nodes[target]
    parent, lane, item = _place(machine, visit, target)
    cancel(machine, within(machine, parent.id if parent else "", lane), "returned")
    # It is a human step and waits, so nothing behind it is entered yet.
    enter(machine, node, parent, lane, item)
    # Only now: what it is returned to is asked again, although it had passed before.
    state.resume = back


def _place(machine: Machine, visit: Visit, target: str) -> tuple[Visit | None, int, object]:
    """Return the block visit and lane that the target stands in, seen from the visit."""
    wanted = machine.tree.nodes[target].parent
    at: Visit = visit
    while at.parent:
        block = machine.state.visits[at.parent]
        if block.step == wanted:
            return block, at.lane, at.item
        at = block
    return None, 0, None


def submit_again(machine: Machine, command: Command) -> None:
    """Send a returned document on its way; the route is walked anew on its data.

    Where it may go straight back, steps that passed this very content are not asked again.
    """
    state = machine.state
    state.status = "running"
    state.chosen.update(command.chosen)
    back = state.resume
    machine.note("submit", detail={"again": True, "then": "resume" if back else "rewalk"})
    begin(machine)


def revise(machine: Machine, command: Command) -> None:
    """Begin again on content that was changed on the way; `to` names steps it leaves alone."""
    state = machine.state
    cancel(machine, list(state.live_visits()), "revised")
    for visit in state.visits.values():
        if visit.step in command.to and visit.result in {"pass", "keep"}:
            visit.subject_hash = state.subject_hash
    # Nothing is gone back to: the walk passes by what is still satisfied, to its end.
    state.resume = Resume("", "", "") if command.to else None
    machine.note("revise", detail={"kept": list(command.to)})
    begin(machine)


def take_back(machine: Machine, command: Command) -> None:
    """Undo one's own vote: while the task is undecided, or nobody behind it has spoken.

    The vote stays in the history; it only no longer counts.
    """
    state, person = machine.state, machine.person.id
    visit = state.visits.get(command.visit)
    if visit is None:
        raise RefusalError("not_found")
    if state.status != "running":
        raise RefusalError(
            "flow.suspended" if state.status == "suspended" else "flow.already_ended"
        )
    require_verb(machine, visit, "take_back")
    mine = [
        seat
        for seat in state.seats_of(visit.id)
        if seat.vote
        and state.votes[seat.vote].actor == person
        and state.votes[seat.vote].source == "human"
        and (not command.seat or command.seat in {seat.id, seat.key})
    ]
    if not mine:
        raise RefusalError("flow.not_a_candidate")
    if visit.state == "done":
        _reopen(machine, visit)
    elif visit.state != "open":
        raise RefusalError("flow.already_ended", visit=visit.id)
    seat = mine[-1]
    if any(one.vote for one in state.seats_of(visit.id, "after", seat.id)):
        raise RefusalError("flow.has_successor_vote")
    for one in state.seats_of(visit.id, "after", seat.id):
        one.state = "removed"
    taken = seat.vote
    seat.state, seat.vote, seat.ballot = "open", "", None
    machine.note("take_back", visit, seat, opinion=command.opinion, detail={"vote": taken})
    if machine.node(visit).step.decide == "sequence":
        _wait_again(machine, visit, seat.position)
    machine.unsettled.append(visit.id)


def _wait_again(machine: Machine, visit: Visit, behind: int) -> None:
    for one in machine.state.seats_of(visit.id, "main"):
        if one.position > behind and one.state == "open":
            one.state = "waiting"


def _reopen(machine: Machine, visit: Visit) -> None:
    """Open a decided task again and call in what it led to.

    Raises:
        RefusalError: somebody behind it has spoken, or something was done that cannot be
            undone.
    """
    state = machine.state
    later = [one for one in state.visits.values() if one.id in _led_to(machine, visit)]
    for one in later:
        spoken = any(
            state.votes[seat.vote].source == "human"
            for seat in state.seats_of(one.id)
            if seat.vote
        )
        if spoken or one.type == "effect" or one.result == "return":
            raise RefusalError("flow.has_successor_vote", step=one.step)
    if visit.result != "pass":
        raise RefusalError("flow.already_ended", visit=visit.id)
    cancel(machine, later, "taken_back")
    for block in _around(machine, visit):
        if block.state == "done":
            block.state = "waiting"
            block.result = DETACHED if _is_detached(machine, block) else ""
            block.closed_at = block.closed_by = ""
    visit.state = "open"
    visit.result = visit.closed_at = visit.closed_by = ""
    _revive(machine, visit)


def _revive(machine: Machine, visit: Visit) -> None:
    """Ask the voices again that the decision had made needless, and let the clocks go on.

    Of a sequence only the last voice's clocks: those of the voices before it have ended.
    """
    for seat in machine.state.seats_of(visit.id):
        if seat.state == "moot" and seat.kind in {"main", "beside"}:
            seat.state = "open"
            man(machine, visit, seat)
    last = {one.rung: one for one in machine.state.timers.values() if one.visit == visit.id}
    for timer in last.values():
        if timer.state == "cancelled":
            timer.state = "pending"
            start_timer(machine, timer)


def _led_to(machine: Machine, visit: Visit) -> set[str]:
    """Return the visits that the end of a visit led to, directly or through others.

    What follows the blocks around it is among them: it rests on every strand in them.
    """
    ended = [one.id for one in _around(machine, visit) if not _is_detached(machine, one)]
    found = {visit.id, *ended}
    for one in machine.state.visits.values():
        if one.cause in found:
            found.add(one.id)
    return found - {visit.id, *ended}


def _around(machine: Machine, visit: Visit) -> Iterator[Visit]:
    """Yield the blocks around a visit, the nearest first, as far as they wait for it."""
    while visit.parent:
        visit = machine.state.visits[visit.parent]
        yield visit
        if _is_detached(machine, visit):
            return


def _is_detached(machine: Machine, block: Visit) -> bool:
    return machine.node(block).step.wait == "none"
