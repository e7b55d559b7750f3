"""The rules a record must meet, compiled from its type; they look at values only.

Order: defaults, formulas, what rules fill in, visibility (hidden values are cleared or
refused), formulas again, then every rule at once. Children are checked by the same rules,
row by row. Conditions are read through the expression language with an environment that
can follow links; what each of them says is in `core.records.conditions`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.errors import Problem
from core.expression import Env, Expression
from core.i18n import N_, pick
from core.records.conditions import (
    Compile,
    Conditions,
    FieldConditions,
    Situation,
    Step,
    first_holding,
)
from core.records.fitting import default_value, fitted, fitting
from core.records.loading import read_only
from core.records.subject import Subject, Values, is_empty
from core.schema.fieldtypes import field_type
from core.schema.model import Check, Field, Label, Rule, Stage
from core.tables.computed import COMPUTED, computed_text


class Rules:
    """The compiled rules of a set of fields: a record type's, or a table field's columns.

    Attributes:
        conditions: why fields are shown, required, locked or limited.
        paths: dotted names that the expressions read.
        outward: the same of conditions of columns, as their record calls them.
        is_plain: a new row has nothing but defaults, formulas and required columns to meet,
            for which there are quicker ways.
    """

    __slots__ = (
        "_blank",
        "_by_name",
        "_checks",
        "_choosing",
        "_conditional",
        "_defaults",
        "_fetches",
        "_formulas",
        "_hiding",
        "_locking",
        "_once",
        "_required",
        "_tables",
        "conditions",
        "is_plain",
        "outward",
        "paths",
    )

    def __init__(
        self,
        fields: Iterable[Field],
        checks: Iterable[Check],
        compile_text: Compile,
        rows: "Mapping[str, Rules] | None" = None,
        *,
        compile_condition: Compile | None = None,
        rules: Sequence[Rule] = (),
        stages: Sequence[Stage] = (),
    ) -> None:
        """Compile the rules of `fields`; `rows` has those of each table field.

        Conditions of columns are compiled by `compile_condition`, which sees their record too.
        """
        every = list(fields)
        self.paths: set[str] = set()
        self.conditions = Conditions(every, compile_condition or compile_text, rules, stages)
        self._by_name = {one.name: one for one in every}
        self._blank = {one.name: default_value(one) for one in every if one.type != "backlink"}
        self._defaults = [
            (one, compile_text(one.default_expr, field_type(one.type).expression_type(one).kind))
            for one in every
            if one.default_expr
        ]
        formulas = _in_order(
            [
                (one, compile_text(computed_text(one), None))
                for one in every
                if one.type in COMPUTED and one.stored
            ]
        )
        self._formulas = [(one.name, found.run, fitting(one)) for one, found in formulas]
        self._fetches = [
            (one, compile_text(one.fetch_from, None))
            for one in every
            if one.fetch_mode in {"snapshot", "if_empty"}
        ]
        self._sort_conditions()
        self._once = [one.name for one in every if one.set_once]
        self._tables = [(one, (rows or {})[one.name]) for one in every if one.type == "table"]
        self._checks = [(one, compile_text(one.check, "boolean")) for one in checks]
        compiled = [
            found for _, found in (*self._defaults, *self._fetches, *formulas, *self._checks)
        ]
        conditions = self.conditions.expressions
        for expression in (*compiled, *(one for one in conditions if not one.depth)):
            self.paths.update(expression.paths)
        self.outward = {path for one in conditions if one.depth for path in one.paths}
        for field, inner in self._tables:
            self.paths.update(f"{field.name}.{path}" for path in inner.paths)
            if compile_condition is None:
                self.paths |= inner.outward
            else:
                self.outward |= inner.outward
        self.is_plain = not (
            self._hiding
            or self._conditional
            or self._locking
            or self._choosing
            or self._checks
            or self._defaults
            or self._fetches
            or self._tables
            or self.conditions.steps
        )

    @property
    def inner(self) -> "dict[str, Rules]":
        """Return the rules of the rows of each table field."""
        return {field.name: rules for field, rules in self._tables}

    def _sort_conditions(self) -> None:
        """Sort out which fields each kind of condition is about, for the loops over records."""
        told = self.conditions.fields
        self._required = [
            name
            for name, one in told.items()
            if any(it.source == "required" for it in one.required)
        ]
        self._conditional = [
            (name, conditional)
            for name, one in told.items()
            if (conditional := [it for it in one.required if it.source != "required"])
        ]
        self._hiding = [(name, one) for name, one in told.items() if one.visible or one.shown]
        self._locking = [(name, one.locked) for name, one in told.items() if one.locked]
        self._choosing = [
            (name, one) for name, one in told.items() if one.options or one.limits or one.archived
        ]

    def complete(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        """Fill in defaults and formulas of the record and its rows."""
        values = subject.values
        if subject.before is None:
            self._fill(values)
        self._fetch(subject, env, problems)
        self._complete_rows(subject, env, problems)
        self.compute(subject, env, problems)
        if subject.before is None:
            for one, expression in self._defaults:
                if one.name not in subject.given:
                    found = expression.evaluate(subject.row, env)
                    values[one.name] = fitted(one, found, subject.path, problems)
            if self._defaults:
                self.compute(subject, env, problems)

    def first_values(self, env: Env) -> dict[str, Any]:
        """Return the worked-out defaults that nothing else in a new record decides."""
        alone = [(one, found) for one, found in self._defaults if not found.paths]
        return {one.name: fitted(one, found.evaluate({}, env), "", []) for one, found in alone}

    def _fetch(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        """Take over values of linked records: when the link is set, and never again."""
        values, before = subject.values, subject.before
        for one, expression in self._fetches:
            name, link = one.name, one.fetch_from.partition(".")[0]
            given, stored = values.get(name), (before or {}).get(name)
            is_moved = before is None or before.get(link) != values.get(link)
            if one.fetch_mode == "if_empty" and not (is_moved and is_empty(given)):
                continue
            found = stored
            if is_moved:
                taken = expression.evaluate(subject.row, env)
                found = fitted(one, taken, subject.path, problems)
            if given not in (found, stored) and not is_empty(given):
                problems.append(read_only(subject.path + name))
            values[name] = found

    def _complete_rows(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        for table, inner in self._tables:
            if inner.is_plain and subject.before is None:
                inner.complete_new(*_new_rows(subject, table), env, problems)
                continue
            for row in self._rows(subject, table):
                inner.complete(row, env, problems)

    def compute(self, subject: Subject, env: Env, problems: list[Problem]) -> None:
        """Compute the stored formulas and rollups from the values."""
        values = subject.values
        for name, run, fit in self._formulas:
            found = run(subject.row, env)
            try:
                values[name] = found if fit is None or found is None else fit(found)
            except OverflowError:
                values[name] = None
                problems.append(_too_large(subject.path + name))

    def complete_new(
        self, rows: Sequence[Values], path: str, env: Env, problems: list[Problem]
    ) -> None:
        """Fill in defaults and formulas of new rows; `path` is their table field's."""
        for position, row in enumerate(rows):
            self._fill(row)
            for name, run, fit in self._formulas:
                found = run(row, env)
                try:
                    row[name] = found if fit is None or found is None else fit(found)
                except OverflowError:
                    row[name] = None
                    problems.append(_too_large(f"{path}.{position}.{name}"))

    def _fill(self, values: Values) -> None:
        """Fill in plain defaults."""
        for name, value in self._blank.items():
            if name not in values:
                values[name] = list(value) if isinstance(value, list) else value

    def check_new(self, rows: Sequence[Values], path: str, problems: list[Problem]) -> None:
        """Check new rows for what must be filled in."""
        required = self._required
        for position, row in enumerate(rows):
            problems += [
                _missing(f"{path}.{position}.{name}")
                for name in required
                if not row.get(name, True) and is_empty(row[name])
            ]

    def check(
        self, subject: Subject, env: Env, problems: list[Problem], situation: Situation
    ) -> None:
        """Apply every rule to the record and its rows; what is broken goes to `problems`."""
        self._act(subject, env, problems, situation)
        hidden = self._hide(subject, env, problems, situation)
        self._check_required(subject, env, problems, (hidden, situation))
        self._check_locked(subject, env, problems, situation)
        for name, one in self._choosing:
            self._check_options(subject, env, problems, (name, one, situation))
        for table, inner in self._tables:
            if table.name not in hidden:
                self._check_rows(subject, table, problems)
                if inner.is_plain and subject.before is None:
                    inner.check_new(*_new_rows(subject, table), problems)
                    continue
                for row in self._rows(subject, table):
                    inner.check(row, env, problems, situation)
        self._tell(subject, env, problems, situation)

    def _tell(
        self, subject: Subject, env: Env, problems: list[Problem], situation: Situation
    ) -> None:
        """Say what checks and rules have to say about a record."""
        for check, expression in self._checks:
            if expression.evaluate(subject.row, env) is not True:
                found = _told("check.failed", check.message, check.fields, subject.path)
                _say(found, check.severity, problems, situation)
        for step in self.conditions.steps:
            action = step.action
            label, severity = (action.error, "error") if action.error else (action.warn, "warn")
            if (
                label
                and step.condition.applies(situation)
                and step.condition.holds(subject.row, env)
            ):
                found = _told("rule.failed", label, action.fields, subject.path, rule=step.rule)
                _say(found, severity, problems, situation)

    def _act(
        self, subject: Subject, env: Env, problems: list[Problem], situation: Situation
    ) -> None:
        """Fill in and empty what rules say, one after the other."""
        acted = False
        for step in self.conditions.steps:
            action = step.action
            names = (action.set,) if action.set else action.clear
            if not names or not step.condition.applies(situation):
                continue
            if step.on == "change":
                names = _left_alone(step, subject, names)
            if not names or not step.condition.holds(subject.row, env):
                continue
            for name in names:
                found = None if step.value is None else step.value.evaluate(subject.row, env)
                field = self._by_name[name]
                value = fitted(field, found, subject.path, problems)
                if value is None and field.type in {"table", "links"}:
                    value = []
                subject.values[name] = value
                acted = True
        if acted:
            self.compute(subject, env, problems)

    def _rows(self, subject: Subject, table: Field) -> Iterable[Subject]:
        before = (subject.before or {}).get(table.name) or ()
        known = {row["id"]: row for row in before}
        for position, row in enumerate(subject.values.get(table.name) or ()):
            path = f"{subject.path}{table.name}.{position}."
            stored = known.get(str(row.get("id", "")))
            yield Subject(row, stored, frozenset(row), path, subject)

    def _hide(
        self, subject: Subject, env: Env, problems: list[Problem], situation: Situation
    ) -> set[str]:
        """Return the hidden fields, having cleared or refused what they hold."""
        if not self._hiding:
            return set()
        hidden: set[str] = set()
        for _round in range(3):  # clearing one field may hide the next
            hidden, cleared = self._clear_hidden(subject, env, situation)
            if not cleared:
                break
            self.compute(subject, env, problems)
        for name, _conditions in self._hiding:
            if (
                name in hidden
                and self._by_name[name].when_hidden == "reject"
                and not is_empty(subject.values.get(name))
                and subject.changed(name)
            ):
                text = N_("This does not apply here and must stay empty.")
                problems.append(Problem(subject.path + name, "field.hidden", text))
        return hidden

    def _clear_hidden(
        self, subject: Subject, env: Env, situation: Situation
    ) -> tuple[set[str], bool]:
        values, hidden, cleared = subject.values, set(), False
        for name, conditions in self._hiding:
            if not conditions.is_hidden(subject.seen, env, situation):
                continue
            hidden.add(name)
            field = self._by_name[name]
            if field.when_hidden == "clear" and not is_empty(values.get(name)):
                values[name] = [] if field.type in {"table", "links"} else None
                cleared = True
        return hidden, cleared

    def _check_required(
        self,
        subject: Subject,
        env: Env,
        problems: list[Problem],
        about: tuple[set[str], Situation],
    ) -> None:
        values, (hidden, situation) = subject.values, about
        missing = [name for name in self._required if name in values and is_empty(values[name])]
        missing += [
            name
            for name, conditions in self._conditional
            if name in values
            and is_empty(values[name])
            and name not in missing
            and first_holding(conditions, subject.seen, env, situation) is not None
        ]
        problems += [_missing(subject.path + name) for name in missing if name not in hidden]

    def _check_locked(
        self, subject: Subject, env: Env, problems: list[Problem], situation: Situation
    ) -> None:
        before = subject.before
        for name, conditions in self._locking:
            if (
                subject.changed(name)
                and not (before is None and is_empty(subject.values.get(name)))
                # What is stored decides: the same change could otherwise lift its own lock.
                and first_holding(conditions, subject.was, env, situation) is not None
            ):
                problems.append(read_only(subject.path + name))
        if before is None:
            return
        for name in self._once:
            if not is_empty(before.get(name)) and before.get(name) != subject.values.get(name):
                text = N_("This can be set only once.")
                problems.append(Problem(subject.path + name, "field.set_once", text))

    def _check_options(
        self,
        subject: Subject,
        env: Env,
        problems: list[Problem],
        about: tuple[str, FieldConditions, Situation],
    ) -> None:
        name, conditions, situation = about
        value = subject.values.get(name)
        if is_empty(value):
            return
        held = None if subject.before is None else subject.before.get(name)
        if held == value:
            return
        archived = conditions.archived.difference(held if isinstance(held, list) else (held,))
        for chosen in value if isinstance(value, list) else (value,):
            is_offered = chosen not in archived
            if not (
                is_offered and conditions.is_offered(str(chosen), subject.seen, env, situation)
            ):
                text = N_("{option} cannot be chosen here.")
                problems.append(
                    Problem(subject.path + name, "field.option", text, {"option": chosen})
                )

    def _check_rows(self, subject: Subject, table: Field, problems: list[Problem]) -> None:
        if table.name not in subject.values:
            return
        count = len(subject.values[table.name] or ())
        path = subject.path + table.name
        if count < table.min_rows:
            text = N_("At least {limit} rows.")
            problems.append(Problem(path, "rows.too_few", text, {"limit": table.min_rows}))
        if count > table.max_rows:
            text = N_("At most {limit} rows.")
            problems.append(Problem(path, "rows.too_many", text, {"limit": table.max_rows}))


def _new_rows(subject: Subject, table: Field) -> tuple[Sequence[Values], str]:
    """Return the rows of a table field of a new record and their path."""
    return subject.values.get(table.name) or (), subject.path + table.name


def _missing(path: str) -> Problem:
    return Problem(path, "field.required", N_("This is required."))


def _too_large(path: str) -> Problem:
    return Problem(path, "field.too_large", N_("The computed value is too large."))


def _told(code: str, message: Label, fields: Sequence[str], path: str, **params: Any) -> Problem:
    """Return the problem of something that does not hold, before it is put into words."""
    place = path + fields[0] if fields else path.rstrip(".")
    return Problem(
        place, code, "{message}", {"message": message, "fields": list(fields), **params}
    )


def _say(problem: Problem, severity: str, problems: list[Problem], situation: Situation) -> None:
    """Note a problem in the person's language, as a refusal or as a warning."""
    message = pick(problem.params["message"], situation.locale, problem.code)
    found = Problem(
        problem.path, problem.code, problem.text, {**problem.params, "message": message}
    )
    if severity == "warn":
        situation.warn(found)
    else:
        problems.append(found)


def _left_alone(step: Step, subject: Subject, names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that a rule on change may fill in: nobody else gave them a value.

    None when nothing that the rule reads was changed.
    """
    if subject.before is not None and not any(
        subject.values.get(name) != subject.before.get(name) for name in step.reads
    ):
        return ()
    return tuple(name for name in names if not subject.changed(name))


def _in_order(formulas: list[tuple[Field, Expression]]) -> list[tuple[Field, Expression]]:
    """Return the formulas so that each comes after those it reads; publish refuses cycles."""
    waiting = {field.name: (field, expression) for field, expression in formulas}
    ordered: list[tuple[Field, Expression]] = []

    def place(name: str) -> None:
        entry = waiting.pop(name, None)
        if entry is not None:
            for path in entry[1].paths:
                place(path.partition(".")[0])
            ordered.append(entry)

    for field, _expression in formulas:
        place(field.name)
    return ordered
