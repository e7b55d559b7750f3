"""Lays the site's changes of automations, dashboards and the like over what is shipped."""

from collections.abc import Iterable, Mapping

from core.errors import Problem
from core.i18n import N_
from core.schema.loader import Document
from core.schema.merging import overlaid
from core.schema.yamlnodes import Node

#: Name -> (the layer that declared it, its whole tree).
Merged = dict[str, tuple[str, Node]]

_TWICE: Mapping[str, str] = {
    "account_kind": N_("The account kind {name} is already declared in {file}."),
    "automation": N_("The automation {name} is already declared in {file}."),
    "calendar": N_("The calendar {name} is already declared in {file}."),
    "dashboard": N_("The dashboard {name} is already declared in {file}."),
    "decision_table": N_("The decision table {name} is already declared in {file}."),
    "print": N_("The print {name} is already declared in {file}."),
}

#: Kinds of which the site's document may state a part, in the place of what a layer below says.
SHIPPED_KINDS = frozenset(_TWICE)

#: Kind -> lists that the site changes item by item -> the key that says which item.
_NAMED_ITEMS: Mapping[str, Mapping[str, str]] = {
    "account_kind": {"categories": "name"},
    "calendar": {"holidays": "day", "workdays": "day"},
    "dashboard": {"cards": "name"},
}


def merge_shipped(
    documents: Iterable[Document],
    kind: str,
    problems: list[Problem],
) -> Merged:
    """Return every document of a kind; the site's keys stand in place of those of other layers.

    A site's document about something that no other layer has declares it.
    """
    named = [one for one in documents if one.kind == kind and one.name]
    merged: Merged = {}
    for document in sorted(named, key=lambda one: one.layer == "site"):
        known = merged.get(document.name)
        if known is None:
            merged[document.name] = document.layer, document.node
        elif document.layer == "site" and known[0] != "site":
            merged[document.name] = known[0], _laid_over(kind, known[1], document.node)
        else:
            place, first = document.node.at(kind), known[1].source.path
            params = {"name": document.name, "file": first}
            problems.append(place.problem(f"duplicate_{kind}", _TWICE[kind], **params))
    return merged


def _laid_over(kind: str, base: Node, over: Node) -> Node:
    """Return a document under the site's: items of the same name are changed, others follow."""
    merged = overlaid(base, over)
    for key, name in _NAMED_ITEMS.get(kind, {}).items():
        listed, changes = base.get(key), over.get(key)
        if listed is None or changes is None or changes.kind != "list":
            continue
        items = list(listed.items)
        places = {one.word(name): at for at, one in enumerate(items)}
        for change in changes.items:
            at = places.get(change.word(name))
            if at is None:
                items.append(change)
            else:
                items[at] = overlaid(items[at], change)
        merged.entries[key] = Node("list", listed.source, listed.line, listed.column, items=items)
    return merged
