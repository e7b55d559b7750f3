"""Checks the flows of a release: shape, names, people, time and what they do at their end.

What people and rules of steps may say is in `flowpeoplechecks`, conditions that leave gaps
or cover each other in `flowguards`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core.businesstime import BusinessTimeError, parse_duration
from core.expression import Expression, ExpressionError, Scope
from core.expression.types import Kind
from core.i18n import N_
from core.schema.automationchecks import check_actions
from core.schema.draft import Draft, placed
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flowguards import check_branches, check_choice
from core.schema.flowpeoplechecks import People
from core.schema.flows import BLOCKS, HUMAN, Flow, Step
from core.schema.flowtesting import Act, ActError, parse_act
from core.schema.flowtexts import (
    FlowText,
    compile_list,
    flow_scope,
    placed_names,
    steps_of,
    texts_of,
)
from core.schema.model import Field, RecordType, Release
from core.schema.names import TYPE_NAME
from core.schema.placerows import PLACE_TYPES
from core.schema.yamlnodes import Node

MAX_STEPS = 200
MAX_ID = 40
#: What a return, an escalation or a test could take for something else.
_RESERVED = frozenset({"initiator", "previous", "chosen", "seat", "escalated", "edit", "wait"})

_PEOPLE_KEYS = frozenset(
    {"approvers", "seats", "decide", "need", "may", "people", "return", "due", "fields"}
    | {"comment", "sign", "queue"}
)
#: Keys that a step of a type may have besides `id`, `type` and `title`.
_KEYS: Mapping[str, frozenset[str]] = {
    "approve": _PEOPLE_KEYS | {"on_reject", "veto"},
    "fill": _PEOPLE_KEYS,
    "cc": frozenset({"to", "fields"}),
    "branch": frozenset({"cases", "else"}),
    "inclusive": frozenset({"cases", "else"}),
    "parallel": frozenset({"lanes"}),
    "subflow": frozenset({"flow", "each", "wait"}),
    "effect": frozenset({"actions"}),
    "wait": frozenset({"until", "for"}),
}
#: Keys that a step of a type must have; `approvers` or `seats` is asked for elsewhere.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "cc": ("to",),
    "branch": ("cases", "else"),
    "inclusive": ("cases", "else"),
    "parallel": ("lanes",),
    "subflow": ("flow",),
    "effect": ("actions",),
}
_DATES = frozenset({"date", "datetime"})
#: Kinds of a value that says who somebody is: a user field, an id, a link to a user.
_PERSON = frozenset({"text", "record", "null"})
_PEOPLE = _PERSON | {"list", "records", "choices"}


def check_flows(draft: Draft, running: Release) -> None:
    """Note every problem of every flow."""
    for name, flow in draft.flows.items():
        node = draft.nodes[f"flow {name}"]
        _check_version(draft, flow, node, running)
        document = draft.types.get(flow.document)
        if document is None:
            draft.add_unknown(node.at("document"), "type", flow.document, draft.types)
            continue
        if not document.document:
            text = N_("{name} is not a document; it needs `document: true`.")
            draft.add(node.at("document"), "not_a_document", text, name=flow.document)
        _Check(draft, flow, node, document, running).run()
    for document_type in sorted({flow.document for flow in draft.flows.values()}):
        check_choice(draft, document_type)


def _check_version(draft: Draft, flow: Flow, node: Node, running: Release) -> None:
    """Refuse a changed flow under a published version: running instances hold on to it."""
    old = running.flows.get(flow.flow)
    if old is None or msgspec.structs.replace(old, layer=flow.layer) == flow:
        return
    if flow.version <= old.version:
        text = N_("The flow has changed since version {version}; give it a higher version.")
        draft.add(node.at("version"), "flow_version", text, version=old.version)


@dataclass(slots=True)
class _Check:
    """Checks one flow."""

    draft: Draft
    flow: Flow
    node: Node
    document: RecordType
    running: Release
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.scope = flow_scope(self.draft.types, self.flow, self.draft.flows)

    def run(self) -> None:
        """Note every problem."""
        before = len(self.draft.problems)
        if not TYPE_NAME.fullmatch(self.flow.flow):
            self._bad_name(self.node.at("flow"), self.flow.flow)
        if not self.flow.steps:
            self._missing(self.node, "steps")
        steps = list(steps_of(self.flow))
        if len(steps) > MAX_STEPS:
            text = N_("A flow has at most {limit} steps.")
            self.draft.add(self.node.at("steps"), "too_many", text, limit=MAX_STEPS)
            return
        self._check_ids(steps)
        for path, step in steps:
            self._check_step(step, self.node.at(*path))
        for one in texts_of(msgspec.to_builtins(self.flow)):
            self._check_text(one)
        People(self.draft, self.flow, self.node, self.document, self.scope).check(steps)
        self._check_subject()
        self._check_at_apply()
        self._check_duration(self.node.at("remind", "every"), self.flow.remind.every)
        self._check_outcomes()
        self._check_tests(steps)
        if len(self.draft.problems) == before:
            check_branches(self.draft, self.flow, self.node, self.scope)

    def _missing(self, node: Node, key: str) -> None:
        self.draft.add(node, "missing", N_("“{key}” is missing."), key=key)

    def _bad_name(self, node: Node, name: str) -> None:
        text = N_("A name is of small letters, digits and single _; not {name}.")
        self.draft.add(node, "bad_name", text, name=name[:80])

    # -- steps ----------------------------------------------------------------------------

    def _check_ids(self, steps: list[tuple[tuple[str | int, ...], Step]]) -> None:
        seen: set[str] = set()
        for path, step in steps:
            place = self.node.at(*path).at("id")
            if step.id in seen:
                text = N_("{name} stands twice.")
                self.draft.add(place, "duplicate", text, name=step.id[:80])
            elif not TYPE_NAME.fullmatch(step.id) or len(step.id) > MAX_ID:
                self._bad_name(place, step.id)
            elif step.id in _RESERVED:
                text = N_("“{name}” has a meaning of its own in flows; call the step otherwise.")
                self.draft.add(place, "reserved_name", text, name=step.id)
            seen.add(step.id)

    def _check_step(self, step: Step, node: Node) -> None:
        allowed = _KEYS[step.type] | {"id", "type", "title"}
        for key, place in node.keys.items():
            if key not in allowed:
                text = N_("“{key}” means nothing in a step of type {type}.")
                self.draft.add(place, "not_for_this", text, key=key[:80], type=step.type)
        for key in _NEEDS.get(step.type, ()):
            if key not in node.entries or (key != "else" and not getattr(step, key)):
                self._missing(node, key)
        if step.type in BLOCKS:
            self._check_strands(step, node)
        elif step.type == "subflow":
            self._check_subflow(step, node)
        elif step.type == "effect":
            check_actions(self.draft, self.flow, step.actions, node.at("actions"), self.scope)
        elif step.type == "wait":
            self._check_wait(step, node)

    def _check_strands(self, step: Step, node: Node) -> None:
        for key in ("cases", "lanes"):
            for at, strand in enumerate(getattr(step, key)):
                if not strand.steps and key == "lanes":
                    self._missing(node.at(key, at), "steps")

    def _check_subflow(self, step: Step, node: Node) -> None:
        found = self.draft.flows.get(step.flow)
        if found is None:
            if step.flow:
                self.draft.add_unknown(node.at("flow"), "flow", step.flow, self.draft.flows)
            return
        if found.document != self.flow.document:
            text = N_("The flow {name} is for {document}, not for this document.")
            self.draft.add(
                node.at("flow"), "other_document", text, name=step.flow, document=found.document
            )
        if self._walks(found, set()):
            text = N_("The flow {name} would walk itself and never end.")
            self.draft.add(node.at("flow"), "recursion", text, name=self.flow.flow)

    def _walks(self, flow: Flow, seen: set[str]) -> bool:
        """Return whether a flow comes to walk this one."""
        if flow.flow == self.flow.flow:
            return True
        if flow.flow in seen:
            return False
        seen.add(flow.flow)
        below = (
            self.draft.flows[step.flow]
            for _, step in steps_of(flow)
            if step.type == "subflow" and step.flow in self.draft.flows
        )
        return any(self._walks(one, seen) for one in below)

    def _check_wait(self, step: Step, node: Node) -> None:
        if bool(step.until) == bool(step.for_):
            text = N_("A wait says either `until` or `for`.")
            self.draft.add(node, "wait", text)
        if step.for_:
            self._check_duration(node.at("for"), step.for_)

    def _check_duration(self, node: Node, text: str) -> None:
        try:
            parse_duration(text)
        except BusinessTimeError as error:
            self.draft.add(node, "bad_duration", error.text, **error.params)

    # -- expressions ----------------------------------------------------------------------

    def _check_text(self, one: FlowText) -> None:
        node = self.node.at(*one.path)
        if one.use == "list":
            try:
                compile_list(one.text, self.scope)
            except ExpressionError as error:
                self.draft.problems.extend(placed(node, found) for found in error.problems)
            return
        expect: Kind | None = "boolean" if one.use == "condition" else None
        if one.use == "people":
            expect = self._people_kind(one.text)
        made = self.draft.expression(node, placed_names(one.text), self.scope, expect)
        if made is not None:
            self._check_use(one, node, made)

    def _people_kind(self, text: str) -> Kind | None:
        """Return `list` where an expression gives several people."""
        try:
            compile_list(text, self.scope)
        except ExpressionError:
            return None
        return "list"

    def _check_use(self, one: FlowText, node: Node, made: Expression) -> None:
        kind, target = made.type.kind, made.type.target
        if one.use == "place" and not (kind == "record" and target in PLACE_TYPES):
            text = N_("This must give a store or a department, such as a link to one.")
            self.draft.add(node, "not_a_place", text)
        elif (one.use == "person" and not (kind in _PERSON and _is_user(kind, target))) or (
            one.use == "people" and not (kind in _PEOPLE and _is_user(kind, target))
        ):
            text = N_("This must give a person, such as `created_by` or a field that holds one.")
            self.draft.add(node, "not_a_person", text)
        elif one.use == "moment" and kind not in {*_DATES, "boolean"}:
            text = N_("This must give a date, an instant, or whether it is over.")
            self.draft.add(node, "not_a_moment", text)

    # -- the document ---------------------------------------------------------------------

    def _check_names(self, node: Node, names: Collection[str]) -> None:
        known = {one.name for one in self.document.fields}
        seen: set[str] = set()
        for at, name in enumerate(names):
            if name not in known:
                self.draft.add_unknown(node.at(at), "field", name, known)
            elif name in seen:
                self.draft.add(node.at(at), "duplicate", N_("{name} stands twice."), name=name)
            seen.add(name)

    def _check_subject(self) -> None:
        self._check_names(self.node.at("subject"), self.flow.subject)

    def _check_at_apply(self) -> None:
        overlap = self.flow.at_apply.no_overlap
        if overlap is None:
            return
        node = self.node.at("at_apply", "no_overlap")
        known = {one.name for one in self.document.fields}
        if overlap.of not in known:
            self.draft.add_unknown(node.at("of"), "field", overlap.of, known)
        self._check_names(node.at("during"), overlap.during)
        if len(overlap.during) not in {0, 2}:
            text = N_("`during` names two date fields, from and to.")
            self.draft.add(node.at("during"), "during", text)
        for at, name in enumerate(overlap.during):
            found = self.document.field(name)
            if found is not None and found.type not in _DATES:
                text = N_("{name} is no date.")
                self.draft.add(node.at("during", at), "not_a_date", text, name=name)
        for name, value in overlap.among.items():
            self._check_literal(node.at("among"), name, value)

    def _check_literal(self, node: Node, name: str, value: Any) -> None:
        """Note a field that is not there, or a value that it refuses."""
        found = self.document.field(name)
        if found is None:
            names = [one.name for one in self.document.fields]
            self.draft.add_unknown(node.keys.get(name, node), "field", name, names)
            return
        refusal = refused_value(found, value)
        if refusal is not None:
            self.draft.add(node.at(name), "bad_value", refusal.text, **refusal.params)

    def _check_outcomes(self) -> None:
        for ending, outcome in self.flow.outcome.items():
            node = self.node.at("outcome", ending, "set")
            for name, value in outcome.set.items():
                self._check_set(node, name, value)

    def _check_set(self, node: Node, name: str, value: Any) -> None:
        """Check a value of an outcome: what the field does not take is an expression."""
        found = self.document.field(name)
        if found is None:
            self._check_literal(node, name, value)
            return
        kind = field_type(found.type)
        if kind.computed:
            text = N_("{name} is computed; nobody sets it.")
            self.draft.add(node.keys.get(name, node), "computed", text, name=name)
            return
        refusal = refused_value(found, value)
        if refusal is None:
            return
        before = len(self.draft.problems)
        expected = kind.expression_type(found).kind
        text = placed_names(str(value))
        made = self.draft.expression(node.at(name), text, self.scope, expected)
        if made is None and _is_word(str(value)):
            # Nobody means an expression by one word that nothing is called.
            del self.draft.problems[before:]
            self.draft.add(node.at(name), "bad_value", refusal.text, **refusal.params)

    # -- tests ----------------------------------------------------------------------------

    def _check_tests(self, steps: list[tuple[tuple[str | int, ...], Step]]) -> None:
        humans = {step.id: step for _, step in self._walked(steps) if step.type in HUMAN}
        seen: set[str] = set()
        for at, test in enumerate(self.flow.tests):
            node = self.node.at("tests", at)
            if test.name in seen:
                text = N_("{name} stands twice.")
                self.draft.add(node.at("name"), "duplicate", text, name=test.name[:80])
            seen.add(test.name)
            known = {one.name for one in self.document.fields}
            for name in test.doc:
                if name not in known:
                    self.draft.add_unknown(node.at("doc").keys[name], "field", name, known)
            if not test.do:
                self._missing(node, "do")
            for number, text in enumerate(test.do):
                self._check_act(node.at("do", number), text, humans)

    def _walked(
        self, steps: list[tuple[tuple[str | int, ...], Step]]
    ) -> list[tuple[tuple[str | int, ...], Step]]:
        """Return the steps with those of subflows, which tests name like the flow's own."""
        found = list(steps)
        for _, step in steps:
            below = self.draft.flows.get(step.flow) if step.type == "subflow" else None
            found += [
                (path, msgspec.structs.replace(one, id=f"{step.id}/{one.id}"))
                for path, one in (steps_of(below) if below else ())
            ]
        return found

    def _check_act(self, node: Node, text: str, humans: Mapping[str, Step]) -> None:
        try:
            act = parse_act(text)
        except ActError as error:
            self.draft.add(node, "bad_test", error.text, **error.params)
            return
        if act.kind == "edit":
            self._check_edit(node, act)
        elif act.kind == "step":
            step = humans.get(act.step)
            if step is None:
                self.draft.add_unknown(node, "step", act.step, humans)
            elif act.verb not in step.verbs and act.verb != "remind":
                self.draft.add_unknown(node, "verb", act.verb, step.verbs)

    def _check_edit(self, node: Node, act: Act) -> None:
        holder: Any = self.document
        for name in act.field.split("."):
            names = {one.name: one for one in holder.fields}
            if name not in names:
                self.draft.add_unknown(node, "field", act.field, names)
                return
            holder = names[name]


def refused_value(field: Field, value: Any) -> FieldError | None:
    """Return why a field does not take a value as it is written; None when it does."""
    try:
        field_type(field.type).load(value, field)
    except FieldError as error:
        return error
    return None


def _is_user(kind: str, target: str) -> bool:
    """Return whether a value can be the id of a user: a link to a record of ours is none."""
    return kind not in {"record", "records"} or target.startswith("@") or not target


def _is_word(text: str) -> bool:
    return text.replace("-", "").replace("_", "").isalnum()
