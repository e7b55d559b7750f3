"""The next release while it is made: models without promises, and where each was written."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.errors import Problem
from core.expression import Expression, ExpressionError, Scope, compile_expression
from core.expression.types import Kind, nearest
from core.i18n import N_
from core.schema.accountkinds import AccountKind
from core.schema.automations import Automation
from core.schema.calendars import BusinessCalendar
from core.schema.dashboards import Dashboard
from core.schema.decisiontables import DecisionTable
from core.schema.flows import Flow
from core.schema.model import Field, Position, RecordType, Role
from core.schema.prints import Print
from core.schema.rights import Policy
from core.schema.scopes import scope_in
from core.schema.yamlnodes import Node

#: Roles that exist without being declared.
BUILT_IN_ROLES = frozenset({"Admin", "Public"})


@dataclass(slots=True)
class Draft:
    """Everything that will be in the release, with its places in the files.

    Attributes:
        problems: what is wrong so far.
        types: the live record types.
        nodes: record type name, `flow NAME`, `automation NAME`, … -> its tree.
        field_nodes: field id -> its tree; fields that the product adds have none.
    """

    problems: list[Problem]
    types: dict[str, RecordType] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    field_nodes: dict[str, Node] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    policy_nodes: list[Node] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    automations: dict[str, Automation] = field(default_factory=dict)
    prints: dict[str, Print] = field(default_factory=dict)
    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    calendars: dict[str, BusinessCalendar] = field(default_factory=dict)
    decision_tables: dict[str, DecisionTable] = field(default_factory=dict)
    account_kinds: dict[str, AccountKind] = field(default_factory=dict)

    def node_of(self, type_name: str, one: Field) -> Node:
        """Return the tree of a field, or that of its type when the product added the field."""
        return self.field_nodes.get(one.id) or self.nodes[type_name]

    def add(self, node: Node, code: str, text: str, path: str = "", **params: Any) -> None:
        """Note a problem at a place."""
        self.problems.append(node.problem(code, text, path, **params))

    def add_unknown(self, node: Node, what: str, name: str, names: Iterable[str]) -> None:
        """Note that something is referred to which does not exist."""
        self.problems.append(unknown(node, what, name, names))

    def check_roles(self, node: Node, names: Iterable[str]) -> None:
        """Note roles that do not exist, where the files declare roles at all."""
        known = {one.name for one in self.roles} | BUILT_IN_ROLES
        places = {one.text: one for one in node.items}
        for name in names:
            if self.roles and name not in known:
                self.add_unknown(places.get(name, node), "role", name, known)

    def scope(self, type_name: str) -> Scope:
        """Return the scope of a record type as far as its types are known."""
        return scope_in(self.types, type_name)

    def expression(
        self, node: Node, text: str, scope: Scope, expect: Kind | None = "boolean"
    ) -> Expression | None:
        """Return a compiled expression, or None after noting its problems."""
        try:
            return compile_expression(text, scope, expect=expect)
        except ExpressionError as error:
            self.problems.extend(placed(node, one) for one in error.problems)
        return None


def placed(node: Node, problem: Problem) -> Problem:
    """Return a problem of an expression at its place in the file."""
    line, column = node.line, node.column
    if node.block:
        line, column = node.line + problem.line, problem.column
    elif node.kind == "scalar":
        column += problem.column - 1 + (0 if node.plain else 1)
    return Problem(
        problem.path,
        problem.code,
        problem.text,
        problem.params,
        file=node.source.path,
        line=line,
        column=column,
    )


#: What can be referred to -> how it is said that it does not exist, without and with a hint.
_UNKNOWN = {
    "field": (
        N_("There is no field {name}."),
        N_("There is no field {name}; “{hint}”?"),
    ),
    "type": (
        N_("There is no record type {name}."),
        N_("There is no record type {name}; “{hint}”?"),
    ),
    "field_type": (
        N_("There is no field type {name}."),
        N_("There is no field type {name}; “{hint}”?"),
    ),
    "role": (
        N_("There is no role {name}."),
        N_("There is no role {name}; “{hint}”?"),
    ),
    "position": (
        N_("There is no position {name}."),
        N_("There is no position {name}; “{hint}”?"),
    ),
    "action": (
        N_("There is no action {name}."),
        N_("There is no action {name}; “{hint}”?"),
    ),
    "option": (
        N_("There is no option {name}."),
        N_("There is no option {name}; “{hint}”?"),
    ),
    "door": (
        N_("There is no door {name}."),
        N_("There is no door {name}; “{hint}”?"),
    ),
    "plugin_action": (
        N_("No plugin offers the action {name}."),
        N_("No plugin offers the action {name}; “{hint}”?"),
    ),
    "calendar": (
        N_("There is no calendar {name}."),
        N_("There is no calendar {name}; “{hint}”?"),
    ),
    "decision_table": (
        N_("There is no decision table {name}."),
        N_("There is no decision table {name}; “{hint}”?"),
    ),
    "flow": (
        N_("There is no flow {name}."),
        N_("There is no flow {name}; “{hint}”?"),
    ),
    "step": (
        N_("There is no such step: {name}."),
        N_("There is no such step: {name}; “{hint}”?"),
    ),
    "earlier_step": (
        N_("There is no step {name} that people decide before this one."),
        N_("There is no step {name} that people decide before this one; “{hint}”?"),
    ),
    "seat": (
        N_("This step has no seat {name}."),
        N_("This step has no seat {name}; “{hint}”?"),
    ),
    "verb": (
        N_("This step has no verb {name}."),
        N_("This step has no verb {name}; “{hint}”?"),
    ),
}


def unknown(node: Node, what: str, name: str, names: Iterable[str]) -> Problem:
    """Return the problem of naming something that does not exist, with the nearest name."""
    plain, hinted = _UNKNOWN[what]
    hint = nearest(name, names)
    if hint:
        return node.problem("unknown", hinted, name=name[:80], hint=hint)
    return node.problem("unknown", plain, name=name[:80])
