"""A release's policies sorted out for one set of roles and one record type; pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.actor import Scope
from core.schema.model import ACTIONS, DOCUMENT_FIELDS, SYSTEM_FIELDS, Policy, RecordType, Release

#: System fields that stand in every record; policies grant or hide the others by name.
ALWAYS = frozenset(("id", "version"))


@dataclass(frozen=True, slots=True)
class Grant:
    """What some policies with the same field sets allow together.

    Attributes:
        rows: expressions of which one must hold; empty means every row.
        view: names of the fields shown.
        edit: names of the fields that may be written.
    """

    rows: tuple[str, ...]
    view: frozenset[str]
    edit: frozenset[str]


def readable_names(record_type: RecordType) -> frozenset[str]:
    """Return every field name that a policy can show: own fields and system fields."""
    names = {field.name for field in record_type.fields} | set(SYSTEM_FIELDS)
    return frozenset(names | set(DOCUMENT_FIELDS) if record_type.document else names)


def applying(release: Release, record_type: RecordType, roles: frozenset[str]) -> list[Policy]:
    """Return the policies that name the record type and one of the roles."""
    every = (*record_type.policies, *release.policies)
    own = {id(policy) for policy in record_type.policies}
    return [
        policy
        for policy in every
        if policy.who.roles & roles
        and (id(policy) in own or record_type.name in policy.types or "*" in policy.types)
    ]


def _names(listed: Iterable[str], every: frozenset[str]) -> frozenset[str]:
    wanted = frozenset(listed)
    return every if "*" in wanted else (wanted & every) | ALWAYS


def grants_for(
    policies: Iterable[Policy], record_type: RecordType, action: str
) -> tuple[Grant, ...]:
    """Return what the policies allow for `action`, one grant per pair of field sets.

    A grant whose rows are unconditional swallows the conditions of the others with
    the same sets, so one condition per grant decides each cell.
    """
    every = readable_names(record_type)
    merged: dict[tuple[frozenset[str], frozenset[str]], list[str]] = {}
    for policy in policies:
        if action in policy.actions or "*" in policy.actions:
            view = _names(policy.fields.view, every)
            # `*` means what this policy shows; what it hides must be named to be written blind.
            edit = view if "*" in policy.fields.edit else _names(policy.fields.edit, every)
            merged.setdefault((view, edit), []).append(policy.rows)
    return tuple(
        Grant(() if "" in rows else tuple(dict.fromkeys(rows)), *sets)
        for sets, rows in merged.items()
    )


def grants_by_action(
    release: Release, record_type: RecordType, roles: frozenset[str]
) -> dict[str, tuple[Grant, ...]]:
    """Return the grants of every action that the roles have on the record type."""
    policies = applying(release, record_type, roles)
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


def certain_names(grants: Iterable[Grant]) -> frozenset[str]:
    """Return the fields shown in every row that the grants show at all.

    Only these may be filtered, sorted, searched or counted by: with any other an
    outsider could find a hidden value by asking whether rows match it.
    """
    listed = list(grants)
    if not listed:
        return frozenset()
    common = frozenset.intersection(*(grant.view for grant in listed))
    return common.union(*(grant.view for grant in listed if not grant.rows))
