"""YAML text as a small tree that knows the place of everything, within fixed bounds.

The tree is built from the parser's events as they come, so that a hostile file
is refused while it is read and never exists in memory as a whole. Scalars stay
text: what they mean is the model's business, not YAML's. Aliases, anchors,
merge keys and tags are refused; that is what makes a small file big.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from core.errors import Problem
from core.i18n import N_

MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
MAX_NODES = 10_000
MAX_KEYS = 1_000
MAX_LINE = 4_000

#: Files up to this length are remembered as trees; that holds all that are shipped.
_REMEMBERED = 16 * 1024

_BAD = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Source:
    """One YAML file.

    Attributes:
        layer: `core`, a plugin's name, or `site`.
        path: the name of the file in messages.
        text: what it holds; bytes when nobody has decoded it yet.
    """

    layer: str
    path: str
    text: str | bytes


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a list or a mapping, and where it stands.

    Attributes:
        kind: which of the three it is.
        text: a scalar's text.
        plain: whether a scalar stands without quotes, on one line.
        items: a list's nodes.
        entries: a mapping's nodes by key.
        keys: the nodes of a mapping's keys.
    """

    kind: str
    source: Source
    line: int
    column: int
    text: str = ""
    plain: bool = False
    block: bool = False
    items: list["Node"] = field(default_factory=list)
    entries: dict[str, "Node"] = field(default_factory=dict)
    keys: dict[str, "Node"] = field(default_factory=dict)

    @property
    def is_null(self) -> bool:
        """Return whether it is an unquoted null."""
        return self.plain and self.text in {"", "~", "null", "Null", "NULL"}

    def get(self, key: str) -> "Node | None":
        """Return the node of a mapping's key, or None."""
        return self.entries.get(key)

    def word(self, key: str) -> str:
        """Return the text of the scalar under `key`, or an empty text."""
        found = self.entries.get(key)
        return found.text if found is not None and found.kind == "scalar" else ""

    def listed(self, key: str) -> list["Node"]:
        """Return the nodes of the list under `key`, or an empty list."""
        found = self.entries.get(key)
        return found.items if found is not None and found.kind == "list" else []

    def at(self, *path: str | int) -> "Node":
        """Return the node at `path`, or the nearest one above it that exists."""
        here = self
        for step in path:
            below = None
            if isinstance(step, int) and step < len(here.items):
                below = here.items[step]
            elif isinstance(step, str):
                below = here.entries.get(step)
            if below is None:
                return here
            here = below
        return here

    def copy(self) -> "Node":
        """Return the same tree made of new nodes."""
        return Node(
            self.kind,
            self.source,
            self.line,
            self.column,
            self.text,
            self.plain,
            self.block,
            [one.copy() for one in self.items],
            {key: one.copy() for key, one in self.entries.items()},
            dict(self.keys),
        )

    def problem(self, code: str, text: str, path: str = "", **params: Any) -> Problem:
        """Return a problem at this place."""
        return Problem(
            path,
            f"schema.{code}",
            text,
            params,
            file=self.source.path,
            line=self.line,
            column=self.column,
        )


class Refused(Exception):
    """The text is not read further."""

    def __init__(self, problem: Problem) -> None:
        """Carry the problem that ended it."""
        super().__init__(str(problem))
        self.problem = problem


def read_node(source: Source) -> tuple[Node | None, list[Problem]]:
    """Return the tree of a YAML text, None when it cannot be read, and all problems."""
    if len(source.text) > _REMEMBERED:
        return _read(source)
    node, problems = _read_before(source)
    return node and node.copy(), list(problems)


@lru_cache(maxsize=64)
def _read_before(source: Source) -> tuple[Node | None, list[Problem]]:
    """Return what reading gave: a draft changes one file, and all of them are laid over it."""
    return _read(source)


def _read(source: Source) -> tuple[Node | None, list[Problem]]:
    problems: list[Problem] = []
    try:
        text = _decoded(source)
        return _Reader(source, problems).read(text), problems
    except Refused as refusal:
        problems.append(refusal.problem)
    except MarkedYAMLError as error:
        problems.append(_syntax_problem(source, error))
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # The library's scanner trips over a few broken texts; they are broken all the same.
        problems.append(
            _place(source, 1, 1).problem("yaml", _NOT_YAML, reason=type(error).__name__)
        )
    return None, problems


_NOT_YAML = N_("This is not YAML: {reason}.")


def _place(source: Source, line: int, column: int) -> Node:
    return Node("scalar", source, line, column)


#: What the library says -> what a person can do about it.
_ADVICE = {
    r"character '\\t'": N_("Indent with spaces; this is a tab."),
    r"expected ',' or '([}\]])'": N_("A comma or a closing {found} is missing before this."),
    r"expected <block end>": N_("This is not in line with what stands above."),
    r"could not find expected ':'": N_("A colon and a blank are missing before this."),
}
#: Punctuation of Chinese keyboards that looks like YAML's.
_FULL_WIDTH: dict[str, str | int | None] = dict(
    zip("，：“”‘’｛｝［］", ",:\"\"''{}[]", strict=True)
)


def _syntax_problem(source: Source, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    typed = _full_width(source, line)
    if typed is not None:
        at, offset, char = typed
        text = N_("Type {plain} here, not the full-width {char}.")
        place = _place(source, at + 1, offset + 1)
        return place.problem("yaml", text, plain=_FULL_WIDTH[char], char=char)
    place, said = _place(source, line + 1, column + 1), str(error.problem or error.context)
    for pattern, text in _ADVICE.items():
        found = re.search(pattern, said)
        if found:
            return place.problem("yaml", text, found="".join(found.groups()))
    return place.problem("yaml", _NOT_YAML, reason=said[:200])


def _full_width(source: Source, line: int) -> tuple[int, int, str] | None:
    """Return where full-width punctuation broke a line, or the one before it.

    It may stand in texts as well: what counts is whether the other kind reads further.
    """
    lines = _decoded(source).split("\n")
    for at in range(max(line - 1, 0), min(line + 1, len(lines))):
        plain = lines[at].translate(str.maketrans(_FULL_WIDTH))
        if plain != lines[at] and _reads_past(
            source, [*lines[:at], plain, *lines[at + 1 :]], line
        ):
            offset = next(place for place, char in enumerate(lines[at]) if char in _FULL_WIDTH)
            return at, offset, lines[at][offset]
    return None


def _reads_past(source: Source, lines: list[str], line: int) -> bool:
    try:
        _Reader(source, []).read("\n".join(lines))
    except MarkedYAMLError as error:
        return error.problem_mark is not None and error.problem_mark.line > line
    except (Refused, YAMLError, ValueError, LookupError, TypeError, AttributeError):
        return False
    return True


def _decoded(source: Source) -> str:
    """Return the text after checking its size, encoding, characters and line lengths.

    Raises:
        Refused: one of them is not as it should be.
    """
    text = source.text
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise Refused(
            _place(source, 1, 1).problem(
                "too_large",
                N_("A file has at most {limit} bytes; this has {size}."),
                limit=MAX_BYTES,
                size=size,
            )
        )
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("utf-8", "replace")
            raise Refused(
                _position(source, before).problem("encoding", N_("This is not UTF-8 text."))
            ) from error
    text = text.removeprefix("\ufeff")
    bad = _BAD.search(text)
    if bad:
        raise Refused(_character(_position(source, text[: bad.start()]), bad.group()))
    return text


def _character(place: Node, char: str) -> Problem:
    return place.problem(
        "character", N_("The character {char} is not allowed."), char=f"U+{ord(char):04X}"
    )


def _position(source: Source, before: str) -> Node:
    """Return the place that follows `before`."""
    return _place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))


class _Reader:
    """Builds the tree of one text from parser events."""

    def __init__(self, source: Source, problems: list[Problem]) -> None:
        self._source = source
        self._problems = problems
        self._nodes = 0
        self._documents = 0
        self._open: list[tuple[Node, Node | None]] = []  # collection, key that waits for a value
        self._root: Node | None = None

    def read(self, text: str) -> Node | None:
        yaml = YAML(typ="safe", pure=True)
        for event in yaml.parse(text):
            if isinstance(event, DocumentStartEvent):
                self._start_document(event)
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._open.pop()
            elif isinstance(event, NodeEvent):
                self._add(event)
        if self._root is None:
            raise Refused(_place(self._source, 1, 1).problem("empty", N_("The file is empty.")))
        return self._root

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            place = _place(self._source, event.start_mark.line + 1, event.start_mark.column + 1)
            raise Refused(place.problem("documents", N_("One document per file.")))

    def _add(self, event: Any) -> None:
        node = self._node(event)
        self._refuse_tricks(event, node)
        self._attach(node)
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._open.append((node, None))
            if len(self._open) > MAX_DEPTH:
                raise Refused(
                    node.problem("too_deep", N_("At most {limit} levels."), limit=MAX_DEPTH)
                )

    def _node(self, event: Any) -> Node:
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        self._nodes += 1
        if self._nodes > MAX_NODES:
            place = _place(self._source, line, column)
            raise Refused(
                place.problem("too_many", N_("At most {limit} entries."), limit=MAX_NODES)
            )
        if isinstance(event, ScalarEvent):
            plain = bool(event.implicit[0])
            block = event.style in {"|", ">"}
            bad = _BAD.search(event.value)  # an escape can bring in what the file does not have
            if bad:
                raise Refused(_character(_place(self._source, line, column), bad.group()))
            return Node("scalar", self._source, line, column, event.value, plain, block)
        kind = "map" if isinstance(event, MappingStartEvent) else "list"
        return Node(kind, self._source, line, column)

    def _refuse_tricks(self, event: Any, node: Node) -> None:
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise Refused(node.problem("alias", N_("Anchors and aliases are not allowed.")))
        if getattr(event, "tag", None) is not None:
            raise Refused(node.problem("tag", N_("Tags are not allowed.")))

    def _attach(self, node: Node) -> None:
        """Put a node into the collection that is open, as item, key or value."""
        if not self._open:
            self._root = node
            return
        parent, key = self._open[-1]
        if parent.kind == "list":
            parent.items.append(node)
        elif key is None:
            self._open[-1] = (parent, self._checked_key(parent, node))
        else:
            if key.text not in parent.entries:
                parent.entries[key.text] = node
                parent.keys[key.text] = key
            self._open[-1] = (parent, None)

    def _checked_key(self, parent: Node, key: Node) -> Node:
        if key.kind != "scalar":
            raise Refused(key.problem("key", N_("A key must be a word.")))
        if len(parent.entries) >= MAX_KEYS:
            text = N_("At most {limit} keys in one place.")
            raise Refused(key.problem("too_many", text, limit=MAX_KEYS))
        if key.text == "<<":
            raise Refused(key.problem("merge", N_("Merge keys are not allowed.")))
        if key.text in parent.entries:
            first = parent.keys[key.text]
            self._problems.append(
                key.problem(
                    "duplicate_key",
                    N_("“{key}” stands twice; first in line {line}."),
                    key=key.text,
                    line=first.line,
                )
            )
        return key
