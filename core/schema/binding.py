"""From a YAML tree to the plain values of a model, with every problem and its place.

The model's own annotations say which keys exist and what they hold. Scalars
are read as what the key needs: `12:00`, `NO` and `1.10` stay the text they
are where text is expected.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from core.errors import Problem
from core.expression.types import nearest
from core.i18n import N_
from core.schema import automations, model
from core.schema.accountkinds import AccountKind
from core.schema.calendars import BusinessCalendar
from core.schema.dashboards import Dashboard
from core.schema.decisiontables import DecisionTable
from core.schema.flowpeople import Source
from core.schema.flows import Flow
from core.schema.prints import Print
from core.schema.yamlnodes import Node

MAX_TEXT = 2_000
_INTEGER = re.compile(r"-?[0-9]{1,15}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,8})?")
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

#: Least and greatest value of whole-number keys.
RANGES: Mapping[str, tuple[int, int]] = {
    "precision": (0, 10),
    "min_length": (0, 100_000),
    "max_length": (1, 100_000),
    "min_rows": (0, 10_000),
    "max_rows": (1, 10_000),
    "max_count": (1, 100),
    "version": (1, 1_000_000),
    "days": (-3_650, 3_650),
    "times": (0, 20),
    "wait": (1, 3_600),
    "level": (1, 20),
    "quorum": (1, 200),
    "order": (-1_000, 1_000),
    "priority": (-1_000, 1_000),
    "rounds_max": (0, 100),
    "after": (0, 1_200),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a model is written in YAML, where that differs from its annotations.

    Attributes:
        hidden: attributes that the product finds and nobody writes.
        extra: further text keys.
        extra_lists: further keys that hold lists of texts.
    """

    hidden: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()
    extra_lists: frozenset[str] = frozenset()


SHAPES: Mapping[type, Shape] = {
    model.Field: Shape(
        hidden=frozenset({"layer", "result", "stored", "archived_fields"}),
        extra=frozenset({"was"}),
    ),
    Source: Shape(hidden=frozenset({"matrix"})),
    model.RecordType: Shape(
        hidden=frozenset(
            {"name", "layer", "archived_fields", "archived", "conversions", "former"}
        ),
        extra=frozenset({"record_type", "extend", "customize", "was"}),
        extra_lists=frozenset({"archive"}),
    ),
    DecisionTable: Shape(hidden=frozenset({"layer"})),
    Flow: Shape(hidden=frozenset({"layer"})),
    automations.Automation: Shape(hidden=frozenset({"layer", "since"})),
    Print: Shape(hidden=frozenset({"layer"})),
    Dashboard: Shape(hidden=frozenset({"layer"})),
    BusinessCalendar: Shape(hidden=frozenset({"layer"})),
    AccountKind: Shape(hidden=frozenset({"layer"})),
}


@cache
def keys_of(kind: type) -> Mapping[str, inspect.Type]:
    """Return the keys that YAML may have for a model, with what each holds."""
    shape = SHAPES.get(kind, Shape())
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)  # noqa: S101  for the type checker
    keys = {one.encode_name: one.type for one in info.fields if one.name not in shape.hidden}
    text = inspect.type_info(str)
    texts = inspect.type_info(tuple[str, ...])
    return {
        **dict.fromkeys(shape.extra, text),
        **dict.fromkeys(shape.extra_lists, texts),
        **keys,
    }


@cache
def required_keys(kind: type) -> frozenset[str]:
    """Return the keys that a model must have; a field's id is found when it is missing."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)  # noqa: S101  for the type checker
    needed = {one.encode_name for one in info.fields if one.required}
    hidden = SHAPES.get(kind, Shape()).hidden
    return frozenset(needed - hidden - ({"id"} if kind is model.Field else set()))


#: Up to so many problems say what was probably meant.
_HINTED = 100


@dataclass(slots=True)
class Binder:
    """Reads nodes as values and collects what is wrong.

    Attributes:
        problems: grows while reading.
        partial: models whose required keys may be missing here, because the node only
            changes something that exists.
    """

    problems: list[Problem] = field(default_factory=list)
    partial: frozenset[type] = frozenset()

    def struct(self, node: Node, kind: type, path: str = "") -> dict[str, Any]:
        """Return the values of a mapping read as `kind`; bad ones are left out."""
        if not self._expect(node, "map", path):
            return {}
        keys = keys_of(kind)
        values = {}
        for name, below in node.entries.items():
            where = f"{path}.{name}" if path else name
            if name not in keys:
                self._unknown_key(node.keys[name], name, keys, where)
                continue
            value = self.value(below, keys[name], where)
            if value is not msgspec.UNSET:
                values[name] = value
        if kind not in self.partial:
            for name in sorted(required_keys(kind) - node.entries.keys()):
                self.problems.append(
                    node.problem("missing", N_("“{key}” is missing."), path, key=name)
                )
        return values

    def value(self, node: Node, kind: inspect.Type, path: str) -> Any:
        """Return what a node holds, read as `kind`; UNSET when it cannot be.

        Raises:
            TypeError: the model has a type that YAML cannot hold.
        """
        reader = _READERS.get(type(kind))
        if reader is None:
            raise TypeError(f"the model has a type that YAML cannot hold: {kind}")
        return reader(self, node, kind, path)

    def wrong(self, node: Node, code: str, text: str, path: str, **params: Any) -> Any:
        """Note a problem and return UNSET."""
        self.problems.append(node.problem(code, text, path, **params))
        return msgspec.UNSET

    def _unknown_key(self, node: Node, name: str, keys: Mapping[str, Any], path: str) -> None:
        # Who has that many problems is not helped by guesses, which cost the most.
        hint = nearest(name, keys) if len(self.problems) < _HINTED else ""
        if hint:
            text = N_("There is no key “{key}” here; “{hint}”?")
            self.wrong(node, "unknown_key", text, path, key=name[:80], hint=hint)
        else:
            text = N_("There is no key “{key}” here.")
            self.wrong(node, "unknown_key", text, path, key=name[:80])

    def _expect(self, node: Node, kind: str, path: str) -> bool:
        if node.kind != kind:
            self.wrong(node, "bad_type", _KINDS[kind], path)
        return node.kind == kind

    def text(self, node: Node, kind: inspect.Type, path: str) -> Any:  # noqa: ARG002  a reader
        """Read a text."""
        if not self._expect(node, "scalar", path):
            return msgspec.UNSET
        if node.is_null:
            return self.wrong(node, "empty_value", N_("A value is missing here."), path)
        if len(node.text) > MAX_TEXT:
            return self.wrong(
                node, "too_long", N_("At most {limit} characters."), path, limit=MAX_TEXT
            )
        return node.text

    def truth(self, node: Node, kind: inspect.Type, path: str) -> Any:  # noqa: ARG002  a reader
        """Read true or false."""
        if node.kind != "scalar" or node.text not in _TRUTH:
            return self.wrong(node, "bad_type", N_("This must be true or false."), path)
        return _TRUTH[node.text]

    def integer(self, node: Node, kind: inspect.Type, path: str) -> Any:  # noqa: ARG002  a reader
        """Read a whole number within the range of its key."""
        if node.kind != "scalar" or not _INTEGER.fullmatch(node.text):
            return self.wrong(node, "bad_type", N_("This must be a whole number."), path)
        number = int(node.text)
        least, most = RANGES.get(path.rpartition(".")[2], (-(10**15), 10**15))
        if not least <= number <= most:
            text = N_("This must be between {least} and {most}.")
            return self.wrong(node, "out_of_range", text, path, least=least, most=most)
        return number

    def literal(self, node: Node, kind: inspect.LiteralType, path: str) -> Any:
        """Read one of a few words or numbers."""
        words = {str(value): value for value in kind.values if value != ""}
        if node.kind == "scalar" and node.text in words:
            return words[node.text]
        expected = ", ".join(words)
        text = N_("This must be one of: {expected}.")
        return self.wrong(node, "not_one_of", text, path, expected=expected)

    def anything(self, node: Node, kind: inspect.Type, path: str) -> Any:
        """Read a value whose type another key decides: scalars stay text."""
        if node.kind == "list":
            return [self.anything(one, kind, f"{path}.{at}") for at, one in enumerate(node.items)]
        if node.kind == "map":
            return {name: self.anything(one, kind, path) for name, one in node.entries.items()}
        return None if node.is_null else node.text

    def tuple_(self, node: Node, kind: inspect.VarTupleType, path: str) -> Any:
        """Read a list."""
        if not self._expect(node, "list", path):
            return msgspec.UNSET
        values = [
            self.value(one, kind.item_type, f"{path}.{at}") for at, one in enumerate(node.items)
        ]
        return [value for value in values if value is not msgspec.UNSET]

    def mapping(self, node: Node, kind: inspect.DictType, path: str) -> Any:
        """Read a mapping with keys of one kind; one of text to text is a label or conditions."""
        if node.kind == "scalar" and path.rpartition(".")[2] in LABEL_KEYS:
            text = N_("Write it by language, such as {example}.")
            return self.wrong(node, "bad_type", text, path, example=_LABEL)
        if not self._expect(node, "map", path):
            return msgspec.UNSET
        values = {}
        for name, below in node.entries.items():
            if isinstance(kind.key_type, inspect.LiteralType) and name not in kind.key_type.values:
                self._unknown_key(
                    node.keys[name], name, dict.fromkeys(map(str, kind.key_type.values)), path
                )
                continue
            value = self.value(below, kind.value_type, f"{path}.{name}")
            if value is not msgspec.UNSET:
                values[name] = value
        if path.rpartition(".")[2] in LABEL_KEYS:
            self._check_languages(node, path)
        return values

    def _check_languages(self, node: Node, path: str) -> None:
        for name, key in node.keys.items():
            if not _LANGUAGE.fullmatch(name):
                text = N_("“{key}” is not a language such as zh or en.")
                self.wrong(key, "language", text, path, key=name[:80])

    def nested(self, node: Node, kind: inspect.StructType, path: str) -> Any:
        """Read a model inside a model."""
        if node.kind != "map":
            self._expect(node, "map", path)
            return msgspec.UNSET
        return self.struct(node, kind.cls, path)

    def union(self, node: Node, kind: inspect.UnionType, path: str) -> Any:
        """Read a value that may be null, or that is written in more than one shape."""
        choices = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if node.is_null and len(choices) < len(kind.types):
            return None
        if len(choices) > 1:
            choices = [one for one in choices if _SHAPE_OF[type(one)] == node.kind] or choices
        return self.value(node, choices[0], path)


#: How each type of value is written, to tell the shapes of a union apart.
_SHAPE_OF: Mapping[type, str] = {
    inspect.StrType: "scalar",
    inspect.LiteralType: "scalar",
    inspect.VarTupleType: "list",
    inspect.StructType: "map",
    inspect.DictType: "map",
}


#: Keys whose mapping is a text in several languages.
LABEL_KEYS = frozenset(
    [
        "label",
        "label_plural",
        "description",
        "help",
        "placeholder",
        "unit",
        "message",
        "title",
        "body",
        "tab",
        "error",
        "warn",
        "heading",
        "text",
    ]
)

_LABEL = "{zh: 会员, en: Member}"
_KINDS = {
    "scalar": N_("This must be text."),
    "list": N_("This must be a list."),
    "map": N_("This must be keys with values."),
}

_READERS: Mapping[type, Callable[..., Any]] = {
    inspect.StrType: Binder.text,
    inspect.BoolType: Binder.truth,
    inspect.IntType: Binder.integer,
    inspect.LiteralType: Binder.literal,
    inspect.AnyType: Binder.anything,
    inspect.VarTupleType: Binder.tuple_,
    inspect.DictType: Binder.mapping,
    inspect.StructType: Binder.nested,
    inspect.UnionType: Binder.union,
}
