"""What a print is: a list of blocks, each of a few kinds; text and expressions, never markup.

    print: claim_receipt
    type: claim
    label: {zh: 受理单, en: Receipt}
    page: {size: A5, orientation: landscape}
    blocks:
      - heading: {zh: "受理单 {no}", en: "Receipt {no}"}
      - {fields: [member, amount], columns: 2}
      - {table: items, cells: [{field: what}, {value: "price * quantity", label: {en: Sum}}]}
      - {text: {zh: "合计 {sum(items.price)} 元"}, align: right, when: "items is not empty"}
      - {image: signed}

What stands in braces is an expression over the record, read with the rights of whoever
prints; everything else is text as it is.
"""

from typing import Literal

from core.schema.modelbase import Label, Model


class PrintPage(Model, frozen=True, kw_only=True):
    """The paper that a print is for; `receipt` is a roll 80 mm wide."""

    size: Literal["A4", "A5", "A6", "letter", "receipt"] = "A4"
    orientation: Literal["portrait", "landscape"] = "portrait"


class PrintCell(Model, frozen=True, kw_only=True):
    """One column of a printed table field: a field of its rows, or an expression over a row."""

    field: str = ""
    value: str = ""
    label: Label = {}  # noqa: RUF012  msgspec copies it


class PrintBlock(Model, frozen=True, kw_only=True):
    """One part of a print; it has exactly one of the keys in `KINDS`.

    Attributes:
        heading: a large line with expressions in braces.
        text: a paragraph with expressions in braces; lines stay lines.
        fields: fields with their labels, in `columns` columns.
        table: a table field, row by row; `cells` are its columns, all fields when empty.
        image: an image, signature or files field; its pictures are shown.
        space: an empty line, a ruled one, or a new page.
        when: condition over the record; what it does not hold for is left out.
    """

    heading: Label = {}  # noqa: RUF012  msgspec copies it
    text: Label = {}  # noqa: RUF012  msgspec copies it
    fields: tuple[str, ...] = ()
    columns: Literal[1, 2, 3, 4] = 2
    table: str = ""
    cells: tuple[PrintCell, ...] = ()
    image: str = ""
    space: Literal["", "line", "empty", "page"] = ""
    align: Literal["left", "center", "right"] = "left"
    when: str = ""


class Print(Model, frozen=True, kw_only=True):
    """A way to print the records of one type.

    Attributes:
        type: the record type.
        when: condition over the record; the print is offered only where it holds.
    """

    print: str
    layer: str = ""
    type: str
    label: Label = {}  # noqa: RUF012  msgspec copies it
    page: PrintPage = PrintPage()
    when: str = ""
    blocks: tuple[PrintBlock, ...]


#: The keys of which a block has one.
KINDS = ("heading", "text", "fields", "table", "image", "space")
