"""Texts with expressions in braces, as the schema language writes them: finding and renaming."""

from collections.abc import Mapping
from typing import Any, Protocol

from core.expression import Scope
from core.expression.holes import Hole, UnclosedHole, plain_text, split_text


class Renaming(Protocol):
    """Names that change together; `core.schema.renaming.Renames` is one."""

    @property
    def fields(self) -> Mapping[tuple[str, str], str]:
        """Return (record type, old field) -> new field."""

    @property
    def options(self) -> Mapping[tuple[str, str, str], str]:
        """Return (record type, field, old option) -> new option."""

    @property
    def types(self) -> Mapping[str, str]:
        """Return old record type -> new record type."""

    def expression(self, text: Any, scope: Scope) -> Any:
        """Return an expression with its names changed."""


def holes_of(text: str) -> list[Hole]:
    """Return the expressions in a text; none when its braces do not match."""
    try:
        return [part for part in split_text(text) if isinstance(part, Hole)]
    except UnclosedHole:
        return []


def renamed_holes(text: str, scope: Scope, renames: Renaming) -> str:
    """Return a text with names changed in its expressions; one that cannot be read stays."""
    try:
        parts = list(split_text(text))
    except UnclosedHole:
        return text
    return "".join(
        plain_text(part)
        if isinstance(part, str)
        else "{" + str(renames.expression(part.text, scope)) + "}"
        for part in parts
    )
