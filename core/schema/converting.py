"""How stored values become values of other fields, forwards and back; nothing is read or written.

retype   text "12" -> integer 12             back: "12"
merge    first "Ann", last "Lee" -> "Ann Lee"     back: split at the separator
split    the other way round
undo     a rollback: what was kept where nobody wrote since, else converted back
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any

from core.expression import Expression, compile_expression
from core.expression.types import BudgetExceeded, PlainEnv, Scope
from core.schema.fieldtypes import FieldError, field_type, wire_value
from core.schema.model import Conversion, Field

#: Field id -> Python value, of one record or row.
State = dict[str, Any]

_NUMBERS = frozenset({"integer", "decimal"})


@dataclass(frozen=True, slots=True)
class Failure:
    """One value that could not be converted.

    Attributes:
        target: the field that stays empty.
        value: what stood in the sources, as text.
    """

    target: Field
    value: str
    error: FieldError


def base_id(identity: str) -> str:
    """Return the id of the field whose old values are kept under `ID@RELEASE`."""
    return identity.partition("@")[0]


class Converter:
    """One conversion, ready for many rows."""

    def __init__(self, conversion: Conversion) -> None:
        """Compile what it needs; its expressions were checked when it was made."""
        self.conversion = conversion
        self._env = PlainEnv()
        self._failures: list[Failure] = []
        self._undone = [Converter(one) for one in conversion.undoes]

    @property
    def reads(self) -> frozenset[str]:
        """Return the ids of all fields whose values a row's state must hold."""
        ids = {one.id for one in self.conversion.sources}
        if self.conversion.kind != "undo":
            return frozenset(ids)
        for undone in self._undone:
            ids |= undone.reads | {one.id for one in undone.conversion.targets}
        return frozenset(ids)

    def run(self, state: Mapping[str, Any], written: int) -> tuple[State, list[Failure]]:
        """Return the targets' values by id, and what could not be converted.

        Args:
            state: the values before the release, by field id.
            written: the release under which the record was last written.
        """
        self._failures = []
        after = dict(state)
        if self.conversion.kind == "undo":
            for undone in self._undone:
                undone.take_back(after, written, self._failures)
        else:
            values = [state.get(one.id) for one in self.conversion.sources]
            made = self.forward(values, self._failures)
            after |= {
                one.id: value for one, value in zip(self.conversion.targets, made, strict=True)
            }
        return {one.id: after.get(one.id) for one in self.conversion.targets}, self._failures

    # -- back -----------------------------------------------------------------------------

    def take_back(self, state: State, written: int, failures: list[Failure]) -> None:
        """Put the values of the sources back into the state of a row, as they were before."""
        kept = [state.get(one.id) for one in self.conversion.sources]
        values = kept if written < self.conversion.release else self._back(state, kept, failures)
        for one, value in zip(self.conversion.sources, values, strict=True):
            state[base_id(one.id)] = value

    def _back(self, state: State, kept: list[Any], failures: list[Failure]) -> list[Any]:
        """Return the sources of a row that was written since: they may have changed."""
        if self.conversion.kind == "undo":
            again = dict(state)
            for undone in reversed(self._undone):
                sources = [again.get(base_id(one.id)) for one in undone.conversion.sources]
                made = undone.forward(sources, failures)
                again |= {
                    one.id: value
                    for one, value in zip(undone.conversion.targets, made, strict=True)
                }
            return [again.get(base_id(one.id)) for one in self.conversion.sources]
        current = [state.get(base_id(one.id)) for one in self.conversion.targets]
        if self.forward(kept, []) == current:
            return kept
        return self._reversed(current, kept, failures)

    def _reversed(self, current: list[Any], kept: list[Any], failures: list[Failure]) -> list[Any]:
        sources, conversion = self.conversion.sources, self.conversion
        if conversion.kind == "retype":
            back = {new: old for old, new in conversion.options.items()}
            count = len(failures)
            value = self._load(sources[0], conversion.targets[0], current[0], back, failures)
            # What was there before is better than nothing; the newer value is listed.
            return [value] if len(failures) == count else kept
        if conversion.convert:
            # An expression has no way back; what was there before is better than nothing.
            return kept
        if conversion.kind == "merge":
            return self._split(self.conversion.targets[0], current[0], sources, failures)
        return [self._join(self.conversion.targets, current, sources[0], failures)]

    # -- forwards -------------------------------------------------------------------------

    def forward(self, values: Sequence[Any], failures: list[Failure]) -> list[Any]:
        """Return the targets' values for those of the sources."""
        conversion, sources = self.conversion, self.conversion.sources
        if conversion.convert:
            return [self._computed(one, values, failures) for one in self.conversion.targets]
        if conversion.kind == "retype":
            target = self.conversion.targets[0]
            return [self._load(target, sources[0], values[0], conversion.options, failures)]
        if conversion.kind == "merge":
            return [self._join(sources, values, self.conversion.targets[0], failures)]
        return self._split(sources[0], values[0], self.conversion.targets, failures)

    @cached_property
    def _expressions(self) -> dict[str, Expression]:
        scope = conversion_scope(self.conversion.sources)
        texts = self.conversion.convert.items()
        return {name: compile_expression(text, scope) for name, text in texts}

    def _computed(self, target: Field, values: Sequence[Any], failures: list[Failure]) -> Any:
        expression = self._expressions.get(target.name)
        if expression is None:
            return None
        sources = self.conversion.sources
        row = {one.name: value for one, value in zip(sources, values, strict=True)}
        return _tried(target, sources, values, failures, lambda: self._result(target, row))

    def _result(self, target: Field, row: Mapping[str, Any]) -> Any:
        try:
            value = self._expressions[target.name].evaluate(row, self._env)
        except BudgetExceeded as error:
            raise FieldError("field.too_many", error.text, **error.params) from error
        if value is None:
            return None
        if field_type(target.type).storage(target).kind == "text":
            value = _text_of(value)
        return field_type(target.type).load(
            value if isinstance(value, Decimal) else wire_value(value), target
        )

    def _load(
        self,
        target: Field,
        source: Field,
        value: Any,
        options: Mapping[str, str],
        failures: list[Failure],
    ) -> Any:
        def load() -> Any:
            return _converted(source, target, value, options, self._env)

        return _tried(target, (source,), (value,), failures, load)

    def _join(
        self,
        sources: Sequence[Field],
        values: Sequence[Any],
        target: Field,
        failures: list[Failure],
    ) -> Any:
        texts = [_as_text(one, value) for one, value in zip(sources, values, strict=True)]
        text = self.conversion.separator.join(filter(None, texts))
        return _tried(target, sources, values, failures, lambda: _read(target, text))

    def _split(
        self, source: Field, value: Any, targets: Sequence[Field], failures: list[Failure]
    ) -> list[Any]:
        text = _as_text(source, value).strip()
        parts = text.split(self.conversion.separator, len(targets) - 1) if text else []
        parts = [part.strip() for part in parts] + [""] * (len(targets) - len(parts))
        return [
            _tried(one, (source,), (value,), failures, _reader(one, part))
            for one, part in zip(targets, parts, strict=True)
        ]


def _reader(target: Field, text: str) -> Callable[[], Any]:
    return lambda: _read(target, text)


def conversion_scope(sources: Sequence[Field]) -> Scope:
    """Return what the expressions of a conversion can name: the fields it reads."""
    fields = {one.name: field_type(one.type).expression_type(one) for one in sources}
    return Scope(fields=fields, record_types=lambda _name: {}, variables={}, name="")


def _tried(
    target: Field,
    sources: Sequence[Field],
    values: Sequence[Any],
    failures: list[Failure],
    load: Callable[[], Any],
) -> Any:
    try:
        return load()
    except FieldError as error:
        texts = [_as_text(one, value) for one, value in zip(sources, values, strict=True)]
        failures.append(Failure(target, " | ".join(filter(None, texts)), error))
        return None


def _as_text(field: Field, value: Any) -> str:
    return "" if value is None else field_type(field.type).to_text(value)


def _text_of(value: Any) -> str:
    plain = wire_value(value)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


def _read(target: Field, text: str) -> Any:
    return field_type(target.type).from_text(text, target) if text else None


def _converted(
    source: Field, target: Field, value: Any, options: Mapping[str, str], env: PlainEnv
) -> Any:
    """Return a value of one field as the value of another; raises FieldError."""
    if value is None:
        return None
    kinds = field_type(source.type).storage(source).kind, field_type(target.type).storage(target)
    if options:
        value = _renamed(value, options)
    if kinds[0] in _NUMBERS and kinds[1].kind in _NUMBERS:
        return field_type(target.type).load(value, target)
    if isinstance(value, datetime) and kinds[1].kind in {"date", "time"}:
        local = value.astimezone(env.zone)
        return local.date() if kinds[1].kind == "date" else local.time().replace(microsecond=0)
    if type(value) is date and kinds[1].kind == "instant":
        return datetime.combine(value, time(), env.zone)
    text = field_type(source.type).to_text(value)
    if target.options:
        text = _labelled(text, target)
    return _read(target, text)


def _renamed(value: Any, options: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return list(dict.fromkeys(options.get(one, one) for one in value))
    return options.get(value, value)


def _labelled(text: str, target: Field) -> str:
    """Return the option that `text` names by its label in any language, else the text."""
    if any(one.value == text for one in target.options):
        return text
    wanted = text.strip()
    found = {one.value for one in target.options if wanted in one.label.values()}
    found |= {one.value for one in target.options if one.value == wanted}
    return found.pop() if len(found) == 1 else text
