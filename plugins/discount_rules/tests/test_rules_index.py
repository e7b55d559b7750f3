"""The index against a slow reading of every effect, at random moments of a long life."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from plugins.discount_rules.rules.cells import Cell
from plugins.discount_rules.rules.resolution import (
    LEAST_ABOVE,
    LEVELS,
    MOST_LOST,
    Moment,
    RuleIndex,
)

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
UNMET = "no"


class Life:
    """Documents that take effect, are replaced and voided, each as an effect and in an index."""

    def __init__(self, seed, count, targets):
        self.random, self.targets = Random(seed), targets
        self.effects, self.index, self.at = [], RuleIndex(), FIRST
        for seq in range(1, count + 1):
            # Several audits within one second, and now and then a clock that was set back.
            self.at += timedelta(hours=self.random.choice([0, 0, 1, 5, 24, -2]))
            self.add(seq)

    def add(self, seq):
        alive = sorted({one[0] for one in self.effects if one[3]})
        kind = self.random.random()
        record_id = self.random.choice(alive) if alive and kind < 0.3 else f"d{seq}"
        if alive and kind < 0.15:
            values = None
            self.index.end(record_id, seq, self.at, is_replaced=False)
        else:
            values = self.values(seq)
            self.index.take_effect(record_id, seq, self.at, values)
        self.effects.append((record_id, seq, self.at, values))

    def values(self, seq):
        pick, day = self.random, FIRST.date() + timedelta(self.random.randrange(200))
        return {
            "no": f"ZK{seq}",
            "card_types": pick.sample(["gold", "plain"], pick.randint(1, 2)),
            "effective_from": day,
            "effective_to": pick.choice([None, day + timedelta(pick.randrange(40))]),
            "lines": [
                {
                    "scope": pick.choice(LEVELS),
                    "targets": pick.sample(self.targets, pick.randint(1, len(self.targets))),
                    "rate": Decimal(pick.randint(50, 100)) / 100,
                    "joins_stacking": pick.random() < 0.8,
                    "condition": pick.choice([None, None, "yes", UNMET]),
                }
                for _ in range(pick.randint(1, 3))
            ],
        }

    def moment(self):
        if self.random.random() < 0.5:  # today, as nearly every sale is
            at = self.at + timedelta(days=1)
            known = self.random.choice([None, len(self.effects)])
        else:
            at = FIRST + (self.at - FIRST) * self.random.random()
            known = self.random.choice([None, self.random.randint(1, len(self.effects))])
        return Moment(FIRST.date() + timedelta(self.random.randrange(220)), at, known)

    def read(self, product, card_type, moment):
        """Return (why it does not hold, rank, no, line) of every rule for a product."""
        found = []
        known = [
            one for one in self.effects if moment.audit_seq is None or one[1] <= moment.audit_seq
        ]
        for record_id, seq, at, values in self.effects:
            ends = [one for one in known if one[0] == record_id and one[1] > seq][:1]
            for number, line in enumerate(values["lines"] if values else ()):
                if card_type not in values["card_types"]:
                    continue
                if product.get(line["scope"]) not in line["targets"]:
                    continue
                rank = LEVELS.index(line["scope"]), seq, number
                unknown = at > moment.at or not any(one[1] == seq for one in known)
                ended = ends and ends[0][2] <= moment.at
                reasons = {
                    "not_yet_audited": unknown,
                    "void": ended and not ends[0][3],
                    "replaced": ended and ends[0][3],
                    "not_yet_effective": values["effective_from"] > moment.on,
                    "expired": (values["effective_to"] or date.max) < moment.on,
                    "condition_not_met": line["condition"] == UNMET,
                }
                why = next((one for one, holds in reasons.items() if holds), "")
                found.append((why, rank, values["no"], number, line["rate"]))
        return sorted(found, key=lambda one: one[1], reverse=True)


def holds(condition):
    return "condition_not_met" if condition == UNMET else None


@pytest.mark.parametrize(
    ("seed", "count", "targets"), [(1, 40, "abc"), (2, 320, "a"), (3, 90, "ab")]
)
def test_index_equals_a_slow_reading_at_random_moments(seed, count, targets):
    life = Life(seed, count, list(targets))
    for _ in range(80):
        product = {level: life.random.choice([*targets, None]) for level in LEVELS}
        card_type, moment = life.random.choice(["gold", "plain"]), life.moment()
        slow = life.read(product, card_type, moment)
        best = next((one for one in slow if not one[0]), None)
        found = life.index.resolve(
            product, card_type=card_type, default_rate=Decimal(1), moment=moment, holds=holds
        )
        winner = found.rule and (found.rule.no, found.rule.line)
        assert winner == (best and best[2:4])
        assert found.rate == (best[4] if best else 1)
        reasons = {one[2:4]: one[0] for one in slow if one is not best}
        named = {(it.rule.no, it.rule.line): it.why for it in found.lost}
        assert len(named) == len(found.lost) == min(MOST_LOST, len(reasons))
        beaten = {"lower_level", "earlier_audit", "earlier_line"}
        for rule, why in named.items():
            # A condition is only asked of rules that rank above the one that applies.
            certain = reasons[rule] not in {"", "condition_not_met"}
            assert why == reasons[rule] if certain else why in beaten | {reasons[rule]}
        ranks = [it.rule.rank for it in found.lost]
        assert ranks == sorted(ranks, reverse=True)


def test_losers_are_the_nearest_above_and_below():
    index = RuleIndex()
    for seq in range(1, 101):
        days = {"effective_from": date(2026, 1, 1), "effective_to": None}
        if seq > 60:
            days["effective_from"] = date(2027, 1, 1)
        line = {"scope": "brand", "targets": ["a"], "rate": Decimal("0.9"), "joins_stacking": True}
        values = {"no": f"R{seq}", "card_types": ["gold"], "lines": [line], **days}
        index.take_effect(f"d{seq}", seq, FIRST, values)
    found = index.resolve(
        {"brand": "a"}, card_type="gold", default_rate=Decimal(1),
        moment=Moment(date(2026, 3, 1), FIRST, 100),
    )  # fmt: skip
    assert found.rule is not None
    assert found.rule.no == "R60"
    named = [it.rule.audit_seq for it in found.lost]
    near = [*range(100, 100 - LEAST_ABOVE, -1), *range(59, 59 - LEAST_ABOVE, -1)]
    assert named == near


class Counting(list):
    """Rules that count how often one is looked at."""

    looks = 0

    def __getitem__(self, key):
        if isinstance(key, int):
            Counting.looks += 1
        return super().__getitem__(key)


def test_search_steps_over_thousands_of_rules_that_are_over():
    life = Life(4, 1, ["a"])
    values = life.values(1)
    values |= {"card_types": ["gold"], "effective_from": date(2020, 1, 1), "effective_to": None}
    line = {"scope": "brand", "targets": ["a"], "rate": Decimal("0.9"), "joins_stacking": True}
    index = RuleIndex()
    index.take_effect("base", 1, FIRST, values | {"lines": [line]})
    for week in range(3_000):
        first = date(2020, 1, 1) + timedelta(week % 300)
        spent = {"effective_from": first, "effective_to": first + timedelta(6)}
        index.take_effect(f"w{week}", week + 2, FIRST, values | {"lines": [line]} | spent)
    cell = index._cells["gold", "brand"]["a"]
    cell.rules = Counting(cell.rules)
    moment = Moment(date(2026, 3, 1), FIRST, 10_000)
    found = index.resolve({"brand": "a"}, card_type="gold", default_rate=Decimal(1), moment=moment)
    assert found.rule is not None
    assert found.rule.audit_seq == 1
    assert Counting.looks < 200


def test_answer_of_the_day_is_forgotten_when_a_document_takes_effect():
    index, moment = RuleIndex(), Moment(date(2026, 3, 1), FIRST, 1)
    line = {"scope": "brand", "targets": ["a"], "rate": Decimal("0.9"), "joins_stacking": True}
    values = {
        "no": "R", "card_types": ["gold"], "lines": [line],
        "effective_from": date(2026, 1, 1), "effective_to": None,
    }  # fmt: skip

    def rate(moment, default=Decimal(1)):
        product = {"brand": "a", "product": "p"}
        return index.resolve(product, card_type="gold", default_rate=default, moment=moment).rate

    assert (rate(moment), rate(moment, Decimal("0.7"))) == (1, Decimal("0.7"))
    index.take_effect("d", 2, FIRST, values)
    assert (rate(replace(moment, audit_seq=2)), rate(moment)) == (Decimal("0.9"), 1)
    index.end("d", 3, FIRST, is_replaced=False)
    assert (rate(replace(moment, audit_seq=3)), rate(replace(moment, audit_seq=2))) == (
        1, Decimal("0.9"),
    )  # fmt: skip


def test_cell_without_rules_up_to_an_audit_yields_nothing():
    life = Life(5, 30, ["a"])
    cells = [one for cells in life.index._cells.values() for one in cells.values()]
    assert all(isinstance(one, Cell) for one in cells)
    assert [list(one.falling(date(2026, 3, 1), 0, is_now=True)) for one in cells] == [[]] * len(
        cells
    )
