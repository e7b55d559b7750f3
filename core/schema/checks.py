"""Checks everything in a release that refers to something else.

Each check notes its problems and goes on, so that one run shows all of them.
"""

from collections.abc import Callable, Iterable

from core.i18n import N_
from core.schema.accountchecks import check_account_kinds
from core.schema.automationchecks import check_automations
from core.schema.calendarchecks import check_calendars
from core.schema.dashboardchecks import check_dashboards
from core.schema.decisionchecks import check_decision_tables
from core.schema.draft import Draft
from core.schema.fieldchecks import check_fields
from core.schema.flowchecks import check_flows
from core.schema.model import RecordType, Release
from core.schema.names import TYPE_NAME
from core.schema.placerows import PLACE_TYPES, place_type
from core.schema.printchecks import check_prints
from core.schema.rights import ACTIONS, Policy
from core.schema.rulechecks import check_rules, check_stages
from core.schema.viewchecks import NOT_SORTABLE, listed_names, view_flaws
from core.schema.yamlnodes import Node

MAX_TYPE_NAME = 40
MAX_FIELDS = 300
NOT_TITLES = NOT_SORTABLE | {"long_text", "boolean", "color", "user", "role", "calendar"}


def check_release(draft: Draft, running: Release) -> None:
    """Note every broken reference, name and expression of a draft."""
    _check_ids(draft)
    for name, record_type in draft.types.items():
        _check_type_name(draft, name, running)
        check_fields(draft, record_type)
        for check in _TYPE_CHECKS:
            check(draft, record_type, draft.nodes[name])
    _check_policy_sets(draft)
    check_decision_tables(draft)
    check_flows(draft, running)
    check_automations(draft, running)
    check_prints(draft)
    check_dashboards(draft)
    check_calendars(draft)
    check_account_kinds(draft)


def _check_ids(draft: Draft) -> None:
    seen: dict[str, str] = {}
    for name, record_type in draft.types.items():
        for field in (*record_type.fields, *(c for f in record_type.fields for c in f.fields)):
            if field.id in seen:
                place = draft.node_of(name, field).at("id")
                text = N_("The id {id} is already that of {other}.")
                draft.add(place, "duplicate_id", text, id=field.id[:80], other=seen[field.id])
            seen[field.id] = f"{name}.{field.name}"


def _check_type_name(draft: Draft, name: str, running: Release) -> None:
    place = draft.nodes[name].at("record_type")
    if not TYPE_NAME.fullmatch(name) or len(name) > MAX_TYPE_NAME:
        text = N_("A record type's name is of small letters, digits and single _; not {name}.")
        draft.add(place, "bad_name", text, name=name[:80])
    for other in (*running.types.values(), *draft.types.values()):
        is_other = (other.id or other.name) != draft.types[name].id
        if is_other and name in other.former:
            text = N_("{name} is a former name of {other}, whose history still goes by it.")
            draft.add(place, "name_taken", text, name=name, other=other.name)
            break
    if len(draft.types[name].fields) > MAX_FIELDS:
        text = N_("A record type has at most {limit} fields.")
        draft.add(place, "too_many", text, limit=MAX_FIELDS)


def _check_names(draft: Draft, node: Node, names: Iterable[str], known: Iterable[str]) -> None:
    """Check a list of field names, each at its own place, and that none stands twice."""
    known, seen = set(known), set()
    for at, name in enumerate(names):
        place = node.at(at)
        if name not in known:
            draft.add_unknown(place, "field", name, known)
        elif name in seen:
            draft.add(place, "duplicate", N_("{name} stands twice."), name=name)
        seen.add(name)


def _check_title(draft: Draft, record_type: RecordType, node: Node) -> None:
    if not record_type.title_field:
        return
    place, found = node.at("title_field"), record_type.field(record_type.title_field)
    if found is None:
        names = [one.name for one in record_type.fields]
        draft.add_unknown(place, "field", record_type.title_field, names)
    elif found.type in NOT_TITLES:
        text = N_("A field of type {type} cannot be the title.")
        draft.add(place, "title_type", text, type=found.type)


def _check_layout(draft: Draft, record_type: RecordType, node: Node) -> None:
    names = {one.name for one in record_type.fields}
    scope = draft.scope(record_type.name)
    seen: set[str] = set()
    for at, tab in enumerate(node.listed("layout")):
        if tab.word("visible_when"):
            draft.expression(tab.at("visible_when"), tab.word("visible_when"), scope)
        for section in node.at("layout", at).listed("sections"):
            if section.word("visible_when"):
                text = section.word("visible_when")
                draft.expression(section.at("visible_when"), text, scope)
            for place in section.listed("fields"):
                if place.text not in names:
                    draft.add_unknown(place, "field", place.text, names)
                elif place.text in seen:
                    draft.add(place, "duplicate", N_("{name} stands twice."), name=place.text)
                seen.add(place.text)


def _check_views(draft: Draft, record_type: RecordType, node: Node) -> None:
    scope = draft.scope(record_type.name)
    seen: set[str] = set()
    for at, view in enumerate(record_type.views):
        place = node.at("views", at)
        if view.name in seen:
            draft.add(place.at("name"), "duplicate", N_("{name} stands twice."), name=view.name)
        seen.add(view.name)
        if not TYPE_NAME.fullmatch(view.name):
            text = N_("A name is of small letters, digits and single _; not {name}.")
            draft.add(place.at("name"), "bad_name", text, name=view.name[:80])
        for flaw in view_flaws(record_type, view):
            draft.add(place.at(*flaw.path), flaw.code, flaw.text, **flaw.params)
        if view.filter:
            draft.expression(place.at("filter"), view.filter, scope)
        for number, rule in enumerate(view.color_when):
            draft.expression(place.at("color_when", number, "when"), rule.when, scope)
        draft.check_roles(place.at("shared_with"), view.shared_with)


def _check_constraints(draft: Draft, record_type: RecordType, node: Node) -> None:
    """Check `checks`, `unique_together` and `delete`."""
    names = {one.name for one in record_type.fields}
    scope = draft.scope(record_type.name)
    for at, check in enumerate(record_type.checks):
        place = node.at("checks", at)
        draft.expression(place.at("check"), check.check, scope)
        _check_names(draft, place.at("fields"), check.fields, names)
    if record_type.delete is not None:
        place = node.at("delete", "allow_when")
        draft.expression(place, record_type.delete.allow_when, scope)
    for at, together in enumerate(record_type.unique_together):
        place = node.at("unique_together", at).at("fields")
        _check_names(draft, place, together.fields, names)
        for n, name in enumerate(together.fields):
            found = record_type.field(name)
            if found is not None and not can_be_unique(found.type, stored=found.stored):
                text = N_("{name} cannot be part of a unique combination.")
                draft.add(place.at(n), "not_unique", text, name=name)


def _check_duplicates(draft: Draft, record_type: RecordType, node: Node) -> None:
    """Check that the fields of `duplicates` can be compared, one of them exactly."""
    names = [one.name for one in record_type.fields]
    for at, rule in enumerate(record_type.duplicates):
        place = node.at("duplicates", at)
        _check_names(draft, place.at("fields"), rule.fields, names)
        _check_names(draft, place.at("fuzzy"), rule.fuzzy, rule.fields)
        for n, name in enumerate(rule.fields):
            found = record_type.field(name)
            if found is not None and not (
                can_be_unique(found.type, stored=found.stored) and found.sensitive != "secret"
            ):
                text = N_("{name} cannot be compared with that of other records.")
                draft.add(place.at("fields", n), "not_compared", text, name=name)
        for n, name in enumerate(rule.fuzzy):
            found = record_type.field(name)
            if found is not None and found.type != "text":
                text = N_("Only texts can be alike; {name} is none.")
                draft.add(place.at("fuzzy", n), "not_alike", text, name=name)
        if not set(rule.fields) - set(rule.fuzzy):
            text = N_("One of the fields must be the same, not only alike.")
            draft.add(place.at("fields"), "all_fuzzy", text)


def can_be_unique(type_name: str, *, stored: bool) -> bool:
    """Return whether a field has a column that a unique index can hold."""
    if type_name in {"formula", "rollup", "lookup"}:
        return stored
    return type_name not in NOT_SORTABLE and type_name != "long_text"


def _check_own_policies(draft: Draft, record_type: RecordType, node: Node) -> None:
    seen: set[str] = set()
    for at, policy in enumerate(record_type.policies):
        place = node.at("policies", at)
        if policy.name in seen:
            draft.add(place.at("name"), "duplicate", N_("{name} stands twice."), name=policy.name)
        seen.add(policy.name)
        if "types" in place.entries:
            text = N_("A policy inside a record type is for that type alone.")
            draft.add(place.keys["types"], "policy_types", text)
        _check_policy(draft, policy, place)
        _check_policy_rows(draft, policy, place, record_type)


def _check_policy_sets(draft: Draft) -> None:
    for policy, place in zip(draft.policies, draft.policy_nodes, strict=True):
        _check_policy(draft, policy, place)
        if not policy.types:
            draft.add(place, "missing", N_("“{key}” is missing."), key="types")
        for at, name in enumerate(policy.types):
            if name == "*":
                _check_rows_of_all(draft, policy, place)
            elif name not in draft.types:
                draft.add_unknown(place.at("types", at), "type", name, draft.types)
            else:
                _check_policy_rows(draft, policy, place, draft.types[name])


def _check_policy(draft: Draft, policy: Policy, place: Node) -> None:
    """Check the actions and roles of a policy."""
    for at, action in enumerate(policy.actions):
        if action != "*" and action not in ACTIONS:
            draft.add_unknown(place.at("actions", at), "action", action, ACTIONS)
    roles = place.at("who", "role")
    draft.check_roles(roles, sorted(policy.who.roles))
    _check_positions(draft, policy, place)
    if not policy.who.roles and not policy.who.positions:
        draft.add(place.at("who"), "missing", N_("“{key}” is missing."), key="role")


def _check_positions(draft: Draft, policy: Policy, place: Node) -> None:
    """Note positions that are not declared, and a reach without a place."""
    known = [one.name for one in draft.positions]
    at = place.at("who", "position")
    places = {one.text: one for one in at.items}
    for name in sorted(policy.who.positions):
        if name not in known:
            draft.add_unknown(places.get(name, at), "position", name, known)
    if policy.scope != "own" and not policy.at:
        draft.add(place.at("scope"), "missing", N_("“{key}” is missing."), key="at")


def _check_policy_rows(draft: Draft, policy: Policy, place: Node, record_type: RecordType) -> None:
    if policy.rows:
        draft.expression(place.at("rows"), policy.rows, draft.scope(record_type.name))
    names = listed_names(record_type) | {"*"}
    if policy.at and place_type(record_type, policy.at) not in PLACE_TYPES:
        links = [one.name for one in record_type.fields if one.target in PLACE_TYPES]
        text = N_("“at” names a link to a store or department. There are: {names}.")
        draft.add(place.at("at"), "not_a_place", text, names=", ".join(links) or "—")
    fields = policy.fields
    for key, listed in (("view", fields.view), ("edit", fields.edit)):
        _check_names(draft, place.at("fields", key), listed, names)
    own = {one.name for one in record_type.fields} | {"*"}
    for key, listed in (("mask", fields.mask), ("clear", fields.clear)):
        _check_names(draft, place.at("fields", key), listed, own)


def _check_rows_of_all(draft: Draft, policy: Policy, place: Node) -> None:
    """Check the rows of a policy for every record type, which has no fields of its own."""
    if policy.rows:
        for name in draft.types:
            before = len(draft.problems)
            draft.expression(place.at("rows"), policy.rows, draft.scope(name))
            if len(draft.problems) > before:
                break


_TYPE_CHECKS: tuple[Callable[[Draft, RecordType, Node], None], ...] = (
    _check_title,
    _check_layout,
    _check_views,
    _check_constraints,
    _check_duplicates,
    check_rules,
    check_stages,
    _check_own_policies,
)
