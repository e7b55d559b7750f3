"""What is left of a sale after a return, and which of its scenes it would still have."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from core.api import Context, Goods, Return, Sale, SaleConditions, SaleLine, Shown, query, table
from plugins.points_rules.operations.index import scene_index
from plugins.points_rules.rules.terms import SceneTerm


def lost_points(
    ctx: Context,
    giving_back: Return,
    scenes: tuple[SceneTerm, ...],
    returned: Mapping[int, Decimal],
) -> int:
    """Return the fixed points of scenes whose trigger no longer holds on what remains.

    The condition is that of the version that was stamped, with the names of today. With nothing
    left no trigger holds.

    Args:
        ctx: of the return.
        giving_back: the return.
        scenes: stamped on the sale.
        returned: position -> money that came back of the line in all.
    """
    giving = [each for each in scenes if each.points]
    if not giving or giving_back.is_whole:
        return sum(each.points for each in giving)
    if not any(each.condition for each in giving):
        return 0
    rest = _rest(ctx, giving_back, returned)
    with ctx.reading() as connection:
        conditions = SaleConditions(ctx, connection, rest)
        return sum(
            each.points
            for each in giving
            if each.condition and conditions.why_not(_today(ctx, each)) is not None
        )


def _today(ctx: Context, stamped: SceneTerm) -> str:
    """Return a stamped condition as it reads today: fields may have other names by now."""
    known = scene_index(ctx, stamped.audit_seq).condition_of(stamped.scene, stamped.audit_seq)
    return known or stamped.condition


def _rest(ctx: Context, giving_back: Return, returned: Mapping[int, Decimal]) -> Sale:
    """Return the sale with only the lines and amounts that were not returned."""
    priced = giving_back.certificate
    card = _stored(ctx, "card", giving_back.card_id)
    lines = [
        _line(line, returned.get(line["line"], Decimal(0)), giving_back.store.digits)
        for line in priced["lines"]
    ]
    return Sale(
        store=giving_back.store,
        at=datetime.fromisoformat(priced["made"]["at"]),
        on=date.fromisoformat(priced["on"]),
        audit_seq=0,
        lines=[line for line in lines if line.quantity],
        member=_stored(ctx, "member", giving_back.member_id),
        card=Shown(card, {}) if card else None,
    )


def _line(line: Mapping[str, Any], returned: Decimal, digits: int) -> SaleLine:
    due = Decimal(line["amount_due"])
    left = Fraction(due - returned) / Fraction(due) if due else Fraction(1)
    unit = Decimal(1).scaleb(-digits)

    def part(text: str, places: Decimal) -> Decimal:
        exact = Fraction(text) * left
        return (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(places)

    # Without values of its own the product is looked up where a condition asks about it.
    goods = Goods(line["product"], line["code"], "", None, {}, {})
    return SaleLine(
        position=line["line"],
        goods=goods,
        quantity=part(line["quantity"], Decimal("0.001")),
        unit_price=Decimal(line["unit_price"]),
        list_amount=part(line["list_amount"], unit),
        amount_due=due - returned,
    )


def _stored(ctx: Context, record_type: str, record_id: str | None) -> dict[str, Any] | None:
    """Return the stored values of a record, deleted ones too; None where there is none."""
    if record_id is None:
        return None
    rows = table(ctx, record_type)
    found = query(ctx, sa.select(rows).where(rows.c.id == record_id))
    return dict(found[0]._mapping) if found else None  # noqa: SLF001  SQLAlchemy's own way
