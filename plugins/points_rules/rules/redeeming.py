"""Gifts for points: what lines come to and why a gift cannot be had; pure.

Points are whole numbers, money in the currency's digits.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

#: The only fields of a redemption that change after it, and only to cancel it.
CANCELS = frozenset({"status", "cancel_reason"})


def wanted(lines: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return gift -> how many are asked for in all, in the order in which gifts are locked.

    >>> wanted([{"gift": "b", "quantity": 1}, {"gift": "a", "quantity": 2}])
    {'a': 2, 'b': 1}
    """
    sums: dict[str, int] = {}
    for line in lines:
        sums[line["gift"]] = sums.get(line["gift"], 0) + line["quantity"]
    return dict(sorted(sums.items()))


def fault(gift: Mapping[str, Any], asked: int, on: date) -> str | None:
    """Return why so many of a gift cannot be had on a store day; None when they can.

    >>> fault({"status": "active", "offered_from": None, "offered_to": None, "stock": 1}, 2, None)
    'out_of_stock'
    """
    if gift["status"] != "active":
        return "not_offered"
    first, last = gift["offered_from"], gift["offered_to"]
    if (first is not None and on < first) or (last is not None and on > last):
        return "not_offered"
    return "out_of_stock" if gift["stock"] < asked else None


def cost(
    lines: Sequence[Mapping[str, Any]], gifts: Mapping[str, Mapping[str, Any]]
) -> tuple[int, Decimal]:
    """Return points and money that the lines cost in all."""
    points = sum(line["quantity"] * gifts[line["gift"]]["points"] for line in lines)
    money = sum(
        (line["quantity"] * (gifts[line["gift"]]["money_part"] or Decimal(0)) for line in lines),
        Decimal(0),
    )
    return points, money


def is_cancelling(before: Mapping[str, Any], changing: Mapping[str, Any]) -> bool:
    """Return whether a change cancels a redemption and does nothing else."""
    return (
        before["status"] == "done"
        and changing.get("status") == "cancelled"
        and set(changing) <= CANCELS
    )
