"""Who bears a member's discount: exact splits, and what a return gives back of them.

Amounts are whole numbers of the smallest unit, such as cents. A sale is split by largest
remainder (domain §2.3); what comes back is taken off the parts as they were split, by a
rule that is monotone in the amount, so that no party is charged anew by a return and a
whole return leaves zero.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from plugins.discount_rules.rules.pricing import round_half_up
from plugins.discount_rules.rules.resolution import LEVELS, Moment

#: A sharing that is for all goods stands below every level.
ALL_GOODS = ""


@dataclass(frozen=True, slots=True)
class Party:
    """One who bears a part of the discounts.

    Attributes:
        party: the id of the party's record.
        share: the fraction borne; those of one document sum to 1.
    """

    party: str
    share: Fraction


@dataclass(frozen=True, slots=True)
class Sharing:
    """An audited sharing document.

    Attributes:
        id: the document's id, `no` its number.
        group: the card types' `sharing_group` that it is for.
        level: scope level of `targets`, or `ALL_GOODS`.
        effective_from: first store day it holds, `effective_to` the last, None without end.
        audited_at: from when it is known, with `audit_seq` the number of that audit.
        voided_at: when it ended again, with the number of that audit; None while it holds.
    """

    id: str
    no: str
    group: str
    level: str
    targets: frozenset[str]
    parties: tuple[Party, ...]
    effective_from: date
    effective_to: date | None
    audited_at: datetime
    audit_seq: int
    voided_at: datetime | None = None
    void_seq: int | None = None


class SharingIndex:
    """Sharing documents arranged so that a look-up costs seven probes."""

    def __init__(self, sharings: Iterable[Sharing]) -> None:
        """Arrange `sharings`; the index never changes afterwards."""
        self.sharings = tuple(sharings)
        cells: defaultdict[tuple[str, str, str], list[Sharing]] = defaultdict(list)
        for sharing in sorted(self.sharings, key=lambda each: each.audit_seq, reverse=True):
            for target in sharing.targets if sharing.level else {ALL_GOODS}:
                cells[sharing.group, sharing.level, target].append(sharing)
        self._cells = dict(cells)

    def find(self, scopes: Mapping[str, str], group: str, moment: Moment) -> Sharing | None:
        """Return who shares in a product's discount: the highest level, then the later audit.

        Args:
            scopes: level -> code of the product.
            group: the card type's.
            moment: of the sale.
        """
        for level in (*reversed(LEVELS), ALL_GOODS):
            target = scopes.get(level) if level else ALL_GOODS
            for sharing in (
                self._cells.get((group, level, target), ()) if target is not None else ()
            ):
                if _holds(sharing, moment):
                    return sharing
        return None


def _holds(sharing: Sharing, moment: Moment) -> bool:
    is_known = _was_known(sharing.audited_at, sharing.audit_seq, moment)
    is_void = _was_known(sharing.voided_at, sharing.void_seq, moment)
    is_over = sharing.effective_to is not None and sharing.effective_to < moment.on
    return is_known and not is_void and sharing.effective_from <= moment.on and not is_over


def _was_known(at: datetime | None, seq: int | None, moment: Moment) -> bool:
    """Return whether an audit had happened, and was known, at a moment."""
    if at is None or seq is None or at > moment.at:
        return False
    return moment.audit_seq is None or seq <= moment.audit_seq


def member_discount(
    list_amount: Decimal, other_rate: Fraction, amount_due: Decimal, digits: int
) -> int:
    """Return what the member benefit alone took off a line, in the smallest unit.

    What other promotions left is rounded as a line without a card would be.

    >>> member_discount(Decimal("200.00"), Fraction("0.85"), Decimal("161.50"), 2)
    850
    """
    without_card = round_half_up(Fraction(list_amount) * other_rate, digits)
    return int((without_card - amount_due).scaleb(digits))


def split(amount: int, shares: Sequence[Fraction]) -> list[int]:
    """Return `amount` in parts by `shares`, which sum to 1; the parts sum to `amount`.

    Largest remainder; of equal remainders the earlier part gets the unit.

    >>> split(100, [Fraction(1, 3)] * 3), split(-1, [Fraction(1, 2)] * 2)
    ([34, 33, 33], [-1, 0])
    """
    exact = [abs(amount) * share for share in shares]
    parts = [each.numerator // each.denominator for each in exact]
    by_remainder = sorted(range(len(parts)), key=lambda each: parts[each] - exact[each])
    for each in by_remainder[: abs(amount) - sum(parts)]:
        parts[each] += 1
    return parts if amount >= 0 else [-part for part in parts]


def discount_returned(discount: int, returned: Decimal, sold: Decimal) -> int:
    """Return how much of a line's discount went back once `returned` of `sold` came back.

    Cumulative and rounded once, half up, so that any partition of a return ends alike.

    >>> [discount_returned(101, Decimal(each), Decimal(3)) for each in range(4)]
    [0, 34, 67, 101]
    """
    return int(round_half_up(discount * Fraction(returned) / Fraction(sold), 0))


def parts_returned(parts: Sequence[int], returned: int) -> list[int]:
    """Return how much of each part of a split went back once `returned` of their sum did.

    Each unit in turn comes from the part that is furthest behind its share (Webster's
    divisor rule): the answers sum to `returned`, none falls as it grows, and when all
    came back each is the whole part. Largest remainder alone is not monotone.

    >>> [parts_returned([50, 30, 20], each) for each in (0, 1, 5, 100)]
    [[0, 0, 0], [1, 0, 0], [3, 1, 1], [50, 30, 20]]
    """
    whole = sum(parts)
    if not whole:
        return [0] * len(parts)
    taken = [int(round_half_up(Fraction(returned * part, whole), 0)) for part in parts]
    order = range(len(parts))
    while sum(taken) < returned:
        taken[
            max(order, key=lambda each: (Fraction(parts[each], 2 * taken[each] + 1), -each))
        ] += 1
    while sum(taken) > returned:
        held = [each for each in order if taken[each]]
        taken[min(held, key=lambda each: (Fraction(parts[each], 2 * taken[each] - 1), -each))] -= 1
    return taken


def reproduced(terms: Mapping[str, Any]) -> list[int]:
    """Return a line's parts again from what was stamped on it."""
    return split(terms["discount"], [Fraction(each["share"]) for each in terms["parties"]])


def differences(lines: Iterable[Mapping[str, Any]], plugin: str) -> list[str]:
    """Return which lines of a certificate share another amount than their terms say.

    `lines` hold their inputs, `terms` by plugin, and the results.
    """
    found = []
    for line in lines:
        terms = (line["terms"].get(plugin) or {}).get("sharing")
        if not terms:
            continue
        discount = member_discount(
            Decimal(line["list_amount"]),
            Fraction(line["other_rate"]),
            Decimal(line["amount_due"]),
            line["terms"][plugin]["digits"],
        )
        amounts = [each["amount"] for each in terms["parties"]]
        if discount != terms["discount"] or reproduced(terms) != amounts:
            found.append(f"lines.{line['line']}.sharing")
    return found
