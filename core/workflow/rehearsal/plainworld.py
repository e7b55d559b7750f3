"""The world of a flow without a database: a document of plain values, and calendars; pure.

Tests in a flow's file and the proof of its approvers run in it; who the people are differs.
"""

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from core.businesstime import Calendar, parse_duration
from core.expression import Expression, ExpressionError, PlainEnv, Scope, compile_expression
from core.expression.types import Env, Kind
from core.i18n import N_
from core.schema.calendars import calendar_of, chosen_calendar, zone_of
from core.schema.decisiontables import chosen_sources, row_conditions, table_of
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flows import Flow, Source
from core.schema.flowtexts import compile_list, flow_scope, own_names, subflows_of
from core.schema.model import Field, RecordType, Release
from core.workflow.engine.state import Identity
from core.workflow.engine.tree import Tree, compile_flow
from core.workflow.engine.world import Asking, Pool
from core.workflow.staff import directory
from core.workflow.staff.directory import Directory
from core.workflow.staff.roster import Staff

#: Types whose values name others, who need not exist where nothing is stored.
_MADE_UP = frozenset({"link", "links", "user", "users", "department"})
#: Formulas that read other formulas are computed so often.
_ROUNDS = 3


class PlainFlow:
    """A flow of a release with its expressions compiled once, for many worlds."""

    def __init__(self, release: Release, flow: Flow) -> None:
        """Take a flow of a release that was checked."""
        self.release = release
        self.flow = flow
        self.record_type: RecordType = release.types[flow.document]
        self.tree: Tree = compile_flow(flow, subflows_of(release.flows, flow))
        self._scopes: dict[str, Scope] = {}
        self._compiled: dict[tuple[str, str], Expression] = {}

    @cached_property
    def scope(self) -> Scope:
        """Return what the flow's expressions can see, those of its subflows included."""
        flows = {self.flow.flow: self.flow, **subflows_of(self.release.flows, self.flow)}
        found = [flow_scope(self.release.types, one, flows) for one in flows.values()]
        return next((one for one in found if "item" in one.variables), found[0])

    def compiled(self, text: str, expect: Kind | None = None) -> Expression:
        """Return one of its expressions."""
        key = (text, expect or "")
        if key not in self._compiled:
            self._compiled[key] = (
                compile_list(text, self.scope)
                if expect == "list"
                else compile_expression(own_names(text), self.scope, expect=expect)
            )
        return self._compiled[key]

    def calendar(self, zone: str) -> Calendar:
        """Return the calendar that the flow names, or the default one."""
        known = self.release.calendars
        name = chosen_calendar((self.flow.calendar,), known)
        return calendar_of(name, known, zone_of(name, known) or zone)

    @cached_property
    def _formulas(self) -> tuple[tuple[Field, Expression], ...]:
        found = []
        for one in self.record_type.fields:
            text = one.formula if one.type == "formula" else _rollup_text(one, self.record_type)
            try:
                made = compile_expression(text, self.scope) if text else None
            except ExpressionError:
                made = None  # it reads other records, which are not there
            if made is not None and made.is_local:
                found.append((one, made))
        return tuple(found)

    def row(self, values: Mapping[str, Any], env: Env) -> dict[str, Any]:
        """Return values with what the record type computes from them."""
        row = dict(values)
        for _ in range(_ROUNDS):
            for one, formula in self._formulas:
                row[one.name] = formula.evaluate(row, env)
        return row

    def conditions_of(self, source: Source) -> list[Expression]:
        """Return the conditions of the rows of a decision table that a source asks."""
        table = table_of(source, self.release.decision_tables)
        rows = row_conditions(table, [own_names(one) for one in source.in_])
        return [self.compiled(one, "boolean") for one in rows]


def _rollup_text(one: Field, record_type: RecordType) -> str:
    over = record_type.field(one.of) if one.type == "rollup" else None
    if over is None or over.type != "table" or one.filter:
        return ""
    return f"{one.how}({one.of})" if one.how == "count" else f"{one.how}({one.of}.{one.take})"


def loaded(field: Field, value: Any) -> Any:
    """Return a written value as expressions know it; one that a field refuses is a FieldError."""
    if value is None or value == "":
        return None
    if field.type == "table":
        if not isinstance(value, list | tuple):
            raise FieldError("field.bad_type", N_("This must be a list."))
        columns = {one.name: one for one in field.fields}
        return [
            {name: loaded(columns[name], one) for name, one in row.items() if name in columns}
            for row in value
            if isinstance(row, Mapping)
        ]
    if field.type in _MADE_UP:
        return value if isinstance(value, list) else str(value)
    return field_type(field.type).load(value, field)


def wire(value: Any) -> Any:
    """Return a Python value as answers write it; a record is its id."""
    if isinstance(value, Mapping):
        return value["id"] if "id" in value else {name: wire(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [wire(one) for one in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


@dataclass  # noqa: PLR0904  the engine asks so much
class PlainWorld:
    """One document in a world of plain values; implements `World`.

    Attributes:
        plain: the flow.
        staff: everybody there is.
        initiator: who submitted the document.
        now: the instant; it is moved by whoever plays.
        zone: the time zone of days.
        values: the document's values, in Python.
    """

    plain: PlainFlow
    staff: Staff
    initiator: str
    now: datetime
    zone: str
    values: dict[str, Any] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def move(self, instant: datetime) -> None:
        """Let it be `instant` from now on."""
        self.now = instant

    def new_id(self) -> str:
        """Return an id that nothing else in this world has."""
        return f"{next(self._numbers):08}"

    # -- the document -----------------------------------------------------------------------

    def evaluate(self, expression: Expression, item: Any = None) -> Any:
        """Return the value of an expression over the document."""
        row, env = self.seen({"initiator": self.initiator, "item": item})
        return expression.evaluate(row, env)

    def seen(self, variables: Mapping[str, Any]) -> tuple[Mapping[str, Any], Env]:
        """Return the document as expressions see it, and what they may ask besides."""
        env = PlainEnv(self.now, ZoneInfo(self.zone), self.initiator, variables)
        return self.plain.row(self.values, env), env

    def holds(self, condition: str, item: Any = None) -> bool:
        """Return whether a condition holds for the document; unknown is False."""
        return self.evaluate(self.plain.compiled(condition, "boolean"), item) is True

    def value(self, expression: str, item: Any = None) -> Any:
        """Return the wire value of an expression over the document."""
        return wire(self.evaluate(self.plain.compiled(expression), item))

    def moment(self, expression: str, item: Any = None) -> datetime | bool:
        """Return the instant that a wait is for, or whether its condition holds."""
        found = self.evaluate(self.plain.compiled(expression), item)
        if isinstance(found, datetime):
            return found.astimezone(UTC)
        if isinstance(found, date):
            return datetime.combine(found, time(), ZoneInfo(self.zone)).astimezone(UTC)
        return found is True

    def items(self, expression: str) -> Sequence[Any]:
        """Return what a subflow is walked for, as wire values."""
        found = self.evaluate(self.plain.compiled(expression, "list"))
        return [wire(one) for one in found or ()]

    def subject_hash(self) -> str:
        """Return the hash of what is voted on."""
        names = self.plain.flow.subject or [one.name for one in self.plain.record_type.fields]
        body = {name: wire(self.values.get(name)) for name in names}
        return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()

    # -- people -----------------------------------------------------------------------------

    @property
    def directory(self) -> Directory:
        """Return the people of this document as of now."""
        asked = directory.Subject(
            record_type=self.plain.record_type,
            values={name: wire(one) for name, one in self.values.items()},
            initiator=self.initiator,
            steps=frozenset(self.plain.tree.nodes),
            value=self.value,
            rows=self._rows,
        )
        return Directory(self.staff, asked, self.now)

    def _rows(self, source: Source, item: Any) -> Iterable[Source]:
        """Return the sources that a decision table's answer names."""
        held = [self.evaluate(one, item) is True for one in self.plain.conditions_of(source)]
        return chosen_sources(table_of(source, self.plain.release.decision_tables), held)

    def resolve(self, source: Source, asking: Asking) -> tuple[Pool, ...]:
        """Return the people of a source in their order."""
        return self.directory.resolve(source, asking)

    def people(self, identity: Identity) -> tuple[str, ...]:
        """Return the ids of the active users behind an identity."""
        return self.staff.behind(identity)

    def name(self, person: str) -> str:
        """Return what people call a user."""
        return self.staff.name(person)

    def manager(self, person: str) -> str:
        """Return the id of somebody's active manager, or ""."""
        return self.staff.manager(person)

    def deputy(self, person: str) -> str:
        """Return who stands in for somebody for this document now, or ""."""
        return self.directory.deputy(person)

    def stand_ins(self, identity: Identity) -> Sequence[tuple[str, str]]:
        """Return the deputies for what waits for a role or post, each with for whom."""
        return self.directory.stand_ins(identity)

    # -- time -------------------------------------------------------------------------------

    @cached_property
    def calendar(self) -> Calendar:
        """Return the calendar of the clocks."""
        return self.plain.calendar(self.zone)

    def clock(self, duration: str, start: datetime, item: Any = None) -> tuple[bool, int]:  # noqa: ARG002  one calendar
        """Return whether a duration is business time, and its seconds from `start` on."""
        length = parse_duration(duration)
        end = self.calendar.add(start, length)
        return length.business, self.calendar.elapsed(start, end, business=length.business)

    def fires(self, start: datetime, *, business: bool, left: int, item: Any = None) -> datetime:  # noqa: ARG002  one calendar
        """Return when a clock with so many seconds left goes off, started at `start`."""
        return self.calendar.after(start, left, business=business)

    def spent(self, start: datetime, *, business: bool, item: Any = None) -> int:  # noqa: ARG002  one calendar
        """Return the seconds of a clock's time between `start` and now."""
        return self.calendar.elapsed(start, self.now, business=business)


__all__ = ["FieldError", "PlainFlow", "PlainWorld", "loaded", "wire"]
