"""Lays the layers of a record type over each other, tree by tree.

What comes out is one tree whose every node still knows its own file, so that
a problem found in the effective type is reported where it was written.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from core.errors import Problem
from core.expression.types import nearest
from core.i18n import N_
from core.schema.loader import Document
from core.schema.yamlnodes import Node

#: Keys of a change that are merged by their own rules, or say what is changed.
_SPECIAL = frozenset(
    [
        "extend",
        "customize",
        "record_type",
        "was",
        "fields",
        "views",
        "policies",
        "checks",
        "rules",
        "stages",
        "unique_together",
        "changes",
        "layout",
        "archive",
        "id",
    ]
)
#: What a field is; another layer cannot change it.
_FIXED = ("name", "type", "was")


@dataclass(slots=True, eq=False)
class TypeDraft:
    """A record type while its layers are laid over each other.

    Attributes:
        name: the record type's name.
        node: the merged tree.
        archived: field nodes that the site has put away.
    """

    name: str
    node: Node
    archived: list[Node] = field(default_factory=list)

    @property
    def layer(self) -> str:
        """Return the layer that declared the type."""
        return self.node.source.layer


def merge_types(documents: Iterable[Document], problems: list[Problem]) -> dict[str, TypeDraft]:
    """Return every record type with its extensions and customizations merged in."""
    documents = list(documents)
    drafts: dict[str, TypeDraft] = {}
    for document in documents:
        if document.kind == "record_type" and document.name:
            _declare(drafts, document, problems)
    for kind in ("extend", "customize"):
        for document in documents:
            if document.kind == kind and document.name:
                _change(drafts, document, problems)
    return drafts


def _declare(drafts: dict[str, TypeDraft], document: Document, problems: list[Problem]) -> None:
    place = document.node.at("record_type")
    if document.name in drafts:
        first = drafts[document.name].node.source.path
        text = N_("The record type {name} is already declared in {file}.")
        problems.append(place.problem("duplicate_type", text, name=document.name, file=first))
        return
    if "archive" in document.node.entries:
        text = N_("Only a customization archives fields; delete them here.")
        problems.append(document.node.keys["archive"].problem("archive", text))
    drafts[document.name] = TypeDraft(document.name, copied(document.node))


def _change(drafts: dict[str, TypeDraft], document: Document, problems: list[Problem]) -> None:
    draft = drafts.get(document.name)
    if draft is None:
        hint = nearest(document.name, drafts)
        text = (
            N_("There is no record type {name} to change; “{hint}”?")
            if hint
            else N_("There is no record type {name} to change.")
        )
        place = document.node.at(document.kind)
        params = {"name": document.name} | ({"hint": hint} if hint else {})
        problems.append(place.problem("unknown_type", text, **params))
        return
    _Change(draft, document, problems).apply()


def copied(node: Node) -> Node:
    """Return a mapping node with its own entries and lists, so that merging leaves the file's."""
    entries = {
        name: _list(below, list(below.items)) if below.kind == "list" else below
        for name, below in node.entries.items()
    }
    return Node("map", node.source, node.line, node.column, entries=entries, keys=dict(node.keys))


def _list(place: Node, items: list[Node]) -> Node:
    return Node("list", place.source, place.line, place.column, items=items)


@dataclass(slots=True)
class _Change:
    """Lays one `extend` or `customize` document over a type."""

    draft: TypeDraft
    document: Document
    problems: list[Problem]

    def apply(self) -> None:
        over = self.document.node
        target = self.draft.node
        for name, below in over.entries.items():
            if name not in _SPECIAL:
                target.entries[name] = below
                target.keys[name] = over.keys[name]
        self._merge("fields", self._merge_field)
        self._merge("views", overlaid)
        self._merge("policies", overlaid)
        self._merge("rules", overlaid)
        for name in ("checks", "stages", "unique_together", "duplicates", "changes"):
            self._append(name, over.listed(name))
        self._lay_out(over)
        self._archive(over)

    def _merge(self, key: str, overlay: Callable[[Node, Node], Node]) -> None:
        """Merge a list of named things: same name is the same thing, other names are new."""
        fresh = []
        items = self.draft.node.listed(key)
        for one in self.document.node.listed(key):
            at = _index(items, one)
            if at is None:
                fresh.append(one)
            else:
                items[at] = overlay(items[at], one)
        self._append(key, fresh)

    def _append(self, key: str, items: list[Node]) -> None:
        if not items:
            return
        target = self.draft.node
        if target.get(key) is None:
            place = self.document.node.at(key)
            target.entries[key] = _list(place, [])
            target.keys[key] = self.document.node.keys[key]
        target.entries[key].items.extend(items)

    def _merge_field(self, base: Node, over: Node) -> Node:
        for key in _FIXED:
            stated = over.get(key)
            if stated is not None and stated.text != base.word(key):
                text = N_("“{key}” of a field of the layer {layer} cannot be changed here.")
                layer = base.source.layer
                self.problems.append(stated.problem("fixed", text, key=key, layer=layer))
        merged = overlaid(base, over)
        for key in _FIXED:
            if key in base.entries:
                merged.entries[key] = base.entries[key]
        for key, identity in (("options", "value"), ("fields", "name")):
            if key in base.entries and key in over.entries:
                merged.entries[key] = self._merge_items(base, over, key, identity)
        return merged

    def _merge_items(self, base: Node, over: Node, key: str, identity: str) -> Node:
        items = list(base.listed(key))
        for one in over.listed(key):
            at = _index(items, one, identity)
            if at is None:
                items.append(one)
            elif key == "fields":
                items[at] = self._merge_field(items[at], one)
            else:
                items[at] = overlaid(items[at], one)
        return _list(base.entries[key], items)

    def _lay_out(self, over: Node) -> None:
        """Replace the layout with the site's; a plugin's tabs are added to what is there."""
        layout = over.get("layout")
        if layout is None:
            return
        if self.document.kind == "customize":
            self.draft.node.entries["layout"] = layout
            self.draft.node.keys["layout"] = over.keys["layout"]
            return
        tabs = self.draft.node.listed("layout")
        fresh = []
        for tab in layout.items:
            at = next((n for n, one in enumerate(tabs) if _same_label(one, tab)), None)
            if at is None:
                fresh.append(tab)
            else:
                merged = copied(tabs[at])
                merged.entries["sections"].items.extend(tab.listed("sections"))
                tabs[at] = merged
        self._append("layout", fresh)

    def _archive(self, over: Node) -> None:
        if self.document.kind == "extend" and "archive" in over.entries:
            text = N_("Only a customization archives fields of other layers.")
            self.problems.append(over.keys["archive"].problem("archive", text))
            return
        items = self.draft.node.listed("fields")
        for place in over.listed("archive"):
            name = place.text
            found = next((one for one in items if one.word("name") == name), None)
            if found is None:
                text = N_("There is no field {name} to archive.")
                self.problems.append(place.problem("unknown_field", text, name=name[:80]))
                continue
            items.remove(found)
            self.draft.archived.append(found)
            _forget(self.draft.node, name)


def overlaid(base: Node, over: Node) -> Node:
    """Return `base` with the entries of `over` in place of its own."""
    return Node(
        "map",
        base.source,
        base.line,
        base.column,
        entries=base.entries | over.entries,
        keys=base.keys | over.keys,
    )


def _index(items: list[Node], one: Node, identity: str = "name") -> int | None:
    """Return where the thing with the id or name of `one` stands."""
    for key in ("id", identity):
        word = one.word(key)
        found = next((at for at, it in enumerate(items) if word and it.word(key) == word), None)
        if found is not None:
            return found
    return None


def _same_label(one: Node, other: Node) -> bool:
    """Return whether two tabs have the same title in any language."""
    first, second = one.get("tab"), other.get("tab")
    if first is None or second is None:
        return False
    return any(second.word(language) == node.text for language, node in first.entries.items())


def _forget(node: Node, name: str) -> None:
    """Take an archived field out of the places that merely list fields."""
    for section in (it for tab in node.listed("layout") for it in tab.listed("sections")):
        _drop(section, "fields", {name})
    for view in node.listed("views"):
        _drop(view, "columns", {name})
        _drop(view, "sort", {name, f"-{name}"})
        if view.word("group_by").partition(".")[0] == name and view.word("type") != "kanban":
            del view.entries["group_by"]
        totals = view.get("totals")
        if totals is not None:
            totals.entries.pop(name, None)


def _drop(node: Node, key: str, words: set[str]) -> None:
    listed = node.get(key)
    if listed is not None and listed.kind == "list":
        kept = [one for one in listed.items if one.text not in words]
        node.entries[key] = _list(listed, kept)
