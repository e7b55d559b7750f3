"""What people with some roles and positions may do, type by type and field by field; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core.policies.grants import Grant, certain_names, grants_by_action, surely_shown
from core.schema.model import Field, RecordType, Release
from core.schema.rights import ACTIONS

#: Whether something holds for every row, for some, or for none.
Reach = Literal["all", "some", ""]


@dataclass(frozen=True, slots=True)
class FieldLine:
    """What is seen and written of one field.

    Attributes:
        clear: in which of the rows that are seen it is shown as it is.
        masked: in which of the others it is shown as a mask.
        edit: in which rows it may be written.
    """

    field: Field
    clear: Reach
    masked: Reach
    edit: Reach


@dataclass(frozen=True, slots=True)
class Overview:
    """The rights on one record type.

    Attributes:
        actions: action -> in which rows, for every action.
        fields: the fields in the order of the form.
        rows: action -> the conditions of which one must hold; empty for every row.
    """

    record_type: RecordType
    actions: dict[str, Reach]
    fields: tuple[FieldLine, ...]
    rows: dict[str, tuple[str, ...]]


def overview(
    release: Release, record_type: RecordType, roles: frozenset[str], positions: frozenset[str]
) -> Overview:
    """Return what the roles and positions together give on a record type."""
    grants = grants_by_action(release, record_type, roles, positions)
    views, edits = grants.get("view", ()), grants.get("edit", ())
    certain, surely = certain_names(views), surely_shown(views)
    possible = _names(grant.view for grant in views)
    masked = _names(grant.masked for grant in views)
    lines = tuple(
        FieldLine(
            one,
            _reach(one.name, certain, possible),
            _reach(one.name, surely - certain, masked),
            _edit_reach(one.name, edits),
        )
        for one in record_type.fields
    )
    return Overview(
        record_type,
        {action: _rows_reach(grants.get(action, ())) for action in ACTIONS},
        lines,
        {action: _conditions(found) for action, found in grants.items()},
    )


def _names(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*sets)


def _reach(name: str, every: frozenset[str], some: frozenset[str]) -> Reach:
    if name not in some:
        return ""
    return "all" if name in every else "some"


def _edit_reach(name: str, grants: Iterable[Grant]) -> Reach:
    return _rows_reach([one for one in grants if name in one.edit])


def _rows_reach(grants: Iterable[Grant]) -> Reach:
    listed = list(grants)
    if not listed:
        return ""
    return "all" if any(not one.rows for one in listed) else "some"


def _conditions(grants: tuple[Grant, ...]) -> tuple[str, ...]:
    if any(not one.rows for one in grants):
        return ()
    return tuple(dict.fromkeys(text for one in grants for text in one.rows))
