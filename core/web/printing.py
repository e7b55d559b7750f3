"""What a print of a record shows: blocks of plain values, read with its reader's rights.

Templates of prints hold texts and expressions; the expressions are the product's own and
see what the reader may see. Everything else about them is data, drawn by one template.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from core.context import Context
from core.errors import NotFound
from core.expression.holes import Hole, split_text
from core.i18n import pick
from core.policies.access import access
from core.records.environment import RecordEnv
from core.records.queries import get_record
from core.records.wire import to_wire
from core.schema.filetypes import PICTURE_TYPES, file_ids
from core.schema.model import Field, RecordType
from core.schema.printchecks import DEFAULT_PRINT
from core.schema.prints import PrintBlock, PrintCell, PrintPage
from core.web.display import NUMBERS, Reading, field_label, value_text
from core.web.forms import form_layout
from core.web.navigation import type_label
from core.web.printvalues import Sight
from core.web.reading import field_of, label_of, make_reading
from core.web.titles import title_name


@dataclass(frozen=True, slots=True)
class Shown:
    """One value: its text, or that this reader may not see it; pictures by their ids."""

    text: str = ""
    is_hidden: bool = False
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """One block, ready to be drawn.

    Attributes:
        kind: heading, text, fields, table, image or space.
        pieces: of a heading or text.
        facts: label and value of each field.
        heads: the table's headings, with whether numbers stand below.
    """

    kind: str
    align: str = "left"
    columns: int = 2
    title: str = ""
    space: str = ""
    pieces: tuple[Shown, ...] = ()
    facts: tuple[tuple[str, Shown], ...] = ()
    heads: tuple[tuple[str, bool], ...] = ()
    rows: tuple[tuple[Shown, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Printed:
    """A print of one record."""

    name: str
    label: str
    title: str
    type_label: str
    page: PrintPage
    parts: tuple[Part, ...]
    version: int
    others: tuple[tuple[str, str], ...] = attribute(default=())


def prints_of(ctx: Context, type_name: str) -> list[tuple[str, str]]:
    """Return name and label of every print of a record type, the default one last."""
    found = [
        (one.print, pick(one.label, ctx.locale, one.print))
        for one in ctx.registry.release.prints.values()
        if one.type == type_name
    ]
    record_type = ctx.registry.record_type(type_name)
    return [*found, (DEFAULT_PRINT, type_label(record_type, ctx.locale, plural=False))]


def print_record(ctx: Context, type_name: str, record_id: str, name: str) -> Printed:
    """Return a record as the print called `name` shows it to the actor.

    Raises:
        NotFound: no such print, or it is not for this record, or no such record for the actor.
        Forbidden: the actor may see none of its type.
    """
    record_type = ctx.registry.record_type(type_name)
    access(ctx, type_name).through("print")
    declared = ctx.registry.release.prints.get(name)
    if name != DEFAULT_PRINT and (declared is None or declared.type != type_name):
        raise NotFound
    with ctx.reading() as connection:
        record = get_record(ctx, type_name, record_id, via="print")
        drawing = _Drawing(ctx, record_type, record, RecordEnv(ctx, connection))
        if declared is not None and not drawing.sight.holds(declared.when):
            raise NotFound
        parts = drawing.parts(declared.blocks if declared else _default_blocks(record_type))
        title = drawing.shown(title_name(record_type)).text
    label = type_label(record_type, ctx.locale, plural=False)
    return Printed(
        name=name,
        label=pick(declared.label, ctx.locale, name) if declared else label,
        title=title or label,
        type_label=label,
        page=declared.page if declared else PrintPage(),
        parts=(_title_part(title, label), *parts) if declared is None else parts,
        version=int(record.get("version") or 0),
        others=tuple(each for each in prints_of(ctx, type_name) if each[0] != name),
    )


def _title_part(title: str, label: str) -> Part:
    text = f"{label} {title}" if title and title != label else label
    return Part("heading", pieces=(Shown(text),))


def _default_blocks(record_type: RecordType) -> Iterator[PrintBlock]:
    """Yield the form's own layout as blocks: sections, table fields where they stand."""
    tables = {one.name for one in record_type.fields if one.type == "table"}
    if record_type.document:
        yield PrintBlock(fields=("status",), columns=1)
    for section in (each for _, sections in form_layout(record_type) for each in sections):
        plain = tuple(name for name in section.fields if name not in tables)
        if plain:
            yield PrintBlock(fields=plain, columns=section.columns, text=section.title)
        for name in section.fields:
            if name in tables:
                yield PrintBlock(table=name)


class _Drawing:
    """Draws the blocks of one print of one record."""

    def __init__(
        self, ctx: Context, record_type: RecordType, record: Mapping[str, Any], env: RecordEnv
    ) -> None:
        self._ctx, self._type = ctx, record_type
        self._wire = to_wire(ctx.registry, record_type.name, record)
        self._reading: Reading = make_reading(ctx, record_type.fields, [self._wire])
        self.sight = Sight(ctx, record_type, record, env)

    def parts(self, blocks: Iterator[PrintBlock] | Sequence[PrintBlock]) -> tuple[Part, ...]:
        """Return what is to be drawn, without blocks whose condition does not hold."""
        return tuple(self._part(block) for block in blocks if self.sight.holds(block.when))

    def _part(self, block: PrintBlock) -> Part:
        locale = self._ctx.locale
        if block.fields:
            facts = tuple(
                (label_of(self._type, name, locale), self.shown(name)) for name in block.fields
            )
            title = pick(block.text, locale)
            return Part("fields", columns=block.columns, facts=facts, title=title)
        if block.table:
            return self._table(block)
        if block.image:
            return Part("image", align=block.align, facts=(("", self.shown(block.image)),))
        if block.space:
            return Part("space", space=block.space)
        kind = "heading" if block.heading else "text"
        text = pick(block.heading or block.text, locale)
        return Part(kind, align=block.align, pieces=tuple(self._pieces(text)))

    def shown(self, name: str) -> Shown:
        """Return the value of one field."""
        field = field_of(self._type, name)
        if not self.sight.sees(name):
            return Shown(is_hidden=True)
        if name in self.sight.masked:
            return Shown(str(self._wire.get(name) or ""))
        return self._value(field, self._wire.get(name))

    def _value(self, field: Field | None, value: Any) -> Shown:
        if field is None:
            return Shown("" if value is None else str(value))
        if field.type in PICTURE_TYPES | {"files"}:
            ids = file_ids(field, value)
            names = value_text(field, value, self._reading)
            pictures = self.sight.pictures(ids)
            return Shown("" if len(pictures) == len(ids) else names, pictures=pictures)
        return Shown(value_text(field, value, self._reading))

    def _pieces(self, text: str) -> Iterator[Shown]:
        for part in split_text(text):
            if isinstance(part, Hole):
                told = self.sight.told(part.text)
                yield Shown(is_hidden=True) if told is None else Shown(told)
            else:
                yield Shown(part)

    def _table(self, block: PrintBlock) -> Part:
        table = self._type.field(block.table)
        title = field_label(table, self._ctx.locale) if table else ""
        if table is None or not self.sight.sees(block.table):
            return Part("table", title=title, rows=((Shown(is_hidden=True),),))
        columns = {one.name: one for one in table.fields}
        cells = block.cells or tuple(
            PrintCell(field=one.name) for one in table.fields if not one.deprecated
        )
        heads = tuple(self._head(cell, columns) for cell in cells)
        rows = tuple(
            tuple(self._cell(cell, columns, table, index) for cell in cells)
            for index in range(len(self._wire.get(table.name) or ()))
        )
        return Part("table", title=title, heads=heads, rows=rows)

    def _head(self, cell: PrintCell, columns: Mapping[str, Field]) -> tuple[str, bool]:
        found = columns.get(cell.field)
        named = field_label(found, self._ctx.locale) if found else cell.value
        is_number = (found.result or found.type) in NUMBERS if found else self.sight.is_number
        return pick(cell.label, self._ctx.locale, named), is_number

    def _cell(
        self, cell: PrintCell, columns: Mapping[str, Field], table: Field, index: int
    ) -> Shown:
        if cell.field:
            row = self._wire[table.name][index]
            return self._value(columns.get(cell.field), row.get(cell.field))
        told = self.sight.told(cell.value, table=table.name, row=index)
        return Shown(is_hidden=True) if told is None else Shown(told)


def picture_ids(printed: Printed) -> set[str]:
    """Return the pictures that a print shows."""
    found: set[str] = set()
    for part in printed.parts:
        shown = [*part.pieces, *(value for _, value in part.facts)]
        for each in [*shown, *(cell for row in part.rows for cell in row)]:
            found.update(each.pictures)
    return found


__all__ = ["Part", "Printed", "Shown", "picture_ids", "print_record", "prints_of"]
