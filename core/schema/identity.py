"""Gives every field the id it keeps for life.

A field is the same field when its id is stated; else when the running release
has one of that layer and name; else when it says `was:` and nobody uses the
old name any more; else it is new.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import Problem
from core.i18n import N_
from core.schema.model import Field
from core.schema.yamlnodes import Node


@dataclass(frozen=True, slots=True)
class Known:
    """The fields that the running release has in one place.

    Attributes:
        live: fields in use.
        archived: fields put away.
    """

    live: tuple[Field, ...] = ()
    archived: tuple[Field, ...] = ()

    def all(self) -> tuple[Field, ...]:
        """Return the live fields, then the archived ones, the latest first."""
        return (*self.live, *reversed(self.archived))


def resolve_ids(
    nodes: Iterable[Node], known: Known, prefix: str, *, number: int, problems: list[Problem]
) -> list[str]:
    """Return the id of each field node, in order.

    Args:
        nodes: the declared fields of one record type or table field.
        known: the same place in the running release.
        prefix: what stands between layer and name in an id that is made: `member`.
        number: the release that is made.
        problems: where what is wrong goes.
    """
    nodes = list(nodes)
    names = {node.word("name") for node in nodes}
    ids: list[str] = [node.word("id") for node in nodes]
    for at, node in enumerate(nodes):
        if ids[at]:
            _check_stated(node, ids[at], known, problems)
    taken = {one for one in ids if one}
    for at, node in enumerate(nodes):
        if not ids[at]:
            found = _kept_id(node, known, names, taken)
            ids[at] = found or _new_id(node, known, prefix, number=number, taken=taken)
            taken.add(ids[at])
    return ids


def _check_stated(node: Node, stated: str, known: Known, problems: list[Problem]) -> None:
    """Refuse an id that would part a published field from its values."""
    if any(one.id == stated for one in known.all()):
        return
    name, layer = node.word("name"), node.source.layer
    same = next((one for one in known.live if one.name == name and one.layer == layer), None)
    if same is not None and "." in same.id:
        text = N_("The field {name} is already published as {id}; write that id.")
        problems.append(node.at("id").problem("other_id", text, name=name, id=same.id))


def _kept_id(node: Node, known: Known, names: set[str], taken: set[str]) -> str:
    """Return the id of the running release's field that this is, or an empty text."""
    name, was, layer = node.word("name"), node.word("was"), node.source.layer
    own = [one for one in known.all() if one.layer == layer and one.id not in taken]
    live = [one for one in own if one in known.live]
    for one in live:
        if was and one.name == was and was not in names:
            return one.id
    for one in live:
        if one.name == name:
            return one.id
    for one in own:
        if one.name == name and one.type == node.word("type"):
            return one.id
    return ""


def _new_id(node: Node, known: Known, prefix: str, *, number: int, taken: set[str]) -> str:
    """Return `layer.type.name`, made unlike every id that was ever used here."""
    made = f"{node.source.layer}.{prefix}.{node.word('name')}"
    used = taken | {one.id for one in known.all()}
    return made if made not in used else f"{made}.{number}"
