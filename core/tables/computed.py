"""Formulas, rollups and lookups as expressions, so that every target computes them alike."""

from core.schema.model import Field

#: Field types whose value is computed.
COMPUTED = frozenset({"formula", "rollup", "lookup"})


def computed_text(field: Field) -> str:
    """Return the expression of a formula, rollup or lookup.

    >>> computed_text(Field(id="1", name="total", type="rollup", of="lines", take="amount",
    ...                     how="sum", filter="amount > 0"))
    'SUM(lines, amount if (amount > 0) else null)'
    """
    if field.type == "formula":
        return field.formula
    if field.type == "lookup":
        return f"{field.through}.{field.field}"
    function = field.how.upper()
    if function == "COUNT":
        wanted = [f"({field.filter})"] if field.filter else []
        wanted += [f"{field.take} is not empty"] if field.take else []
        return f"COUNT({', '.join([field.of, *filter(None, [' and '.join(wanted)])])})"
    if field.filter:
        return f"{function}({field.of}, {field.take} if ({field.filter}) else null)"
    return f"{function}({field.of}.{field.take})"
