"""What a price is known by: terms that reproduce it bit for bit, whatever changed since.

Terms are plain JSON values. They hold the rate with what gave it, and everything that the
price is computed from, so that a receipt proves its prices from itself alone (domain §6, I18).
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from plugins.discount_rules.rules.pricing import Stacking, exact, price
from plugins.discount_rules.rules.resolution import Resolution

Json = dict[str, Any]


def line_terms(
    list_amount: Decimal,
    other_rate: Fraction,
    found: Resolution,
    stacking: Stacking,
    digits: int,
    rule: Mapping[str, Any] | None,
) -> Json:
    """Return everything that the price of a line is computed from, as `price` takes it.

    `rule` names the document that gave the rate; None where it is the card type's own.
    """
    start, rate = stacking.start, stacking.rate
    return {
        "list": f"{list_amount:f}",
        "other": exact(other_rate)[2],
        "rate": exact(found.rate)[2],
        "joins": found.joins_stacking,
        "mode": stacking.mode,
        "needs_other": stacking.needs_other,
        "start": None if start is None else exact(start)[2],
        "stack": None if rate is None else exact(rate)[2],
        "at_start": stacking.at_start,
        "non_join": stacking.non_join,
        "digits": digits,
        "rule": rule,
    }


def reproduce(terms: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    """Return (amount due, member rate) of a line, computed from its terms alone.

    Terms of before say nothing of `at_start` and `non_join`, which had one value then.

    >>> reproduce({"mode": 2, "needs_other": True, "start": "0.8", "stack": "0.95", "digits": 2,
    ...            "list": "200.00", "other": "0.85", "rate": "0.9", "joins": True})
    (Decimal('161.50'), Decimal('0.9'))
    """
    start, stack, rate = terms["start"], terms["stack"], Decimal(terms["rate"])
    made = price(
        Decimal(terms["list"]),
        other_rate=Fraction(terms["other"]),
        member_rate=rate,
        stacking=Stacking(
            terms["mode"],
            None if start is None else Decimal(start),
            None if stack is None else Decimal(stack),
            terms["needs_other"],
            terms.get("at_start", True),
            terms.get("non_join", "best_of"),
        ),
        joins_stacking=terms["joins"],
        digits=terms["digits"],
    )
    return made.amount_due, rate


def differences(lines: Iterable[Mapping[str, Any]], plugin: str) -> list[str]:
    """Return what of a certificate's lines does not follow from their terms, as places.

    `lines` hold their inputs, `terms` by plugin, and the results.
    """
    found = []
    for line in lines:
        terms = line["terms"].get(plugin)
        if terms is None:
            continue
        amount, rate = reproduce(terms)
        pairs = {
            "list_amount": (Decimal(terms["list"]), Decimal(line["list_amount"])),
            "other_rate": (Fraction(terms["other"]), Fraction(line["other_rate"])),
            "member_rate": (rate, Decimal(line["member_rate"])),
            "amount_due": (amount, Decimal(line["amount_due"])),
            "rule": (terms["rule"], line["rule"]),
        }
        found += [f"lines.{line['line']}.{name}" for name, (a, b) in pairs.items() if a != b]
    return found
