"""What comes back from a form: parsed to exactly what REST takes.

Names of controls are paths, `lines.0.rate`, in rows inside of rows `lines.0.parts.2.serial`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import UTC, datetime, tzinfo
from typing import Any, Protocol

from core.clock import to_wire
from core.errors import Invalid, Problem
from core.i18n import N_
from core.schema.fieldtypes import field_type, is_switched_on, is_written
from core.schema.model import Field
from core.schema.structuretypes import StructureType

_LOCAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?")
_ROW = re.compile(r"\d{1,4}")


class MultiValues(Protocol):
    """The parsed body of a form post."""

    def getlist(self, key: str) -> list[str]:
        """Return every value posted under `key`."""

    def __iter__(self) -> Any:
        """Iterate over the names."""

    def __contains__(self, key: object) -> bool:
        """Return whether something was posted under `key`."""


@dataclass(slots=True)
class Posted:
    """A parsed form.

    Attributes:
        values: wire values of every field the form held.
        places: table field, by its path in the form -> for each parsed row, its number there.
    """

    values: dict[str, Any]
    places: dict[str, list[int]]

    def path_in_form(self, path: str) -> str:
        """Return where in the posted form a problem's `path` is."""
        place = ""
        parts = path.split(".")
        for at, part in enumerate(parts):
            rows = self.places.get(place)
            if rows is not None and part.isdecimal():
                if int(part) >= len(rows):
                    return path
                parts[at] = str(rows[int(part)])
            place = ".".join(parts[: at + 1])
        return place


def parse_form(form: MultiValues, fields: Iterable[Field], zone: tzinfo) -> Posted:
    """Return the wire values of those `fields` that the form held.

    Raises:
        Invalid: a table field has more rows than it takes.
    """
    parser = _Parser(form, zone)
    for field in fields:
        if not is_written(field):
            continue
        if field.type == "table":
            if field.name in form:
                parser.posted.values[field.name] = parser.rows(field, field.name)
        elif _is_held(form, field, field.name):
            parser.posted.values[field.name] = _parse_value(form, field, field.name, zone)
    return parser.posted


@dataclass(slots=True)
class _Parser:
    """One form on its way in."""

    form: MultiValues
    zone: tzinfo
    posted: Posted = attribute(default_factory=lambda: Posted({}, {}))
    _numbers: dict[str, set[int]] | None = None

    def rows(self, table: Field, path: str) -> list[Any]:
        """Return the rows of the table field at `path`."""
        numbers = self._rows_at(path)
        if len(numbers) > table.max_rows:
            # Drawing them all again would cost more than reading them did.
            text = N_("At most {limit}.")
            params = {"limit": table.max_rows}
            raise Invalid(problems=[Problem(path, "field.too_many", text, params)])
        rows, places = [], []
        for number in sorted(numbers):
            below = f"{path}.{number}"
            row = {
                column.name: self._cell(column, f"{below}.{column.name}")
                for column in table.fields
                if is_written(column) and _is_held(self.form, column, f"{below}.{column.name}")
            }
            row_id = "".join(self.form.getlist(f"{below}.id")[-1:])
            # A blank line that was never saved is the place to type the next row, not a row.
            said = (row.get(column.name) for column in table.fields if not is_switched_on(column))
            if row_id or any(value not in (None, [], False) for value in said):
                rows.append({"id": row_id, **row} if row_id else row)
                places.append(number)
        self.posted.places[path] = places
        return rows

    def _cell(self, column: Field, path: str) -> Any:
        if column.type == "table":
            return self.rows(column, path)
        return _parse_value(self.form, column, path, self.zone)

    def _rows_at(self, path: str) -> set[int]:
        """Return the numbers of the rows at a path; the names are gone through once."""
        if self._numbers is None:
            self._numbers = defaultdict(set)
            for name in self.form:
                parts = name.split(".")
                for at in (1, 3):
                    if len(parts) > at and _ROW.fullmatch(parts[at]):
                        self._numbers[".".join(parts[:at])].add(int(parts[at]))
        return self._numbers.get(path, set())


def _is_held(form: MultiValues, field: Field, path: str) -> bool:
    """Return whether the form says something about a field."""
    kind = field_type(field.type)
    if isinstance(kind, StructureType):
        return any(f"{path}.{part}" in form for part in kind.parts)
    if field.type == "secret":
        # An empty control keeps the secret, which the form could not show.
        return bool("".join(form.getlist(path)) or form.getlist(f"{path}.clear"))
    if f"{path}.masked" in form:
        return bool("".join(form.getlist(path)))  # likewise
    return path in form


def _parse_value(form: MultiValues, field: Field, path: str, zone: tzinfo) -> Any:
    """Return one control's wire value; text that is no value stays, to be refused by name."""
    kind = field_type(field.type)
    if isinstance(kind, StructureType):
        parts = {part: "".join(form.getlist(f"{path}.{part}")[-1:]).strip() for part in kind.parts}
        return {name: text for name, text in parts.items() if text} or None
    posted = form.getlist(path)
    if field.type in {"multi_select", "files"} or kind.points == "many":
        return [each for each in posted if each]
    text = posted[-1] if posted else ""
    if field.type == "boolean":
        return {"true": True, "false": False, "": None}.get(text, text)
    text = text.replace("\r\n", "\n")
    if field.type not in {"text", "long_text", "rich_text", "secret"}:
        text = text.strip()
    if field.type == "datetime" and _LOCAL.fullmatch(text):
        return _instant(text, zone)
    return text or None


def _instant(text: str, zone: tzinfo) -> str:
    """Return a local time from a `datetime-local` control in wire form."""
    try:
        return to_wire(datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC))
    except (ValueError, OverflowError):
        return text
