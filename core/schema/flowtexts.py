"""Every expression and every field name of a flow: where it stands and what it can see.

Expressions of flows see the document's fields with or without `doc.` before them, beside
them `initiator`, the id of who submitted it, and in a subflow `item`, what its run is for.
"""

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from core.expression import Expression, ExpressionError, Scope, compile_expression
from core.expression.lexer import Token, tokenize
from core.expression.types import ANY, TEXT, Type
from core.schema.automationtexts import rename_action, texts_of_action
from core.schema.flows import BLOCKS, Flow, Step
from core.schema.holetexts import Renaming
from core.schema.model import RecordType, Release
from core.schema.scopes import VARIABLES, scope_in

Tree = MutableMapping[str, Any]

#: What an expression of a flow must give.
Use = Literal["condition", "place", "person", "people", "value", "list", "moment"]

#: Words that stand where an expression could, and mean somebody.
WHO = frozenset({"initiator", "seat"})
#: Takes the place of `doc.` while a text is looked at; no file can hold it.
_BLANK = "\t\r\t\r"


def own_names(text: str) -> str:
    """Return an expression without the `doc.` before names of the document.

    >>> own_names("doc.rate < 0.7 and doc.note != 'doc.rate'")
    "rate < 0.7 and note != 'doc.rate'"
    """
    return _without_prefix(text, "")


def placed_names(text: str) -> str:
    """Return the same with blanks for each `doc.`, so that everything stands where it stood."""
    return _without_prefix(text, "    ")


def _without_prefix(text: str, instead: str) -> str:
    for token in reversed(_prefixes(text)):
        text = text[: token.start] + instead + text[token.start + len("doc.") :]
    return text


def _prefixes(text: str) -> list[Token]:
    """Return the tokens `doc` that only say that a name of the document follows."""
    if "doc." not in text:
        return []
    try:
        tokens = tokenize(text)
    except ExpressionError:
        return []  # it is told when the expression is compiled
    found = []
    for at, token in enumerate(tokens[:-1]):
        is_name = token.kind == "name" and text[token.start : token.end + 1] == "doc."
        before = tokens[at - 1].value if at else ""
        if is_name and before != ".":
            found.append(token)
    return found


def flow_scope(types: Mapping[str, RecordType], flow: Flow, flows: Mapping[str, Flow]) -> Scope:
    """Return what the expressions of a flow can see.

    Args:
        types: the record types.
        flow: the flow.
        flows: all flows, of which some may walk this one as a subflow.
    """
    scope = scope_in(types, flow.document)
    variables = {**VARIABLES, "initiator": TEXT}
    items = [
        _item_type(types, other, step)
        for other in flows.values()
        for _, step in steps_of(other)
        if step.type == "subflow" and step.flow == flow.flow
    ]
    if items:
        variables["item"] = items[0] if all(one == items[0] for one in items) else ANY
    return replace(scope, variables=variables)


def _item_type(types: Mapping[str, RecordType], flow: Flow, step: Step) -> Type:
    """Return the type of what the runs of a subflow step are for."""
    scope = replace(
        scope_in(types, flow.document), variables={**VARIABLES, "initiator": TEXT, "item": ANY}
    )
    try:
        return element_type(compile_list(step.each, scope))
    except ExpressionError:
        return ANY


def compile_list(text: str, scope: Scope) -> Expression:
    """Return an expression that gives a list: of choices, of links, of rows, `lines.store`.

    Raises:
        ExpressionError: it is wrong, or gives no list.
    """
    return compile_expression(placed_names(text), scope, expect="list")


def element_type(listed: Expression) -> Type:
    """Return the type of what is in a list."""
    found = listed.type
    if found.kind == "records":
        return Type("record", target=found.target)
    if found.kind == "rows":
        return Type("structure", target=found.target, fields=found.fields)
    if found.kind == "choices":
        return Type("choice", options=found.options) if found.options else TEXT
    return found.element or ANY


def steps_of(flow: Flow) -> Iterator[tuple[tuple[str | int, ...], Step]]:
    """Yield every step of a flow with its path in the file, a block before what it holds."""
    yield from _below(flow.steps, ("steps",))


def _below(
    steps: tuple[Step, ...], path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Step]]:
    for at, step in enumerate(steps):
        here = (*path, at)
        yield here, step
        if step.type in BLOCKS:
            for number, case in enumerate(step.cases):
                yield from _below(case.steps, (*here, "cases", number, "steps"))
            for number, lane in enumerate(step.lanes):
                yield from _below(lane.steps, (*here, "lanes", number, "steps"))
            yield from _below(step.else_ or (), (*here, "else"))


def subflows_of(flows: Mapping[str, Flow], flow: Flow) -> dict[str, Flow]:
    """Return every flow that a flow may walk, directly or below another, by name."""
    found: dict[str, Flow] = {}
    waiting = [flow]
    while waiting:
        for _, step in steps_of(waiting.pop()):
            if step.type == "subflow" and step.flow not in found:
                found[step.flow] = flows[step.flow]
                waiting.append(found[step.flow])
    return found


def flows_in_order(flows: Mapping[str, Flow], document: str) -> list[Flow]:
    """Return the flows that a document may be sent on, in the order in which they are tried.

    A flow that others walk as their subflow is not sent on by itself.
    """
    walked = {step.flow for one in flows.values() for _, step in steps_of(one) if step.flow}
    found = [one for one in flows.values() if one.document == document and one.flow not in walked]
    return sorted(found, key=lambda one: (one.order, one.flow))


@dataclass(frozen=True, slots=True)
class FlowText:
    """An expression of a flow.

    Attributes:
        holder: the mapping or list that it stands in.
        key: under which key, or at which place.
        path: from the flow's first mapping.
        use: what it must give.
    """

    holder: Any
    key: str | int
    path: tuple[str | int, ...]
    use: Use

    @property
    def text(self) -> str:
        """Return the expression as it is written."""
        return str(self.holder[self.key])


def texts_of(tree: Tree) -> Iterator[FlowText]:
    """Yield every expression of a flow's document but those of actions and outcomes."""
    ids = {str(step.get("id", "")) for _, step in _steps(tree, ("steps",), "steps")}
    yield from _held(tree, (), {"when": "condition"})
    yield from _held(_map(tree, "start"), ("start",), {"require": "condition"})
    yield from _sources(_map(tree, "start"), ("start",), ids, "by")
    yield from _held(_map(tree, "at_apply"), ("at_apply",), {"conflict_key": "value"})
    yield from _people(tree, (), ids)
    for path, step in _steps(tree, ("steps",), "steps"):
        yield from _held(step, path, {"each": "list", "until": "moment"})
        for at, case in enumerate(_maps(step, "cases")):
            yield from _held(case, (*path, "cases", at), {"when": "condition"})
        yield from _held(_map(step, "queue"), (*path, "queue"), {"risk": "value"})
        yield from _sources(step, path, ids, "approvers", "to")
        yield from _people(step, path, ids)
        for name, seat in _map(step, "seats").items():
            if isinstance(seat, MutableMapping):
                yield from _sources(seat, (*path, "seats", name), ids, "approvers")
        for at, rung in enumerate(_maps(step, "due")):
            yield from _sources(rung, (*path, "due", at), ids, "to")


def _people(holder: Tree, path: tuple[str | int, ...], ids: set[str]) -> Iterator[FlowText]:
    people = _map(holder, "people")
    for key in ("empty", "vacant"):
        yield from _sources(_map(people, key), (*path, "people", key), ids, "to")


def _sources(
    holder: Tree, path: tuple[str | int, ...], ids: set[str], *keys: str
) -> Iterator[FlowText]:
    """Yield the expressions of the sources of people under some keys."""
    for key in keys:
        found = holder.get(key)
        if isinstance(found, MutableMapping):
            yield from _source(found, (*path, key), ids)
        elif isinstance(found, MutableSequence | tuple):
            for at, one in enumerate(found):
                if isinstance(one, MutableMapping):
                    yield from _source(one, (*path, key, at), ids)


def _source(source: Tree, path: tuple[str | int, ...], ids: set[str]) -> Iterator[FlowText]:
    words = WHO | ids
    for key in ("manager_of", "chain_of"):
        if source.get(key) and str(source[key]) not in words:
            yield FlowText(source, key, (*path, key), "person")
    if source.get("at") and str(source["at"]) not in WHO:
        yield FlowText(source, "at", (*path, "at"), "place")
    yield from _held(source, path, {"expr": "people"})
    inputs = source.get("in")
    if isinstance(inputs, MutableSequence | tuple):
        for at in range(len(inputs)):
            yield FlowText(inputs, at, (*path, "in", at), "value")
    yield from _sources(source, path, ids, "among")


def _held(
    holder: Tree, path: tuple[str | int, ...], keys: Mapping[str, Use]
) -> Iterator[FlowText]:
    for key, use in keys.items():
        if holder.get(key):
            yield FlowText(holder, key, (*path, key), use)


def _steps(
    holder: Tree, path: tuple[str | int, ...], key: str
) -> Iterator[tuple[tuple[str | int, ...], Tree]]:
    """Yield every step under `key` of a document, with its path."""
    for at, step in enumerate(_maps(holder, key)):
        here = (*path, at)
        yield here, step
        for block in ("cases", "lanes"):
            for number, strand in enumerate(_maps(step, block)):
                yield from _steps(strand, (*here, block, number, "steps"), "steps")
        yield from _steps(step, (*here, "else"), "else")


def _map(holder: Tree, key: str) -> Tree:
    found = holder.get(key)
    return found if isinstance(found, MutableMapping) else {}


def _maps(holder: Tree, key: str) -> list[Tree]:
    found = holder.get(key)
    if not isinstance(found, MutableSequence | tuple):
        return []
    return [one for one in found if isinstance(one, MutableMapping)]


# -- what a flow names ------------------------------------------------------------------------


def named_fields(tree: Tree) -> Iterator[tuple[Any, str | int]]:
    """Yield (holder, key or place) of every field that a flow names outside expressions."""
    yield from _places(tree.get("subject"))
    overlap = _map(_map(tree, "at_apply"), "no_overlap")
    if overlap.get("of"):
        yield overlap, "of"
    yield from _places(overlap.get("during"))
    for _, step in _steps(tree, ("steps",), "steps"):
        for names in _map(step, "fields").values():
            yield from _places(names)
    for source in _every_source(tree):
        if source.get("field"):
            yield source, "field"


def _places(names: Any) -> Iterator[tuple[Any, int]]:
    if isinstance(names, MutableSequence | tuple):
        yield from ((names, at) for at in range(len(names)))


def _every_source(tree: Any) -> Iterator[Tree]:
    """Yield every mapping below that names people by a field; nothing else has this key."""
    if isinstance(tree, MutableMapping):
        if isinstance(tree.get("field"), str):
            yield tree
        for key, below in tree.items():
            if key not in {"tests", "outcome", "actions"}:
                yield from _every_source(below)
    elif isinstance(tree, MutableSequence | tuple):
        for one in tree:
            yield from _every_source(one)


def words_of(flow: Flow) -> Iterator[str]:
    """Yield every text of a flow that may name a field or an option, to find its uses."""
    tree: Tree = msgspec.to_builtins(flow)
    yield from (own_names(one.text) for one in texts_of(tree))
    yield from (str(holder[key]).partition("@")[0] for holder, key in named_fields(tree))
    overlap = flow.at_apply.no_overlap
    for values in (*(one.set for one in flow.outcome.values()), overlap.among if overlap else {}):
        for name, value in values.items():
            yield name
            yield own_names(str(value))
    for _, step in steps_of(flow):
        for action in step.actions:
            yield from action.values
            yield from (own_names(text) for _, text in texts_of_action(action))


# -- renames ----------------------------------------------------------------------------------


def rename_in_flow(tree: Tree, release: Release, renames: Renaming) -> None:
    """Change every mention of what is renamed in the document of a flow.

    Args:
        tree: the document.
        release: the schema in which everything still has its old name.
        renames: the names that change.
    """
    name = str(tree.get("document", ""))
    name = next((old for old, new in renames.types.items() if new == name), name)
    known = release.flows.get(str(tree.get("flow", "")))
    if release.type(name) is not None:
        flow = known or Flow(flow="", version=1, document=name, steps=())
        scope = flow_scope(release.types, flow, release.flows)
        _Rename(release, name, scope, renames).run(tree)
    if tree.get("document") in renames.types:
        tree["document"] = renames.types[tree["document"]]


@dataclass(frozen=True, slots=True)
class _Rename:
    """Changes the names in one flow."""

    release: Release
    name: str
    scope: Scope
    renames: Renaming

    def run(self, tree: Tree) -> None:
        for one in list(texts_of(tree)):
            one.holder[one.key] = self._text(one.holder[one.key])
        for holder, key in list(named_fields(tree)):
            written, sign, seat = str(holder[key]).partition("@")
            prefix = "doc." if written.startswith("doc.") else ""
            new = self.renames.fields.get((self.name, written.removeprefix(prefix)))
            if new is not None:
                holder[key] = f"{prefix}{new}{sign}{seat}"
        self._values(_map(_map(_map(tree, "at_apply"), "no_overlap"), "among"))
        for ending in _map(tree, "outcome").values():
            self._values(_map(ending, "set"))
        for _, step in _steps(tree, ("steps",), "steps"):
            for action in _maps(step, "actions"):
                self._action(action)
        for test in _maps(tree, "tests"):
            self._doc(_map(test, "doc"), self.name)
            done = test.get("do")
            for holder, at in _places(done):
                holder[at] = self._edit(str(holder[at]))

    def _text(self, text: Any) -> Any:
        """Return an expression with its names changed and each `doc.` where it was."""
        blanked = _without_prefix(str(text), _BLANK)
        renamed = str(self.renames.expression(blanked, self.scope))
        return text if renamed == blanked else renamed.replace(_BLANK, "doc.")

    def _values(self, values: Tree) -> None:
        """Change what an outcome sets: options and expressions, then the fields' names."""
        for key in list(values):
            chosen = self.renames.options.get((self.name, key, str(values[key])))
            values[key] = self._text(values[key]) if chosen is None else chosen
        self._keys(values, self.name)

    def _keys(self, values: Tree, owner: str) -> None:
        for key in list(values):
            new = self.renames.fields.get((owner, str(key)))
            if new is not None:
                values[new] = values.pop(key)

    def _action(self, action: Tree) -> None:
        written = str(action.get("type", "")) if action.get("do") == "create" else ""
        if action.get("do") == "set":
            written = self._linked(str(action.get("record", "")))
        rename_action(action, self.scope, self.renames, written=written)
        new = self.renames.fields.get((self.name, str(action.get("record", ""))))
        if new is not None:
            action["record"] = new
        if action.get("type") in self.renames.types:
            action["type"] = self.renames.types[action["type"]]

    def _linked(self, link: str) -> str:
        owner = self.release.types[self.name]
        found = owner.field(link) if link else None
        return self.name if not link else found.target if found is not None else ""

    def _doc(self, values: Tree, owner: str) -> None:
        """Change the names and options in the values of a test's document, rows included."""
        for key, value in values.items():
            for row in value if isinstance(value, MutableSequence) else ():
                if isinstance(row, MutableMapping):
                    self._doc(row, f"{owner}.{key}")
            chosen = self.renames.options.get((owner, str(key), str(value)))
            if chosen is not None:
                values[key] = chosen
        self._keys(values, owner)

    def _edit(self, done: str) -> str:
        """Return `edit FIELD=VALUE` of a test with the field's new name."""
        verb, _, rest = done.partition(" ")
        field, sign, value = rest.partition("=")
        if verb != "edit" or not sign:
            return done
        table, dot, column = field.strip().partition(".")
        changed = self.renames.options.get((self.name, table, value.strip()))
        new = self.renames.fields.get((self.name, table), table)
        if dot:
            owner = f"{self.name}.{table}"
            changed = self.renames.options.get((owner, column, value.strip()))
            column = self.renames.fields.get((owner, column), column)
        if (new, column) == (table, field.strip().partition(".")[2]) and changed is None:
            return done
        return f"{verb} {new}{dot}{column}={value if changed is None else changed}"


__all__ = [
    "WHO",
    "FlowText",
    "compile_list",
    "element_type",
    "flow_scope",
    "flows_in_order",
    "named_fields",
    "own_names",
    "placed_names",
    "rename_in_flow",
    "steps_of",
    "subflows_of",
    "texts_of",
    "words_of",
]
