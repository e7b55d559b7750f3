"""Renames fields, options and record types in a YAML file wherever the file means them.

Expressions are rewritten in their own text; what cannot be read with the old names
was written with the new ones and stays.
"""

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass, field
from typing import Any

from core.expression import ExpressionError, Scope, rename_names
from core.schema.automationtexts import rename_in_automation
from core.schema.cascades import cascading_scope
from core.schema.dashboardtexts import rename_in_dashboard
from core.schema.flowtexts import rename_in_flow
from core.schema.model import Field, RecordType, Release
from core.schema.peopletypes import DEPARTMENTS
from core.schema.printtexts import rename_in_print
from core.schema.scopes import column_scope, record_scope, row_scope, table_at

Tree = MutableMapping[str, Any]

_CONDITIONS = ("visible_when", "required_when", "read_only_when", "default_expr", "formula")

#: Keys of rules' actions and of stages that name fields.
_ACTED_ON = frozenset(
    {"set", "clear", "require", "lock", "show", "limit_options", "fields", "field"}
)


@dataclass(frozen=True, slots=True)
class Renames:
    """Names that change together.

    Attributes:
        release: the schema in which everything still has its old name.
        fields: (record type, old name) -> new name; a row's field has the type `order.lines`.
        options: (record type, field, old option) -> new option, all but the last as of before.
        types: old record type -> new record type.
    """

    release: Release
    fields: Mapping[tuple[str, str], str] = field(default_factory=dict)
    options: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether anything changes its name."""
        return bool(self.fields or self.options or self.types)

    def apply(self, tree: Tree) -> None:
        """Change every mention in a document."""
        if self._apply_beside(tree):
            return
        first = next(iter(tree), "")
        name = tree.get(first) if isinstance(tree.get(first), str) else ""
        name = self._old_type(str(name))
        for place, key, scope in list(self._expressions(tree, name)):
            place[key] = self.expression(place[key], scope)
        if first in {"record_type", "extend", "customize"}:
            self._rename_fields(tree, name, declares=first == "record_type")
            self._rename_lists(tree, name)
        for policy in _maps(tree, "policies"):
            if policy.get("types"):
                for type_name in policy["types"]:
                    self._rename_policy(policy, str(type_name))
        self._rename_types(tree, first)

    def _apply_beside(self, tree: Tree) -> bool:
        """Change a document of a kind that stands beside forms; return whether it was one."""
        automation = self.release.automations.get(str(tree.get("automation", "")))
        printed = self.release.prints.get(str(tree.get("print", "")))
        if automation is not None:
            rename_in_automation(tree, self.release, automation, self)
        elif printed is not None:
            rename_in_print(tree, self.release, printed.type, self)
        elif "dashboard" in tree:
            known = self.release.dashboards.get(str(tree["dashboard"]))
            types = {card.name: card.type for card in known.cards} if known else {}
            rename_in_dashboard(tree, self.release, types, self)
        elif "flow" in tree:
            rename_in_flow(tree, self.release, self)
        elif "account_kind" in tree:
            if tree.get("owner") in self.types:
                tree["owner"] = self.types[tree["owner"]]
        else:
            return False
        return True

    def _old_type(self, name: str) -> str:
        """Return the old name of a type that the document already calls by its new one."""
        return next((old for old, new in self.types.items() if new == name), name)

    # -- expressions ----------------------------------------------------------------------

    def expression(self, text: Any, scope: Scope) -> Any:
        """Return an expression with its names changed, as it was where none of them is meant."""
        try:
            renamed = rename_names(str(text), scope, self.fields, options=self.options)
        except ExpressionError:
            return text  # it was written with the new names, or is a problem that is told later
        return text if renamed == str(text) else renamed

    def _expressions(self, tree: Tree, name: str) -> Iterator[tuple[Tree, str, Scope]]:
        """Yield where a document holds an expression, with its scope."""
        if self.release.type(name) is None:
            yield from self._policy_expressions(tree)
            return
        scope = record_scope(self.release, name)
        yield from self._fields_expressions(tree, name, scope)
        for place, key in _rules(tree):
            yield from _held(place, (key,), scope)

    def _fields_expressions(
        self, holder: Tree, owner: str, scope: Scope
    ) -> Iterator[tuple[Tree, str, Scope]]:
        """Yield the expressions of the fields of a type, or of a table field `TYPE.TABLE`."""
        for one in _maps(holder, "fields"):
            yield from self._field_expressions(one, owner, scope)
            table = self._field(owner, str(one.get("was") or one.get("name", "")))
            if table is not None and table.type == "table":
                rows = column_scope(self.release.types, table, owner)
                yield from self._fields_expressions(one, f"{owner}.{table.name}", rows)

    def _policy_expressions(self, tree: Tree) -> Iterator[tuple[Tree, str, Scope]]:
        for policy in _maps(tree, "policies"):
            for type_name in policy.get("types") or ():
                if self.release.type(str(type_name)) is not None:
                    yield from _held(policy, ("rows",), record_scope(self.release, type_name))

    def _field_expressions(
        self, one: Tree, name: str, scope: Scope
    ) -> Iterator[tuple[Tree, str, Scope]]:
        yield from _held(one, _CONDITIONS, scope)
        conditions = one.get("options_when")
        if isinstance(conditions, MutableMapping):
            yield from _held(conditions, tuple(conditions), scope)
        for source in _maps(one, "options_from"):
            yield from _held(source, ("when",), scope)
            yield from self._held_over(source, str(source.get("type", "")), scope)
        if one.get("type") == "rollup":
            over = self._field(name, str(one.get("of", "")))
            if over is not None and over.type == "table":
                yield from _held(one, ("filter",), row_scope(self.release.types, over, name))
            else:
                yield from self._held_over(one, self._rolled(one, name))
        else:
            target = DEPARTMENTS if one.get("type") == DEPARTMENTS else one.get("target", "")
            yield from self._held_over(one, str(target), scope)

    def _held_over(
        self, place: Tree, target: str, own: Scope | None = None
    ) -> Iterator[tuple[Tree, str, Scope]]:
        if self.release.type(target) is not None:
            over = record_scope(self.release, target)
            yield from _held(place, ("filter",), cascading_scope(over, own) if own else over)

    # -- names ----------------------------------------------------------------------------

    def _field(self, owner: str, field_name: str) -> Field | None:
        """Return a field of a type, or of a table field where the owner is `TYPE.TABLE`."""
        type_name, _, path = owner.partition(".")
        found: RecordType | Field | None = self.release.type(type_name)
        if isinstance(found, RecordType) and path:
            found = table_at(found, path)
        fields = found.fields if found else ()
        return next((one for one in fields if one.name == field_name), None)

    def _rolled(self, one: Tree, name: str) -> str:
        """Return the record type that a rollup goes over, or `TYPE.TABLE` of its rows."""
        over = self._field(name, str(one.get("of", "")))
        if over is None:
            return ""
        if over.type == "table":
            return f"{name}.{over.name}"
        return over.target or over.of.partition(".")[0]

    def _rename_fields(self, tree: Tree, name: str, *, declares: bool) -> None:
        for one in _maps(tree, "fields"):
            was = str(one.get("was") or one.get("name", ""))
            found = self._field(name, was)
            self._rename_reference(one, name)
            self._rename_taken(one, name)
            self._rename_choices(one, name, was)
            self._rename_offers(one, found)
            self._rename_fields(one, f"{name}.{was}", declares=False)
            if not declares and not one.get("type") and found is not None:
                self._put(one, "name", name)

    def _put(self, place: Tree, key: str, name: str) -> None:
        new = self.fields.get((name, str(place.get(key, ""))))
        if new is not None:
            place[key] = new

    def _rename_reference(self, one: Tree, name: str) -> None:
        """Change what backlinks, rollups and options taken from records say."""
        rolled = self._rolled(one, name)
        if "." in str(one.get("of", "")):
            target, _, linked = str(one["of"]).partition(".")
            new = self.fields.get((target, linked))
            if new is not None:
                one["of"] = f"{target}.{new}"
        else:
            self._put(one, "of", name)
        if rolled:
            self._put(one, "take", rolled)
        for source in _maps(one, "options_from"):
            self._put(source, "value", str(source.get("type", "")))

    def _rename_taken(self, one: Tree, name: str) -> None:
        """Change what a lookup, or a field that takes values over, reads through its link."""
        owner, *path = str(one.get("scope", "")).split(".")
        renamed = [owner]
        for part in path:
            renamed.append(self.fields.get((owner, part), part))
            owner = f"{owner}.{part}"
        if path and ".".join(renamed) != owner:
            one["scope"] = ".".join(renamed)
        link, dot, read = str(one.get("fetch_from", "")).partition(".")
        through = link or str(one.get("through", ""))
        found = self._field(name, through)
        target = found.target if found else ""
        if dot:
            names = self.fields.get((name, link), link), self.fields.get((target, read), read)
            if names != (link, read):
                one["fetch_from"] = ".".join(names)
        self._put(one, "field", target)
        self._put(one, "through", name)

    def _rename_offers(self, one: Tree, found: Field | None) -> None:
        """Change by which choice, and for which options, a backlink offers new records."""
        if found is None or not found.offers:
            return
        target = found.of.partition(".")[0]
        self._rename_conditions(one, self._named(target, found.offers))
        self._put(one, "offers", target)

    def _named(self, owner: str, name: str) -> dict[str, str]:
        """Return what the options of a field that change are called, and will be."""
        return {
            old: new
            for (place, field, old), new in self.options.items()
            if (place, field) == (owner, name)
        }

    def _rename_conditions(self, one: Tree, named: Mapping[str, str]) -> None:
        conditions = one.get("options_when")
        if isinstance(conditions, MutableMapping):
            for old, new in named.items():
                if old in conditions:
                    conditions[new] = conditions.pop(old)

    def _rename_choices(self, one: Tree, owner: str, name: str) -> None:
        """Change options where a field's default, options or conditions name them."""
        named = self._named(owner, name)
        if not named:
            return
        if one.get("default") in named:
            one["default"] = named[str(one["default"])]
        self._rename_conditions(one, named)
        for option in _maps(one, "options"):
            # The file that renames it says so; others only change it.
            if not option.get("was") and option.get("value") in named:
                option["value"] = named[str(option["value"])]

    def _rename_lists(self, tree: Tree, name: str) -> None:
        self._put(tree, "title_field", name)
        self._rename_in(tree.get("archive"), name)
        for tab in _maps(tree, "layout"):
            for section in _maps(tab, "sections"):
                self._rename_in(section.get("fields"), name)
        for view in _maps(tree, "views"):
            self._rename_in(view.get("columns"), name)
            self._rename_in(view.get("sort"), name)
            self._rename_view(view, name)
        self._rename_rules(tree, name)
        for policy in _maps(tree, "policies"):
            self._rename_policy(policy, name)

    def _rename_rules(self, tree: Tree, name: str) -> None:
        for key in ("checks", "unique_together", "duplicates"):
            for rule in _maps(tree, key):
                self._rename_in(rule.get("fields"), name)
                self._rename_in(rule.get("fuzzy"), name)
        for rule in _maps(tree, "rules"):
            for action in _maps(rule, "then"):
                self._rename_action(action, name)
        for stage in _maps(tree, "stages"):
            self._rename_action(stage, name)

    def _rename_view(self, view: Tree, name: str) -> None:
        grouped, dot, bucket = str(view.get("group_by", "")).partition(".")
        new = self.fields.get((name, grouped))
        if new is not None:
            view["group_by"] = f"{new}{dot}{bucket}"
        self._put(view, "date_field", name)
        totals = view.get("totals")
        if isinstance(totals, MutableMapping):
            self._rename_keys(totals, name)

    def _rename_keys(self, named: Tree, name: str) -> None:
        for key in list(named):
            new = self.fields.get((name, str(key)))
            if new is not None:
                named[new] = named.pop(key)

    def _rename_action(self, action: Tree, name: str) -> None:
        """Change the fields and options that an action of a rule, or a stage, names."""
        limited = str(action.get("limit_options", ""))
        chosen = action.get("options")
        if limited and isinstance(chosen, MutableSequence):
            chosen[:] = [self.options.get((name, limited, str(one)), one) for one in chosen]
        for key in _ACTED_ON & set(action):
            if isinstance(action[key], str):
                self._put(action, key, name)
            else:
                self._rename_in(action[key], name)

    def _rename_policy(self, policy: Tree, name: str) -> None:
        rights = policy.get("fields") or {}
        for key in ("view", "edit", "mask", "clear"):
            self._rename_in(rights.get(key), name)
        self._put(policy, "at", name)

    def _rename_in(self, names: Any, type_name: str) -> None:
        if not isinstance(names, MutableSequence):
            return
        for at, written in enumerate(names):
            sign = "-" if str(written).startswith("-") else ""
            new = self.fields.get((type_name, str(written).removeprefix("-")))
            if new is not None:
                names[at] = sign + new

    def _rename_types(self, tree: Tree, first: str) -> None:
        def put(place: Tree, key: str) -> None:
            new = self.types.get(str(place.get(key, "")))
            if new is not None:
                place[key] = new

        if first in {"extend", "customize"}:
            put(tree, first)
        for policy in _maps(tree, "policies"):
            types = policy.get("types")
            if isinstance(types, MutableSequence):
                types[:] = [self.types.get(str(one), one) for one in types]
        for one in (it for each in _maps(tree, "fields") for it in (each, *_maps(each, "fields"))):
            put(one, "target")
            put(one, "scope")
            about, dotted, rows = str(one.get("scope", "")).partition(".")
            if dotted and about in self.types:
                one["scope"] = f"{self.types[about]}.{rows}"
            target, dot, linked = str(one.get("of", "")).partition(".")
            if dot and target in self.types:
                one["of"] = f"{self.types[target]}.{linked}"
            for source in _maps(one, "options_from"):
                put(source, "type")


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
