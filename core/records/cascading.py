"""The filter of a link or of a source of choices as it is for one record or row."""

from collections.abc import Mapping
from typing import Any

from core.context import Context
from core.expression import Expression, ExpressionError, compile_expression
from core.schema.cascades import cascades, cascading_scope, named, narrowed
from core.schema.scopes import named_scope

#: What finds nothing, for values that the records to choose among cannot have.
NOTHING = "false"


def _compiled(ctx: Context, target: str, text: str, owner: str) -> Expression:
    types = ctx.registry.release.types

    def make() -> Expression:
        over, own = named_scope(types, target), named_scope(types, owner)
        if over is None or own is None:
            raise KeyError(target, owner)  # publishing refuses such a filter
        return compile_expression(text, cascading_scope(over, own), expect="boolean")

    return ctx.registry.memo(("records.cascade", target, text, owner), make)


def filter_for(ctx: Context, target: str, text: str, owner: str, row: Mapping[str, Any]) -> str:
    """Return a filter over records of `target` for a row of `owner`: TYPE or TYPE.TABLE.

    Args:
        ctx: on which release.
        target: the record type that is chosen from.
        text: the filter as written; one without `this.` is the same for every row.
        owner: whose field it is.
        row: the record or row being filled in, as Python values.
    """
    if not cascades(text):
        return text
    plain = narrowed(_compiled(ctx, target, text, owner), row)
    try:
        ctx.registry.expression(target, plain, "boolean")
    except ExpressionError:
        return NOTHING  # such as an option that the other form does not have
    return plain


def depends_on(ctx: Context, target: str, text: str, owner: str) -> frozenset[str]:
    """Return the fields of `owner` whose change may take the choice away."""
    return named(_compiled(ctx, target, text, owner)) if cascades(text) else frozenset()
