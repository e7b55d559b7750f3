"""Checks the automations of a release against the record types they are about."""

from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cronsim import CronSim, CronSimError

from core.businesstime import is_zone
from core.expression import Expression, Scope
from core.expression.holes import Hole, UnclosedHole, split_text
from core.expression.nodes import Literal
from core.i18n import N_
from core.schema.actiontypes import plugin_action, plugin_action_names
from core.schema.automations import (
    CHANGES,
    CLOCKED,
    DOORS,
    Automation,
    AutomationAction,
    RunAs,
    Trigger,
)
from core.schema.automationtexts import automation_scope, has_record
from core.schema.draft import Draft
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flows import Flow
from core.schema.model import Field, RecordType, Release
from core.schema.names import TYPE_NAME
from core.schema.yamlnodes import Node

#: An automation acts under its name, which histories keep in 36 characters.
MAX_NAME = 30
MAX_ACTIONS = 20
#: Addresses of pages that an automation's own would collide with.
_RESERVED = frozenset({"runs"})

#: Keys of a trigger that mean something, and those it needs, by what it is on.
_TRIGGER_KEYS: dict[str, frozenset[str]] = {
    "created": frozenset(),
    "updated": frozenset({"fields"}),
    "deleted": frozenset(),
    "state_changed": frozenset({"field", "leaves", "enters"}),
    "schedule": frozenset({"cron", "time_zone"}),
    "date_field": frozenset({"field", "days", "yearly", "at", "time_zone"}),
    "webhook": frozenset({"auth", "input", "match"}),
    "manual": frozenset({"role"}),
}
_TRIGGER_NEEDS = {"schedule": "cron", "date_field": "field", "webhook": "auth"}
#: The same of actions.
_ACTION_KEYS: dict[str, tuple[str, ...]] = {
    "set": ("values", "record"),
    "create": ("type", "values"),
    "notify": ("to", "title"),
    "email": ("to", "title", "body"),
    "webhook": ("url", "values"),
    "submit": ("record",),
    "plugin": ("name", "values"),
}
_OPTIONAL = frozenset({"record", "values"})
_NEEDS_VALUES = frozenset({"set", "create"})

#: What an expression cannot give.
_NOT_SET = frozenset({"table", "links", "backlink", "json"})


def check_automations(draft: Draft, running: Release) -> None:
    """Note every problem of every automation."""
    known = {
        action.name
        for one in running.automations.values()
        for action in one.actions
        if action.do == "plugin"
    }
    for name, automation in draft.automations.items():
        _Check(draft, automation, draft.nodes[f"automation {name}"], known).run()


def check_actions(
    draft: Draft, flow: Flow, actions: tuple[AutomationAction, ...], node: Node, scope: Scope
) -> None:
    """Note every problem of the actions of a flow's step, done to its document."""
    about = Automation(
        automation=flow.flow, type=flow.document, trigger=Trigger(on="updated"),
        run_as=RunAs(system=True), actions=actions,
    )  # fmt: skip
    _Check(draft, about, node, set(), scope).check_actions(node)


class _Check:
    """Checks one automation."""

    def __init__(
        self,
        draft: Draft,
        one: Automation,
        node: Node,
        known: set[str],
        scope: Scope | None = None,
    ) -> None:
        self._draft, self._one, self._node = draft, one, node
        #: Plugin actions in use already, whose plugin may be broken at the moment.
        self._known = known
        self._scope = scope or automation_scope(draft.types, one.type, one.trigger)

    def run(self) -> None:
        """Note every problem."""
        self._check_name()
        self._check_type()
        self._check_trigger()
        self._check_doors()
        self._check_actor()
        if self._one.when and self._has_scope():
            self._boolean(self._node.at("when"), self._one.when)
        if self._one.concurrency_key and self._has_scope():
            place = self._node.at("concurrency_key")
            self._draft.expression(place, self._one.concurrency_key, self._scope, "text")
        if not self._one.actions:
            self._missing(self._node, "actions")
        self.check_actions(self._node.at("actions"))

    def check_actions(self, node: Node) -> None:
        """Note every problem of the actions, which are the list at `node`."""
        if len(self._one.actions) > MAX_ACTIONS:
            text = N_("An automation has at most {limit} actions.")
            self._draft.add(node, "too_many", text, limit=MAX_ACTIONS)
        for at, action in enumerate(self._one.actions):
            self._check_action(action, node.at(at))

    def _missing(self, node: Node, key: str) -> None:
        self._draft.add(node, "missing", N_("“{key}” is missing."), key=key)

    def _has_scope(self) -> bool:
        """Return whether expressions can be checked; an unknown type is one problem, not many."""
        return not self._one.type or self._one.type in self._draft.types

    def _boolean(self, node: Node, text: str) -> None:
        self._draft.expression(node, text, self._scope)

    def _check_name(self) -> None:
        name = self._one.automation
        if not TYPE_NAME.fullmatch(name) or len(name) > MAX_NAME or name in _RESERVED:
            text = N_(
                "An automation's name is of small letters, digits and single _, "
                "at most {limit} characters; not {name}."
            )
            place = self._node.at("automation")
            self._draft.add(place, "bad_name", text, name=name[:80], limit=MAX_NAME)

    def _check_type(self) -> None:
        if self._one.type:
            if self._one.type not in self._draft.types:
                place = self._node.at("type")
                self._draft.add_unknown(place, "type", self._one.type, self._draft.types)
        elif self._one.trigger.on not in {"schedule", "webhook"}:
            self._missing(self._node, "type")

    # -- triggers -------------------------------------------------------------------------

    def _check_trigger(self) -> None:
        trigger, node = self._one.trigger, self._node.at("trigger")
        self._check_keys(node, trigger.on, _TRIGGER_KEYS[trigger.on] | {"on"})
        needed = _TRIGGER_NEEDS.get(trigger.on)
        if needed and not getattr(trigger, needed):
            self._missing(node, needed)
        record_type = self._draft.types.get(self._one.type)
        if record_type is not None:
            names = {one.name for one in record_type.fields}
            for at, name in enumerate(trigger.fields):
                if name not in names:
                    self._draft.add_unknown(node.at("fields", at), "field", name, names)
            if trigger.on == "state_changed":
                self._check_states(trigger, node, record_type)
            if trigger.on == "date_field" and trigger.field:
                self._check_date(trigger, node, record_type)
        if trigger.on in CLOCKED:
            self._check_clock(trigger, node)
        if trigger.on == "webhook":
            self._check_webhook(trigger, node, record_type)
        self._draft.check_roles(node.at("role"), sorted(trigger.roles))

    def _check_keys(self, node: Node, what: str, allowed: Iterable[str]) -> None:
        """Refuse keys that mean nothing beside `what`, which nobody would notice."""
        for key, place in node.keys.items():
            if key not in allowed:
                text = N_("“{key}” means nothing with {what}.")
                self._draft.add(place, "not_for_this", text, key=key[:80], what=what)

    def _field(self, node: Node, record_type: RecordType, name: str) -> Field | None:
        found = record_type.field(name)
        if found is None:
            names = [one.name for one in record_type.fields]
            self._draft.add_unknown(node, "field", name, names)
        return found

    def _check_states(self, trigger: Trigger, node: Node, record_type: RecordType) -> None:
        found = self._field(node.at("field"), record_type, trigger.state_field)
        if found is None:
            return
        if found.type != "select":
            text = N_("{name} is no select field, so it has no states.")
            self._draft.add(node.at("field"), "not_a_state", text, name=found.name)
            return
        options = {one.value for one in found.options}
        for key in ("leaves", "enters"):
            for at, value in enumerate(getattr(trigger, key)):
                if options and value not in options:
                    self._draft.add_unknown(node.at(key, at), "option", value, options)

    def _check_date(self, trigger: Trigger, node: Node, record_type: RecordType) -> None:
        found = self._field(node.at("field"), record_type, trigger.field)
        if found is None:
            return
        if (found.result or found.type) not in {"date", "datetime"}:
            text = N_("{name} is no date.")
            self._draft.add(node.at("field"), "not_a_date", text, name=found.name)

    def _check_clock(self, trigger: Trigger, node: Node) -> None:
        if trigger.time_zone and not is_zone(trigger.time_zone):
            text = N_("{value} is not a time zone")
            place = node.at("time_zone")
            self._draft.add(place, "time_zone", text, value=trigger.time_zone[:80])
        key = "cron" if trigger.on == "schedule" else "at"
        text = clock_pattern(trigger)
        if getattr(trigger, key) and not is_pattern(text):
            said = N_("“{value}” is no time that ever comes; write it as {example}.")
            example = "0 9 * * 1-5" if key == "cron" else "09:00"
            value = getattr(trigger, key)[:80]
            self._draft.add(node.at(key), "bad_time", said, value=value, example=example)

    def _check_webhook(self, trigger: Trigger, node: Node, record_type: RecordType | None) -> None:
        seen: set[str] = set()
        for at, one in enumerate(trigger.input):
            place = node.at("input", at)
            if one.name in seen:
                said = N_("{name} stands twice.")
                self._draft.add(place.at("name"), "duplicate", said, name=one.name[:80])
            seen.add(one.name)
            if not TYPE_NAME.fullmatch(one.name):
                text = N_("A name is of small letters, digits and single _; not {name}.")
                self._draft.add(place.at("name"), "bad_name", text, name=one.name[:80])
        if not trigger.match:
            return
        if record_type is None:
            self._missing(self._node, "type")
            return
        place = node.at("match")
        found = self._field(place, record_type, trigger.match)
        if found is not None and not found.unique:
            text = N_("{name} is not unique, so it does not find one record.")
            self._draft.add(place, "not_unique", text, name=found.name)
        if trigger.match not in seen:
            self._draft.add_unknown(place, "field", trigger.match, seen)

    def _check_doors(self) -> None:
        if self._one.applies_to and self._one.trigger.on not in CHANGES:
            key, what = "applies_to", self._one.trigger.on
            place = self._node.keys.get(key, self._node)
            text = N_("“{key}” means nothing with {what}.")
            self._draft.add(place, "not_for_this", text, key=key, what=what)
        for at, door in enumerate(self._one.applies_to):
            if door not in DOORS:
                self._draft.add_unknown(self._node.at("applies_to", at), "door", door, DOORS)

    def _check_actor(self) -> None:
        run_as, node = self._one.run_as, self._node.at("run_as")
        if run_as.system == bool(run_as.roles):
            text = N_("Say either which roles it has or that it is the system.")
            self._draft.add(node, "run_as", text)
        self._draft.check_roles(node.at("role"), sorted(run_as.roles))

    # -- actions --------------------------------------------------------------------------

    def _check_action(self, action: AutomationAction, node: Node) -> None:
        self._check_shape(action, node)
        if action.url:
            self._check_url(action, node.at("url"))
        if not self._has_scope():
            return
        if action.when:
            self._boolean(node.at("when"), action.when)
        if action.do in {"set", "submit"}:
            self._check_written(action, node)
        elif action.do == "create":
            self._check_created(action, node)
        elif action.do == "plugin":
            self._check_plugin(action, node)
        else:
            self._check_sent(action, node)

    def _check_shape(self, action: AutomationAction, node: Node) -> None:
        """Check that an action has the keys that it needs, and no others."""
        keys = _ACTION_KEYS[action.do]
        self._check_keys(node, action.do, {*keys, "do", "when"})
        for key in keys:
            needed = key not in _OPTIONAL or (key == "values" and action.do in _NEEDS_VALUES)
            if needed and not getattr(action, key):
                self._missing(node, key)

    def _check_written(self, action: AutomationAction, node: Node) -> None:
        """Check what is set in, or submitted of, the record or one that it links to."""
        if not has_record(self._one):
            text = N_("There is no record here; give the automation a type.")
            self._draft.add(node.at("do"), "no_record", text)
            return
        written = self._draft.types[self._one.type]
        if action.record:
            link = self._field(node.at("record"), written, action.record)
            if link is None:
                return
            if link.type != "link" or link.target not in self._draft.types:
                text = N_("{name} is no link to one record.")
                self._draft.add(node.at("record"), "not_a_link", text, name=link.name)
                return
            written = self._draft.types[link.target]
        elif self._one.trigger.on == "deleted":
            text = N_("A deleted record cannot be changed; name a link to another.")
            self._draft.add(node.at("do"), "deleted", text)
        if action.do == "set":
            self._check_values(action, node, written)
        elif not written.document:
            text = N_("{name} is not a document; it needs `document: true`.")
            self._draft.add(node.at("do"), "not_a_document", text, name=written.name)

    def _check_created(self, action: AutomationAction, node: Node) -> None:
        made = self._draft.types.get(action.type)
        if made is None:
            if action.type:
                names = self._draft.types
                self._draft.add_unknown(node.at("type"), "type", action.type, names)
            return
        self._check_values(action, node, made)

    def _check_values(self, action: AutomationAction, node: Node, written: RecordType) -> None:
        for name, text in action.values.items():
            place = node.at("values", name)
            found = self._field(node.at("values").keys.get(name, place), written, name)
            if found is None:
                continue
            kind = field_type(found.type)
            if kind.computed or found.type in _NOT_SET:
                said = N_("An expression cannot give {name} its value.")
                self._draft.add(place, "not_set", said, name=name)
                continue
            expected = kind.expression_type(found).kind
            made = self._draft.expression(place, text, self._scope, expected)
            if made is not None:
                self._check_literal(place, found, made)

    def _check_literal(self, place: Node, field: Field, made: Expression) -> None:
        """Refuse a fixed value that the field would refuse each time."""
        value = made.node.value if isinstance(made.node, Literal) else None
        if not isinstance(value, str) or not field.options:
            return
        try:
            field_type(field.type).load(value, field)
        except FieldError:
            options = [one.value for one in field.options if not one.archived]
            self._draft.add_unknown(place, "option", value, options)

    def _check_plugin(self, action: AutomationAction, node: Node) -> None:
        offered = plugin_action(action.name)
        if offered is None:
            if action.name and action.name not in self._known:
                names = plugin_action_names()
                self._draft.add_unknown(node.at("name"), "plugin_action", action.name, names)
            return
        for name, text in action.values.items():
            place = node.at("values", name)
            kind = offered.arguments.get(name)
            if kind is None:
                given = node.at("values").keys[name]
                self._draft.add_unknown(given, "field", name, offered.arguments)
            else:
                self._draft.expression(place, text, self._scope, kind)

    def _check_sent(self, action: AutomationAction, node: Node) -> None:
        """Check a notice, an e-mail or a webhook."""
        for name, text in action.values.items():
            self._draft.expression(node.at("values", name), text, self._scope, None)
        for key in ("title", "body"):
            for language, text in getattr(action, key).items():
                check_text(self._draft, node.at(key, language), text, self._scope)
        if action.to is not None:
            self._check_recipients(action, node.at("to"))

    def _check_recipients(self, action: AutomationAction, node: Node) -> None:
        to = action.to
        assert to is not None  # noqa: S101  for the type checker
        allowed = {"role", "user"} if action.do == "notify" else {"address"}
        self._check_keys(node, action.do, allowed)
        if not any(getattr(to, key) for key in allowed):
            self._missing(node, " / ".join(sorted(allowed)))
        self._draft.check_roles(node.at("role"), to.roles)
        for key in ("user", "address"):
            for at, text in enumerate(getattr(to, key)):
                self._draft.expression(node.at(key, at), text, self._scope, "text")

    def _check_url(self, action: AutomationAction, place: Node) -> None:
        if not is_address(action.url):
            text = N_("“{url}” is no address such as https://example.com/hook.")
            self._draft.add(place, "bad_url", text, url=action.url[:200])


def check_text(draft: Draft, node: Node, text: str, scope: Scope) -> None:
    """Note the problems of the expressions in a text with holes, each at its own place."""
    try:
        parts = list(split_text(text))
    except UnclosedHole as error:
        said = N_("The brace at character {position} has no partner; write {{{{ for a brace.")
        draft.add(node, "brace", said, position=error.position + 1)
        return
    for part in parts:
        if isinstance(part, Hole):
            place = node
            if node.kind == "scalar" and not node.block and "\n" not in text:
                place = Node(
                    "scalar", node.source, node.line, node.column + part.start, part.text,
                    plain=node.plain,
                )  # fmt: skip
            draft.expression(place, part.text, scope, None)


def is_address(url: str) -> bool:
    """Return whether a text is a web address that a webhook can be sent to."""
    if any(char.isspace() or not char.isprintable() for char in url):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and parts.username is None
        and port != 0
    )


def clock_pattern(trigger: Trigger) -> str:
    """Return when a clocked trigger comes, as minute, hour, day, month and day of week."""
    if trigger.on == "schedule":
        return trigger.cron
    hour, _, minute = trigger.at.partition(":")
    return f"{minute.lstrip('0') or '0'} {hour.lstrip('0') or '0'} * * *"


def is_pattern(text: str) -> bool:
    """Return whether a cron pattern has five fields and a next time."""
    if len(text.split()) != 5:  # noqa: PLR2004  a pattern with seconds has six
        return False
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration):
        return False
    return True
