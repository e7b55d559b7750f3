"""What every field type is: one loader for all doors, one way out, one place to store it.

A field type never looks at other fields of the record and never at the
database. Whether a value is required, unique or an existing record is decided
where records are saved.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from random import Random
from typing import Any, ClassVar, Literal

from marshmallow import ValidationError
from marshmallow import fields as marshmallow_fields

from core.clock import to_wire
from core.errors import Problem
from core.expression.types import Type
from core.i18n import N_
from core.schema.model import Field

Loader = Callable[[Any], Any]
#: A part of a JSON Schema, as OpenAPI has it.
Shape = dict[str, Any]

StorageKind = Literal[
    "text",
    "id",
    "integer",
    "decimal",
    "boolean",
    "date",
    "time",
    "instant",
    "json",
    "links",
    "table",
    "none",
]


class FieldError(ValueError):
    """A value that its field refuses, with one problem per broken rule.

    Attributes:
        problems: what is wrong; paths are relative to the field, `""` for its whole value.
    """

    def __init__(self, code: str, text: str, **params: Any) -> None:
        """Build it for one broken rule."""
        super().__init__(text.format_map(params))
        self.problems: tuple[Problem, ...] = (Problem("", code, text, params),)

    @staticmethod
    def of(problems: Iterable[Problem]) -> "FieldError":
        """Return one error that carries several problems."""
        problems = tuple(problems)
        error = FieldError(problems[0].code, problems[0].text, **problems[0].params)
        error.problems = problems
        return error

    @property
    def code(self) -> str:
        """Return the stable code of the first problem."""
        return self.problems[0].code

    @property
    def text(self) -> str:
        """Return the English template of the first problem."""
        return self.problems[0].text

    @property
    def params(self) -> dict[str, Any]:
        """Return the values of the first problem's placeholders."""
        return dict(self.problems[0].params)


#: What a value should be -> how that is said.
_EXPECTED = {
    "text": N_("This must be text."),
    "number": N_("This must be a number."),
    "boolean": N_("This must be true or false."),
    "list": N_("This must be a list."),
    "object": N_("This must be an object."),
    "json": N_("This must be JSON."),
    "id": N_("This must be the id of a record."),
    "date": N_("This must be a date as text."),
    "time": N_("This must be a time as text."),
    "datetime": N_("This must be a date and time as text."),
    "duration": N_("This must be a length of time."),
}


class WrongTypeError(FieldError):
    """The value is of the wrong JSON type."""

    def __init__(self, expected: str) -> None:
        """Build it; `expected` names the right type."""
        super().__init__("field.bad_type", _EXPECTED[expected], expected=expected)


@dataclass(frozen=True, slots=True)
class Storage:
    """Where a field's value lives.

    Attributes:
        kind: a column's kind; `links` and `table` are tables of their own; `none` is computed.
        scale: digits after the point of a `decimal`.
    """

    kind: StorageKind
    scale: int = 0


class LoadedField(marshmallow_fields.Field[Any]):
    """A marshmallow field whose deserialization is the field type's own loader."""

    def __init__(self, loader: Loader, *, required: bool = False) -> None:
        """Build it around `loader`; null is always a value, required or not is the record's."""
        super().__init__(required=required, allow_none=True)
        self._loader = loader

    def deserialize(
        self,
        value: Any,
        attr: str | None = None,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Return what the loader makes of a value, null included."""
        if value is None:
            return self._deserialize(value, attr, data, **kwargs)
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:  # noqa: ARG002  marshmallow's signature
        try:
            return self._loader(value)
        except FieldError as error:
            raise ValidationError(
                [
                    {"path": it.path, "code": it.code, "text": it.text, "params": dict(it.params)}
                    for it in error.problems
                ]
            ) from error


class FieldType(ABC):
    """One kind of field; subclass it, fill the class attributes, register it.

    Attributes:
        name: the word in the schema language.
        properties: keys of `Field`, beyond those every field has, that mean something here.
        operators: filter operators that screens offer, in order.
        widget: name of the form control.
        computed: nobody writes it; the product finds the value.
        points: whether its values are ids of what `Field.target` names, of one or of many.
        sortable: whether lists can be sorted by it, where its storage has an order.
    """

    name: ClassVar[str] = ""
    properties: ClassVar[frozenset[str]] = frozenset()
    operators: ClassVar[tuple[str, ...]] = ("==", "!=", "is empty", "is not empty")
    widget: ClassVar[str] = ""
    computed: ClassVar[bool] = False
    points: ClassVar[Literal["", "one", "many"]] = ""
    sortable: ClassVar[bool] = True

    @abstractmethod
    def storage(self, field: Field) -> Storage:
        """Return where the values of `field` are kept."""

    @abstractmethod
    def expression_type(self, field: Field) -> Type:
        """Return what `field` is in expressions."""

    @abstractmethod
    def loader(self, field: Field) -> Loader:
        """Return a function from wire values or text to the Python value.

        It returns None for null and for empty text, and raises FieldError.
        """

    @abstractmethod
    def sample(self, field: Field, random: Random) -> Any:
        """Return a random Python value that `field` accepts, for tests and previews."""

    def load(self, value: Any, field: Field) -> Any:
        """Return the Python value of a wire value or text; raises FieldError.

        Callers with many values keep `loader(field)` instead.
        """
        return self.loader(field)(value)

    def dump(self, value: Any) -> Any:
        """Return the wire value of a Python value."""
        return value

    def to_text(self, value: Any) -> str:
        """Return a Python value as text for CSV; null is empty text."""
        return "" if value is None else str(self.dump(value))

    def from_text(self, text: str, field: Field) -> Any:
        """Return the Python value of text that `to_text` wrote, or that people typed."""
        return self.load(text, field)

    def tidy(self, text: str) -> str:
        """Return text as a spreadsheet shows a value in the form that `from_text` reads.

        Text that it knows nothing about stays as it is; the loader says what is wrong.
        """
        return text

    def shape(self, field: Field) -> Shape | None:  # noqa: ARG002  for types to override
        """Return the JSON Schema of its wire value; None when its storage says it."""
        return None

    def marshmallow_field(self, field: Field) -> LoadedField:
        """Return a marshmallow field that deserializes with this type's loader."""
        return LoadedField(self.loader(field), required=field.required)


_registry: dict[str, FieldType] = {}


def register(kind: FieldType) -> None:
    """Make a field type known; raises TypeError when it lacks a part or its name is taken.

    Raises:
        TypeError: it lacks a part, or its name is taken.
    """
    if not isinstance(kind, FieldType):
        raise TypeError(f"{kind!r} is not a FieldType")
    for part in ("name", "widget"):
        if not isinstance(getattr(kind, part, None), str) or not getattr(kind, part):
            raise TypeError(f"the field type {type(kind).__name__} has no {part}")
    if not kind.operators:
        raise TypeError(f"the field type {kind.name} has no filter operators")
    if type(_registry.get(kind.name, kind)) is not type(kind):
        raise TypeError(f"there is already a field type {kind.name}")
    _registry[kind.name] = kind


def field_type(name: str) -> FieldType:
    """Return the field type called `name`; raises KeyError."""
    return _registry[name]


def field_type_names() -> tuple[str, ...]:
    """Return the names of all registered field types, in the order they were registered."""
    return tuple(_registry)


def wire_value(value: Any) -> Any:
    """Return the wire form of any Python value that a field can hold."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return to_wire(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return value
