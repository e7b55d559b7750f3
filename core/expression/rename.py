"""Renaming in source text: names change where they are meant, all else stays as written."""

from collections.abc import Mapping

from core.expression.check import Checker
from core.expression.functions import FUNCTIONS, Function
from core.expression.lexer import KEYWORDS
from core.expression.nodes import Use
from core.expression.parser import parse
from core.expression.types import ExpressionError, Scope

#: (record type, field) to the new name; a table field's columns have the type `order.lines`.
Renames = Mapping[tuple[str, str], str]
#: (record type, field, option) to the option's new value.
OptionRenames = Mapping[tuple[str, str, str], str]


def rename_names(
    text: str,
    scope: Scope,
    renames: Renames,
    *,
    options: OptionRenames | None = None,
    functions: Mapping[str, Function] = FUNCTIONS,
) -> str:
    """Return `text` with fields and options renamed; `scope` has the old names.

    Raises:
        ExpressionError: the text has problems against `scope`.
    """
    checker = Checker(scope, functions)
    checker.check(parse(text))
    if checker.problems:
        raise ExpressionError(problems=checker.problems)
    spans = {
        (use.start, use.end): new
        for use in checker.uses
        if (new := _new(use, renames, options or {})) is not None
    }
    for (start, end), new in sorted(spans.items(), reverse=True):
        written = text[start:end]
        text = text[:start] + _like(written, new) + text[end:]
    return text


def _new(use: Use, renames: Renames, options: OptionRenames) -> str | None:
    if use.option is None:
        return renames.get((use.owner, use.name))
    return options.get((use.owner, use.name, use.option))


def _like(written: str, new: str) -> str:
    """Return `new` written as `written` was: in its quotes, or bare."""
    quote = written[0]
    if quote in "'\"":
        escaped = new.replace("\\", "\\\\").replace(quote, f"\\{quote}")
        return f"{quote}{escaped}{quote}"
    if quote == "`" or new.lower() in KEYWORDS or not new.isidentifier():
        return f"`{new}`"
    return new
