"""What a flow would do, asked of the real data and staff: proof, replay and what-if.

Nothing is written: the flow is walked in memory by the engine that decides real votes.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from core.i18n import N_, pick
from core.records.plugin_settings import ADMINISTRATORS
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flows import HUMAN, Flow
from core.schema.flowtexts import flows_in_order, steps_of
from core.schema.model import RecordType, Release
from core.schema.placerows import PLACE_TYPES
from core.workflow.models import OPEN_STATES, Row, instance, task
from core.workflow.people import STAFF
from core.workflow.plainworld import PlainFlow, loaded
from core.workflow.proving import Place, prove
from core.workflow.run import decode_flow
from core.workflow.seen import seen_record
from core.workflow.staff import Staff
from core.workflow.storedworld import StoredWorld
from core.workflow.walking import Stop, Walk, first_flow, walk

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
    return {
        "since": to_wire(since),
        "months": months,
        "people_as_of": to_wire(ctx.now),
        "documents": sorted(documents),
        "is_complete": len(rows) <= MOST_REPLAYED,
        **_compared(staff, pairs),
    }


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


# -- what if ----------------------------------------------------------------------------------


def what_if(
    ctx: Context,
    instance_id: str,
    *,
    fields: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> Answer:
    """Return the way of a running item as it is, and as it would be.

    Args:
        ctx: of a configurator who may see the document.
        instance_id: the running instance; its own version of the flow is walked.
        fields: values that the document would have, among those the actor may see.
        without: ids of people who would not be there.

    Raises:
        Forbidden: the actor may not change flows, or not see the document.
        NotFound: there is no such instance.
        Conflict: it has ended.
        Invalid: a field is not there, or does not take its value.
    """
    require_configurator(ctx)
    with ctx.reading() as connection:
        row = connection.execute(sa.select(instance).where(instance.c.id == instance_id))
        found = row.mappings().first()
        if found is None:
            raise NotFound
        seen = seen_record(ctx, found["record_type"], found["record_id"])
        if seen is None:
            raise Forbidden
        if found["state"] not in OPEN_STATES:
            raise Conflict(N_("This approval has ended."))
        release = _pinned(ctx.registry.release, found)
        record_type = release.types[found["record_type"]]
        values = python_values(record_type, msgspec.json.decode(found["values"]))
        changed = values | _asked(record_type, fields or {}, seen)
        staff = STAFF.staff(ctx, connection)
        fewer = _without(staff, without)
        flow = release.flows[found["flow"]]
        now, then = (
            walk(
                _Trying(ctx, connection, release, people).world(flow, used, found["initiator"]),
                makers_of(found),
            )
            for people, used in ((staff, values), (fewer, changed))
        )
        standing = _standing(connection, instance_id)
    return {
        "instance": instance_id,
        "flow": {"name": flow.flow, "version": flow.version},
        **standing,
        "now": walk_json(now, staff, ctx.locale),
        "then": walk_json(then, staff, ctx.locale),
        "added_steps": [one for one in then.route if one not in now.route],
        "removed_steps": [one for one in now.route if one not in then.route],
    }


def _pinned(release: Release, row: Row) -> Release:
    """Return the release with the flows that an instance runs by."""
    flow = decode_flow(row["definition"])
    flow = msgspec.structs.replace(flow, document=row["record_type"])
    subflows = msgspec.json.decode(row["subflows"] or "{}", type=dict[str, Flow])
    return msgspec.structs.replace(release, flows={**subflows, flow.flow: flow})


def _asked(
    record_type: RecordType, fields: Mapping[str, Any], seen: Mapping[str, Any]
) -> dict[str, Any]:
    """Return changed values; those that the actor may not see are as if they were not there."""
    problems, found = [], {}
    for name, value in fields.items():
        one = record_type.field(name)
        if one is None or name not in seen or field_type(one.type).computed:
            text = N_("There is no field {name}.")
            problems.append(Problem(f"fields.{name}", "field.unknown", text, {"name": name[:80]}))
            continue
        try:
            found[name] = loaded(one, value)
        except FieldError as error:
            problems.append(Problem(f"fields.{name}", error.code, error.text, error.params))
    if problems:
        raise Invalid(problems=problems)
    return found


def _without(staff: Staff, people: Collection[str]) -> Staff:
    """Return the staff with some people away; whoever is not known is a problem."""
    unknown = sorted(set(people) - staff.people.keys())
    if unknown:
        text = N_("There is nobody with the id {id}.")
        raise Invalid(
            problems=[
                Problem("without", "field.unknown", text, {"id": one[:40]}) for one in unknown
            ]
        )
    gone = set(people)
    return replace(
        staff,
        people={
            one: replace(person, is_active=person.is_active and one not in gone)
            for one, person in staff.people.items()
        },
        roles={
            role: tuple(one for one in held if one not in gone)
            for role, held in staff.roles.items()
        },
    )


def _standing(connection: Connection, instance_id: str) -> Answer:
    """Return which steps have been decided and which wait."""
    rows = connection.execute(
        sa.select(task.c.step, task.c.state, task.c.result)
        .where(task.c.instance_id == instance_id)
        .order_by(task.c.opened_at, task.c.id)
    ).all()
    return {
        "decided": [row.step for row in rows if row.state == "done" and row.result != "return"],
        "open": [row.step for row in rows if row.state in {"open", "suspended"}],
    }


def walk_json(walked: Walk, staff: Staff, locale: str) -> Answer:
    """Return a walk as answers write it, titles in `locale`."""
    titles = {name: one.step.title for name, one in walked.tree.nodes.items()}
    return {
        "ending": walked.ending,
        "stuck": list(walked.stuck),
        "refused": walked.refused,
        "stops": [_stop(one, staff, titles, locale) for one in walked.stops],
    }


def _stop(
    stop: Stop, staff: Staff, titles: Mapping[str, Mapping[str, str]], locale: str
) -> Answer:
    return {
        "step": stop.step,
        "title": pick(titles[stop.step], locale, stop.step),
        "item": stop.item,
        "seats": [
            {
                "seat": seat.key,
                "people": [_person(staff, one) for one in seat.people[:_NAMED]],
                "count": len(seat.people),
            }
            for seat in stop.seats
        ],
        "opens_at": stop.opened_at,
        "due": [{"do": do, "at": at} for do, at in stop.due],
    }
