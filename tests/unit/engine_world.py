"""A world of plain values for the engine: people by role, a document, a clock by the wall."""

import itertools
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.schema.flows import Flow, Source
from core.workflow.engine.machine import perform
from core.workflow.engine.state import (
    Command,
    Event,
    Identity,
    Person,
    RefusalError,
    State,
)
from core.workflow.engine.tree import compile_flow
from core.workflow.engine.work import Machine
from core.workflow.engine.world import Asking, Pool

UNITS = {"m": 60, "h": 3600, "bh": 3600, "bd": 86400}


@dataclass
class PlainWorld:
    """People are names; a condition is the name of a value, or `NAME < NUMBER`."""

    roles: dict[str, tuple[str, ...]]
    doc: dict[str, Any] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    managers: dict[str, str] = field(default_factory=dict)
    deputies: dict[str, str] = field(default_factory=dict)
    with_roles: set[str] = field(default_factory=set)
    now: datetime = datetime(2026, 1, 5, 8, tzinfo=UTC)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def new_id(self) -> str:
        return f"{next(self.numbers):06}"

    def holds(self, condition: str, item: Any = None) -> bool:
        name, _, bound = condition.partition(" < ")
        value = self.doc[name]
        return value < float(bound) if bound else bool(value)

    def moment(self, expression: str, item: Any = None) -> datetime | bool:
        return self.doc[expression]

    def items(self, expression: str) -> list[Any]:
        return list(self.doc[expression])

    def resolve(self, source: Source, asking: Asking) -> tuple[Pool, ...]:
        if source.of_step:
            people = (asking.decided or {}).get(source.of_step, ())
        elif source.chosen_by:
            people = (asking.chosen or {}).get(asking.step, ())
        elif source.field:
            people = tuple(self.doc[source.field])
        else:
            people = source.users
        roles = tuple(Pool(role, (Identity("role", role),)) for role in source.roles)
        return roles + tuple(Pool(one, (Identity("user", one),)) for one in people)

    def people(self, identity: Identity) -> tuple[str, ...]:
        found = (
            (identity.actor,) if identity.kind == "user" else self.roles.get(identity.actor, ())
        )
        return tuple(one for one in found if one not in self.disabled)

    def name(self, person: str) -> str:
        return person.title()

    def manager(self, person: str) -> str:
        return self.managers.get(person, "")

    def deputy(self, person: str) -> str:
        return self.deputies.get(person, "")

    def stand_ins(self, identity: Identity) -> tuple[tuple[str, str], ...]:
        return tuple(
            (self.deputies[one], one) for one in self.people(identity) if one in self.with_roles
        )

    def clock(self, duration: str, start: datetime, item: Any = None) -> tuple[bool, int]:
        number, unit = re.fullmatch(r"(\d+)([a-z]+)", duration).groups()
        return unit.startswith("b"), int(number) * UNITS[unit]

    def fires(self, start: datetime, *, business: bool, left: int, item: Any = None) -> datetime:
        return start + timedelta(seconds=left)

    def spent(self, start: datetime, *, business: bool, item: Any = None) -> int:
        return int((self.now - start).total_seconds())


class Play:
    """One instance in a plain world, and people who act on it by name."""

    def __init__(self, world: PlainWorld, steps: list[dict], **flow: Any) -> None:
        subflows = flow.pop("subflows", {})
        whole = {"flow": "f", "version": 1, "document": "doc", "steps": steps, **flow}
        held = {
            name: msgspec.convert(
                {"flow": name, "version": 1, "document": "doc", "steps": inner}, Flow
            )
            for name, inner in subflows.items()
        }
        self.world = world
        self.state = State("ann", frozenset({"ann"}), "h1")
        self.tree = compile_flow(msgspec.convert(whole, Flow), held)
        self.events: list[Event] = []

    def do(self, verb: str, who: str = "ann", step: str = "", **rest: Any) -> list[Event]:
        """Do something; a refusal leaves the play as it was."""
        roles = {role for role, people in self.world.roles.items() if who in people}
        identities = {Identity("user", who), *(Identity("role", role) for role in roles)}
        person = Person(who, who.title(), frozenset(identities))
        visit = rest.pop("visit", None) or (self.visit(step).id if step else "")
        copy = msgspec.convert(msgspec.to_builtins(self.state), State)
        machine = Machine(self.tree, copy, self.world)
        made = perform(machine, person, Command(verb, visit=visit, **rest))
        self.state = copy
        self.events += made
        return made

    def visit(self, step: str):
        """Return the latest pass through a step."""
        return [one for one in self.state.visits.values() if one.step == step][-1]

    @property
    def open(self) -> list[str]:
        """Return what waits for people, as `step.seat`, or `step` for a single seat."""
        found = []
        for visit in self.state.visits.values():
            if visit.state != "open":
                continue
            seats = [one for one in self.state.seats_of(visit.id) if one.state == "open"]
            main = [one for one in self.state.seats_of(visit.id) if one.kind == "main"]
            found += [
                visit.step if len(main) == 1 and one.kind == "main" else f"{visit.step}.{one.key}"
                for one in seats
            ]
        return found

    def move(self, **time: int) -> None:
        """Let time pass, and every clock that is due go off in its order."""
        end = self.world.now + timedelta(**time)
        while True:
            due = [
                one
                for one in self.state.timers.values()
                if one.state == "pending"
                and one.fire_at
                and datetime.fromisoformat(one.fire_at) <= end
            ]
            if not due:
                break
            first = min(due, key=lambda one: (one.fire_at, one.rung))
            self.world.now = max(self.world.now, datetime.fromisoformat(first.fire_at))
            self.do("fire", "system", visit=first.visit, rung=first.rung)
        self.world.now = end


ALL = [
    "approve", "reject", "abstain", "return", "transfer", "delegate", "add_before", "add_after",
    "add_beside", "remove_added", "take_back", "claim",
]  # fmt: skip


def office() -> PlainWorld:
    """Return a world with bosses, finance, marketing, operations and a maker."""
    return PlainWorld(
        {
            "boss": ("bob", "bea"),
            "finance": ("fay",),
            "marketing": ("max",),
            "ops": ("oz",),
            "maker": ("ann",),
        }
    )


def step(name: str, role: str | list[str] = "boss", **rest):
    return {"id": name, "approvers": {"role": role}, "may": ALL, **rest}


def people(name: str, *users: str, **rest):
    return {"id": name, "approvers": {"user": list(users)}, "may": ALL, **rest}


def submitted(world: PlainWorld, *steps, **flow) -> Play:
    play = Play(world, list(steps), **flow)
    play.do("submit")
    return play


def refused(code: str, call, *args, **kwargs) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        call(*args, **kwargs)
    assert caught.value.code == code
    return caught.value
