"""From YAML files and the running release to the next release.

read       every file, with places                     core.schema.loader
merge      base <- extensions <- customizations        core.schema.merging
identify   which field is which of the running release  core.schema.identity
complete   what nobody needs to write                  core.schema.completion
resolve    types of formulas and rollups               core.schema.results
check      everything that refers to something else    core.schema.checks
rehearse   the tests inside flows                       core.schema.flowtesting
convert    which stored values move, and how           core.schema.conversions
"""

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from core.errors import Problem, SchemaError
from core.i18n import N_
from core.schema.accountkinds import AccountKind
from core.schema.automations import Automation
from core.schema.binding import Binder
from core.schema.calendars import BusinessCalendar
from core.schema.checks import check_release
from core.schema.completion import complete_type
from core.schema.conversions import plan_conversions
from core.schema.dashboards import Dashboard
from core.schema.decisiontables import DecisionTable
from core.schema.draft import Draft, unknown
from core.schema.fieldtypes import field_type_names
from core.schema.flows import Flow
from core.schema.flowtesting import failures_of
from core.schema.identity import Known, resolve_ids
from core.schema.loader import Document, load_documents, to_model
from core.schema.merging import TypeDraft, merge_types
from core.schema.model import Field, Position, RecordType, Release, Role
from core.schema.prints import Print
from core.schema.results import resolve_results
from core.schema.rights import Policy
from core.schema.shippedmerging import merge_shipped
from core.schema.yamlnodes import Node, Source

#: Keys that say what a document is, and are no attributes of a record type.
_KIND_KEYS = frozenset({"record_type", "extend", "customize", "archive", "fields", "was"})
_M = TypeVar("_M")
_R = TypeVar("_R", bound=Role)
_NOTHING = RecordType(name="", fields=())


def effective(sources: Iterable[Source], running: Release | None, number: int) -> Release:
    """Return the release that all files of all layers give.

    Args:
        sources: every file of every layer in force.
        running: the release before it, which says which field is which; None for the first.
        number: the number of the new release.

    Raises:
        SchemaError: with every problem of every file.
    """
    documents, problems = load_documents(sources)
    builder = _Builder(running or Release(number=0), number, problems)
    draft = builder.draft(documents)
    resolve_results(draft)
    check_release(draft, builder.running)
    if not problems:
        plan_conversions(draft, builder.running)
    if problems:
        raise SchemaError(problems=_once(problems, builder.broken))
    release = builder.release(draft)
    for one in failures_of(release):
        place = draft.nodes[f"flow {one.flow}"].at("tests", one.place, "name")
        problems.append(place.problem("flow_test", one.text, **one.params))
    if problems:
        raise SchemaError(problems=problems)
    return release


def _once(problems: Iterable[Problem], broken: set[str]) -> list[Problem]:
    """Return the problems by place, each once: a merged tree is read a second time.

    That a field with a problem of its own is then missing elsewhere is no news.
    """
    unique = {
        (one.file, one.line, one.column, one.code): one
        for one in problems
        if one.code not in _MISSING or one.params.get("name") not in broken
    }
    return [unique[key] for key in sorted(unique)]


_MISSING = frozenset({"schema.unknown", "expression.unknown_field"})


class _Builder:
    """Makes one release."""

    def __init__(self, running: Release, number: int, problems: list[Problem]) -> None:
        self.running = running
        self.broken: set[str] = set()
        self._names: set[str] = set()
        self._renamed: set[str] = set()
        self._number = number
        self._problems = problems

    def draft(self, documents: list[Document]) -> Draft:
        """Return the merged but unchecked state of everything."""
        draft = Draft(problems=self._problems)
        merged_types = merge_types(documents, self._problems)
        self._names = set(merged_types)
        for merged in merged_types.values():
            self._add_type(draft, merged)
        for document in documents:
            if document.kind == "flow":
                self._add_flow(draft, document)
            elif document.kind == "policy_set":
                self._add_policies(draft, document)
            elif document.kind == "roles":
                self._add_roles(draft, document)
        for name, (layer, node) in merge_shipped(documents, "automation", self._problems).items():
            known = self.running.automations.get(name)
            since = self._number if known is None else known.since
            values = self._values(node, Automation, frozenset())
            automation = _model(values | {"layer": layer, "since": since}, Automation)
            if automation is not None:
                draft.automations[name] = automation
                draft.nodes[f"automation {name}"] = node
        self._add_shipped(draft, documents, "dashboard", Dashboard, draft.dashboards)
        self._add_shipped(draft, documents, "print", Print, draft.prints)
        self._add_shipped(draft, documents, "calendar", BusinessCalendar, draft.calendars)
        self._add_shipped(draft, documents, "decision_table", DecisionTable, draft.decision_tables)
        self._add_shipped(draft, documents, "account_kind", AccountKind, draft.account_kinds)
        self._choose_default(draft)
        return draft

    def release(self, draft: Draft) -> Release:
        """Return the release, with the types that no file has any more put away."""
        types = dict(draft.types)
        for name, old in self.running.types.items():
            if name not in types and name not in self._renamed:
                types[name] = msgspec.structs.replace(old, archived=True, policies=())
        return Release(
            number=self._number,
            types=dict(sorted(types.items())),
            flows=dict(sorted(draft.flows.items())),
            policies=tuple(draft.policies),
            roles=tuple(draft.roles),
            positions=tuple(draft.positions),
            automations=dict(sorted(draft.automations.items())),
            prints=dict(sorted(draft.prints.items())),
            dashboards=dict(sorted(draft.dashboards.items())),
            calendars=dict(sorted(draft.calendars.items())),
            decision_tables=dict(sorted(draft.decision_tables.items())),
            account_kinds=dict(sorted(draft.account_kinds.items())),
        )

    def _add_type(self, draft: Draft, merged: TypeDraft) -> None:
        old = self._before(merged)
        live = merged.node.listed("fields")
        known = Known(old.fields, old.archived_fields)
        fields = self._fields([*live, *merged.archived], known, merged.name)
        shown = [one for one, node in fields if node not in merged.archived]
        aside = [one for one, node in fields if node in merged.archived]
        values = self._values(merged.node, RecordType, _KIND_KEYS)
        for policy in values.get("policies", ()):
            policy["types"] = (merged.name,)
        kept = old.id if old.layer == merged.layer else ""
        identity = values.pop("id", "") or kept or self._new_id(merged)
        former = tuple(dict.fromkeys((*old.former, old.name)))
        former = tuple(one for one in former if one not in {"", merged.name})
        made = _model(
            values
            | {"name": merged.name, "id": identity, "layer": merged.layer, "fields": ()}
            | {"former": former},
            RecordType,
        )
        if made is None:
            return
        made = msgspec.structs.replace(
            made,
            fields=tuple(shown),
            archived_fields=_carried(known, shown, aside),
        )
        draft.types[merged.name] = complete_type(made)
        draft.nodes[merged.name] = merged.node
        draft.field_nodes.update({one.id: node for one, node in fields})

    def _new_id(self, merged: TypeDraft) -> str:
        """Return `layer.name`, made unlike the id of a type that was called so before."""
        made = f"{merged.layer}.{merged.name}"
        others = (one.id for one in self.running.types.values() if one.name != merged.name)
        return f"{made}.{self._number}" if made in others else made

    def _before(self, merged: TypeDraft) -> RecordType:
        """Return the record type of the running release that this is, by name or by `was`."""
        types = self.running.types
        found = types.get(merged.name)
        was = types.get(merged.node.word("was"))
        if was is None or was.archived or was.name in self._names or was.layer != merged.layer:
            return found or _NOTHING
        place = merged.node.at("was")
        if found is not None:
            text = N_("There is or was another record type {name}.")
            self._problems.append(place.problem("name_taken", text, name=merged.name))
        self._renamed.add(was.name)
        return was

    def _fields(self, nodes: list[Node], known: Known, prefix: str) -> list[tuple[Field, Node]]:
        """Return the fields of some nodes with their nodes; those that cannot be are left out."""
        made = []
        ids = resolve_ids(nodes, known, prefix, number=self._number, problems=self._problems)
        for node, identity in zip(nodes, ids, strict=True):
            field = self._field(node, identity, known, prefix)
            if field is None:
                self.broken.add(node.word("name"))
            else:
                made.append((field, node))
        return made

    def _field(self, node: Node, identity: str, known: Known, prefix: str) -> Field | None:
        before = next((one for one in known.all() if one.id == identity), None)
        rows = Known(before.fields, before.archived_fields) if before else Known()
        values = self._values(node, Field, frozenset({"was", "fields"}))
        columns: list[tuple[Field, Node]] = []
        if node.word("type") == "table":
            below = f"{prefix}.{node.word('name')}"
            columns = self._fields(node.listed("fields"), rows, below)
        elif node.word("type") and not self._is_type(node):
            return None
        live = [one for one, _ in columns]
        values |= {"id": identity, "layer": node.source.layer}
        field = _model(values, Field)
        if field is None:
            return None
        return msgspec.structs.replace(
            field, fields=tuple(live), archived_fields=_carried(rows, live, [])
        )

    def _is_type(self, node: Node) -> bool:
        """Return whether the type of a field exists; say so when it does not."""
        name, place = node.word("type"), node.at("type")
        if name in field_type_names():
            return True
        self._problems.append(unknown(place, "field_type", name, field_type_names()))
        return False

    def _values(self, node: Node, kind: type, without: frozenset[str]) -> dict[str, Any]:
        """Return the values of a merged mapping; its problems are noted at their places."""
        values = Binder(self._problems).struct(node, kind)
        return {name: value for name, value in values.items() if name not in without}

    def _add_flow(self, draft: Draft, document: Document) -> None:
        """Add a flow; the site's takes the place of a plugin's of its name."""
        made = _model(document.values | {"layer": document.layer}, Flow)
        if made is None:
            return
        name, place = document.name, document.node.at("flow")
        found, version = draft.flows.get(name), document.node.at("version")
        if found is not None and "site" in {found.layer, made.layer} and found.layer != made.layer:
            own, shipped = (made, found) if made.layer == "site" else (found, made)
            if own.version <= shipped.version:
                told = N_(
                    "The flow has changed since version {version}; give it a higher version."
                )
                version = version if own is made else draft.nodes[f"flow {name}"].at("version")
                problem = version.problem("flow_version", told, version=shipped.version)
                self._problems.append(problem)
            if own is found:
                return
        elif found is not None:
            told = N_("The flow {name} is already declared.")
            self._problems.append(place.problem("duplicate_flow", told, name=name))
        draft.flows[name] = made
        draft.nodes[f"flow {name}"] = document.node

    def _add_shipped(
        self,
        draft: Draft,
        documents: list[Document],
        kind: str,
        model: type[_M],
        found: dict[str, _M],
    ) -> None:
        """Add the documents of a kind that the site may change."""
        for name, (layer, node) in merge_shipped(documents, kind, self._problems).items():
            made = _model(self._values(node, model, frozenset()) | {"layer": layer}, model)
            if made is not None:
                found[name] = made
                draft.nodes[f"{kind} {name}"] = node

    def _choose_default(self, draft: Draft) -> None:
        """Let a default calendar that the site names stand in the place of those that ship."""
        named = [name for name, one in draft.calendars.items() if one.default]
        places = {name: draft.nodes[f"calendar {name}"].at("default") for name in named}
        if any(one.source.layer == "site" for one in places.values()):
            for name, place in places.items():
                if place.source.layer != "site":
                    known = draft.calendars[name]
                    draft.calendars[name] = msgspec.structs.replace(known, default=False)

    def _add_policies(self, draft: Draft, document: Document) -> None:
        for at, values in enumerate(document.values.get("policies", ())):
            policy = _model(values, Policy)
            if policy is not None:
                draft.policies.append(policy)
                draft.policy_nodes.append(document.node.at("policies", at))

    def _add_roles(self, draft: Draft, document: Document) -> None:
        text = N_("The role {name} is already declared.")
        self._add_names(document, "roles", Role, draft.roles, text)
        text = N_("The position {name} is already declared.")
        self._add_names(document, "positions", Position, draft.positions, text)

    def _add_names(
        self, document: Document, key: str, kind: type[_R], known: list[_R], text: str
    ) -> None:
        for at, values in enumerate(document.values.get(key, ())):
            made = _model(values, kind)
            if made is None:
                continue
            if any(one.name == made.name for one in known):
                place = document.node.at(key, at)
                self._problems.append(place.problem("duplicate_role", text, name=made.name))
            known.append(made)


def _model(values: dict[str, Any], kind: type[_M]) -> _M | None:
    """Return the values as a model; None when a problem left something necessary out."""
    try:
        return to_model(values, kind)
    except msgspec.ValidationError:
        # The binder has noted what is missing, at its place.
        return None


def _carried(known: Known, live: Iterable[Field], aside: Iterable[Field]) -> tuple[Field, ...]:
    """Return the archived fields: the old ones still away, then those newly put away."""
    live_ids = {one.id for one in live}
    now = {one.id: one for one in aside}
    before = [one for one in known.archived if one.id not in live_ids and one.id not in now]
    gone = [one for one in known.live if one.id not in live_ids and one.id not in now]
    return (*before, *gone, *now.values())
