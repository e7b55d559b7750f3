"""A list's question, compiled: conditions, order, pages after a cursor, counting."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.errors import Invalid, Problem
from core.expression import Expression, ExpressionError
from core.expression.sql import sql_clause, sql_order
from core.expression.sqltypes import NumberText
from core.expression.types import nearest
from core.i18n import N_
from core.policies.access import Access
from core.policies.guarded import guarded_columns
from core.prebuilt import Prebuilt
from core.records.cursor import READERS, Read
from core.records.loading import printable
from core.records.projection import Projection
from core.records.searching import Search, search_conditions
from core.records.wire import system_names
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import SYSTEM_FIELDS, RecordType
from core.schema.texttypes import check_characters
from core.tables.columns import ScaledDecimal
from core.tables.computed import COMPUTED, computed_text
from core.tables.indexes import list_order
from core.tables.releases import REVISION_TEXT

#: For so many unknown names it is guessed what was meant; more are no slips of the pen.
_GUESSED = 20

#: Fields one list can be sorted by.
_MOST_SORTS = 5

#: Storage kinds that have an order.
_SORTABLE = frozenset({"text", "id", "integer", "decimal", "boolean", "date", "time", "instant"})

#: Storage kinds of the system fields.
_SYSTEM_KINDS = {
    "id": "id",
    "version": "integer",
    "created_at": "instant",
    "created_by": "id",
    "updated_at": "instant",
    "updated_by": "id",
    "audited_at": "instant",
    "audit_seq": "integer",
}


#: System fields that every record has; drafts of documents were never audited.
_CERTAIN = frozenset(SYSTEM_FIELDS)


@dataclass(frozen=True, slots=True)
class Key:
    """One part of a list's order.

    Attributes:
        element: what is sorted by.
        index: its place among the selected columns.
        read: reads its value out of a cursor.
    """

    name: str
    element: sa.ColumnElement[Any]
    index: int
    is_down: bool
    is_nullable: bool
    read: Read


class Selection:
    """A compiled question over one record type under one set of rights.

    Attributes:
        conditions: what the rows of the list meet.
        in_two: rows without a value in the leading field are read after the others.
        readers: how the values of a cursor are read, in order.
        signature: tells a cursor of this order from those of others.
    """

    def __init__(
        self,
        ctx: Context,
        rights: Access,
        *,
        asked: Expression | None,
        sort: Sequence[str],
        fields: Sequence[str] | None,
        search: Search | None = None,
    ) -> None:
        """Compile the question; raises Invalid or Forbidden when it cannot be asked.

        It serves every filter and search of the shape of `asked` and `search`, with that
        one's values.
        """
        record_type = rights.record_type
        self._dialect, self._engine_dialect = ctx.db.dialect, ctx.db.engine.dialect
        self._table = ctx.registry.tables[record_type.name].main
        check_fields(record_type, fields or (), "fields")
        self.projection = Projection(ctx, rights, fields, whole=False)
        self.conditions = _conditions(ctx, rights, asked, search)
        columns = list(self.projection.columns)
        self._keys = _keys(ctx, rights, sort, columns, self.projection.names)
        self._columns = [*columns, REVISION_TEXT]
        self.in_two = self._keys[0].is_nullable
        self.readers = [key.read for key in self._keys]
        self.signature = ",".join(f"{'-' * key.is_down}{key.name}" for key in self._keys)
        self._statements: dict[tuple[str, bool], Prebuilt] = {}
        # How frequent the words are decides how a list is best gone through.
        self._is_planned_once = search is None or search.ids is not None

    def statement(self, half: str, *, after: bool) -> Prebuilt:
        """Return the statement of one half: `values` or `nulls` of the leading field."""
        found = self._statements.get((half, after))
        if found is None:
            found = self._prebuilt(self._build(half, after=after))
            self._statements[half, after] = found
        return found

    def sort_values(self, row: Sequence[Any]) -> list[Any]:
        """Return what a cursor keeps of a page's last row."""
        return [row[key.index] for key in self._keys]

    def cursor_values(self, last: Sequence[Any]) -> dict[str, Any]:
        """Return the parameters of a statement after a cursor's values."""
        values: dict[str, Any] = {}
        for position, value in enumerate(last):
            values[f"after{position}"] = value
            values[f"null{position}"] = value is None
        return values

    def counting(self, *, is_capped: bool) -> Prebuilt:
        """Return the statement that counts the matches, at most as many as `limit` if capped."""
        found = self._statements.get(("count", is_capped))
        if found is None:
            found = self._prebuilt(self._counting(is_capped=is_capped))
            self._statements["count", is_capped] = found
        return found

    def _prebuilt(self, statement: sa.Select[Any]) -> Prebuilt:
        return Prebuilt(statement, self._engine_dialect, is_planned_once=self._is_planned_once)

    def _counting(self, *, is_capped: bool) -> sa.Select[Any]:
        if not is_capped:
            return sa.select(sa.func.count()).select_from(self._table).where(*self.conditions)
        some: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(self._table)
        some = some.where(*self.conditions).limit(sa.bindparam("limit", type_=sa.Integer))
        return sa.select(sa.func.count()).select_from(some.subquery())

    def _build(self, half: str, *, after: bool) -> sa.Select[Any]:
        keys = list(enumerate(self._keys))
        statement = sa.select(*self._columns).where(*self.conditions)
        if self.in_two:
            first = self._keys[0].element
            if half == "nulls":
                statement = statement.where(first.is_(None))
                keys = keys[1:]
            else:
                statement = statement.where(first.is_not(None))
        if after:
            statement = statement.where(self._after(keys))
        statement = statement.order_by(*(part for _, key in keys for part in self._order(key)))
        return statement.limit(sa.bindparam("limit", type_=sa.Integer))

    def _order(self, key: Key) -> list[sa.ColumnElement[Any]]:
        element = key.element
        if len(self._keys) == 1 and not key.is_nullable:
            # By id alone: the primary key serves it, which says nothing of nulls.
            return [element.desc() if key.is_down else element]
        if self._dialect != "sqlite":
            return [element.desc().nulls_last() if key.is_down else element.asc()]
        if key.is_down:
            return [element.desc()]
        is_leading = key is self._keys[0]
        return [element] if is_leading or not key.is_nullable else [element.is_(None), element]

    def _after(self, keys: list[tuple[int, Key]]) -> sa.ColumnElement[bool]:
        """Return the condition of the rows that follow a cursor's values in this order."""
        leading = self._keys[0]
        certain = all(not key.is_nullable or key is leading for _, key in keys)
        if certain and len({key.is_down for _, key in keys}) == 1:
            # One comparison of rows, which both databases look up in an index.
            here = sa.tuple_(*(key.element for _, key in keys))
            there = sa.tuple_(*(_parameter(position, key) for position, key in keys))
            return here < there if keys[0][1].is_down else here > there
        options: list[sa.ColumnElement[bool]] = []
        equal: list[sa.ColumnElement[bool]] = []
        for position, key in keys:
            options.append(sa.and_(*equal, _beyond(position, key, is_leading=key is leading)))
            equal.append(_same(position, key))
        position, first = keys[0]
        bound = sa.or_(*options)
        if first.is_nullable and first is not leading:
            return bound
        # Implied by the rest, but it is what the index is entered with.
        there_first = _parameter(position, first)
        reach = first.element <= there_first if first.is_down else first.element >= there_first
        return sa.and_(reach, bound)


def _parameter(position: int, key: Key) -> sa.BindParameter[Any]:
    return sa.bindparam(f"after{position}", type_=key.element.type)


def _is_null(position: int) -> sa.ColumnElement[bool]:
    return sa.bindparam(f"null{position}", type_=sa.Boolean()) == sa.true()


def _beyond(position: int, key: Key, *, is_leading: bool) -> sa.ColumnElement[bool]:
    there = _parameter(position, key)
    further = key.element < there if key.is_down else key.element > there
    if not key.is_nullable or is_leading:
        return further
    return sa.or_(further, sa.and_(key.element.is_(None), sa.not_(_is_null(position))))


def _same(position: int, key: Key) -> sa.ColumnElement[bool]:
    same = key.element == _parameter(position, key)
    if not key.is_nullable:
        return same
    return sa.or_(same, sa.and_(key.element.is_(None), _is_null(position)))


def _conditions(
    ctx: Context, rights: Access, asked: Expression | None, search: Search | None
) -> list[sa.ColumnElement[bool]]:
    table = ctx.registry.tables[rights.record_type.name].main
    found: list[sa.ColumnElement[bool]] = [table.c.deleted_at.is_(None)]
    clause = rights.row_clause("view")
    if clause is not None:
        found.append(clause)
    if asked is not None:
        found.append(sql_clause(asked, guarded_columns(ctx, rights), is_open=True))
    if search is not None:
        found += search_conditions(rights, table, search, ctx.db.dialect)
    return found


def read_filter(ctx: Context, type_name: str, text: str) -> Expression:
    """Return a filter that came from outside.

    Raises:
        Invalid: it is not right; each problem says at which column of the text.
    """
    try:
        check_characters(text, lines=True)
        return ctx.registry.expression(type_name, text, "boolean")
    except FieldError as error:
        raise Invalid(
            problems=[Problem("filter", one.code, one.text, one.params) for one in error.problems]
        ) from error
    except ExpressionError as error:
        raise Invalid(
            problems=[
                Problem(
                    "filter",
                    one.code,
                    one.text,
                    {**one.params, "column": one.column},
                    line=one.line,
                    column=one.column,
                )
                for one in error.problems
            ]
        ) from error


def _keys(
    ctx: Context,
    rights: Access,
    sort: Sequence[str],
    columns: list[sa.ColumnElement[Any]],
    names: Sequence[str],
) -> list[Key]:
    """Return the order's keys; columns that a cursor needs besides are added to `columns`."""
    wanted = [name.removeprefix("-") for name in sort]
    check_fields(rights.record_type, wanted, "sort")
    problems = _sort_problems(rights.record_type, wanted)
    if problems:
        raise Invalid(problems=problems)
    rights.require_certain(frozenset(wanted))
    table = ctx.registry.tables[rights.record_type.name].main
    keys: list[Key] = []
    for name, is_down in list_order(sort):
        element = table.c[name] if name in table.c else _computed(ctx, rights, name)
        if name in names and name in table.c:
            index = list(names).index(name)
        else:
            index = len(columns)
            columns.append(element.label(f"_sort{len(keys)}"))
        read = READERS[_kind(rights.record_type, name)]
        is_typed = isinstance(element.type, (ScaledDecimal, sa.BigInteger))
        if name not in table.c and not is_typed and read in _NUMBER_READERS:
            # Computed numbers sort by a text key on SQLite and are numeric on PostgreSQL.
            read = READERS["sort_key" if ctx.db.is_sqlite else "number"]
        keys.append(Key(name, element, index, is_down, name not in _CERTAIN, read))
    return keys


def _sort_problems(record_type: RecordType, names: Sequence[str]) -> list[Problem]:
    text = N_("Lists cannot be sorted by {name}.")
    problems = [
        Problem("sort", "query.not_sortable", text, {"name": name})
        for name in names
        if not _is_sortable(record_type, name)
    ]
    if len(names) > _MOST_SORTS or len(set(names)) < len(names):
        many = N_("Sort by at most {limit} fields, each once.")
        problems.append(Problem("sort", "query.too_many", many, {"limit": _MOST_SORTS}))
    return problems


def _kind(record_type: RecordType, name: str) -> str:
    """Return the storage kind of a field's values."""
    field = record_type.field(name)
    if field is None:
        return _SYSTEM_KINDS[name]
    kind = field_type(field.result or field.type)
    stored: str = kind.storage(field).kind
    return stored


_NUMBER_READERS = {READERS["decimal"], READERS["integer"]}


def _is_sortable(record_type: RecordType, name: str) -> bool:
    field = record_type.field(name)
    kind = None if field is None else field_type(field.result or field.type)
    return _kind(record_type, name) in _SORTABLE and (kind is None or kind.sortable)


def _computed(ctx: Context, rights: Access, name: str) -> sa.ColumnElement[Any]:
    field = rights.record_type.field(name)
    if field is None or field.type not in COMPUTED:
        return sa.null()
    type_name = rights.record_type.name
    if field.type == "lookup":
        element = guarded_columns(ctx, rights).element(name)
        is_text = isinstance(element.type, NumberText)
        return sa.func.gx_sort_key(element, type_=sa.Text()) if is_text else element
    expression = ctx.registry.expression(type_name, computed_text(field), None)
    return sql_order(expression, ctx.registry.columns(type_name))


def check_fields(record_type: RecordType, names: Iterable[str], path: str) -> None:
    """Refuse names that are no fields of a record type.

    Raises:
        Invalid: with one problem per unknown name and the nearest known one.
    """
    known: Mapping[str, object] = dict.fromkeys(
        (*system_names(record_type), *(one.name for one in record_type.fields))
    )
    problems: list[Problem] = []
    for name in names:
        if name not in known:
            shown = printable(name)
            near = nearest(shown, known) if len(problems) < _GUESSED else ""
            text = N_("There is no field {name}.")
            if near:
                text = N_("There is no field {name}. Did you mean {nearest}?")
            params = {"name": shown, "nearest": near}
            problems.append(Problem(path, "field.unknown", text, params))
    if problems:
        raise Invalid(problems=problems)
