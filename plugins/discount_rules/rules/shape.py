"""How a price moves with other promotions: where deeper ones cost more, and where it jumps.

For one member rate v and one card type the price of a line is a function of d, what other
promotions leave, made of straight pieces that meet at the stacking start t and at 1. So
what is said here is exact: intervals are solved for, nothing is sampled.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from plugins.discount_rules.rules.pricing import (
    MULTIPLY,
    THRESHOLD,
    Stacking,
    paid_fraction,
    round_half_up,
)

#: List amount of the examples that people are shown (domain §2.3).
EXAMPLE = Decimal("200.00")

#: A change of d up to this fraction shall not move the price by more than `GREATEST_JUMP`.
NEARBY = Fraction(1, 100)
GREATEST_JUMP = Fraction(2, 100)

#: Examples of d have at most so many places.
_MOST_PLACES = 9


@dataclass(frozen=True, slots=True)
class Benefit:
    """What prices of one card type under one rate depend on."""

    rate: Decimal
    stacking: Stacking
    joins: bool

    def paid(self, other: Fraction) -> Fraction:
        """Return the exact fraction of the list amount that is paid when `other` is left."""
        return paid_fraction(other, self.rate, self.stacking, joins=self.joins)

    def example(self, other: Fraction) -> Decimal:
        """Return what `EXAMPLE` costs when other promotions leave `other`."""
        return round_half_up(self.paid(other) * Fraction(EXAMPLE), 2)

    @property
    def threshold(self) -> tuple[Fraction, Fraction] | None:
        """Return (t, s) where stacking from a threshold on can lower a price, else None."""
        stacking = self.stacking
        if not self.joins or stacking.mode != THRESHOLD or stacking.start is None:
            return None
        start, rate = Fraction(stacking.start), Fraction(stacking.rate or 1)
        # At 1 there is no other discount to stack upon, unless that counts too.
        at_one = stacking.at_start and not stacking.needs_other
        never = rate >= 1 or start > 1 or (start == 1 and not at_one)
        return None if never else (start, rate)

    def stacked(self, other: Fraction, rate: Fraction) -> Fraction:
        """Return what is paid when `other` is left and stacks at `rate`, as it does above t."""
        return min(other * rate, Fraction(self.rate))

    @property
    def loses_rate(self) -> bool:
        """Return whether any promotion takes the member rate away, so that it costs more."""
        return not self.joins and self.stacking.non_join == "other" and self.rate < 1


@dataclass(frozen=True, slots=True)
class Inversion:
    """Promotions that leave between `above` and `below` cost more than one that leaves more.

    Attributes:
        inside: an example of d in the open interval; `price_inside` what `EXAMPLE` costs then.
        over: an example of a smaller promotion that costs less, `price_over`: the interval's
            end, or close above it where that end is inside too.
    """

    above: Fraction
    below: Fraction
    inside: Fraction
    over: Fraction
    price_inside: Decimal
    price_over: Decimal


@dataclass(frozen=True, slots=True)
class Jump:
    """A change of d by at most `NEARBY` that moves the price by more than `GREATEST_JUMP`.

    Attributes:
        at: where it is; prices of `EXAMPLE` there and at `near`, which lies close by.
        by: the greatest relative change there within `NEARBY`.
    """

    at: Fraction
    near: Fraction
    price_at: Decimal
    price_near: Decimal
    by: Fraction


@dataclass(frozen=True, slots=True)
class BelowFloor:
    """Promotions that leave from `least` to below `most` bring the price under the floor.

    `least` itself does not where it is a starting rate above which stacking begins.
    """

    least: Fraction
    most: Fraction


def inversion(benefit: Benefit) -> Inversion | None:
    """Return where a deeper promotion costs the member more, or None.

    That is (t·s, t) when v > t·s, and (v, 1) where any promotion takes the member rate away.

    >>> found = inversion(Benefit(Decimal("0.9"), Stacking(2, Decimal("0.8"), Decimal("0.95")),
    ...                           joins=True))
    >>> str(found.inside), str(found.price_inside), str(found.price_over)
    ('79/100', '158.00', '152.00')
    """
    if benefit.loses_rate:
        least, over = Fraction(benefit.rate), Fraction(1)
        return _inversion(benefit, least, over, _just_below(over, least), over)
    threshold = benefit.threshold
    if threshold is None:
        return None
    start, rate = threshold
    least = start * rate
    if Fraction(benefit.rate) <= least:
        return None
    inside, over = _just_below(start, least), start
    if not benefit.stacking.at_start:
        over = _just_above(start, min(benefit.paid(inside) / rate, Fraction(1)))
    return _inversion(benefit, least, start, inside, over)


def jumps(benefit: Benefit) -> list[Jump]:
    """Return every place where the price jumps, from the lowest d up.

    Between t and 1 and below t the price is the smaller of two straight lines through 0 or a
    constant, which a change of d by 1 % never moves by more; so only t and 1 can jump.
    """
    found: list[Jump] = []
    if benefit.loses_rate and 1 - Fraction(benefit.rate) > GREATEST_JUMP:
        near = _just_below(Fraction(1), 1 - NEARBY, 3)
        return [_jump(benefit, Fraction(1), near, 1 - Fraction(benefit.rate))]
    threshold = benefit.threshold
    if threshold is None:
        return found
    start, rate = threshold
    under = min(start, Fraction(benefit.rate))
    drop = 1 - benefit.stacked(start, rate) / under
    if drop > GREATEST_JUMP:
        near = _just_below(start, start * (1 - NEARBY))
        if not benefit.stacking.at_start:
            near = _just_above(start, min(start / (1 - NEARBY), Fraction(1)))
        found.append(_jump(benefit, start, near, drop))
    if start < 1 and benefit.stacking.needs_other:
        alone = benefit.paid(Fraction(1))
        # On the stacked piece the price falls with d, so its nearest low end is the lowest.
        low = max(start, 1 - NEARBY)
        drop = 1 - min(benefit.stacked(low, rate), benefit.paid(1 - NEARBY)) / alone
        if drop > GREATEST_JUMP:
            near = _just_below(Fraction(1), low, 3)
            is_stacked = benefit.paid(low) == benefit.stacked(low, rate)
            if 1 - benefit.paid(near) / alone <= GREATEST_JUMP and is_stacked:
                near = low
            found.append(_jump(benefit, Fraction(1), near, drop))
    return found


def below_floor(benefit: Benefit, floor: Fraction) -> BelowFloor | None:
    """Return which other promotions, none of them under the floor, bring the price under it.

    Args:
        benefit: the rates; a member rate that is itself under the floor is another finding.
        floor: the least fraction of the list amount that shall be paid.
    """
    if benefit.joins and benefit.stacking.mode == MULTIPLY:
        rate = Fraction(benefit.rate)
        return BelowFloor(floor, min(floor / rate, Fraction(1))) if rate < 1 else None
    threshold = benefit.threshold
    if threshold is None:
        return None
    start, rate = threshold
    least, most = max(start, floor), min(floor / rate, Fraction(1))
    return BelowFloor(least, most) if least < most else None


def never_binds(benefit: Benefit) -> bool:
    """Return whether the rule joins stacking though stacking can never lower its price."""
    threshold = benefit.threshold
    if threshold is None:
        return False
    start, rate = threshold
    return Fraction(benefit.rate) <= start * rate


def _inversion(
    benefit: Benefit, above: Fraction, below: Fraction, inside: Fraction, over: Fraction
) -> Inversion:
    prices = benefit.example(inside), benefit.example(over)
    return Inversion(above, below, inside, over, *prices)


def _jump(benefit: Benefit, at: Fraction, near: Fraction, by: Fraction) -> Jump:
    return Jump(at, near, benefit.example(at), benefit.example(near), by)


def _just_below(end: Fraction, least: Fraction, places: int = 2) -> Fraction:
    """Return the number with few places that is nearest below `end` and above `least`."""
    for digits in range(places, _MOST_PLACES + 1):
        step = Fraction(1, 10**digits)
        found = ((end / step).__ceil__() - 1) * step
        if found > least:
            return found
    return (end + least) / 2


def _just_above(begin: Fraction, most: Fraction, places: int = 2) -> Fraction:
    """Return the number with few places that is nearest above `begin` and below `most`."""
    for digits in range(places, _MOST_PLACES + 1):
        step = Fraction(1, 10**digits)
        found = ((begin / step).__floor__() + 1) * step
        if found < most:
            return found
    return (begin + most) / 2
