"""One operation on one instance: what somebody wants, checked, done, and what follows.

The only way in which an instance moves. Nothing here knows a database, so the same
function decides a real vote, a test in a flow's file, a replay and a what-if.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from core.clock import to_wire
from core.schema.flows import Rung
from core.workflow.engine import asking, returning, route, voting
from core.workflow.engine.seating import escalate, man, mind_clocks
from core.workflow.engine.state import Command, Event, Person, RefusalError, Visit
from core.workflow.engine.work import NOBODY, Machine, start_timer, stop_timer

#: Verbs on a task.
VERBS: Mapping[str, Callable[[Machine, Command], None]] = {
    "approve": voting.vote,
    "reject": voting.vote,
    "abstain": voting.vote,
    "complete": voting.vote,
    "return": returning.give_back,
    "transfer": asking.transfer,
    "delegate": asking.delegate,
    "add_before": asking.add_before,
    "add_after": asking.add_after,
    "add_beside": asking.add_beside,
    "remove_added": asking.remove_added,
    "take_back": returning.take_back,
    "claim": asking.claim,
    "release": asking.release,
}


def perform(machine: Machine, person: Person, command: Command) -> list[Event]:
    """Do what somebody wants with an instance; return what happened, in order.

    The caller has checked that they may submit, withdraw or administer; who has a voice
    in a task is checked here. After a refusal the machine is of no more use.

    Raises:
        RefusalError: it is not possible; its code says why.
    """
    machine.person = person
    if command.verb in VERBS:
        VERBS[command.verb](machine, command)
    else:
        _OTHERS[command.verb](machine, command)
    voting.settle(machine)
    state = machine.state
    if state.status in {"approved", "rejected", "withdrawn", "terminated"}:
        voting.close(machine)
    state.attention = voting.attention(machine) or (
        state.attention if state.attention == "effect_failed" else ""
    )
    made, machine.events = machine.events, []
    return made


def block(machine: Machine) -> list[Event]:
    """Note that an approved document could not take effect; its votes stand."""
    machine.state.status = "apply_blocked"
    machine.note("block")
    made, machine.events = machine.events, []
    return made


def _submit(machine: Machine, command: Command) -> None:
    state = machine.state
    if state.status == "returned":
        returning.submit_again(machine, command)
        return
    if state.visits:
        raise RefusalError(
            "flow.already_ended" if state.status in _ENDED else "flow.duplicate_open"
        )
    state.chosen.update(command.chosen)
    machine.note("submit")
    route.begin(machine)


def _revise(machine: Machine, command: Command) -> None:
    _require(machine, "running")
    returning.revise(machine, command)


def _withdraw(machine: Machine, command: Command) -> None:
    _require(machine, "running", "returned", "suspended", "apply_blocked")
    until = machine.tree.flow.withdraw.until
    spoken = any(vote.source == "human" for vote in machine.state.votes.values())
    if until == "first_vote" and spoken and machine.state.status != "returned":
        raise RefusalError("flow.already_decided")
    machine.note("withdraw", opinion=command.opinion)
    voting.end(machine, "withdrawn")


def _terminate(machine: Machine, command: Command) -> None:
    _require(machine, "running", "returned", "suspended", "apply_blocked")
    machine.note("terminate", opinion=command.opinion)
    voting.end(machine, "terminated")


def _suspend(machine: Machine, command: Command) -> None:
    _require(machine, "running", "returned")
    state = machine.state
    state.former, state.status = state.status, "suspended"
    for visit in state.live_visits():
        if visit.state == "open":
            visit.state = "suspended"
    for timer in state.timers.values():
        stop_timer(machine, timer)
    machine.note("suspend", opinion=command.opinion)


def _resume(machine: Machine, command: Command) -> None:
    state = machine.state
    if state.status != "suspended":
        _require(machine, "suspended")
    state.status = state.former
    for visit in state.live_visits():
        if visit.state == "suspended":
            visit.state = "open"
            _restart(machine, visit)
            # People may have come and gone meanwhile.
            if machine.node(visit).is_human and state.status == "running":
                _man_again(machine, visit)
        elif visit.state == "waiting":
            _restart(machine, visit)
    machine.note("resume", opinion=command.opinion)
    machine.unsettled += [one.id for one in state.live_visits() if one.state == "open"]


def _restart(machine: Machine, visit: Visit) -> None:
    for timer in machine.state.timers.values():
        if timer.visit == visit.id:
            start_timer(machine, timer)


def _fire(machine: Machine, command: Command) -> None:
    """Do what a rung says, or end a wait; nothing when it went off already."""
    state = machine.state
    timer = next(
        (
            one
            for one in state.timers.values()
            if (one.visit, one.rung, one.state) == (command.visit, command.rung, "pending")
        ),
        None,
    )
    if timer is None or not timer.fire_at or timer.fire_at > machine.now:
        return
    machine.person = NOBODY
    timer.state = "fired"
    visit = state.visits[timer.visit]
    if timer.rung < 0:
        machine.note("waited", visit)
        route.finish_visit(machine, visit, "pass")
        route.leave(machine, visit)
        return
    _ring(machine, visit, machine.node(visit).step.due[timer.rung])


def _ring(machine: Machine, visit: Visit, rung: Rung) -> None:
    waiting = [seat for seat in machine.state.seats_of(visit.id) if seat.state == "open"]
    if rung.do == "remind":
        machine.note("remind", visit, detail={"at": rung.at})
    elif rung.do == "escalate" and rung.to is not None:
        for seat in waiting:
            new = escalate(machine, visit, seat, rung.to, keep_original=rung.keep_original)
            if new:
                man(machine, visit, seat)
                to = [[one.kind, one.actor] for one in new]
                machine.note("escalate", visit, seat, detail={"at": rung.at, "to": to})
        machine.unsettled.append(visit.id)
    elif rung.do in {"approve", "reject"}:
        for seat in waiting:
            route.cast_by_itself(machine, visit, seat.id, rung.do, "timer", rung)
        machine.unsettled.append(visit.id)
    elif rung.do == "return":
        allowed = returning.targets(machine, visit) or [returning.INITIATOR]
        rule = machine.node(visit).step.return_
        then = rule.then if rule is not None and rule.then != "ask" else "rewalk"
        machine.note("return", visit, detail={"to": allowed[0], "then": then, "at": rung.at})
        returning.go_back(machine, visit, allowed[0], then)
    else:
        visit.result = visit.result or "overdue"
        machine.note("attention", visit, detail={"why": "overdue", "at": rung.at})


def _recheck(machine: Machine, command: Command) -> None:
    """Look at who can sit where and at what is waited for again; `visit` limits it to one."""
    state = machine.state
    if state.status != "running":
        return
    for visit in list(state.live_visits()):
        if command.visit and visit.id != command.visit:
            continue
        node = machine.node(visit)
        if node.is_human:
            if visit.state == "open":
                _man_again(machine, visit)
                machine.unsettled.append(visit.id)
        elif node.step.until and machine.world.moment(node.step.until, visit.item) is True:
            machine.person = NOBODY
            machine.note("waited", visit)
            route.finish_visit(machine, visit, "pass")
            route.leave(machine, visit)


def _man_again(machine: Machine, visit: Visit) -> None:
    for seat in machine.state.seats_of(visit.id):
        if seat.state == "open":
            man(machine, visit, seat)
    mind_clocks(machine, visit)


def _hand_over(machine: Machine, command: Command) -> None:
    _require(machine, "running", "suspended")
    asking.hand_over(machine, command)


def _reckon(machine: Machine, command: Command) -> None:  # noqa: ARG001  a verb
    """Reckon the business clocks that have not struck yet anew, on a calendar that changed.

    What a clock has used of its time until now stays used.
    """
    moved: dict[str, dict[str, list[str]]] = {}
    for timer in machine.state.timers.values():
        if timer.state != "pending" or not timer.business or timer.fire_at <= machine.now:
            continue
        before, start = timer.fire_at, datetime.fromisoformat(timer.since)
        item = machine.state.visits[timer.visit].item
        fires = machine.world.fires(start, business=True, left=timer.left, item=item)
        timer.fire_at = to_wire(fires)
        if timer.fire_at != before:
            moved.setdefault(timer.visit, {})[str(timer.rung)] = [before, timer.fire_at]
    for visit, rungs in moved.items():
        machine.note("reckon", machine.state.visits[visit], detail={"rungs": rungs})


_ENDED = frozenset({"approved", "rejected", "withdrawn", "terminated"})


def _require(machine: Machine, *states: str) -> None:
    """Refuse what the state of the instance does not allow."""
    status = machine.state.status
    if status in states:
        return
    if status in _ENDED:
        raise RefusalError("flow.already_ended")
    if status == "suspended":
        raise RefusalError("flow.suspended")
    raise RefusalError("flow.not_possible", state=status)


_OTHERS: Mapping[str, Callable[[Machine, Command], None]] = {
    "submit": _submit,
    "revise": _revise,
    "withdraw": _withdraw,
    "suspend": _suspend,
    "resume": _resume,
    "terminate": _terminate,
    "fire": _fire,
    "recheck": _recheck,
    "reckon": _reckon,
    "hand_over": _hand_over,
}
