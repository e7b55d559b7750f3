"""What a step lets its people see and change of the document; pure."""

from collections.abc import Iterable

from core.schema.flows import FieldRights


def named_for(names: Iterable[str], seat: str) -> frozenset[str]:
    """Return the fields of a list that are meant for one named seat.

    >>> sorted(named_for(("remark", "cost_price@marketing"), "finance"))
    ['remark']
    """
    parts = (name.partition("@") for name in names)
    return frozenset(field for field, _, only in parts if not only or only == seat)


def editable(rights: FieldRights, seat: str) -> frozenset[str]:
    """Return the fields that the people of a seat may change with their decision."""
    return named_for(rights.edit, seat) | named_for(rights.require, seat)


def is_hidden(rights: FieldRights, seat: str, field: str) -> bool:
    """Return whether a field is hidden from the people of a seat."""
    if field in named_for(rights.hide, seat):
        return True
    shown = rights.read + rights.edit + rights.require
    return rights.default == "hide" and field not in named_for(shown, seat)


def visible(rights: FieldRights, seats: Iterable[str], fields: Iterable[str]) -> frozenset[str]:
    """Return those of `fields` that somebody sees who sits in `seats`; all without a seat."""
    mine = tuple(seats)
    if not mine:
        return frozenset(fields)
    return frozenset(
        name for name in fields if not all(is_hidden(rights, seat, name) for seat in mine)
    )
