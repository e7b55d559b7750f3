"""Small changes, as the designer sends them, written into the site's YAML without loss.

    {"op": "add_field", "type": "member", "field": {"name": "nickname", "type": "text"}}
    {"op": "rename_field", "type": "member", "field": "nickname", "to": "alias"}
    {"op": "archive_field", "type": "member", "field": "alias"}
    {"op": "set_property", "type": "member", "field": "phone", "property": "help", "value": {…}}
    {"op": "retype_field", "type": "member", "field": "age", "to": "integer", "on_failure": "null"}
    {"op": "merge_fields", "type": "member", "fields": ["first", "last"],
     "into": {"name": "full_name", "type": "text"}, "separator": " "}
    {"op": "split_field", "type": "member", "field": "full_name",
     "into": [{"name": "first", "type": "text"}, {"name": "last", "type": "text"}]}
    {"op": "rename_option", "type": "member", "field": "tier", "option": "gold", "to": "vip"}
    {"op": "rename_type", "type": "memo", "to": "remark"}

Without `field`, `set_property` sets a property of the record type; a null value
takes the property away. Only the site's layer is written; other layers' files
stay as they are, so that upgrading a plugin never loses a customization.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from core.errors import Problem, SchemaError
from core.i18n import N_
from core.schema.fieldchecks import allowed_properties
from core.schema.fieldtypes import field_type_names
from core.schema.layers import effective
from core.schema.loader import Document, load_documents
from core.schema.model import Release
from core.schema.renaming import Renames
from core.schema.roundtrip import edited_text, flowing
from core.schema.yamlnodes import Source

SITE = "site"
MAX_CHANGES = 50
#: Most values and keys in all changes of a draft, so that writing them takes no second.
MAX_PARTS = 5_000

#: Operation -> the keys it needs.
_OPERATIONS = {
    "add_field": ("type", "field"),
    "rename_field": ("type", "field", "to"),
    "archive_field": ("type", "field"),
    "set_property": ("type", "property"),
    "retype_field": ("type", "field", "to"),
    "merge_fields": ("type", "fields", "into"),
    "split_field": ("type", "field", "into"),
    "rename_option": ("type", "field", "option", "to"),
    "rename_type": ("type", "to"),
}
_OPTIONAL = {
    "set_property": ("field", "value"),
    "retype_field": ("convert", "on_failure", "properties"),
    "merge_fields": ("separator", "convert", "on_failure"),
    "split_field": ("separator", "convert", "on_failure"),
}
#: Keys of an operation that hold something else than text.
_OBJECTS = {("add_field", "field"), ("merge_fields", "into"), ("retype_field", "properties")}
_LISTS = {("merge_fields", "fields"): str, ("split_field", "into"): dict}
_TEXTS = ("type", "field", "to", "property", "option", "separator", "on_failure")


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
    return missing + unknown + list(_wrong_values(op, change, path))


def _wrong_values(op: str, change: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for key, value in change.items():
        if value in (None, "") or key == "op":
            continue
        text = ""
        if (op, key) in _OBJECTS:
            text = "" if isinstance(value, dict) else N_("This must be an object.")
        elif (op, key) in _LISTS:
            items = value if isinstance(value, list) else [None]
            is_good = items and all(isinstance(one, _LISTS[op, key]) for one in items)
            text = "" if is_good else N_("This must be a list.")
        elif key in _TEXTS and not isinstance(value, str):
            text = N_("This must be text.")
        if text:
            yield Problem(f"{path}.{key}", "schema.bad_type", text)


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
            "retype_field": self._retype_field,
            "merge_fields": self._merge_fields,
            "split_field": self._split_field,
            "rename_option": self._rename_option,
            "rename_type": self._rename_type,
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
            _list_in(tree, "fields").append(flowing(change["field"]))

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
                place[key] = flowing(value)

        return self._written(self._own_source(type_name), edit)

    def _require_own(self, type_name: str, field: str) -> None:
        if not self._is_own(type_name, field):
            self._refuse(
                "field", N_("{name} belongs to another layer; change its label."), name=field
            )

    def _retype_field(self, change: Mapping[str, Any]) -> list[Source]:
        name, to = change["field"], change["to"]
        self._require_own(change["type"], name)
        if to not in field_type_names():
            self._refuse("to", N_("There is no field type {name}."), name=to[:80])
        allowed = allowed_properties(to)

        def edit(tree: CommentedMap) -> None:
            entry = _entry(tree["fields"], name)
            for key in [key for key in entry if key not in allowed]:
                del entry[key]
            entry["type"] = to
            for key, value in (change.get("properties") or {}).items():
                entry[key] = flowing(value)
            self._note(tree, "retype", change, field=name, to=to)

        return self._written(self._own_source(change["type"]), edit)

    def _merge_fields(self, change: Mapping[str, Any]) -> list[Source]:
        into = change["into"]
        for name in change["fields"]:
            self._require_own(change["type"], name)
        gone = set(change["fields"]) - {into.get("name")}

        def edit(tree: CommentedMap) -> None:
            _replace_fields(tree, gone, [into])
            self._note(tree, "merge", change, fields=change["fields"], into=into.get("name"))

        return self._written(self._own_source(change["type"]), edit)

    def _split_field(self, change: Mapping[str, Any]) -> list[Source]:
        name, into = change["field"], change["into"]
        self._require_own(change["type"], name)
        names = [one.get("name") for one in into]

        def edit(tree: CommentedMap) -> None:
            _replace_fields(tree, {name} - set(names), into)
            self._note(tree, "split", change, field=name, into=names)

        return self._written(self._own_source(change["type"]), edit)

    def _note(
        self, tree: CommentedMap, kind: str, change: Mapping[str, Any], **values: Any
    ) -> None:
        """Write down how values follow, as the schema language says it."""
        how = {key: change[key] for key in _HOW if change.get(key)}
        _list_in(tree, "changes").append(flowing({kind: values | how}))

    def _rename_option(self, change: Mapping[str, Any]) -> list[Source]:
        type_name, name, old, new = (change[key] for key in ("type", "field", "option", "to"))
        self._require_own(type_name, name)
        release = effective(self._sources, self._running, 0)
        found = release.types[type_name].field(name)
        values = {one.value for one in found.options} if found else set()
        if old not in values or new in values:
            text = N_("There is no option {name}.") if old not in values else _TAKEN_OPTION
            key = "option" if old not in values else "to"
            self._refuse(key, text, name=change[key][:80])
        published = self._running and self._running.types.get(type_name)
        before = published.field(name) if published else None
        known = {one.value for one in before.options} if before else set()

        def declare(tree: CommentedMap) -> None:
            for option in _entry(tree["fields"], name).get("options") or ():
                if option.get("value") == old:
                    option["value"] = new
                    if old in known:
                        option["was"] = old

        renames = Renames(release, options={(type_name, name, old): new})
        return self._renamed(renames, self._own_source(type_name), declare, first=True)

    def _rename_type(self, change: Mapping[str, Any]) -> list[Source]:
        old, new = change["type"], change["to"]
        own = self._own_source(old)
        if not any(one.source == own and one.kind == "record_type" for one in self._documents):
            text = N_("{name} belongs to another layer; change its label.")
            self._refuse("type", text, name=old[:80])
        if any(one.kind == "record_type" and one.name == new for one in self._documents):
            self._refuse("to", N_("There is already a record type {name}."), name=new[:80])
        release = effective(self._sources, self._running, 0)

        def declare(tree: CommentedMap) -> None:
            tree["record_type"] = new
            if self._running and self._running.type(old):
                tree.pop("was", None)
                tree.insert(1, "was", old)

        return self._renamed(Renames(release, types={old: new}), own, declare)

    def _rename_field(self, change: Mapping[str, Any]) -> list[Source]:
        type_name, old, new = change["type"], change["field"], change["to"]
        self._require_own(type_name, old)
        release = effective(self._sources, self._running, 0)
        if old == new or any(one.name == new for one in release.types[type_name].fields):
            self._refuse("to", N_("There is already a field {name}."), name=new[:80])

        def declare(tree: CommentedMap) -> None:
            entry = _entry(tree["fields"], old)
            published = self._running and self._running.types.get(type_name)
            if published and published.field(old):
                entry["was"] = old
            entry["name"] = new

        renames = Renames(release, {(type_name, old): new})
        return self._renamed(renames, self._own_source(type_name), declare)

    def _renamed(
        self,
        renames: Renames,
        own: Source,
        declare: Callable[[CommentedMap], None],
        *,
        first: bool = False,
    ) -> list[Source]:
        """Return the sources with a rename followed through the site's files.

        `declare` says it in the file that it is declared in, before or after that.
        """

        def edit(tree: CommentedMap, *, declares: bool) -> None:
            if declares and first:
                declare(tree)
            renames.apply(tree)
            if declares and not first:
                declare(tree)

        return [
            replace(one, text=edited_text(one.text, partial(edit, declares=one == own)))
            if one.layer == SITE
            else one
            for one in self._sources
        ]


#: What a change may say about its values.
_HOW = ("separator", "convert", "on_failure")
_TAKEN_OPTION = N_("There is already an option {name}.")


def _replace_fields(tree: CommentedMap, gone: set[str], into: Sequence[Any]) -> None:
    """Take fields out of a file and put others where the first of them stood."""
    fields = _list_in(tree, "fields")
    names = [one.get("name") for one in fields]
    at = min((names.index(name) for name in gone if name in names), default=len(fields))
    for one in [one for one in fields if one.get("name") in gone]:
        fields.remove(one)
    there = {one.get("name") for one in fields}
    for one in reversed([it for it in into if it.get("name") not in there]):
        fields.insert(at, flowing(one))
    for name in gone:
        _forget(tree, name)


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
    fields.append(flowing({"name": name}))
    made: CommentedMap = fields[-1]
    return made


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
