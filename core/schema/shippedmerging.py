"""Lays the site's changes of automations, dashboards and prints over what is shipped."""

from collections.abc import Callable, Iterable, Mapping

from core.errors import Problem
from core.i18n import N_
from core.schema.loader import Document
from core.schema.merging import overlaid
from core.schema.yamlnodes import Node

#: Name -> (the layer that declared it, its whole tree).
Merged = dict[str, tuple[str, Node]]

_TWICE: Mapping[str, str] = {
    "automation": N_("The automation {name} is already declared in {file}."),
    "dashboard": N_("The dashboard {name} is already declared in {file}."),
    "print": N_("The print {name} is already declared in {file}."),
}


def merge_shipped(
    documents: Iterable[Document],
    kind: str,
    problems: list[Problem],
    overlay: Callable[[Node, Node], Node] = overlaid,
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
            merged[document.name] = known[0], overlay(known[1], document.node)
        else:
            place, first = document.node.at(kind), known[1].source.path
            params = {"name": document.name, "file": first}
            problems.append(place.problem(f"duplicate_{kind}", _TWICE[kind], **params))
    return merged


def cards_overlaid(base: Node, over: Node) -> Node:
    """Return a dashboard under the site's: a card of the same name is changed, others follow."""
    merged = overlaid(base, over)
    cards, changes = base.get("cards"), over.get("cards")
    if cards is None or changes is None or changes.kind != "list":
        return merged
    items = list(cards.items)
    places = {one.word("name"): at for at, one in enumerate(items)}
    for change in changes.items:
        at = places.get(change.word("name"))
        if at is None:
            items.append(change)
        else:
            items[at] = overlaid(items[at], change)
    merged.entries["cards"] = Node("list", cards.source, cards.line, cards.column, items=items)
    return merged
