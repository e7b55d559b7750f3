"""Export of a list under the reader's own rights, page by page: CSV, JSON, worksheets.

The header holds field names, so that an import reads a CSV back without a mapping. There
a link stands as the linked record's key, several links and choices as their keys with
`;` between them (as a JSON list where a key has a `;` of its own), and a table field as
JSON: a list of its rows, without what is computed. Texts that a spreadsheet would take
for a formula get a `'` in front, which the import takes off again. What the reader may
not see is no column, or is named in the column `no_access` where it depends on the row.
"""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from core.context import Context
from core.policies.access import access
from core.policies.masks import is_masked
from core.records.linkkeys import LinkKeys, key_field
from core.records.mapping import FORMULA_STARTS
from core.records.projection import blocked_lookups
from core.records.queries import MOST, Query, list_records, list_wire
from core.records.wire import dump_rows, system_names, wire_of
from core.schema.choicetypes import join_texts
from core.schema.fieldtypes import field_type
from core.schema.model import Field, RecordType
from core.schema.viewchecks import kind_of, listed_names

#: So that spreadsheets read the file as UTF-8.
BYTE_ORDER_MARK = "\ufeff"
#: The column that names the fields hidden in a row.
NO_ACCESS = "no_access"

#: What no file holds: records of another form, and what nobody may read.
NEVER_EXPORTED = frozenset({"backlink", "secret"})

Record = dict[str, Any]


class Exported:
    """The records that a query finds, with keys in the place of links.

    Attributes:
        type_name: what they are.
        fields: the fields to show, in order.
        key: the name that a record is known by: its key field's, else `id`.
        has_hidden: whether there are fields that only some rows show.
        masked: names of the fields that some rows show as masks only.
    """

    def __init__(self, ctx: Context, type_name: str, query: Query) -> None:
        """Export what `query` finds.

        Raises:
            Forbidden: the actor may not export records of the type.
        """
        rights = access(ctx, type_name).through("export")
        self._ctx, self.type_name = ctx, type_name
        shown = rights.possible | rights.masked
        shown -= blocked_lookups(ctx, rights.record_type)
        self.fields = [
            one
            for one in _wanted(rights.record_type, query.fields)
            if one.type not in NEVER_EXPORTED and one.name in shown
        ]
        names = tuple(one.name for one in self.fields)
        key = key_field(rights.record_type)
        self.key = key if key in names and key in rights.certain else "id"
        self.has_hidden = not rights.surely.issuperset(names)
        self.masked = rights.masked & frozenset(names)
        self._query = replace(query, fields=names, limit=MOST, count="", expand=(), via="export")
        self._links = LinkKeys(ctx)
        self._rows = wire_of(ctx.registry, type_name).rows
        self._kept = {one.name: _kept(one) for one in self.fields if one.type == "table"}

    def __iter__(self) -> Iterator[Record]:
        """Yield the records, Python values but for links and table fields."""
        page = self._query
        while True:
            found = list_records(self._ctx, self.type_name, page)
            for record in found.items:
                self._dump_tables(record)
            self._name_links(found.items)
            yield from found.items
            if found.next is None:
                return
            page = replace(page, after=found.next)

    def _dump_tables(self, record: Record) -> None:
        for name, kept in self._kept.items():
            rows = dump_rows(record.get(name) or (), self._rows[name])
            record[name] = _kept_rows(rows, kept)

    def _name_links(self, records: list[Record]) -> None:
        """Put keys in the place of the ids of linked records."""
        places = [(record, one) for one in self.fields for record in records]
        for one in self.fields:
            if one.type == "table":
                rows = [row for record in records for row in record[one.name]]
                places += [(row, column) for column in one.fields for row in rows]
                for inner in one.fields:
                    if inner.type == "table":
                        inside = [each for row in rows for each in row[inner.name] or ()]
                        places += [(row, column) for column in inner.fields for row in inside]
        pointing = [
            (holder, one)
            for holder, one in places
            if field_type(one.type).points and holder.get(one.name)
        ]
        wanted: dict[str, set[str]] = defaultdict(set)
        for holder, one in pointing:
            value = holder[one.name]
            wanted[one.target].update(value if isinstance(value, list) else (value,))
        keys = {target: self._links.keys(target, ids) for target, ids in wanted.items()}
        for holder, one in pointing:
            value, known = holder[one.name], keys[one.target]
            holder[one.name] = (
                [known.get(each, each) for each in value]
                if isinstance(value, list)
                else known.get(value, value)
            )


#: Columns of a table field that a file holds, in order; of those that are tables the same.
_Kept = dict[str, "_Kept | None"]


def _kept(table: Field) -> _Kept:
    return {
        one.name: _kept(one) if one.type == "table" else None
        for one in table.fields
        if not field_type(one.type).computed
    }


def _kept_rows(rows: Iterable[Record], kept: _Kept) -> list[Record]:
    """Return rows in wire form with the columns that a file holds."""
    made = [{name: row.get(name) for name in kept} for row in rows]
    for name, inside in kept.items():
        if inside is not None:
            for row in made:
                row[name] = _kept_rows(row[name] or (), inside)
    return made


def _wanted(record_type: RecordType, names: tuple[str, ...] | None) -> Iterable[Field]:
    """Return the fields to export, in the order asked for; system fields where they are named."""
    if names is None:
        return record_type.fields
    return [
        record_type.field(name) or Field(id=name, name=name, type=kind_of(record_type, name))
        for name in dict.fromkeys(names)
        if name in listed_names(record_type)
    ]


def export_csv(ctx: Context, type_name: str, query: Query) -> Iterator[str]:
    """Yield the lines of a CSV of every record that `query` finds, a page at a time.

    Raises:
        Forbidden: the actor may not export records of the type.
    """
    return _csv_lines(Exported(ctx, type_name, query))


def _csv_lines(exported: Exported) -> Iterator[str]:
    names = [one.name for one in exported.fields]
    writers = [
        (
            one.name,
            leaving_masks(cell_writer(one)) if one.name in exported.masked else cell_writer(one),
        )
        for one in exported.fields
    ]
    yield BYTE_ORDER_MARK + _csv([*names, NO_ACCESS] if exported.has_hidden else names)
    for record in exported:
        cells = [write(record.get(name)) for name, write in writers]
        if exported.has_hidden:
            cells.append(join_texts(record[NO_ACCESS]))
        yield _csv(cells)


def text_writer(one: Field) -> Callable[[Any], str]:
    """Return what writes a field's values as text, links and table rows included."""
    if one.type == "lookup":
        return field_type(one.result).to_text
    points = field_type(one.type).points
    if points == "one":
        return lambda value: value or ""
    if points == "many":
        return lambda value: join_texts(value or ())
    if one.type == "table":
        return lambda value: json.dumps(value, ensure_ascii=False) if value else ""
    return field_type(one.type).to_text


def cell_writer(one: Field) -> Callable[[Any], str]:
    """Return what writes a field's values into cells that no spreadsheet executes."""
    write = text_writer(one)
    # Numbers and dates cannot be formulas, and `'-5` would no longer be a number.
    stored = field_type(one.result or one.type).storage(one).kind
    if stored in {"text", "id", "json", "table", "links"}:
        return lambda value: escaped(write(value))
    return write


def leaving_masks(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return what writes the values of a field of which some are masks."""
    return lambda value: value if is_masked(value) else write(value)


def escaped(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _csv(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def plain_csv(heads: Mapping[str, str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a CSV of a plain table: `heads` is column -> `text` or `number`."""
    yield BYTE_ORDER_MARK + _csv(list(heads))
    kinds = tuple(heads.values())
    for row in rows:
        pairs = zip(row, kinds, strict=True)
        yield _csv([value if kind == "number" else escaped(value) for value, kind in pairs])


def export_json(ctx: Context, type_name: str, query: Query) -> Iterator[str]:
    """Yield a JSON array of the records, one a line, in the shape of REST.

    Raises:
        Forbidden: the actor may not export records of the type.
    """
    rights = access(ctx, type_name).through("export")
    record_type = ctx.registry.record_type(type_name)
    own = [one.name for one in record_type.fields if one.type not in NEVER_EXPORTED]
    seen = rights.possible | rights.masked
    names = [one for one in (*system_names(record_type), *own) if one in seen]
    fields = query.fields or tuple(names)
    whole = replace(query, fields=fields, limit=MOST, count="", via="export")
    return _json_lines(ctx, type_name, whole)


def _json_lines(ctx: Context, type_name: str, query: Query) -> Iterator[str]:
    before = "["
    while True:
        page = list_wire(ctx, type_name, query)
        for item in page.items:
            yield f"{before}\n{msgspec.json.encode(item).decode()}"
            before = ","
        if page.next is None:
            break
        query = replace(query, after=page.next)
    yield "\n]\n" if before == "," else "[]\n"
