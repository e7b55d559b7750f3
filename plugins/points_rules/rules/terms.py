"""What is stamped on a sale, so that its points are found again from that alone.

The stamped values are JSON: numbers that are not whole stand as text. A return uses them
and never what the card, the rules or the settings have become since (domain §2.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from plugins.points_rules.rules import spending
from plugins.points_rules.rules.earning import Combine, Earned, EarningLine, earn, extra_of

#: Of the stamped form; a later form of terms gets the next number and is read beside this one.
FORM = 1


@dataclass(frozen=True, slots=True)
class SceneTerm:
    """A scene that held for the sale, with what it asked for.

    Attributes:
        scene: the document's id, `no` its number; `audit_seq` says which version.
        points: the fixed number that it gave; 0 where it multiplied.
        multiplier: of the purchase points; 0 where it gave points.
        condition: the stored expression over the sale; "" for every sale.
        key: marks what a member gets once only; "" where every receipt may have it.
    """

    scene: str
    no: str
    audit_seq: int
    points: int = 0
    multiplier: Decimal = Decimal(0)
    condition: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class TermLine:
    """What one line brought in: money due, its rate and the multiplier of its rule, if any."""

    due: Decimal
    rate: Decimal
    multiplier: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that a receipt's points follow from.

    Attributes:
        digits: places of the currency.
        spent: points that paid for a part, worth `point_value` each.
        earns_on_paid: whether what points paid earns points too.
        on_identity: whether multipliers multiply the points by identity too.
    """

    lines: tuple[TermLine, ...]
    digits: int = 2
    identity: Decimal = Decimal(0)
    combine: Combine = "max"
    spent: int = 0
    point_value: Decimal = Decimal(0)
    earns_on_paid: bool = False
    scenes: tuple[SceneTerm, ...] = ()
    on_identity: bool = False

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
        for_all = tuple(each.multiplier for each in self.scenes if each.multiplier)
        return [
            EarningLine(
                base, line.rate, (*for_all, line.multiplier) if line.multiplier else for_all
            )
            for base, line in zip(bases, self.lines, strict=True)
        ]

    def earned(self) -> Earned:
        """Return what the receipt earns."""
        return earn(
            self.earning_lines,
            identity=self.identity,
            grants=[each.points for each in self.scenes],
            combine=self.combine,
            on_identity=self.on_identity,
        )

    def weights(self, category: str) -> list[Decimal]:
        """Return by how much each line has a part in A, B or E, exactly."""
        lines = self.earning_lines
        if category != "B":
            return [line.weight for line in lines]
        return [line.weight * extra_of(line.multipliers, self.combine) for line in lines]

    def as_json(self) -> dict[str, Any]:
        """Return the values to stamp; what is not there has its default."""
        return {
            "form": FORM,
            "lines": [_line_json(line) for line in self.lines],
            "digits": self.digits,
            "identity": _text(self.identity),
            "combine": self.combine,
            "spent": self.spent,
            "point_value": _text(self.point_value),
            "earns_on_paid": self.earns_on_paid,
            "on_identity": self.on_identity,
            "scenes": [_scene_json(each) for each in self.scenes],
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
                Decimal(line["due"]), Decimal(line["rate"]), Decimal(line.get("multiplier", 0))
            )
            for line in stamped["lines"]
        ),
        digits=stamped["digits"],
        identity=Decimal(stamped["identity"]),
        combine=cast("Combine", stamped["combine"]),
        spent=stamped["spent"],
        point_value=Decimal(stamped["point_value"]),
        earns_on_paid=stamped["earns_on_paid"],
        on_identity=stamped.get("on_identity", False),
        scenes=tuple(
            SceneTerm(**{**each, "multiplier": Decimal(each["multiplier"])})
            for each in stamped["scenes"]
        ),
    )


def reproduce(stamped: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `points` and `points_paid` of a sale from what was stamped on it, and nothing else.

    >>> reproduce(Terms((TermLine(Decimal("1000.00"), Decimal("0.1")),)).as_json())
    {'points': {'A': 100, 'B': 0, 'C': 0, 'D': 0, 'E': 0}, 'points_paid': Decimal('0.00')}
    """
    terms = read_terms(stamped) if stamped else Terms(())
    return {"points": terms.earned().points, "points_paid": terms.paid}


def differences(priced: Mapping[str, Any]) -> list[str]:
    """Return the names of results in a sale's certificate that its terms do not give.

    What the lines cost stands in the terms too and must be what was priced.
    """
    stamped = priced.get("terms", {}).get("points_rules")
    found = reproduce(stamped)
    known = {
        "points": dict(priced["points"]) or Terms(()).earned().points,
        "points_paid": Decimal(priced["points_paid"]),
    }
    wrong = [name for name in found if found[name] != known[name]]
    due = [Decimal(line["amount_due"]) for line in priced["lines"]]
    if stamped and [line.due for line in read_terms(stamped).lines] != due:
        wrong.append("amount_due")
    return wrong


def total_due(lines: Sequence[TermLine]) -> Decimal:
    """Return what all lines cost together."""
    return sum((line.due for line in lines), Decimal(0))


def _text(value: Decimal) -> str:
    return f"{value:f}"


def _line_json(line: TermLine) -> dict[str, Any]:
    plain: dict[str, Any] = {"due": _text(line.due), "rate": _text(line.rate)}
    if line.multiplier:
        plain["multiplier"] = _text(line.multiplier)
    return plain


def _scene_json(term: SceneTerm) -> dict[str, Any]:
    plain = {name: getattr(term, name) for name in SceneTerm.__slots__}
    return plain | {"multiplier": _text(term.multiplier)}
