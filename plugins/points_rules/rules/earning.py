"""What a receipt earns: A by purchase, E by identity, B by multipliers, C by scenes.

Points are whole and floored once per receipt (domain §2.4); the part of each line is the
largest remainder of that. Weights stay exact, so that a return can take back its share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

#: What a purchase can earn, in the order in which people see it; D comes by document only.
CATEGORIES = ("A", "B", "C", "D", "E")

#: How several multipliers in force meet: the highest counts, or what each adds is added up.
Combine = Literal["max", "sum"]


@dataclass(frozen=True, slots=True)
class EarningLine:
    """One line of a receipt as far as it earns.

    Attributes:
        base: money that counts: net after discounts, less what points paid of it.
        rate: points for each 1.00; 0 where a rule excludes the line.
        multipliers: those in force for it; 3 gives three times the purchase points.
    """

    base: Decimal
    rate: Decimal
    multipliers: tuple[Decimal, ...] = ()

    @property
    def weight(self) -> Fraction:
        """Return the exact points of the line before they are floored; never below zero."""
        return max(Fraction(self.base) * Fraction(self.rate), Fraction(0))


@dataclass(frozen=True, slots=True)
class Earned:
    """What a receipt earns, and each line's part of its A."""

    points: dict[str, int]
    by_line: tuple[int, ...]

    @property
    def total(self) -> int:
        """Return the points of all categories together."""
        return sum(self.points.values())


def earn(
    lines: Sequence[EarningLine],
    *,
    identity: Decimal = Decimal(0),
    grants: Iterable[int] = (),
    combine: Combine = "max",
) -> Earned:
    """Return what a receipt earns.

    A is the floor of all exact points, E is A times the identity multiple, B what the
    multipliers add to each line's part of A; each is floored once. C are the grants.

    >>> earn([EarningLine(Decimal("999.99"), Decimal("0.1"), (Decimal(3),))],
    ...      identity=Decimal(1), grants=[50]).points
    {'A': 99, 'B': 198, 'C': 50, 'D': 0, 'E': 99}
    """
    weights = [line.weight for line in lines]
    purchase = int(sum(weights, Fraction(0)))
    by_line = spread(purchase, weights)
    extra = sum(
        (
            part * extra_of(line.multipliers, combine)
            for part, line in zip(by_line, lines, strict=True)
        ),
        Fraction(0),
    )
    points = {
        "A": purchase,
        "B": int(extra),
        "C": sum(grants),
        "D": 0,
        "E": int(purchase * Fraction(identity)),
    }
    return Earned(points, by_line)


def extra_of(multipliers: Iterable[Decimal], combine: Combine = "max") -> Fraction:
    """Return how many times the purchase points come on top of them, 0 without a multiplier.

    >>> extra_of([Decimal(2), Decimal(3)]), extra_of([Decimal(2), Decimal(3)], "sum")
    (Fraction(2, 1), Fraction(3, 1))
    """
    extras = [max(Fraction(each) - 1, Fraction(0)) for each in multipliers]
    return sum(extras, Fraction(0)) if combine == "sum" else max(extras, default=Fraction(0))


def spread(total: int, weights: Sequence[Fraction | int]) -> tuple[int, ...]:
    """Return `total` shared out by weight in whole units, the largest remainders rounded up.

    Of equal remainders the first is rounded up. Without any weight nobody gets a share.

    >>> spread(100, [1, 1, 1]), spread(0, [1]), spread(5, [0, 0])
    ((34, 33, 33), (0,), (0, 0))
    """
    whole = sum(weights, Fraction(0))
    if not whole:
        return (0,) * len(weights)
    exact = [total * Fraction(weight) / whole for weight in weights]
    shares = [int(each) for each in exact]
    order = sorted(range(len(exact)), key=lambda at: shares[at] - exact[at])
    for at in order[: total - sum(shares)]:
        shares[at] += 1
    return tuple(shares)
