"""Roll-forward and liability against a fold of the same postings, on both databases."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import Actor
from core.context import Context
from core.errors import Forbidden, Invalid, NotFound
from core.ledger import summing
from core.ledger.expiry import expire
from core.ledger.models import account
from core.ledger.moving import transfer
from core.ledger.reading import balance, lots_of
from core.ledger.reports import (
    Line,
    by_category,
    by_day,
    known_kind,
    liability,
    proved,
    roll,
    roll_forward,
)
from core.testing.campaigns import examples
from core.testing.databases import Prepared
from tests.integration.ledger_world import install, opened, points

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST = date(2026, 3, 10)


@pytest.fixture(scope="module")
def storage(backend, tmp_path_factory):
    prepared = Prepared(backend, tmp_path_factory.mktemp("reports"), install)
    yield prepared
    prepared.drop()


@pytest.fixture
def ledger(storage):
    with opened(storage) as one:
        yield one


@pytest.fixture
def auditor(ledger):
    def context(**rest):
        actor = Actor("u9", "Eve", frozenset({"auditor"}))
        return Context.of(ledger, actor, registry=ledger.registry, **rest)

    return context


#: Hours after the first day's midnight, category, amount, why.
_MOVES = st.lists(
    st.tuples(
        st.integers(-30, 24 * 4),
        st.sampled_from("ABDR"),
        st.integers(-40, 60).filter(bool),
        st.sampled_from(["issued", "spent", "moved", "lottery"]),
    ),
    max_size=12,
)


@settings(max_examples=examples(12))
@given(_MOVES, st.sampled_from(["Asia/Shanghai", "Asia/Kathmandu", "America/New_York"]))
def test_closes_equal_a_fold_of_the_entries(storage, made, zone):
    at_midnight = datetime(2026, 3, 10, tzinfo=ZoneInfo(zone))
    with opened(storage) as ledger:
        actor = Actor("u9", "Eve", frozenset({"auditor"}))
        ctx = Context.of(ledger, actor, registry=ledger.registry, time_zone=ZoneInfo(zone))
        folded: dict[tuple[date, str], int] = defaultdict(int)
        for hours, category, amount, why in made:
            instant = at_midnight.astimezone(UTC) + timedelta(hours=hours)
            ledger.post(
                points(category, amount, against=why), valid_at=instant, allow_negative=True
            )
            folded[instant.astimezone(ZoneInfo(zone)).date(), category] += amount
        found = roll_forward(ctx, "points", FIRST, FIRST + timedelta(days=4))
        assert found.is_proved
        for line in found.lines:
            until = [
                n for (day, name), n in folded.items() if day <= line.day and name == line.category
            ]
            assert line.close == sum(until) == line.open + sum(line.moves.values())
            assert sum(line.moves.values()) == folded[line.day, line.category]
        for on in {line.day for line in found.lines}:
            owed = sum(one.amount for one in liability(ctx, "points", on))
            assert owed == sum(one.close for one in found.lines if one.day == on)


#: Hours by which the clock moves, hours by which it was late, category, amount, when it ends.
_KNOWN = st.lists(
    st.tuples(
        st.integers(-5, 30),
        st.integers(0, 60),
        st.sampled_from("ABDR"),
        st.integers(-40, 60).filter(bool),
        st.none() | st.integers(-20, 90),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=examples(12))
@given(_KNOWN, st.integers(-2, 5), st.integers(0, 3), st.none() | st.integers(-10, 150))
def test_reports_are_the_same_from_both_sides(storage, made, start, days, known):
    """All entries before added up, and what stands now less the entries since."""
    with opened(storage) as ledger, pytest.MonkeyPatch.context() as patch:
        begin = ledger.clock.now()
        for moved, late, category, amount, ends in made:
            ledger.clock.move(timedelta(hours=moved))
            at = ledger.clock.now() - timedelta(hours=late)
            until = ends and at + timedelta(hours=ends)
            move = points(category, amount, f"m{late % 3}", expires_on=until)
            ledger.post(move, valid_at=at, allow_negative=True)
        expire(ledger.system())
        actor = Actor("u9", "Eve", frozenset({"auditor"}))
        ctx = Context.of(ledger, actor, registry=ledger.registry)
        first = FIRST + timedelta(days=start)
        last, seen = first + timedelta(days=days), known and begin + timedelta(hours=known)
        sides = []
        for is_from_now in (False, True):
            patch.setattr(summing, "_is_nearer_to_now", lambda *_, told=is_from_now: told)
            found = roll_forward(ctx, "points", first, last, known_at=seen)
            assert found.is_proved
            sides.append((found, liability(ctx, "points", last, known_at=seen)))
        assert sides[0] == sides[1]
        assert sum(one.amount for one in sides[0][1]) == sum(
            one.close for one in sides[0][0].lines if one.day == last
        )


def test_the_last_days_are_read_from_now_on_and_the_first_from_the_beginning(ledger, auditor):
    ledger.post(points("A", 100))
    ledger.clock.move(timedelta(days=100))
    ledger.post(points("A", 7))
    asked = []
    with ledger.db.read() as connection:

        def listen(_connection, _cursor, text, values, *_):
            asked.append((text, values))

        sa.event.listen(connection, "before_cursor_execute", listen)
        ctx = auditor(connection=connection)
        for first, opening in ((date(2026, 6, 17), 100), (FIRST, 0)):
            (line, *_) = roll_forward(ctx, "points", first, first).lines
            assert line.open == opening
        sa.event.remove(connection, "before_cursor_execute", listen)
        sums = [one for one in asked if "gx_entry" in one[0]]
        assert ["json_each" in text for text, _ in sums] == [True, False]
        if ledger.db.is_sqlite:  # PostgreSQL knows how many rows there are and chooses by itself
            for text, values in sums:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
                told = "\n".join(row[3] for row in plan)
                assert "SEARCH gx_posting USING INDEX ix_gx_posting__valid_at" in told
                assert "SEARCH gx_entry USING PRIMARY KEY (posting_id=?)" in told


def test_a_changed_balance_is_no_proof(ledger, auditor):
    ledger.post(points("A", 100))
    ledger.clock.move(timedelta(days=100))
    with ledger.db.write() as connection:
        connection.execute(
            account.update().where(account.c.owner_id != "").values(totals='{"A":101}')
        )
    found = roll_forward(auditor(), "points", date(2026, 6, 17), date(2026, 6, 17))
    assert [one.open for one in found.lines] == [101]
    assert not found.is_proved


def test_roll_forward_says_why_and_leaves_out_what_was_not_known(ledger, auditor):
    morning = datetime(2026, 3, 10, 1, tzinfo=UTC)
    ledger.post(points("A", 100, owner="a"), valid_at=morning)
    ledger.post(
        points("R", -30, owner="a", against="spent"), points("F", 5, owner="a", against="sold"),
        valid_at=morning + timedelta(days=1),
    )  # fmt: skip
    seen = ledger.clock.now() + timedelta(minutes=1)
    ledger.clock.move(timedelta(hours=1))
    ledger.post(points("A", 7, owner="a"), valid_at=morning)
    ctx = auditor()
    found = roll_forward(ctx, "points", FIRST, FIRST + timedelta(days=1))
    told = {(one.day.day, one.category): (one.open, one.moves, one.close) for one in found.lines}
    assert told == {
        (10, "A"): (0, {"issued": 107}, 107),
        (10, "F"): (0, {}, 0),
        (10, "R"): (0, {}, 0),
        (11, "A"): (107, {}, 107),
        (11, "F"): (0, {"sold": 5}, 5),
        (11, "R"): (0, {"spent": -30}, -30),
    }
    assert [(one.open, one.close) for one in by_day(found.lines)] == [(0, 107), (107, 82)]
    assert {one.category: one.close for one in by_category(found.lines)} == {
        "A": 107, "F": 5, "R": -30,
    }  # fmt: skip
    earlier = roll_forward(ctx, "points", FIRST, FIRST, known_at=seen)
    assert [one.close for one in earlier.lines] == [100]


def test_liability_is_by_category_and_month_of_expiry(ledger, auditor):
    ledger.post(points("A", 100, expires_on=date(2026, 4, 30)))
    ledger.post(points("B", 40, expires_on=date(2026, 12, 31)))
    ledger.post(points("E", 10, expires_on=None))
    ledger.post(points("R", -25, against="spent"))
    ledger.post(points("D", -5, owner="m2"), allow_negative=True)
    found = liability(auditor(), "points", FIRST)
    assert [(one.category, one.month, one.amount, one.has_ended) for one in found] == [
        ("A", "2026-04", 75, False), ("B", "2026-12", 40, False), ("E", "", 10, False),
        ("", "", -5, False),
    ]  # fmt: skip
    later = liability(auditor(), "points", date(2026, 4, 30))
    assert [one.has_ended for one in later] == [False, False, False, False]
    ledger.clock.move(timedelta(days=90))
    after = liability(auditor(), "points", date(2026, 5, 1))
    assert [one.has_ended for one in after] == [True, False, False, False]
    expire(ledger.system())
    assert [one.amount for one in liability(auditor(), "points", date(2026, 5, 1))] == [40, 10, -5]
    assert liability(auditor(), "points", date(2026, 4, 30)) == later
    assert liability(auditor(), "points", date(2026, 3, 9)) == []


def test_the_last_day_is_that_of_the_store_wherever_it_is_read(ledger, auditor):
    """Midnight in London is the next morning in Shanghai, where the reader is."""
    ctx = auditor(time_zone=SHANGHAI)
    london = ZoneInfo("Europe/London")
    ledger.post(points("A", 100, expires_on=date(2026, 12, 31)), zone=london)
    ledger.post(points("B", 40, "m2"), zone=ZoneInfo("America/New_York"))
    said = {"key": "t", "ref": ("merge", "x"), "valid_at": ledger.clock.now()}
    transfer(ctx, "points", "m1", "m3", **said)
    owners = [balance(ctx, "points", one).account_id for one in ("m2", "m3")]
    told = [one.last_day for account_id in owners for one in lots_of(ctx, account_id)]
    assert told == [date(2027, 3, 10), date(2026, 12, 31)]
    found = liability(ctx, "points", FIRST)
    assert [(one.category, one.month) for one in found] == [("A", "2026-12"), ("B", "2027-03")]


def test_reports_are_for_those_who_answer_for_the_balances(ledger, auditor):
    clerk = Context.of(ledger, Actor("u2", "Bo", frozenset({"clerk"})), registry=ledger.registry)
    with pytest.raises(Forbidden):
        roll_forward(clerk, "points", FIRST, FIRST)
    with pytest.raises(NotFound):
        liability(auditor(), "coupons", FIRST)
    for last in (FIRST - timedelta(days=1), FIRST + timedelta(days=366)):
        with pytest.raises(Invalid):
            roll_forward(auditor(), "points", FIRST, last)


def test_an_entry_without_its_counterpart_is_no_proof(ledger, auditor):
    kind = known_kind(auditor(), "points")
    sums = {
        ("points", "A", "issued", -1, False): 10,
        ("points", "issued", "issued", -1, True): -10,
        ("points", "A", "issued", 0, False): 5,
    }
    assert roll(kind, FIRST, 1, sums) == [Line(FIRST, "points", "A", 10, {"issued": 5}, 15)]
    assert not proved(sums)
    assert proved(sums | {("points", "issued", "issued", 0, True): -5})
