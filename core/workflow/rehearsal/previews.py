"""What a flow would do, asked of the real data and staff: proof and replay.

Nothing is written: the flow is walked in memory by the engine that decides real votes.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden, Invalid, Problem
from core.i18n import N_
from core.records.plugin_settings import ADMINISTRATORS
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flows import HUMAN, Flow
from core.schema.flowtexts import flows_in_order, steps_of
from core.schema.model import RecordType, Release
from core.schema.placerows import PLACE_TYPES
from core.workflow.models import OPEN_STATES, Row, instance
from core.workflow.rehearsal.latency import step_times
from core.workflow.rehearsal.plainworld import PlainFlow, loaded
from core.workflow.rehearsal.proving import Place, prove
from core.workflow.rehearsal.storedworld import StoredWorld
from core.workflow.rehearsal.walking import Walk, first_flow, walk
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff

Answer = dict[str, Any]

#: Past records that one replay looks at, the latest first.
MOST_REPLAYED = 500
#: Months that a replay may go back.
MOST_MONTHS = 24
#: Changed records that a replay tells one by one, and people that a seat names.
_TOLD = 50
_NAMED = 20


def require_configurator(ctx: Context) -> None:
    """Let only those pass who may change flows; raises Forbidden."""
    if not (ctx.actor.is_system or ctx.actor.roles & ADMINISTRATORS):
        raise Forbidden


# -- proof ------------------------------------------------------------------------------------


def prove_flow(ctx: Context, release: Release, flow: Flow) -> Answer:
    """Return what a flow of a release lacks among the staff, at which stores and departments."""
    with ctx.reading() as connection:
        staff = STAFF.staff(ctx, connection)
        places = _places(ctx, connection)
    plain = PlainFlow(release, flow)
    found = prove(plain, staff, places, ctx.now)
    names = {one.id: one.name for one in places}
    return {
        "flow": flow.flow,
        "version": flow.version,
        "places": found.places,
        "seats": found.seats,
        "unknown": list(found.unknown),
        "titles": _titles(plain),
        "gaps": [
            {
                "kind": gap.kind,
                "steps": list(gap.step),
                "seat": gap.seat,
                "branch": list(gap.branch),
                "people": [_person(staff, one) for one in gap.people],
                "places": [{"id": one, "name": names[one]} for one in gap.places[:_NAMED]],
                "count": len(gap.places),
                "handled": gap.handled,
            }
            for gap in found.gaps
        ],
    }


def _titles(plain: PlainFlow) -> dict[str, Mapping[str, str]]:
    """Return the titles of steps, and of seats as `STEP.SEAT`, that have one."""
    found = {name: node.step.title for name, node in plain.tree.nodes.items()}
    for name, node in plain.tree.nodes.items():
        found |= {f"{name}.{seat}": spec.title for seat, spec in node.step.seats.items()}
    return {name: title for name, title in found.items() if title}


def prove_changes(ctx: Context, running: Release, release: Release) -> list[Answer]:
    """Return the proof of every flow that a release changes or adds."""
    return [
        prove_flow(ctx, release, flow)
        | {"unmapped": unmapped_steps(running.flows.get(name), flow)}
        for name, flow in release.flows.items()
        if running.flows.get(name) != flow
    ]


def unmapped_steps(before: Flow | None, after: Flow) -> list[str]:
    """Return the human steps that a new version has no more, where what runs is to follow it.

    Whoever migrates a running approval that stands at one of them says where it goes on.
    """
    if before is None or after.in_flight.on_flow_publish != "migrate":
        return []
    left = {step.id for _, step in steps_of(after)}
    return [step.id for _, step in steps_of(before) if step.type in HUMAN and step.id not in left]


def _places(ctx: Context, connection: Connection) -> list[Place]:
    found = []
    for kind in PLACE_TYPES:
        record_type = ctx.registry.release.type(kind)
        if record_type is None or record_type.archived:
            continue
        table = ctx.registry.tables[kind].main
        shown = table.c[record_type.title_field] if record_type.title_field else table.c.id
        rows = connection.execute(
            sa.select(table.c.id, shown).where(table.c.deleted_at.is_(None)).order_by(shown)
        )
        found += [Place(row[0], kind, str(row[1] or row[0])) for row in rows]
    return found


def _person(staff: Staff, person: str) -> Answer:
    return {"id": person, "name": staff.name(person)}


# -- replay -----------------------------------------------------------------------------------


def replay(ctx: Context, release: Release, *, months: int = 3, flow: str = "") -> Answer:
    """Return how past records would have gone by a release not yet in force.

    Each ended approval of the last months is walked twice, by the flows in force and by
    those of the release, with the values that were submitted and the people as of now.

    Args:
        ctx: of a configurator.
        release: the release that is tried, such as a draft's.
        months: how far back, up to `MOST_MONTHS`.
        flow: only for the documents of this flow of the release; empty for all that change.

    Raises:
        Invalid: a number of months that cannot be, or there is no such flow.
    """
    require_configurator(ctx)
    running = ctx.registry.release
    if not 1 <= months <= MOST_MONTHS:
        told = N_("This must be between {least} and {most}.")
        params = {"least": 1, "most": MOST_MONTHS}
        raise Invalid(problems=[Problem("months", "field.out_of_range", told, params)])
    if flow and flow not in release.flows:
        told = N_("There is no flow {name}.")
        raise Invalid(problems=[Problem("flow", "field.unknown", told, {"name": flow[:80]})])
    since = ctx.now - timedelta(days=31 * months)
    documents = {one.document for name, one in release.flows.items() if name == flow or (
        not flow and running.flows.get(name) != one
    )}  # fmt: skip
    documents |= {
        one.document
        for name, one in running.flows.items()
        if not flow and name not in release.flows
    }
    with ctx.reading() as connection:
        rows = _ended(connection, documents, since)
        staff = STAFF.staff(ctx, connection)
        before = _Trying(ctx, connection, running, staff)
        after = _Trying(ctx, connection, release, staff)
        pairs = [(row, before.walk(row), after.walk(row)) for row in rows[:MOST_REPLAYED]]
        latency = _latency(ctx, connection, pairs)
    return {
        "since": to_wire(since),
        "months": months,
        "people_as_of": to_wire(ctx.now),
        "documents": sorted(documents),
        "is_complete": len(rows) <= MOST_REPLAYED,
        "latency": latency,
        **_compared(staff, pairs),
    }


def _latency(
    ctx: Context, connection: Connection, pairs: list[tuple[Row, Walk | None, Walk | None]]
) -> list[Answer]:
    """Return what the steps on the ways took in the past: an estimate, where there is one.

    `before` and `after` say how many of the records pass the step by either way.
    """
    ways: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for row, *walks in pairs:
        counters = ways.setdefault(row["record_type"], (Counter(), Counter()))
        for counter, walked in zip(counters, walks, strict=True):
            counter.update(set(_route(walked)))
    found = []
    for name, (old, new) in sorted(ways.items()):
        times = step_times(ctx, connection, name, {*old, *new})
        found += [
            {"type": name, "step": step, "before": old[step], "after": new[step], **times[step]}
            for step in [*old, *(one for one in new if one not in old)]
            if step in times
        ]
    return found


def _ended(connection: Connection, documents: Collection[str], since: datetime) -> list[Row]:
    query = (
        sa.select(instance)
        .where(
            instance.c.record_type.in_(sorted(documents)),
            instance.c.ended_at >= to_wire(since),
            instance.c.state.not_in(OPEN_STATES),
        )
        .order_by(instance.c.ended_at.desc(), instance.c.id)
        .limit(MOST_REPLAYED + 1)
    )
    return list(connection.execute(query).mappings())


def _compared(staff: Staff, pairs: list[tuple[Row, Walk | None, Walk | None]]) -> Answer:
    """Return what differs between two walks of each record."""
    routes: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    added: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    items: list[Answer] = []
    changed = stuck = 0
    for row, before, after in pairs:
        old, new = _people_of(before), _people_of(after)
        stuck += bool(after is None or after.stuck or after.refused)
        if _way(before) == _way(after) and old == new:
            continue
        changed += 1
        routes[_route(before), _route(after)] += 1
        added.update(new - old)
        removed.update(old - new)
        if len(items) < _TOLD:
            items.append(
                {
                    "instance": row["id"],
                    "record": {"type": row["record_type"], "id": row["record_id"]},
                    "before": _told(before),
                    "after": _told(after),
                    "added": [_person(staff, one) for one in sorted(new - old)][:_NAMED],
                    "removed": [_person(staff, one) for one in sorted(old - new)][:_NAMED],
                }
            )
    return {
        "count": len(pairs),
        "changed": changed,
        "stuck": stuck,
        "routes": [
            {"before": list(old_way), "after": list(new_way), "count": count}
            for (old_way, new_way), count in routes.most_common(_TOLD)
        ],
        "added": _counted(staff, added),
        "removed": _counted(staff, removed),
        "items": items,
    }


def _counted(staff: Staff, people: Counter[str]) -> list[Answer]:
    return [{**_person(staff, one), "count": count} for one, count in people.most_common(_NAMED)]


def _people_of(walked: Walk | None) -> frozenset[str]:
    return walked.people if walked else frozenset()


def _route(walked: Walk | None) -> tuple[str, ...]:
    return walked.route if walked else ()


def _way(walked: Walk | None) -> tuple[Any, ...]:
    """Return everything of a walk in which two can differ."""
    return (walked.route, walked.ending, walked.stuck, walked.refused) if walked else ()


def _told(walked: Walk | None) -> Answer | None:
    if walked is None:
        return None
    return {
        "flow": walked.flow.flow,
        "version": walked.flow.version,
        "route": list(walked.route),
        "ending": walked.ending,
        "stuck": list(walked.stuck),
        "refused": walked.refused,
    }


class _Trying:
    """Walks records by the flows of one release."""

    def __init__(
        self, ctx: Context, connection: Connection, release: Release, staff: Staff
    ) -> None:
        self._ctx, self._connection = ctx, connection
        self._release, self._staff = release, staff
        self._plain: dict[str, PlainFlow] = {}

    def walk(self, row: Row) -> Walk | None:
        """Return the way of what an instance was about; None where no flow is for it."""
        record_type = self._release.type(row["record_type"])
        if record_type is None or record_type.archived:
            return None
        values = python_values(record_type, msgspec.json.decode(row["values"]))
        flows = flows_in_order(self._release.flows, record_type.name)
        world = first_flow(flows, lambda flow: self.world(flow, values, row["initiator"]))
        return walk(world, makers_of(row)) if world else None

    def world(self, flow: Flow, values: Mapping[str, Any], initiator: str) -> StoredWorld:
        """Return the world of a document on a flow."""
        if flow.flow not in self._plain:
            self._plain[flow.flow] = PlainFlow(self._release, flow)
        ctx = self._ctx
        return StoredWorld(
            self._plain[flow.flow], self._staff, initiator, ctx.now.astimezone(UTC),
            ctx.time_zone.key, dict(values), ctx=ctx, connection=self._connection,
        )  # fmt: skip


def makers_of(row: Row) -> list[str]:
    """Return the ids of those who made what an instance is about."""
    return [one for one in row["makers"].split("|") if one]


def python_values(record_type: RecordType, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return wire values as expressions know them; what a field does not take is left out."""
    found = {}
    for one in record_type.fields:
        if one.name in written and not field_type(one.type).computed:
            try:
                found[one.name] = loaded(one, written[one.name])
            except FieldError:
                continue  # the field's rule has changed since; it is as if it were empty
    return found
