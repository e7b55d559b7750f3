"""Field types that point to records, own rows, or are found from other fields."""

import json
import re
import uuid
from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar

from core.errors import Problem
from core.expression.types import Type
from core.i18n import N_
from core.schema.choicetypes import ListType, list_loader
from core.schema.fieldbase import (
    FieldError,
    FieldType,
    Loader,
    Storage,
    WrongTypeError,
    field_type,
    wire_value,
)
from core.schema.model import Field

#: Records that a `links` field points to at most.
MOST_LINKS = 1_000

#: The place of a row in its table, which every row has without declaring it.
POSITION = Field(id="position", name="position", type="integer", min="0")

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_id(value: Any) -> str:
    """Return `value` when it has the form of a record's id.

    Raises:
        FieldError: the value is refused.
        WrongTypeError: it is of another JSON type.
    """
    if type(value) is not str:
        raise WrongTypeError("id")
    if not _ID.fullmatch(value):
        raise FieldError("field.bad_id", N_("This is not the id of a record."))
    return value


def sample_id(random: Random) -> str:
    """Return a random id, of nothing in particular."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class LinkType(FieldType):
    """One record of another type, by its id."""

    name = "link"
    properties = frozenset({"target", "filter", "on_delete", "placeholder"})
    operators: ClassVar[tuple[str, ...]] = ("==", "!=", "in", "is empty", "is not empty")
    widget = "link"
    points = "one"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every id is kept alike
        """Return an id column."""
        return Storage("id")

    def expression_type(self, field: Field) -> Type:
        """Return a record of the target."""
        return Type("record", target=field.target)

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes an id."""

        def load(value: Any) -> str | None:
            if value is None or value == "":
                return None
            return check_id(value)

        return load

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return an id of no particular record."""
        return sample_id(random)


class LinksType(ListType):
    """Several records of another type, by their ids, in order."""

    name = "links"
    properties = frozenset({"target", "filter", "on_delete"})
    operators: ClassVar[tuple[str, ...]] = ("contains", "is empty", "is not empty")
    widget = "links"
    points = "many"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every list is kept alike
        """Return a table of its own."""
        return Storage("links")

    def expression_type(self, field: Field) -> Type:
        """Return records of the target."""
        return Type("records", target=field.target)

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes a list of ids, each at most once; empty is a list."""
        load = list_loader(check_id, MOST_LINKS)
        return lambda value: load(value) or []

    def sample(self, field: Field, random: Random) -> list[str]:  # noqa: ARG002  same for all
        """Return up to three ids of no particular records."""
        return [sample_id(random) for _ in range(random.randint(0, 3))]


class TableType(FieldType):
    """Rows that the record owns."""

    name = "table"
    properties = frozenset({"fields", "min_rows", "max_rows"})
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "table"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every table is kept alike
        """Return a table of its own."""
        return Storage("table")

    def expression_type(self, field: Field) -> Type:
        """Return rows of the columns' types."""
        return Type(
            "rows",
            fields={"position": Type("number")}
            | {one.name: field_type(one.type).expression_type(one) for one in field.fields},
        )

    def loader(self, field: Field) -> Loader:
        """Return a function that takes a whole list of rows and reports every bad cell.

        A row may carry its `id` and `position`. Columns that are computed are refused.
        """
        cells = {one.name: field_type(one.type).loader(one) for one in field.fields}
        cells["id"] = field_type("link").loader(field)
        cells["position"] = field_type("integer").loader(POSITION)

        def load(value: Any) -> list[dict[str, Any]]:
            if value is None or value == "":
                return []
            if not isinstance(value, list | tuple):
                raise WrongTypeError("list")
            if len(value) > field.max_rows:
                raise FieldError("field.too_many", N_("At most {limit}."), limit=field.max_rows)
            problems: list[Problem] = []
            rows = [_load_row(row, f"{at}", cells, problems) for at, row in enumerate(value)]
            if problems:
                raise FieldError.of(problems)
            return rows

        return load

    def sample(self, field: Field, random: Random) -> list[dict[str, Any]]:
        """Return up to three rows."""
        columns = [(one, field_type(one.type)) for one in field.fields]
        return [
            {one.name: kind.sample(one, random) for one, kind in columns if not kind.computed}
            for _ in range(random.randint(0, 3))
        ]

    def dump(self, value: Any) -> Any:
        """Return the rows with wire values."""
        return [{name: wire_value(cell) for name, cell in row.items()} for row in value or ()]

    def to_text(self, value: Any) -> str:
        """Return the rows as JSON."""
        return json.dumps(self.dump(value), ensure_ascii=False) if value else ""

    def from_text(self, text: str, field: Field) -> Any:
        """Return the rows of a JSON text.

        Raises:
            WrongTypeError: it is of another JSON type.
        """
        if not text.strip():
            return []
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WrongTypeError("json") from error
        return self.load(value, field)


def _load_row(
    row: Any, at: str, cells: Mapping[str, Loader], problems: list[Problem]
) -> dict[str, Any]:
    """Return the loaded cells of one row; what is wrong goes to `problems`."""
    if not isinstance(row, dict):
        problems.append(Problem(at, "field.bad_type", N_("This must be an object.")))
        return {}
    loaded = {}
    for name, value in row.items():
        cell = cells.get(name)
        if cell is None:
            problems.append(
                Problem(f"{at}.{name}", "field.unknown", N_("There is no such field."))
            )
            continue
        try:
            loaded[name] = cell(value)
        except FieldError as error:
            problems.extend(
                Problem(
                    f"{at}.{name}" + (f".{it.path}" if it.path else ""),
                    it.code,
                    it.text,
                    it.params,
                )
                for it in error.problems
            )
    return loaded


class ComputedType(FieldType):
    """What the types here share that nobody writes."""

    computed = True

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that refuses every value."""

        def load(value: Any) -> Any:  # noqa: ARG001  every value alike
            raise FieldError("field.read_only", N_("This is computed and cannot be written."))

        return load


class BacklinkType(ComputedType):
    """The records of another type whose link points here."""

    name = "backlink"
    properties = frozenset({"of", "offers", "options_when", "read_only_when"})
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "backlink"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  it has none
        """Return no storage."""
        return Storage("none")

    def expression_type(self, field: Field) -> Type:
        """Return records of the type that has the link."""
        return Type("records", target=field.of.partition(".")[0])

    def sample(self, field: Field, random: Random) -> Any:  # noqa: ARG002  nothing is written
        """Return nothing."""
        return None


class ResultType(ComputedType):
    """A value found by a formula or a rollup; everything follows the type of the result."""

    def storage(self, field: Field) -> Storage:
        """Return the result's storage when the value is stored."""
        if not field.stored:
            return Storage("none")
        return field_type(field.result).storage(field)

    def expression_type(self, field: Field) -> Type:
        """Return the result's type."""
        return field_type(field.result).expression_type(field)

    def dump(self, value: Any) -> Any:
        """Return the wire value of whatever the result is."""
        return wire_value(value)

    def to_text(self, value: Any) -> str:
        """Return the wire value as text."""
        return str(wire_value(value)).lower() if type(value) is bool else super().to_text(value)

    def sample(self, field: Field, random: Random) -> Any:
        """Return a value of the result's type."""
        return field_type(field.result).sample(field, random)


class FormulaType(ResultType):
    """A value that an expression gives."""

    name = "formula"
    properties = frozenset({"formula", "precision", "currency", "unit"})
    widget = "formula"


class RollupType(ResultType):
    """A sum, count, average or extreme over rows or linked records."""

    name = "rollup"
    properties = frozenset({"of", "take", "how", "filter", "precision", "currency", "unit"})
    widget = "rollup"


class LookupType(ResultType):
    """A field of the linked record as it is now, under the reader's own rights there."""

    name = "lookup"
    properties = frozenset({"through", "field"})
    widget = "lookup"


class SequenceType(ComputedType):
    """A number drawn when the record is made, such as CP-202511-0001."""

    name = "sequence"
    properties = frozenset({"number", "reset"})
    operators: ClassVar[tuple[str, ...]] = (
        "==",
        "starts with",
        "contains",
        "is empty",
        "is not empty",
    )
    widget = "sequence"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every number is kept alike
        """Return a text column."""
        return Storage("text")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every number is alike
        """Return text."""
        return Type("text")

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return digits."""
        return f"{random.randrange(10**6):06d}"


TYPES: tuple[FieldType, ...] = (
    LinkType(),
    LinksType(),
    TableType(),
    BacklinkType(),
    FormulaType(),
    RollupType(),
    LookupType(),
    SequenceType(),
)
