"""Which indexes a record type's tables need, and why; the plan shows the reasons.

- unique field, unique_together: `ux_<table>__<columns>`, live rows only, or all rows and
  `__ever` at the end with `no_reuse`
- link, `index: true`: `ix_<table>__<column>`
- list view: `ix_<table>__<view>__<hash>`, the equality fields of its filter, then its sort,
  then id; live rows only
- table field and links field: `ix_<table>__record`, `ix_<table>__target`
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.expression.nodes import Apply, Constant, Name, Operation, Written
from core.expression.parser import parse
from core.i18n import N_
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, Field, RecordType, View
from core.schema.peopletypes import SINGLE_LINKS
from core.schema.viewchecks import split_group
from core.tables.build import identifier, main_name, sub_name
from core.tables.storage import has_column, storage_of

#: Field types whose text may be longer than an index entry of PostgreSQL (2,704 bytes).
_TOO_LONG = frozenset({"long_text", "rich_text", "address", "condition", "expression"})

ALWAYS_SORTABLE = (*SYSTEM_FIELDS, *DOCUMENT_FIELDS)


@dataclass(frozen=True, slots=True)
class IndexSpec:
    """One index as it should be.

    Attributes:
        columns: stored column names with whether each is descending.
        live_only: covers rows that are not deleted.
        reason: English template of why it is there; `params` fill it.
    """

    name: str
    table: str
    columns: tuple[tuple[str, bool], ...]
    unique: bool = False
    live_only: bool = False
    reason: str = ""
    params: tuple[tuple[str, str], ...] = ()

    @property
    def shape(self) -> tuple[object, ...]:
        """Return what makes it the same index as another, whatever its name."""
        return (self.table, self.columns, self.unique, self.live_only)

    def to_sql(self, table: sa.Table, dialect: str, *, concurrently: bool = False) -> sa.Index:
        """Return the index for `dialect`, attached to `table`."""
        where = sa.text('"deleted_at" IS NULL') if self.live_only else None
        return sa.Index(
            self.name,
            *(_ordered(table.c[name], dialect, down=down) for name, down in self.columns),
            unique=self.unique,
            postgresql_where=where,
            sqlite_where=where,
            postgresql_concurrently=concurrently,
            _table=table,
        )


def _ordered(
    column: sa.Column[Any], dialect: str, *, down: bool
) -> sa.Column[Any] | sa.UnaryExpression[Any]:
    if not down:
        return column
    # Nulls sort last in both directions; SQLite's indexes cannot say so and need not.
    return column.desc() if dialect == "sqlite" else column.desc().nulls_last()


def list_order(sort: Iterable[str]) -> tuple[tuple[str, bool], ...]:
    """Return a list's full order as (name, descending), ending in `id` so that it is total.

    `id` goes in the direction of the field before it, so that one comparison of
    rows (`(a, id) > (x, y)`) finds the next page.

    >>> list_order(["-created_at"])
    (('created_at', True), ('id', True))
    """
    order = [(name.removeprefix("-"), name.startswith("-")) for name in sort]
    if "id" not in dict(order):
        order.append(("id", order[-1][1] if order else True))
    return tuple(order)


def view_order(view: View) -> tuple[str, ...]:
    """Return what a view's records are read by: its groups or days first, then its sort."""
    first = view.date_field if view.type == "calendar" else split_group(view.group_by)[0]
    sort = {name.removeprefix("-"): name for name in view.sort}
    order = {first: sort.get(first, first), **sort} if first else sort
    return tuple(order.values())


def indexes_of(record_type: RecordType) -> tuple[IndexSpec, ...]:
    """Return every index of a live record type's tables."""
    if record_type.archived:
        return ()
    found: dict[tuple[object, ...], IndexSpec] = {}
    for spec in (
        *_unique(record_type),
        *_single(main_name(record_type.name), record_type.fields),
        *_sub_tables(record_type),
        *_views(record_type),
    ):
        found.setdefault(spec.shape, spec)
    return tuple(found.values())


def _unique(record_type: RecordType) -> Iterator[IndexSpec]:
    table = main_name(record_type.name)
    for one in record_type.fields:
        if one.unique and has_column(one):
            yield _unique_spec(table, (one.name,), no_reuse=one.no_reuse)
    for together in record_type.unique_together:
        yield _unique_spec(table, together.fields, no_reuse=together.no_reuse)


def _unique_spec(table: str, fields: tuple[str, ...], *, no_reuse: bool) -> IndexSpec:
    return IndexSpec(
        identifier(f"ux_{table}", *fields, *(("ever",) if no_reuse else ())),
        table,
        tuple((name, False) for name in fields),
        unique=True,
        live_only=not no_reuse,
        reason=N_("{fields} must be unique"),
        params=(("fields", " + ".join(fields)),),
    )


def _single(table: str, fields: Iterable[Field]) -> Iterator[IndexSpec]:
    for one in fields:
        is_link = one.type in SINGLE_LINKS
        if is_link or (one.index and is_sortable(one)):
            reason = N_("{field} links to {target}") if is_link else N_("asked for")
            params = (("field", one.name), ("target", one.target))
            name = identifier(f"ix_{table}", one.name)
            yield IndexSpec(name, table, ((one.name, False),), reason=reason, params=params)


def _sub_tables(record_type: RecordType) -> Iterator[IndexSpec]:
    for one in record_type.fields:
        table = sub_name(record_type.name, one.name)
        params = (("field", one.name),)
        if one.type == "table":
            yield IndexSpec(
                identifier(f"ix_{table}", "record"),
                table,
                (("record_id", False), ("position", False)),
                reason=N_("rows of {field} are read by record"),
                params=params,
            )
            yield from _single(table, one.fields)
            yield from _inner_tables(record_type, one)
        elif one.type == "links":
            yield IndexSpec(
                identifier(f"ix_{table}", "target"),
                table,
                (("target_id", False),),
                reason=N_("{field} is read from both ends"),
                params=params,
            )


def _inner_tables(record_type: RecordType, outer: Field) -> Iterator[IndexSpec]:
    """Yield the indexes of the tables inside a table field: by record, and by row."""
    for one in outer.fields:
        if one.type != "table":
            continue
        table = sub_name(record_type.name, outer.name, one.name)
        for end, column in (("record", "record_id"), ("row", "row_id")):
            yield IndexSpec(
                identifier(f"ix_{table}", end),
                table,
                ((column, False), ("position", False)),
                reason=N_("rows of {field} are read by record"),
                params=(("field", f"{outer.name}.{one.name}"),),
            )
        yield from _single(table, one.fields)


def unique_fields(record_type: RecordType) -> dict[str, tuple[str, ...]]:
    """Return index name -> its fields, for every unique index of the main table.

    PostgreSQL names the index when a value is taken; SQLite names the columns.
    """
    specs = _unique(record_type)
    return {spec.name: tuple(name for name, _ in spec.columns) for spec in specs}


def is_sortable(field: Field) -> bool:
    """Return whether lists can sort by `field` with an index."""
    storage = storage_of(field)
    return has_column(field) and storage.kind != "json" and field.type not in _TOO_LONG


def equality_fields(text: str) -> tuple[str, ...]:
    """Return the fields that a filter compares with one value, in the order written.

    >>> equality_fields("status == 'effective' and store == current_user and rate > 1")
    ('status', 'store')
    """
    if not text:
        return ()
    tree = parse(text)
    is_all = isinstance(tree, Operation) and tree.operator == "and"
    terms = tree.operands if is_all and isinstance(tree, Operation) else (tree,)
    found = []
    for term in terms:
        if isinstance(term, Operation) and term.operator == "==":
            left, right = term.operands
            if isinstance(right, Name) and not _is_value(right):
                left, right = right, left
            if isinstance(left, Name) and _is_value(right):
                found.append(left.name)
    return tuple(dict.fromkeys(found))


def _is_value(node: Written) -> bool:
    """Return whether a node is one value for the whole query."""
    if isinstance(node, Name):
        return node.name == "current_user"
    return isinstance(node, Constant) or (isinstance(node, Apply) and not node.arguments)


def _views(record_type: RecordType) -> Iterator[IndexSpec]:
    table = main_name(record_type.name)
    for view in record_type.views:
        columns = _view_columns(record_type, view)
        if columns == (("id", columns[-1][1]),):
            continue  # the primary key serves it
        # The columns are in the name, so that another sort is another index beside the old one.
        digest = hashlib.sha256(repr(columns).encode()).hexdigest()[:6]
        yield IndexSpec(
            identifier(f"ix_{table}", view.name, digest),
            table,
            columns,
            live_only=True,
            reason=N_("list view {view} filters and sorts by it"),
            params=(("view", view.name),),
        )


def _view_columns(record_type: RecordType, view: View) -> tuple[tuple[str, bool], ...]:
    sortable = {one.name for one in record_type.fields if is_sortable(one)}
    sortable.update(ALWAYS_SORTABLE if record_type.document else SYSTEM_FIELDS)
    equal = [name for name in equality_fields(view.filter) if name in sortable]
    columns = dict.fromkeys(equal, False)
    for name, is_down in list_order(view_order(view)):
        if name not in sortable:
            # Order beyond a field without a column cannot come from the index.
            break
        columns.setdefault(name, is_down)
    return tuple(columns.items()) or (("id", True),)
