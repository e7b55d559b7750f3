"""The ledger's arithmetic by hand-made examples."""

from copy import deepcopy
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from core.clock import to_wire
from core.ledger import errors
from core.ledger.moves import Move, Taken
from core.ledger.reckoning import Account, Reckoning
from tests.unit.ledger_world import CHANGE, POINTS, START, VOUCHERS

ZONE = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)


def account(kind=POINTS, **rest):
    return Account("a1", kind, "points", "m1", **rest)


def reckon(one, *moves, at=START, **rest):
    made = Reckoning("p1", at, ZONE, **rest)
    moved = [made.move(one, each) for each in moves]
    made.finish()
    return moved, made


def points(category, amount, **rest):
    return Move("points", "m1", category, amount, **rest)


def sums(made):
    return sum(one.amount for one in made.entries) + sum(
        amount for why in made.counter.values() for amount in why.values()
    )


def test_reckon_earning_makes_a_lot_that_ends_as_the_kind_says():
    one = account()
    (moved,), made = reckon(one, points("A", 100))
    assert (one.balance, one.totals) == (100, {"A": 100})
    lot = one.lots[moved.lot]
    assert (lot.remaining, lot.issued, lot.category) == (100, 100, "A")
    assert lot.expires_at == "2027-03-10T16:00:00.000000Z"
    assert lot.ends_on == "2027-03-10"
    assert made.counter == {("points", "points"): {"issued": -100}}


def test_reckon_spending_takes_what_ends_soonest():
    one = account()
    (late, soon), _ = reckon(
        one,
        points("A", 100, expires_on=START + 9 * DAY),
        points("B", 30, expires_on=START + 3 * DAY),
    )
    (moved,), made = reckon(one, points("R", -50, against="spent"), at=START + DAY)
    assert moved.taken == (Taken(soon.lot, "B", 30), Taken(late.lot, "A", 20))
    assert one.balance == 80
    assert one.totals == {"A": 100, "B": 30, "R": -50}
    assert made.counter == {("points", "points"): {"spent": 50}}
    assert sums(made) == 0


def test_reckon_spending_takes_named_lots_first_even_pending_ones():
    one = account()
    (free, waits), _ = reckon(one, points("A", 50), points("A", 50, available_at=START + 7 * DAY))
    assert one.available(to_wire(START)) == 50
    (moved,), _ = reckon(one, points("A", -70, first=(waits.lot,)))
    assert moved.taken == (Taken(waits.lot, "A", 50), Taken(free.lot, "A", 20))


def test_reckon_ended_and_pending_lots_are_not_spent():
    one = account()
    reckon(
        one,
        points("A", 50, expires_on=START + DAY),
        points("A", 50, available_at=START + 7 * DAY),
        points("A", 10),
    )
    with pytest.raises(errors.Insufficient) as refused:
        reckon(one, points("R", -11), at=START + 2 * DAY)
    assert refused.value.params == {"available": 10, "asked": 11}


def test_reckon_taking_back_restores_the_lot_with_its_old_end():
    one = account()
    (earned,), _ = reckon(one, points("A", 100, expires_on=START + 3 * DAY))
    reckon(one, points("R", -60, against="spent"))
    back = points("R", 60, against="spent", lot=earned.lot)
    reckon(one, back, at=START + DAY)
    assert one.lots[earned.lot].remaining == 100
    assert one.totals["R"] == 0
    with pytest.raises(errors.OverLot):
        reckon(one, points("R", 1, lot=earned.lot))


def test_reckon_taking_back_to_an_ended_lot_expires_at_once():
    one = account()
    (earned,), _ = reckon(one, points("A", 100, expires_on=START + 3 * DAY))
    reckon(one, points("R", -60, against="spent"))
    (moved,), made = reckon(
        one, points("R", 60, against="spent", lot=earned.lot), at=START + 4 * DAY
    )
    assert moved.expired == 60
    assert one.balance == 40
    assert one.lots[earned.lot].remaining == 40
    assert made.counter == {("points", "points"): {"spent": -60, "expired": 60}}


def test_reckon_debt_is_settled_by_the_next_credit():
    one = account()
    reckon(one, points("A", 50))
    (moved,), _ = reckon(one, points("A", -80), may_owe=True)
    assert (moved.owed, one.owed, one.balance) == (30, 30, -30)
    (first,), made = reckon(one, points("A", 100))
    assert first.settled == 30
    assert (one.owed, one.balance) == (0, 70)
    assert one.lots[first.lot].remaining == 70
    assert sums(made) == 0
    assert one.totals == {"A": 70}


def test_reckon_buying_what_is_missing_before_taking_back_ends_at_zero():
    """Golden D of the rules: A100 E100, R150, a full return buys F150."""
    one = account()
    lots, _ = reckon(one, points("A", 100), points("E", 100))
    reckon(one, points("R", -150, against="spent"))
    mine = tuple(each.lot for each in lots)
    _, made = reckon(
        one,
        points("F", 150, against="sold"),
        points("A", -100, first=mine),
        points("E", -100, first=mine),
    )
    assert one.balance == 0
    assert one.totals == {"A": 0, "E": 0, "F": 150, "R": -150}
    assert made.counter == {("points", "points"): {"sold": -150, "issued": 200}}


def test_reckon_total_below_zero_is_refused_unless_the_category_may():
    one = account()
    reckon(one, points("B", 100))
    reckon(one, points("D", -10))
    with pytest.raises(errors.NegativeCategory):
        reckon(one, points("A", -10))


def test_reckon_what_expires_of_a_kind_without_uses_falls_off_what_is_left_of_categories():
    one = account(VOUCHERS)
    first = Move("vouchers", "m1", "paid", 50, expires_on=START + DAY)
    later = Move("vouchers", "m1", "given", 40, expires_on=START + 2 * DAY)
    (_, kept), _ = reckon(one, first, later)
    reckon(one, Move("vouchers", "m1", "given", -40))  # out of what ends soonest: the other lot
    assert one.totals == {"paid": 50, "given": 0}
    made = Reckoning("p2", START + 3 * DAY, ZONE)
    assert made.expire(one, one.lots.values()) == 50
    made.finish()
    assert (one.balance, one.totals, one.lots[kept.lot].remaining) == (
        0,
        {"paid": 0, "given": 0},
        0,
    )


def test_reckon_what_expires_is_not_refused_for_a_total_below_zero():
    one = account(VOUCHERS)
    soon = Move("vouchers", "m1", "paid", 50, available_at=START + DAY, expires_on=START + DAY)
    reckon(one, soon)
    reckon(one, Move("vouchers", "m1", "paid", -30), may_owe=True)
    made = Reckoning("p2", START + 3 * DAY, ZONE)
    assert made.expire(one, one.lots.values()) == 50
    made.finish()
    assert (one.balance, one.owed, one.totals) == (-30, 30, {"paid": -30})


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["credit", "debit", "named", "forgive", "expire"]),
        st.sampled_from(["paid", "given"]),
        st.integers(1, 40),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=14,
)


@given(_STEPS, st.sampled_from([0, -30, None]))
def test_reckon_keeps_sums_of_a_kind_without_uses_whatever_happens(steps, floor):
    """Lots less debts are the balance, and so are categories; what ends is never refused."""
    one = account(replace(VOUCHERS, floor=floor))
    for number, (what, category, amount, place, may_owe) in enumerate(steps):
        at = START + number * DAY
        before = deepcopy(one)
        made = Reckoning(f"p{number}", at, ZONE, may_owe=may_owe)
        lots = sorted(one.lots)
        try:
            if what == "expire":
                made.expire(one, list(one.lots.values()))
            elif what == "forgive":
                made.forgive(one, Move("vouchers", "m1", category, amount))
            else:
                lot = lots[place % len(lots)] if what == "named" and lots else None
                ends = at + place * DAY if what == "credit" else None
                signed = amount if what == "credit" else -amount
                move = Move("vouchers", "m1", category, signed, lot=lot, expires_on=ends)
                made.move(one, move)
            made.finish()
        except (errors.Insufficient, errors.NegativeCategory):
            assert what != "expire"
            one = before
            continue
        assert sums(made) == 0
        assert one.balance == sum(lot.remaining for lot in one.lots.values()) - one.owed
        assert one.balance == sum(one.totals.values())
        assert one.owed >= 0
        assert all(0 <= lot.remaining <= lot.issued for lot in one.lots.values())
        if what == "expire":
            assert not any(lot.free for lot in one.lots.values() if lot.has_ended(made.at))


def test_reckon_the_last_day_of_the_calendar_is_never():
    one = account()
    (moved,), _ = reckon(one, points("A", 10, expires_on=date(9999, 12, 31)))
    assert one.lots[moved.lot].expires_at is None


def test_reckon_cap_says_how_much_fits():
    one = account(CHANGE)
    put = Move("small_change", "c1", "change", 9_990, unit="CNY", expires_on=None)
    reckon(one, put)
    with pytest.raises(errors.OverCap) as refused:
        reckon(one, put)
    assert refused.value.params == {"cap": 10_000, "room": 10}


@pytest.mark.parametrize("amount", [10**15, -(10**15), 10**20])
def test_reckon_amounts_beyond_the_bound_are_refused(amount):
    with pytest.raises(errors.TooMuch):
        reckon(account(), points("A", amount))


def test_reckon_balances_beyond_the_bound_are_refused():
    one = account()
    reckon(one, points("A", 10**15 - 1))
    with pytest.raises(errors.TooMuch):
        reckon(one, points("A", 1))


def test_reckon_nothing_and_unknown_categories_are_refused():
    with pytest.raises(errors.NotPositive):
        reckon(account(), points("A", 0))
    with pytest.raises(errors.UnknownCategory):
        reckon(account(), points("Z", 1))
    with pytest.raises(errors.UnknownLot):
        reckon(account(), points("A", -1, lot="no-such-lot"))
