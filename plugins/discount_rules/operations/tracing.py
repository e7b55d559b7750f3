"""The steps of a line's trace: which rate was found and why, and the formula with its numbers.

A step is `{"code", "text", "params"}`; the text is told in the reader's language at the edge.
"""

from collections.abc import Mapping
from typing import Any

from core.api import N_, Shown
from plugins.discount_rules.rules.pricing import Price, exact
from plugins.discount_rules.rules.resolution import Lost, Resolution

PLUGIN = "discount_rules"

Step = dict[str, Any]

#: What a card's fault means for the price -> the step that says so.
FAULTS: Mapping[str, str] = {
    "lost": N_("The card is reported lost: no member discount."),
    "frozen": N_("The card is frozen: no member discount."),
    "replaced": N_("The card was replaced by another: no member discount."),
    "cancelled": N_("The card is cancelled: no member discount."),
    "expired": N_("The card has expired: no member discount."),
    "not_issued": N_("The card was not issued yet: no member discount."),
    "not_active": N_("The card is not activated yet: no member discount."),
    "wrong_code": N_("The verification code is wrong: no member discount."),
    "code_locked": N_("The verification code is locked: no member discount."),
    "not_verified": N_("The card is not verified: no member discount."),
    "type_not_in_force": N_("The card type is not in force: no member discount."),
    "rebate_card": N_("A rebate card gives no member discount."),
}
OTHER_FAULT = N_("The card gives no benefit ({fault}): no member discount.")
NO_CARD = N_("No card was shown: no member discount.")
BY_RULE = N_("Rule {no}, line {line}: member rate {rate}.")
BY_DEFAULT = N_("No rule applies: the card type's own rate is {rate}.")
NOT_STACKED = N_("This rule does not join stacking.")
FORMULA = N_("{formula} = {amount}")

#: Why a rule lost -> the step that says so.
LOST: Mapping[str, str] = {
    "lower_level": N_("Rule {no}, line {line} ({rate}): a rule of a higher level applies."),
    "earlier_audit": N_("Rule {no}, line {line} ({rate}): a document audited later applies."),
    "earlier_line": N_("Rule {no}, line {line} ({rate}): a later line of the document applies."),
    "condition_not_met": N_("Rule {no}, line {line} ({rate}): its condition is not met."),
    "condition_failed": N_("Rule {no}, line {line} ({rate}): its condition cannot be computed."),
    "not_yet_audited": N_("Rule {no}, line {line} ({rate}): it was not audited yet."),
    "not_yet_effective": N_("Rule {no}, line {line} ({rate}): it holds from {from} on."),
    "expired": N_("Rule {no}, line {line} ({rate}): it held until {to}."),
    "void": N_("Rule {no}, line {line} ({rate}): its document is void."),
    "replaced": N_("Rule {no}, line {line} ({rate}): its document was changed since."),
}


#: The same as steps' codes and texts.
_LOST = {why: (f"{PLUGIN}.lost.{why}", text) for why, text in LOST.items()}


def without_benefit(card: Shown | None) -> Step:
    """Return why the member's rate is 1: there is no card, or it gives no benefit."""
    if card is None:
        return {"code": f"{PLUGIN}.no_card", "text": NO_CARD, "params": {}}
    fault = card.faults[0]
    text = FAULTS.get(fault, OTHER_FAULT)
    return {"code": f"{PLUGIN}.card.{fault}", "text": text, "params": {"fault": fault}}


def rate_steps(found: Resolution) -> tuple[Step, ...]:
    """Return what gave a rate, and why the nearest of the others did not; made once."""
    if found.told is None:
        if found.rule is None:
            params: Mapping[str, Any] = {"rate": exact(found.rate)[2]}
            first = {"code": f"{PLUGIN}.default_rate", "text": BY_DEFAULT, "params": params}
        else:
            first = {"code": f"{PLUGIN}.rule", "text": BY_RULE, "params": found.rule.facts}
        found.told = (first, *map(_lost_step, found.lost))
    return found.told


def _lost_step(lost: Lost) -> Step:
    code, text = _LOST[lost.why]
    return {"code": code, "text": text, "params": lost.rule.facts}


def price_steps(made: Price, *, joins: bool) -> list[Step]:
    """Return by which formula the amount came about; `joins` where stacking was possible."""
    params = {"formula": made.formula, "amount": f"{made.amount_due:f}"}
    step = {"code": f"{PLUGIN}.price", "text": FORMULA, "params": params}
    if joins:
        return [step]
    return [{"code": f"{PLUGIN}.not_stacked", "text": NOT_STACKED, "params": {}}, step]
