"""What a receipt earns: A by purchase, E by identity, B by multipliers, C by scenes.

Points are whole and floored once per receipt (domain §2.4); the part of each line is the
largest remainder of that. Weights stay exact, so that a return can take back its share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from typing import Literal

#: What a purchase can earn, in the order in which people see it; D comes by document only.
CATEGORIES = ("A", "B", "C", "D", "E")

#: How several multipliers in force meet: the highest counts, or what each adds is added up.
Combine = Literal["max", "sum"]


#: More digits than any receipt has, so that products and sums of decimals stay exact.
_EXACT = Context(prec=60)
_NOTHING = Decimal(0)


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
    def weight(self) -> Decimal:
        """Return the exact points of the line before they are floored; never below zero."""
        return max(_EXACT.multiply(self.base, self.rate), _NOTHING)


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
    on_identity: bool = False,
) -> Earned:
    """Return what a receipt earns.

    A is the floor of all exact points, E is A times the identity multiple, B what the
    multipliers add to each line's part of A, and `on_identity` to its part of E too; each is
    floored once. C are the grants.

    >>> earn([EarningLine(Decimal("999.99"), Decimal("0.1"), (Decimal(3),))],
    ...      identity=Decimal(1), grants=[50]).points
    {'A': 99, 'B': 198, 'C': 50, 'D': 0, 'E': 99}
    """
    with localcontext(_EXACT):
        weights = [line.weight for line in lines]
        purchase = int(sum(weights, _NOTHING))
        by_line = spread(purchase, weights)
        extra = sum(
            (
                part * extra_of(line.multipliers, combine)
                for part, line in zip(by_line, lines, strict=True)
                if line.multipliers
            ),
            _NOTHING,
        )
        if on_identity:
            extra *= 1 + identity
        points = {
            "A": purchase,
            "B": int(extra),
            "C": sum(grants),
            "D": 0,
            "E": int(purchase * identity),
        }
    return Earned(points, by_line)


def extra_of(multipliers: Iterable[Decimal], combine: Combine = "max") -> Decimal:
    """Return how many times the purchase points come on top of them, 0 without a multiplier.

    >>> extra_of([Decimal(2), Decimal(3)]), extra_of([Decimal(2), Decimal(3)], "sum")
    (Decimal('2'), Decimal('3'))
    """
    extras = [max(each - 1, _NOTHING) for each in multipliers]
    return sum(extras, _NOTHING) if combine == "sum" else max(extras, default=_NOTHING)


def spread(total: int, weights: Sequence[Decimal]) -> tuple[int, ...]:
    """Return `total` shared out by weight in whole units, the largest remainders rounded up.

    Of equal remainders the first is rounded up. Without any weight nobody gets a share.

    >>> spread(100, [Decimal(1)] * 3), spread(0, [Decimal(1)]), spread(5, [Decimal(0)] * 2)
    ((34, 33, 33), (0,), (0, 0))
    """
    whole = sum(weights, _NOTHING)
    if not whole:
        return (0,) * len(weights)
    places = -int(whole.as_tuple().exponent)
    scaled = [int(weight.scaleb(places)) for weight in weights]
    of_all = sum(scaled)
    parts = [divmod(total * each, of_all) for each in scaled]
    shares = [share for share, _ in parts]
    missing = total - sum(shares)
    if missing:
        order = sorted(range(len(parts)), key=lambda at: -parts[at][1])
        for at in order[:missing]:
            shares[at] += 1
    return tuple(shares)
