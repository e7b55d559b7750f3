"""Which points rules and scenes hold for a sale at its moment: pure functions.

Levels rise from class to product; the highest level that matches wins whatever its age, and
in one level the document that was audited later (domain §2.4, as prices do). Rate and
exclusion are decided together, multipliers beside them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from plugins.points_rules.rules.documents import RATES

#: From the highest to the lowest.
FALLING = ("product", "brand", "counter", "small_class", "mid_class", "big_class")

#: How often a member has a scene.
Once = Literal["receipt", "day", "year", "ever"]

#: Whether a stored condition holds for the sale, or for one line of it.
Holds = Callable[[str], bool]


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
        ended_at: when it was voided or replaced, with the number of that audit.
    """

    record_id: str
    no: str
    effective_from: date
    effective_to: date | None
    audited_at: datetime
    audit_seq: int
    ended_at: datetime | None = None
    end_seq: int | None = None

    def holds(self, moment: Moment) -> bool:
        """Return whether it held and was known at a moment."""
        if self.audit_seq > moment.audit_seq or self.audited_at > moment.at:
            return False
        if self.ended_at is not None and self.end_seq is not None:
            is_over = self.end_seq <= moment.audit_seq and self.ended_at <= moment.at
            if is_over:
                return False
        return self.effective_from <= moment.on <= (self.effective_to or date.max)


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
    effect: str
    value: Decimal
    condition: str = ""


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

    def end(self, record_id: str, seq: int, at: datetime) -> None:
        """Note that what a document said until now ended with an audit."""
        version = self.live.pop(record_id, None)
        if version is not None:
            version.ended_at, version.end_seq = at, seq

    def begin(self, record_id: str, seq: int, at: datetime, values: Mapping[str, Any]) -> Version:
        """Return the new version of a document, in the place of the one until now."""
        self.end(record_id, seq, at)
        made = Version(
            record_id, values["no"], values["effective_from"], values.get("effective_to"), at, seq
        )
        self.live[record_id] = made
        return made


class RuleIndex(_Versions):
    """The lines of points rules by card type, level and target; it only grows.

    Whoever asks at an earlier moment still finds what held and was known then.
    """

    def __init__(self) -> None:
        """Begin without any rule."""
        super().__init__()
        self._cells: dict[tuple[str, str, str], list[Rule]] = {}

    def take_effect(
        self, record_id: str, seq: int, at: datetime, values: Mapping[str, Any]
    ) -> None:
        """Add a document that took effect after all the others; `values` as they are stored."""
        version = self.begin(record_id, seq, at, values)
        for number, line in enumerate(values["lines"], start=1):
            rule = Rule(
                version,
                number,
                line["effect"],
                line.get("value") or Decimal(0),
                line.get("condition") or "",
            )
            for card_type in values["card_types"]:
                for target in line["targets"]:
                    self._cells.setdefault((card_type, line["scope"], target), []).append(rule)

    def resolve(
        self, scopes: Mapping[str, str], card_type: str, moment: Moment, holds: Holds
    ) -> tuple[Rule | None, Rule | None]:
        """Return what decides a product's rate and what its multiplier; None where nothing does.

        Args:
            scopes: the product's level -> code; a missing level never matches.
            card_type: id of the card type.
            moment: of the sale.
            holds: whether a condition holds for this line.
        """
        rate: Rule | None = None
        multiplier: Rule | None = None
        for rule in self._matching(scopes, card_type):
            if (rate if rule.effect in RATES else multiplier) is not None:
                continue
            if rule.version.holds(moment) and (not rule.condition or holds(rule.condition)):
                if rule.effect in RATES:
                    rate = rule
                else:
                    multiplier = rule
            if rate is not None and multiplier is not None:
                break
        return rate, multiplier

    def _matching(self, scopes: Mapping[str, str], card_type: str) -> Iterator[Rule]:
        """Yield the rules for a product, the highest rank first."""
        for level in FALLING:
            if level in scopes:
                yield from reversed(self._cells.get((card_type, level, scopes[level]), ()))


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
            if scene.version.holds(moment)
            and (not scene.card_types or card_type in scene.card_types)
            and (not scene.condition or holds(scene.condition))
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
            index.end(each.record_id, each.seq, each.at)
        else:
            index.take_effect(each.record_id, each.seq, each.at, each.values)
