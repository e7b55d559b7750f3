"""What would become of one running approval: from its stored state on, by the engine itself.

A copy of the state is moved by the same `perform` as the real one; nothing is written, no
lock is taken and nobody is told.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from core.clock import to_wire
from core.context import Context
from core.errors import Conflict, Forbidden, Invalid, Problem
from core.i18n import N_, pick
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flowtesting import Act, ActError, parse_act
from core.schema.model import RecordType
from core.workflow.concerns import unconcerned
from core.workflow.engine.state import Command, RefusalError, State
from core.workflow.models import OPEN_STATES
from core.workflow.rehearsal.latency import step_times
from core.workflow.rehearsal.plainworld import loaded
from core.workflow.rehearsal.playing import TO_SOMEBODY, IdleError, Player
from core.workflow.rehearsal.previews import require_configurator
from core.workflow.rehearsal.supposing import SupposedWorld, supposed_matter, without
from core.workflow.rehearsal.walking import Stop, Walk, Walker, stop_of
from core.workflow.run import Run, read_instance
from core.workflow.seen import seen_record
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff
from core.workflow.subject import data_fields

Answer = dict[str, Any]

#: People that a seat names, and acts that one question has.
_NAMED, _MOST_ACTS = 20, 50


@dataclass(frozen=True, slots=True)
class Supposition:
    """What somebody supposes of a running approval.

    Attributes:
        values: field -> wire value that the document would have.
        away: ids of people who would not be there.
        do: what would be done, as the tests of flows write it.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    away: Collection[str] = ()
    do: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a state.

    Attributes:
        at: the instant after everything that was to be done, as RFC 3339 text.
        state: of the instance then.
        open: the tasks that wait then.
        refusals: what could not be done, each as (act, code).
        walked: the tasks from now on, those that the acts decide too, to the end with
            everybody agreeing.
    """

    at: str
    state: State
    open: tuple[Stop, ...]
    refusals: tuple[tuple[str, str], ...]
    walked: Walk


def what_if(ctx: Context, instance_id: str, supposed: Supposition | None = None) -> Answer:
    """Return how a running approval goes on as it is, and how it would by a supposition.

    Values that are voted on are changed as whoever submitted it would change them: where the
    flow lets them, votes become stale by its rules; where it denies that, the votes stand and
    only what lies ahead sees the values. Acts are done one after the other by the first who
    can; one that is refused changes nothing. After them everybody who waits agrees.

    Args:
        ctx: of a configurator who may see the document.
        instance_id: the running instance; its own version of the flow goes on.
        supposed: what would be otherwise, of fields that the actor may see.

    Raises:
        Forbidden: the actor may not change flows, or not see the document.
        NotFound: there is no such instance.
        Conflict: it has ended.
        Invalid: a field, a person or an act is not there or does not fit.
    """
    require_configurator(ctx)
    supposed = supposed or Supposition()
    with ctx.reading() as connection:
        run = read_instance(ctx, connection, instance_id)
        seen = seen_record(ctx, *run.record)
        if seen is None:
            raise Forbidden
        if run.row["state"] not in OPEN_STATES:
            raise Conflict(N_("This approval has ended."))
        staff = STAFF.staff(ctx, connection)
        values = _asked(ctx.registry.record_type(run.record[0]), supposed.values, seen)
        people = {one: one for one in staff.people} | {
            login: one.id for login, one in staff.by_login.items()
        }
        acts = _acts(supposed.do, people)
        away = _known(people, supposed.away)
        now = _course(run, staff, {}, (), ())
        then = _course(run, staff, values, away, acts)
        steps = {*now.walked.route, *then.walked.route}
        times = step_times(ctx, connection, run.record[0], steps)
    shown = _Shown(run, staff, ctx.locale, times)
    before, after = shown.course(now), shown.course(then)
    return {
        "instance": instance_id,
        "flow": {"name": run.flow.flow, "version": run.flow.version},
        "so_far": shown.so_far(),
        "now": before,
        "then": after,
        "differences": differences(before, after),
    }


def _course(
    run: Run, staff: Staff, values: Mapping[str, Any], away: Collection[str],
    acts: Sequence[tuple[str, Act]],
) -> Course:  # fmt: skip
    """Return what becomes of a copy of an instance's state."""
    matter = supposed_matter(run.as_system, run.matter, values)
    world = SupposedWorld(run.ctx, run.connection, matter, without(staff, away) if away else staff)
    player = Player(run.tree, deepcopy(run.state), world)
    refusals: list[tuple[str, str]] = []
    if values:
        _change(player, run, frozenset(values), matter.subject.hash)
    if values or away:
        player.perform("", Command("recheck"))
    walker = Walker(player)
    walker.note()  # what acts decide is on the way too
    for text, act in acts:
        before, instant = deepcopy(player.state), world.now
        try:
            _do(player, act)
        except (RefusalError, IdleError) as refused:
            refusals.append((text, refused.code))
            player.state = before
            world.move(instant)
        else:
            walker.note()
    at, state = to_wire(world.now), deepcopy(player.state)
    waiting = tuple(stop_of(player, one) for one in player.waiting())
    return Course(at, state, waiting, tuple(refusals), walker.run())


def _change(player: Player, run: Run, changed: frozenset[str], subject_hash: str) -> None:
    """Let the document have other values, as an edit by its initiator would."""
    flow, state = run.flow, player.state
    voted = changed & set(flow.subject or (one.name for one in data_fields(_type(run))))
    if state.status == "returned":
        state.subject_hash = subject_hash
    rule = flow.in_flight.subject_edit
    if not voted or rule == "deny" or state.status != "running":
        return
    if subject_hash == state.subject_hash:
        return
    kept: tuple[str, ...] = ()
    if rule == "stale_affected":
        kept = unconcerned(run.tree, voted, run.world.reads)
    state.subject_hash = subject_hash
    player.perform(state.initiator, Command("revise", to=kept))


def _type(run: Run) -> RecordType:
    return run.ctx.registry.record_type(run.record[0])


def _do(player: Player, act: Act) -> None:
    if act.kind == "wait":
        player.wait(act.value)
    elif act.kind == "step":
        player.step(act)
    else:
        player.perform(player.state.initiator, Command(act.verb))


# -- what is asked ----------------------------------------------------------------------------


def _asked(
    record_type: RecordType, values: Mapping[str, Any], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Return changed values; fields that the actor may not see are as if they were not there."""
    problems, found = [], {}
    for name, value in values.items():
        one = record_type.field(name)
        if one is None or name not in seen or field_type(one.type).computed:
            text = N_("There is no field {name}.")
            problems.append(Problem(f"values.{name}", "field.unknown", text, {"name": name[:80]}))
            continue
        try:
            loaded(one, value)
        except FieldError as error:
            problems.append(Problem(f"values.{name}", error.code, error.text, error.params))
        else:
            found[name] = value
    if problems:
        raise Invalid(problems=problems)
    return found


def _acts(texts: Sequence[str], people: Mapping[str, str]) -> list[tuple[str, Act]]:
    """Return what would be done, with the ids of people where sign-in names are written."""
    if len(texts) > _MOST_ACTS:
        text = N_("This must be between {least} and {most}.")
        params = {"least": 0, "most": _MOST_ACTS}
        raise Invalid(problems=[Problem("do", "field.out_of_range", text, params)])
    found = []
    for place, text in enumerate(texts):
        try:
            act = parse_act(text)
        except ActError as error:
            raise Invalid(
                problems=[Problem(f"do.{place}", "flow.bad_act", error.text, error.params)]
            ) from error
        if act.kind == "edit":
            told = N_("Values that change are given apart from what is done.")
            raise Invalid(problems=[Problem(f"do.{place}", "flow.bad_act", told)])
        if act.kind == "step" and act.verb in TO_SOMEBODY:
            [person] = _known(people, (act.to,), f"do.{place}")
            act = replace(act, to=person)
        found.append((text, act))
    return found


def _known(people: Mapping[str, str], asked: Collection[str], path: str = "away") -> list[str]:
    """Return the ids of people; whoever is not known is a problem."""
    unknown = sorted(one for one in asked if one not in people)
    if unknown:
        text = N_("There is nobody with the id {id}.")
        raise Invalid(
            problems=[Problem(path, "field.unknown", text, {"id": one[:40]}) for one in unknown]
        )
    return [people[one] for one in asked]


# -- what is told -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shown:
    """Writes courses as answers have them."""

    run: Run
    staff: Staff
    locale: str
    times: Mapping[str, Answer]

    def so_far(self) -> list[Answer]:
        """Return the tasks that are over, in the order in which they opened."""
        return [
            {
                "step": one.step,
                "title": self._title(one.step),
                "item": one.item,
                "state": one.state,
                "result": one.result,
                "opened_at": one.opened_at,
                "closed_at": one.closed_at,
            }
            for one in self.run.state.visits.values()
            if self.run.tree.nodes[one.step].is_human and one.state in {"done", "cancelled"}
        ]

    def course(self, course: Course) -> Answer:
        """Return a course, titles in the locale."""
        walked = course.walked
        return {
            "at": course.at,
            "state": course.state.status,
            "attention": course.state.attention,
            "open": [self._stop(one) for one in course.open],
            "refusals": [{"act": act, "code": code} for act, code in course.refusals],
            "stops": [self._stop(one) for one in walked.stops],
            "ending": walked.ending,
            "stuck": list(walked.stuck),
            "refused": walked.refused,
        }

    def _title(self, step: str) -> str:
        return pick(self.run.tree.nodes[step].step.title, self.locale, step)

    def _stop(self, stop: Stop) -> Answer:
        return {
            "step": stop.step,
            "title": self._title(stop.step),
            "item": stop.item,
            "seats": [
                {
                    "seat": seat.key,
                    "state": seat.state,
                    "people": [
                        {"id": one, "name": self.staff.name(one)} for one in seat.people[:_NAMED]
                    ],
                    "count": len(seat.people),
                }
                for seat in stop.seats
            ],
            "opens_at": stop.opened_at,
            "due": [{"do": do, "at": at} for do, at in stop.due],
            "estimate": self.times.get(stop.step),
        }


def differences(before: Answer, after: Answer) -> list[Answer]:
    """Return what of two courses is not the same, each as `what`, `step`, `before`, `after`.

    `what` is state, ending, open, added, removed, people or due. A task is compared with the
    one of the same step and item.
    """
    found: list[Answer] = [
        {"what": what, "step": "", "before": before[what], "after": after[what]}
        for what in ("state", "ending")
        if before[what] != after[what]
    ]
    waits, would = ([one["step"] for one in course["open"]] for course in (before, after))
    if waits != would:
        found.append({"what": "open", "step": "", "before": waits, "after": would})
    old, new = _by_step(before["stops"]), _by_step(after["stops"])
    for key in [*old, *(one for one in new if one not in old)]:
        step = (old.get(key) or new[key])["step"]
        if key not in old or key not in new:
            what = "removed" if key in old else "added"
            found.append({"what": what, "step": step, "before": None, "after": None})
            continue
        for what, tell in (("people", _people), ("due", _due)):
            was, would_be = tell(old[key]), tell(new[key])
            if was != would_be:
                found.append({"what": what, "step": step, "before": was, "after": would_be})
    return found


def _by_step(stops: Sequence[Answer]) -> dict[tuple[str, str], Answer]:
    """Return tasks by step and item; of several passes the last."""
    return {(one["step"], str(one["item"])): one for one in stops}


def _people(stop: Answer) -> list[str]:
    return sorted({one["name"] for seat in stop["seats"] for one in seat["people"]})


def _due(stop: Answer) -> list[list[str]]:
    return [[one["do"], one["at"]] for one in stop["due"]]
