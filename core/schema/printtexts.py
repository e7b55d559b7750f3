"""Renames a field in a print's document, wherever it means the field."""

from collections.abc import MutableMapping, MutableSequence
from typing import Any

from core.expression import Scope, rename_names
from core.schema.holetexts import renamed_holes
from core.schema.model import Release
from core.schema.scopes import named_scope, record_scope

Tree = MutableMapping[str, Any]


def rename_in_print(
    tree: Tree, release: Release, type_name: str, rename: tuple[str, str, str]
) -> None:
    """Change every mention of a field in the document of a print of `type_name`.

    Args:
        tree: the document.
        release: the schema in which the field still has its old name.
        type_name: the record type that is printed.
        rename: the record type of the field, the old and the new name.
    """
    owner, old, new = rename
    scope, names = record_scope(release, type_name), {(owner, old): new}
    _rename_text(tree, "when", scope, names)
    for block in tree.get("blocks") or ():
        _rename_text(block, "when", scope, names)
        for key in ("heading", "text"):
            label = block.get(key) or {}
            for language, text in label.items():
                label[language] = renamed_holes(str(text), scope, names)
        rows = named_scope(release.types, f"{type_name}.{block.get('table', '')}")
        for cell in block.get("cells") or ():
            if rows is not None:
                _rename_text(cell, "value", rows, names)
        if owner == type_name:
            _rename_fields(block, old, new)


def _rename_fields(block: Tree, old: str, new: str) -> None:
    for key in ("table", "image"):
        if block.get(key) == old:
            block[key] = new
    fields = block.get("fields")
    if isinstance(fields, MutableSequence):
        fields[:] = [new if one == old else one for one in fields]


def _rename_text(place: Tree, key: str, scope: Scope, names: dict[tuple[str, str], str]) -> None:
    text = str(place.get(key) or "")
    renamed = rename_names(text, scope, names) if text else text
    if renamed != text:
        place[key] = renamed
