"""The browser target: a typed tree as plain JSON, which `expression.js` computes.

A node is a list that starts with its name. Literals carry their kind, because JSON has
neither decimals nor dates.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from core.errors import ConfigurationError
from core.expression import nodes
from core.expression.arithmetic import number_text
from core.expression.dates import instant_text
from core.expression.functions import INTERNAL, Function
from core.expression.places import PLACES
from core.i18n import N_

Json = Any


def to_json(node: nodes.Node, functions: Mapping[str, Function]) -> Json:
    """Return `node` as JSON values.

    Raises:
        ConfigurationError: it calls a function that the browser does not have.
    """
    return _Writer(functions).write(node)


def wire(value: Any) -> Json:
    """Return a Python value as it goes over the wire."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (Decimal, int)):
        return number_text(value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return [wire(part) for part in value]


class _Writer:
    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions = functions

    def write(self, node: nodes.Node) -> Json:
        found: Json = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return found

    def _all(self, parts: tuple[nodes.Node, ...]) -> list[Json]:
        return [self.write(part) for part in parts]

    def _literal(self, node: nodes.Literal) -> Json:
        return ["literal", node.type.kind, wire(node.value)]

    def _items(self, node: nodes.Items) -> Json:
        return ["items", *self._all(node.items)]

    def _field(self, node: nodes.Field) -> Json:
        return ["field", node.type.kind, node.name, node.frame]

    def _variable(self, node: nodes.Variable) -> Json:
        if node.name.startswith(PLACES):
            raise ConfigurationError(N_("Where people work is not known in the browser."))
        return ["variable", node.type.kind, node.name]

    def _linked(self, node: nodes.Linked) -> Json:
        return ["linked", node.type.kind, self.write(node.base), node.target, node.name]

    def _part(self, node: nodes.Part) -> Json:
        return ["part", node.type.kind, self.write(node.base), node.name]

    def _rows(self, node: nodes.Rows) -> Json:
        base = None if node.base is None else self.write(node.base)
        links = node.type.target if node.type.kind == "records" else ""
        target = node.base.type.target if node.base is not None else ""
        return ["rows", node.owner, node.name, node.frame, base, links, target]

    def _each(self, node: nodes.Each) -> Json:
        return ["each", self.write(node.rows), self.write(node.item), node.frame]

    def _rollup(self, node: nodes.Rollup) -> Json:
        item = None if node.item is None else self.write(node.item)
        return ["rollup", node.how, self.write(node.rows), item, node.frame]

    def _call(self, node: nodes.Call) -> Json:
        function = INTERNAL.get(node.name) or self._functions[node.name]
        if not function.in_browser:
            raise ConfigurationError(
                N_("The function {name} does not work in the browser."), name=node.name
            )
        return ["call", node.name, *self._all(node.arguments)]

    def _arithmetic(self, node: nodes.Arithmetic) -> Json:
        return ["arithmetic", node.operator, self.write(node.left), self.write(node.right)]

    def _compare(self, node: nodes.Compare) -> Json:
        return ["compare", node.operator, self.write(node.left), self.write(node.right)]

    def _within(self, node: nodes.Within) -> Json:
        return ["within", self.write(node.item), self.write(node.container)]

    def _empty(self, node: nodes.Empty) -> Json:
        return ["empty", self.write(node.operand)]

    def _logic(self, node: nodes.Logic) -> Json:
        return ["logic", node.operator, *self._all(node.operands)]

    def _choose(self, node: nodes.Choose) -> Json:
        return ["choose", *self._all((node.condition, node.then, node.otherwise))]
