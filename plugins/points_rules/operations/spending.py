"""Points that are to pay for a part of a sale: whose, how many, and why not."""

from collections.abc import Mapping
from typing import Any

from core.api import N_, Conflict, Context, Problem, Sale, balance
from plugins.points_rules.rules import spending

#: The account kind of this plugin.
KIND = "points"

#: States of a member who neither earns nor spends.
INACTIVE = frozenset({"frozen", "closed"})


class NotEnough(Conflict):
    """More points are to be spent than can be."""

    code = "points_rules.not_enough"
    text = N_("{available} points can be spent, {asked} were asked for.")


class NobodySpends(Conflict):
    """Points are to be spent, but no member is known who has any."""

    code = "points_rules.no_member"
    text = N_("Points are spent by a member; none is known here.")


class MayNotSpend(Conflict):
    """The card or the member is in no state to spend points."""

    code = "points_rules.may_not_spend"
    text = N_("This card or member cannot spend points now: {reason}.")


def spend(ctx: Context, sale: Sale, settings: Mapping[str, Any]) -> int:
    """Return how many points pay for a part of the sale, at most what is due.

    What cannot be is refused in an order; a quote shows what could be, with a warning.

    Raises:
        NotEnough, NobodySpends, MayNotSpend: of an order.
    """
    asked = min(sale.spend_points, spending.most_for(sale.total_due, settings["point_value"]))
    problem = _objection(sale)
    if asked and problem is None and sale.member is not None:
        available = max(0, balance(ctx, KIND, sale.member["id"]).available)
        if available >= asked:
            return asked
        problem, asked = NotEnough(available=available, asked=asked), available
    elif problem is not None:
        asked = 0
    if sale.spend_points and problem is not None:
        if sale.is_order:
            raise problem
        warning = Problem("spend_points", problem.code, problem.text, problem.params)
        ctx.warnings.append(warning)
    return asked


def _objection(sale: Sale) -> Conflict | None:
    """Return why nothing can be spent, whatever the balance; None when something can."""
    if sale.member is None:
        return NobodySpends()
    faults = sale.card.faults if sale.card else ()
    if sale.member.get("status") in INACTIVE:
        faults = (*faults, str(sale.member["status"]))
    if sale.card and sale.card.card_type.get("purpose") == "rebate_card":
        faults = (*faults, "rebate_card")
    return MayNotSpend(reason=", ".join(faults)) if faults else None
