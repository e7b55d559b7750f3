"""Why a field is shown, required, locked or limited: all that conditions say, in one place.

A field's own conditions, record rules and stages end in the same lists here. `core.records.rules`
enforces them at every door; `core.records.why` explains them; forms get them as trees.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, Literal

from core.errors import Problem
from core.expression import Env, Expression
from core.expression.types import Kind
from core.schema.fieldtypes import field_type
from core.schema.model import Action, Field, Rule, Stage

#: Compiles the text of an expression in the scope of the record or of its rows.
Compile = Callable[[str, Kind | None], Expression]

Moment = Literal["save", "submit"]

#: Names of a reason: a field's own property, a rule or a stage.
Source = Literal[
    "required", "visible_when", "required_when", "read_only_when", "options_when", "rule", "stage"
]


@dataclass(slots=True)
class Situation:
    """How a record comes in.

    Attributes:
        moment: `submit` when a document is sent into approval.
        warnings: what rules have to say without refusing is added here, each once.
    """

    door: str = "api"
    moment: Moment = "save"
    locale: str = "en"
    warnings: list[Problem] = attribute(default_factory=list)

    def warn(self, problem: Problem) -> None:
        """Note what is to be said; a record that is checked twice says it once."""
        if problem not in self.warnings:
            self.warnings.append(problem)


@dataclass(frozen=True, slots=True)
class Condition:
    """One reason, with the condition under which it is one.

    Attributes:
        source: what kind of reason it is.
        name: the rule or the stage's state; empty for a field's own property.
        text: the condition as written; empty is always.
        doors: the doors that it is for; empty is every door.
        moment: when it is looked at; `save` is looked at whenever a record is checked.
    """

    source: Source
    name: str = ""
    text: str = ""
    expression: Expression | None = None
    doors: frozenset[str] = frozenset()
    moment: Moment = "save"

    def applies(self, situation: Situation) -> bool:
        """Return whether it is to be looked at for a record that comes in like this."""
        if self.moment == "submit" and situation.moment != "submit":
            return False
        return not self.doors or situation.door in self.doors

    def holds(self, row: Mapping[str, Any], env: Env) -> bool:
        """Return whether its condition is true for a record."""
        return self.expression is None or self.expression.evaluate(row, env) is True


@dataclass(frozen=True, slots=True)
class Limit:
    """Options that a select field takes while a condition holds."""

    condition: Condition
    options: frozenset[str]


@dataclass(slots=True)
class FieldConditions:
    """Everything that is said about one field.

    Attributes:
        visible: its own condition: it is hidden while this does not hold.
        shown: rules that show it: it is hidden while none of them holds.
        required: reasons for which it must be filled in.
        locked: reasons for which it cannot be changed.
        options: option -> when it may be chosen.
        limits: what rules leave of the options.
        archived: options that nobody newly chooses.
    """

    visible: Condition | None = None
    shown: list[Condition] = attribute(default_factory=list)
    required: list[Condition] = attribute(default_factory=list)
    locked: list[Condition] = attribute(default_factory=list)
    options: dict[str, Condition] = attribute(default_factory=dict)
    limits: list[Limit] = attribute(default_factory=list)
    archived: frozenset[str] = frozenset()

    def is_hidden(self, row: Mapping[str, Any], env: Env, situation: Situation) -> bool:
        """Return whether the field does not exist for a record with these values."""
        if self.visible is not None and not self.visible.holds(row, env):
            return True
        shown = [one for one in self.shown if one.applies(situation)]
        return bool(shown) and not any(one.holds(row, env) for one in shown)

    def is_offered(
        self, option: str, row: Mapping[str, Any], env: Env, situation: Situation
    ) -> bool:
        """Return whether an option may be chosen in a record with these values."""
        condition = self.options.get(option)
        if condition is not None and not condition.holds(row, env):
            return False
        return all(
            option in one.options
            for one in self.limits
            if one.condition.applies(situation) and one.condition.holds(row, env)
        )


def first_holding(
    conditions: Iterable[Condition], row: Mapping[str, Any], env: Env, situation: Situation
) -> Condition | None:
    """Return the first of several reasons that is one for a record; None when none is."""
    return next((it for it in conditions if it.applies(situation) and it.holds(row, env)), None)


@dataclass(frozen=True, slots=True)
class Step:
    """One action of a rule that does something of its own: it fills in, empties or says.

    Attributes:
        rule: the rule's name.
        on: the rule's `on`.
        value: what `set` gives.
        reads: names of the record's own fields that the condition and the value read.
    """

    rule: str
    on: str
    condition: Condition
    action: Action
    value: Expression | None
    reads: frozenset[str]


class Conditions:
    """The compiled conditions of a record type, or of the columns of a table field.

    Attributes:
        fields: field name -> what is said about it; fields without any are missing.
        steps: what rules do beyond that, in their order.
        expressions: everything that was compiled.
    """

    __slots__ = ("_compile", "_known", "expressions", "fields", "steps")

    def __init__(
        self,
        fields: Iterable[Field],
        compile_text: Compile,
        rules: Sequence[Rule] = (),
        stages: Sequence[Stage] = (),
    ) -> None:
        """Compile what is said about `fields`."""
        fields = tuple(fields)
        self._compile = compile_text
        self._known = {one.name: one for one in fields}
        self.expressions: list[Expression] = []
        self.fields: dict[str, FieldConditions] = {}
        self.steps: list[Step] = []
        for one in fields:
            self._add_field(one)
        for rule in rules:
            self._add_rule(rule)
        for stage in stages:
            text = f"{stage.field} == '{_quoted(stage.state)}'"
            condition = self._condition("stage", text, name=stage.state)
            for name in stage.require:
                self._of(name).required.append(condition)
            for name in stage.lock:
                self._of(name).locked.append(condition)

    def touched(self) -> frozenset[str]:
        """Return the fields whose value the conditions look at, hide or fill in."""
        acted = {
            name for step in self.steps for name in (step.action.set, *step.action.clear) if name
        }
        return frozenset(self.fields) | acted

    def _of(self, name: str) -> FieldConditions:
        return self.fields.setdefault(name, FieldConditions())

    def _condition(
        self, source: Source, text: str, *, name: str = "", rule: Rule | None = None
    ) -> Condition:
        expression = None
        if text:
            expression = self._compile(text, "boolean")
            self.expressions.append(expression)
        if rule is None:
            return Condition(source, name, text, expression)
        moment: Moment = "submit" if rule.on == "submit" else "save"
        return Condition(source, name, text, expression, frozenset(rule.applies_to), moment)

    def _add_field(self, one: Field) -> None:
        if one.visible_when:
            self._of(one.name).visible = self._condition("visible_when", one.visible_when)
        if one.required:
            self._of(one.name).required.append(Condition("required"))
        if one.required_when:
            found = self._condition("required_when", one.required_when)
            self._of(one.name).required.append(found)
        if one.read_only_when:
            found = self._condition("read_only_when", one.read_only_when)
            self._of(one.name).locked.append(found)
        archived = frozenset(option.value for option in one.options if option.archived)
        if archived:
            self._of(one.name).archived = archived
        for option, text in one.options_when.items():
            self._of(one.name).options[option] = self._condition("options_when", text)

    def _add_rule(self, rule: Rule) -> None:
        condition = self._condition("rule", rule.when, name=rule.name, rule=rule)
        for action in rule.then:
            for name in action.require:
                self._of(name).required.append(condition)
            for name in action.lock:
                self._of(name).locked.append(condition)
            for name in action.show:
                self._of(name).shown.append(condition)
            if action.limit_options:
                limit = Limit(condition, frozenset(action.options))
                self._of(action.limit_options).limits.append(limit)
            if action.set or action.clear or action.error or action.warn:
                self._add_step(rule, condition, action)

    def _add_step(self, rule: Rule, condition: Condition, action: Action) -> None:
        value = None
        if action.set:
            target = self._known[action.set]
            value = self._compile(action.to, field_type(target.type).expression_type(target).kind)
            self.expressions.append(value)
        compiled = [one for one in (condition.expression, value) if one is not None]
        reads = frozenset(path.partition(".")[0] for one in compiled for path in one.paths)
        self.steps.append(Step(rule.name, rule.on, condition, action, value, reads))


def _quoted(text: str) -> str:
    """Return a text as it stands between single quotes in an expression."""
    return text.replace("\\", "\\\\").replace("'", "\\'")
