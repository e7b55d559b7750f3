"""Where approvals stay: business time per step and person, returns, rounds, rubber stamps.

Figures are of tasks that ended in a stretch of time, of the document types whose every
record the reader may see; a figure over records that they may not see would tell of them.
Figures of people are for those who administer or audit, and of oneself for everybody.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from core.businesstime import Calendar
from core.clock import to_wire
from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.policies.access import access
from core.prebuilt import Prebuilt
from core.workflow.clocks import calendar_for
from core.workflow.models import instance, task, visit, vote
from core.workflow.queue.openings import opened
from core.workflow.sla import seconds_between

#: Roles that see what each person did, besides administrators.
AUDITING = frozenset({"Admin", "auditor"})
#: Longest stretch of time that is looked at, and most votes.
LONGEST, MOST = timedelta(days=366), 200_000
#: Whoever decides sooner after opening a task, or never opened it, has hardly read it.
GLANCE = timedelta(seconds=5)
#: People that are listed, those with the longest waits first.
_MOST_PEOPLE = 50

Answer = dict[str, Any]


@dataclass(slots=True)
class _Figures:
    """What is gathered of one step or person."""

    name: Any
    seconds: list[float] = field(default_factory=list)
    votes: int = 0
    automatic: int = 0
    human: int = 0
    stamped: int = 0


def bottlenecks(
    ctx: Context, *, since: datetime, until: datetime, type_name: str = "", flow: str = ""
) -> Answer:
    """Return the figures of what was decided from `since` until `until`.

    Seconds are of the clock of each task, thus business time where the flow's calendar says
    so. `steps` and `people` have `count`, `median`, `p90`, `automatic` and `stamped` (shares
    from 0 to 1); `steps` also `return_rate`. `waiting` has the seconds that documents lay
    with their approvers and, returned, with their initiators; `rounds` how often they went
    round. `left_out` names types that the reader sees only in part.

    Raises:
        Invalid: the stretch of time is empty or longer than a year.
    """
    if not timedelta(0) < until - since <= LONGEST:
        text = N_("Choose at most {days} days.")
        raise Invalid(problems=[Problem("until", "query.range", text, {"days": LONGEST.days})])
    seen, left_out = _types(ctx, type_name)
    if not seen:
        return _nothing(left_out)
    values = {"since": to_wire(since), "until": to_wire(until), "flow": flow, "most": MOST}
    with ctx.reading() as connection:
        dialect, types = connection.dialect, tuple(sorted(seen))
        votes = _votes(types, bool(flow), dialect).raw(connection, values)
        closed = _closed(types, bool(flow), dialect).rows(connection, values)
        rounds = _rounds(types, bool(flow), dialect).rows(connection, values)
        with_initiator = _with_initiators(ctx, connection, types, flow, values)
    clocks = Clocks(ctx)
    steps, people, waited = _gather(votes, clocks)
    returns = {(one[0], one[1]): (int(one[3] or 0), int(one[2])) for one in closed}
    ended, repeated, round_sum = (int(one or 0) for one in rounds[0])
    sees_all = ctx.actor.is_system or not AUDITING.isdisjoint(ctx.actor.roles)
    return {
        "steps": [
            {
                "type": key[0],
                "step": key[1],
                "title": msgspec.json.decode(found.name),
                **_shares(found),
                "return_rate": _share(*returns.get(key, (0, 0))),
            }
            for key, found in sorted(steps.items(), key=_slowest)
        ],
        "people": [
            {"id": key, "name": found.name, **_shares(found)}
            for key, found in sorted(people.items(), key=_slowest)
            if sees_all or key == ctx.actor.id
        ][:_MOST_PEOPLE],
        "rounds": {
            "ended": ended,
            "average": round(round_sum / ended, 2) if ended else None,
            "repeated": _share(repeated, ended),
        },
        "waiting": {"approver": int(waited), "initiator": int(with_initiator)},
        "is_cut": len(votes) >= MOST,
        "left_out": left_out,
    }


def _nothing(left_out: list[str]) -> Answer:
    return {
        "steps": [],
        "people": [],
        "rounds": {"ended": 0, "average": None, "repeated": None},
        "waiting": {"approver": 0, "initiator": 0},
        "is_cut": False,
        "left_out": left_out,
    }


def _types(ctx: Context, wanted: str) -> tuple[list[str], list[str]]:
    """Return the types whose every record the reader sees, and those seen in part."""
    release = ctx.registry.release
    seen: list[str] = []
    left_out: list[str] = []
    for name in sorted({one.document for one in release.flows.values()}):
        if (wanted and name != wanted) or name not in release.types:
            continue
        rights = access(ctx, name)
        if rights.may("view"):
            (seen if rights.row_clause("view") is None else left_out).append(name)
    return seen, left_out


class Clocks:
    """The calendars of tasks, each looked up once."""

    def __init__(self, ctx: Context) -> None:
        """Look them up as of a context."""
        self._ctx = ctx
        self._known: dict[tuple[str, str], Calendar] = {}

    def of(self, calendar: str, place: str) -> Calendar:
        """Return the calendar of a flow's calendar and a place; both may be empty."""
        found = self._known.get((calendar, place))
        if found is None:
            found = calendar_for(self._ctx, calendar, place)
            self._known[calendar, place] = found
        return found


def _gather(
    votes: Iterable[Any], clocks: Clocks
) -> tuple[dict[tuple[str, str], _Figures], dict[str, _Figures], float]:
    """Return figures by step and by person, and the seconds of all tasks together."""
    steps: dict[tuple[str, str], _Figures] = {}
    people: dict[str, _Figures] = {}
    whole: dict[str, float] = {}
    read = lru_cache(maxsize=4096)(datetime.fromisoformat)
    for row in votes:
        (task_id, type_name, step, title, opened_at, at, actor, name, source,
         calendar, place, seen_at) = row  # fmt: skip
        found = steps.get((type_name, step))
        if found is None:
            found = steps[type_name, step] = _Figures(title)
        found.votes += 1
        if source != "human":
            found.automatic += 1
            continue
        end = read(at)
        seconds = seconds_between(read(opened_at), end, clocks.of(calendar, place))
        own = people.get(actor)
        if own is None:
            own = people[actor] = _Figures(name)
        own.votes += 1
        stamped = seen_at is None or seen_at > at or end - read(seen_at) < GLANCE
        for each in (found, own):
            each.seconds.append(seconds)
            each.human += 1
            each.stamped += stamped
        if seconds > whole.get(task_id, 0):
            whole[task_id] = seconds
    return steps, people, sum(whole.values())


def _shares(found: _Figures) -> Answer:
    ordered = sorted(found.seconds)
    return {
        "count": found.votes,
        "median": quantile(ordered, 50),
        "p90": quantile(ordered, 90),
        "automatic": _share(found.automatic, found.votes),
        "stamped": _share(found.stamped, found.human),
    }


def quantile(ordered: list[float], percent: int) -> int | None:
    """Return the nearest-rank quantile in seconds."""
    if not ordered:
        return None
    return int(ordered[max(0, -(-len(ordered) * percent // 100) - 1)])


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _slowest(item: tuple[Any, _Figures]) -> tuple[float, Any]:
    middle = sorted(item[1].seconds)
    return (-(quantile(middle, 50) or 0), item[0])


def _in_range(column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.and_(
        column >= sa.bindparam("since", type_=sa.String),
        column < sa.bindparam("until", type_=sa.String),
    )


def _of_flow(column: sa.ColumnElement[str], *, is_one: bool) -> sa.ColumnElement[bool]:
    if not is_one:
        return sa.true()
    chosen = sa.select(instance.c.id).where(
        instance.c.flow == sa.bindparam("flow", type_=sa.String)
    )
    return column.in_(chosen)


@lru_cache(maxsize=64)
def _votes(types: tuple[str, ...], is_one: bool, dialect: Dialect) -> Prebuilt:
    query = (
        sa.select(
            vote.c.task_id, vote.c.record_type, task.c.step, task.c.step_title,
            task.c.opened_at, vote.c.at, vote.c.actor, vote.c.actor_name, vote.c.source,
            task.c.calendar, task.c.place, opened.c.at,
        )
        .join(task, task.c.id == vote.c.task_id)
        .outerjoin(
            opened, sa.and_(opened.c.task_id == vote.c.task_id, opened.c.person == vote.c.actor)
        )
        .where(
            _in_range(vote.c.at), vote.c.record_type.in_(types),
            _of_flow(vote.c.instance_id, is_one=is_one),
        )
        .limit(sa.bindparam("most", type_=sa.Integer))
    )  # fmt: skip
    return Prebuilt(query, dialect)


@lru_cache(maxsize=64)
def _closed(types: tuple[str, ...], is_one: bool, dialect: Dialect) -> Prebuilt:
    """Return how many tasks of each step ended, and how many of them by a return."""
    returned = sa.case((task.c.result == "return", 1), else_=0)
    query = (
        sa.select(
            task.c.record_type, task.c.step, sa.func.count(), sa.func.sum(returned),
        )
        .where(
            _in_range(task.c.closed_at), task.c.record_type.in_(types),
            _of_flow(task.c.instance_id, is_one=is_one),
        )
        .group_by(task.c.record_type, task.c.step)
    )  # fmt: skip
    return Prebuilt(query, dialect)


@lru_cache(maxsize=64)
def _rounds(types: tuple[str, ...], is_one: bool, dialect: Dialect) -> Prebuilt:
    """Return how many approvals ended, how many went round again, and all their rounds."""
    rounds = instance.c.round + instance.c.returns
    query = sa.select(
        sa.func.count(),
        sa.func.sum(sa.case((rounds > 1, 1), else_=0)),
        sa.func.sum(rounds),
    ).where(
        _in_range(instance.c.ended_at), instance.c.record_type.in_(types),
        _of_flow(instance.c.id, is_one=is_one),
    )  # fmt: skip
    return Prebuilt(query, dialect)


def _with_initiators(
    ctx: Context, connection: Connection, types: tuple[str, ...], flow: str,
    values: Mapping[str, Any],
) -> float:  # fmt: skip
    """Return the seconds that returned documents lay with their initiators."""
    rows = _visits_of_returned(types, bool(flow), connection.dialect).raw(connection, values)
    by_instance: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_instance[row[0]].append(row)
    clocks, whole, now = Clocks(ctx), 0.0, to_wire(ctx.now)
    for visits in by_instance.values():
        for _, result, _, closed_at, calendar, place, ended_at in visits:
            if result != "return" or not closed_at:
                continue
            # It is back with its approvers when the next pass begins.
            again = min((one[2] for one in visits if one[2] > closed_at), default=ended_at or now)
            calendar_ = clocks.of(calendar, place)
            start, end = map(datetime.fromisoformat, (closed_at, max(again, closed_at)))
            whole += seconds_between(start, end, calendar_)
    return whole


@lru_cache(maxsize=64)
def _visits_of_returned(types: tuple[str, ...], is_one: bool, dialect: Dialect) -> Prebuilt:
    returned = sa.select(task.c.instance_id).where(
        _in_range(task.c.closed_at), task.c.record_type.in_(types), task.c.result == "return",
        _of_flow(task.c.instance_id, is_one=is_one),
    )  # fmt: skip
    query = (
        sa.select(
            visit.c.instance_id, visit.c.result, visit.c.opened_at, visit.c.closed_at,
            task.c.calendar, task.c.place, instance.c.ended_at,
        )
        .join(instance, instance.c.id == visit.c.instance_id)
        .outerjoin(task, task.c.id == visit.c.id)
        .where(visit.c.instance_id.in_(returned))
    )  # fmt: skip
    return Prebuilt(query, dialect)
