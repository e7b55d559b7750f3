"""The tests inside a flow's file: played with made-up people and a clock of their own; pure.

Everybody whom the flow could ask exists: each role and position has three holders, everyone
has managers, and where the document of a test does not say who or where, somebody is there.
Whether the real staff has them is what the proof of approvers tells.
"""

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from core.i18n import N_
from core.records.people import Person as User
from core.schema.fieldtypes import FieldError
from core.schema.flowpeople import Source
from core.schema.flows import Flow, FlowTest
from core.schema.flowtesting import Act, Failure, parse_act
from core.schema.model import Field, Release
from core.workflow.concerns import unconcerned
from core.workflow.engine.state import Command, Identity, RefusalError, Seat, State, Visit
from core.workflow.engine.world import Asking, Pool
from core.workflow.rehearsal.plainworld import PlainFlow, PlainWorld, loaded
from core.workflow.rehearsal.playing import IdleError, Player
from core.workflow.staff.roster import Staff

INITIATOR = "initiator"
#: Holders that each role and position has, unless a step asks for more.
HOLDERS = 3
#: Managers above everybody.
_LEVELS = 3
_ZONE = "Asia/Shanghai"
#: When a test begins, moved on to the first open minute of its calendar: a plain Monday.
_BEGIN = datetime(2025, 3, 3, 9, 0, tzinfo=ZoneInfo(_ZONE)).astimezone(UTC)
#: Somebody who takes what is transferred or is asked for advice.
_COLLEAGUE = "colleague"


@dataclass(frozen=True)
class Cast(Staff):
    """Made-up people: whoever is asked for exists.

    Attributes:
        holders: how many each role and position has.
    """

    holders: int = HOLDERS

    def is_active(self, person: str) -> bool:
        """Return that they are."""
        return bool(person)

    @property
    def by_login(self) -> Mapping[str, User]:
        """Return anybody by any sign-in name."""
        return _Anybody()

    def name(self, person: str) -> str:
        """Return the id, which says what they are."""
        return person

    def behind(self, identity: Identity) -> tuple[str, ...]:
        """Return the made-up holders of a role or position."""
        if identity.kind == "user":
            return (identity.actor,)
        name = identity.actor
        return tuple(f"{name}#{number}" for number in range(1, self.holders + 1))

    def holds_role(self, person: str, role: str) -> bool:
        """Return whether somebody holds a role; whoever is at the top holds each."""
        return person.startswith((f"{role}#", f"manager {_LEVELS} "))

    def workplaces(self, person: str) -> tuple[str, ...]:
        """Return the one place where somebody works."""
        return (f"place of {person}",)

    def works_at(self, person: str, places: frozenset[str]) -> bool:  # noqa: ARG002  anywhere
        """Return that they do."""
        return True

    def manager(self, person: str) -> str:
        """Return the next manager above somebody; the third has none."""
        return next(self.managers(person), "")

    def managers(self, person: str) -> Iterator[str]:
        """Yield the managers above somebody."""
        level, of = 0, person
        if person.startswith("manager ") and person[8:9].isdigit():
            level, of = int(person[8]), person.partition(" of ")[2]
        yield from (f"manager {one} of {of}" for one in range(level + 1, _LEVELS + 1))


class _Anybody(dict[str, User]):
    def get(self, login: str, default: Any = None) -> Any:  # noqa: ARG002
        return User(login, login, login)


class PlayWorld(PlainWorld):
    """A plain world in which whoever the document does not name is made up."""

    def resolve(self, source: Source, asking: Asking) -> tuple[Pool, ...]:
        """Return the people of a source; somebody where nothing says who."""
        if source.at and source.at != INITIATOR and not self.value(source.at, asking.item):
            source = msgspec.structs.replace(source, at="")
        if source.chosen_by and asking.step not in (asking.chosen or {}):
            asking = _choosing(self, source, asking)
        found = super().resolve(source, asking)
        if found or source.table or source.of_step:
            return found
        kind = next(
            key for key in ("field", "expr", "manager_of", "chain_of") if getattr(source, key)
        )
        somebody = f"{kind}:{getattr(source, kind)}"
        return (Pool(somebody, (Identity("user", somebody),)),)


def _choosing(world: PlainWorld, source: Source, asking: Asking) -> Asking:
    """Return the same question after somebody was named: the first who may be."""
    named = f"chosen for {asking.step}"
    if source.among is not None:
        pools = world.resolve(source.among, asking)
        people = (person for pool in pools for one in pool.members for person in world.people(one))
        named = next(people, named)
    return dataclasses.replace(asking, chosen={**(asking.chosen or {}), asking.step: (named,)})


class StoppedError(Exception):
    """A test could not go on; `text` and `params` say why."""

    def __init__(self, text: str, /, **params: Any) -> None:
        """Keep the English template and its values."""
        super().__init__(text)
        self.text, self.params = text, params


def run_tests(flow: Flow, release: Release) -> list[Failure]:
    """Return the tests of a flow that do not end as they say."""
    if not flow.tests:
        return []
    plain = PlainFlow(release, flow)
    found = []
    for place, test in enumerate(flow.tests):
        try:
            _judge(play(plain, test), test)
        except StoppedError as stopped:
            params = {"name": test.name, **stopped.params}
            found.append(Failure(flow.flow, test.name, place, stopped.text, params))
    return found


def play(plain: PlainFlow, test: FlowTest) -> "Play":
    """Return a test as it ended.

    Raises:
        StoppedError: something in it could not be done.
    """
    played = Play(plain, test)
    for text in test.do:
        played.act(text)
    return played


def _judge(played: "Play", test: FlowTest) -> None:
    """Raise a StoppedError where a test did not end as it says."""
    expected = test.expect
    status = played.state.status
    for wanted in (expected.outcome, expected.state):
        if wanted and wanted != status:
            text = N_("The test “{name}” expects {expected}, and it is {found}.")
            raise StoppedError(text, expected=wanted, found=status)
    if expected.open is not None and sorted(expected.open) != sorted(played.open):
        text = N_("The test “{name}” expects {expected} to be open, and {found} is.")
        raise StoppedError(text, expected=_listed(expected.open), found=_listed(played.open))


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "—"


@dataclass
class Play:
    """One instance in a made-up world, and what a test does with it."""

    plain: PlainFlow
    test: FlowTest
    world: PlayWorld = field(init=False)
    state: State = field(init=False)
    player: Player = field(init=False)

    def __post_init__(self) -> None:
        begin = self.plain.calendar(_ZONE)
        needed = [
            getattr(node.step.decide, "quorum", 0) for node in self.plain.tree.nodes.values()
        ]
        cast = Cast(holders=max([HOLDERS, *needed]))
        self.world = PlayWorld(self.plain, cast, INITIATOR, begin.next_open(_BEGIN), _ZONE)
        for one in self.plain.record_type.fields:
            written = self.test.doc.get(one.name, one.default)
            self._write(one, written)
        self.state = State(INITIATOR, frozenset({INITIATOR}), self.world.subject_hash())
        self.player = Player(self.plain.tree, self.state, self.world, _COLLEAGUE)

    def _write(self, one: Field, written: Any) -> None:
        try:
            self.world.values[one.name] = loaded(one, written)
        except FieldError as error:
            text = N_("The test “{name}” gives {field} a value that it does not take: {value}.")
            raise StoppedError(text, field=one.name, value=str(written)[:80]) from error

    @property
    def open(self) -> list[str]:
        """Return what waits for people: `step`, `step.seat`, and `step.escalated`."""
        found = []
        for visit in self.player.waiting():
            for seat in self.state.seats_of(visit.id):
                if seat.state == "open":
                    name = self._name(visit, seat)
                    found.append(name)
                    found += [
                        f"{name}.escalated"
                        for one in self.state.candidates_of(seat.id)
                        if one.via == "escalated"
                    ][:1]
        return found

    def _name(self, visit: Visit, seat: Seat) -> str:
        """Return what a test calls a seat: the step where it is the only one planned."""
        planned = self.state.seats_of(visit.id, "main")
        has_names = bool(self.plain.tree.nodes[visit.step].step.seats)
        is_only = len(planned) == 1 and seat.kind == "main" and not has_names
        return visit.step if is_only else f"{visit.step}.{seat.key}"

    def act(self, text: str) -> None:
        """Do one thing of the test; raises StoppedError where it is not possible."""
        act = parse_act(text)
        try:
            {"edit": self._edit, "wait": self._wait, "step": self._step}.get(
                act.kind, self._whole
            )(act)
        except RefusalError as refused:
            told = N_("In the test “{name}”, {act} is refused: {code}.")
            raise StoppedError(told, act=text, code=refused.code) from refused

    def _whole(self, act: Act) -> None:
        if act.verb == "submit":
            self._require()
            self.state.subject_hash = self.world.subject_hash()
        self.player.perform(INITIATOR, Command(act.verb))

    def _require(self) -> None:
        """Ask the start's condition, where the test says everything that it is about."""
        text = self.plain.flow.start.require
        if not text:
            return
        said = {*self.test.doc, *(one for one, value in self.world.values.items() if value)}
        reads = self.plain.compiled(text, "boolean").reach.own
        if reads <= said and not self.world.holds(text):
            told = N_("In the test “{name}”, the document may not be submitted: {condition}.")
            raise StoppedError(told, condition=text)

    def _edit(self, act: Act) -> None:
        name, _, column = act.field.partition(".")
        one = self.plain.record_type.field(name)
        if one is None:
            told = N_("The test “{name}” edits {field}, which is not there.")
            raise StoppedError(told, field=act.field)
        subject = self.plain.flow.subject
        if (
            self.state.status == "running"
            and self.state.visits
            and (not subject or name in subject)
        ):
            self._edit_in_flight(act, one, column)
            return
        self._put(one, column, act.value)

    def _edit_in_flight(self, act: Act, one: Field, column: str) -> None:
        rule = self.plain.flow.in_flight.subject_edit
        if rule == "deny":
            told = N_("In the test “{name}”, {field} is being decided and cannot be edited.")
            raise StoppedError(told, field=act.field)
        self._put(one, column, act.value)
        self.state.subject_hash = self.world.subject_hash()
        kept: tuple[str, ...] = ()
        if rule == "stale_affected":
            tree = self.plain.tree
            kept = unconcerned(tree, {one.name}, lambda text: self.plain.compiled(text).reach.own)
        self.player.perform(INITIATOR, Command("revise", to=kept))

    def _put(self, one: Field, column: str, value: str) -> None:
        if not column:
            self._write(one, value)
            return
        rows = self.world.values.get(one.name) or [{}]
        self._write(one, [{**row, column: value} for row in rows])

    def _wait(self, act: Act) -> None:
        self.player.wait(act.value)

    def _step(self, act: Act) -> None:
        try:
            self.player.step(act)
        except IdleError as idle:
            told = {
                "nothing_waits": N_("In the test “{name}”, nothing waits at {step} for {act}."),
                "nobody_sits": N_("In the test “{name}”, nobody can sit at {step} for {act}."),
            }[idle.code]
            raise StoppedError(told, step=idle.step, act=act.verb) from idle
