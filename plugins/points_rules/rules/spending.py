"""What points pay for: their worth in money, how many a receipt takes, where it counts."""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from plugins.points_rules.rules.earning import spread


def worth(points: int, point_value: Decimal, digits: int) -> Decimal:
    """Return the money that points pay, rounded down to the currency's digits.

    >>> worth(333, Decimal("0.015"), 2)
    Decimal('4.99')
    """
    unit = Decimal(1).scaleb(-digits)
    return (points * point_value).quantize(unit, rounding=ROUND_FLOOR)


def most_for(amount: Decimal, point_value: Decimal) -> int:
    """Return how many points pay `amount` at most without being worth more; 0 if worth nothing.

    >>> most_for(Decimal("0.10"), Decimal("0.03")), most_for(Decimal("5"), Decimal("0"))
    (3, 0)
    """
    return int(amount / point_value) if point_value > 0 and amount > 0 else 0


def price_of(points: int, unit_price: Decimal, digits: int) -> Decimal:
    """Return what points cost to buy, rounded up to the currency's digits.

    Rounded up because what points pay is rounded down: buying and spending never gains.

    >>> price_of(3, Decimal("0.015"), 2)
    Decimal('0.05')
    """
    unit = Decimal(1).scaleb(-digits)
    return (points * unit_price).quantize(unit, rounding=ROUND_CEILING)


def bases(due: Sequence[Decimal], paid: Decimal, digits: int) -> tuple[Decimal, ...]:
    """Return what each line leaves when points paid a part of all of them, to the last cent.

    >>> bases([Decimal("10.00"), Decimal("5.00")], Decimal("1.00"), 2)
    (Decimal('9.33'), Decimal('4.67'))
    """
    if not paid:
        return tuple(due)
    parts = spread(int(paid.scaleb(digits)), [max(each, Decimal(0)) for each in due])
    return tuple(
        each - Decimal(part).scaleb(-digits) for each, part in zip(due, parts, strict=True)
    )
