"""Checks the prints of a release against the record types that they print."""

from core.expression import Scope
from core.expression.holes import Hole, UnclosedHole, split_text
from core.i18n import N_
from core.schema.draft import Draft
from core.schema.filetypes import PICTURE_TYPES
from core.schema.model import RecordType
from core.schema.names import TYPE_NAME
from core.schema.prints import KINDS, Print, PrintBlock
from core.schema.scopes import named_scope
from core.schema.viewchecks import listed_names
from core.schema.yamlnodes import Node

MAX_NAME = 40
MAX_BLOCKS = 100
#: The print that every record type has without declaring it.
DEFAULT_PRINT = "form"


def check_prints(draft: Draft) -> None:
    """Note every problem of every print."""
    for name, one in draft.prints.items():
        node = draft.nodes[f"print {name}"]
        _check_name(draft, name, node)
        record_type = draft.types.get(one.type)
        if record_type is None:
            draft.add_unknown(node.at("type"), "type", one.type, draft.types)
            continue
        if one.when:
            draft.expression(node.at("when"), one.when, draft.scope(one.type))
        _check_blocks(draft, one, node, record_type)


def _check_name(draft: Draft, name: str, node: Node) -> None:
    place = node.at("print")
    if not TYPE_NAME.fullmatch(name) or len(name) > MAX_NAME:
        text = N_("A name is of small letters, digits and single _; not {name}.")
        draft.add(place, "bad_name", text, name=name[:80])
    elif name == DEFAULT_PRINT:
        draft.add(place, "reserved", N_("The name {name} is taken by the product."), name=name)


def _check_blocks(draft: Draft, one: Print, node: Node, record_type: RecordType) -> None:
    if not one.blocks:
        draft.add(node, "missing", N_("“{key}” is missing."), key="blocks")
    if len(one.blocks) > MAX_BLOCKS:
        text = N_("At most {limit} entries.")
        draft.add(node.at("blocks"), "too_many", text, limit=MAX_BLOCKS)
    for at, block in enumerate(one.blocks):
        place = node.at("blocks", at)
        present = [kind for kind in KINDS if kind in place.entries]
        if len(present) != 1:
            text = N_("A block has exactly one of: {expected}.")
            draft.add(place, "not_one_of", text, expected=", ".join(KINDS))
        if block.when:
            draft.expression(place.at("when"), block.when, draft.scope(one.type))
        _check_block(draft, block, place, record_type)


def _check_block(draft: Draft, block: PrintBlock, place: Node, record_type: RecordType) -> None:
    scope = draft.scope(record_type.name)
    for key, label in (("heading", block.heading), ("text", block.text)):
        for language, text in label.items():
            _check_text(draft, text, place.at(key, language), scope)
    _check_named(draft, block, place, record_type)
    if block.table:
        _check_table(draft, block, place, record_type)
    elif block.cells:
        text = N_("“{key}” belongs to “{owner}”.")
        draft.add(place.keys["cells"], "not_alone", text, key="cells", owner="table")


def _check_named(draft: Draft, block: PrintBlock, place: Node, record_type: RecordType) -> None:
    """Check the fields that a block prints, and the one whose pictures it shows."""
    names = listed_names(record_type)
    for at, name in enumerate(block.fields):
        if name not in names:
            draft.add_unknown(place.at("fields", at), "field", name, names)
    if block.image:
        found = record_type.field(block.image)
        if found is None:
            known = [one.name for one in record_type.fields]
            draft.add_unknown(place.at("image"), "field", block.image, known)
        elif found.type not in PICTURE_TYPES | {"files"}:
            text = N_("A field of type {type} holds no pictures.")
            draft.add(place.at("image"), "no_picture", text, type=found.type)


def _check_text(draft: Draft, text: str, place: Node, scope: Scope) -> None:
    try:
        parts = list(split_text(text))
    except UnclosedHole as error:
        told = N_("The brace at position {position} has no partner; write two for one.")
        draft.add(place, "bad_text", told, position=error.position + 1)
        return
    for part in parts:
        if isinstance(part, Hole):
            draft.expression(place, part.text, scope, None)


def _check_table(draft: Draft, block: PrintBlock, place: Node, record_type: RecordType) -> None:
    table = record_type.field(block.table)
    scope = named_scope(draft.types, f"{record_type.name}.{block.table}")
    if table is None or scope is None:
        tables = [one.name for one in record_type.fields if one.type == "table"]
        draft.add_unknown(place.at("table"), "field", block.table, tables)
        return
    columns = [one.name for one in table.fields]
    for at, cell in enumerate(block.cells):
        node = place.at("cells", at)
        if bool(cell.field) == bool(cell.value):
            text = N_("A block has exactly one of: {expected}.")
            draft.add(node, "not_one_of", text, expected="field, value")
        elif cell.field and cell.field not in columns:
            draft.add_unknown(node.at("field"), "field", cell.field, columns)
        elif cell.value:
            draft.expression(node.at("value"), cell.value, scope, None)
