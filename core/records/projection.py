"""Which columns a reader gets: fields, computed values, masks; compiled once per shape."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.expression.sql import sql_value
from core.policies.access import Access, Sight, access
from core.policies.guarded import guarded_columns, hides
from core.policies.masks import Masker, masker
from core.prebuilt import Prebuilt, Row
from core.records.direct import DirectWriter
from core.records.wire import Wire, row_writer, system_names, wire_of
from core.schema.model import Field, RecordType
from core.tables.computed import COMPUTED, computed_text

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Veil:
    """What its reader does not get of a record, or gets as a mask.

    Attributes:
        hidden: names to take out; `named` are those of them that were asked for.
        masks: what is shown in the place of a wire value, by name.
        masked: the names of the masks, None where the reader's rights mask nothing at all.
    """

    hidden: frozenset[str]
    named: tuple[str, ...]
    masks: tuple[tuple[str, Masker], ...]
    masked: tuple[str, ...] | None

    def lay(self, records: Sequence[Record], wire: Wire, *, as_wire: bool) -> None:
        """Take what the reader may not see out of records of one shape, and name it."""
        if self.hidden and records:
            for name in self.hidden & records[0].keys():
                for record in records:
                    del record[name]
        for name, mask in self.masks:
            for record in records:
                value = record.get(name)
                if value is not None:
                    record[name] = mask(value if as_wire else wire.value(name, value))
        named, masked = self.named, self.masked
        for record in records:
            record["no_access"] = list(named)
            if masked is not None:
                record["masked"] = list(masked)

    def masked_values(self, values: Record) -> Record:
        """Return those wire values that the reader sees, as they see them."""
        masks = dict(self.masks)
        return {
            name: masks[name](value) if name in masks and value is not None else value
            for name, value in values.items()
            if name not in self.hidden
        }


def veil_of(rights: Access, sight: Sight, asked: frozenset[str], blocked: frozenset[str]) -> Veil:
    """Return the veil over a record of which `sight` is shown, but for `blocked` lookups.

    `asked` are the names that the answer is about.
    """
    hidden = rights.names - sight.clear - sight.masked | blocked
    fields = {one.name: one for one in rights.record_type.fields}
    masked = tuple(sorted(sight.masked - blocked & asked))
    return Veil(
        hidden,
        tuple(sorted(hidden & asked)),
        tuple((name, masker(fields.get(name))) for name in masked),
        masked if rights.masked else None,
    )


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
        "_veils",
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
        possible = rights.possible | rights.masked
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
        self._veils: dict[Sequence[Any], Veil] = {}

    def veil(self, row: Sequence[Any]) -> Veil:
        """Return what is taken out of a row of `columns`; rows fall into a few kinds by it."""
        return self._veil(tuple(row[self.width : self.width + self._masks]))

    def _veil(self, mask: Sequence[Any]) -> Veil:
        found = self._veils.get(mask)
        if found is None:
            sight = self._rights.sight(mask)
            found = veil_of(self._rights, sight, self._asked, self._blocked)
            self._veils[mask] = found
        return found

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

    def veil_all(
        self, records: Sequence[Record], rows: Sequence[Row], *, as_wire: bool = True
    ) -> None:
        """Take what the reader may not see out of records of `rows`."""
        if self.plain:
            self._veil(()).lay(records, self.wire, as_wire=as_wire)
            return
        first, last = self.width, self.width + self._masks
        alike: dict[Sequence[Any], list[Record]] = {}
        for record, row in zip(records, rows, strict=True):
            alike.setdefault(row[first:last], []).append(record)
        for mask, held in alike.items():
            self._veil(mask).lay(held, self.wire, as_wire=as_wire)


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
