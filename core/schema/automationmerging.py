"""Lays the site's changes of automations over what plugins and the product ship."""

from collections.abc import Iterable

from core.errors import Problem
from core.i18n import N_
from core.schema.loader import Document
from core.schema.merging import overlaid
from core.schema.yamlnodes import Node

#: Name -> (the layer that declared it, its whole tree).
Merged = dict[str, tuple[str, Node]]


def merge_automations(documents: Iterable[Document], problems: list[Problem]) -> Merged:
    """Return every automation; the site's keys stand in place of those of other layers.

    A site's document about an automation that no other layer has declares one.
    """
    named = [one for one in documents if one.kind == "automation" and one.name]
    merged: Merged = {}
    for document in sorted(named, key=lambda one: one.layer == "site"):
        known = merged.get(document.name)
        if known is None:
            merged[document.name] = document.layer, document.node
        elif document.layer == "site" and known[0] != "site":
            merged[document.name] = known[0], overlaid(known[1], document.node)
        else:
            text = N_("The automation {name} is already declared in {file}.")
            place, first = document.node.at("automation"), known[1].source.path
            problems.append(
                place.problem("duplicate_automation", text, name=document.name, file=first)
            )
    return merged
