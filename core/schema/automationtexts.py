"""Every expression of an automation: where it stands and what it can see."""

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from core.expression import Scope
from core.expression.types import BOOLEAN, DATE, DATETIME, NUMBER, TEXT, Type
from core.schema.automations import CHANGES, Automation, AutomationAction, Trigger
from core.schema.holetexts import Renaming, holes_of, renamed_holes
from core.schema.model import RecordType, Release
from core.schema.scopes import VARIABLES, scope_in

#: Type of a webhook's input -> what expressions take it for.
INPUT_TYPES: Mapping[str, Type] = {
    "text": TEXT,
    "integer": NUMBER,
    "decimal": NUMBER,
    "boolean": BOOLEAN,
    "date": DATE,
    "datetime": DATETIME,
}


def automation_scope(types: Mapping[str, RecordType], type_name: str, trigger: Trigger) -> Scope:
    """Return what the expressions of an automation can see: the record, `old`, the input."""
    scope = scope_in(types, type_name)
    variables = dict(VARIABLES)
    if trigger.on in CHANGES and type_name:
        variables["old"] = Type("record", target=type_name)
    for one in trigger.input:
        variables[f"input_{one.name}"] = INPUT_TYPES[one.type]
    return Scope(scope.fields, scope.record_types, variables, scope.name)


def has_record(automation: Automation) -> bool:
    """Return whether an automation's runs are about a record."""
    return bool(automation.type) and (
        automation.trigger.on != "webhook" or bool(automation.trigger.match)
    )


def written_type(release: Release, automation: Automation, link: str) -> str:
    """Return the type of the record that an action writes to, through `link` if it names one."""
    if not link:
        return automation.type
    owner = release.types.get(automation.type)
    found = owner.field(link) if owner else None
    return found.target if found is not None else ""


def expressions_of(automation: Automation) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of every expression of an automation, holes of texts included."""
    if automation.when:
        yield "when", automation.when
    if automation.concurrency_key:
        yield "concurrency_key", automation.concurrency_key
    for at, action in enumerate(automation.actions):
        for key, text in texts_of_action(action):
            yield f"actions.{at}.{key}", text


def texts_of_action(action: AutomationAction) -> Iterator[tuple[str, str]]:
    """Yield (key, text) of every expression of one action."""
    if action.when:
        yield "when", action.when
    for name, text in action.values.items():
        yield f"values.{name}", text
    for text in (*action.to.user, *action.to.address) if action.to else ():
        yield "to", text
    for key, label in (("title", action.title), ("body", action.body)):
        for hole in (hole for text in label.values() for hole in holes_of(text)):
            yield key, hole.text


def names_field(automation: Automation, type_name: str, field: str) -> bool:
    """Return whether an automation names a field of a type outside its expressions."""
    trigger = automation.trigger
    own = automation.type == type_name and field in {
        *trigger.fields, trigger.field, trigger.match,
        *(action.record for action in automation.actions),
    }  # fmt: skip
    return own or any(
        field in action.values
        for action in automation.actions
        if (action.do == "create" and action.type == type_name)
        or (action.do == "set" and (action.record or automation.type == type_name))
    )


Tree = MutableMapping[str, Any]


def rename_in_automation(
    tree: Tree, release: Release, automation: Automation, renames: Renaming
) -> None:
    """Change every mention of what is renamed in an automation's document.

    Args:
        tree: the document, which may state only a part of the automation.
        release: the schema in which everything still has its old name.
        automation: the whole automation.
        renames: the names that change.
    """
    scope = automation_scope(release.types, automation.type, automation.trigger)
    for key in ("when", "concurrency_key"):
        _rename_text(tree, key, scope, renames)
    own = {old: new for (name, old), new in renames.fields.items() if name == automation.type}
    _rename_trigger(tree.get("trigger") or {}, automation, own, renames)
    for action in tree.get("actions") or ():
        written = _written(action, release, automation)
        rename_action(action, scope, renames, written=written)
        if action.get("record") in own:
            action["record"] = own[action["record"]]
        if action.get("type") in renames.types:
            action["type"] = renames.types[action["type"]]
    if tree.get("type") in renames.types:
        tree["type"] = renames.types[tree["type"]]


def _rename_trigger(
    trigger: Tree, automation: Automation, own: Mapping[str, str], renames: Renaming
) -> None:
    field = automation.trigger.field
    for key in ("leaves", "enters"):
        states = trigger.get(key)
        if isinstance(states, MutableSequence):
            named = renames.options
            states[:] = [named.get((automation.type, field, str(it)), it) for it in states]
    fields = trigger.get("fields")
    if isinstance(fields, MutableSequence):
        fields[:] = [own.get(str(one), one) for one in fields]
    for key in ("field", "match"):
        if trigger.get(key) in own:
            trigger[key] = own[trigger[key]]


def _written(action: Tree, release: Release, automation: Automation) -> str:
    if action.get("do") == "create":
        return str(action.get("type", ""))
    if action.get("do") == "set":
        return written_type(release, automation, str(action.get("record", "")))
    return ""


def rename_action(action: Tree, scope: Scope, renames: Renaming, *, written: str) -> None:
    """Change every mention in one action; `written` is the record type that it writes to."""
    _rename_text(action, "when", scope, renames)
    values = action.get("values")
    if isinstance(values, MutableMapping):
        for key in list(values):
            _rename_text(values, key, scope, renames)
            if (written, key) in renames.fields:
                values[renames.fields[written, key]] = values.pop(key)
    to = action.get("to") or {}
    for key in ("user", "address"):
        texts = to.get(key) or []
        for at, text in enumerate(texts):
            texts[at] = renames.expression(text, scope)
    for key in ("title", "body"):
        label = action.get(key) or {}
        for language, text in label.items():
            label[language] = renamed_holes(str(text), scope, renames)


def _rename_text(place: Tree, key: str, scope: Scope, renames: Renaming) -> None:
    if place.get(key):
        place[key] = renames.expression(place[key], scope)


__all__ = [
    "automation_scope",
    "expressions_of",
    "has_record",
    "holes_of",
    "names_field",
    "rename_action",
    "rename_in_automation",
    "texts_of_action",
    "written_type",
]
