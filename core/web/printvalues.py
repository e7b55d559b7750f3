"""Expressions of a print, answered only where the reader may see everything they read."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from core.context import Context
from core.errors import UserError
from core.expression import Expression
from core.policies.access import access
from core.records.downloads import readable_pictures
from core.records.environment import RecordEnv
from core.records.queries import get_record
from core.records.wire import wire_of
from core.schema.fieldtypes import wire_value
from core.schema.model import Field, RecordType
from core.web.display import value_text
from core.web.reading import SYSTEM_FIELDS, make_reading

#: Kind of an expression's value -> the field type that shows such values.
_SHOWN_AS = {"number": "decimal", "boolean": "boolean", "datetime": "datetime"}


class Sight:
    """What one reader sees of one record and of what it links to."""

    #: Computed cells stand as text: their expressions have labels of their own.
    is_number = False

    def __init__(
        self, ctx: Context, record_type: RecordType, record: Mapping[str, Any], env: RecordEnv
    ) -> None:
        """Look at `record`, which the reader was given in Python values."""
        self._ctx, self._type, self._env = ctx, record_type, env
        self._record = record
        self._hidden = frozenset(record.get("no_access") or ())
        self.masked = frozenset(record.get("masked") or ())
        self._row = env.view(record_type.name, record)

    def sees(self, name: str) -> bool:
        """Return whether the reader sees a field of the record."""
        if name in self._hidden:
            return False
        field = self._type.field(name)
        if field is not None and field.type == "backlink":
            return name in access(self._ctx, self._type.name).certain
        return field is None or name in self._record

    def holds(self, text: str) -> bool:
        """Return whether a condition holds, as far as its reader can tell; empty always does."""
        if not text:
            return True
        expression = self._ctx.registry.expression(self._type.name, text, "boolean")
        return self._reads(expression) and expression.evaluate(self._row, self._env) is True

    def told(self, text: str, *, table: str = "", row: int = 0) -> str | None:
        """Return the value of an expression as text; None where the reader may not see it."""
        scope = f"{self._type.name}.{table}" if table else self._type.name
        expression = self._ctx.registry.expression(scope, text)
        if not table and text.strip() in self.masked:
            return str(self._record[text.strip()] or "")
        if not self._reads(expression, table, row):
            return None
        values = self._record[table][row] if table else self._row
        if not table and text.strip() in expression.paths:
            return self._field_text(text.strip())
        return self._text(expression, expression.evaluate(values, self._env))

    def pictures(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return those of some files that are pictures which the reader may see."""
        found = readable_pictures(self._ctx, ids)
        return tuple(each for each in ids if each in found)

    def _reads(self, expression: Expression, table: str = "", row: int = 0) -> bool:
        """Return whether the reader may see everything that an expression reads."""
        if table:
            columns = {one.name: one for one in self._columns(table)}
            values = self._record[table][row]
            return all(self._sees_below(columns, values, path) for path in expression.paths)
        fields = {one.name: one for one in self._type.fields}
        return all(
            self._reads_own(path.partition(".")[0])
            and self._sees_below(fields, self._record, path)
            for path in expression.paths
        )

    def _reads_own(self, name: str) -> bool:
        return self.sees(name) and name not in self.masked

    def _columns(self, table: str) -> tuple[Field, ...]:
        found = self._type.field(table)
        return found.fields if found else ()

    def _sees_below(
        self, fields: Mapping[str, Field], values: Mapping[str, Any], path: str
    ) -> bool:
        """Return whether what a path leads to through links is in the reader's sight."""
        first, _, rest = path.partition(".")
        field = fields.get(first)
        if field is None or not rest:
            # A backlink reads records without naming a field of theirs.
            return field is None or field.type != "backlink" or self._sees_all(field, "id")
        if field.type == "table":
            columns = {one.name: one for one in field.fields}
            rows = values.get(first) or ()
            return all(self._sees_below(columns, row, rest) for row in rows)
        if field.target and not isinstance(values.get(first), list):
            return self._sees_linked(field.target, values.get(first), rest)
        return self._sees_all(field, rest)

    def _sees_linked(self, type_name: str, record_id: Any, rest: str) -> bool:
        """Return whether the reader sees a path of the record that a link leads to."""
        if not record_id:
            return True
        target = self._ctx.registry.record_type(type_name)
        name = rest.partition(".")[0]
        if target.field(name) is None:
            return access(self._ctx, type_name).may("view")
        try:
            found = get_record(self._ctx, type_name, record_id, fields=(name,))
        except UserError:
            return False
        if name in found["no_access"] or name in found.get("masked", ()):
            return False
        return self._sees_below({one.name: one for one in target.fields}, found, rest)

    def _sees_all(self, field: Field, rest: str) -> bool:
        """Return whether the reader sees a field of every record that a list leads to."""
        type_name = field.target or field.of.partition(".")[0]
        if self._ctx.registry.release.type(type_name) is None:
            return False
        rights = access(self._ctx, type_name)
        names = set(rest.split(".")[:1]) & rights.names
        is_whole = rights.row_clause("view") is None and "." not in rest
        return rights.may("view") and is_whole and rights.certain.issuperset(names)

    def _field_text(self, path: str) -> str:
        """Return a field, of the record or of one it links to, as its own type shows it."""
        record_type, record = self._type, self._record
        *links, name = path.split(".")
        for link in links:
            field = record_type.field(link)
            target, record_id = (field.target if field else ""), record.get(link)
            if not record_id:
                return ""
            found = self._env.follow(target, record_id) or {}
            record_type, record = self._ctx.registry.record_type(target), found
        field = record_type.field(name) or SYSTEM_FIELDS.get(name)
        value = wire_of(self._ctx.registry, record_type.name).value(name, record.get(name))
        if field is None:
            return "" if value is None else str(value)
        return value_text(field, value, make_reading(self._ctx, (field,), [{name: value}]))

    def _text(self, expression: Expression, value: Any) -> str:
        """Return a computed value as text."""
        if isinstance(value, Decimal):
            value = value.normalize() if value == value.to_integral() else value
        kind = _SHOWN_AS.get(expression.type.kind, "text")
        field = Field(id="", name="value", type=kind)
        return value_text(field, wire_value(value), make_reading(self._ctx, (), ()))
