"""Random operations on the ledger, on both databases, against a reference that folds by itself.

After every step balances, category totals, lots, holds and debts are what the reference says
(domain §6 I2, I3, I5), what was refused changed nothing, and what was known stays known (I20).
At the end the whole ledger proves from its rows (I1, I13, I14, I21).
"""

from datetime import UTC, datetime, timedelta
from inspect import signature
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from core.clock import FixedClock
from core.errors import UserError
from core.ledger import expiry, proof
from core.ledger.holding import hold, post_hold, time_out_holds, void_hold
from core.ledger.models import account
from core.ledger.moving import reverse, transfer
from core.ledger.posting import post
from core.ledger.reading import as_of, balance, lots_of
from core.testing.campaigns import IS_NIGHTLY, examples
from core.testing.databases import Prepared
from tests.integration.ledger_world import Ledger, install, opened, points
from tests.unit.ledger_reference import Reference
from tests.unit.ledger_world import START

HOUR = timedelta(hours=1)
AMOUNTS = st.integers(1, 60)
OWNERS = st.sampled_from(["a", "b", "c"])
RUNS = count()

#: How often an operation is drawn, and of what; some draw more themselves.
OPERATIONS = {
    "earn": (
        5,
        {
            "owner": OWNERS,
            "category": st.sampled_from("ABCEF"),
            "amount": AMOUNTS,
            "ends": st.none() | st.integers(1, 90),
            "opens": st.just(0) | st.integers(1, 40),
        },
    ),
    "spend_and_earn": (5, {"owner": OWNERS, "amount": AMOUNTS, "more": st.integers(0, 30)}),
    "adjust": (1, {"owner": OWNERS, "amount": st.integers(-40, 40).filter(bool)}),
    "restore": (2, {}),
    "claw": (3, {"category": st.sampled_from("ABE"), "amount": AMOUNTS, "may_owe": st.booleans()}),
    "buy_and_claw": (2, {}),
    "take_back": (3, {}),
    "transfer": (3, {"giver": OWNERS, "getter": OWNERS, "amount": st.none() | AMOUNTS}),
    "hold": (
        4,
        {
            "owner": OWNERS,
            "amount": AMOUNTS,
            "hours": st.integers(1, 60),
            "soon": st.sampled_from(["", "posted", "voided"]),
            "later": st.integers(0, 30),
        },
    ),
    "end_hold": (2, {"how": st.sampled_from(["posted", "posted", "voided"])}),
    "clock": (2, {"hours": st.integers(-3, 40)}),
    "end_what_is_over": (2, {}),
    "ask_again": (2, {"changed": st.booleans()}),
}
DRAWN = [name for name, (often, _) in OPERATIONS.items() for _ in range(often)]


def instant(text):
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


class Machine(RuleBasedStateMachine):
    """One run has owners of its own in a database that all runs share."""

    ledger: Ledger

    @initialize()
    def begin(self):
        self.run = next(RUNS)
        self.ledger.clock = FixedClock(START)
        self.reference = Reference()
        self.number = 0
        self.credits: list[tuple[str, str]] = []  # (owner, lot)
        self.spent: list[tuple[str, str, int]] = []  # (owner, lot, amount)
        self.posted: list[tuple[str, list]] = []  # (posting, moves that take it back)
        self.holds: list[str] = []
        self.asked: list[tuple] = []  # what was posted, and its answer
        self.known: list[tuple] = []  # what was known of an account at an instant

        for owner in "abc":
            for category, ends in (("A", 500 * HOUR), ("B", 40 * HOUR)):
                posted = self.post([(owner, category, 60, {"ends": self.now + ends})])
                self.credits.append((owner, posted.moves[0].lot))

    @rule(data=st.data())
    def do(self, data):
        """Do one thing; a rule for each would leave most of them out of most runs."""
        name = data.draw(st.sampled_from(DRAWN))
        said = data.draw(st.fixed_dictionaries(OPERATIONS[name][1]))
        act = getattr(self, name)
        act(data, **said) if "data" in signature(act).parameters else act(**said)

    @property
    def now(self):
        return self.ledger.clock.now()

    def owner(self, name):
        return f"{name}{self.run}"

    def key(self):
        self.number += 1
        return f"machine:{self.run}:{self.number}"

    def attempt(self, act):
        """Return what was answered, or the code of the refusal."""
        try:
            return act()
        except UserError as error:
            return error.code

    def post(self, moves, may_owe=False):
        """Post on both sides and compare; return what was posted, or None."""
        at, key = self.now, self.key()
        real = [
            points(category, amount, self.owner(owner), **_real(options))
            for owner, category, amount, options in moves
        ]
        said = {
            "what": "machine", "key": key, "ref": ("machine", str(self.run)), "valid_at": at,
            "allow_negative": may_owe,
        }  # fmt: skip
        answer = self.attempt(lambda: post(self.ledger.context(), real, **said))
        if isinstance(answer, str):
            assert self.reference.post(moves, at, iter(map(str, count())), may_owe) == answer
            return None
        made = [
            each.lot for each, (_, _, amount, options) in zip(answer.moves, moves, strict=True)
            if amount > 0 and "lot" not in options
        ]  # fmt: skip
        effects = self.reference.post(moves, at, iter(made), may_owe)
        for effect, each in zip(effects, answer.moves, strict=True):
            if isinstance(effect, list):
                assert [(one.lot, one.amount) for one in each.taken] == effect
            else:
                assert each.lot == effect
        self.asked.append((real, said, answer))
        return answer

    def earn(self, owner, category, amount, ends, opens):
        options = {
            "ends": ends and self.now + ends * HOUR,
            "opens": opens and self.now + opens * HOUR,
        }
        posted = self.post([(owner, category, amount, options)])
        self.credits.append((owner, posted.moves[0].lot))
        if not posted.moves[0].settled:
            back = [(owner, category, -amount, {"lot": posted.moves[0].lot})]
            self.posted.append((posted.id, back))

    def spend_and_earn(self, owner, amount, more):
        moves = [(owner, "R", -amount, {})]
        if more:
            moves.append((owner, "A", more, {"ends": self.now + 50 * HOUR}))
        posted = self.post(moves)
        if posted is None:
            return
        taken = [(one.lot, one.amount) for one in posted.moves[0].taken]
        self.spent += [(owner, *one) for one in taken]
        back = [(owner, "R", part, {"lot": lot}) for lot, part in taken]
        if more:
            back.append((owner, "A", -more, {"lot": posted.moves[1].lot}))
        if not any(one.settled for one in posted.moves):
            self.posted.append((posted.id, back))

    def adjust(self, owner, amount):
        self.post([(owner, "D", amount, {})])

    def restore(self, data):
        if self.spent:
            owner, lot, amount = data.draw(st.sampled_from(self.spent))
            part = data.draw(st.integers(1, amount))
            self.post([(owner, "R", part, {"lot": lot})])

    def claw(self, data, category, amount, may_owe):
        if self.credits:
            owner, lot = data.draw(st.sampled_from(self.credits))
            self.post([(owner, category, -amount, {"first": (lot,)})], may_owe)

    def buy_and_claw(self, data):
        """What is missing is bought first, so nothing falls below zero on the way."""
        if self.credits:
            owner, lot = data.draw(st.sampled_from(self.credits))
            one = self.reference.owners[owner]
            claim = one.lots[lot].issued
            short = max(0, claim - max(0, one.available(self.now)))
            moves = [(owner, "F", short, {})] if short else []
            self.post([*moves, (owner, one.lots[lot].category, -claim, {"first": (lot,)})])

    def take_back(self, data):
        if not self.posted:
            return
        posting, moves = data.draw(st.sampled_from(self.posted))
        expected = self.reference.post(moves, self.now, iter(()))
        answer = self.attempt(lambda: reverse(self.ledger.context(), posting))
        if isinstance(answer, str):
            assert answer == expected
        else:
            assert not isinstance(expected, str)
            self.posted.remove((posting, moves))
            again = reverse(self.ledger.context(), posting)
            assert (again.id, again.moves, again.replayed) == (answer.id, answer.moves, True)

    def transfer(self, giver, getter, amount):
        if giver == getter:
            return
        before = self.sums(giver, getter)
        expected = self.reference.transfer(giver, getter, amount, self.now)
        said = {"ref": ("machine", ""), "valid_at": self.now, "amount": amount, "key": self.key()}
        pair = self.owner(giver), self.owner(getter)
        answer = self.attempt(lambda: transfer(self.ledger.context(), "points", *pair, **said))
        if isinstance(expected, str):
            assert answer == expected
            return
        taken: dict[str, int] = {}
        moves, back, made = [], [], []
        owners = self.reference.owners
        for gave, got in zip(answer.moves[::2], answer.moves[1::2], strict=True):
            (part,) = gave.taken
            taken[part.lot] = taken.get(part.lot, 0) + part.amount
            lot = owners[giver].lots[part.lot]
            category = self.entered(gave, part, answer)
            options = {"ends": lot.ends, "opens": lot.opens}
            moves += [
                (giver, category, -part.amount, {"lot": part.lot}),
                (getter, category, part.amount, options),
            ]
            back += [
                (giver, category, part.amount, {"lot": part.lot}),
                (getter, category, -part.amount, {"lot": got.lot}),
            ]
            made.append(got.lot)
        assert list(taken.items()) == expected
        self.reference.post(moves, self.now, iter(made))
        if moves and not any(one.settled for one in answer.moves):
            assert self.sums(giver, getter) == before
            back.sort(key=lambda move: move[2] < 0)
            self.posted.append((answer.id, back))

    def entered(self, gave, part, answer):
        """Return the category that a part of a transfer was entered under."""
        made = lots_of(self.ledger.context(), answer.moves[1].account_id, live=False)
        at = answer.moves.index(gave)
        return next(one.category for one in made if one.id == answer.moves[at + 1].lot)

    def sums(self, *owners):
        """Return what owners have together, by category and by when lots end."""
        categories: dict[str, int] = {}
        ends: dict[object, int] = {}
        for one in (self.reference.owners[owner] for owner in owners):
            for category, total in one.totals.items():
                categories[category] = categories.get(category, 0) + total
            for lot in one.lots.values():
                ends[lot.ends] = ends.get(lot.ends, 0) + lot.left
        kept = {key: total for key, total in categories.items() if total}
        return kept, {key: total for key, total in ends.items() if total}

    def hold(self, owner, amount, hours, soon, later):
        """Hold, and mostly end it again soon, since few runs draw both rules."""
        key, until = self.key(), self.now + hours * HOUR
        expected = self.reference.hold(key, owner, amount, self.now, until)
        said = {"key": key, "ref": ("machine", ""), "expires_at": until}
        answer = self.attempt(
            lambda: hold(self.ledger.context(), "points", self.owner(owner), amount, **said)
        )
        if isinstance(expected, str):
            assert answer == expected
        else:
            assert list(answer.lots) == expected
            self.reference.holds[answer.id] = self.reference.holds.pop(key)
            self.holds.append(answer.id)
            self.ledger.clock.move(later * HOUR)
            if soon:
                self.end(answer.id, soon, (amount + 1) // 2)

    def end_hold(self, data, how):
        if not self.holds:
            return
        name = data.draw(st.sampled_from(self.holds))
        whole = sum(part for _, part in self.reference.holds[name][1])
        amount = data.draw(st.integers(1, whole))
        self.end(name, how, amount)

    def end(self, name, how, amount):
        """End a hold on both sides and compare."""
        was_posted = self.reference.holds[name][3] == "posted"
        taken = amount if how == "posted" else 0
        expected = self.reference.end_hold(name, how, self.now, taken)
        ctx = self.ledger.context()
        if how == "voided":
            answer = self.attempt(lambda: void_hold(ctx, name).how and "")
        else:
            said = {"category": "R", "what": "redeem", "ref": ("machine", ""), "amount": amount}
            answer = self.attempt(lambda: post_hold(ctx, name, **said).id and "")
            if was_posted:  # the same again is answered again, another amount is refused
                assert answer in {"", "ledger.key_reused"}
                return
        assert answer == expected

    def clock(self, hours):
        self.ledger.clock.move(hours * HOUR)

    def end_what_is_over(self):
        for name, (_, _, until, state) in list(self.reference.holds.items()):
            if state == "open" and until <= self.now:
                self.reference.end_hold(name, "timed_out", self.now)
        time_out_holds(self.ledger.system())
        assert expiry.expire(self.ledger.system()) >= self.reference.expire(self.now)
        assert expiry.expire(self.ledger.system()) == 0

    def ask_again(self, data, changed):
        if not self.asked:
            return
        moves, said, answer = data.draw(st.sampled_from(self.asked))
        if changed:
            other = [*moves, points("C", 1, self.owner("a"))]
            assert self.attempt(lambda: post(self.ledger.context(), other, **said)) == (
                "ledger.key_reused"
            )
            return
        again = post(self.ledger.context(), moves, **said)
        assert again.replayed
        assert (again.id, again.moves, again.balances) == (
            answer.id,
            answer.moves,
            answer.balances,
        )

    def agree(self):
        """Compare every owner with the reference, and keep what is known now."""
        ctx = self.ledger.context()
        for name, one in list(self.reference.owners.items()):
            told = balance(ctx, "points", self.owner(name))
            assert (told.balance, told.held, told.owed) == (one.balance, one.held, one.owed)
            assert told.available == one.available(self.now)
            assert told.totals == {key: one.totals.get(key, 0) for key in "ABCDEFR"}
            assert told.balance == sum(told.totals.values()) - 2 * told.totals["R"]
            lots = lots_of(ctx, told.account_id) if told.account_id else []
            assert [
                (lot.category, lot.issued, lot.remaining, instant(lot.available_at),
                 instant(lot.expires_at))
                for lot in lots
            ] == [lot.shape for lot in one.in_order() if lot.left]  # fmt: skip
            if told.account_id:
                self.remember(told)

    def remember(self, told):
        """Keep what is known of an account up to its last event, to ask once more at the end."""
        if len(self.known) < 20:
            mine = sa.select(account.c.known_at).where(account.c.id == told.account_id)
            with self.ledger.db.read() as connection:
                known_at = connection.execute(mine).scalar_one()
            known, valid = instant(known_at), self.now
            got = as_of(self.ledger.context(), told.account_id, valid_at=valid, known_at=known)
            self.known.append((told.account_id, valid, known, got))

    def check_invariants(self, *args, **kwargs):
        super().check_invariants(*args, **kwargs)
        if hasattr(self, "known"):
            self.agree()

    def teardown(self):
        for account_id, valid, known, got in getattr(self, "known", ()):
            ctx = self.ledger.context()
            assert as_of(ctx, account_id, valid_at=valid, known_at=known) == got


def _real(options):
    """Return options of the reference as those of a move."""
    made = {"lot": options.get("lot"), "first": options.get("first", ())}
    if "lot" not in options:
        made["expires_on"] = options.get("ends")
        made["available_at"] = options.get("opens") or None
    return made


@pytest.fixture(scope="module")
def storage(backend, tmp_path_factory):
    prepared = Prepared(backend, tmp_path_factory.mktemp("ledger"), install)
    yield prepared
    prepared.drop()


def test_ledger_agrees_with_the_reference_whatever_happens(storage):
    with opened(storage) as ledger:
        found = type("OnThisLedger", (Machine,), {"ledger": ledger})
        run_state_machine_as_test(
            found,
            settings=settings(
                max_examples=examples(8),
                stateful_step_count=30,
                deadline=None,
                phases=[Phase.generate, *([Phase.shrink] if IS_NIGHTLY else [])],
                suppress_health_check=list(HealthCheck),
            ),
        )
        with proof.snapshot(ledger.db) as connection:
            assert list(proof.problems(connection)) == []
            assert proof.count_postings(connection) > 0
