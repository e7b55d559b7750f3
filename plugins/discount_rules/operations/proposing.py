"""The rule set as it would be with a document on top, from the database."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.api import Context, Document, plugin_settings, query, table
from plugins.discount_rules.operations.goods import live_products
from plugins.discount_rules.operations.index import rule_index
from plugins.discount_rules.operations.pricing import stacking_of
from plugins.discount_rules.operations.tracing import PLUGIN
from plugins.discount_rules.rules.pricing import WHOLE, plain_rate
from plugins.discount_rules.rules.proof import (
    Assortment,
    CardTerms,
    InForce,
    LiveProduct,
    Overlay,
    Proposed,
)
from plugins.discount_rules.rules.resolution import Rule, RuleIndex

#: Later than every audit.
PROPOSED_SEQ = 1 << 60


@dataclass(frozen=True, slots=True)
class RuleSets:
    """The rules in force, and the same with a document in place of what it was."""

    rules: tuple[Rule, ...]
    before: InForce
    after: Overlay


def rule_sets(ctx: Context, document: Document) -> RuleSets:
    """Return the rule sets before and after a document, which may be about to be voided."""
    own = RuleIndex()
    if document.values.get("status") != "void":
        own.take_effect(document.record_id, PROPOSED_SEQ, ctx.now, document.values)
    rules, before = own.rules_of(document.record_id), InForce(rule_index(ctx))
    return RuleSets(rules, before, Overlay(before, rules, without=document.values["no"]))


def proposed_of(ctx: Context, sets: RuleSets) -> Proposed:
    """Return what is to be proved of a document, from the rule sets with and without it."""
    settings = plugin_settings(ctx, PLUGIN)
    targets: defaultdict[str, list[str]] = defaultdict(list)
    for rule in sets.rules:
        targets[rule.level] += rule.targets
    products = live_products(ctx, targets, settings["cost_field"])
    return Proposed(
        rules=sets.rules,
        before=sets.before,
        after=sets.after,
        card_types=card_terms(ctx),
        assortment=Assortment(
            LiveProduct(each.scopes, each.list_price, each.cost) for each in products
        ),
        today=ctx.today,
        floor=plain_rate(settings["floor_rate"]) if settings["floor_rate"] else None,
    )


def card_terms(ctx: Context) -> dict[str, CardTerms]:
    """Return what prices depend on of each card type in force, by id."""
    settings = plugin_settings(ctx, PLUGIN)
    return {
        row["id"]: CardTerms(
            row["id"],
            row["name"],
            WHOLE if row["default_rate"] is None else plain_rate(row["default_rate"]),
            stacking_of(settings, row),
        )
        for row in card_types_in_force(ctx)
    }


def card_types_in_force(ctx: Context) -> list[dict[str, Any]]:
    """Return the stored values of the card types in force."""
    card_type = table(ctx, "card_type")
    wanted = card_type.c.status == "effective", card_type.c.deleted_at.is_(None)
    return [row._asdict() for row in query(ctx, sa.select(card_type).where(*wanted))]
