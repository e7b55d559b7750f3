"""Checks the flows of a release against the documents they decide."""

from core.i18n import N_
from core.schema.draft import Draft
from core.schema.fieldtypes import FieldError, field_type
from core.schema.flows import Flow, Step, sources_of
from core.schema.model import RecordType, Release
from core.schema.yamlnodes import Node


def check_flows(draft: Draft, running: Release) -> None:
    """Note every problem of every flow."""
    decided: dict[str, str] = {}
    for name, flow in draft.flows.items():
        node = draft.nodes[f"flow {name}"]
        _check_version(draft, flow, node, running)
        _check_steps(draft, flow, node)
        document = draft.types.get(flow.document)
        place = node.at("document")
        if document is None:
            draft.add_unknown(place, "type", flow.document, draft.types)
            continue
        if not document.document:
            text = N_("{name} is not a document; it needs `document: true`.")
            draft.add(place, "not_a_document", text, name=flow.document)
        if flow.document in decided:
            text = N_("{name} already has the flow {flow}.")
            other = decided[flow.document]
            draft.add(place, "second_flow", text, name=flow.document, flow=other)
        decided[flow.document] = name
        _check_fields(draft, flow, node, document)


def _check_version(draft: Draft, flow: Flow, node: Node, running: Release) -> None:
    """Refuse a changed flow under a published version: running instances hold on to it."""
    old = running.flows.get(flow.flow)
    if old is None or old == flow:
        return
    if flow.version <= old.version:
        text = N_("The flow has changed since version {version}; give it a higher version.")
        draft.add(node.at("version"), "flow_version", text, version=old.version)


def _check_steps(draft: Draft, flow: Flow, node: Node) -> None:
    if not flow.steps:
        draft.add(node, "missing", N_("“{key}” is missing."), key="steps")
    seen: set[str] = set()
    for at, step in enumerate(flow.steps):
        place = node.at("steps", at)
        if step.id in seen:
            draft.add(place.at("id"), "duplicate", N_("{name} stands twice."), name=step.id[:80])
        seen.add(step.id)
        _check_step(draft, step, place)


def _check_step(draft: Draft, step: Step, place: Node) -> None:
    if "approve" not in step.verbs:
        text = N_("A step that nobody can approve never ends.")
        draft.add(place.at("may"), "dead_step", text)
    roles = roles_of(step)
    if not roles:
        draft.add(place.at("approvers"), "missing", N_("“{key}” is missing."), key="role")
    draft.check_roles(place.at("approvers", "role"), roles)


def roles_of(step: Step) -> tuple[str, ...]:
    """Return the roles that a step names as its approvers."""
    sources = sources_of(step.approvers) if step.approvers is not None else ()
    return tuple(role for source in sources for role in source.roles)


def _check_fields(draft: Draft, flow: Flow, node: Node, document: RecordType) -> None:
    names = {one.name for one in document.fields}
    for at, name in enumerate(flow.subject):
        if name not in names:
            draft.add_unknown(node.at("subject", at), "field", name, names)
    for ending, outcome in flow.outcome.items():
        for name, value in outcome.set.items():
            place = node.at("outcome", ending, "set", name)
            field = document.field(name)
            if field is None:
                draft.add_unknown(place, "field", name, names)
                continue
            try:
                field_type(field.type).load(value, field)
            except FieldError as error:
                draft.add(place, "bad_value", error.text, **error.params)
