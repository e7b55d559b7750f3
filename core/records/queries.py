"""Reading: one record, or a page of a list by filter, sort, search and cursor.

A list's statement is compiled once per shape of question and rights and executed with
bound values. Pages follow each other by key, never by offset. Nulls sort last in both
directions on both databases: a page first reads rows that have a value in the leading
field, then those that have none, so that each half can use the index.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.db import TookLong, briefly
from core.errors import Malformed, NotFound
from core.i18n import N_
from core.ids import is_id
from core.policies.access import Access, access
from core.policies.bounded import compiled
from core.prebuilt import Prebuilt, Row
from core.records.binding import bound
from core.records.children import attach
from core.records.cursor import decode_cursor, encode_cursor
from core.records.expanding import expand_records
from core.records.projection import Projection, has_lookups
from core.records.proposals import find_proposal
from core.records.searching import Search, find_search
from core.records.selection import Selection, check_fields, read_filter
from core.records.wire import dump_mapping
from core.schema.writtentypes import MASK
from core.tables.releases import REVISION_TEXT
from core.tables.search import finds_few

Record = dict[str, Any]

#: Most records of one page.
MOST = 200

#: How far a capped count counts.
CAP = 1_000


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a list.

    Attributes:
        filter: an expression over the record.
        sort: field names, descending with a leading `-`; newest first when empty.
        fields: names of the fields wanted; None is all but table and links fields.
        after: the `next` of the page before.
        search: words looked for in the searchable fields, all of which must be found.
        count: also count the records that match, exactly or up to `CAP`.
        expand: link fields to inline.
        via: the action by way of which the records are looked at, such as `export`.
    """

    filter: str = ""
    sort: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None
    limit: int = 50
    after: str = ""
    search: str = ""
    count: Literal["", "exact", "capped"] = ""
    expand: tuple[str, ...] = ()
    via: str = "view"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        next: cursor of the page after it; None on the last.
        count: how many records match, when it was asked; `CAP` + 1 means more than `CAP`.
    """

    items: list[Record]
    next: str | None = None
    count: int | None = None


def get_record(
    ctx: Context,
    type_name: str,
    record_id: str,
    *,
    fields: Sequence[str] | None = None,
    expand: Sequence[str] = (),
    as_wire: bool = False,
    via: str = "view",
) -> Record:
    """Return one record, with `no_access`, and `proposal` of documents.

    Args:
        ctx: who reads.
        type_name: the record's type.
        record_id: which one.
        fields: names of the fields wanted; None is all.
        expand: link fields to inline.
        as_wire: ready for JSON, straight from the row, instead of Python values.
        via: the action by way of which it is looked at, such as `print`.

    Where the actor's rights mask fields, the texts that stand in their place are named in
    `masked`.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: the actor may see none of its type.
        Invalid: there is no field of a name in `fields` or `expand`.
    """
    rights = access(ctx, type_name).through(via)
    if not is_id(record_id):
        raise NotFound
    names = None if fields is None else tuple(fields)
    if names or expand:
        check_fields(rights.record_type, (*(names or ()), *expand), "fields")
    projection, prebuilt = compiled(
        ctx.registry,
        ("records.get", rights.key, names, *_further(ctx, rights)),
        lambda: _getting(ctx, rights, names),
    )
    with ctx.reading() as connection:
        rows = prebuilt.raw(connection, bound(ctx, record=record_id))
        if not rows:
            raise NotFound
        ctx.confirm(connection, rows[0][-1])
        records = _records(ctx, connection, projection, prebuilt, rows=rows, as_wire=as_wire)
        expand_records(ctx, connection, rights, records, expand)
        if rights.record_type.document and names is None:
            records[0]["proposal"] = _proposal(
                connection, rights.record_type.name, record_id, projection, rows[0]
            )
    return records[0]


def read_back(ctx: Context, type_name: str, record_id: str) -> Record:
    """Return a record as its writer sees it after the write, which may be not at all."""
    rights = access(ctx, type_name)
    if rights.may("view"):
        try:
            return get_record(ctx, type_name, record_id)
        except NotFound:
            pass  # the write took it out of the writer's sight
    table = ctx.registry.tables[type_name].main
    with ctx.reading() as connection:
        statement = sa.select(table.c.version).where(table.c.id == record_id)
        version = connection.execute(statement).scalar_one()
    return {"id": record_id, "version": version, "no_access": ["*"]}


def list_records(ctx: Context, type_name: str, query: Query) -> Page:
    """Return a page of records as Python values; see `list_wire`."""
    return _list(ctx, type_name, query, as_wire=False)


def list_wire(ctx: Context, type_name: str, query: Query) -> Page:
    """Return a page of records ready for JSON, straight from the rows.

    Raises:
        Forbidden: the actor may see none of the type, or may not ask by a field.
        Invalid: an unknown field, operator or bound.
        Malformed: the cursor is not one of this list.
    """
    return _list(ctx, type_name, query, as_wire=True)


def count_records(ctx: Context, type_name: str, query: Query) -> int:
    """Return how many records match, exactly or up to `CAP` as `query.count` says."""
    rights = access(ctx, type_name)
    rights.require("view")
    with ctx.reading() as connection:
        return _count(connection, asked_query(ctx, rights, query, limit=0), query)


def _list(ctx: Context, type_name: str, query: Query, *, as_wire: bool) -> Page:
    rights = access(ctx, type_name).through(query.via)
    if not 1 <= query.limit <= MOST:
        raise Malformed(N_("The limit must be from 1 to {most}."), most=MOST)
    asked = asked_query(ctx, rights, query, limit=query.limit + 1)
    cursor = None
    with ctx.reading() as connection:
        asked, prebuilt, rows = _found(ctx, connection, rights, asked, query)
        selection = asked.selection
        ctx.confirm(connection, rows[-1][-1] if rows else None)
        if len(rows) > query.limit:
            del rows[query.limit :]
            last = prebuilt.read(rows[-1])
            cursor = encode_cursor(selection.sort_values(last), selection.signature)
        projection = selection.projection
        items = _records(ctx, connection, projection, prebuilt, rows=rows, as_wire=as_wire)
        expand_records(ctx, connection, rights, items, query.expand)
        count = _count(connection, asked, query) if query.count else None
    return Page(items, cursor, count)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of one request: what is compiled for its shape, and its own values."""

    selection: Selection
    values: dict[str, Any]
    search: Search | None = None


def asked_query(
    ctx: Context, rights: Access, query: Query, *, limit: int, search: Search | None = None
) -> Asked:
    """Return the compiled question; the literal words and bounds are bound later.

    `search` says how the query's words are looked for, where that is known already.
    """
    if query.expand:
        check_fields(rights.record_type, query.expand, "expand")
    # Equal rights on this type do not mean equal rights on those it links to.
    roles = ctx.actor.rights_key
    type_name = rights.record_type.name
    asked = read_filter(ctx, type_name, query.filter) if query.filter else None
    shape = asked.opened.shape if asked else None
    if query.search and search is None:
        search = find_search(ctx, rights, query.search)
    sought = search.shape if search else None
    key = ("records.list", type_name, roles, shape, query.sort, query.fields, sought, query.via)
    selection = compiled(
        ctx.registry,
        key,
        lambda: Selection(
            ctx,
            rights,
            asked=asked,
            sort=query.sort,
            fields=query.fields,
            search=search,
        ),
    )
    values = bound(ctx, limit=limit)
    if asked is not None:
        values.update(asked.opened.values)
    if search is not None:
        values.update(search.values)
    return Asked(selection, values, search)


def _found(
    ctx: Context, connection: Connection, rights: Access, asked: Asked, query: Query
) -> tuple[Asked, Prebuilt, list[Row]]:
    """Return the rows of a page, and how they were asked for in the end.

    A list is walked in its order until the page is full, which is over at once where many
    records match. Where that takes longer, all that the index finds are looked at, if
    these are not nearly all that there are.
    """
    search = asked.search
    if search is not None and search.ids is None and search.key is not None:
        try:
            with briefly(connection):
                return asked, *_rows(connection, asked, query)
        except TookLong:
            if finds_few(connection, search.key):
                whole = replace(search, by_index=True)
                asked = asked_query(ctx, rights, query, limit=query.limit + 1, search=whole)
    return asked, *_rows(connection, asked, query)


def _rows(connection: Connection, asked: Asked, query: Query) -> tuple[Prebuilt, list[Row]]:
    """Return up to one raw row more than the page holds, and a statement that reads them."""
    selection, values = asked.selection, asked.values
    last: list[Any] | None = None
    if query.after:
        last = decode_cursor(query.after, selection.signature, selection.readers)
    rows: list[Row] = []
    if not selection.in_two or last is None or last[0] is not None:
        prebuilt = selection.statement("values", after=last is not None)
        rows = prebuilt.raw(connection, _after(values, selection, last))
        last = None
        if not selection.in_two or len(rows) > query.limit:
            return prebuilt, rows
    values = values | {"limit": query.limit + 1 - len(rows)}
    prebuilt = selection.statement("nulls", after=last is not None)
    return prebuilt, rows + prebuilt.raw(connection, _after(values, selection, last))


def _after(values: dict[str, Any], selection: Selection, last: list[Any] | None) -> dict[str, Any]:
    return values if last is None else values | selection.cursor_values(last)


def _count(connection: Connection, asked: Asked, query: Query) -> int:
    prebuilt = asked.selection.counting(is_capped=query.count == "capped")
    return int(prebuilt.raw(connection, asked.values | {"limit": CAP + 1})[0][0])


def _further(ctx: Context, rights: Access) -> tuple[Hashable, ...]:
    """Return what an answer depends on besides the rights on its own record type."""
    if ctx.actor.is_system or not has_lookups(rights.record_type):
        return ()
    return (ctx.actor.rights_key,)


def _getting(
    ctx: Context, rights: Access, names: tuple[str, ...] | None
) -> tuple[Projection, Prebuilt]:
    projection = Projection(ctx, rights, names, whole=True)
    table = ctx.registry.tables[rights.record_type.name].main
    statement = sa.select(*projection.columns, REVISION_TEXT).where(
        table.c.id == sa.bindparam("record"), table.c.deleted_at.is_(None)
    )
    clause = rights.row_clause("view")
    if clause is not None:
        statement = statement.where(clause)
    return projection, Prebuilt(statement, ctx.db.engine.dialect)


def _records(
    ctx: Context,
    connection: Connection,
    projection: Projection,
    prebuilt: Prebuilt,
    *,
    rows: Sequence[Row],
    as_wire: bool,
) -> list[Record]:
    """Return records of raw rows, each with the fields its reader may see."""
    records = projection.records(prebuilt, rows, as_wire=as_wire)
    if projection.tables and records:
        _attach(ctx, connection, projection, records, as_wire=as_wire)
    projection.veil_all(records, rows, as_wire=as_wire)
    return records


def _attach(
    ctx: Context,
    connection: Connection,
    projection: Projection,
    records: list[Record],
    *,
    as_wire: bool,
) -> None:
    attach(connection, ctx.registry, projection.type_name, records, projection.tables)
    if as_wire:
        for name in projection.tables:
            dumps = projection.wire.rows.get(name)
            if dumps:
                for record in records:
                    record[name] = [dump_mapping(row, dumps) for row in record[name]]


def _proposal(
    connection: Connection,
    type_name: str,
    record_id: str,
    projection: Projection,
    row: Sequence[Any],
) -> Record | None:
    """Return what a document's reader may see of its proposal."""
    found = find_proposal(connection, type_name, record_id)
    if found is None:
        return None
    veil, wire = projection.veil(row), found.wire()
    for part in ("base", "values"):
        wire[part] = {
            name: MASK if value is not None and name in projection.wire.masked else value
            for name, value in veil.masked_values(wire[part]).items()
        }
    return wire
