"""What a view may ask for, whoever wrote it: a schema file, or a person who saves a list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.expression.types import nearest
from core.i18n import N_
from core.schema.buckets import BUCKETS
from core.schema.filetypes import FILE_TYPES
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, Field, RecordType, View
from core.schema.results import ORDERED, SUMMABLE

#: Types that no list can sort by.
NOT_SORTABLE = FILE_TYPES | frozenset(
    {
        *("table", "links", "backlink", "json", "multi_select", "rich_text", "users"),
        *("address", "location", "secret", "condition", "expression"),
    }
)
#: What a board's columns can stand for.
BOARD_TYPES = frozenset({"select", "boolean", "link", "department"})
#: What a calendar can show records by.
DAY_TYPES = frozenset({"date", "datetime"})

_SYSTEM_TYPES = {
    "id": "text",
    "version": "integer",
    "created_at": "datetime",
    "created_by": "text",
    "updated_at": "datetime",
    "updated_by": "text",
    "audited_at": "datetime",
    "audit_seq": "integer",
}


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong with a view; `path` leads to it: `("columns", 2)`."""

    path: tuple[str | int, ...]
    code: str
    text: str
    params: dict[str, Any] = field(default_factory=dict)


def listed_names(record_type: RecordType) -> set[str]:
    """Return every name that a list of a record type can show."""
    names = {one.name for one in record_type.fields} | set(SYSTEM_FIELDS)
    return names | set(DOCUMENT_FIELDS) if record_type.document else names


def kind_of(record_type: RecordType, name: str) -> str:
    """Return the type of a field's or system field's values; a formula's is its result's."""
    found = record_type.field(name)
    return (found.result or found.type) if found else _SYSTEM_TYPES.get(name, "")


def split_group(text: str) -> tuple[str, str]:
    """Return the field and the part of its day that a list is grouped by.

    >>> split_group("joined_on.month"), split_group("status")
    (('joined_on', 'month'), ('status', ''))
    """
    name, _, bucket = text.partition(".")
    return name, bucket


def view_flaws(record_type: RecordType, view: View) -> Iterator[Flaw]:
    """Yield everything that is wrong with a view but for its expressions."""
    known = listed_names(record_type)
    yield from _names(("columns",), view.columns, known)
    sorts = [name.removeprefix("-") for name in view.sort]
    yield from _names(("sort",), sorts, known)
    for at, name in enumerate(sorts):
        if kind_of(record_type, name) in NOT_SORTABLE:
            text = N_("A list cannot be sorted by {name}.")
            yield Flaw(("sort", at), "not_sortable", text, {"name": name})
    yield from _grouping(record_type, view, known)
    for name, how in view.totals.items():
        yield from _total(record_type, name, how, known)
    if view.type == "calendar":
        yield from _calendar(record_type, view, known)


def _names(path: tuple[str, ...], names: Iterable[str], known: set[str]) -> Iterator[Flaw]:
    seen: set[str] = set()
    for at, name in enumerate(names):
        if name not in known:
            yield _unknown((*path, at), name, known)
        elif name in seen:
            text = N_("{name} stands twice.")
            yield Flaw((*path, at), "duplicate", text, {"name": name})
        seen.add(name)


def _unknown(path: tuple[str | int, ...], name: str, known: Iterable[str]) -> Flaw:
    hint = nearest(name, known)
    if hint:
        text = N_("There is no field {name}; “{hint}”?")
        return Flaw(path, "unknown", text, {"name": name[:80], "hint": hint})
    return Flaw(path, "unknown", N_("There is no field {name}."), {"name": name[:80]})


def _grouping(record_type: RecordType, view: View, known: set[str]) -> Iterator[Flaw]:
    if not view.group_by:
        if view.type == "kanban":
            text = N_("A board needs group_by: a select, yes/no or link field.")
            yield Flaw((), "missing", text)
        return
    name, bucket = split_group(view.group_by)
    if name not in known:
        yield _unknown(("group_by",), name, known)
        return
    kind = kind_of(record_type, name)
    params = {"name": view.group_by}
    if view.type == "kanban" and (bucket or kind not in BOARD_TYPES):
        text = N_("A board's columns come from a select, yes/no or link field, not from {name}.")
        yield Flaw(("group_by",), "not_a_board", text, params)
    elif not is_stored(record_type.field(name)) or kind in NOT_SORTABLE:
        text = N_("A list cannot be grouped by {name}.")
        yield Flaw(("group_by",), "not_groupable", text, params)
    elif bucket and (bucket not in BUCKETS or kind not in DAY_TYPES):
        text = N_("Only dates are grouped by day, week, month, quarter or year, not {name}.")
        yield Flaw(("group_by",), "not_groupable", text, params)


def is_stored(found: Field | None) -> bool:
    """Return whether a field has values of its own to sort and total; system fields have."""
    return found is None or found.type not in {"formula", "rollup", "lookup"} or found.stored


def _total(record_type: RecordType, name: str, how: str, known: set[str]) -> Iterator[Flaw]:
    if name not in known:
        yield _unknown(("totals", name), name, known)
        return
    kinds = SUMMABLE if how in {"sum", "avg"} else ORDERED
    if kind_of(record_type, name) not in kinds or not is_stored(record_type.field(name)):
        text = N_("“{how}” cannot be taken of {name}.")
        yield Flaw(("totals", name), "total_type", text, {"how": how, "name": name})


def _calendar(record_type: RecordType, view: View, known: set[str]) -> Iterator[Flaw]:
    name = view.date_field
    if not name:
        yield Flaw((), "missing", N_("A calendar needs date_field: a date or datetime field."))
    elif name not in known:
        yield _unknown(("date_field",), name, known)
    elif kind_of(record_type, name) not in DAY_TYPES or not is_stored(record_type.field(name)):
        text = N_("A calendar shows records by a date, not by {name}.")
        yield Flaw(("date_field",), "not_a_day", text, {"name": name})
