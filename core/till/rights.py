"""Who may sell what and where: rights on `order`, asked of the order that there would be."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.context import Context
from core.errors import Forbidden, Problem
from core.extension.sales import Sale
from core.i18n import N_
from core.policies.access import access
from core.records.environment import RecordEnv

#: Where a request needs a right, and the action's name.
Needed = tuple[str, str]


def require(ctx: Context, needed: Sequence[Needed]) -> None:
    """Refuse whoever has one of some rights nowhere.

    Raises:
        Forbidden: a right is missing; each has a problem that names it.
    """
    rights = access(ctx, "order")
    _refuse([one for one in needed if not rights.may(one[1])])


def require_for(
    ctx: Context, order: Callable[[], Mapping[str, Any]], needed: Sequence[Needed]
) -> None:
    """Refuse whoever lacks one of some rights on this order, such as in another's store.

    Args:
        ctx: who asks.
        order: gives its values, stored or as they would be; asked only where it matters.
        needed: places and rights.

    Raises:
        Forbidden: as `require` does.
    """
    rights = access(ctx, "order")
    limited = [one for one in needed if rights.row_clause(one[1]) is not None]
    if not limited:
        return
    with ctx.reading() as connection:
        env = RecordEnv(ctx, connection)
        row = env.view("order", order())
        _refuse([one for one in limited if rights.editable_when(one[1], row, env) is None])


def order_of(ctx: Context, sale: Sale) -> dict[str, Any]:
    """Return the values of a sale's order as far as rights can depend on them."""
    lines = [
        {
            "product": line.goods.id,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "amount": line.list_amount,
            "amount_due": line.amount_due,
        }
        for line in sale.lines
    ]
    return {
        "kind": "sale",
        "store": sale.store.id,
        "member": sale.member["id"] if sale.member else None,
        "card": sale.card.record["id"] if sale.card else None,
        "ordered_at": sale.at,
        "created_at": ctx.now,
        "created_by": ctx.actor.id,
        "lines": lines,
        "line_count": len(lines),
        "total": sum(line["amount"] for line in lines),
        "total_due": sale.total_due,
    }


def _refuse(missing: Sequence[Needed]) -> None:
    if missing:
        text = N_("This needs the right {right}.")
        raise Forbidden(
            problems=[
                Problem(path, "till.no_right", text, {"right": one}) for path, one in missing
            ]
        )
