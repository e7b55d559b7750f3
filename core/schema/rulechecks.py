"""Checks what stands above single fields: checks, rules, stages, unique combinations, delete."""

from collections.abc import Iterable

from core.i18n import N_
from core.schema.draft import Draft
from core.schema.fieldtypes import field_type
from core.schema.model import ACTION_KINDS, Action, Field, RecordType, Rule
from core.schema.yamlnodes import Node

MAX_RULES = 100
MAX_ACTIONS = 20

#: What can be done at submission: it is too late to change or hide anything then.
_AT_SUBMISSION = frozenset({"require", "error", "warn"})
#: Keys that only belong to one kind of action -> that kind.
_DETAILS = {"to": "set", "options": "limit_options"}
#: Types of fields that no rule fills in.
_NOT_SET = frozenset({"table", "links", "backlink"})


def check_rules(draft: Draft, record_type: RecordType, node: Node) -> None:
    """Note what is wrong with the rules of a record type."""
    if len(record_type.rules) > MAX_RULES:
        draft.add(node.at("rules"), "too_many", N_("At most {limit} entries."), limit=MAX_RULES)
    seen: set[str] = set()
    scope = draft.scope(record_type.name)
    for at, rule in enumerate(record_type.rules):
        place = node.at("rules", at)
        if rule.name in seen:
            draft.add(place.at("name"), "duplicate", N_("{name} stands twice."), name=rule.name)
        seen.add(rule.name)
        if rule.when:
            draft.expression(place.at("when"), rule.when, scope)
        if not rule.then:
            draft.add(place, "missing", N_("“{key}” is missing."), key="then")
        if len(rule.then) > MAX_ACTIONS:
            text = N_("At most {limit} entries.")
            draft.add(place.at("then"), "too_many", text, limit=MAX_ACTIONS)
        if rule.on == "submit" and not record_type.document:
            text = N_("Only documents are submitted; {name} is none.")
            draft.add(place.at("on"), "no_document", text, name=record_type.name)
        for number, action in enumerate(rule.then):
            _check_action(draft, record_type, rule, (action, place.at("then", number)))


def _check_action(
    draft: Draft, record_type: RecordType, rule: Rule, what: tuple[Action, Node]
) -> None:
    action, place = what
    kinds = [kind for kind in ACTION_KINDS if getattr(action, kind)]
    if len(kinds) != 1:
        text = N_("An action has exactly one of: {expected}.")
        draft.add(place, "one_action", text, expected=", ".join(ACTION_KINDS))
        return
    kind = kinds[0]
    for detail, owner in _DETAILS.items():
        if getattr(action, detail) and kind != owner:
            text = N_("“{key}” belongs to “{owner}”.")
            draft.add(place.at(detail), "not_for_action", text, key=detail, owner=owner)
    if action.fields and kind not in {"error", "warn"}:
        text = N_("“{key}” belongs to “{owner}”.")
        draft.add(place.at("fields"), "not_for_action", text, key="fields", owner="error")
    if rule.on == "submit" and kind not in _AT_SUBMISSION:
        text = N_("A rule on submit can only {expected}.")
        expected = ", ".join(sorted(_AT_SUBMISSION))
        draft.add(place.at(kind), "not_at_submission", text, expected=expected)
    for key in ("clear", "require", "lock", "show", "fields"):
        _check_fields(draft, record_type, place.at(key), getattr(action, key), key)
    if kind == "set":
        _check_set(draft, record_type, action, place)
    elif kind == "limit_options":
        _check_limit(draft, record_type, action, place)


def _check_fields(
    draft: Draft, record_type: RecordType, place: Node, names: Iterable[str], key: str
) -> None:
    """Check that named fields exist, and that people write those a rule is about."""
    for at, name in enumerate(names):
        found = record_type.field(name)
        if found is None:
            known = [one.name for one in record_type.fields]
            draft.add_unknown(place.at(at), "field", name, known)
        elif key in {"clear", "require", "lock"} and field_type(found.type).computed:
            text = N_("{name} is computed; nobody fills it in.")
            draft.add(place.at(at), "computed", text, name=name)


def _check_set(draft: Draft, record_type: RecordType, action: Action, place: Node) -> None:
    found = _named(draft, record_type, action.set, place.at("set"))
    if not action.to:
        draft.add(place, "missing", N_("“{key}” is missing."), key="to")
        return
    if found is None:
        return
    kind = field_type(found.type)
    if kind.computed or found.type in _NOT_SET:
        text = N_("A rule cannot fill in {name}, a field of type {type}.")
        draft.add(place.at("set"), "not_settable", text, name=found.name, type=found.type)
        return
    expected = kind.expression_type(found).kind
    draft.expression(place.at("to"), action.to, draft.scope(record_type.name), expected)


def _check_limit(draft: Draft, record_type: RecordType, action: Action, place: Node) -> None:
    found = _named(draft, record_type, action.limit_options, place.at("limit_options"))
    if found is None:
        return
    if found.type not in {"select", "multi_select"} or found.options_from:
        text = N_("{name} has no options of its own.")
        draft.add(place.at("limit_options"), "no_options", text, name=found.name)
        return
    known = {option.value for option in found.options}
    for at, value in enumerate(action.options):
        if value not in known:
            draft.add_unknown(place.at("options", at), "option", value, known)


def _named(draft: Draft, record_type: RecordType, name: str, place: Node) -> Field | None:
    found = record_type.field(name)
    if found is None:
        draft.add_unknown(place, "field", name, [one.name for one in record_type.fields])
    return found


def check_stages(draft: Draft, record_type: RecordType, node: Node) -> None:
    """Note what is wrong with the stages of a record type."""
    for at, stage in enumerate(record_type.stages):
        place = node.at("stages", at)
        found = _named(draft, record_type, stage.field, place.at("field"))
        if found is not None and (found.type != "select" or found.options_from):
            text = N_("{name} has no options of its own.")
            draft.add(place.at("field"), "no_options", text, name=found.name)
        elif found is not None:
            values = {option.value for option in found.options}
            if stage.state not in values:
                draft.add_unknown(place.at("state"), "option", stage.state, values)
        for key in ("require", "lock"):
            _check_fields(draft, record_type, place.at(key), getattr(stage, key), key)
