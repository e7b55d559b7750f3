"""What a form evaluates while somebody types: the type's conditions as trees, with their why.

A condition goes to the browser only when it can be computed there and its reader may see
everything that it reads; what is left is decided when the form is saved.
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
from core.schema.model import Field, RecordType
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
    be changed; `follows` names what is read of linked records, by record type.
    """
    maker = _Maker(ctx, record_type, rights)
    conditions = compile_validator(ctx.registry, record_type.name).conditions
    fields = {
        one.name: maker.field(one, conditions.fields.get(one.name))
        for one in record_type.fields
        if one.name in rights.viewable
    }
    sections = {
        f"{number}.{index}": tree
        for number, tab in enumerate(record_type.layout)
        for index, section in enumerate(tab.sections)
        if (tree := maker.text_tree(section.visible_when)) is not None
    }
    steps = maker.steps(conditions, rights.editable)
    return {
        "fields": fields,
        "sections": sections,
        "steps": steps,
        "values": {name: values.get(name) for name in sorted(maker.reads)},
        "follows": {name: sorted(found) for name, found in sorted(maker.follows.items())},
    }


@dataclass(slots=True)
class _Maker:
    """Makes the trees for one person, noting what they read."""

    ctx: Context
    record_type: RecordType
    rights: FormRights
    reads: set[str]
    follows: dict[str, set[str]]

    def __init__(self, ctx: Context, record_type: RecordType, rights: FormRights) -> None:
        self.ctx, self.record_type, self.rights = ctx, record_type, rights
        self.reads, self.follows = set(), {}

    def field(self, field: Field, told: FieldConditions | None) -> Json:
        """Return what is said about one field; what it lacks is not said."""
        made: Json = {
            "kind": field.result or field.type,
            "label": label_of(self.record_type, field.name, self.ctx.locale),
        }
        if field.type == "table":
            made["columns"] = {each.name: each.result or each.type for each in field.fields}
        if field.type == "formula":
            formula = self.text_tree(field.formula, None)
            if formula is not None:
                made["formula"] = formula
        return made | (self._told(told) if told is not None else {})

    def _told(self, told: FieldConditions) -> Json:
        """Return the conditions of a field that hold for forms."""
        made: Json = {}
        if told.visible is not None:
            made["visible"] = self.condition(told.visible)
        for key, listed in (
            ("shown", told.shown),
            ("required", told.required),
            ("locked", told.locked),
        ):
            made[key] = [self.condition(one) for one in listed if one.applies(_FORM)]
        made["options"] = {option: self.condition(one) for option, one in told.options.items()}
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

    def condition(self, one: Condition) -> Json:
        """Return one reason: its tree, unless it is decided on the server, and its parts."""
        made: Json = {"source": one.source, "name": one.name, "text": one.text}
        if one.expression is None:
            return made | {"tree": _ALWAYS, "parts": []}
        tree = self.tree(one.expression)
        if tree is None:
            return made
        parts = [self._part(part.expression) for part in one.expression.parts if part.is_value]
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

    def tree(self, expression: Expression) -> Any:
        """Return a tree for the browser; None when it cannot, or must not, compute it."""
        reach = expression.reach
        if not reach.is_bounded or not reach.own <= self.rights.viewable:
            return None
        # What is computed for whoever reads is not in the form, nor what a change makes of it.
        if reach.own & compile_validator(self.ctx.registry, self.record_type.name).computed:
            return None
        if not all(self._is_seen(*one) for one in reach.linked):
            return None
        try:
            tree = expression.to_json()
        except GuanxiError:
            return None  # a function that the browser does not have
        self.reads |= reach.own
        for type_name, name in reach.linked:
            self.follows.setdefault(type_name, set()).add(name)
        return tree

    def _is_seen(self, type_name: str, name: str) -> bool:
        rights = access(self.ctx, type_name)
        return rights.may("view") and name in rights.possible - rights.masked

    def _part(self, expression: Expression) -> Json:
        """Return a value that decides a condition, by the name that people know it by."""
        node = expression.node
        made: Json = {"label": self._label(node), "tree": expression.to_json()}
        if isinstance(node, nodes.Field):
            made["field"] = node.name
        options = self._options(node)
        if options:
            made["options"] = options
        return made

    def _label(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Linked):
            target = self.ctx.registry.record_type(node.target)
            return f"{self._label(node.base)} › {label_of(target, node.name, self.ctx.locale)}"
        name = getattr(node, "name", "")
        return label_of(self.record_type, name, self.ctx.locale)

    def _options(self, node: nodes.Node) -> dict[str, str]:
        owner, name = self.record_type, getattr(node, "name", "")
        if isinstance(node, nodes.Linked):
            owner = self.ctx.registry.record_type(node.target)
        field = owner.field(name)
        return {
            option.value: pick(option.label, self.ctx.locale, option.value)
            for option in (field.options if field else ())
        }
