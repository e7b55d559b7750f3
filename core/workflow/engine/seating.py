"""Who is asked: from a step's sources to seats with candidates, and who has no voice there.

A pool (a role, a post) is one voice, whoever of it is first, unless the rule counts
persons. Who made the document has no voice; where that leaves nobody, the flow's rules
say who is asked in their place. Nothing passes silently because nobody was there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from core.schema.flows import Approvers, Decide, Empty, SeatSpec, Source, Step, sources_of
from core.workflow.engine.state import (
    Candidate,
    Identity,
    RefusalError,
    Seat,
    SeatKind,
    Visit,
)
from core.workflow.engine.work import Machine, decided, start_timer, stop_timer, timers_of
from core.workflow.engine.world import Pool

#: Longest key of a seat.
_KEY = 200

#: Why nobody can sit in an open seat; it stands in `Seat.because`.
UNMANNED = "unmanned"


@dataclass(frozen=True, slots=True)
class Plan:
    """A seat before anybody sits in it."""

    key: str
    members: tuple[Identity, ...]
    group: str = ""
    weight: int = 1


def find_pools(machine: Machine, visit: Visit, approvers: Approvers) -> list[Pool]:
    """Return the pools of all sources in order; the same people are one pool.

    One without members stays: left out, it would be a voice less that is needed.
    """
    asking = machine.asking(visit)
    found: dict[frozenset[Identity] | str, Pool] = {}
    for source in sources_of(approvers):
        for pool in machine.world.resolve(source, asking):
            found.setdefault(frozenset(pool.members) or pool.key, pool)
    return list(found.values())


def plan_seats(machine: Machine, visit: Visit) -> list[Plan]:
    """Return the seats that a step needs, by its rule."""
    step = machine.node(visit).step
    if step.seats:
        return [
            plan
            for name, spec in step.seats.items()
            for plan in _named(machine, visit, name, spec)
        ]
    pools = find_pools(machine, visit, step.approvers) if step.approvers is not None else []
    if counts_persons(step):
        return [Plan(person, (Identity("user", person),)) for person in _persons(machine, pools)]
    if step.decide == "any":
        return [_united("", pools)] if pools else []
    return [Plan(pool.key[:_KEY], pool.members) for pool in pools]


def counts_persons(step: Step) -> bool:
    """Return whether each person is a voice, not each pool."""
    return step.need == "all" or isinstance(step.decide, Decide)


def _named(machine: Machine, visit: Visit, name: str, spec: SeatSpec) -> list[Plan]:
    pools = find_pools(machine, visit, spec.approvers)
    if spec.need == "any":
        return [_united(name, pools, spec.weight)]
    return [
        Plan(f"{name}:{person}"[:_KEY], (Identity("user", person),), name, spec.weight)
        for person in _persons(machine, pools)
    ]


def _united(key: str, pools: Iterable[Pool], weight: int = 1) -> Plan:
    pools = list(pools)
    members = dict.fromkeys(one for pool in pools for one in pool.members)
    name = key or "+".join(pool.key for pool in pools)[:_KEY]
    return Plan(name, tuple(members), weight=weight)


def _persons(machine: Machine, pools: Iterable[Pool]) -> list[str]:
    """Return every active person of the pools once; disabled ones keep a seat of their own."""
    found: dict[str, None] = {}
    for pool in pools:
        for identity in pool.members:
            people = machine.world.people(identity)
            if not people and identity.kind == "user":
                people = (identity.actor,)
            found.update(dict.fromkeys(people))
    return list(found)


def seat_people(machine: Machine, visit: Visit) -> None:
    """Make the seats of a human step; a sequence opens its first, everything else all."""
    plans = plan_seats(machine, visit) or [Plan("", ())]
    is_sequence = machine.node(visit).step.decide == "sequence"
    for place, plan in enumerate(plans):
        seat = add_seat(
            machine, visit, plan.key, plan.members, group=plan.group, weight=plan.weight
        )
        if is_sequence and place:
            seat.state = "waiting"
        else:
            man(machine, visit, seat)


def add_seat(
    machine: Machine, visit: Visit, key: str, members: Iterable[Identity], *, group: str = "",
    weight: int = 1, kind: SeatKind = "main", parent: Seat | None = None, rule: str = "",
) -> Seat:  # fmt: skip
    """Add a seat with its candidates behind the seats that the visit has."""
    state = machine.state
    seat = Seat(
        machine.world.new_id(), visit.id, len(state.seats_of(visit.id)), key, group, weight,
        kind, parent.id if parent else "", rule, parent.depth + 1 if parent else 0,
        opened_at=machine.now,
    )  # fmt: skip
    if kind != "main":
        seat.added_by = machine.person.id
    state.seats[seat.id] = seat
    for identity in members:
        add_candidate(machine, seat, identity)
    return seat


def add_candidate(
    machine: Machine, seat: Seat, identity: Identity, via: str = "", on_behalf_of: str = ""
) -> bool:
    """Let somebody sit in a seat too; return whether they could not before."""
    present = machine.state.candidates_of(seat.id)
    if any(one.identity == identity for one in present):
        return False
    machine.state.candidates.append(
        Candidate(seat.id, identity.kind, identity.actor, via, on_behalf_of)
    )
    return True


def man(machine: Machine, visit: Visit, seat: Seat) -> None:
    """See that somebody can sit in an open seat: deputies, successors, or the empty policy.

    Whoever comes or goes stands in an event, `reseat`.
    """
    seat.opened_at = seat.opened_at or machine.now
    before, was = machine.state.candidates_of(seat.id), seat.because
    _fill(machine, visit, seat)
    after = machine.state.candidates_of(seat.id)
    changes = {
        "added": [_told(machine, one) for one in after if one not in before],
        "gone": [_told(machine, one) for one in before if one.gone],
    }
    if any(changes.values()) or (was == UNMANNED and not seat.because):
        machine.note(
            "reseat", visit, seat, detail={key: who for key, who in changes.items() if who}
        )


def _told(machine: Machine, one: Candidate) -> dict[str, str]:
    """Return a candidate as events keep it, with the names of the moment."""
    name = machine.world.name(one.actor) if one.kind == "user" else one.actor
    told = {"kind": one.kind, "actor": one.actor, "name": name, "via": one.via}
    if one.on_behalf_of:
        told["for"] = machine.world.name(one.on_behalf_of)
    return told


def _fill(machine: Machine, visit: Visit, seat: Seat) -> None:
    _mind_deputies(machine, visit, seat)
    if eligible(machine, visit, seat):
        seat.because = ""
        return
    for remedy in (_replace_disabled, _ask_manager):
        remedy(machine, visit, seat)
        if eligible(machine, visit, seat):
            seat.because = ""
            return
        if seat.state == "skipped":
            return
    _apply_empty(machine, visit, seat)


def eligible(machine: Machine, visit: Visit, seat: Seat) -> set[str]:
    """Return the active people who may vote in a seat now."""
    barred = set(machine.state.makers) | barred_by_duty(machine, visit)
    return members_of(machine, seat) - barred


def members_of(machine: Machine, seat: Seat) -> set[str]:
    """Return the active people among the candidates of a seat."""
    return {
        person
        for one in machine.state.candidates_of(seat.id)
        for person in machine.world.people(one.identity)
    }


def barred_by_duty(machine: Machine, visit: Visit) -> set[str]:
    """Return who decided another of the steps that nobody may decide two of."""
    distinct = machine.people(visit).distinct
    name = machine.node(visit).step.id
    if name not in distinct:
        return set()
    found = set()
    for step, voters in decided(machine.state).items():
        if step != visit.step and step.rpartition("/")[2] in distinct:
            found |= set(voters)
    return found


def _mind_deputies(machine: Machine, visit: Visit, seat: Seat) -> None:
    """Seat those who stand in now, and let those go who do so no longer."""
    state = machine.state
    present = state.candidates_of(seat.id)
    wanted: dict[str, str] = {}
    if machine.people(visit).away != "none":
        for one in present:
            for deputy, giver in () if one.via == "away" else _stand_ins(machine, one):
                if deputy not in state.makers:
                    wanted.setdefault(deputy, giver)
    for one in present:
        if one.via == "away" and wanted.get(one.actor) != one.on_behalf_of:
            one.gone = True
    for deputy, giver in wanted.items():
        add_candidate(machine, seat, Identity("user", deputy), "away", giver)


def _stand_ins(machine: Machine, one: Candidate) -> Iterable[tuple[str, str]]:
    """Return the deputies of a candidate, each with for whom."""
    if one.kind != "user":
        return machine.world.stand_ins(one.identity)
    deputy = machine.world.deputy(one.actor)
    return [(deputy, one.actor)] if deputy and deputy != one.actor else []


def _replace_disabled(machine: Machine, visit: Visit, seat: Seat) -> None:
    """Give the seat of disabled people to whom the flow says."""
    gone = [
        one.actor
        for one in machine.state.candidates_of(seat.id)
        if one.kind == "user" and not machine.world.people(one.identity)
    ]
    if not gone:
        return
    to = machine.people(visit).vacant.to
    if isinstance(to, Source):
        _add_pools(machine, visit, seat, to, "vacant")
        return
    for person in gone:
        manager = machine.world.manager(person)
        if manager:
            add_candidate(machine, seat, Identity("user", manager), "vacant")


def _ask_manager(machine: Machine, visit: Visit, seat: Seat) -> None:
    """Where only those who made the document could decide, do what the flow says."""
    rule, state = machine.people(visit).self_approval, machine.state
    if rule == "forbid" or not members_of(machine, seat) & state.makers:
        return
    if rule == "skip":
        seat.state, seat.because = "skipped", "self_approval"
        machine.note("skip", visit, seat, detail={"because": seat.because})
        return
    manager = machine.world.manager(state.initiator)
    if manager:
        add_candidate(machine, seat, Identity("user", manager), "manager")


def _apply_empty(machine: Machine, visit: Visit, seat: Seat) -> None:
    rule = machine.people(visit).empty
    if rule == "auto_pass":
        seat.state, seat.because = "skipped", "empty"
        machine.note("skip", visit, seat, detail={"because": seat.because})
        return
    if rule == "fail" and machine.cause == "" and machine.person.id == machine.state.initiator:
        raise RefusalError("flow.no_approver", step=visit.step)
    was_told, seat.because = seat.because == UNMANNED, UNMANNED
    if isinstance(rule, Empty) and rule.to is not None:
        _add_pools(machine, visit, seat, rule.to, "empty")
        if eligible(machine, visit, seat) and not rule.pause:
            seat.because = ""
    if seat.because and not was_told:
        machine.note("attention", visit, seat, detail={"why": "no_approver"})


def mind_clocks(machine: Machine, visit: Visit) -> None:
    """Let a task's clocks stand while nobody can decide it, and go on as soon as somebody can."""
    seats = [one for one in machine.state.seats_of(visit.id) if one.state == "open"]
    stands = bool(seats) and all(one.because == UNMANNED for one in seats)
    for timer in timers_of(machine.state, visit.id):
        (stop_timer if stands else start_timer)(machine, timer)


def _add_pools(
    machine: Machine, visit: Visit, seat: Seat, approvers: Approvers, via: str
) -> list[Identity]:
    """Add the people of sources to a seat; return those who are new."""
    pools = find_pools(machine, visit, approvers)
    return [
        identity
        for pool in pools
        for identity in pool.members
        if add_candidate(machine, seat, identity, via)
    ]


def add_voices(machine: Machine, visit: Visit, approvers: Approvers) -> bool:
    """Ask people who were not asked yet, each with a voice; return whether there are any."""
    seated = {
        person for seat in machine.state.seats_of(visit.id) for person in members_of(machine, seat)
    }
    new = [
        person
        for person in _persons(machine, find_pools(machine, visit, approvers))
        if person not in seated | machine.state.makers
    ]
    for person in new:
        seat = add_seat(machine, visit, person, [Identity("user", person)], kind="beside")
        man(machine, visit, seat)
    return bool(new)


def escalate(
    machine: Machine, visit: Visit, seat: Seat, to: Approvers, *, keep_original: bool
) -> list[Identity]:
    """Add candidates to a waiting seat; return those who are new. The voices stay as many."""
    asking = machine.asking(visit, seat)
    members = [
        identity
        for source in sources_of(to)
        for pool in machine.world.resolve(source, asking)
        for identity in pool.members
    ]
    if not keep_original and members:
        for one in machine.state.candidates_of(seat.id):
            one.gone = one.identity not in members
    return [one for one in members if add_candidate(machine, seat, one, "escalated")]
