"""What holds of points through any purchases, returns and expiries (domain §6), on both databases."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.api import Move, lots_of, new_id, post, write_off
from core.testing.campaigns import examples
from plugins.points_rules.operations.returning import ReturnBlocked
from plugins.points_rules.rules.terms import differences

REVERSED = "ABCE"

searching = settings(
    max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture]
)

amounts = st.integers(0, 60_000).map(lambda cents: f"{Decimal(cents).scaleb(-2):.2f}")
steps = st.one_of(
    st.tuples(st.just("sell"), st.lists(amounts, min_size=1, max_size=3), st.integers(0, 3)),
    st.tuples(st.just("return"), st.integers(0, 9), st.integers(1, 10)),
    st.tuples(st.just("return all"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 50), st.booleans()),
    st.tuples(st.just("use"), st.integers(1, 3), st.just(0)),
)


@dataclass
class Life:
    """A member at the till, who began with some points, and what all of it cost in money."""

    till: object
    member: dict = field(default_factory=lambda: {"id": new_id(), "status": "active"})
    receipts: list = field(default_factory=list)
    cash: Decimal = Decimal(0)
    used: int = 0

    @property
    def standing(self):
        return self.till.standing(self.member["id"])

    def post(self, *moves):
        ctx = self.till.shipped.context()
        post(ctx, moves, what="test", key=new_id(), ref=("member", self.member["id"]),
             valid_at=ctx.now)  # fmt: skip

    def move(self, category, amount, **rest):
        return Move("points", self.member["id"], category, amount, **rest)

    def do(self, step):
        kind, first, second = step
        if kind == "sell":
            spend = max(0, self.standing.available) * second // 3
            receipt = self.till.sell(*first, member=self.member, spend_points=spend)
            self.receipts.append(receipt)
            self.cash -= receipt.sale.total_due - receipt.sale.points_paid
        elif kind == "wait":
            self.till.shipped.clock.move(timedelta(days=first))
            if second:
                ctx = self.till.shipped.context()
                write_off(ctx, "points", self.member["id"], until=ctx.now)
        elif kind == "use":
            points = max(0, self.standing.available) * first // 3
            if points:
                self.post(self.move("R", -points, against="spent"))
                self.used += points
        elif self.receipts:
            self.give_back(self.receipts[first % len(self.receipts)], second)

    def give_back(self, receipt, most=0):
        """Return up to `most` of each line; all that is left without."""
        left = {
            each.position: each.quantity - receipt.returned.get(each.position, Decimal(0))
            for each in receipt.sale.lines
        }
        wanted = {at: min(rest, Decimal(most or rest)) for at, rest in left.items() if rest}
        if wanted:
            self.cash += self.till.give_back(receipt, wanted).refund


def check_identity(life, policy):
    """I3 and I4: the balance is what its categories say, and none is below zero."""
    found = life.standing
    totals = found.totals
    assert found.balance == sum(totals[name] for name in "ABCDEF") - totals["R"]
    if policy != "negative":
        assert min(totals.values()) >= 0
        assert found.available >= 0
        assert found.owed == 0


@pytest.mark.parametrize("policy", ["buy", "block", "within_balance", "negative"])
@searching
@given(st.lists(steps, min_size=3, max_size=8), st.sampled_from([0, 5]), st.booleans())
def test_balance_is_the_sum_of_its_categories_at_every_step(
    till, policy, life_steps, pending, ends
):
    till.shipped.set(
        "points_rules", clawback_policy=policy, pending_days=pending,
        expiry_mode="end_of_month" if ends else "none", expiry_after=1,
    )  # fmt: skip
    life = Life(till)
    life.post(life.move("D", 500))
    for step in life_steps:
        if policy == "block":
            with suppress(ReturnBlocked):
                life.do(step)
        else:
            life.do(step)
        check_identity(life, policy)
    for receipt in life.receipts:
        assert differences(receipt.certificate) == []


@searching
@given(st.lists(steps, min_size=2, max_size=7))
def test_returning_everything_takes_back_everything_and_nobody_gains(till, life_steps):
    till.shipped.set(
        "points_rules", clawback_policy="buy", expiry_mode="months", expiry_after=1,
        pending_days=0, point_value="0.03", f_unit_price="0.01",
    )  # fmt: skip
    life = Life(till)
    life.post(life.move("D", 500, expires_on=None))
    for step in life_steps:
        life.do(step)
    for receipt in life.receipts:
        life.give_back(receipt)
    totals = life.standing.totals
    assert {name: totals[name] for name in REVERSED} == dict.fromkeys(REVERSED, 0)
    gained = life.standing.available + life.used - 500
    assert gained * Decimal("0.03") + life.cash <= 0


@searching
@given(
    st.lists(amounts, min_size=1, max_size=2),
    st.lists(st.integers(1, 2), min_size=2, max_size=5),
    st.integers(0, 300),
)
def test_returning_one_by_one_is_returning_at_once(till, due, parts, used):
    till.shipped.set("points_rules", clawback_policy="buy", expiry_mode="none", pending_days=0)
    ends = []
    for counts in ([sum(parts)], parts):
        life = Life(till)
        life.do(("sell", due, 0))
        taken = min(used, life.standing.available)
        if taken:
            life.post(life.move("R", -taken, against="spent"))
        for count in counts:
            life.give_back(life.receipts[0], count)
        ends.append((dict(life.standing.totals), life.cash))
    assert ends[0] == ends[1]


@searching
@given(st.integers(1, 400), st.integers(0, 40), st.lists(st.integers(1, 9), max_size=3))
def test_spending_and_returning_never_moves_the_end_of_points(till, spent, days, parts):
    till.shipped.set("points_rules", expiry_mode="none", pending_days=0, point_value="0.01")
    life, today = Life(till), till.shipped.context().today
    life.post(life.move("C", 200, expires_on=today + timedelta(days=20)))
    life.post(life.move("D", 200))
    before = {lot.id: (lot.expires_at, lot.issued) for lot in lots(life)}
    receipt = till.sell("500.00", member=life.member, spend_points=spent)
    till.shipped.clock.move(timedelta(days=days))
    for part in parts:
        life.give_back(receipt, part)
    life.give_back(receipt)
    after = {lot.id: lot for lot in lots(life)}
    assert {key: (after[key].expires_at, after[key].issued) for key in before} == before
    assert all(lot.expires_at is None for key, lot in after.items() if key not in before)
    # The whole 200 that never end are back; the others are where their own end left them.
    assert life.standing.available == (200 if days > 20 else 400)


def lots(life):
    return lots_of(life.till.shipped.context(), life.standing.account_id, live=False)
