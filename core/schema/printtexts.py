"""Renames in a print's document, wherever it means what is renamed."""

from collections.abc import Mapping, MutableMapping, MutableSequence
from typing import Any

from core.expression import Scope
from core.schema.holetexts import Renaming, renamed_holes
from core.schema.model import Release
from core.schema.scopes import named_scope, record_scope

Tree = MutableMapping[str, Any]


def rename_in_print(tree: Tree, release: Release, type_name: str, renames: Renaming) -> None:
    """Change every mention of what is renamed in the document of a print of `type_name`.

    Args:
        tree: the document.
        release: the schema in which everything still has its old name.
        type_name: the record type that is printed.
        renames: the names that change.
    """
    scope = record_scope(release, type_name)
    own = {old: new for (owner, old), new in renames.fields.items() if owner == type_name}
    _rename_text(tree, "when", scope, renames)
    for block in tree.get("blocks") or ():
        _rename_text(block, "when", scope, renames)
        for key in ("heading", "text"):
            label = block.get(key) or {}
            for language, text in label.items():
                label[language] = renamed_holes(str(text), scope, renames)
        table = f"{type_name}.{block.get('table', '')}"
        rows = named_scope(release.types, table)
        for cell in block.get("cells") or ():
            if rows is not None:
                _rename_text(cell, "value", rows, renames)
            if (table, cell.get("field")) in renames.fields:
                cell["field"] = renames.fields[table, cell["field"]]
        _rename_fields(block, own)
    if tree.get("type") in renames.types:
        tree["type"] = renames.types[tree["type"]]


def _rename_fields(block: Tree, own: Mapping[str, str]) -> None:
    for key in ("table", "image"):
        if block.get(key) in own:
            block[key] = own[block[key]]
    fields = block.get("fields")
    if isinstance(fields, MutableSequence):
        fields[:] = [own.get(str(one), one) for one in fields]


def _rename_text(place: Tree, key: str, scope: Scope, renames: Renaming) -> None:
    if place.get(key):
        place[key] = renames.expression(place[key], scope)
