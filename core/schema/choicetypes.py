"""Field types whose values come from a list, and plain JSON."""

import json
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar

from core.expression.types import Type
from core.i18n import N_
from core.schema.fieldbase import (
    FieldError,
    FieldType,
    Loader,
    Storage,
    WrongTypeError,
)
from core.schema.model import Field
from core.schema.texttypes import check_characters

#: Values that a `multi_select` holds at most.
MOST_CHOICES = 100
#: Characters of a `json` value, written without blanks.
LONGEST_JSON = 10_000
#: Lists and objects inside each other in a `json` value.
DEEPEST_JSON = 20
_LONGEST_CHOICE = 200
_GREATEST = 10**18


class NotAnOptionError(FieldError):
    """The value is not one of the field's options."""

    def __init__(self, value: str) -> None:
        """Build it for a value."""
        text = N_("“{value}” is not one of the options.")
        super().__init__("field.not_an_option", text, value=value[:50])


def _check_choice(value: Any, options: frozenset[str] | None) -> str:
    """Return `value` when it is one of the options; with None any short text is.

    Raises:
        NotAnOptionError: it is none of them.
        WrongTypeError: it is of another JSON type.
    """
    if type(value) is not str:
        raise WrongTypeError("text")
    if options is None:
        check_characters(value)
        if len(value) > _LONGEST_CHOICE:
            raise NotAnOptionError(value)
    elif value not in options:
        check_characters(value)
        raise NotAnOptionError(value)
    return value


def option_values(field: Field) -> frozenset[str] | None:
    """Return the values a field's options allow; None when they come from records.

    Archived options stay allowed here, because records that hold one must stay
    saveable; that nobody newly chooses one is checked where records are saved.
    """
    if field.options_from:
        return None
    return frozenset(option.value for option in field.options)


class SelectType(FieldType):
    """One choice."""

    name = "select"
    properties = frozenset({"options", "options_from", "options_when"})
    operators: ClassVar[tuple[str, ...]] = ("==", "!=", "in", "not in", "is empty", "is not empty")
    widget = "select"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every choice is kept alike
        """Return a text column."""
        return Storage("text")

    def expression_type(self, field: Field) -> Type:
        """Return a choice among the options; text when they come from records."""
        options = option_values(field)
        return Type("text") if options is None else Type("choice", options=options)

    def loader(self, field: Field) -> Loader:
        """Return a function that takes an option's value."""
        options = option_values(field)

        def load(value: Any) -> str | None:
            if value is None or value == "":
                return None
            return _check_choice(value, options)

        return load

    def sample(self, field: Field, random: Random) -> Any:
        """Return one of the options; None where they come from records."""
        return random.choice(field.options).value if field.options else None


def join_texts(texts: Sequence[str]) -> str:
    """Return texts with semicolons between them; as JSON where that could not be undone."""
    joined = ";".join(texts)
    return joined if split_texts(joined) == list(texts) else json.dumps(texts, ensure_ascii=False)


def split_texts(text: str) -> list[str]:
    """Return the texts that `join_texts` joined, or that people wrote with semicolons."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list) and all(isinstance(one, str) for one in found):
            return found
    return [part.strip() for part in text.split(";") if part.strip()]


class ListType(FieldType):
    """What field types share whose value is a list of different texts, in order."""

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every list is kept alike
        """Return a JSON column."""
        return Storage("json")

    def to_text(self, value: Any) -> str:
        """Return the items as one text."""
        return join_texts(value or ())

    def from_text(self, text: str, field: Field) -> Any:
        """Return the items of a text with semicolons between them, or of a JSON list."""
        return self.load(split_texts(text), field)


def list_loader(check: Callable[[Any], str], most: int) -> Loader:
    """Return a function that takes a list of at most `most` items, each at most once.

    Args:
        check: returns an item when it is right, else raises FieldError.
        most: how many items there may be.
    """

    def load(value: Any) -> list[str] | None:
        if value is None or value in ("", []):
            return None
        if not isinstance(value, list | tuple):
            raise WrongTypeError("list")
        if len(value) > most:
            raise FieldError("field.too_many", N_("At most {limit}."), limit=most)
        items = [check(item) for item in value]
        if len(set(items)) < len(items):
            raise FieldError("field.duplicate", N_("Each may be chosen only once."))
        return items or None

    return load


class MultiSelectType(ListType):
    """Several choices, in the order they were chosen."""

    name = "multi_select"
    properties = frozenset({"options", "options_from", "options_when"})
    operators: ClassVar[tuple[str, ...]] = ("contains", "is empty", "is not empty")
    widget = "multi_select"

    def expression_type(self, field: Field) -> Type:
        """Return a list of choices."""
        return Type("choices", options=option_values(field))

    def loader(self, field: Field) -> Loader:
        """Return a function that takes a list of option values, each at most once."""
        options = option_values(field)
        return list_loader(lambda item: _check_choice(item, options), MOST_CHOICES)

    def sample(self, field: Field, random: Random) -> Any:
        """Return one or more of the options; None where they come from records."""
        values = [option.value for option in field.options]
        return random.sample(values, random.randint(1, len(values))) if values else None


class JsonType(FieldType):
    """Any JSON value, bounded, for machines."""

    name = "json"
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "json"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every value is kept alike
        """Return a JSON column."""
        return Storage("json")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  opaque to expressions
        """Return the type that only `is empty` understands."""
        return Type("any")

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes any JSON value within the bounds."""

        def load(value: Any) -> Any:
            if value is None or value == "":
                return None
            check_json(value)
            return value

        return load

    def to_text(self, value: Any) -> str:
        """Return the value as JSON."""
        return "" if value is None else json.dumps(value, ensure_ascii=False)

    def from_text(self, text: str, field: Field) -> Any:
        """Return the value of a JSON text.

        Raises:
            FieldError: the value is refused.
            WrongTypeError: it is of another JSON type.
        """
        if not text.strip():
            return None
        if len(text) > 2 * LONGEST_JSON:
            raise FieldError("field.too_long", _TOO_LONG, limit=LONGEST_JSON, length=len(text))
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WrongTypeError("json") from error
        return self.load(value, field)

    def sample(self, field: Field, random: Random) -> Any:  # noqa: ARG002  same for all fields
        """Return a small object."""
        return {"a": random.randrange(100), "b": ["x", None, True]}


_TOO_LONG = N_("At most {limit} characters; this has {length}.")


def check_json(value: Any) -> None:
    """Refuse what is not JSON, too deep, too long or not storable.

    Raises:
        FieldError: the value is refused.
    """
    budget = LONGEST_JSON
    stack: list[tuple[Any, int]] = [(value, 0)]
    while stack:
        item, depth = stack.pop()
        if depth > DEEPEST_JSON:
            raise FieldError("field.too_deep", N_("At most {limit} levels."), limit=DEEPEST_JSON)
        budget -= len(item) + 2 if isinstance(item, str) else 2
        if budget < 0:
            raise FieldError(
                "field.too_long", N_("At most {limit} characters."), limit=LONGEST_JSON
            )
        stack.extend((part, depth + 1) for part in _parts(item))


def _parts(item: Any) -> list[Any]:
    """Return what a JSON list or object holds; check a scalar."""
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list):
        return item
    _check_scalar(item)
    return []


def _check_scalar(item: Any) -> None:
    """Refuse what is no JSON scalar, or cannot be stored.

    Raises:
        FieldError: it has characters or digits that cannot be stored.
        WrongTypeError: it is of another JSON type.
    """
    if isinstance(item, str):
        check_characters(item, lines=True)
    elif type(item) is int:
        if abs(item) >= _GREATEST:
            raise FieldError("field.too_many_digits", N_("At most {digits} digits."), digits=18)
    elif type(item) is float:
        if not math.isfinite(item):
            raise WrongTypeError("json")
    elif item is not None and type(item) is not bool:
        raise WrongTypeError("json")


TYPES: tuple[FieldType, ...] = (SelectType(), MultiSelectType(), JsonType())
