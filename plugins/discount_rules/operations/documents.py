"""What is done when a discount document is saved, and when it is to take effect."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Document,
    Problem,
    next_number,
    query,
    table,
)
from plugins.discount_rules.rules.documents import rated_twice


class OutOfDate(Conflict):
    """The last day of the document is over."""

    code = "discount_rules.out_of_date"
    text = N_("The last day of this document, {day}, is over.")


class CardTypeNotEffective(Conflict):
    """The document is for a card type that is not in force."""

    code = "discount_rules.card_type_not_effective"
    text = N_("These card types are not in force: {names}.")


def complete_document(ctx: Context, change: Change) -> None:
    """Give a new document its number; warn of targets rated twice and of dates that are over."""
    if change.action == "delete":
        return
    if change.action == "create" and not change.values.get("no"):
        change.values["no"] = next_no(ctx, "discount_rule", "ZK")
    after = change.after
    for line, later, target in rated_twice(_targets(after.get("lines") or ())):
        text = N_("{target} stands in line {line} too; the later line holds.")
        params = {"target": target, "line": line + 1}
        path = f"lines.{later}.targets"
        change.warnings.append(Problem(path, "discount_rules.rated_twice", text, params))
    if _is_over(ctx, after):
        params = {"day": str(after["effective_to"])}
        change.warnings.append(Problem("effective_to", OutOfDate.code, OutOfDate.text, params))


def check_release(ctx: Context, document: Document) -> None:
    """Refuse a document that is over or whose card types are not in force, unless it is voided.

    Raises:
        OutOfDate: its last day is over.
        CardTypeNotEffective: it names card types that are not in force.
    """
    if document.values["status"] == "void":
        return
    if _is_over(ctx, document.values):
        raise OutOfDate(day=str(document.values["effective_to"]))
    columns = table(ctx, "card_type").c
    not_in_force = (
        sa.select(columns.name)
        .where(columns.id.in_(document.values.get("card_types") or ()))
        .where(sa.or_(columns.status != "effective", columns.deleted_at.is_not(None)))
        .order_by(columns.code)
    )
    names = [row.name for row in query(ctx, not_in_force)]
    if names:
        raise CardTypeNotEffective(names=", ".join(names))


def next_no(ctx: Context, record_type: str, prefix: str) -> str:
    """Return the next free document number of the year, such as `ZK2026-0001`."""
    columns, year = table(ctx, record_type).c, ctx.today.year
    # Numbers of discount documents were the first that were counted, without their type.
    series = "" if record_type == "discount_rule" else f"{record_type}:"
    with ctx.writing() as connection:
        while True:
            count = next_number(connection, f"discount_rules.no:{series}{year}")
            no = f"{prefix}{year}-{count:04d}"
            if connection.execute(sa.select(columns.id).where(columns.no == no)).first() is None:
                return no


def _targets(lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, frozenset[str]]]:
    return [(str(line.get("scope") or ""), frozenset(line.get("targets") or ())) for line in lines]


def _is_over(ctx: Context, values: Mapping[str, Any]) -> bool:
    last = values.get("effective_to")
    return last is not None and last < ctx.today
