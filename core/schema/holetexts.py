"""Texts with expressions in braces, as the schema language writes them: finding and renaming."""

from collections.abc import Mapping

from core.expression import Scope, rename_names
from core.expression.holes import Hole, UnclosedHole, plain_text, split_text


def holes_of(text: str) -> list[Hole]:
    """Return the expressions in a text; none when its braces do not match."""
    try:
        return [part for part in split_text(text) if isinstance(part, Hole)]
    except UnclosedHole:
        return []


def renamed_holes(text: str, scope: Scope, names: Mapping[tuple[str, str], str]) -> str:
    """Return a text with fields renamed in its expressions; one that cannot be read stays."""
    try:
        parts = list(split_text(text))
    except UnclosedHole:
        return text
    return "".join(
        plain_text(part)
        if isinstance(part, str)
        else "{" + rename_names(part.text, scope, names) + "}"
        for part in parts
    )
