"""Answers "why is this required, hidden, locked?" for one field of a record and its reader.

Rules see everything, their reader does not: a value that they read and the reader may not
is said to be out of reach, and so is every part of a condition that would give it away.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem
from core.expression import Expression
from core.i18n import N_
from core.policies.access import Access, access
from core.records.children import attach
from core.records.conditions import Condition, FieldConditions, Situation
from core.records.environment import RecordEnv
from core.records.queries import get_record
from core.records.subject import is_empty
from core.records.validation import compile_validator
from core.schema.fieldbase import wire_value
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType
from core.schema.scopes import table_at

Record = dict[str, Any]

#: A row's number in a path.
_NUMBER = re.compile(r"[0-9]{1,4}")


def explain_field(ctx: Context, type_name: str, record_id: str, name: str) -> Record:
    """Return why a field of a stored record is shown, required or locked, and its options.

    `name` is a field's, or `lines.0.rate` for a column of a row, as problems name it.

    The answer has `field`, `visible`, `required`, `read_only` (each with `value` and
    `reasons`) and `options` (option -> whether it may be chosen). A reason has its `source`
    (a property of the field, `rule` or `stage`), `name`, `text`, `holds`, and `parts`: what
    was read, as it was written, with the `value` or `no_access`.

    Raises:
        NotFound: the record is not there for this actor.
        Forbidden: the actor may not see the field.
        Invalid: the type has no such field, or the record no such row.
    """
    rights = access(ctx, type_name)
    about = _about(rights.record_type, name)
    if about is None:
        raise _unknown(name)
    with ctx.reading():
        seen = get_record(ctx, type_name, record_id)
        hidden = frozenset(seen.get("no_access", ()))
        if name.partition(".")[0] in hidden:
            raise Forbidden
        hidden |= frozenset(seen.get("masked", ()))
        reader = Reader(ctx, rights, RecordEnv(ctx, _connection(ctx)), hidden)
        stored = stored_record(ctx, type_name, record_id)
        if len(about.seen(stored)) <= len(about.rows):
            raise _unknown(name)
        return {**reader.explain(about, stored), "field": name}


@dataclass(frozen=True, slots=True)
class _About:
    """What is asked about: a field, or a column of one row of a table field.

    Attributes:
        rows: (table field, number of its row) on the way to the field, the outermost first.
    """

    field: Field
    rows: tuple[tuple[str, int], ...] = ()

    @property
    def table(self) -> str:
        """Return the path of the table field, such as `lines`; empty for a field."""
        return ".".join(name for name, _ in self.rows)

    def seen(self, record: Any) -> list[Any]:
        """Return the record and the rows on the way; too few where one is not there."""
        found = [record]
        for name, number in self.rows:
            listed = found[-1].get(name) or ()
            if number >= len(listed):
                break
            found.append(listed[number])
        return found


def _about(record_type: RecordType, name: str) -> _About | None:
    *path, last = name.split(".")
    if len(path) % 2 or not all(_NUMBER.fullmatch(one) for one in path[1::2]):
        return None
    rows = tuple(zip(path[::2], map(int, path[1::2]), strict=True))
    holder = table_at(record_type, ".".join(path[::2])) if rows else record_type
    fields = holder.fields if holder else ()
    found = next((one for one in fields if one.name == last), None)
    return None if found is None else _About(found, rows)


def _unknown(name: str) -> Invalid:
    text = N_("There is no field {name}.")
    return Invalid(problems=[Problem("field", "query.unknown_field", text, {"name": name[:80]})])


def _connection(ctx: Context) -> sa.Connection:
    assert ctx.connection is not None  # noqa: S101  the caller reads
    return ctx.connection


def stored_record(ctx: Context, type_name: str, record_id: str) -> Record:
    """Return everything that rules see of a record, within a transaction under way.

    Raises:
        NotFound: there is no such record.
    """
    tables = ctx.registry.tables[type_name]
    connection = _connection(ctx)
    query = sa.select(tables.main).where(tables.main.c.id == record_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound
    record = dict(row)
    attach(connection, ctx.registry, type_name, [record], (*tables.children, *tables.links))
    return record


@dataclass(slots=True)
class Reader:
    """Explains one record to one person."""

    ctx: Context
    rights: Access
    env: RecordEnv
    hidden: frozenset[str]

    @property
    def record_type(self) -> RecordType:
        """Return the record's type."""
        return self.rights.record_type

    def explain(self, about: _About, stored: Record) -> Record:
        """Return the whole answer for one field."""
        field = about.field
        row: Any = self.env.view(self.record_type.name, stored)
        validator = compile_validator(self.ctx.registry, self.record_type.name)
        conditions = validator.conditions
        if about.table:
            conditions = validator.columns[about.table]
            for each in about.seen(stored)[1:]:
                row = each, row
        told = conditions.fields.get(field.name) or FieldConditions()
        situation = Situation(self.ctx.door, "save", self.ctx.locale)
        visible = [] if told.visible is None else self._reasons([told.visible], row, situation)
        shown = self._reasons(told.shown, row, situation)
        is_visible = not told.is_hidden(row, self.env, situation)
        required = self._reasons(told.required, row, situation)
        locked = self._reasons(told.locked, row, situation) + self._fixed(about, stored)
        return {
            "visible": {"value": is_visible, "reasons": visible + shown},
            "required": {"value": is_visible and _any_holds(required), "reasons": required},
            "read_only": {"value": _any_holds(locked), "reasons": locked},
            "options": {
                option.value: told.is_offered(option.value, row, self.env, situation)
                for option in field.options
                if not option.archived
            },
        }

    def _fixed(self, about: _About, stored: Mapping[str, Any]) -> list[Record]:
        """Return the reasons for which a field cannot be changed that are no conditions."""
        field, found = about.field, []
        held = about.seen(stored)[-1]
        if field_type(field.type).computed:
            found.append("computed")
        if field.set_once and not is_empty(held.get(field.name)):
            found.append("set_once")
        editable = self.rights.editable_when(
            "edit", self.env.view(self.record_type.name, stored), self.env
        )
        if (about.rows[0][0] if about.rows else field.name) not in (editable or frozenset()):
            found.append("policy")
        return [
            {"source": source, "name": "", "text": "", "holds": True, "parts": []}
            for source in found
        ]

    def _reasons(
        self, conditions: Iterable[Condition], row: Any, situation: Situation
    ) -> list[Record]:
        return [
            {
                "source": one.source,
                "name": one.name,
                "text": one.text,
                "holds": one.holds(row, self.env),
                "parts": self.parts(one.expression, row),
            }
            for one in conditions
            if one.applies(situation)
        ]

    def parts(self, expression: Expression | None, row: Any) -> list[Record]:
        """Return what a condition read: each `text` with its `value`, or `no_access`."""
        if expression is None:
            return []
        denied = self._denied(expression, row)
        found: list[Record] = []
        for part in expression.parts:
            told: Record = {"text": part.expression.text}
            if denied.isdisjoint(part.reads):
                told["value"] = wire_value(part.expression.evaluate(row, self.env))
            else:
                told["no_access"] = True
            found.append(told)
        return found

    def _denied(self, expression: Expression, row: Any) -> frozenset[tuple[str, str]]:
        """Return what an expression reads and its reader may not, as (record type, field)."""
        reach = expression.reach
        reads = {(use.owner, use.name) for use in expression.uses}
        denied = {one for one in reads - reach.linked if not self._sees(*one)}
        for hop in reach.hops:
            link = expression.part(hop.base).evaluate(row, self.env)
            if link is not None and not self._sees_linked(hop.target, str(link), hop.name):
                denied.add((hop.target, hop.name))
        return frozenset(denied)

    def _sees(self, owner: str, name: str) -> bool:
        """Return whether the reader may see what is not read through a link."""
        type_name, _, table = owner.partition(".")
        if _is_secret(self.ctx, owner, name):
            return False
        if type_name == self.record_type.name:
            return (table.partition(".")[0] or name) not in self.hidden
        rights = access(self.ctx, type_name)
        every_row = rights.may("view") and rights.row_clause("view") is None
        return every_row and (table.partition(".")[0] or name) in rights.certain

    def _sees_linked(self, type_name: str, record_id: str, name: str) -> bool:
        if not access(self.ctx, type_name).may("view") or _is_secret(self.ctx, type_name, name):
            return False
        try:
            seen = get_record(self.ctx, type_name, record_id, fields=(name,))
        except NotFound:
            return False
        return name not in (*seen.get("no_access", ()), *seen.get("masked", ()))


def _is_secret(ctx: Context, owner: str, name: str) -> bool:
    """Return whether the values of a field, or of a column of `TYPE.TABLE`, are nobody's."""
    type_name, _, table = owner.partition(".")
    record_type = ctx.registry.record_type(type_name)
    holder = table_at(record_type, table) if table else record_type
    field = next((one for one in (holder.fields if holder else ()) if one.name == name), None)
    return field is not None and "secret" in {field.sensitive, field.type}


def _any_holds(reasons: Iterable[Record]) -> bool:
    return any(one["holds"] for one in reasons)
