"""The price of each line of a sale at the till, with its trace and the terms that prove it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from core.api import Context, Sale, SaleConditions, SaleLine, Shown, plugin_settings
from plugins.discount_rules.operations.index import rule_index
from plugins.discount_rules.operations.tracing import (
    PLUGIN,
    Step,
    price_steps,
    rate_steps,
    without_benefit,
)
from plugins.discount_rules.rules.certificate import line_terms
from plugins.discount_rules.rules.pricing import WHOLE, Stacking, plain_rate, price
from plugins.discount_rules.rules.resolution import Moment, Resolution, RuleIndex

#: The settings that prices depend on.
_PRICING = ("stacking_mode", "stack_needs_other", "stack_at_threshold", "non_join")


def price_sale(ctx: Context, sale: Sale) -> None:
    """Give every line of a sale its member rate, amount due, trace and terms.

    A card that is not good gives no benefit at all: other promotions alone lower the price.
    """
    found: list[Resolution] = []
    if sale.card is not None and sale.card.is_good:
        with ctx.reading() as connection:
            # Made when the first rule has a condition: most sales meet none.
            conditions = cache(lambda: SaleConditions(ctx, connection, sale))
            why_not = partial(_why_not, conditions)
            found = resolve_lines(rule_index(ctx, sale.audit_seq), sale, sale.card, why_not)
    price_lines(sale, plugin_settings(ctx, PLUGIN), found)


def price_lines(sale: Sale, settings: Mapping[str, Any], found: Sequence[Resolution]) -> None:
    """Price the lines at the rates that were found, or without benefit where none were."""
    # What was known is no part of it: an approval of something else changes no certificate.
    sale.terms[PLUGIN] = {name: settings[name] for name in _PRICING}
    digits = sale.store.digits
    if sale.card is None or not sale.card.is_good:
        stacking, steps = Stacking(settings["stacking_mode"]), (without_benefit(sale.card),)
        for line in sale.lines:
            _price(line, Resolution(WHOLE, None, ()), stacking, steps, digits)
        return
    stacking = stacking_of(settings, sale.card.card_type)
    for line, each in zip(sale.lines, found, strict=True):
        _price(line, each, stacking, rate_steps(each), digits)


def stacking_of(settings: Mapping[str, Any], card_type: Mapping[str, Any]) -> Stacking:
    """Return how the rates of a card type stack, by the settings and the type's values."""
    return Stacking(
        settings["stacking_mode"],
        card_type.get("stack_start"),
        card_type.get("stack_rate"),
        settings["stack_needs_other"],
        settings["stack_at_threshold"],
        settings["non_join"],
    )


def resolve_lines(
    index: RuleIndex, sale: Sale, card: Shown, why_not: Callable[[SaleLine, str], str | None]
) -> list[Resolution]:
    """Return the member rate of each line, all found before any of them is priced.

    `why_not` tells why the condition of a rule does not hold for a line, None where it does.
    """
    type_id, own = card.card_type["id"], card.card_type["default_rate"]
    default = WHOLE if own is None else plain_rate(own)
    moment = Moment(sale.on, sale.at, sale.audit_seq)
    return [
        index.resolve(
            line.goods.scopes,
            card_type=type_id,
            default_rate=default,
            moment=moment,
            holds=partial(why_not, line),
        )
        for line in sale.lines
    ]


def _why_not(conditions: Callable[[], SaleConditions], line: SaleLine, text: str) -> str | None:
    return conditions().why_not(text, line)


def _price(
    line: SaleLine, found: Resolution, stacking: Stacking, steps: Sequence[Step], digits: int
) -> None:
    rule, joins = found.rule, found.joins_stacking
    made = price(
        line.list_amount,
        other_rate=line.other_rate,
        member_rate=found.rate,
        stacking=stacking,
        joins_stacking=joins,
        digits=digits,
    )
    line.amount_due, line.member_rate = made.amount_due, found.rate
    if rule is not None:
        line.rule = {"no": rule.no, "line": rule.line + 1, "audit_seq": rule.audit_seq}
    line.terms[PLUGIN] = line_terms(
        line.list_amount, line.other_rate, found, stacking, digits, line.rule
    )
    line.trace += steps
    line.trace += price_steps(made, joins=joins or line.other_rate == 1)
