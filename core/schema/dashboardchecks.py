"""What a card may ask for, whoever wrote it: a schema file, or a person who builds a chart."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field

from core.expression.types import nearest
from core.i18n import N_
from core.schema.buckets import BUCKETS
from core.schema.dashboards import COLOURS, MOST_GROUPS, Card, Dashboard
from core.schema.draft import Draft
from core.schema.model import Field, RecordType
from core.schema.names import TYPE_NAME
from core.schema.results import SUMMABLE
from core.schema.viewchecks import (
    DAY_TYPES,
    NOT_SORTABLE,
    Flaw,
    is_stored,
    kind_of,
    listed_names,
)
from core.schema.yamlnodes import Node

MAX_NAME = 40
MAX_CARDS = 40
MAX_COLOURS = 20
#: What can be added up, and what has a least and a greatest value besides.
NUMERIC = SUMMABLE - {"duration"}
_ORDERED = NUMERIC | DAY_TYPES
#: Charts whose values are drawn, and therefore numbers.
_DRAWN = frozenset({"bar", "line", "pie"})
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Place:
    """What a name in a card stands for.

    Attributes:
        table: the table field whose rows are meant; empty for the record itself.
        bucket: the part of its day; empty for the value as it is.
        field: the field; None for a system field.
        kind: the type of its values.
    """

    table: str
    name: str
    bucket: str
    field: Field | None = dataclass_field(hash=False)
    kind: str

    @property
    def path(self) -> str:
        """Return the name without the part of the day."""
        return f"{self.table}.{self.name}" if self.table else self.name


def find_place(record_type: RecordType, text: str) -> Place | None:
    """Return what a card's `FIELD`, `FIELD.month` or `TABLE.COLUMN` names; None for nothing."""
    first, _, rest = text.partition(".")
    owner = record_type.field(first)
    if owner is not None and owner.type == "table":
        name, _, bucket = rest.partition(".")
        column = next((one for one in owner.fields if one.name == name), None)
        if column is None:
            return None
        return Place(first, name, bucket, column, column.result or column.type)
    if first not in listed_names(record_type):
        return None
    return Place("", first, rest, owner, kind_of(record_type, first))


def check_dashboards(draft: Draft) -> None:
    """Note every problem of every dashboard."""
    for name, one in draft.dashboards.items():
        node = draft.nodes[f"dashboard {name}"]
        if not TYPE_NAME.fullmatch(name) or len(name) > MAX_NAME:
            text = N_("A name is of small letters, digits and single _; not {name}.")
            draft.add(node.at("dashboard"), "bad_name", text, name=name[:80])
        draft.check_roles(node.at("shared_with"), one.shared_with)
        if not one.cards:
            draft.add(node, "missing", N_("“{key}” is missing."), key="cards")
        if len(one.cards) > MAX_CARDS:
            text = N_("At most {limit} entries.")
            draft.add(node.at("cards"), "too_many", text, limit=MAX_CARDS)
        _check_cards(draft, one, node)


def _check_cards(draft: Draft, one: Dashboard, node: Node) -> None:
    seen: set[str] = set()
    for at, card in enumerate(one.cards):
        place = node.at("cards", at)
        if card.name in seen:
            draft.add(place.at("name"), "duplicate", N_("{name} stands twice."), name=card.name)
        seen.add(card.name)
        if card.hidden:  # so a site can put away a field that a card of another layer names
            continue
        for flaw in card_flaws(draft.types, card):
            draft.add(place.at(*flaw.path), flaw.code, flaw.text, **flaw.params)
        if card.filter and card.type in draft.types:
            draft.expression(place.at("filter"), card.filter, draft.scope(card.type))


def card_flaws(types: Mapping[str, RecordType], card: Card) -> Iterator[Flaw]:
    """Yield everything that is wrong with a card but for its filter."""
    if not TYPE_NAME.fullmatch(card.name) or len(card.name) > MAX_NAME:
        text = N_("A name is of small letters, digits and single _; not {name}.")
        yield Flaw(("name",), "bad_name", text, {"name": card.name[:80]})
    yield from _look(card)
    record_type = types.get(card.type)
    if record_type is None or record_type.archived:
        yield _unknown(("type",), "type", card.type, types)
        return
    yield from _measure(record_type, card)
    for key, text in (("group_by", card.group_by), ("series_by", card.series_by)):
        if text:
            yield from _group(record_type, key, text)
    yield from _time(record_type, card)
    yield from _rows(record_type, card)


def _unknown(path: tuple[str, ...], what: str, name: str, known: Mapping[str, object]) -> Flaw:
    hint = nearest(name, known)
    plain, hinted = {
        "type": (
            N_("There is no record type {name}."),
            N_("There is no record type {name}; “{hint}”?"),
        ),
        "field": (
            N_("There is no field {name}."),
            N_("There is no field {name}; “{hint}”?"),
        ),
    }[what]
    if hint:
        return Flaw(path, "unknown", hinted, {"name": name[:80], "hint": hint})
    return Flaw(path, "unknown", plain, {"name": name[:80]})


def _look(card: Card) -> Iterator[Flaw]:
    if card.limit is not None and not 1 <= card.limit <= MOST_GROUPS:
        text = N_("This must be a whole number from {min} to {max}.")
        yield Flaw(("limit",), "out_of_range", text, {"min": 1, "max": MOST_GROUPS})
    for at, colour in enumerate(card.colors[: MAX_COLOURS + 1]):
        if at == MAX_COLOURS:
            text = N_("At most {limit} entries.")
            yield Flaw(("colors",), "too_many", text, {"limit": MAX_COLOURS})
        elif colour not in COLOURS and not _COLOUR.fullmatch(colour):
            text = N_("A colour is #rrggbb or one of: {expected}.")
            yield Flaw(("colors", at), "bad_colour", text, {"expected": ", ".join(COLOURS)})
    if card.chart == "number" and card.group_by:
        yield _alone("group_by", "number")
    if card.series_by and card.chart in {"number", "pie"}:
        yield _alone("series_by", card.chart)
    if card.chart != "number" and not card.group_by:
        yield Flaw((), "missing", N_("“{key}” is missing."), {"key": "group_by"})


def _alone(key: str, chart: str) -> Flaw:
    text = N_("“{key}” does not go with the chart {chart}.")
    return Flaw((key,), "not_alone", text, {"key": key, "chart": chart})


def _measure(record_type: RecordType, card: Card) -> Iterator[Flaw]:
    if card.how == "count":
        if card.take:
            text = N_("A count counts records; leave “{key}” away.")
            yield Flaw(("take",), "not_needed", text, {"key": "take"})
        return
    if not card.take:
        yield Flaw((), "missing", N_("“{key}” is missing."), {"key": "take"})
        return
    found = find_place(record_type, card.take)
    if found is None:
        yield _unknown(("take",), "field", card.take, _names(record_type))
        return
    kinds = _ORDERED if card.how in {"min", "max"} and card.chart not in _DRAWN else NUMERIC
    if found.kind not in kinds or found.bucket or not is_stored(found.field):
        text = N_("“{how}” cannot be taken of {name}.")
        yield Flaw(("take",), "total_type", text, {"how": card.how, "name": card.take})


def _group(record_type: RecordType, key: str, text: str) -> Iterator[Flaw]:
    found = find_place(record_type, text)
    params = {"name": text[:80]}
    if found is None:
        yield _unknown((key,), "field", text, _names(record_type))
    elif found.kind in NOT_SORTABLE or not is_stored(found.field) or found.kind == "long_text":
        yield Flaw((key,), "not_groupable", N_("Nothing is grouped by {name}."), params)
    elif found.bucket and (found.bucket not in BUCKETS or found.kind not in DAY_TYPES):
        told = N_("Only dates are grouped by day, week, month, quarter or year, not {name}.")
        yield Flaw((key,), "not_groupable", told, params)
    elif found.kind == "datetime" and not found.bucket:
        told = N_("Say which part of {name}: {name}.day, .week, .month, .quarter or .year.")
        yield Flaw((key,), "no_bucket", told, params)


def _time(record_type: RecordType, card: Card) -> Iterator[Flaw]:
    if not card.time_field:
        return
    found = find_place(record_type, card.time_field)
    if found is None:
        yield _unknown(("time_field",), "field", card.time_field, _names(record_type))
    elif found.table or found.bucket or found.kind not in DAY_TYPES or not is_stored(found.field):
        text = N_("A time range goes by a date of the record, not by {name}.")
        yield Flaw(("time_field",), "not_a_day", text, {"name": card.time_field[:80]})


def _rows(record_type: RecordType, card: Card) -> Iterator[Flaw]:
    first = ""
    for key in ("take", "group_by", "series_by"):
        found = find_place(record_type, getattr(card, key))
        if found is None or not found.table:
            continue
        if first and found.table != first:
            text = N_("A card goes over the rows of one table field, not of {name} and {other}.")
            params = {"name": first, "other": found.table}
            yield Flaw((key,), "two_tables", text, params)
        first = first or found.table
    # Of records, once per row, a total would be as many times too much.
    taken = find_place(record_type, card.take) if card.take else None
    if first and taken is not None and not taken.table:
        text = N_("Over the rows of {name}, a column of {name} is added up.")
        yield Flaw(("take",), "not_of_rows", text, {"name": first})


def _names(record_type: RecordType) -> dict[str, object]:
    """Return what a card can name."""
    names = dict.fromkeys(sorted(listed_names(record_type)), None)
    for one in record_type.fields:
        if one.type == "table":
            names.update({f"{one.name}.{column.name}": None for column in one.fields})
    return names


def time_of(record_type: RecordType, card: Card) -> str:
    """Return the field that a time range of a card goes by; empty when it has none."""
    if card.time_field:
        return card.time_field
    for text in (card.group_by, card.series_by):
        found = find_place(record_type, text)
        if found is not None and found.kind in DAY_TYPES and not found.table:
            return found.name
    return ""


def rows_of(record_type: RecordType, card: Card) -> str:
    """Return the table field whose rows a card goes over; empty for records."""
    for text in (card.take, card.group_by, card.series_by):
        found = find_place(record_type, text)
        if found is not None and found.table:
            return found.table
    return ""
