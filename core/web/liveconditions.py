"""What a form evaluates while somebody types: the type's conditions as trees, with their why.

A condition goes to the browser only when it can be computed there and its reader may see
everything that it reads; what is left is decided when the form is saved. Formulas, rollups,
lookups and values taken over from links go the same way, so that they are seen before saving.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.context import Context
from core.errors import GuanxiError
from core.expression import Expression, nodes
from core.i18n import pick
from core.policies.access import access
from core.records.conditions import Condition, Conditions, FieldConditions, Situation
from core.records.validation import compile_validator
from core.schema.fieldtypes import field_type, is_switched_on, is_written
from core.schema.model import Field, RecordType
from core.schema.scopes import tables_of
from core.tables.computed import COMPUTED, computed_text
from core.web.display import field_label
from core.web.forms import FormRights
from core.web.reading import label_of

Json = dict[str, Any]

#: A condition that holds always.
_ALWAYS = ["literal", "boolean", True]

#: How a form comes in.
_FORM = Situation("form")


def live_conditions(
    ctx: Context, record_type: RecordType, rights: FormRights, values: Mapping[str, Any]
) -> Json:
    """Return the conditions of a form in which `values` (wire) are shown.

    `values` of what conditions read go along, for the form holds controls only of what can
    be changed, and so do `cells` of rows, by their ids; `computed` are in the order in which
    they depend on each other. `follows` names what is read of linked records, by record type.
    """
    maker = _Maker(ctx, record_type, rights)
    validator = compile_validator(ctx.registry, record_type.name)
    tables = [
        one for one in record_type.fields if one.type == "table" and one.name in rights.viewable
    ]
    shown = [
        one for one in record_type.fields if one.name in rights.viewable and one.type != "backlink"
    ]
    # Roll-ups read computed columns, and conditions of columns read roll-ups.
    inside = {one.name: maker.computed(one.fields, one) for one in tables}
    computed = maker.computed(shown)
    made = {
        one.name: maker.table(one, validator.columns[one.name], inside[one.name]) for one in tables
    }
    fields = {
        one.name: maker.field(one, validator.conditions.fields.get(one.name))
        | made.get(one.name, {})
        | computed.get(one.name, {})
        for one in shown
    }
    sections = {
        f"{number}.{index}": tree
        for number, tab in enumerate(record_type.layout)
        for index, section in enumerate(tab.sections)
        if (tree := maker.text_tree(section.visible_when)) is not None
    }
    steps = maker.steps(validator.conditions, rights.editable)
    held = sorted(maker.reads | {name for name in made if name not in rights.editable})
    return {
        "fields": fields,
        "computed": list(computed),
        "sections": sections,
        "steps": steps,
        "values": {name: values.get(name) for name in held},
        "cells": {one.name: found for one in tables if (found := _cells(one, values))},
        "follows": {name: sorted(found) for name, found in sorted(maker.follows.items())},
    }


def stored_links(record_type: RecordType, rights: FormRights, record: Mapping[str, Any]) -> Json:
    """Return where a record's links lead, for a form that shows what was typed instead."""
    links = {
        one.fetch_from.partition(".")[0] for one in record_type.fields if one.fetch_mode
    } & rights.viewable
    return {name: record.get(name) for name in sorted(links)}


def _kinds(table: Field) -> Json:
    """Return the kind of each column of a table field inside another, for what reads them."""
    return {
        one.name: {"kind": one.result or one.type}
        | ({"given": True} if is_switched_on(one) else {})
        for one in table.fields
    }


def _cells(table: Field, values: Mapping[str, Any]) -> Json:
    """Return what rows hold that no control of theirs does, by the rows' ids."""
    names = [one.name for one in table.fields if not is_written(one)]
    rows = values.get(table.name)
    return {
        str(row["id"]): {name: row.get(name) for name in names}
        for row in (rows if names and isinstance(rows, list) else ())
        if row.get("id")
    }


@dataclass(slots=True)
class _Maker:
    """Makes the trees for one person, noting what they read.

    Attributes:
        closed: computed fields that the browser does not compute, and `table.column` of such.
    """

    ctx: Context
    record_type: RecordType
    rights: FormRights
    reads: set[str]
    follows: dict[str, set[str]]
    closed: set[str]

    def __init__(self, ctx: Context, record_type: RecordType, rights: FormRights) -> None:
        self.ctx, self.record_type, self.rights = ctx, record_type, rights
        self.reads, self.follows = set(), {}
        self.closed = {
            *(one.name for one in record_type.fields if one.type in COMPUTED),
            *(
                f"{path}.{one.name}"
                for path, table in tables_of(record_type)
                for one in table.fields
                if one.type in COMPUTED
            ),
        }

    def field(
        self, field: Field, told: FieldConditions | None, table: Field | None = None
    ) -> Json:
        """Return what is said about one field or column; what it lacks is not said."""
        made: Json = {
            "kind": field.result or field.type,
            "label": field_label(field, self.ctx.locale),
        }
        if told is not None:
            made |= self._told(told, table)
        if "options" in made or "limits" in made:
            made["texts"] = self._texts(field)
        return made

    def table(self, table: Field, conditions: Conditions, computed: Mapping[str, Json]) -> Json:
        """Return what is said about the columns of a table field."""
        columns = {
            one.name: self.field(one, conditions.fields.get(one.name), table)
            | computed.get(one.name, {})
            | ({"given": True} if is_switched_on(one) else {})
            | ({"columns": _kinds(one)} if one.type == "table" else {})
            for one in table.fields
            if one.type != "backlink"
        }
        return {"columns": columns, "computed": list(computed)}

    def computed(self, fields: Iterable[Field], table: Field | None = None) -> dict[str, Json]:
        """Return how the browser computes fields, or columns, each after those it reads."""
        found: dict[str, Json] = {}
        waiting = {}
        for one in fields:
            if one.type in COMPUTED:
                waiting[one.name] = one
            elif one.fetch_mode and (tree := self._compiled(one.fetch_from, table)) is not None:
                link = one.fetch_from.partition(".")[0]
                found[one.name] = self._shown(one) | {
                    "fetch": {"tree": tree, "link": link, "mode": one.fetch_mode}
                }
                self.reads |= set() if table else {one.name, link}
        while waiting:
            ready = [
                one
                for one in waiting.values()
                if waiting.keys().isdisjoint(self._reads(one, table))
            ]
            for one in ready:
                del waiting[one.name]
                tree = self._compiled(computed_text(one), table)
                if tree is not None:
                    self.closed.discard(f"{table.name}.{one.name}" if table else one.name)
                    found[one.name] = self._shown(one) | {
                        "formula": tree, "reads": sorted(self._reads(one, table))
                    }  # fmt: skip
                    self.reads |= set() if table else {one.name}
            if not ready:
                break
        return found

    def _expression(self, text: str, table: Field | None) -> Expression:
        place = f"{self.record_type.name}.{table.name}" if table else self.record_type.name
        return self.ctx.registry.expression(place, text, None)

    def _reads(self, one: Field, table: Field | None) -> frozenset[str]:
        return self._expression(computed_text(one), table).reach.own

    def _compiled(self, text: str, table: Field | None) -> Any:
        try:
            return self.tree(self._expression(text, table), table)
        except GuanxiError:
            return None

    def _shown(self, field: Field) -> Json:
        """Return how a computed value is shown and rounded."""
        kind = field.result or field.type
        made: Json = {}
        if field.options:
            made["texts"] = self._texts(field)
        unit = field.currency if kind == "money" else pick(field.unit, self.ctx.locale)
        if unit:
            made["unit"] = unit
        storage = field_type(kind).storage(field)
        if storage.kind in {"decimal", "integer"}:
            made["scale"] = storage.scale if storage.kind == "decimal" else 0
        return made

    def _told(self, told: FieldConditions, table: Field | None) -> Json:
        """Return the conditions of a field that hold for forms."""
        made: Json = {}
        if told.visible is not None:
            made["visible"] = self.condition(told.visible, table)
        for key, listed in (
            ("shown", told.shown),
            ("required", told.required),
            ("locked", told.locked),
        ):
            made[key] = [self.condition(one, table) for one in listed if one.applies(_FORM)]
        made["options"] = {
            option: self.condition(one, table) for option, one in told.options.items()
        }
        made["limits"] = [
            {"when": self.condition(one.condition), "options": sorted(one.options)}
            for one in told.limits
            if one.condition.applies(_FORM)
        ]
        return {key: found for key, found in made.items() if found}

    def steps(self, conditions: Conditions, editable: Iterable[str]) -> list[Json]:
        """Return what rules fill in and empty while somebody types."""
        found = []
        for step in conditions.steps:
            names = [step.action.set] if step.action.set else list(step.action.clear)
            if step.on != "change" or not step.condition.applies(_FORM):
                continue
            if not names or not set(names) <= set(editable):
                continue
            when = self.condition(step.condition)
            to = ["literal", "null", None] if step.value is None else self.tree(step.value)
            if "tree" in when and to is not None:
                found.append(
                    {"when": when["tree"], "reads": sorted(step.reads), "fields": names, "to": to}
                )
        return found

    def condition(self, one: Condition, table: Field | None = None) -> Json:
        """Return one reason: its tree, unless it is decided on the server, and its parts."""
        made: Json = {"source": one.source, "name": one.name, "text": one.text}
        if one.expression is None:
            return made | {"tree": _ALWAYS, "parts": []}
        tree = self.tree(one.expression, table)
        if tree is None:
            return made
        parts = [
            self._part(part.expression, table) for part in one.expression.parts if part.is_value
        ]
        unique = {part["label"]: part for part in parts}
        return made | {"tree": tree, "parts": list(unique.values())}

    def text_tree(self, text: str, expect: Any = "boolean") -> Any:
        """Return the tree of an expression of the record type, None without one."""
        if not text:
            return None
        try:
            return self.tree(self.ctx.registry.expression(self.record_type.name, text, expect))
        except GuanxiError:
            return None

    def tree(self, expression: Expression, table: Field | None = None) -> Any:
        """Return a tree for the browser; None when it cannot, or must not, compute it.

        `table` is the field whose rows the expression is about.
        """
        reach = expression.reach
        outer, inner = reach.own, reach.columns
        if table is not None and not expression.depth:
            outer, inner = frozenset(), reach.own
        if not reach.is_bounded or not outer <= self.rights.viewable:
            return None
        # What is computed for whoever reads is not in the form, nor what a change makes of it.
        columns = {f"{table.name}.{name}" for name in inner} if table else set()
        is_row = table is not None and not expression.depth
        paths = {f"{table.name}.{it}" if table and is_row else it for it in expression.paths}
        if not self.closed.isdisjoint((*outer, *columns, *paths)):
            return None
        if not all(self._is_seen(*one) for one in reach.linked):
            return None
        try:
            tree = expression.to_json()
        except GuanxiError:
            return None  # a function that the browser does not have
        self.reads |= outer
        for type_name, name in reach.linked:
            self.follows.setdefault(type_name, set()).add(name)
        return tree

    def _is_seen(self, type_name: str, name: str) -> bool:
        rights = access(self.ctx, type_name)
        return rights.may("view") and name in rights.possible - rights.masked

    def _part(self, expression: Expression, table: Field | None) -> Json:
        """Return a value that decides a condition, by the name that people know it by."""
        node = expression.node
        made: Json = {"label": self._label(node, table), "tree": expression.to_json()}
        field = self._field_of(node, table)
        if isinstance(node, nodes.Field):
            made["field"] = node.name
        if field is not None and field.options:
            made["options"] = self._texts(field)
        return made

    def _field_of(self, node: nodes.Node, table: Field | None) -> Field | None:
        """Return the field that a node reads: a column where it is of the row."""
        name = getattr(node, "name", "")
        if isinstance(node, nodes.Linked):
            return self.ctx.registry.record_type(node.target).field(name)
        if table is not None and isinstance(node, nodes.Field) and node.frame:
            return next((one for one in table.fields if one.name == name), None)
        return self.record_type.field(name)

    def _label(self, node: nodes.Node, table: Field | None) -> str:
        field, name = self._field_of(node, table), getattr(node, "name", "")
        if isinstance(node, nodes.Linked):
            target = self.ctx.registry.record_type(node.target)
            return f"{self._label(node.base, table)} › {label_of(target, name, self.ctx.locale)}"
        if field is not None:
            return field_label(field, self.ctx.locale)
        return label_of(self.record_type, name, self.ctx.locale)

    def _texts(self, field: Field) -> dict[str, str]:
        return {
            option.value: pick(option.label, self.ctx.locale, option.value)
            for option in field.options
        }
