"""Reads YAML files into documents, strictly, with every problem at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from core.errors import Problem
from core.expression.types import nearest
from core.i18n import N_
from core.schema.accountkinds import AccountCategory, AccountKind
from core.schema.automations import Automation
from core.schema.binding import Binder
from core.schema.calendars import BusinessCalendar
from core.schema.dashboards import Card, Dashboard
from core.schema.decisiontables import DecisionTable
from core.schema.flows import Flow
from core.schema.model import (
    Field,
    Label,
    Model,
    Position,
    RecordType,
    Role,
    Section,
    View,
)
from core.schema.prints import Print
from core.schema.rights import Policy
from core.schema.yamlnodes import MAX_BYTES, Node, Source, read_node

_M = TypeVar("_M")

__all__ = ["MAX_BYTES", "Document", "Source", "load_documents"]


class PolicySet(Model, frozen=True, kw_only=True):
    """A file of policies that name their record types themselves."""

    policy_set: str
    label: Label = {}  # noqa: RUF012  msgspec copies it
    policies: tuple[Policy, ...]


class RoleList(Model, frozen=True, kw_only=True):
    """A file of roles, and of the positions that people hold at stores and in departments."""

    roles: tuple[Role, ...]
    positions: tuple[Position, ...] = ()


#: First key of a document -> what the document holds.
KINDS: Mapping[str, type] = {
    "record_type": RecordType,
    "extend": RecordType,
    "customize": RecordType,
    "flow": Flow,
    "policy_set": PolicySet,
    "roles": RoleList,
    "automation": Automation,
    "print": Print,
    "dashboard": Dashboard,
    "calendar": BusinessCalendar,
    "decision_table": DecisionTable,
    "account_kind": AccountKind,
}
#: Kinds that only change a record type which another document declares.
CHANGES = frozenset({"extend", "customize"})


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML file, read.

    Attributes:
        kind: its first key.
        name: what that key says; empty for `roles`.
        source: the file.
        node: the tree, with places.
        values: the tree as plain values; keys that had problems are missing.
    """

    kind: str
    name: str
    source: Source
    node: Node
    values: dict[str, Any]

    @property
    def layer(self) -> str:
        """Return the layer that the file belongs to."""
        return self.source.layer


def load_documents(sources: Iterable[Source]) -> tuple[list[Document], list[Problem]]:
    """Return the documents that could be read, in order, and the problems of all files."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for source in sources:
        node, found = read_node(source)
        problems.extend(found)
        if node is None:
            continue
        document = _document(source, node, problems)
        if document is not None:
            documents.append(document)
    return documents, problems


def _document(source: Source, node: Node, problems: list[Problem]) -> Document | None:
    kind = _kind(node, problems)
    if kind is None:
        return None
    binder = Binder(problems, _partial(kind, source))
    values = binder.struct(node, KINDS[kind])
    name = values.get(kind, "")
    return Document(kind, name if isinstance(name, str) else "", source, node, values)


def _partial(kind: str, source: Source) -> frozenset[type]:
    """Return the models that a document may state in part, since it changes another's."""
    if kind in CHANGES:
        return frozenset({RecordType, Field, View, Section})
    # Whether the site's document changes one of a plugin is seen when they are merged.
    return (
        frozenset(
            {AccountCategory, AccountKind, Automation, Card, Dashboard, DecisionTable, Print}
        )
        if source.layer == "site"
        else frozenset()
    )


def _kind(node: Node, problems: list[Problem]) -> str | None:
    """Return the first key of a document when it is one that exists."""
    if node.kind != "map" or not node.entries:
        problems.append(
            node.problem("not_a_document", N_("A file starts with what it is: record_type: name."))
        )
        return None
    first = next(iter(node.entries))
    key = node.keys[first]
    if first not in KINDS:
        hint = nearest(first, KINDS) or "record_type"
        text = N_("A file cannot start with “{key}”; “{hint}”?")
        problems.append(key.problem("unknown_kind", text, key=first[:80], hint=hint))
        return None
    for other in node.entries:
        if other != first and other in {"record_type", "extend", "customize"}:
            text = N_("“{key}” cannot stand beside “{first}”.")
            problems.append(node.keys[other].problem("two_kinds", text, key=other, first=first))
            return None
    return first


def to_model(values: dict[str, Any], kind: type[_M]) -> _M:
    """Return bound values as a model."""
    return msgspec.convert(values, kind)
