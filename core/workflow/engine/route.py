"""How an instance moves: into steps and out of them, through blocks, back, and to its end.

Blocks nest, so a walk always ends. A step that everybody who is asked has passed by on
this very content is not asked again when a returned document comes straight back; the
route itself is always walked anew on the data as they are, so nothing is jumped over.
"""

from collections.abc import Iterable
from datetime import datetime
from itertools import takewhile
from typing import Any

from core.schema.flows import HUMAN, Rung
from core.workflow.engine.seating import eligible, find_pools, mind_clocks, seat_people
from core.workflow.engine.state import RefusalError, Seat, Visit, VisitState, Vote
from core.workflow.engine.tree import Node
from core.workflow.engine.work import Machine, add_timer, stop_timer, timers_of

#: Result of a subflow whose runs go on by themselves.
DETACHED = "detached"
#: Most runs of one subflow.
MOST_RUNS = 200


def begin(machine: Machine) -> None:
    """Enter the first step."""
    machine.cause = ""
    _walk(machine, machine.tree.top, None, 0, None)
    end_if_over(machine)


def _walk(
    machine: Machine, ids: tuple[str, ...], parent: Visit | None, lane: int, item: Any
) -> None:
    """Enter the first of a lane's steps and those after it that do not wait; empty lanes end."""
    for node_id in ids:
        visit = enter(machine, machine.tree.nodes[node_id], parent, lane, item)
        if visit.state != "done" and visit.result != DETACHED:
            return


def enter(machine: Machine, node: Node, parent: Visit | None, lane: int, item: Any) -> Visit:
    """Begin a pass through a step; it is done at once where nothing has to be waited for."""
    state = machine.state
    number = 1 + sum(1 for one in state.visits.values() if one.step == node.id)
    visit = Visit(
        machine.world.new_id(), node.id, node.step.type, parent.id if parent else "", lane,
        number, item, "waiting", "", state.subject_hash, machine.now, cause=machine.cause,
    )  # fmt: skip
    state.visits[visit.id] = visit
    if node.step.type in _KEPT and _pass_by(machine, visit):
        return visit
    if node.is_human:
        _enter_human(machine, node, visit)
    else:
        _ENTERING[node.step.type](machine, node, visit)
    return visit


def _pass_by(machine: Machine, visit: Visit) -> bool:
    """Pass a step by that is satisfied, on the way straight back; return whether it is."""
    state, back = machine.state, machine.state.resume
    if back is None:
        return False
    if back.step == visit.step and _is_back(machine, visit):
        visit.resumes, state.resume = back.visit, None
        return False
    visit.resumes = _kept(machine, visit)
    if not visit.resumes:
        return False
    finish_visit(machine, visit, "keep")
    machine.note("keep", visit, detail={"because": visit.resumes})
    return True


def _enter_human(machine: Machine, node: Node, visit: Visit) -> None:
    state = machine.state
    visit.state = "open"
    seat_people(machine, visit)
    _start_clocks(machine, node, visit)
    mind_clocks(machine, visit)
    machine.note("open", visit, detail={"seats": [seat.key for seat in state.seats_of(visit.id)]})
    for seat in state.seats_of(visit.id):
        vote_again(machine, visit, seat)
    machine.unsettled.append(visit.id)


def _is_back(machine: Machine, visit: Visit) -> bool:
    """Return whether a pass through the step that returned the document is about the same."""
    back = machine.state.resume
    return back is not None and machine.state.visits[back.visit].item == visit.item


def _kept(machine: Machine, entered: Visit) -> str:
    """Return the earlier pass by which a step is satisfied on this very content, if any.

    Only the last counts: where it was not passed, the step was asked for once more.
    """
    for visit in reversed(machine.state.visits.values()):
        if visit is entered or (visit.step, visit.item) != (entered.step, entered.item):
            continue
        passed = visit.state == "done" and visit.result in {"pass", "keep"}
        if passed and visit.subject_hash == machine.state.subject_hash:
            return visit.resumes if visit.result == "keep" else visit.id
        return ""
    return ""


def _start_clocks(machine: Machine, node: Node, visit: Visit) -> None:
    former = {
        one.rung: one.left
        for one in machine.state.timers.values()
        if visit.resumes and one.visit == visit.resumes and one.state == "pending"
    }
    for timer in timers_of(machine.state, visit.resumes) if visit.resumes else ():
        timer.state = "cancelled"
    for place, rung in enumerate(node.step.due):
        # What has struck before strikes no second time.
        if place in former or not visit.resumes:
            add_timer(machine, visit, place, rung.at, left=former.get(place))


def restart_clocks(machine: Machine, visit: Visit) -> None:
    """Start a task's clocks anew, for the next voice of a sequence."""
    for timer in timers_of(machine.state, visit.id):
        timer.state = "cancelled"
        timer.since = timer.fire_at = ""
    for place, rung in enumerate(machine.node(visit).step.due):
        add_timer(machine, visit, place, rung.at)


def vote_again(machine: Machine, visit: Visit, seat: Seat) -> None:
    """Repeat the approval of somebody who approved this very content, where the flow says so.

    Only where nobody else could sit in the seat, only of a vote that a person cast, and
    never where a signature or two different people are asked for.
    """
    rule, step = machine.people(visit).same_person, machine.node(visit).step
    if rule == "none" or step.type != "approve" or step.id in machine.people(visit).distinct:
        return
    if seat.state != "open" or step.signing(seat.group or seat.key) != "click":
        return
    people = eligible(machine, visit, seat)
    if len(people) != 1:
        return
    found = _earlier_approval(machine, visit, people.pop(), nearest=rule == "consecutive")
    if found is not None:
        cast_by_itself(machine, visit, seat.id, "approve", "auto", found)


def _earlier_approval(
    machine: Machine, visit: Visit, person: str, *, nearest: bool
) -> Vote | None:
    """Return somebody's own approval of this content that counts, in the step before or any.

    One in the same step is none: whoever asks a step again wants to hear it again.
    """
    state = machine.state
    counting = {seat.vote for seat in state.seats.values() if seat.vote}
    before = takewhile(lambda one: one.id != visit.id, state.visits.values())
    passed = [one for one in before if one.result == "pass"]
    nearby = passed
    if nearest:
        right_before = machine.tree.before(visit.step)
        nearby = [one for one in passed if one.step == right_before][-1:]
    wanted = {one.id for one in nearby if one.step != visit.step}
    for vote in reversed(state.votes.values()):
        is_theirs = vote.actor == person and vote.source == "human" and vote.id in counting
        same = vote.verb == "approve" and vote.subject_hash == state.subject_hash
        if is_theirs and same and vote.visit in wanted:
            return vote
    return None


def cast_by_itself(
    machine: Machine, visit: Visit, seat_id: str, verb: str, source: str, because: Vote | Rung
) -> None:
    """Write a vote that nobody cast now: a repeated one, or a timer's."""
    state, seat = machine.state, machine.state.seats[seat_id]
    earlier = because if isinstance(because, Vote) else None
    vote = Vote(
        machine.world.new_id(), seat.id, visit.id,
        earlier.actor if earlier else "system", earlier.actor_name if earlier else "system",
        verb, "", state.subject_hash, machine.now, source,
        earlier.id if earlier else because.at if isinstance(because, Rung) else "",
    )  # fmt: skip
    state.votes[vote.id] = vote
    seat.state, seat.vote = "voted", vote.id
    seat.ballot = "reject" if verb == "reject" else "approve"
    machine.note(
        verb, visit, seat,
        detail={"source": source, "because": vote.because, "as": vote.actor},
    )  # fmt: skip


def _enter_cc(machine: Machine, node: Node, visit: Visit) -> None:
    state = machine.state
    pools = find_pools(machine, visit, node.step.to) if node.step.to is not None else []
    people = dict.fromkeys(
        person
        for pool in pools
        for identity in pool.members
        for person in machine.world.people(identity)
    )
    new = [one for one in people if one not in state.copied]
    state.copied = (*state.copied, *new)
    finish_visit(machine, visit, "pass")
    machine.note("copy", visit, detail={"people": new})


def _enter_branch(machine: Machine, node: Node, visit: Visit) -> None:
    chosen = len(node.step.cases)
    for place, case in enumerate(node.step.cases):
        if machine.world.holds(case.when, visit.item):
            chosen = place
            break
    machine.note("branch", visit, detail={"cases": [chosen]})
    _enter_lanes(machine, node, visit, [(chosen, visit.item)])


def _enter_inclusive(machine: Machine, node: Node, visit: Visit) -> None:
    true = [
        place
        for place, case in enumerate(node.step.cases)
        if machine.world.holds(case.when, visit.item)
    ] or [len(node.step.cases)]
    machine.note("branch", visit, detail={"cases": true})
    _enter_lanes(machine, node, visit, [(place, visit.item) for place in true])


def _enter_parallel(machine: Machine, node: Node, visit: Visit) -> None:
    _enter_lanes(machine, node, visit, [(n, visit.item) for n in range(len(node.lanes))])


def _enter_subflow(machine: Machine, node: Node, visit: Visit) -> None:
    items = list(machine.world.items(node.step.each)) if node.step.each else [visit.item]
    if len(items) > MOST_RUNS:
        raise RefusalError("flow.too_many_runs", step=node.id, limit=MOST_RUNS)
    machine.note("branch", visit, detail={"items": items})
    _enter_lanes(machine, node, visit, list(enumerate(items)))
    if node.step.wait == "none" and visit.state != "done":
        # Its runs go on side by side; the instance ends when they have ended too.
        visit.result = DETACHED


def _enter_lanes(machine: Machine, node: Node, visit: Visit, lanes: list[tuple[int, Any]]) -> None:
    """Enter lanes side by side; the block is done when none of them waits."""
    state = machine.state
    back, is_back = state.resume, False
    for number, item in lanes:
        held = 0 if node.step.type == "subflow" else number
        # What stands beside the step that is gone back to is not asked again either.
        state.resume = back
        _walk(machine, node.lanes[held], visit, number, item)
        is_back = is_back or state.resume is not back
    if is_back:
        state.resume = None
    if not _held_up(machine, visit):
        finish_visit(machine, visit, "pass")


def _held_up(machine: Machine, block: Visit) -> bool:
    """Return whether a block waits for something in it; detached runs hold nothing up."""
    return any(
        one.parent == block.id and one.result != DETACHED for one in machine.state.live_visits()
    )


def _enter_effect(machine: Machine, node: Node, visit: Visit) -> None:
    finish_visit(machine, visit, "pass")
    machine.note("effect", visit, detail={"actions": len(node.step.actions)})


def _enter_wait(machine: Machine, node: Node, visit: Visit) -> None:
    step = node.step
    if step.for_:
        add_timer(machine, visit, -1, step.for_)
    else:
        moment = machine.world.moment(step.until, visit.item)
        if moment is True or (isinstance(moment, datetime) and moment <= machine.world.now):
            finish_visit(machine, visit, "pass")
            return
        if isinstance(moment, datetime):
            seconds = int((moment - machine.world.now).total_seconds()) + 1
            add_timer(machine, visit, -1, f"{-(-seconds // 60)}m", left=seconds)
    machine.note("wait", visit)


#: Steps that are not gone through again on the way straight back.
_KEPT = HUMAN | {"effect", "wait"}

_ENTERING = {
    "cc": _enter_cc,
    "branch": _enter_branch,
    "inclusive": _enter_inclusive,
    "parallel": _enter_parallel,
    "subflow": _enter_subflow,
    "effect": _enter_effect,
    "wait": _enter_wait,
}


def finish_visit(machine: Machine, visit: Visit, result: str, state: VisitState = "done") -> None:
    """End a pass through a step; whoever has not voted need not any more."""
    visit.state, visit.result = state, result
    visit.closed_at, visit.closed_by = machine.now, machine.person.id
    moot = []
    for seat in machine.state.seats_of(visit.id):
        if seat.state in {"open", "waiting", "advised"}:
            seat.state, seat.because = "moot", ""
            moot.append(seat.key)
    if moot and state == "done":
        machine.note("moot", visit, detail={"seats": moot})
    keep_clocks = result == "return"
    for timer in timers_of(machine.state, visit.id):
        stop_timer(machine, timer)
        if not keep_clocks:
            timer.state = "cancelled"


def leave(machine: Machine, visit: Visit) -> None:
    """Go on behind a step that is done: the next one, or the end of the block around it."""
    machine.cause = visit.id
    node = machine.node(visit)
    parent = machine.state.visits[visit.parent] if visit.parent else None
    if node.following:
        lane = machine.tree.lane(node)
        rest = lane[lane.index(node.id) + 1 :]
        _walk(machine, rest, parent, visit.lane, visit.item)
    _close_around(machine, parent)
    end_if_over(machine)


def _close_around(machine: Machine, block: Visit | None) -> None:
    """End the blocks in which nothing waits any more, and go on behind each."""
    if block is None or block.state in {"done", "cancelled"}:
        return
    if _held_up(machine, block):
        return
    was_detached = block.result == DETACHED
    finish_visit(machine, block, "pass")
    if was_detached:
        # What follows it was entered long ago; only what is around it may be over now.
        _close_around(machine, machine.state.visits[block.parent] if block.parent else None)
        return
    leave(machine, block)


def end_if_over(machine: Machine) -> None:
    """Approve the instance when nothing waits any more."""
    state = machine.state
    if state.status == "running" and next(state.live_visits(), None) is None:
        state.status = "approved"


def cancel(machine: Machine, visits: Iterable[Visit], why: str) -> None:
    """End visits that are not over, without a result of their own."""
    for visit in list(visits):
        if visit.state in {"done", "cancelled"}:
            continue
        was_open = visit.state in {"open", "suspended"}
        finish_visit(machine, visit, why, "cancelled")
        if was_open:
            machine.note("cancel", visit, detail={"why": why})


def within(machine: Machine, parent: str, lane: int) -> list[Visit]:
    """Return the live visits in one lane of a block, at any depth; empty is the whole flow."""
    visits = machine.state.visits

    def is_inside(visit: Visit) -> bool:
        while True:
            if visit.parent == parent and (not parent or visit.lane == lane):
                return True
            if not visit.parent:
                return False
            visit = visits[visit.parent]

    return [one for one in machine.state.live_visits() if is_inside(one)]
