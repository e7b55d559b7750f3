"""Roll-forward and liability against a fold of the same postings, on both databases."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.actor import Actor
from core.context import Context
from core.errors import Forbidden, Invalid, NotFound
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
    assert [one.has_ended for one in later] == [True, False, False, False]
    assert liability(auditor(), "points", date(2026, 3, 9)) == []


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
