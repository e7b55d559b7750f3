"""Which points rules and scenes hold for a sale at its moment: pure functions.

Levels rise from class to product; the highest level that matches wins whatever its age, and
in one level the document that was audited later (domain §2.4, as prices do). Rate and
exclusion are decided together, multipliers beside them.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from plugins.points_rules.rules.documents import RATES

#: From the lowest to the highest.
LEVELS = ("big_class", "mid_class", "small_class", "counter", "brand", "product")

_FALLING = LEVELS[::-1]

#: Rules that lost which a resolution names at most, the nearest to those that won; at least
#: so many of them that rank above, where there are.
MOST_LOST, LEAST_ABOVE = 20, 10

#: How often a member has a scene.
Once = Literal["receipt", "day", "year", "ever"]

#: Why a stored condition does not hold for the sale, or for one line of it, such as
#: `condition_not_met`; None when it holds.
Holds = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Moment:
    """When a sale happens: its store day, its instant, and the last audit it knows."""

    on: date
    at: datetime
    audit_seq: int


@dataclass(slots=True, eq=False)
class Version:
    """One version of a document: from which day and audit it holds, and until which.

    Attributes:
        effective_from: first store day, `effective_to` the last, None without end.
        audited_at: when it was known, `audit_seq` the number of that audit.
        ended_at: when it was voided or replaced, with the number of that audit;
            `is_replaced` that the document took effect anew.
    """

    record_id: str
    no: str
    effective_from: date
    effective_to: date | None
    audited_at: datetime
    audit_seq: int
    ended_at: datetime | None = None
    end_seq: int | None = None
    is_replaced: bool = False

    def why_not(self, moment: Moment) -> str | None:
        """Return why it did not hold or was not known at a moment, or None when it held.

        One of `not_yet_audited`, `void`, `replaced`, `not_yet_effective`, `expired`.
        """
        if self.audit_seq > moment.audit_seq or self.audited_at > moment.at:
            return "not_yet_audited"
        if self.ended_at is not None and self.end_seq is not None:
            is_over = self.end_seq <= moment.audit_seq and self.ended_at <= moment.at
            if is_over:
                return "replaced" if self.is_replaced else "void"
        if self.effective_from > moment.on:
            return "not_yet_effective"
        return None if moment.on <= (self.effective_to or date.max) else "expired"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a points rule.

    Attributes:
        line: its place in the document; of two that say the same, the later holds.
        effect: `rate`, `multiplier` or `excluded`; `value` is 0 for the last.
        condition: a stored expression over sale and line; "" for every line.
    """

    version: Version
    line: int
    level: str
    effect: str
    value: Decimal
    condition: str = ""


class Lost(NamedTuple):
    """A rule for this product and card type that does not apply, and why."""

    rule: Rule
    why: str


class Resolution(NamedTuple):
    """Which rule decides one thing for one product and card type at one moment, and why.

    Attributes:
        rule: None where none does.
        lost: the nearest of the others, at most `MOST_LOST`, by rank.
    """

    rule: Rule | None
    lost: tuple[Lost, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """A points scene.

    Attributes:
        card_types: for which it is; none is all.
        points: the fixed number that it gives; 0 where it multiplies.
        multiplier: of the purchase points; 0 where it gives points.
        condition: a stored expression over the sale; "" for every sale.
    """

    version: Version
    card_types: frozenset[str]
    once: Once
    points: int = 0
    multiplier: Decimal = Decimal(0)
    condition: str = ""


@dataclass(slots=True)
class _Versions:
    """The version of each document that holds now, so that its end can be noted."""

    live: dict[str, Version] = field(default_factory=dict)

    def end(self, record_id: str, seq: int, at: datetime, *, is_replaced: bool) -> None:
        """Note that what a document said until now ended with an audit."""
        version = self.live.pop(record_id, None)
        if version is not None:
            version.ended_at, version.end_seq, version.is_replaced = at, seq, is_replaced

    def begin(self, record_id: str, seq: int, at: datetime, values: Mapping[str, Any]) -> Version:
        """Return the new version of a document, in the place of the one until now."""
        self.end(record_id, seq, at, is_replaced=True)
        made = Version(
            record_id, values["no"], values["effective_from"], values.get("effective_to"), at, seq
        )
        self.live[record_id] = made
        return made


#: Card type, level and target -> the rules for them, in the order of their audits.
_Cells = dict[tuple[str, str, str], list[Rule]]


class RuleIndex(_Versions):
    """The lines of points rules by card type, level and target; it only grows.

    Whoever asks at an earlier moment still finds what held and was known then.
    """

    def __init__(self) -> None:
        """Begin without any rule."""
        super().__init__()
        # Rates and exclusions in one, multipliers in the other: they never beat each other.
        self._rates: _Cells = {}
        self._multipliers: _Cells = {}

    def take_effect(
        self, record_id: str, seq: int, at: datetime, values: Mapping[str, Any]
    ) -> None:
        """Add a document that took effect after all the others; `values` as they are stored."""
        version = self.begin(record_id, seq, at, values)
        for number, line in enumerate(values["lines"], start=1):
            rule = Rule(
                version,
                number,
                line["scope"],
                line["effect"],
                line.get("value") or Decimal(0),
                line.get("condition") or "",
            )
            cells = self._rates if rule.effect in RATES else self._multipliers
            for card_type in values["card_types"]:
                for target in line["targets"]:
                    cells.setdefault((card_type, line["scope"], target), []).append(rule)

    def resolve(
        self, scopes: Mapping[str, str], card_type: str, moment: Moment, holds: Holds
    ) -> tuple[Resolution, Resolution]:
        """Return what decides a product's rate or exclusion, and what its multiplier.

        Args:
            scopes: the product's level -> code; a missing level never matches.
            card_type: id of the card type.
            moment: of the sale.
            holds: why a condition does not hold for this line.
        """
        asked = scopes, card_type, moment, holds
        return _decide(self._rates, *asked), _decide(self._multipliers, *asked)


def _decide(
    cells: _Cells, scopes: Mapping[str, str], card_type: str, moment: Moment, holds: Holds
) -> Resolution:
    """Return the highest rule that holds, and the nearest that lost on both sides of it."""
    winner: Rule | None = None
    above: deque[Lost] = deque(maxlen=MOST_LOST)
    below: list[Lost] = []
    for rule in _falling(cells, scopes, card_type):
        if len(below) == MOST_LOST:
            break
        why = rule.version.why_not(moment)
        if winner is not None:
            below.append(Lost(rule, why or _beaten(rule, winner)))
            continue
        if why is None and rule.condition:
            why = holds(rule.condition)
        if why is None:
            winner = rule
        else:
            above.append(Lost(rule, why))
    nearest = list(above)[-max(LEAST_ABOVE, MOST_LOST - len(below)) :]
    return Resolution(winner, (*nearest, *below[: MOST_LOST - len(nearest)]))


def _falling(cells: _Cells, scopes: Mapping[str, str], card_type: str) -> Iterator[Rule]:
    """Yield the rules for a product, the highest rank first."""
    for level in _FALLING:
        if level in scopes:
            yield from reversed(cells.get((card_type, level, scopes[level]), ()))


def _beaten(rule: Rule, winner: Rule) -> str:
    if winner.level != rule.level:
        return "lower_level"
    return "earlier_line" if winner.version is rule.version else "earlier_audit"


class SceneIndex(_Versions):
    """All scenes in the order of their audits; it only grows."""

    def __init__(self) -> None:
        """Begin without any scene."""
        super().__init__()
        self._scenes: list[Scene] = []

    def take_effect(
        self, record_id: str, seq: int, at: datetime, values: Mapping[str, Any]
    ) -> None:
        """Add a document that took effect after all the others; `values` as they are stored."""
        self._scenes.append(
            Scene(
                self.begin(record_id, seq, at, values),
                frozenset(values.get("card_types") or ()),
                values["once"],
                values.get("points") or 0,
                values.get("multiplier") or Decimal(0),
                values.get("condition") or "",
            )
        )

    def condition_of(self, record_id: str, audit_seq: int) -> str | None:
        """Return the condition of one version of a scene; None where it is not known."""
        return next(
            (
                scene.condition
                for scene in self._scenes
                if (scene.version.record_id, scene.version.audit_seq) == (record_id, audit_seq)
            ),
            None,
        )

    def in_force(self, card_type: str, moment: Moment, holds: Holds) -> list[Scene]:
        """Return the scenes that hold for a sale, in the order of their audits.

        `card_type` is "" for a member without a card, for whom scenes of every card type hold.
        """
        return [
            scene
            for scene in self._scenes
            if scene.version.why_not(moment) is None
            and (not scene.card_types or card_type in scene.card_types)
            and (not scene.condition or holds(scene.condition) is None)
        ]


def once_key(scene: Scene, member: str, on: date) -> str:
    """Return what marks the scene as had by a member; "" where every receipt may have it."""
    periods = {"receipt": None, "day": on.isoformat(), "year": str(on.year), "ever": "ever"}
    period = periods[scene.once]
    return f"{scene.version.record_id}:{member}:{period}" if period else ""


def stamp(rule: Rule) -> dict[str, Any]:
    """Return by what people find a rule again."""
    return {"no": rule.version.no, "line": rule.line, "audit_seq": rule.version.audit_seq}


def take_all(index: RuleIndex | SceneIndex, effects: Sequence[Any]) -> None:
    """Add effects in the order of their audits; each has `seq, record_id, at, action, values`."""
    for each in effects:
        if each.action == "void":
            index.end(each.record_id, each.seq, each.at, is_replaced=False)
        else:
            index.take_effect(each.record_id, each.seq, each.at, each.values)
