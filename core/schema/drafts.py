"""Small changes, as the designer sends them, written into the site's YAML without loss.

    {"op": "add_field", "type": "member", "field": {"name": "nickname", "type": "text"}}
    {"op": "rename_field", "type": "member", "field": "nickname", "to": "alias"}
    {"op": "archive_field", "type": "member", "field": "alias"}
    {"op": "set_property", "type": "member", "field": "phone", "property": "help", "value": {…}}

Without `field`, `set_property` sets a property of the record type; a null value
takes the property away. Only the site's layer is written; other layers' files
stay as they are, so that upgrading a plugin never loses a customization.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from core.errors import Problem, SchemaError
from core.i18n import N_
from core.schema.layers import effective
from core.schema.loader import Document, load_documents
from core.schema.model import Release
from core.schema.renaming import Rename
from core.schema.yamlnodes import Source

SITE = "site"
MAX_CHANGES = 50
#: Most values and keys in all changes of a draft, so that writing them takes no second.
MAX_PARTS = 5_000
_WIDTH = 4_096

#: Operation -> the keys it needs.
_OPERATIONS = {
    "add_field": ("type", "field"),
    "rename_field": ("type", "field", "to"),
    "archive_field": ("type", "field"),
    "set_property": ("type", "property"),
}
_OPTIONAL = {"set_property": ("field", "value")}


def apply_changes(
    sources: Iterable[Source], changes: Sequence[Mapping[str, Any]], running: Release | None
) -> list[Source]:
    """Return all sources with the changes written into those of the site's layer.

    Whether the result is a good schema is for `effective` to say.

    Raises:
        SchemaError: a change is not readable, or names something that does not exist.
    """
    problems = _misshapen(changes)
    if problems:
        raise SchemaError(problems=problems)
    edited = list(sources)
    read: dict[Source, list[Document]] = {}
    for at, change in enumerate(changes):
        # Each change touches one file or two; what the others say is read once.
        read |= {one: load_documents([one])[0] for one in edited if one not in read}
        documents = [document for one in edited for document in read[one]]
        edited = _Edit(edited, documents, running, f"changes.{at}").apply(change)
    return edited


def _misshapen(changes: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """Return what is wrong with the shape of the changes."""
    if not isinstance(changes, list | tuple) or len(changes) > MAX_CHANGES:
        text = N_("A list of at most {limit} changes.")
        return [Problem("changes", "schema.bad_change", text, {"limit": MAX_CHANGES})]
    if _parts(changes) > MAX_PARTS:
        text = N_("At most {limit} values and keys in all changes.")
        return [Problem("changes", "schema.too_many", text, {"limit": MAX_PARTS})]
    return [
        problem for at, one in enumerate(changes) for problem in _wrong_keys(one, f"changes.{at}")
    ]


def _parts(value: Any) -> int:
    """Return how many values and keys there are in a plain value, nested ones included."""
    if isinstance(value, Mapping):
        return 1 + len(value) + sum(map(_parts, value.values()))
    return 1 + sum(map(_parts, value)) if isinstance(value, list | tuple) else 1


def _wrong_keys(change: Any, path: str) -> list[Problem]:
    op = change.get("op") if isinstance(change, dict) else None
    if not isinstance(op, str) or op not in _OPERATIONS:
        text = N_("A change has an “op”: {expected}.")
        return [Problem(path, "schema.bad_change", text, {"expected": ", ".join(_OPERATIONS)})]
    needed, optional = _OPERATIONS[op], _OPTIONAL.get(op, ())
    missing = [
        Problem(f"{path}.{key}", "schema.missing", N_("“{key}” is missing."), {"key": key})
        for key in needed
        if not change.get(key)
    ]
    unknown = [
        Problem(
            f"{path}.{key}",
            "schema.unknown_key",
            N_("There is no key “{key}” here."),
            {"key": str(key)[:80]},
        )
        for key in change
        if key not in {"op", *needed, *optional}
    ]
    wrong = [
        Problem(
            f"{path}.{key}",
            "schema.bad_type",
            N_("This must be text."),
        )
        for key in ("type", "field", "to", "property")
        if change.get(key)
        and not isinstance(change[key], str)
        and (op, key) != ("add_field", "field")
    ]
    if op == "add_field" and change.get("field") and not isinstance(change["field"], dict):
        wrong.append(
            Problem(
                f"{path}.field",
                "schema.bad_type",
                N_("This must be an object."),
            )
        )
    return missing + unknown + wrong


class _Edit:
    """Writes one change."""

    def __init__(
        self,
        sources: list[Source],
        documents: Sequence[Document],
        running: Release | None,
        path: str,
    ) -> None:
        self._sources = sources
        self._documents = documents
        self._running = running
        self._path = path

    def apply(self, change: Mapping[str, Any]) -> list[Source]:
        type_name = change["type"]
        declared = any(
            one.kind == "record_type" and one.name == type_name for one in self._documents
        )
        if not declared:
            self._refuse("type", N_("There is no record type {name}."), name=type_name[:80])
        operations: dict[str, Callable[[Mapping[str, Any]], list[Source]]] = {
            "add_field": self._add_field,
            "rename_field": self._rename_field,
            "archive_field": self._archive_field,
            "set_property": self._set_property,
        }
        return operations[change["op"]](change)

    def _refuse(self, key: str, text: str, **params: Any) -> None:
        raise SchemaError(
            problems=[Problem(f"{self._path}.{key}", "schema.bad_change", text, params)]
        )

    def _own_source(self, type_name: str) -> Source:
        """Return the site's file about a record type; an empty customization when it has none."""
        for one in self._documents:
            if (
                one.layer == SITE
                and one.name == type_name
                and one.kind in {"customize", "record_type"}
            ):
                return one.source
        return Source(SITE, f"{type_name}.yaml", f"customize: {type_name}\n")

    def _written(self, source: Source, edit: Callable[[CommentedMap], None]) -> list[Source]:
        """Return the sources with one file edited, or added."""
        made = replace(source, text=edited_text(source.text, edit))
        if source in self._sources:
            return [made if one == source else one for one in self._sources]
        return [*self._sources, made]

    def _is_own(self, type_name: str, field: str) -> bool:
        """Return whether the site itself declares a field; refuse one that does not exist."""
        layers = self._layers(type_name, field)
        if not layers:
            self._refuse("field", N_("There is no field {name}."), name=field[:80])
        return layers[0] == SITE

    def _layers(self, type_name: str, field: str) -> list[str]:
        """Return the layers that declare a field."""
        return [
            one.layer
            for one in self._documents
            if one.name == type_name
            for node in one.node.listed("fields")
            if node.word("name") == field and (one.kind != "customize" or node.word("type"))
        ]

    def _add_field(self, change: Mapping[str, Any]) -> list[Source]:
        name = change["field"].get("name")
        if isinstance(name, str) and self._layers(change["type"], name):
            # Written all the same it would change that field instead of adding one.
            self._refuse("field.name", N_("There is already a field {name}."), name=name[:80])

        def edit(tree: CommentedMap) -> None:
            _list_in(tree, "fields").append(_flow(change["field"]))

        return self._written(self._own_source(change["type"]), edit)

    def _archive_field(self, change: Mapping[str, Any]) -> list[Source]:
        type_name, name = change["type"], change["field"]
        own = self._is_own(type_name, name)

        def edit(tree: CommentedMap) -> None:
            if own:
                fields = tree["fields"]
                del fields[next(n for n, it in enumerate(fields) if it.get("name") == name)]
                if not fields and "customize" in tree:
                    del tree["fields"]
                _forget(tree, name)
            else:
                _list_in(tree, "archive").append(name)

        return self._written(self._own_source(type_name), edit)

    def _set_property(self, change: Mapping[str, Any]) -> list[Source]:
        type_name, key, value = change["type"], change["property"], change.get("value")
        name = change.get("field")
        if name:
            self._is_own(type_name, name)

        def edit(tree: CommentedMap) -> None:
            place = _entry(_list_in(tree, "fields"), name) if name else tree
            if value is None:
                place.pop(key, None)
            else:
                place[key] = _flow(value)

        return self._written(self._own_source(type_name), edit)

    def _rename_field(self, change: Mapping[str, Any]) -> list[Source]:
        type_name, old, new = change["type"], change["field"], change["to"]
        if not self._is_own(type_name, old):
            self._refuse(
                "field", N_("{name} belongs to another layer; change its label."), name=old
            )
        release = effective(self._sources, self._running, 0)
        if old == new or any(one.name == new for one in release.types[type_name].fields):
            self._refuse("to", N_("There is already a field {name}."), name=new[:80])
        rename = Rename(release, type_name, old, new)
        declared_in = self._own_source(type_name)

        def edit(tree: CommentedMap, *, declares: bool) -> None:
            rename.apply(tree)
            if declares:
                entry = _entry(tree["fields"], old)
                published = self._running and self._running.types.get(type_name)
                if published and published.field(old):
                    entry["was"] = old
                entry["name"] = new

        edited = []
        for one in self._sources:
            if one.layer == SITE:
                text = edited_text(one.text, partial(edit, declares=one == declared_in))
                edited.append(replace(one, text=text))
            else:
                edited.append(one)
        return edited


class _TextResolver(VersionedResolver):
    """Takes every scalar as text, so that `1.10`, `True` and `12:00` are written as they were."""

    @property
    def versioned_resolver(self) -> dict[Any, Any]:
        """Return no rules at all."""
        return {}


def edited_text(text: str | bytes, edit: Callable[[CommentedMap], None]) -> str:
    """Return a YAML text after `edit` changed its tree; comments and order stay."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver = _TextResolver
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text)
    edit(tree)
    written = io.StringIO()
    yaml.dump(tree, written)
    return written.getvalue()


def _list_in(tree: CommentedMap, key: str) -> CommentedSeq:
    if key not in tree:
        tree[key] = CommentedSeq()
    found: CommentedSeq = tree[key]
    return found


def _entry(fields: CommentedSeq, name: str) -> CommentedMap:
    """Return the entry of a field, made when the file does not have one yet."""
    for one in fields:
        if one.get("name") == name:
            entry: CommentedMap = one
            return entry
    fields.append(_flow({"name": name}))
    made: CommentedMap = fields[-1]
    return made


#: Texts that would be read as nothing without quotes.
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def _flow(value: Any) -> Any:
    """Return a plain value as the round-trip tree writes it, on one line."""
    if isinstance(value, dict):
        mapping = CommentedMap({name: _flow(one) for name, one in value.items()})
        mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_flow(one) for one in value)
        sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    text = str(value)
    return DoubleQuotedScalarString(text) if text in _NULLS else text


def _forget(tree: CommentedMap, name: str) -> None:
    """Take a field out of the lists of its own file."""
    for tab in tree.get("layout") or ():
        for section in tab.get("sections") or ():
            _remove(section.get("fields"), {name})
    for view in tree.get("views") or ():
        _remove(view.get("columns"), {name})
        _remove(view.get("sort"), {name, f"-{name}"})
        if (
            str(view.get("group_by", "")).partition(".")[0] == name
            and view.get("type") != "kanban"
        ):
            del view["group_by"]
        (view.get("totals") or {}).pop(name, None)


def _remove(names: Any, words: set[str]) -> None:
    if names:
        names[:] = [one for one in names if one not in words]
