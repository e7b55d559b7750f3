"""Gifts for points, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from core.api import Conflict, Move, Unavailable, UserError, accounts_of, balance, lots_of, post
from plugins.points_rules.rules.redeeming import fault

#: So many clients redeem at once.
CLIENTS = 20


@pytest.fixture
def member(shipped):
    made = shipped.create("Admin", "member", no="M1", name="Li")["id"]
    ctx = shipped.context("cashier")
    for category, points, ends in (("A", 60, date(2026, 12, 31)), ("B", 40, date(2026, 3, 20))):
        post(
            ctx, [Move("points", made, category, points, expires_on=ends)], what="sale",
            key=category, ref=("order", "o-1"), valid_at=ctx.now,
        )  # fmt: skip
    return made


@pytest.fixture
def store(shipped):
    return shipped.create("Admin", "store", code="S1", name="Main street")["id"]


def gift(shipped, code="CUP", points=30, stock=5, **more):
    values = {"code": code, "name": code.title(), "points": points, "stock": stock} | more
    return shipped.create("clerk", "gift", **values)["id"]


def redeem(shipped, member, store, *lines):
    rows = [{"gift": one, "quantity": many} for one, many in lines]
    return shipped.create("cashier", "redemption", member=member, store=store, lines=rows)


def held(shipped, member):
    return balance(shipped.context(), "points", member).available


def stock(shipped, one):
    return shipped.get("gift", one)["stock"]


def remaining(shipped, member):
    account = accounts_of(shipped.context(), member)[0].account_id
    found = lots_of(shipped.context(), account, live=False)
    return {one.category: (one.remaining, one.expires_at) for one in found}


def cancel(shipped, made, reason="not wanted"):
    return shipped.change(
        "cashier", "redemption", made["id"], status="cancelled", cancel_reason=reason
    )


def test_redemption_takes_what_ends_soonest_and_the_stock(shipped, member, store):
    cup, bag = gift(shipped), gift(shipped, "BAG", 10, money_part="2.50")
    made = redeem(shipped, member, store, (cup, 1), (bag, 2), (cup, 1))
    assert (made["points"], str(made["money_due"]), made["status"]) == (80, "5.00", "done")
    assert [one["points"] for one in made["lines"]] == [30, 10, 30]
    assert (stock(shipped, cup), stock(shipped, bag)) == (3, 3)
    assert [many for many, _ in remaining(shipped, member).values()] == [0, 20]
    totals = balance(shipped.context(), "points", member).totals
    assert (totals["A"], totals["B"], totals["R"]) == (60, 40, 80)


def test_cancelling_gives_points_back_to_their_lots_and_stock_once(shipped, member, store):
    cup, before = gift(shipped), remaining(shipped, member)
    made = redeem(shipped, member, store, (cup, 2))
    assert cancel(shipped, made)["status"] == "cancelled"
    assert (remaining(shipped, member), stock(shipped, cup)) == (before, 5)
    cancel(shipped, made)
    with pytest.raises(Conflict) as caught:
        cancel(shipped, made, "once more")
    assert caught.value.code == "points_rules.redemption_done"
    assert (held(shipped, member), stock(shipped, cup)) == (100, 5)


def test_cancellation_that_is_only_checked_takes_nothing_back(shipped, member, store):
    cup = gift(shipped)
    made = redeem(shipped, member, store, (cup, 2))
    changes = {"status": "cancelled", "cancel_reason": "not wanted"}
    assert shipped.check("cashier", "redemption", made["id"], **changes) == []
    assert (held(shipped, member), stock(shipped, cup)) == (40, 3)


def test_points_of_a_lot_that_ended_meanwhile_do_not_live_on_by_cancelling(shipped, member, store):
    made = redeem(shipped, member, store, (gift(shipped), 2))
    shipped.clock.move(timedelta(days=30))
    cancel(shipped, made)
    assert held(shipped, member) == 60


@pytest.mark.parametrize(
    ("gift_values", "quantity", "problem"),
    [
        ({"stock": 1}, 2, ("lines.0.quantity", "points_rules.out_of_stock")),
        ({"status": "paused"}, 1, ("lines.0.gift", "points_rules.not_offered")),
        ({"offered_to": "2026-03-09"}, 1, ("lines.0.gift", "points_rules.not_offered")),
    ],
)
def test_gift_that_cannot_be_had_is_refused(
    shipped, member, store, gift_values, quantity, problem
):
    cup = gift(shipped, **gift_values)
    with pytest.raises(Conflict) as caught:
        redeem(shipped, member, store, (cup, quantity))
    assert [(one.path, one.code) for one in caught.value.problems] == [problem]
    assert (held(shipped, member), stock(shipped, cup)) == (100, gift_values.get("stock", 5))


def test_redemption_beyond_the_balance_leaves_everything_as_it_was(shipped, member, store):
    cup = gift(shipped)
    with pytest.raises(Conflict) as caught:
        redeem(shipped, member, store, (cup, 4))
    assert caught.value.code == "points_rules.not_enough"
    assert (held(shipped, member), stock(shipped, cup)) == (100, 5)


def test_redemption_of_a_frozen_member_is_refused(shipped, member, store):
    shipped.change("Admin", "member", member, status="frozen")
    with pytest.raises(Conflict) as caught:
        redeem(shipped, member, store, (gift(shipped), 1))
    assert caught.value.code == "points_rules.may_not_spend"


def test_redemption_is_neither_changed_nor_deleted(shipped, member, store):
    cup = gift(shipped)
    made = redeem(shipped, member, store, (cup, 1))
    for values in ({"points": 1}, {"lines": [{"gift": cup, "quantity": 9}]}):
        with pytest.raises(UserError):
            shipped.change("clerk", "redemption", made["id"], **values)
    with pytest.raises(UserError):
        shipped.delete("Admin", "redemption", made["id"])
    assert (held(shipped, member), stock(shipped, cup)) == (70, 4)


@pytest.mark.parametrize(
    ("points", "items", "granted"), [(5, 3, 3), (20, 100, 5)], ids=["last-items", "exact-balance"]
)
def test_many_redeem_at_once_exactly_what_is_there(shipped, member, store, points, items, granted):
    cup = gift(shipped, points=points, stock=items)
    gate = threading.Barrier(CLIENTS)

    def one(_number):
        gate.wait()
        while True:
            try:
                return redeem(shipped, member, store, (cup, 1))["status"]
            except Unavailable:  # a lock was not given in time: the same again
                continue
            except Conflict as refused:
                return refused.code

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(one, range(CLIENTS)))
    assert answers.count("done") == granted
    assert set(answers) <= {"done", "points_rules.gift_refused", "points_rules.not_enough"}
    assert held(shipped, member) == 100 - granted * points
    assert stock(shipped, cup) == items - granted


def test_gift_is_had_on_its_first_and_its_last_day():
    day = date(2026, 3, 10)
    one = {"status": "active", "stock": 1, "offered_from": day, "offered_to": day}
    assert [fault(one, 1, day + timedelta(days=by)) for by in (-1, 0, 1)] == [
        "not_offered", None, "not_offered",
    ]  # fmt: skip
