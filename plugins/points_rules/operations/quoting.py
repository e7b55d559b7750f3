"""A sale before it is paid: what points pay of it, and what it earns."""

from decimal import Decimal
from typing import Any

from core.api import Context, Sale, plugin_settings
from plugins.points_rules.rules.earning import CATEGORIES
from plugins.points_rules.rules.terms import TermLine, Terms

#: Faults of a card that takes no part in discounts but may still earn.
DOUBTFUL = frozenset({"frozen", "lost", "not_verified"})


def quote_points(ctx: Context, sale: Sale) -> None:
    """Set what the sale earns, and stamp what that follows from."""
    sale.points = dict.fromkeys(CATEGORIES, 0)
    settings = plugin_settings(ctx, "points_rules")
    rate, identity = earning_rates(sale, settings)
    if sale.member is None:
        return
    terms = Terms(
        lines=tuple(TermLine(line.amount_due, rate) for line in sale.lines),
        digits=sale.store.digits,
        identity=identity,
        combine=settings["multiplier_combine"],
        point_value=settings["point_value"],
        earns_on_paid=settings["earn_on_points_paid"],
    )
    sale.points = terms.earned().points
    sale.terms["points_rules"] = terms.as_json()


def earning_rates(sale: Sale, settings: Any) -> tuple[Decimal, Decimal]:
    """Return the points for each 1.00 and the identity multiple, before any rule.

    A rebate card has no holder and earns nothing, nor does a card that is over.
    """
    if sale.member is None:
        return Decimal(0), Decimal(0)
    if sale.card is None:
        return settings["default_points_rate"], Decimal(0)
    card_type = sale.card.card_type
    earns = DOUBTFUL if settings["doubtful_card_earns"] else frozenset()
    if card_type["purpose"] == "rebate_card" or not earns.issuperset(sale.card.faults):
        return Decimal(0), Decimal(0)
    return card_type["points_rate"], card_type["identity_multiple"]
