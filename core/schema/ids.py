"""Writes an id into every field of a shipped YAML file that has none, and changes nothing else."""

import secrets
from collections.abc import Callable, Iterator

from core.errors import SchemaError
from core.schema.yamlnodes import Node, Source, read_node

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_LENGTH = 8


def new_id() -> str:
    """Return a fresh field id."""
    return "f_" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def add_ids(text: str, path: str = "", make: Callable[[], str] = new_id) -> str:
    """Return a YAML text in which every field that it declares has an id.

    In an `extend` or `customize` only fields with a type are declared; the others
    change fields of another layer and have their ids there.

    Raises:
        SchemaError: the text is not readable.
    """
    node, problems = read_node(Source("", path, text))
    if node is None:
        raise SchemaError(problems=problems)
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    for field in sorted(_without_id(node), key=lambda it: (it.line, it.column), reverse=True):
        first = next(iter(field.keys.values()))
        line, at = lines[first.line - 1], first.column - 1
        before = lines[field.line - 1]
        in_braces = before[field.column - 1] == "{"
        gap = ", " if in_braces else "\n" + " " * at
        lines[first.line - 1] = f"{line[:at]}id: {make()}{gap}{line[at:]}"
    return "".join(lines)


def _without_id(node: Node) -> Iterator[Node]:
    """Yield the declared fields that have no id, with the columns of table fields."""
    declares = "record_type" in node.entries
    for field in node.listed("fields"):
        if field.kind != "map" or not field.entries:
            continue
        if (declares or "type" in field.entries) and "id" not in field.entries:
            yield field
        yield from _columns_without_id(field)


def _columns_without_id(table: Node) -> Iterator[Node]:
    for column in table.listed("fields"):
        if column.kind == "map":
            if "type" in column.entries and "id" not in column.entries:
                yield column
            yield from _columns_without_id(column)
