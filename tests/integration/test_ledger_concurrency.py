"""Many at once: exactly what is there is granted, and nothing twice (domain §6 I4, I6, I7)."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Unavailable
from core.ledger import errors, proof
from core.ledger.holding import hold, post_hold, time_out_holds, void_hold
from core.ledger.posting import post
from core.ledger.reading import balance, lots_of
from core.testing.campaigns import IS_NIGHTLY, examples
from core.testing.databases import Prepared
from tests.integration.ledger_world import install, opened, points

#: So many clients redeem one balance, so many times.
CLIENTS, ROUNDS = (50, 50) if IS_NIGHTLY else (16, 5)
BALANCE = 100


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


def at_once(count, act):
    """Have so many threads begin `act(number)` together; return what each got."""
    gate = threading.Barrier(count)

    def one(number):
        gate.wait()
        while True:
            try:
                return act(number)
            except Unavailable:  # a lock was not given in time: the same again
                continue
            except (errors.Insufficient, errors.HoldEnded) as refused:
                return refused.code

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_redeeming_one_balance_at_once_grants_exactly_that(ledger):
    for turn in range(ROUNDS):
        owner, amount = f"m{turn}", (BALANCE, 30, 7)[turn % 3]
        ledger.post(points("A", BALANCE, owner))

        def redeem(number, owner=owner, amount=amount):
            said = {"what": "redeem", "key": f"{owner}:{number}", "ref": ("order", owner)}
            move = points("R", -amount, owner, against="spent")
            first = post(ledger.context(), [move], valid_at=ledger.clock.now(), **said)
            again = post(ledger.context(), [move], valid_at=ledger.clock.now(), **said)
            assert (again.id, again.replayed) == (first.id, True)
            return amount

        got = at_once(CLIENTS, redeem)
        granted = [one for one in got if one != "ledger.insufficient"]
        assert len(granted) == min(CLIENTS, BALANCE // amount)
        left = balance(ledger.context(), "points", owner)
        assert (left.balance, left.available) == (BALANCE - sum(granted),) * 2


def test_the_same_request_at_once_posts_once(ledger):
    ledger.post(points("A", BALANCE))

    def redeem(number):
        moves = [points("R", -60, against="spent"), points("A", 5, f"new{number % 3}")]
        said = {"what": "redeem", "key": f"same:{number % 3}", "ref": ("order", "o")}
        return post(ledger.context(), moves, valid_at=ledger.clock.now(), **said).id

    got = at_once(12, redeem)
    assert len({one for one in got if one != "ledger.insufficient"}) == 1
    assert balance(ledger.context(), "points", "m1").balance == BALANCE - 60


def test_a_hold_ends_once_whoever_ends_it(ledger):
    ledger.post(points("A", BALANCE))
    now = ledger.clock.now()
    until = now.replace(hour=now.hour + 1)
    said = {"key": "h", "ref": ("reservation", "r"), "expires_at": until}
    one = hold(ledger.context(), "points", "m1", 60, **said)

    def end(number):
        if number % 2:
            return void_hold(ledger.context(), one.id).how
        told = {"category": "R", "what": "redeem", "ref": ("reservation", "r")}
        return post_hold(ledger.context(), one.id, **told).id and "posted"

    got = Counter(at_once(8, end))
    assert got in (
        Counter({"posted": 4, "ledger.hold_ended": 4}),
        Counter({"voided": 4, "ledger.hold_ended": 4}),
    )
    assert time_out_holds(ledger.system(), until) == 0
    left = balance(ledger.context(), "points", "m1")
    assert (left.held, left.balance) == (0, BALANCE - 60 if got["posted"] else BALANCE)


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("ABR"), st.integers(1, 40)),
    min_size=2,
    max_size=12,
)


def test_postings_of_other_accounts_commute(storage):
    """Whatever order they come in, what each owner has depends on its own postings alone."""
    runs = iter(range(10**6))

    @settings(max_examples=examples(6), deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps=STEPS, data=st.data())
    def both_ways(steps, data):
        shuffled = [step for owner in data.draw(st.permutations("abc")) for step in steps
                    if step[0] == owner]  # fmt: skip
        run = next(runs)
        assert _after(ledger, steps, f"x{run}") == _after(ledger, shuffled, f"y{run}")

    with opened(storage) as ledger:
        both_ways()


def _after(ledger, steps, run):
    for owner, category, amount in steps:
        signed = -amount if category == "R" else amount
        try:
            ledger.post(points(category, signed, f"{owner}{run}"))
        except errors.Insufficient:
            continue
    told = [balance(ledger.context(), "points", f"{owner}{run}") for owner in "abc"]
    return [
        (one.balance, one.totals, [
            (lot.category, lot.issued, lot.remaining, lot.expires_at)
            for lot in lots_of(ledger.context(), one.account_id)
        ])
        for one in told
    ]  # fmt: skip
