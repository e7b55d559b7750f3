"""The world of a running instance: its document as proposed, the staff, calendars, the clock.

Conditions see everything, as checks do: a flow is the product's own rule. `current_user` is
the initiator in them, so that what follows never depends on who happens to decide.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Any

import msgspec
from sqlalchemy.engine import Connection

from core.actor import SYSTEM
from core.businesstime import Calendar, parse_duration
from core.context import Context
from core.expression import Expression, compile_expression
from core.expression.types import Kind
from core.ids import new_id
from core.records.environment import RecordEnv
from core.records.validation import compile_validator
from core.records.wire import instant_text
from core.schema.decisiontables import chosen_sources, row_conditions, table_of
from core.schema.flowpeople import Source
from core.schema.flows import Flow
from core.schema.flowtexts import compile_list, flow_scope, own_names
from core.schema.placerows import PLACE_TYPES
from core.workflow.clocks import calendar_for
from core.workflow.engine.state import Identity
from core.workflow.engine.tree import Tree
from core.workflow.engine.world import Asking, Pool
from core.workflow.staff import directory
from core.workflow.staff.directory import Directory
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff
from core.workflow.subject import Subject


@dataclass(frozen=True, slots=True)
class Matter:
    """What an instance is about.

    Attributes:
        tree: the flow it runs by.
        subflows: the flows that it may walk.
        record: the whole live record in Python values.
        subject: the same as proposed, in wire values.
    """

    tree: Tree
    subflows: Mapping[str, Flow]
    type_name: str
    initiator: str
    record: Mapping[str, Any]
    subject: Subject


class LiveWorld:  # noqa: PLR0904  the engine asks all of it
    """What the engine asks about one instance, as of one operation; implements `World`."""

    def __init__(self, ctx: Context, connection: Connection, matter: Matter) -> None:
        """Ask through `connection`, as of the context's instant."""
        self._ctx = replace(ctx, actor=SYSTEM)
        self._connection = connection
        self._matter = matter
        self._now = ctx.now
        self._calendars: dict[str, Calendar] = {}

    @property
    def now(self) -> datetime:
        """Return the instant of the operation."""
        return self._now

    def new_id(self) -> str:
        """Return an id that nothing else has."""
        return new_id()

    # -- the document -----------------------------------------------------------------------

    def holds(self, condition: str, item: Any = None) -> bool:
        """Return whether a condition holds for the document as proposed; unknown is False."""
        return self._evaluate(self._compiled(condition, "boolean"), item) is True

    def moment(self, expression: str, item: Any = None) -> datetime | bool:
        """Return the instant that a wait is for, or whether its condition holds."""
        found = self._evaluate(self._compiled(expression, None), item)
        if isinstance(found, datetime):
            return found.astimezone(UTC)
        if isinstance(found, date):
            return datetime.combine(found, time(), self._env.zone).astimezone(UTC)
        return found is True

    def items(self, expression: str) -> Sequence[Any]:
        """Return what a subflow is walked for, as wire values."""
        listed = self._ctx.registry.memo(
            ("workflow.list", self._flow_key, expression),
            lambda: compile_list(expression, self._scope),
        )
        found = self._evaluate(listed, None)
        return [_wire(one) for one in found or ()]

    def value(self, expression: str, item: Any = None) -> Any:
        """Return the wire value of an expression over the document as proposed."""
        return _wire(self._evaluate(self._compiled(expression, None), item))

    def reads(self, condition: str) -> frozenset[str]:
        """Return the document's own fields that a condition looks at."""
        paths = self._compiled(condition, "boolean").paths
        return frozenset(path.partition(".")[0] for path in paths)

    @property
    def proposed(self) -> Mapping[str, Any]:
        """Return the document as proposed, in Python values."""
        return self._row

    @cached_property
    def _env(self) -> RecordEnv:
        env = RecordEnv(self._ctx, self._connection)
        env.user = self._matter.initiator
        return env

    @cached_property
    def _row(self) -> Mapping[str, Any]:
        """Return the document as proposed, as expressions see it."""
        matter, found = self._matter, self._matter.subject.proposal
        values = dict(matter.record)
        if found is not None:
            validator = compile_validator(self._ctx.registry, matter.type_name)
            values |= validator.trusted(matter.record, found.values)
        return self._env.view(matter.type_name, values)

    @property
    def _flow_key(self) -> tuple[str, int]:
        return self._matter.tree.flow.flow, self._matter.tree.flow.version

    @cached_property
    def _scope(self) -> Any:
        release, matter = self._ctx.registry.release, self._matter
        flow = msgspec.structs.replace(matter.tree.flow, document=matter.type_name)
        return flow_scope(release.types, flow, {flow.flow: flow, **matter.subflows})

    def _compiled(self, text: str, expect: Kind | None) -> Expression:
        return self._ctx.registry.memo(
            ("workflow.text", self._flow_key, text, expect),
            lambda: compile_expression(own_names(text), self._scope, expect=expect),
        )

    def _evaluate(self, expression: Expression, item: Any) -> Any:
        env = self._env
        env.variables = {"initiator": self._matter.initiator, "item": item}
        return expression.evaluate(self._row, env)

    # -- people -----------------------------------------------------------------------------

    @cached_property
    def _directory(self) -> Directory:
        matter = self._matter
        record_type = self._ctx.registry.record_type(matter.type_name)
        asked = directory.Subject(
            record_type=record_type,
            values=matter.subject.proposed,
            initiator=matter.initiator,
            steps=frozenset(matter.tree.nodes),
            value=self.value,
            rows=self._table_rows,
        )
        return Directory(self.staff, asked, self._now)

    @property
    def staff(self) -> Staff:
        """Return everybody who works here."""
        return STAFF.staff(self._ctx, self._connection)

    def _table_rows(self, source: Source, item: Any) -> Iterable[Source]:
        """Return the sources that a decision table's answer names."""
        table = table_of(source, self._ctx.registry.release.decision_tables)
        held = [
            self.holds(condition, item) if condition else True
            for condition in row_conditions(table, source.in_)
        ]
        return chosen_sources(table, held)

    def resolve(self, source: Source, asking: Asking) -> tuple[Pool, ...]:
        """Return the people of a source in their order."""
        return self._directory.resolve(source, asking)

    def people(self, identity: Identity) -> tuple[str, ...]:
        """Return the ids of the active users behind an identity."""
        return self._directory.people(identity)

    def name(self, person: str) -> str:
        """Return what people call a user."""
        return self._directory.name(person)

    def manager(self, person: str) -> str:
        """Return the id of somebody's active manager, or ""."""
        return self._directory.manager(person)

    def deputy(self, person: str) -> str:
        """Return who stands in for somebody for this document now, or ""."""
        return self._directory.deputy(person)

    def stand_ins(self, identity: Identity) -> tuple[tuple[str, str], ...]:
        """Return who stands in for people of a role or post now, each with for whom."""
        return self._directory.stand_ins(identity)

    # -- time -------------------------------------------------------------------------------

    def clock(self, duration: str, start: datetime, item: Any = None) -> tuple[bool, int]:
        """Return whether a duration is business time, and its seconds from `start` on."""
        length = parse_duration(duration)
        calendar = self._calendar(item)
        end = calendar.add(start, length)
        return length.business, calendar.elapsed(start, end, business=length.business)

    def fires(self, start: datetime, *, business: bool, left: int, item: Any = None) -> datetime:
        """Return when a clock with so many seconds left goes off, started at `start`."""
        return self._calendar(item).after(start, left, business=business)

    def spent(self, start: datetime, *, business: bool, item: Any = None) -> int:
        """Return the seconds of a clock's time between `start` and now."""
        return self._calendar(item).elapsed(start, self._now, business=business)

    def _calendar(self, item: Any) -> Calendar:
        place = self.place(item)
        if place not in self._calendars:
            name = self._matter.tree.flow.calendar
            self._calendars[place] = calendar_for(self._ctx, name, place)
        return self._calendars[place]

    def place(self, item: Any = None) -> str:
        """Return the id of the place whose hours clocks run by: the item, else the document's."""
        return item if isinstance(item, str) and item else self._place

    @cached_property
    def _place(self) -> str:
        """Return the id of the document's store, else of its department; empty without."""
        record_type = self._ctx.registry.record_type(self._matter.type_name)
        for kind in PLACE_TYPES:
            for field in record_type.fields:
                is_place = field.type in {"link", "department"} and field.target == kind
                if is_place and self._row.get(field.name):
                    return str(self._row[field.name])
        return ""


def _wire(value: Any) -> Any:
    """Return a Python value as answers write it; a record is its id."""
    if isinstance(value, Mapping):
        return value.get("id")
    if isinstance(value, list | tuple | set | frozenset):
        return [_wire(one) for one in value]
    if isinstance(value, datetime):
        return instant_text(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)
