"""Where an upgrade changes what this site has changed too: base, mine and theirs.

A customization always wins over the layers below it. When a layer below changes a
property that the site states otherwise, nobody would notice; so each of these is
shown, and a person keeps mine, takes theirs or writes something else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from core.errors import Problem
from core.i18n import N_
from core.schema.loader import Document, load_documents
from core.schema.merging import merge_types
from core.schema.roundtrip import edited_text, flowing
from core.schema.shippedmerging import SHIPPED_KINDS, merge_shipped
from core.schema.yamlnodes import Node, Source

SITE = "site"
#: Lists whose items have a key of their own.
_KEYED = {
    "fields": "name",
    "views": "name",
    "policies": "name",
    "rules": "name",
    "options": "value",
    "cards": "name",
    "holidays": "day",
    "workdays": "day",
    "categories": "name",
}
#: What a thing is, not what it is like.
_IDENTITY = frozenset(
    {"id", "name", "value", "type", "was", "record_type", "customize", *SHIPPED_KINDS}
)
#: What the site adds to without taking the place of anything.
_ADDED = frozenset({"checks", "unique_together", "duplicates", "changes", "stages", "archive"})

Tree = dict[str, Any]
#: Conflict key -> `mine`, `theirs`, or `{"value": …}`.
Settlement = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Conflict:
    """One property that the site states and a layer below has changed.

    Attributes:
        key: where it is: `member.fields.phone.max_length`, `print receipt.label`.
        base: what the layers below said; `theirs` what they say now; None for nothing.
        mine: what the site says.
        file: the site's file.
    """

    key: str
    base: Any
    mine: Any
    theirs: Any
    file: str
    path: tuple[str, ...]


def find_conflicts(before: Sequence[Source], after: Sequence[Source]) -> list[Conflict]:
    """Return what a change of the layers below the site's collides with.

    Args:
        before: the files of the release in force.
        after: all files as they would be.
    """
    if _below(before) == _below(after):
        return []
    old, new = _trees(before), _trees(after)
    return [
        conflict
        for document in load_documents([one for one in after if one.layer == SITE])[0]
        if (key := _key(document)) in old and key in new
        for conflict in _compared(document, plain(document.node), old[key], new[key], ())
    ]


def both_added(before: Sequence[Source], after: Sequence[Source]) -> list[Problem]:
    """Return a problem for each field that a layer below adds and the site had added before."""
    if _below(before) == _below(after):
        return []
    old, new = _trees(before), _trees(after)
    found = []
    for document in load_documents([one for one in after if one.layer == SITE])[0]:
        if document.kind != "customize":
            continue
        had = {one.get("name") for one in old.get(document.name, {}).get("fields") or ()}
        has = {one.get("name") for one in new.get(document.name, {}).get("fields") or ()}
        for node in document.node.listed("fields"):
            name = node.word("name")
            if node.word("type") and name in has - had:
                text = N_(
                    "The field {name} was added here and now comes with a plugin too; rename "
                    "the one that was added here."
                )
                found.append(node.at("name").problem("both_added", text, name=name))
    return found


def settled(
    sources: Sequence[Source], conflicts: Iterable[Conflict], settlement: Settlement
) -> list[Source]:
    """Return the sources with what a person decided written into the site's files."""
    edited = list(sources)
    for conflict in conflicts:
        decision = settlement.get(conflict.key)
        if decision is None or decision == "mine":
            continue
        value = decision["value"] if isinstance(decision, Mapping) else None
        edited = [
            replace(one, text=edited_text(one.text, _edit(conflict.path, value)))
            if one.layer == SITE and one.path == conflict.file
            else one
            for one in edited
        ]
    return edited


def _edit(path: tuple[str, ...], value: Any) -> Any:
    """Return an edit that puts a value at a path of a file, or takes what is there away."""

    def edit(tree: Any) -> None:
        place = tree
        for key, name in zip(path[:-1:2], path[1::2], strict=False):
            if key in _KEYED and isinstance(place.get(key), list):
                identity = _KEYED[key]
                place = next(one for one in place[key] if one.get(identity) == name)
        if value is None:
            place.pop(path[-1], None)
        else:
            place[path[-1]] = flowing(value)

    return edit


def _below(sources: Iterable[Source]) -> list[tuple[str, str, str | bytes]]:
    return sorted((one.layer, one.path, one.text) for one in sources if one.layer != SITE)


def _trees(sources: Iterable[Source]) -> dict[str, Tree]:
    """Return record type name -> what the layers below the site's say of it.

    Whatever else the site may change stands under its kind and name: `print receipt`.
    """
    documents, problems = load_documents([one for one in sources if one.layer != SITE])
    merged = merge_types(documents, problems)
    trees = {name: plain(draft.node) for name, draft in merged.items()}
    for kind in sorted(SHIPPED_KINDS):
        for name, (_, node) in merge_shipped(documents, kind, problems).items():
            trees[f"{kind} {name}"] = plain(node)
    return trees


def _key(document: Document) -> str:
    """Return under what `_trees` has what a document of the site changes; `""` for nothing."""
    if document.kind == "customize":
        return document.name
    return f"{document.kind} {document.name}" if document.kind in SHIPPED_KINDS else ""


def plain(node: Node) -> Any:
    """Return a tree without its places: mappings, lists, texts and None."""
    if node.kind == "map":
        return {name: plain(below) for name, below in node.entries.items()}
    if node.kind == "list":
        return [plain(below) for below in node.items]
    return None if node.is_null else node.text


def _compared(
    document: Document, mine: Tree, base: Tree, theirs: Tree, path: tuple[str, ...]
) -> Iterator[Conflict]:
    for key, value in mine.items():
        if key in _IDENTITY or key in _ADDED:
            continue
        old, new = base.get(key), theirs.get(key)
        if key in _KEYED and isinstance(value, list):
            for item in value:
                name = str(item.get(_KEYED[key], "")) if isinstance(item, dict) else ""
                now = _item(new, _KEYED[key], name)
                then = _former(old, _KEYED[key], now)
                if now is not None and then is not None:
                    yield from _compared(document, item, then, now, (*path, key, name))
        elif new not in (old, value):
            where = (*path, key)
            yield Conflict(
                ".".join((_key(document), *where)),
                deepcopy(old),
                value,
                deepcopy(new),
                document.source.path,
                where,
            )


def _item(items: Any, key: str, name: str) -> Tree | None:
    found = items if isinstance(items, list) else []
    return next((one for one in found if isinstance(one, dict) and one.get(key) == name), None)


def _former(items: Any, key: str, now: Tree | None) -> Tree | None:
    """Return what an item was: by its id, by its former name, or by its name."""
    if now is None:
        return None
    for wanted, word in (("id", now.get("id")), (key, now.get("was")), (key, now.get(key))):
        found = _item(items, wanted, str(word)) if word else None
        if found is not None:
            return found
    return None
