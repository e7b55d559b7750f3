"""Wire values to Python values for one record type: every key, every problem at once; pure.

One compiled loader per field, made by its field type, serves every door. A value
sent back exactly as it was read is always accepted, so that what was read can be
written: system fields, computed fields, options archived since.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter
from typing import Any

from core.errors import Problem
from core.expression.types import nearest
from core.i18n import N_
from core.ids import is_id
from core.policies.masks import is_concealed, is_masked
from core.records.wire import Dump, dump_of
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, Field, RecordType

#: Keys of an answer that are no fields; writing takes them back unchanged only.
ANSWER_KEYS = ("no_access", "masked", "proposal")

#: Rows are numbered below this.
_MOST_POSITION = 1_000_000_000

Loader = Callable[[Any], Any]
Values = dict[str, Any]

_BAD_TYPE = N_("This must be {expected}.")

#: Said of a mask that came in as if it were the value behind it.
NO_VALUE = N_("This is a mask and not the value.")


def printable(text: object) -> str:
    """Return a key or value from outside so that it can be shown: no lone surrogates, short."""
    return str(text)[:100].encode("utf-8", "backslashreplace").decode()


def unknown_field(path: str, name: object, known: Iterable[str]) -> Problem:
    """Return the problem of a key that is no field, with the nearest that is one."""
    shown = printable(name)
    near = nearest(shown, known)
    if near:
        text = N_("There is no field {name}. Did you mean {nearest}?")
        return Problem(path, "field.unknown", text, {"name": shown, "nearest": near})
    return Problem(path, "field.unknown", N_("There is no field {name}."), {"name": shown})


def read_only(path: str) -> Problem:
    """Return the problem of a key that nobody writes."""
    return Problem(path, "field.read_only", N_("This field cannot be written."))


def prefixed(prefix: str, error: FieldError) -> list[Problem]:
    """Return a field error's problems with paths from the record's root."""
    return [
        Problem(f"{prefix}.{one.path}" if one.path else prefix, one.code, one.text, one.params)
        for one in error.problems
    ]


class Cells:
    """The loaders of a set of fields: a record's own, or the columns of a table field."""

    __slots__ = ("_dumps", "_known", "_locked", "loaders")

    def __init__(self, fields: Iterable[Field], locked: Iterable[str]) -> None:
        """Compile the loaders of `fields`; `locked` names are known but never written."""
        self.loaders: dict[str, Loader] = {}
        self._dumps: dict[str, Dump] = {}
        computed = []
        for field in fields:
            dump = dump_of(field)
            if dump is not None:
                self._dumps[field.name] = dump
            kind = field_type(field.type)
            if kind.computed:
                computed.append(field.name)
            elif field.type != "table":
                load = kind.loader(field)
                self.loaders[field.name] = _refusing_masks(load) if is_concealed(field) else load
        self._locked = frozenset((*locked, *computed))
        self._known = (*self.loaders, *self._locked)

    def cell(
        self, name: str, value: Any, path: str, stored: Mapping[str, Any] | None
    ) -> tuple[bool, Any, list[Problem]]:
        """Return whether the key is to be written, its value, and what is wrong with it.

        `stored` is the record or row as it is, in Python values; None for a new one.
        """
        loader = self.loaders.get(name)
        if loader is not None:
            try:
                return True, loader(value), []
            except FieldError as error:
                if self._is_unchanged(name, value, stored):
                    return False, None, []
                return False, None, prefixed(path, error)
        if name not in self._locked:
            return False, None, [unknown_field(path, name, self._known)]
        if self._is_unchanged(name, value, stored):
            return False, None, []
        return False, None, [read_only(path)]

    def _is_unchanged(self, name: str, value: Any, stored: Mapping[str, Any] | None) -> bool:
        if stored is None or name not in stored:
            return False
        now = stored[name]
        dump = self._dumps.get(name)
        shown = now if dump is None or now is None else dump(now)
        return type(value) is type(shown) and bool(value == shown)


def _refusing_masks(load: Loader) -> Loader:
    """Return a loader that takes no mask, which somebody read and sent back as a value."""

    def load_value(value: Any) -> Any:
        if is_masked(value):
            raise FieldError("field.masked", NO_VALUE)
        return load(value)

    return load_value


class Loading:
    """Loads what comes in for the records of one type."""

    __slots__ = ("_cells", "_system_dumps", "tables")

    def __init__(self, record_type: RecordType, system_dumps: Mapping[str, Dump]) -> None:
        """Compile the loaders of `record_type`."""
        locked = [*SYSTEM_FIELDS, *ANSWER_KEYS]
        if record_type.document:
            locked += [*DOCUMENT_FIELDS, "status"]
        fields = [
            field
            for field in record_type.fields
            if not (record_type.document and field.name == "status")
        ]
        self._cells = Cells(fields, locked)
        self._system_dumps = dict(system_dumps)
        self.tables = {field.name: RowsLoading(field) for field in fields if field.type == "table"}

    def load(
        self, values: Any, problems: list[Problem], stored: Mapping[str, Any] | None = None
    ) -> Values:
        """Return the Python values of the keys given; what is wrong goes to `problems`.

        Args:
            values: what came in.
            problems: where problems go.
            stored: the record as it is (with `no_access`, `masked`, `proposal` as answers
                show them); None for a new one.
        """
        if type(values) is not dict:
            problems.append(Problem("", "field.bad_type", _BAD_TYPE, {"expected": "object"}))
            return {}
        loaded: Values = {}
        loaders, tables = self._cells.loaders, self.tables
        for name, value in values.items():
            loader = loaders.get(name)
            if loader is not None:
                try:
                    loaded[name] = loader(value)
                    continue
                except FieldError:
                    pass  # the slow path below says what is wrong, if anything is
            if name in tables:
                before = None if stored is None else stored.get(name)
                loaded[name] = tables[name].load(value, problems, before)
            else:
                given, kept, wrong = self._cells.cell(
                    name, value, printable(name), self._shown(stored)
                )
                problems += wrong
                if given:
                    loaded[name] = kept
        return loaded

    def _shown(self, stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """Return the stored record with its system values as an answer shows them."""
        if stored is None:
            return None
        return {
            **stored,
            **{
                name: dump(stored[name])
                for name, dump in self._system_dumps.items()
                if stored.get(name) is not None
            },
        }


class RowsLoading:
    """Loads the rows of one table field, those inside of rows included."""

    __slots__ = ("_cells", "_field", "_fresh", "_tables")

    def __init__(self, field: Field) -> None:
        """Compile the loaders of the columns of `field`."""
        self._field = field
        self._cells = Cells(field.fields, ("id",))
        self._tables = {one.name: RowsLoading(one) for one in field.fields if one.type == "table"}
        inside = {name: one.fresh for name, one in self._tables.items()}
        #: What loads the cells of rows that have nothing stored.
        self._fresh: dict[str, Loader] = {**self._cells.loaders, **inside}

    def load(
        self, value: Any, problems: list[Problem], stored: list[Values] | None, path: str = ""
    ) -> list[Values]:
        """Return the whole list of rows as it will be; new rows have no `id` yet.

        `value` is a whole list, or on a stored record `{"upsert": […], "remove": […]}`.
        A row with an `id` takes what it does not name from the stored row. `path` is where
        the field stands when it is inside of another one's rows.
        """
        path = path or self._field.name
        if isinstance(value, dict) and stored is not None:
            return self._merge(value, problems, stored, path)
        if value is None or value == "":
            return []
        if not isinstance(value, list):
            problems.append(Problem(path, "field.bad_type", _BAD_TYPE, {"expected": "list"}))
            return stored or []
        if len(value) > self._field.max_rows:
            problems.append(self._too_many(path))
            return stored or []
        fresh = None if stored else self._new_rows(value)
        return _placed(self._rows(value, path, problems, stored)) if fresh is None else fresh

    def fresh(self, value: Any) -> list[Values]:
        """Return rows that nothing stored belongs to.

        Raises:
            FieldError: one of them is not plainly right.
        """
        if value is None or value == "":
            return []
        is_list = isinstance(value, list) and len(value) <= self._field.max_rows
        rows = self._new_rows(value) if is_list else None
        if rows is None:
            raise FieldError("field.bad_type", _BAD_TYPE, expected="list")
        return rows

    def _new_rows(self, rows: list[Any]) -> list[Values] | None:
        """Return the rows of a new record, None where one is not plainly right."""
        loaders = self._fresh
        loaded = []
        try:
            for position, row in enumerate(rows):
                made = {name: loaders[name](value) for name, value in row.items()}
                made["position"] = position
                loaded.append(made)
        except (FieldError, KeyError, AttributeError):
            return None  # going through them one by one says what is wrong, if anything is
        return loaded

    def _rows(
        self, rows: list[Any], path: str, problems: list[Problem], stored: list[Values] | None
    ) -> list[Values]:
        known = {row["id"]: row for row in stored or ()}
        loaded, seen = [], set()
        for position, row in enumerate(rows):
            place = f"{path}.{position}"
            made = self._row(row, place, problems, known)
            row_id = made.get("id")
            if row_id is not None and row_id in seen:
                text = N_("This row is there twice.")
                problems.append(Problem(f"{place}.id", "row.twice", text))
            seen.add(row_id)
            loaded.append(made)
            if isinstance(row, dict) and "position" in row:
                made["position"] = _position(row["position"], f"{place}.position", problems)
            elif row_id is None:
                made.pop("position", None)
        return loaded

    def _row(
        self, row: Any, place: str, problems: list[Problem], known: Mapping[str, Values]
    ) -> Values:
        if type(row) is not dict:
            problems.append(Problem(place, "field.bad_type", _BAD_TYPE, {"expected": "object"}))
            return {}
        stored = _stored_row(row.get("id"), known)
        if stored is None and row.get("id") is not None:
            text = N_("This row does not belong to the record.")
            problems.append(Problem(f"{place}.id", "row.unknown", text))
        made = {} if stored is None else self.copied(stored)
        loaders = self._cells.loaders
        for name, value in row.items():
            if name in {"id", "position"}:
                continue
            loader = loaders.get(name)
            if loader is not None:
                try:
                    made[name] = loader(value)
                    continue
                except FieldError:
                    pass  # said below
            where = f"{place}.{printable(name)}"
            if name in self._tables:
                before = None if stored is None else stored.get(name)
                made[name] = self._tables[name].load(value, problems, before, where)
                continue
            given, kept, wrong = self._cells.cell(name, value, where, stored)
            problems += wrong
            if given:
                made[name] = kept
        return made

    def copied(self, row: Mapping[str, Any]) -> Values:
        """Return a copy of a row that can be changed without changing it."""
        made = dict(row)
        for name in self._tables:
            made[name] = [dict(one) for one in made.get(name) or ()]
        return made

    def _merge(
        self, value: Values, problems: list[Problem], stored: list[Values], path: str
    ) -> list[Values]:
        problems += [
            unknown_field(f"{path}.{printable(name)}", name, ("upsert", "remove"))
            for name in value.keys() - {"upsert", "remove"}
        ]
        upsert, remove = value.get("upsert", []), value.get("remove", [])
        for name, part in (("upsert", upsert), ("remove", remove)):
            if not isinstance(part, list):
                where = f"{path}.{name}"
                problems.append(Problem(where, "field.bad_type", _BAD_TYPE, {"expected": "list"}))
                return stored
        known = {row["id"] for row in stored}
        so_far = len(problems)
        for position, row_id in enumerate(remove):
            if not is_id(row_id) or row_id not in known:
                text = N_("This row does not belong to the record.")
                problems.append(Problem(f"{path}.remove.{position}", "row.unknown", text))
        if len(upsert) > self._field.max_rows:
            problems.append(self._too_many(path))
            return stored
        gone = known.intersection(filter(is_id, remove))
        for position, row in enumerate(upsert):
            row_id = row.get("id") if isinstance(row, dict) else None
            if is_id(row_id) and row_id in gone:
                text = N_("This row is there twice.")
                problems.append(Problem(f"{path}.upsert.{position}.id", "row.twice", text))
        rows = self._rows(upsert, f"{path}.upsert", problems, stored)
        if len(problems) > so_far:
            return [self.copied(row) for row in stored]
        changed = {row["id"]: row for row in rows if "id" in row}
        kept = [
            changed.get(row["id"]) or self.copied(row) for row in stored if row["id"] not in gone
        ]
        return _placed(kept + [row for row in rows if "id" not in row])

    def _too_many(self, path: str) -> Problem:
        text = N_("At most {limit} rows.")
        return Problem(path, "rows.too_many", text, {"limit": self._field.max_rows})


def as_written(
    problems: Iterable[Problem], changes: Any, values: Mapping[str, Any]
) -> list[Problem]:
    """Return problems under the paths that the caller wrote.

    Rules see a table field's rows as they will be; where the caller sent
    `{"upsert": […]}`, their problems are told as `lines.upsert.0.…`, and those of rows
    inside of rows as `lines.upsert.0.parts.upsert.1.…`.
    """
    places = dict(_written_places(changes, values, "", ""))
    if not places:
        return list(problems)
    told = []
    for one in problems:
        parts = one.path.split(".")
        # The innermost row that was written says where its problems are.
        ends = (end for end in (4, 2) if ".".join(parts[:end]) in places)
        end = next(ends, 0)
        place = [places[".".join(parts[:end])], *parts[end:]] if end else parts
        told.append(replace(one, path=".".join(place)))
    return told


def _written_places(
    changes: Any, values: Mapping[str, Any], ours: str, theirs: str
) -> Iterator[tuple[str, str]]:
    """Yield (path of a row as it will be, path as it was written) where the two differ."""
    for name, change in changes.items() if isinstance(changes, dict) else ():
        rows = values.get(name)
        upsert = change.get("upsert") if isinstance(change, dict) else None
        sent_rows = upsert if isinstance(upsert, list) else change
        if not isinstance(rows, list) or not isinstance(sent_rows, list):
            continue
        if not all(isinstance(row, dict) for row in rows):
            continue
        for at, sent in _sent_places(sent_rows, rows):
            our = f"{ours}{name}.{at}"
            place = f"{name}.{at}" if upsert is None else f"{name}.upsert.{sent}"
            their = theirs + place
            if our != their:
                yield our, their
            yield from _written_places(sent_rows[sent], rows[at], f"{our}.", f"{their}.")


def _stored_row(row_id: Any, known: Mapping[str, Values]) -> Values | None:
    return known.get(row_id) if isinstance(row_id, str) else None


def _sent_places(upsert: list[Any], rows: Iterable[Values]) -> Iterator[tuple[int, int]]:
    """Yield (place among the rows, place in what was sent) of each row that was sent."""
    sent = {
        row["id"]: at for at, row in enumerate(upsert) if isinstance(row, dict) and row.get("id")
    }
    new = [at for at, row in enumerate(upsert) if isinstance(row, dict) and not row.get("id")]
    if any("position" in upsert[at] for at in new):
        new = []  # they stand where they say, not in the order that they came in
    fresh = iter(new)
    for at, row in enumerate(rows):
        place = sent.get(row["id"]) if "id" in row else next(fresh, None)
        if place is not None:
            yield at, place


def _position(value: Any, path: str, problems: list[Problem]) -> int | None:
    """Return a row's position as given; one that is no whole number is a problem."""
    if type(value) is int and 0 <= value < _MOST_POSITION:
        return value
    problems.append(Problem(path, "field.bad_type", _BAD_TYPE, {"expected": "whole number"}))
    return None


def _placed(rows: list[Values]) -> list[Values]:
    """Return rows in order, each with its position.

    Where every row states another one these count; else the order of the list does,
    from 0 on.
    """
    stated = [row.get("position") for row in rows]
    if None not in stated and len(set(stated)) == len(rows):
        return sorted(rows, key=itemgetter("position"))
    return [
        row if row.get("position") == position else {**row, "position": position}
        for position, row in enumerate(rows)
    ]
