"""Renames a field in a YAML file wherever the file means it, expressions included."""

from collections.abc import Iterator, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import Any

from core.expression import Scope, rename_names
from core.schema.automationtexts import rename_in_automation
from core.schema.cascades import cascading_scope
from core.schema.model import Field, Release
from core.schema.peopletypes import DEPARTMENTS
from core.schema.printtexts import rename_in_print
from core.schema.scopes import record_scope, row_scope

Tree = MutableMapping[str, Any]

_CONDITIONS = ("visible_when", "required_when", "read_only_when", "default_expr", "formula")

#: Keys of rules' actions and of stages that name fields.
_ACTED_ON = frozenset(
    {"set", "clear", "require", "lock", "show", "limit_options", "fields", "field"}
)


@dataclass(frozen=True, slots=True)
class Rename:
    """A field of a record type gets another name.

    Attributes:
        release: the schema in which it still has the old one.
    """

    release: Release
    type: str
    old: str
    new: str

    def apply(self, tree: Tree) -> None:
        """Change every mention of the field in a document."""
        automation = self.release.automations.get(str(tree.get("automation", "")))
        if automation is not None:
            rename = self.type, self.old, self.new
            rename_in_automation(tree, self.release, automation, rename)
            return
        printed = self.release.prints.get(str(tree.get("print", "")))
        if printed is not None:
            rename = self.type, self.old, self.new
            rename_in_print(tree, self.release, printed.type, rename)
            return
        subject = next(iter(tree.values()), "")
        name = subject if isinstance(subject, str) else ""
        for place, key, scope in self._expressions(tree, name):
            renames = {(self.type, self.old): self.new}
            text = str(place[key])
            renamed = rename_names(text, scope, renames)
            if renamed != text:
                place[key] = renamed
        for field in _maps(tree, "fields"):
            self._rename_reference(field, name)
            self._rename_taken(field, name, "")
            for column in _maps(field, "fields"):
                self._rename_taken(column, name, str(field.get("name", "")))
        if name == self.type and next(iter(tree)) != "flow":
            self._rename_lists(tree)
        if tree.get("document") == self.type:
            self._rename_flow(tree)

    def _rename_reference(self, field: Tree, name: str) -> None:
        """Change what backlinks and rollups of the document say."""
        if field.get("of") == f"{self.type}.{self.old}":
            field["of"] = f"{self.type}.{self.new}"
        if name == self.type and field.get("of") == self.old:
            field["of"] = self.new
        if field.get("take") == self.old and self._rolled(field, name) == self.type:
            field["take"] = self.new

    def _rename_taken(self, field: Tree, name: str, table: str) -> None:
        """Change what a lookup shows, what is taken over from a link, and a condition's scope."""
        if field.get("scope") == f"{self.type}.{self.old}":
            field["scope"] = f"{self.type}.{self.new}"
        fetched = str(field.get("fetch_from", "")).partition(".")
        link_name = str(field.get("through", "") or fetched[0])
        owner = self._field(name, table) if table else self.release.type(name)
        siblings = owner.fields if owner else ()
        link = next((one for one in siblings if one.name == link_name), None)
        taken = str(field.get("field", "") or fetched[2])
        is_own = name == self.type and not table and link_name == self.old
        is_theirs = link is not None and link.target == self.type and taken == self.old
        link_name = self.new if is_own else link_name
        taken = self.new if is_theirs else taken
        if (is_own or is_theirs) and field.get("through"):
            field["through"], field["field"] = link_name, taken
        elif is_own or is_theirs:
            field["fetch_from"] = f"{link_name}.{taken}"

    def _rolled(self, field: Tree, name: str) -> str:
        """Return the record type that a rollup goes over."""
        over = self._field(name, str(field.get("of", "")))
        if over is None:
            return ""
        return over.target or over.of.partition(".")[0]

    def _field(self, type_name: str, field_name: str) -> Field | None:
        found = self.release.type(type_name)
        return found.field(field_name) if found else None

    def _rename_lists(self, tree: Tree) -> None:
        if tree.get("title_field") == self.old:
            tree["title_field"] = self.new
        for tab in _maps(tree, "layout"):
            for section in _maps(tab, "sections"):
                self._rename_in(section.get("fields"))
        for view in _maps(tree, "views"):
            self._rename_in(view.get("columns"))
            self._rename_in(view.get("sort"))
            self._rename_view(view)
        self._rename_rules(tree)
        for policy in _maps(tree, "policies"):
            rights = policy.get("fields") or {}
            self._rename_in(rights.get("view"))
            self._rename_in(rights.get("edit"))

    def _rename_rules(self, tree: Tree) -> None:
        for key in ("checks", "unique_together"):
            for rule in _maps(tree, key):
                self._rename_in(rule.get("fields"))
        for rule in _maps(tree, "rules"):
            for action in _maps(rule, "then"):
                self._rename_action(action)
        for stage in _maps(tree, "stages"):
            self._rename_action(stage)

    def _rename_action(self, action: Tree) -> None:
        """Change the fields that an action of a rule, or a stage, names."""
        for key, named in action.items():
            if key in _ACTED_ON and named == self.old:
                action[key] = self.new
            elif key in _ACTED_ON:
                self._rename_in(named)

    def _rename_view(self, view: Tree) -> None:
        name, dot, bucket = str(view.get("group_by", "")).partition(".")
        if name == self.old:
            view["group_by"] = f"{self.new}{dot}{bucket}"
        if view.get("date_field") == self.old:
            view["date_field"] = self.new
        totals = view.get("totals")
        if isinstance(totals, MutableMapping) and self.old in totals:
            totals[self.new] = totals.pop(self.old)

    def _rename_flow(self, tree: Tree) -> None:
        self._rename_in(tree.get("subject"))
        for outcome in (tree.get("outcome") or {}).values():
            values = outcome.get("set") or {}
            if self.old in values:
                values[self.new] = values.pop(self.old)

    def _rename_in(self, names: Any) -> None:
        if not isinstance(names, MutableSequence):
            return
        for at, name in enumerate(names):
            if name == self.old:
                names[at] = self.new
            elif name == f"-{self.old}":
                names[at] = f"-{self.new}"

    def _expressions(self, tree: Tree, name: str) -> Iterator[tuple[Tree, str, Scope]]:
        """Yield where a document holds an expression, with its scope."""
        if self.release.type(name) is None:
            yield from self._policy_expressions(tree)
            return
        scope = record_scope(self.release, name)
        for field in _maps(tree, "fields"):
            yield from self._field_expressions(field, name, scope)
            table = self._field(name, str(field.get("name", "")))
            if table is not None and table.type == "table":
                rows = row_scope(self.release.types, table, name)
                for column in _maps(field, "fields"):
                    yield from self._field_expressions(column, name, rows)
        for place, key in _rules(tree):
            yield from _held(place, (key,), scope)

    def _policy_expressions(self, tree: Tree) -> Iterator[tuple[Tree, str, Scope]]:
        for policy in _maps(tree, "policies"):
            if self.type in (policy.get("types") or ()):
                yield from _held(policy, ("rows",), record_scope(self.release, self.type))

    def _field_expressions(
        self, field: Tree, name: str, scope: Scope
    ) -> Iterator[tuple[Tree, str, Scope]]:
        yield from _held(field, _CONDITIONS, scope)
        conditions = field.get("options_when")
        if isinstance(conditions, MutableMapping):
            yield from _held(conditions, tuple(conditions), scope)
        for source in _maps(field, "options_from"):
            yield from _held(source, ("when",), scope)
            yield from self._held_over(source, str(source.get("type", "")), scope)
        if field.get("type") == "rollup":
            over = self._field(name, str(field.get("of", "")))
            if over is not None and over.type == "table":
                yield from _held(field, ("filter",), row_scope(self.release.types, over, name))
            else:
                yield from self._held_over(field, self._rolled(field, name))
        else:
            target = DEPARTMENTS if field.get("type") == DEPARTMENTS else field.get("target", "")
            yield from self._held_over(field, str(target), scope)

    def _held_over(
        self, place: Tree, target: str, own: Scope | None = None
    ) -> Iterator[tuple[Tree, str, Scope]]:
        if self.release.type(target) is not None:
            over = record_scope(self.release, target)
            yield from _held(place, ("filter",), cascading_scope(over, own) if own else over)


def _maps(tree: Any, key: str) -> list[Tree]:
    """Return the mappings of the list under `key`."""
    found = tree.get(key) if isinstance(tree, MutableMapping) else None
    if not isinstance(found, MutableSequence):
        return []
    return [one for one in found if isinstance(one, MutableMapping)]


def _rules(tree: Tree) -> Iterator[tuple[Tree, str]]:
    """Yield the places of a record type, outside its fields, that can hold a condition."""
    for tab in _maps(tree, "layout"):
        yield tab, "visible_when"
        for section in _maps(tab, "sections"):
            yield section, "visible_when"
    for key, word in (("checks", "check"), ("views", "filter"), ("policies", "rows")):
        for one in _maps(tree, key):
            yield one, word
            for rule in _maps(one, "color_when"):
                yield rule, "when"
    for rule in _maps(tree, "rules"):
        yield rule, "when"
        for action in _maps(rule, "then"):
            yield action, "to"
    if isinstance(tree.get("delete"), MutableMapping):
        yield tree["delete"], "allow_when"


def _held(place: Tree, keys: tuple[str, ...], scope: Scope) -> Iterator[tuple[Tree, str, Scope]]:
    for key in keys:
        if place.get(key):
            yield place, key, scope
