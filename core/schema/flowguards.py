"""Conditions beside each other: which can never hold, which cover each other, what is left over.

Every value that the conditions compare is tried where something can change: at each literal,
beside it, and empty; of a choice each option. The conditions themselves are evaluated there,
so what is said about them is what happens. Parts that cannot be tried like that, such as a
comparison of two fields, are taken as free to be true or false: then nothing is called
impossible that is not.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.expression import Expression, ExpressionError, PlainEnv, Scope, compile_expression, nodes
from core.expression.evaluate import Counted, compile_node
from core.expression.types import BOOLEAN, NUMBER, Type
from core.i18n import N_
from core.schema.draft import Draft
from core.schema.flows import Flow, Step
from core.schema.flowtexts import flow_scope, flows_in_order, own_names, steps_of
from core.schema.model import Field, RecordType, Release
from core.schema.yamlnodes import Node

#: So many combinations of values are tried; where there are more, nothing is said.
MAX_POINTS = 20_000
#: So many examples stand in a note.
_SHOWN = 4
_OTHER_TEXT = "…"

#: One combination of values: what is compared -> its value.
Point = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Guards:
    """What trying all values told about conditions in their order.

    Attributes:
        never: places of those that hold for no values.
        shadowed: of those that hold only where an earlier one does, with those.
        overlaps: (earlier, later, example): both hold.
        left: examples for which none holds.
        is_total: one of them always holds.
    """

    never: tuple[int, ...] = ()
    shadowed: tuple[tuple[int, tuple[int, ...]], ...] = ()
    overlaps: tuple[tuple[int, int, Point], ...] = ()
    left: tuple[Point, ...] = ()
    is_total: bool = False


def examine(conditions: Sequence[Expression], record_type: RecordType) -> Guards | None:
    """Return what values tell about conditions; None where there are too many to try."""
    terms = _Terms(record_type)
    trees = [terms.condition(one.node, one.text) for one in conditions]
    points = terms.points()
    if points is None:
        return None
    runs = [compile_node(tree, one.table) for tree, one in zip(trees, conditions, strict=True)]
    env = PlainEnv()
    rows: list[tuple[Point, tuple[bool, ...]]] = []
    for values in points:
        env.variables = dict(zip(terms.keys(), values, strict=True))
        counted = Counted(env)
        rows.append((env.variables, tuple(bool(run({}, counted)) for run in runs)))
    return _told(terms, rows, len(runs))


def _told(terms: "_Terms", rows: list[tuple[Point, tuple[bool, ...]]], number: int) -> Guards:
    first = [False] * number
    before: dict[int, set[int]] = {}
    both: dict[tuple[int, int], Point] = {}
    left: dict[tuple[str, ...], Point] = {}
    for point, truths in rows:
        held = [at for at, truth in enumerate(truths) if truth]
        if not held:
            shown = terms.shown(point)
            left.setdefault(tuple(map(str, shown.values())), shown)
            continue
        first[held[0]] = True
        for at in held:
            before.setdefault(at, set()).add(held[0])
        for later in held[1:]:
            both.setdefault((held[0], later), terms.shown(point))
    shadowed = [(at, tuple(sorted(found))) for at, found in before.items() if not first[at]]
    return Guards(
        tuple(at for at in range(number) if at not in before),
        tuple(sorted(shadowed)),
        tuple((early, late, point) for (early, late), point in both.items()),
        tuple(left.values()),
        is_total=not left,
    )


@dataclass(slots=True)
class _Term:
    """Something that conditions compare, with the values at which they can change."""

    type: Type
    label: str
    declared: Field | None = None
    values: set[Any] = field(default_factory=set)
    is_free: bool = False


class _Terms:
    """Takes out of conditions what they compare, and says which values are to be tried."""

    def __init__(self, record_type: RecordType) -> None:
        self._type = record_type
        self._terms: dict[str, _Term] = {}
        self._text = ""

    def keys(self) -> list[str]:
        """Return the names under which the values are given."""
        return list(self._terms)

    def condition(self, node: nodes.Node, text: str) -> nodes.Node:
        """Return a condition that reads given values instead of a record."""
        self._text = text
        return self._boolean(node)

    def shown(self, point: Point) -> dict[str, Any]:
        """Return a point without what only stands for something that could not be tried."""
        return {
            self._terms[key].label: value
            for key, value in point.items()
            if not self._terms[key].is_free
        }

    def points(self) -> "itertools.product[tuple[Any, ...]] | None":
        """Return every combination of values, or None where they are too many."""
        lists = [_values(term) for term in self._terms.values()]
        total = 1
        for one in lists:
            total *= len(one)
        return itertools.product(*lists) if total <= MAX_POINTS else None

    # -- what is taken out -------------------------------------------------------------

    def _boolean(self, node: nodes.Node) -> nodes.Node:
        if isinstance(node, nodes.Logic):
            return replace(node, operands=tuple(map(self._boolean, node.operands)))
        if isinstance(node, nodes.Choose):
            parts = (node.condition, node.then, node.otherwise)
            condition, then, otherwise = map(self._boolean, parts)
            return replace(node, condition=condition, then=then, otherwise=otherwise)
        return self._atom(node)

    def _atom(self, node: nodes.Node) -> nodes.Node:
        if isinstance(node, nodes.Literal):
            return node
        if isinstance(node, nodes.Compare):
            return self._compared(node)
        if isinstance(node, nodes.Within) and isinstance(node.container, nodes.Items):
            values = [one.value for one in node.container.items if isinstance(one, nodes.Literal)]
            if len(values) == len(node.container.items):
                return replace(node, item=self._value(node.item, *values))
        if isinstance(node, nodes.Empty) and node.operand.type.kind not in {"rows", "records"}:
            return replace(node, operand=self._value(node.operand))
        if isinstance(node, nodes.Field | nodes.Linked):
            return self._value(node)
        return self._free(node, {True, False})

    def _compared(self, node: nodes.Compare) -> nodes.Node:
        if isinstance(node.right, nodes.Literal):
            return replace(node, left=self._value(node.left, node.right.value))
        if isinstance(node.left, nodes.Literal):
            return replace(node, right=self._value(node.right, node.left.value))
        # Two values: one is less, the same, more, or one of them is empty.
        left, right = self._key(node.left), self._key(node.right)
        turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
        sign = node.operator
        if left > right:
            left, right, sign = right, left, turned.get(sign, sign)
        key = f"{left}\0{right}"
        self._terms.setdefault(
            key, _Term(NUMBER, key, values={Decimal(-1), Decimal(0), Decimal(1)}, is_free=True)
        ).values.add(None)
        place = (node.start, node.end)
        zero = nodes.Literal(NUMBER, *place, Decimal(0))
        return nodes.Compare(BOOLEAN, *place, sign, nodes.Variable(NUMBER, *place, key), zero)

    def _key(self, node: nodes.Node) -> str:
        written = " ".join(self._text[node.start : node.end].split())
        return f"{written}:{node.type.kind}"

    def _value(self, node: nodes.Node, *values: Any) -> nodes.Node:
        """Return a variable in the place of a value, noting what it is compared with."""
        key = self._key(node)
        term = self._terms.get(key)
        if term is None:
            label = key.rpartition(":")[0]
            own = isinstance(node, nodes.Field) and node.frame == 0
            declared = self._type.field(node.name) if own else None  # type: ignore[attr-defined]
            term = self._terms[key] = _Term(node.type, label, declared)
        term.values.update(one for one in values if not isinstance(one, list))
        return nodes.Variable(node.type, node.start, node.end, key)

    def _free(self, node: nodes.Node, values: set[Any]) -> nodes.Node:
        key = self._key(node)
        self._terms.setdefault(key, _Term(node.type, key, values=values, is_free=True))
        return nodes.Variable(node.type, node.start, node.end, key)


def _values(term: _Term) -> list[Any]:
    """Return the values at which conditions on a term can change, the empty one last."""
    if term.is_free:
        return sorted(term.values, key=lambda one: (one is None, one))
    given = {one for one in term.values if one is not None}
    kind = term.type.kind
    if kind == "boolean":
        found: list[Any] = [True, False]
    elif kind == "choice" and term.type.options:
        found = sorted({*term.type.options, *map(str, given)})
    elif kind == "number":
        found = _numbers(given, term)
    elif kind in {"date", "datetime"}:
        found = _days(given)
    elif kind == "duration" or not all(isinstance(one, str) for one in given):
        found = sorted(given)
    else:
        found = [*sorted(given), _OTHER_TEXT]
    is_there = term.declared is not None and term.declared.required
    return found if is_there else [*found, None]


def _numbers(given: set[Any], term: _Term) -> list[Decimal]:
    """Return the numbers that are compared with, and one between and beside each two."""
    literals = sorted({Decimal(one) for one in given})
    if not literals:
        return [Decimal(0), Decimal(1)]
    declared = term.declared
    whole = declared is not None and declared.type in {"integer", "rating"}
    step = Decimal(1) if whole else _step(literals)
    found = {value + way * step for value in literals for way in (-1, 0, 1)}
    least = Decimal(declared.min) if declared is not None and declared.min else None
    most = Decimal(declared.max) if declared is not None and declared.max else None
    # Ends of the range are tried too: something may hold only there.
    found |= {end for end in (least, most) if end is not None}
    return sorted(
        one for one in found if (least is None or one >= least) and (most is None or one <= most)
    )


def _step(literals: list[Decimal]) -> Decimal:
    """Return a step smaller than half of any distance between numbers, such as 0.01."""
    gaps = [after - before for before, after in itertools.pairwise(literals)]
    digits = max(-int(one.as_tuple().exponent) for one in literals)
    step = Decimal(1).scaleb(-max(digits, 0))
    while gaps and step * 2 >= min(gaps):
        step /= 10
    return step


def _days(given: set[Any]) -> list[date | datetime]:
    day = timedelta(days=1)
    return sorted({one + way * day for one in given for way in (-1, 0, 1)})


# -- what is said of a flow -----------------------------------------------------------------------


def _conditions(texts: Sequence[str], scope: Scope) -> list[Expression] | None:
    try:
        return [compile_expression(own_names(one), scope, expect="boolean") for one in texts]
    except ExpressionError:
        return None  # told at the expression itself


def check_branches(draft: Draft, flow: Flow, node: Node, scope: Scope) -> None:
    """Note cases that can never be taken, and an `else` with steps that is never reached."""
    document = draft.types[flow.document]
    for path, step in steps_of(flow):
        if step.type not in {"branch", "inclusive"}:
            continue
        conditions = _conditions([one.when for one in step.cases], scope)
        found = examine(conditions, document) if conditions else None
        if found is None:
            continue
        place = node.at(*path)
        for at in found.never:
            text = N_("This never holds, so its steps are unreachable.")
            draft.add(place.at("cases", at, "when"), "unreachable", text)
        for at, others in found.shadowed if step.type == "branch" else ():
            text = N_("Whenever this holds, case {number} goes first: its steps are unreachable.")
            number = ", ".join(str(one + 1) for one in others)
            draft.add(place.at("cases", at, "when"), "unreachable", text, number=number)
        if found.is_total and step.else_:
            text = N_("One of the cases always holds, so these steps are unreachable.")
            draft.add(place.at("else"), "unreachable", text)


def check_choice(draft: Draft, document: str) -> None:
    """Note flows of a document that are never chosen, since others go first."""
    flows = flows_in_order(draft.flows, document)
    record_type = draft.types.get(document)
    if record_type is None or len(flows) < 2:  # noqa: PLR2004  one has nobody before it
        return
    found: list[Expression] = []
    for flow in flows:
        scope = flow_scope(draft.types, flow, {})
        condition = _conditions([flow.when or "true"], scope)
        if condition is None:
            return
        found += condition
    told = examine(found, record_type)
    if told is None:
        return
    shadowed = dict(told.shadowed)
    for at, flow in enumerate(flows):
        node = draft.nodes[f"flow {flow.flow}"]
        if at not in shadowed and at not in told.never:
            continue
        if at in told.never:
            text = N_("This never holds, so the flow is never chosen.")
            draft.add(node.at("when"), "unreachable", text)
            continue
        other = ", ".join(flows[one].flow for one in shadowed[at])
        text = N_(
            "The flow {other} goes first and holds whenever this one does: it is never chosen. "
            "Give it a condition in `when`, or a lower `order`."
        )
        place = node.at("when") if flow.when else node.at("flow")
        draft.add(place, "unreachable", text, other=other)


@dataclass(frozen=True, slots=True)
class GuardNote:
    """Something worth knowing about the cases of a step, which is no mistake.

    Attributes:
        kind: `left` (values that no case takes) or `overlap` (several cases hold).
        cases: of an overlap, the numbers of both cases, from 1.
        examples: such values: what is compared -> its value, None for empty.
    """

    flow: str
    step: str
    kind: str
    cases: tuple[int, ...]
    examples: tuple[Point, ...]


def guard_notes(release: Release, flow: Flow) -> Iterator[GuardNote]:
    """Yield what the cases of a flow's steps leave over and where they overlap."""
    scope = flow_scope(release.types, flow, release.flows)
    document = release.types[flow.document]
    for _, step in steps_of(flow):
        if step.type in {"branch", "inclusive"}:
            yield from _notes(flow, step, scope, document)


def _notes(flow: Flow, step: Step, scope: Scope, document: RecordType) -> Iterator[GuardNote]:
    conditions = _conditions([one.when for one in step.cases], scope)
    found = examine(conditions, document) if conditions else None
    if found is None:
        return
    if found.left and found.left[0]:
        # Whoever forgets a value forgets the empty one: it comes first.
        left = sorted(found.left, key=lambda one: all(value is not None for value in one.values()))
        yield GuardNote(flow.flow, step.id, "left", (), tuple(left[:_SHOWN]))
    if step.type == "branch":
        for early, late, example in found.overlaps:
            yield GuardNote(flow.flow, step.id, "overlap", (early + 1, late + 1), (example,))
