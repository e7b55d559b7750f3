"""What changes between two releases, field by field, by id.

The names of the kinds are stable; screens and the REST API show them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from core.schema.model import Field, Model, RecordType, Release

Kind = Literal[
    "add_type", "archive_type", "restore_type", "rename_type", "change_type",
    "add_field", "archive_field", "restore_field", "rename_field", "retype_field", "change_field",
    "add_unique", "drop_unique",
    "add_view", "drop_view", "change_view",
    "add_policy", "drop_policy", "change_policy",
    "add_flow", "drop_flow", "change_flow",
    "add_role", "drop_role", "change_role",
    "add_position", "drop_position", "change_position",
    "add_automation", "drop_automation", "change_automation",
    "add_print", "drop_print", "change_print",
    "add_dashboard", "drop_dashboard", "change_dashboard",
    "add_calendar", "drop_calendar", "change_calendar",
    "add_decision_table", "drop_decision_table", "change_decision_table",
    "add_account_kind", "drop_account_kind", "change_account_kind",
]  # fmt: skip

#: Attributes that place a field rather than describe it.
_IDENTITY = frozenset({"id", "name", "type", "layer", "fields", "archived_fields"})
#: Attributes of a record type that are compared on their own.
_PARTS = frozenset(
    {"name", "id", "layer", "fields", "archived_fields", "archived", "views", "policies"}
    | {"unique_together", "changes", "conversions", "former"}
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two releases.

    Attributes:
        kind: what happens.
        type: the record type, or the name of the flow, role or policy.
        field: the field or view; `lines.rate` for a column of a table field.
        id: the field's id.
        old: before, as plain JSON; None when there was nothing.
        new: after, as plain JSON; None when there is nothing.
        properties: names of the properties that differ.
    """

    kind: Kind
    type: str
    field: str = ""
    id: str = ""
    old: Any = None
    new: Any = None
    properties: tuple[str, ...] = ()


def diff(old: Release | None, new: Release) -> tuple[Change, ...]:
    """Return every change from `old` to `new`, types first, in the order of names."""
    before = old or Release(number=0)
    changes: list[Change] = []
    ids = {one.id: one for one in before.types.values() if one.id}
    renamed = {
        name: ids[one.id]
        for name, one in new.types.items()
        if name not in before.types and one.id in ids and ids[one.id].name not in new.types
    }
    gone = {one.name for one in renamed.values()}
    for name in sorted({*before.types, *new.types} - gone):
        old_type = renamed.get(name) or before.types.get(name)
        changes.extend(_type_changes(old_type, new.types.get(name), name))
    policies = {one.name: one for one in before.policies}, {one.name: one for one in new.policies}
    roles = {one.name: one for one in before.roles}, {one.name: one for one in new.roles}
    changes.extend(_named(*policies, "policy", lambda name: {"type": "*", "field": name}))
    changes.extend(_named(before.flows, new.flows, "flow", lambda name: {"type": name}))
    automations = before.automations, new.automations
    changes.extend(_named(*automations, "automation", lambda name: {"type": name}))
    changes.extend(_named(before.prints, new.prints, "print", lambda name: {"type": name}))
    dashboards = before.dashboards, new.dashboards
    changes.extend(_named(*dashboards, "dashboard", lambda name: {"type": name}))
    calendars = before.calendars, new.calendars
    changes.extend(_named(*calendars, "calendar", lambda name: {"type": name}))
    tables = before.decision_tables, new.decision_tables
    changes.extend(_named(*tables, "decision_table", lambda name: {"type": name}))
    kinds = before.account_kinds, new.account_kinds
    changes.extend(_named(*kinds, "account_kind", lambda name: {"type": name}))
    changes.extend(_named(*roles, "role", lambda name: {"type": name}))
    held = {one.name: one for one in before.positions}, {one.name: one for one in new.positions}
    changes.extend(_named(*held, "position", lambda name: {"type": name}))
    return tuple(changes)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _named(
    old: Mapping[str, Model],
    new: Mapping[str, Model],
    what: str,
    place: Callable[[str], dict[str, str]],
) -> Iterator[Change]:
    """Yield the changes between named things that are compared as a whole."""
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        verb = "add" if before is None else "drop" if after is None else "change"
        kind: Any = f"{verb}_{what}"
        differing = _differing(before, after) if before is not None and after is not None else ()
        yield Change(
            kind, old=_plain(before), new=_plain(after), properties=differing, **place(name)
        )


def _differing(old: Model, new: Model, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the attributes in which two models of a kind differ."""
    return tuple(
        name
        for name in old.__struct_fields__
        if name not in without and getattr(old, name) != getattr(new, name)
    )


def _chosen(model: Model, names: Iterable[str]) -> dict[str, Any]:
    return {name: _plain(getattr(model, name)) for name in names}


def _type_changes(old: RecordType | None, new: RecordType | None, name: str) -> Iterator[Change]:
    if new is None or new.archived:
        if old is not None and not old.archived:
            yield Change("archive_type", name, old=_plain(old.label))
        return
    if old is None:
        yield Change("add_type", name, new=_plain(new.label))
        old = RecordType(name=name, fields=())
    elif old.archived:
        yield Change("restore_type", name, new=_plain(new.label))
    else:
        if old.name != new.name:
            yield Change("rename_type", name, old=old.name, new=new.name)
        differing = _differing(old, new, _PARTS)
        if differing:
            before, after = _chosen(old, differing), _chosen(new, differing)
            yield Change("change_type", name, old=before, new=after, properties=differing)
    yield from _field_changes(old, new, name, "")
    yield from _unique_changes(old, new, name)
    views = {one.name: one for one in old.views}, {one.name: one for one in new.views}
    yield from _named(*views, "view", lambda view: {"type": name, "field": view})
    rights = {one.name: one for one in old.policies}, {one.name: one for one in new.policies}
    yield from _named(*rights, "policy", lambda policy: {"type": name, "field": policy})


def _field_changes(
    old: RecordType | Field, new: RecordType | Field, name: str, table: str
) -> Iterator[Change]:
    """Yield the changes between the fields of a record type or of a table field."""
    live = {one.id: one for one in old.fields}
    put_away = {one.id: one for one in old.archived_fields}
    for field in new.fields:
        place = table + field.name
        before = live.get(field.id)
        if before is not None:
            yield from _changes_of(before, field, name, table)
        elif field.id in put_away:
            yield Change("restore_field", name, place, field.id, new=_plain(field))
            yield from _changes_of(put_away[field.id], field, name, table)
        else:
            yield Change("add_field", name, place, field.id, new=_plain(field))
    kept = {field.id for field in new.fields}
    for field in old.fields:
        if field.id not in kept:
            yield Change("archive_field", name, table + field.name, field.id, old=_plain(field))


def _changes_of(old: Field, new: Field, name: str, table: str) -> Iterator[Change]:
    place = table + new.name
    if old.name != new.name:
        yield Change("rename_field", name, place, new.id, table + old.name, place)
    if old.type != new.type:
        yield Change("retype_field", name, place, new.id, old.type, new.type)
    differing = _differing(old, new, _IDENTITY)
    if differing:
        yield Change(
            "change_field",
            name,
            place,
            new.id,
            _chosen(old, differing),
            _chosen(new, differing),
            differing,
        )
    if old.type == new.type == "table":
        yield from _field_changes(old, new, name, f"{place}.")


def _unique_changes(old: RecordType, new: RecordType, name: str) -> Iterator[Change]:
    for together in new.unique_together:
        if together not in old.unique_together:
            fields = ", ".join(together.fields)
            yield Change("add_unique", name, fields, new=_plain(together))
    for together in old.unique_together:
        if together not in new.unique_together:
            fields = ", ".join(together.fields)
            yield Change("drop_unique", name, fields, old=_plain(together))
