"""Which columns a reader gets: fields, computed values, masks; compiled once per shape."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.expression.sql import sql_value
from core.policies.access import Access, access
from core.policies.guarded import guarded_columns, hides
from core.prebuilt import Prebuilt, Row
from core.records.direct import DirectWriter
from core.records.wire import Wire, row_writer, system_names, wire_of
from core.schema.model import Field, RecordType
from core.tables.computed import COMPUTED, computed_text

Record = dict[str, Any]


class Projection:
    """The columns of one shape of answer under one set of rights.

    Attributes:
        columns: what to select: the fields, then one boolean per policy.
        names: names of the fields among `columns`, in their order.
        tables: table and links fields to read besides.
    """

    __slots__ = (
        "_asked",
        "_blocked",
        "_masks",
        "_rights",
        "_writers",
        "columns",
        "names",
        "plain",
        "tables",
        "type_name",
        "width",
        "wire",
    )

    def __init__(
        self, ctx: Context, rights: Access, fields: Sequence[str] | None, *, whole: bool
    ) -> None:
        """Choose the columns for `fields`; None is all, with table fields if `whole`."""
        record_type = rights.record_type
        self._rights = rights
        self.type_name = record_type.name
        self._asked = frozenset(rights.names if fields is None else fields)
        possible = rights.possible
        wanted = _wanted(record_type, fields, whole=whole)
        self._blocked = blocked_lookups(ctx, record_type)
        shown = [name for name in wanted if name in possible - self._blocked]
        nested = {one.name for one in record_type.fields if one.type in {"table", "links"}}
        self.tables = tuple(name for name in shown if name in nested)
        self.names = tuple(name for name in shown if name not in nested)
        self.width = len(self.names)
        masks = rights.mask_columns("view")
        self.columns = [*_columns(ctx, record_type, self.names), *masks]
        self.wire: Wire = wire_of(ctx.registry, record_type.name)
        self.plain, self._masks = not masks, len(masks)
        self._writers: dict[Prebuilt, DirectWriter] = {}

    def viewable(self, row: Sequence[Any]) -> frozenset[str]:
        """Return the fields that are shown in a row of `columns`."""
        if self.plain:
            return self._rights.viewable() - self._blocked
        return self._rights.viewable(row[self.width : self.width + self._masks]) - self._blocked

    def writer(self) -> Callable[[Sequence[Any]], Record]:
        """Return what makes a wire record of a row of Python values."""
        return row_writer(self.names, self.wire)

    def records(self, prebuilt: Prebuilt, rows: Sequence[Row], *, as_wire: bool) -> list[Record]:
        """Return the records, wire-shaped or of Python values, of a statement's raw rows."""
        if as_wire:
            writer = self._writers.get(prebuilt)
            if writer is None:
                writer = DirectWriter(prebuilt, self.names, self.wire.dumps)
                self._writers[prebuilt] = writer
            return writer.records(rows)
        names, read = self.names, prebuilt.read
        return [dict(zip(names, read(row))) for row in rows]  # noqa: B905  masks follow

    def veil_all(self, records: Sequence[Record], rows: Sequence[Row]) -> None:
        """Take what the reader may not see out of records of `rows`."""
        if self.plain and not self._rights.names - self.viewable(()):
            for record in records:
                record["no_access"] = []
            return
        # Rows fall into a few kinds by who may see what; each is worked out once a page.
        veils: dict[frozenset[str], tuple[frozenset[str], list[str]]] = {}
        for record, row in zip(records, rows, strict=True):
            viewable = self.viewable(row)
            veil = veils.get(viewable)
            if veil is None:
                hidden = self._rights.names - viewable
                veil = veils[viewable] = hidden, sorted(hidden & self._asked)
            for name in veil[0] & record.keys():
                del record[name]
            record["no_access"] = veil[1].copy()

    def veil(self, record: Record, viewable: frozenset[str]) -> None:
        """Take what the reader may not see out of a record and name it."""
        hidden = self._rights.names - viewable
        if hidden:
            for name in hidden & record.keys():
                del record[name]
            hidden &= self._asked
        record["no_access"] = sorted(hidden) if hidden else []


def _wanted(record_type: RecordType, fields: Sequence[str] | None, *, whole: bool) -> list[str]:
    """Return the names of an answer, in the order of answers."""
    system = system_names(record_type)
    if fields is not None:
        return list(dict.fromkeys(("id", "version", *fields)))
    own = [
        one.name
        for one in record_type.fields
        if one.type != "backlink" and (whole or one.type not in {"table", "links"})
    ]
    return [*system, *own]


def _columns(
    ctx: Context, record_type: RecordType, names: Iterable[str]
) -> list[sa.ColumnElement[Any]]:
    table = ctx.registry.tables[record_type.name].main
    found: list[sa.ColumnElement[Any]] = []
    for name in names:
        if name in table.c:
            found.append(table.c[name])
        else:
            field = record_type.field(name)
            found.append(computed_column(ctx, record_type, field).label(name))
    return found


def has_lookups(record_type: RecordType) -> bool:
    """Return whether answers depend on the reader's rights on other record types."""
    return any(
        one.type == "lookup" or any(inner.type == "lookup" for inner in one.fields)
        for one in record_type.fields
    )


def blocked_lookups(ctx: Context, record_type: RecordType) -> frozenset[str]:
    """Return the lookups of what the actor may not read in the linked records."""
    fields = {one.name: one for one in record_type.fields}
    lookups = [one for one in record_type.fields if one.type == "lookup"]
    return frozenset(one.name for one in lookups if hides(ctx, fields, one))


def computed_column(
    ctx: Context, record_type: RecordType, field: Field | None
) -> sa.ColumnElement[Any]:
    """Return the SQL of a computed field without a column; a lookup's as the actor may read it."""
    if field is None or field.type not in COMPUTED:
        return sa.null()
    if field.type == "lookup":
        return guarded_columns(ctx, access(ctx, record_type.name)).element(field.name)
    registry = ctx.registry
    expression = registry.expression(record_type.name, computed_text(field), None)
    return sql_value(expression, registry.columns(record_type.name))
