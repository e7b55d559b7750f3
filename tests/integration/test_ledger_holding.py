"""Holds, transfers, postings taken back and what ends by itself, on both databases."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.ledger import errors, expiry, proof
from core.ledger.holding import find_hold, hold, post_hold, time_out_holds, void_hold
from core.ledger.models import account
from core.ledger.moving import reverse, transfer
from core.ledger.reading import as_of, balance, lots_of, postings_of
from core.testing.databases import Prepared
from tests.integration.ledger_world import install, opened, points

DAY = timedelta(days=1)
REF = ("reservation", "r1")
MINE = account.c.owner_id == "m1"


@pytest.fixture(scope="module")
def storage(backend, tmp_path_factory):
    prepared = Prepared(backend, tmp_path_factory.mktemp("ledger"), install)
    yield prepared
    prepared.drop()


@pytest.fixture
def ledger(storage):
    with opened(storage) as one:
        yield one
        with proof.snapshot(one.db) as connection:
            assert list(proof.problems(connection)) == []


def held(ledger, amount, key="h1", days=7, owner="m1"):
    until = ledger.clock.now() + days * DAY
    return hold(ledger.context(), "points", owner, amount, key=key, ref=REF, expires_at=until)


def posted(ledger, one, **rest):
    return post_hold(ledger.context(), one.id, category="R", what="redeem", ref=REF, **rest)


def stands(ledger, owner="m1"):
    return balance(ledger.context(), "points", owner)


def test_hold_keeps_its_part_from_others_until_it_is_posted(ledger):
    ledger.post(points("A", 100))
    one = held(ledger, 60)
    assert held(ledger, 60).replayed
    with pytest.raises(errors.LedgerKeyReused):
        held(ledger, 61)
    assert (stands(ledger).held, stands(ledger).available, stands(ledger).balance) == (60, 40, 100)
    with pytest.raises(errors.Insufficient):
        ledger.post(points("R", -41, against="spent"))
    with pytest.raises(errors.Insufficient):
        held(ledger, 41, "h2")
    with pytest.raises(errors.Insufficient):
        posted(ledger, one, amount=61)
    first = posted(ledger, one, amount=50)
    again = posted(ledger, one, amount=50)
    assert (again.id, again.replayed) == (first.id, True)
    assert (stands(ledger).held, stands(ledger).available) == (0, 50)
    assert find_hold(ledger.context(), one.id).how == "posted"
    with pytest.raises(errors.HoldEnded):
        void_hold(ledger.context(), one.id)


def test_hold_that_is_voided_gives_back_and_ends_once(ledger):
    ledger.post(points("A", 100))
    one = held(ledger, 60)
    assert void_hold(ledger.context(), one.id) == void_hold(ledger.context(), one.id)
    assert (stands(ledger).held, stands(ledger).available) == (0, 100)
    with pytest.raises(errors.HoldEnded):
        posted(ledger, one)


def test_hold_that_times_out_cannot_be_posted_late(ledger):
    ledger.post(points("A", 100))
    one = held(ledger, 60, days=1)
    ledger.clock.move(DAY)
    with pytest.raises(errors.HoldEnded):
        posted(ledger, one)
    assert time_out_holds(ledger.system()) == 1
    assert time_out_holds(ledger.system()) == 0
    assert find_hold(ledger.context(), one.id).how == "timed_out"
    assert stands(ledger).available == 100


def test_holds_that_ended_are_passed_by_when_others_time_out(ledger):
    ledger.post(points("A", 100), points("A", 100, "m2"))
    for number in range(3):
        void_hold(ledger.context(), held(ledger, 5, f"v{number}").id)
    one = held(ledger, 60, days=1, owner="m2")
    ledger.clock.move(9 * DAY)
    with ledger.db.read() as connection:
        plans = []

        def listen(_connection, _cursor, text, values, *_):
            if ledger.db.is_sqlite and text.startswith("SELECT gx_hold.id"):
                driver = connection.connection.driver_connection
                plans.extend(
                    row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}", values)
                )

        sa.event.listen(ledger.db.engine, "before_cursor_execute", listen)
        assert time_out_holds(ledger.system()) == 1
        sa.event.remove(ledger.db.engine, "before_cursor_execute", listen)
    assert find_hold(ledger.context(), one.id).how == "timed_out"
    if ledger.db.is_sqlite:
        assert any("ix_gx_account__held" in line for line in plans), plans
        assert not any("SCAN gx_hold" in line for line in plans)


def test_hold_is_good_for_what_ends_meanwhile(ledger):
    until = ledger.clock.now() + DAY
    ledger.post(points("A", 100, expires_on=until), points("B", 30))
    one = held(ledger, 60)
    ledger.clock.move(2 * DAY)
    assert (stands(ledger).available, stands(ledger).ended) == (30, 40)
    assert expiry.expire(ledger.system()) == 1
    assert expiry.expire(ledger.system()) == 0
    assert (stands(ledger).balance, stands(ledger).held, stands(ledger).available) == (90, 60, 30)
    posted(ledger, one, amount=50)
    assert (stands(ledger).balance, stands(ledger).available) == (40, 30)
    assert expiry.expire(ledger.system()) == 1
    assert (stands(ledger).balance, stands(ledger).totals["R"]) == (30, 100)


def test_expiry_says_when_the_lot_ended_and_takes_slices(ledger):
    until = ledger.clock.now() + DAY
    for number in range(5):
        ledger.post(points("A", 10, f"m{number}", expires_on=until))
    ledger.clock.move(9 * DAY)
    assert [expiry.expire(ledger.system(), most=2) for _ in range(4)] == [2, 2, 1, 0]
    (row, *_) = postings_of(ledger.context(), ("", ""))
    assert row.what == "expire"
    assert row.valid_at == "2026-03-11T04:00:00.000000Z"
    assert stands(ledger).balance == 0


def test_expiry_is_not_kept_back_by_what_holds_keep(ledger):
    now = ledger.clock.now()
    for number in range(3):
        ledger.post(points("A", 10, f"h{number}", expires_on=now + DAY))
        held(ledger, 10, f"h{number}", days=99, owner=f"h{number}")
    ledger.post(points("A", 10, expires_on=now + 2 * DAY))
    ledger.clock.move(9 * DAY)
    assert [expiry.expire(ledger.system(), most=2) for _ in range(2)] == [1, 0]
    assert stands(ledger).balance == 0


def test_what_ends_on_others_goes_on_when_an_account_cannot_be_read(ledger, caplog):
    now = ledger.clock.now()
    for owner in ("m1", "m2"):
        ledger.post(points("A", 10, owner, expires_on=now + DAY))
        held(ledger, 4, owner, days=2, owner=owner)
    broken = account.update().where(MINE)
    with ledger.db.write() as connection:
        (kept,) = connection.execute(sa.select(account.c.totals).where(MINE)).scalars()
        connection.execute(broken.values(totals="none"))
    ledger.clock.move(9 * DAY)
    expiry.tick(ledger.system())
    assert (stands(ledger, "m2").balance, stands(ledger, "m2").held) == (0, 0)
    assert caplog.text.count("could not be ended") == 2
    with ledger.db.write() as connection:
        connection.execute(broken.values(totals=kept))
    expiry.tick(ledger.system())
    assert (stands(ledger).balance, stands(ledger).held) == (0, 0)


def test_transfer_keeps_ends_and_categories_and_is_taken_back_exactly(ledger):
    now = ledger.clock.now()
    ledger.post(
        points("A", 100, expires_on=now + 9 * DAY),
        points("B", 40, expires_on=now + 5 * DAY),
        points("C", 10, available_at=now + 3 * DAY),
    )
    ledger.post(points("R", -30, against="spent"))
    before = lots_of(ledger.context(), stands(ledger).account_id)
    said = {"key": "t1", "ref": ("merge", "x"), "valid_at": now}
    moved = transfer(ledger.context(), "points", "m1", "m2", **said)
    again = transfer(ledger.context(), "points", "m1", "m2", **said)
    assert (again.id, again.replayed) == (moved.id, True)
    assert (stands(ledger).balance, stands(ledger, "m2").balance) == (0, 120)
    got = lots_of(ledger.context(), stands(ledger, "m2").account_id)
    assert [(one.category, one.remaining, one.expires_at, one.available_at) for one in got] == [
        (one.category, one.remaining, one.expires_at, one.available_at) for one in before
    ]
    nothing = dict.fromkeys("DEFR", 0)
    assert stands(ledger, "m2").totals == {"A": 100, "B": 10, "C": 10} | nothing
    back = reverse(ledger.context(), moved.id)
    assert lots_of(ledger.context(), stands(ledger).account_id) == before
    assert (stands(ledger).balance, stands(ledger, "m2").balance) == (120, 0)
    assert reverse(ledger.context(), moved.id).id == back.id


def test_transfer_of_a_part_takes_what_ends_soonest(ledger):
    now = ledger.clock.now()
    ledger.post(points("A", 100), points("B", 40, expires_on=now + 5 * DAY))
    said = {"ref": ("transfer", "x"), "valid_at": now}
    transfer(ledger.context(), "points", "m1", "m2", key="t1", amount=50, **said)
    assert stands(ledger, "m2").totals["B"] == 40
    assert stands(ledger, "m2").totals["A"] == 10
    with pytest.raises(errors.Insufficient):
        transfer(ledger.context(), "points", "m1", "m2", key="t2", amount=91, **said)
    with pytest.raises(errors.NotPositive):
        transfer(ledger.context(), "points", "m1", "m1", key="t3", amount=1, **said)


def test_reverse_of_a_sale_gives_lots_back_and_is_refused_once_spent(ledger):
    ledger.post(points("A", 100))
    sale = ledger.post(points("R", -70, against="spent"), points("A", 20), points("E", 20))
    taken_back = reverse(ledger.context(), sale.id)
    assert stands(ledger).totals == {"A": 100, "B": 0, "C": 0, "D": 0, "E": 0, "F": 0, "R": 0}
    _, row = postings_of(ledger.context(), ("sales_order", "o2"))
    why = {one.category: one.amount for one in row.entries if not one.owner}
    assert why == {"spent": -70, "issued": 40}
    reverse(ledger.context(), taken_back.id)
    assert (stands(ledger).balance, stands(ledger).totals["R"]) == (70, 70)
    other = ledger.post(points("B", 30, "m2"))
    ledger.post(points("R", -1, "m2", against="spent"))
    with pytest.raises(errors.Insufficient):
        reverse(ledger.context(), other.id)


def test_reverse_of_a_debt_takes_the_debt_back_and_lets_nothing_end_later(ledger):
    until = ledger.clock.now() + 9 * DAY
    first = ledger.post(points("A", 50, expires_on=until))
    sale = ledger.post(points("R", -70, against="spent"), allow_negative=True)
    assert (stands(ledger).owed, stands(ledger).available) == (20, -20)
    reverse(ledger.context(), sale.id)
    assert (stands(ledger).owed, stands(ledger).totals["R"], stands(ledger).balance) == (0, 0, 50)
    (left,) = lots_of(ledger.context(), stands(ledger).account_id, live=False)
    assert (left.id, left.remaining) == (first.moves[0].lot, 50)


def test_reverse_of_a_debt_that_was_settled_gives_back_what_settled_it(ledger):
    sale = ledger.post(points("R", -70, against="spent"), allow_negative=True)
    ledger.post(points("A", 50))
    reverse(ledger.context(), sale.id)
    assert (stands(ledger).owed, stands(ledger).totals["R"], stands(ledger).balance) == (0, 0, 50)
    assert stands(ledger).available == 50


def test_balance_as_of_two_times_does_not_change_later(ledger):
    start = ledger.clock.now()
    ledger.post(points("A", 100))
    ledger.clock.move(2 * DAY)
    known = ledger.clock.now()
    ledger.clock.move(timedelta(seconds=1))
    ledger.post(points("B", 50), valid_at=start + DAY)  # known late
    ledger.clock.move(-DAY)  # a clock set back does not bring it into what was known
    ledger.post(points("C", 7), valid_at=start)
    mine = stands(ledger).account_id
    ctx = ledger.context()
    assert as_of(ctx, mine).balance == 157
    assert as_of(ctx, mine, valid_at=start).balance == 107
    assert as_of(ctx, mine, known_at=known).balance == 100
    assert as_of(ctx, mine, valid_at=start + DAY, known_at=known).totals["B"] == 0
