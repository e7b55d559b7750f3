"""The fields of a row as SQL: what expressions ask for, answered from a release's tables.

Links are followed in correlated subqueries, so an expression never multiplies the
rows of the query it stands in. A followed link finds its target even when that was
deleted, since the row still shows it; lists hold live records only.
"""

from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.sql.elements import ColumnElement

from core.expression import Expression, compile_expression
from core.expression.sql import Joined, looked_up, sql_value
from core.schema.model import Field
from core.schema.scopes import row_scope
from core.tables.build import TypeTables, build_tables
from core.tables.computed import computed_text
from core.tables.storage import has_column, storage_of

if TYPE_CHECKING:
    from core.tables.registry import Registry

Dialect = Literal["sqlite", "postgresql"]

#: Digits after the point of the numbers that every row has.
_SYSTEM_SCALES = dict.fromkeys(("version", "events", "release", "audit_seq", "position"), 0)
_NUMBERS = frozenset({"integer", "decimal"})


class RecordColumns:
    """The fields of one record of a type; implements the `Columns` of expressions.

    Every method raises KeyError for a name that the type does not have.
    """

    def __init__(
        self, registry: "Registry", type_name: str, source: sa.FromClause | None = None
    ) -> None:
        """Read from `source`: the type's main table or an alias of it."""
        self.dialect: Dialect = registry.dialect
        self._registry = registry
        self._type = registry.release.types[type_name]
        self._tables = _tables_of(registry, type_name)
        self._source = self._tables.main if source is None else source

    def element(self, name: str) -> ColumnElement[Any]:
        """Return a field's column, or the expression that computes it."""
        found = self._source.c.get(name)
        if found is not None:
            return found
        field = self._field(name)
        if field.type == "lookup":
            return looked_up(self.follow(field.through), field.field)
        return sql_value(self._registry.expression(self._type.name, computed_text(field)), self)

    def scale(self, name: str) -> int | None:
        """Return the digits after the point of a stored number; None of a computed one."""
        if name in _SYSTEM_SCALES:
            return _SYSTEM_SCALES[name]
        field = self._field(name)
        if field.type == "lookup":
            return self.follow(field.through).columns.scale(field.field)
        return _scale(field)

    def follow(self, name: str) -> Joined:
        """Return the record that link `name` leads to, deleted or not."""
        return _followed(self._registry, self._field(name), self.element(name))

    def rows(self, name: str) -> Joined:
        """Return the rows of table field, links field or backlink `name`."""
        field = self._field(name)
        if field.type == "table":
            return self._table_rows(field)
        if field.type == "links":
            return self._linked_records(field)
        return self._backlinks(field)

    def _field(self, name: str) -> Field:
        field = self._type.field(name)
        if field is None:
            raise KeyError(name)
        return field

    def _table_rows(self, field: Field) -> Joined:
        rows = self._tables.children[field.name].alias()
        place = f"{self._type.name}.{field.name}"
        columns = TableRowColumns(self._registry, place, field, rows)
        return Joined(rows, rows.c.record_id == self._source.c.id, columns)

    def _linked_records(self, field: Field) -> Joined:
        links = self._tables.links[field.name].alias()
        target = _tables_of(self._registry, field.target).main.alias()
        source = links.join(target, target.c.id == links.c.target_id)
        condition = sa.and_(links.c.record_id == self._source.c.id, target.c.deleted_at.is_(None))
        return Joined(source, condition, RecordColumns(self._registry, field.target, target))

    def _backlinks(self, field: Field) -> Joined:
        type_name, _, link_name = field.of.partition(".")
        tables = _tables_of(self._registry, type_name)
        source = tables.main.alias()
        if link_name in tables.links:
            links = tables.links[link_name].alias()
            pointing = sa.select(links.c.record_id).where(links.c.target_id == self._source.c.id)
            points: ColumnElement[bool] = source.c.id.in_(pointing.correlate_except(links))
        else:
            points = source.c[link_name] == self._source.c.id
        condition = sa.and_(points, source.c.deleted_at.is_(None))
        return Joined(source, condition, RecordColumns(self._registry, type_name, source))


class TableRowColumns:
    """The columns of one row of a table field; implements the `Columns` of expressions."""

    def __init__(
        self, registry: "Registry", place: str, table: Field, source: sa.FromClause
    ) -> None:
        """Read from `source`, an alias of the table of the table field at `TYPE.TABLE`."""
        self.dialect: Dialect = registry.dialect
        self._registry = registry
        self._place = place
        self._table = table
        self._source = source
        self._by_name = {one.name: one for one in table.fields}

    def element(self, name: str) -> ColumnElement[Any]:
        """Return a column, or the expression that computes it."""
        found = self._source.c.get(name)
        if found is not None:
            return found
        field = self._by_name[name]
        if field.type == "lookup":
            return looked_up(self.follow(field.through), field.field)
        return sql_value(self._computed(field), self)

    def scale(self, name: str) -> int | None:
        """Return the digits after the point of a stored number; None of a computed one."""
        if name in _SYSTEM_SCALES and name not in self._by_name:
            return _SYSTEM_SCALES[name]
        field = self._by_name[name]
        if field.type == "lookup":
            return self.follow(field.through).columns.scale(field.field)
        return _scale(field)

    def follow(self, name: str) -> Joined:
        """Return the record that link `name` leads to, deleted or not."""
        return _followed(self._registry, self._by_name[name], self.element(name))

    def rows(self, name: str) -> Joined:
        """Return the rows inside this one, of the table field `name` among its columns."""
        table = self._by_name[name]
        type_name, _, path = self._place.partition(".")
        tables = _tables_of(self._registry, type_name)
        rows = tables.rows_of(f"{path}.{name}").alias()
        columns = TableRowColumns(self._registry, f"{self._place}.{name}", table, rows)
        return Joined(rows, rows.c.row_id == self._source.c.id, columns)

    def _computed(self, field: Field) -> Expression:
        def make() -> Expression:
            owner = self._place.rpartition(".")[0]
            scope = row_scope(self._registry.release.types, self._table, owner)
            return compile_expression(computed_text(field), scope)

        key = ("tables.computed", self._place, field.name)
        return self._registry.memo(key, make)


def _tables_of(registry: "Registry", type_name: str) -> TypeTables:
    """Return a type's tables; those of an archived type are kept and stay readable."""
    found = registry.tables.get(type_name)
    if found is not None:
        return found
    record_type = registry.release.types[type_name]
    return registry.memo(("tables.archived", type_name), lambda: build_tables(record_type))


def _scale(field: Field) -> int | None:
    storage = storage_of(field)
    return storage.scale if has_column(field) and storage.kind in _NUMBERS else None


def _followed(registry: "Registry", field: Field, link: ColumnElement[Any]) -> Joined:
    target = _tables_of(registry, field.target).main.alias()
    return Joined(target, target.c.id == link, RecordColumns(registry, field.target, target))
