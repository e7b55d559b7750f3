"""What is stamped on a sale, so that its points are found again from that alone.

The stamped values are JSON: numbers that are not whole stand as text. A return uses them
and never what the card, the rules or the settings have become since (domain §2.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from plugins.points_rules.rules import spending
from plugins.points_rules.rules.earning import Combine, Earned, EarningLine, earn, extra_of

#: Of the stamped form; a later form of terms gets the next number and is read beside this one.
FORM = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """Points that a scene gave, with what it asked for.

    Attributes:
        scene: the document's id, `no` its number; `audit_seq` says which version.
        condition: the stored expression over the sale; "" for every sale.
        key: marks what a member gets once only; "" where it is once per receipt.
    """

    scene: str
    no: str
    audit_seq: int
    points: int
    condition: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TermLine:
    """What one line brought in: money due, its rate and the multipliers in force for it."""

    due: Decimal
    rate: Decimal
    multipliers: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that a receipt's points follow from.

    Attributes:
        digits: places of the currency.
        spent: points that paid for a part, worth `point_value` each.
        earns_on_paid: whether what points paid earns points too.
        grants: scenes that gave a fixed number.
        scenes: numbers of the scenes whose multipliers stand in the lines.
    """

    lines: tuple[TermLine, ...]
    digits: int = 2
    identity: Decimal = Decimal(0)
    combine: Combine = "max"
    spent: int = 0
    point_value: Decimal = Decimal(0)
    earns_on_paid: bool = False
    grants: tuple[Grant, ...] = ()
    scenes: tuple[str, ...] = ()

    @property
    def paid(self) -> Decimal:
        """Return the money that the points spent are worth."""
        return spending.worth(self.spent, self.point_value, self.digits)

    @property
    def earning_lines(self) -> list[EarningLine]:
        """Return the lines as they earn, after what points paid is taken from them."""
        due = [line.due for line in self.lines]
        paid = Decimal(0) if self.earns_on_paid else self.paid
        bases = spending.bases(due, paid, self.digits)
        return [
            EarningLine(base, line.rate, line.multipliers)
            for base, line in zip(bases, self.lines, strict=True)
        ]

    def earned(self) -> Earned:
        """Return what the receipt earns."""
        return earn(
            self.earning_lines,
            identity=self.identity,
            grants=[each.points for each in self.grants],
            combine=self.combine,
        )

    def weights(self, category: str) -> list[Fraction]:
        """Return by how much each line has a part in A, B or E, exactly."""
        lines = self.earning_lines
        if category != "B":
            return [line.weight for line in lines]
        return [line.weight * extra_of(line.multipliers, self.combine) for line in lines]

    def as_json(self) -> dict[str, Any]:
        """Return the values to stamp."""
        return {
            "form": FORM,
            "lines": [_line_json(line) for line in self.lines],
            "digits": self.digits,
            "identity": _text(self.identity),
            "combine": self.combine,
            "spent": self.spent,
            "point_value": _text(self.point_value),
            "earns_on_paid": self.earns_on_paid,
            "grants": [_grant_json(each) for each in self.grants],
            "scenes": list(self.scenes),
        }


def read_terms(stamped: Mapping[str, Any]) -> Terms:
    """Return the terms that were stamped on a sale.

    Raises:
        ValueError: they have a form that is not known.
    """
    if stamped.get("form") != FORM:
        message = f"unknown form of points terms: {stamped.get('form')!r}"
        raise ValueError(message)
    return Terms(
        lines=tuple(
            TermLine(
                Decimal(line["due"]),
                Decimal(line["rate"]),
                tuple(map(Decimal, line.get("multipliers", ()))),
            )
            for line in stamped["lines"]
        ),
        digits=stamped["digits"],
        identity=Decimal(stamped["identity"]),
        combine=cast("Combine", stamped["combine"]),
        spent=stamped["spent"],
        point_value=Decimal(stamped["point_value"]),
        earns_on_paid=stamped["earns_on_paid"],
        grants=tuple(Grant(**each) for each in stamped["grants"]),
        scenes=tuple(stamped["scenes"]),
    )


def reproduce(stamped: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `points` and `points_paid` of a sale from what was stamped on it, and nothing else.

    >>> reproduce(Terms((TermLine(Decimal("1000.00"), Decimal("0.1")),)).as_json())
    {'points': {'A': 100, 'B': 0, 'C': 0, 'D': 0, 'E': 0}, 'points_paid': '0.00'}
    """
    terms = read_terms(stamped) if stamped else Terms(())
    return {"points": terms.earned().points, "points_paid": _text(terms.paid)}


def _text(value: Decimal) -> str:
    return f"{value:f}"


def _line_json(line: TermLine) -> dict[str, Any]:
    plain: dict[str, Any] = {"due": _text(line.due), "rate": _text(line.rate)}
    if line.multipliers:
        plain["multipliers"] = [_text(each) for each in line.multipliers]
    return plain


def _grant_json(grant: Grant) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in Grant.__slots__}


def total_due(lines: Sequence[TermLine]) -> Decimal:
    """Return what all lines cost together."""
    return sum((line.due for line in lines), Decimal(0))
