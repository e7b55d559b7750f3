"""What a return takes back and gives back: cumulative shares, so that parts add up to the whole.

Each category is reversed to the share of the receipt that came back so far, rounded half up,
less what went back before. Points that the member no longer has are bought (F), owed,
refused or forgiven, by the policy (domain §2.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from operator import mul
from typing import Literal

from plugins.points_rules.rules.terms import Terms, total_due

#: Categories that follow what comes back, in the order in which they are taken.
PROPORTIONAL = ("A", "B", "E")
REVERSED = (*PROPORTIONAL, "C")

Policy = Literal["buy", "negative", "block", "within_balance"]


@dataclass(frozen=True, slots=True)
class Shares:
    """What should have gone back in all, counted from the sale on.

    Attributes:
        reversed: category -> points taken back.
        restored: points spent on the receipt that return to their lots.
        repaid: the money those stood for, which is no part of the refund.
    """

    reversed: dict[str, int]
    restored: int
    repaid: Decimal


def shares(terms: Terms, returned: Sequence[Decimal], lost_grants: int = 0) -> Shares:
    """Return the cumulative shares when `returned` money of each line has come back in all.

    Args:
        terms: stamped on the sale.
        returned: per line of the sale, out of what was due for it.
        lost_grants: points of scenes whose trigger no longer holds on what remains.
    """
    parts = [
        Fraction(back) / Fraction(line.due) if line.due else Fraction(0)
        for back, line in zip(returned, terms.lines, strict=True)
    ]
    earned = terms.earned().points
    back = {name: _share(earned[name], terms.weights(name), parts) for name in PROPORTIONAL}
    due = total_due(terms.lines)
    whole = Fraction(sum(returned, Decimal(0))) / Fraction(due) if due else Fraction(0)
    in_cents = half_up(Fraction(terms.paid.scaleb(terms.digits)) * whole)
    return Shares(
        {**back, "C": lost_grants},
        half_up(terms.spent * whole),
        Decimal(in_cents).scaleb(-terms.digits),
    )


def _share(points: int, exact: Sequence[Decimal], parts: Sequence[Fraction]) -> int:
    weights = list(map(Fraction, exact))
    whole = sum(weights, Fraction(0))
    if not whole or not points:
        return 0
    back = sum(map(mul, weights, parts), Fraction(0))
    return half_up(points * back / whole)


def half_up(value: Fraction) -> int:
    """Return a number that is not negative rounded to a whole one, halves up.

    >>> half_up(Fraction(1, 2)), half_up(Fraction(5, 2)), half_up(Fraction(7, 5))
    (1, 3, 1)
    """
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)


def given_back(spent: Sequence[tuple[str, int]], before: int, now: int) -> list[tuple[str, int]]:
    """Return (lot, points) that go back when `before` went back already and `now` do.

    `spent` is what was taken from each lot, in that order; the last taken goes back first, so
    that it is in the end as if only the rest had been spent.

    >>> given_back([("old", 30), ("new", 20)], 0, 25)
    [('new', 20), ('old', 5)]
    """
    found = []
    for lot, points in reversed(spent):
        skipped = min(before, points)
        before -= skipped
        part = min(now, points - skipped)
        now -= part
        if part:
            found.append((lot, part))
    return found


def claim(due: Mapping[str, int], reversed_before: Mapping[str, int]) -> dict[str, int]:
    """Return category -> points to take back now: what is due in all less what went before.

    What was taken before as used (R), because its category had been transferred away, counts
    for the categories in their order.

    >>> claim({"A": 40, "E": 40}, {"A": 10, "R": 15})
    {'A': 15, 'E': 40}
    """
    used, found = reversed_before.get("R", 0), {}
    for category, points in due.items():
        left = max(0, points - reversed_before.get(category, 0))
        part = min(left, used)
        used -= part
        found[category] = left - part
    return found


@dataclass(frozen=True, slots=True)
class Own:
    """A lot that the receipt itself earned.

    Attributes:
        live: points in it that can be taken.
        gone: points of it that expired and were not yet set off against a return.
    """

    lot: str
    category: str
    live: int
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """How points are taken back.

    Attributes:
        taken: category -> points taken, all of the claim unless the policy forgives a part.
        expired: (lot, category, points) of the claim that expired earlier and are not taken twice.
        bought: points that the member must buy.
        short: points that are missing, whatever the policy makes of it.
    """

    taken: dict[str, int]
    expired: list[tuple[str, str, int]] = field(default_factory=list)
    bought: int = 0
    short: int = 0


def plan(claim: Mapping[str, int], own: Sequence[Own], *, available: int, policy: Policy) -> Plan:
    """Return how a claim is met.

    Args:
        claim: category -> points to take back now.
        own: the lots that the receipt earned.
        available: points that can be taken in all, those in `own` among them.
        policy: what happens to points that are missing; `block` is the caller's to refuse.

    >>> plan({"A": 40, "E": 40}, [], available=50, policy="buy")
    Plan(taken={'A': 40, 'E': 40}, expired=[], bought=30, short=30)
    """
    expired = []
    for category, points in claim.items():
        mine = [each for each in own if each.category == category]
        left = points - sum(each.live for each in mine)
        for each in mine:
            part = min(each.gone, left)
            if part > 0:
                expired.append((each.lot, category, part))
                left -= part
    set_off = sum(points for _, _, points in expired)
    short = max(0, sum(claim.values()) - set_off - max(available, 0))
    if policy == "within_balance":
        return Plan(_forgiven(claim, short), expired, 0, short)
    return Plan(dict(claim), expired, short if policy == "buy" else 0, short)


def _forgiven(claim: Mapping[str, int], short: int) -> dict[str, int]:
    """Return the claim less `short` points, taken from its last categories first."""
    left = {}
    for category, points in reversed(list(claim.items())):
        part = min(points, short)
        short -= part
        left[category] = points - part
    return {category: left[category] for category in claim}
