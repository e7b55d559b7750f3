"""A release's policies sorted out for one set of roles and one record type; pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.actor import Scope
from core.policies.masks import is_concealed
from core.schema.model import DOCUMENT_FIELDS, SYSTEM_FIELDS, RecordType, Release
from core.schema.placerows import rows_of
from core.schema.rights import ACTIONS, FieldRights, Policy
from core.schema.writtentypes import UNMASKED

#: System fields that stand in every record; policies grant or hide the others by name.
ALWAYS = frozenset(("id", "version"))


@dataclass(frozen=True, slots=True)
class Grant:
    """What some policies with the same field sets allow together.

    Attributes:
        rows: expressions of which one must hold; empty means every row.
        view: names of the fields shown as they are.
        edit: names of the fields that may be written.
        masked: names of the fields shown as masks.
    """

    rows: tuple[str, ...]
    view: frozenset[str]
    edit: frozenset[str]
    masked: frozenset[str] = frozenset()

    @property
    def shown(self) -> frozenset[str]:
        """Return the names of the fields shown, as they are or as masks."""
        return self.view | self.masked


def readable_names(record_type: RecordType) -> frozenset[str]:
    """Return every field name that a policy can show: own fields and system fields."""
    names = {field.name for field in record_type.fields} | set(SYSTEM_FIELDS)
    return frozenset(names | set(DOCUMENT_FIELDS) if record_type.document else names)


def names_person(policy: Policy, roles: frozenset[str], positions: frozenset[str]) -> bool:
    """Return whether a policy is for people with these roles and positions."""
    who = policy.who
    return (not who.roles or not roles.isdisjoint(who.roles)) and (
        not who.positions or not positions.isdisjoint(who.positions)
    )


def applying(
    release: Release,
    record_type: RecordType,
    roles: frozenset[str],
    positions: frozenset[str] = frozenset(),
) -> list[Policy]:
    """Return the policies that name the record type, and one of the roles or positions."""
    every = (*record_type.policies, *release.policies)
    own = {id(policy) for policy in record_type.policies}
    return [
        policy
        for policy in every
        if names_person(policy, roles, positions)
        and (id(policy) in own or record_type.name in policy.types or "*" in policy.types)
    ]


def _names(listed: Iterable[str], every: frozenset[str]) -> frozenset[str]:
    wanted = frozenset(listed)
    return every if "*" in wanted else (wanted & every) | ALWAYS


@dataclass(frozen=True, slots=True)
class FieldSets:
    """Which fields of one record type a policy shows as they are, lets write, and masks."""

    view: frozenset[str]
    edit: frozenset[str]
    masked: frozenset[str]


def field_sets(rights: FieldRights, record_type: RecordType) -> FieldSets:
    """Return a policy's fields on a record type.

    What is sensitive is masked unless the policy shows it in clear; a list of rows or
    records that would have to be masked is hidden, for it has no mask.
    """
    every = readable_names(record_type)
    shown = _names(rights.view, every)
    own = {one.name: one for one in record_type.fields}
    clear = frozenset(own) if "*" in rights.clear else frozenset(rights.clear)
    named = frozenset(own) if "*" in rights.mask else frozenset(rights.mask)
    veiled = {name for name, one in own.items() if is_concealed(one)} - clear
    veiled = (veiled | (named & frozenset(own))) & shown
    hidden = {name for name in veiled if own[name].type in UNMASKED}
    # `*` means what this policy shows; what it hides must be named to be written blind.
    edit = shown if "*" in rights.edit else _names(rights.edit, every)
    return FieldSets(shown - veiled, edit, frozenset(veiled - hidden))


def grants_for(
    policies: Iterable[Policy], record_type: RecordType, action: str
) -> tuple[Grant, ...]:
    """Return what the policies allow for `action`, one grant per choice of fields.

    A grant whose rows are unconditional swallows the conditions of the others with
    the same fields, so one condition per grant decides each cell.
    """
    merged: dict[FieldSets, list[str]] = {}
    for policy in policies:
        if action in policy.actions or "*" in policy.actions:
            sets = field_sets(policy.fields, record_type)
            merged.setdefault(sets, []).append(rows_of(policy, record_type))
    return tuple(
        Grant(() if "" in rows else tuple(dict.fromkeys(rows)), sets.view, sets.edit, sets.masked)
        for sets, rows in merged.items()
    )


def grants_by_action(
    release: Release,
    record_type: RecordType,
    roles: frozenset[str],
    positions: frozenset[str] = frozenset(),
) -> dict[str, tuple[Grant, ...]]:
    """Return the grants of every action that the roles and positions give on a record type."""
    policies = applying(release, record_type, roles, positions)
    found = {action: grants_for(policies, record_type, action) for action in ACTIONS}
    return {action: grants for action, grants in found.items() if grants}


def grants_of_scope(record_type: RecordType, scope: Scope) -> dict[str, tuple[Grant, ...]]:
    """Return the grants of somebody who has nothing but a link."""
    if scope.type_name != record_type.name:
        return {}
    names = scope.fields & readable_names(record_type)
    if not scope.record_id:
        return {"create": (Grant((), names, names),)}
    # Ids are made by the product: letters, digits and hyphens, nothing to escape.
    grant = Grant((f"id == '{scope.record_id}'",), names | ALWAYS, names)
    return {"view": (grant,), "edit": (grant,)}


def everything(record_type: RecordType) -> dict[str, tuple[Grant, ...]]:
    """Return the grants of the product itself: every action on every row and field."""
    names = readable_names(record_type)
    grant = Grant((), names, names)
    return dict.fromkeys(ACTIONS, (grant,))


def meeting(views: Iterable[Grant], others: Iterable[Grant]) -> tuple[Grant, ...]:
    """Return the grants of the cells that both sides show, each cell in its own rows.

    A cell that one side shows as a mask alone is masked.
    """
    merged: dict[FieldSets, list[str]] = {}
    for one in views:
        for other in others:
            clear = one.view & other.view
            sets = FieldSets(clear, frozenset(), (one.shown & other.shown) - clear)
            merged.setdefault(sets, []).extend(_both(one.rows, other.rows))
    return tuple(
        Grant(() if "" in rows else tuple(dict.fromkeys(rows)), sets.view, sets.edit, sets.masked)
        for sets, rows in merged.items()
    )


def _both(some: tuple[str, ...], others: tuple[str, ...]) -> list[str]:
    """Return the conditions of rows in which one of each side holds; empty is every row."""
    if not some or not others or some == others:
        return list(some or others or ("",))
    return [one if one == two else f"({one}) and ({two})" for one in some for two in others]


def certain_names(grants: Iterable[Grant]) -> frozenset[str]:
    """Return the fields shown as they are in every row that the grants show at all.

    Only these may be filtered, sorted, searched or counted by: with any other an
    outsider could find a hidden or masked value by asking whether rows match it.
    """
    return _in_every_row([(one.rows, one.view) for one in grants])


def surely_shown(grants: Iterable[Grant]) -> frozenset[str]:
    """Return the fields shown in every row that the grants show, be it as masks."""
    return _in_every_row([(one.rows, one.shown) for one in grants])


def _in_every_row(sets: list[tuple[tuple[str, ...], frozenset[str]]]) -> frozenset[str]:
    if not sets:
        return frozenset()
    common = frozenset.intersection(*(names for _, names in sets))
    return common.union(*(names for rows, names in sets if not rows))
