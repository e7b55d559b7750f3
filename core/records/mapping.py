"""What an import does with the columns: a mapping file, or the header's own names.

    type: order
    key: "no"                      # a record whose key exists already is skipped,
    existing: skip                 # or changed with `update`
    group_by: InvoiceNo            # rows that follow each other with the same value are one record
    where: "Quantity != ''"        # rows for which this is false are left out
    time_zone: Europe/London       # of times that name none
    defaults: {kind: sale}
    fields: {"no": InvoiceNo, member: "LEFT(CustomerID, 5)"}
    lines: {table: lines, fields: {product: StockCode, quantity: Quantity}}

A column for a table field holds its rows as JSON; one for several links or choices holds
their keys with `;` between them, or as JSON. Expressions see every column as text, and
`row_number` and `line_number`. A value that is no text becomes the field's; text is read
as the field's type reads what people type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from core.clock import to_wire
from core.errors import Malformed, Problem
from core.expression import ExpressionError, PlainEnv, Scope, compile_expression
from core.expression import nodes as expression_nodes
from core.expression.types import NUMBER, TEXT, nearest
from core.i18n import N_
from core.policies.masks import is_masked
from core.schema.choicetypes import split_texts
from core.schema.fieldbase import WrongTypeError
from core.schema.fieldtypes import FieldError, FieldType, field_type, is_written
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, Field, Model, RecordType
from core.schema.yamlnodes import Node, Source, read_node

Values = dict[str, Any]

#: What a spreadsheet takes for the start of a formula; export puts `'` before such a text.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "'")


class LinesMapping(Model, frozen=True, kw_only=True):
    """The table field whose rows the grouped rows become."""

    table: str
    fields: dict[str, str]


class ImportMapping(Model, frozen=True, kw_only=True):
    """One mapping file."""

    type: str
    key: str = ""
    existing: Literal["skip", "update"] = "skip"
    group_by: str = ""
    where: str = ""
    time_zone: str = ""
    defaults: dict[str, str] = msgspec.field(default_factory=dict)
    fields: dict[str, str]
    lines: LinesMapping | None = None


def load_mapping(text: str | bytes, path: str = "mapping") -> ImportMapping:
    """Return the mapping that a YAML text holds.

    Raises:
        Malformed: it has problems, which name their lines.
    """
    node, problems = read_node(Source("site", path, text))
    if node is None or problems:
        raise Malformed(N_("The mapping file cannot be read."), problems=problems)
    try:
        return msgspec.convert(_plain(node), ImportMapping)
    except msgspec.ValidationError as error:
        raise Malformed(
            N_("The mapping file is not right: {reason}."), reason=str(error)
        ) from error


def _plain(node: Node) -> Any:
    if node.kind == "map":
        return {key: _plain(value) for key, value in node.entries.items()}
    if node.kind == "list":
        return [_plain(item) for item in node.items]
    return node.text


Cell = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class RowMapper:
    """A mapping made ready for one file.

    Attributes:
        columns: the file's columns in order.
        key: field that tells whether a record exists already; `""` for none.
        group: gives the value by which rows belong together; None when each is a record.
        keep: whether a row is taken.
        fields: field name to what gives its value from a row.
        table: name of the table field for the rows; `""` for none.
        cells: the same for that table's columns.
        links: (path of the table field or "", name) -> target type of link fields, to be
            found by key.
    """

    columns: tuple[str, ...]
    key: str
    group: Cell | None
    keep: Cell | None
    fields: tuple[tuple[str, Cell], ...]
    table: str
    cells: tuple[tuple[str, Cell], ...]
    links: Mapping[tuple[str, str], str]

    def values(self, row: Mapping[str, Any]) -> Values:
        """Return the record's values of a row, in the form that every door takes."""
        return {name: cell(row) for name, cell in self.fields}

    def line(self, row: Mapping[str, Any]) -> Values:
        """Return the table row's values of a row."""
        return {name: cell(row) for name, cell in self.cells}


class _Maker:
    def __init__(self, columns: list[str], zone: str) -> None:
        fields = dict.fromkeys(columns, TEXT) | {"row_number": NUMBER, "line_number": NUMBER}
        self._scope = Scope(fields)
        self.problems: list[Problem] = []
        try:
            self._zone = ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError):
            self._zone = ZoneInfo("UTC")
            self.refuse(
                "time_zone", "mapping.time_zone", N_("There is no time zone {name}."), name=zone
            )
        self._has_zone = bool(zone)
        self._env = PlainEnv(zone=self._zone)
        #: Cells that are a column as it is, which need no look at what kind of value they gave.
        self._plain: dict[Cell, str] = {}

    def refuse(self, path: str, code: str, text: str, **params: Any) -> None:
        self.problems.append(Problem(path, code, text, params))

    def _unknown(self, path: str, name: str, record_fields: Mapping[str, Field]) -> None:
        self.refuse(
            path,
            "field.unknown",
            N_("There is no field {name} to write. {nearest}"),
            name=name,
            nearest=nearest(name, record_fields),
        )

    def expression(self, path: str, text: str, expect: Any = None) -> Cell | None:
        try:
            found = compile_expression(text, self._scope, expect=expect)
        except ExpressionError as error:
            self.problems += [
                Problem(path, one.code, one.text, one.params, line=one.line, column=one.column)
                for one in error.problems
            ]
            return None
        node = found.node
        if isinstance(node, expression_nodes.Field):
            cell = _column(node.name)
            self._plain[cell] = node.name
            return cell
        run, env = found.run, self._env
        return lambda row: run(row, env)

    def field(
        self, path: str, record_fields: Mapping[str, Field], name: str, text: str
    ) -> Cell | None:
        field = record_fields.get(name)
        cell = self.expression(path, text)
        if field is None or not is_written(field):
            self._unknown(path, name, record_fields)
            return None
        return None if cell is None else self.typed(cell, field)

    def typed(self, cell: Cell, field: Field) -> Cell:
        """Return a cell whose texts are read as `field` reads what people type."""
        kind = field_type(field.type)
        if field.type == "table":
            inner = {one.name: self.typed(_column(one.name), one) for one in field.fields}
            return _rows_reader(cell, field, inner)
        if kind.points == "many":
            return _texts_reader(cell)
        if field.type == "datetime" and self._has_zone:
            zone = self._zone

            def instant(row: Mapping[str, Any]) -> Any:
                value = _ready(cell(row))
                if not isinstance(value, str) or not value:
                    return value
                value = kind.tidy(value)
                try:
                    return to_wire(kind.from_text(value, field, zone))  # type: ignore[call-arg]
                except FieldError:
                    return value  # the same check as at every door says what is wrong

            return instant
        column = self._plain.get(cell)
        if column is not None and type(kind).from_text is FieldType.from_text:
            if type(kind).tidy is FieldType.tidy:
                return lambda row: row[column] or None
            tidy = kind.tidy
            return lambda row: tidy(row[column]) or None
        return _reader(cell, field, kind)

    def default(self, path: str, record_fields: Mapping[str, Field], name: str, text: str) -> Cell:
        if name not in record_fields:
            self._unknown(path, name, record_fields)
        return lambda _row: text


def _texts_reader(cell: Cell) -> Cell:
    """Return what reads the keys of several records from one cell."""

    def read(row: Mapping[str, Any]) -> Any:
        value = cell(row)
        return split_texts(value) if isinstance(value, str) else _ready(value)

    return read


def _rows_reader(cell: Cell, field: Field, inner: Mapping[str, Cell]) -> Cell:
    """Return what reads the rows of a table field from one cell of JSON.

    What an answer adds to each row is left aside; texts are read as people type them,
    and the values are checked at the door that every record passes.
    """
    left = {"id", "position"} | {one.name for one in field.fields if not is_written(one)}
    tables = {one.name for one in field.fields if one.type == "table"}

    def read(row: Mapping[str, Any]) -> Any:
        rows = cell(row)
        if not rows or (isinstance(rows, str) and not rows.strip()):
            return []
        if isinstance(rows, str):
            try:
                rows = msgspec.json.decode(rows)
            except (msgspec.DecodeError, RecursionError) as error:
                raise WrongTypeError("json") from error
        if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
            raise WrongTypeError("list")
        return [
            {
                name: (
                    inner[name](one)
                    if name in tables or (isinstance(value, str) and name in inner)
                    else value
                )
                for name, value in one.items()
                if name not in left
            }
            for one in rows
        ]

    return read


def _reader(cell: Cell, field: Field, kind: FieldType) -> Cell:
    if type(kind).from_text is FieldType.from_text:

        def tidied(row: Mapping[str, Any]) -> Any:
            value = _ready(cell(row))
            return kind.tidy(value) if isinstance(value, str) else value

        return tidied

    def read(row: Mapping[str, Any]) -> Any:
        value = cell(row)
        if not isinstance(value, str) or is_masked(value):
            return _ready(value)  # what stands for a value that stays as it is
        return kind.dump(kind.from_text(value, field)) if value else None

    return read


def _ready(value: Any) -> Any:
    """Return what an expression gave as a wire value."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, datetime):
        return to_wire(value)
    return value.isoformat() if isinstance(value, (date, time)) else value


def unescaped(text: str) -> str:
    """Return a cell without the `'` that export put before what looks like a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in FORMULA_STARTS else text


def _links(table: str, fields: Mapping[str, Field], names: Any) -> dict[tuple[str, str], str]:
    """Return the link fields among `names`, with those inside of table fields read whole.

    `table` is the path of the table field whose columns they are, such as `lines.parts`.
    """
    found = {}
    for name in names:
        field = fields.get(name)
        if field is not None and field_type(field.type).points:
            found[table, name] = field.target
        elif field is not None and field.type == "table":
            inner = {one.name: one for one in field.fields}
            found |= _links(f"{table}.{name}".lstrip("."), inner, inner)
    return found


def compile_mapping(
    mapping: ImportMapping, record_type: RecordType, columns: list[str], zone: str = ""
) -> RowMapper:
    """Return a mapping made ready for a file with `columns`.

    Raises:
        Malformed: it names columns or fields that are not there; all of them at once.
    """
    maker = _Maker(columns, mapping.time_zone or zone)
    own = {one.name: one for one in record_type.fields}
    table = own.get(mapping.lines.table) if mapping.lines else None
    if mapping.lines and (table is None or table.type != "table"):
        maker.refuse(
            "lines.table",
            "mapping.table",
            N_("There is no table field {name}."),
            name=mapping.lines.table,
        )
    inner = {one.name: one for one in table.fields} if table else {}
    fields = [
        (name, maker.default(f"defaults.{name}", own, name, text))
        for name, text in mapping.defaults.items()
        if name not in mapping.fields
    ]
    fields += [
        (name, cell)
        for name, text in mapping.fields.items()
        if (cell := maker.field(f"fields.{name}", own, name, text))
    ]
    lines = mapping.lines.fields if mapping.lines else {}
    cells = [
        (name, cell)
        for name, text in lines.items()
        if (cell := maker.field(f"lines.fields.{name}", inner, name, text))
    ]
    if mapping.key and mapping.key not in {name for name, _ in fields}:
        maker.refuse(
            "key", "mapping.key", N_("The key {name} is not among the fields."), name=mapping.key
        )
    group = maker.expression("group_by", mapping.group_by) if mapping.group_by else None
    keep = maker.expression("where", mapping.where, "boolean") if mapping.where else None
    if maker.problems:
        raise Malformed(N_("The mapping does not fit."), problems=maker.problems)
    return RowMapper(
        tuple(columns),
        mapping.key,
        group,
        keep,
        tuple(fields),
        table.name if table else "",
        tuple(cells),
        _links("", own, [name for name, _ in fields])
        | (_links(table.name, inner, lines) if table else {}),
    )


def mapping_by_header(
    record_type: RecordType, columns: list[str], zone: str = "", *, is_escaped: bool = True
) -> tuple[RowMapper, list[str]]:
    """Return a mapping of columns to the fields they name, and the columns left aside.

    A column is named as a field or has its label in any language. What is computed is
    left aside, so that an export can be read back.

    Raises:
        Malformed: a column is nobody's.
    """
    names = {one.name: one for one in record_type.fields}
    labels = {text: one for one in record_type.fields for text in one.label.values()}
    maker = _Maker(columns, zone)
    fields: list[tuple[str, Cell]] = []
    ignored: list[str] = []
    for column in columns:
        field = names.get(column) or labels.get(column)
        if field is None and column in {*SYSTEM_FIELDS, *DOCUMENT_FIELDS, "no_access", "masked"}:
            ignored.append(column)
        elif field is None:
            maker.refuse(
                column[:80],
                "field.unknown",
                N_("The column {name} is no field. {nearest}"),
                name=column[:80],
                nearest=nearest(column, [*labels, *names]),
            )
        elif not is_written(field) or (record_type.document and field.name == "status"):
            ignored.append(column)
        else:
            cell = _own_column(column) if is_escaped else _column(column)
            fields.append((field.name, maker.typed(cell, field)))
    if maker.problems:
        raise Malformed(N_("The columns do not fit the form."), problems=maker.problems)
    key = next(
        (one.name for one in record_type.fields if one.unique and one.name in dict(fields)), ""
    )
    links = _links("", names, [name for name, _ in fields])
    return RowMapper(tuple(columns), key, None, None, tuple(fields), "", (), links), ignored


def _column(name: str) -> Cell:
    return lambda row: row[name]


def _own_column(name: str) -> Cell:
    return lambda row: unescaped(row[name])
