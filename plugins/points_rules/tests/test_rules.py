"""Earning, spending and returning against the acceptance cases and properties."""

import json
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.testing.campaigns import examples
from plugins.points_rules.rules import earning, returning, spending
from plugins.points_rules.rules.earning import EarningLine
from plugins.points_rules.rules.returning import Own
from plugins.points_rules.rules.terms import SceneTerm, TermLine, Terms, read_terms, reproduce

HERE = Path(__file__).parent


def read_cases(name):
    return json.loads((HERE / name).read_text())["cases"]


def in_words(case):
    return "-".join(str(value) for value in case.values() if not isinstance(value, list))


def one_line(net, rate, multiplier=1, **rest):
    return Terms((TermLine(Decimal(net), Decimal(rate), Decimal(multiplier)),), **rest)


@pytest.mark.parametrize("case", read_cases("earned.json"), ids=in_words)
def test_earn_gives_the_points_of_the_acceptance_cases(case):
    terms = one_line(
        case["net_paid"],
        case["points_rate"],
        case["activity_multiplier"],
        identity=Decimal(case["identity_multiple"]),
        scenes=(SceneTerm("s", "C1", 1, case["scene_grant"]),),
    )
    earned = terms.earned()
    assert ({**case["earned"], "D": 0}, case["balance_change"]) == (earned.points, earned.total)


@pytest.mark.parametrize("case", read_cases("returned.json"), ids=in_words)
def test_return_takes_back_what_the_acceptance_cases_say(case):
    earned, balance = case["earned"], case["balance_before"]
    identity, extra = (earned[name] // earned["A"] for name in "EB")
    terms = one_line(case["net_paid"], "0.1", 1 + extra, identity=Decimal(identity))
    assert {name: terms.earned().points[name] for name in "AEB"} == earned
    back, before = Decimal(0), dict.fromkeys("ABEC", 0)
    for step in case["returns"]:
        back += Decimal(step["returned_net"])
        due = returning.shares(terms, [back]).reversed
        claim = {name: due[name] - before[name] for name in due}
        found = returning.plan(claim, [], available=balance, policy=case["policy"])
        balance += found.bought - sum(found.taken.values())
        before = due
        assert {name: found.taken[name] for name in "AEB"} == step["reverse"]
        assert (found.bought, balance) == (step["buy_F"], step["balance_after"])


def test_earn_floors_once_per_receipt_and_not_per_line():
    lines = [EarningLine(Decimal("9.99"), Decimal("0.1"))] * 3
    assert earning.earn(lines).points["A"] == 2
    assert earning.earn(lines).by_line == (1, 1, 0)


def test_earn_multiplies_the_lines_for_which_a_multiplier_holds():
    lines = [
        EarningLine(Decimal(100), Decimal("0.1"), (Decimal(3),)),
        EarningLine(Decimal(200), Decimal("0.1")),
        EarningLine(Decimal(500), Decimal(0), (Decimal(9),)),
    ]
    assert earning.earn(lines, identity=Decimal("1.5")).points == {
        "A": 30, "B": 20, "C": 0, "D": 0, "E": 45,
    }  # fmt: skip


@pytest.mark.parametrize(("combine", "expected"), [("max", 200), ("sum", 300)])
def test_earn_combines_multipliers_as_the_setting_says(combine, expected):
    line = EarningLine(Decimal(1000), Decimal("0.1"), (Decimal(2), Decimal(3), Decimal("0.5")))
    assert earning.earn([line], combine=combine).points["B"] == expected


def test_earn_gives_nothing_for_what_is_not_paid():
    lines = [EarningLine(Decimal(0), Decimal(1)), EarningLine(Decimal(-5), Decimal(1))]
    assert earning.earn(lines).points["A"] == 0


@pytest.mark.parametrize(("earns_on_paid", "expected"), [(False, 89), (True, 100)])
def test_points_paid_earn_only_where_the_setting_says_so(earns_on_paid, expected):
    terms = one_line("1000.00", "0.1", spent=1050, point_value=Decimal("0.1"),
                     earns_on_paid=earns_on_paid)  # fmt: skip
    assert terms.paid == Decimal("105.00")
    assert terms.earned().points["A"] == expected


def test_multipliers_count_for_identity_points_where_the_setting_says_so():
    terms = one_line("999.99", "0.1", 3, identity=Decimal("1.5"), on_identity=True)
    assert terms.earned().points == {"A": 99, "B": 495, "C": 0, "D": 0, "E": 148}
    stamped = terms.as_json()
    del stamped["on_identity"]
    assert reproduce(stamped)["points"]["B"] == 198


few = settings(max_examples=examples(30))


def tenths(least, most):
    return st.integers(least * 10, most * 10).map(lambda value: Decimal(value).scaleb(-1))


money = st.integers(0, 500_000).map(lambda cents: Decimal(cents).scaleb(-2))
lines_of = st.lists(
    st.builds(
        TermLine,
        money,
        tenths(0, 2),
        st.just(Decimal(0)) | tenths(1, 5),
    ),
    min_size=1,
    max_size=5,
)


@st.composite
def sold(draw):
    lines = tuple(draw(lines_of))
    point_value = draw(st.sampled_from([Decimal("0.01"), Decimal("0.015"), Decimal(1)]))
    most = spending.most_for(sum((line.due for line in lines), Decimal(0)), point_value)
    gives = st.tuples(st.integers(1, 99), st.just(Decimal(0)))
    scenes = draw(st.lists(gives | st.tuples(st.just(0), tenths(1, 4)), max_size=3))
    return Terms(
        lines,
        identity=draw(tenths(0, 3)),
        combine=draw(st.sampled_from(["max", "sum"])),
        on_identity=draw(st.booleans()),
        spent=draw(st.integers(0, most)),
        point_value=point_value,
        scenes=tuple(SceneTerm("s", "WX1", 1, *scene) for scene in scenes),
    )


@few
@given(sold())
def test_stamped_terms_reproduce_the_points(terms):
    stamped = json.loads(json.dumps(terms.as_json()))
    assert read_terms(stamped) == terms
    assert reproduce(stamped) == {
        "points": terms.earned().points, "points_paid": terms.paid,
    }  # fmt: skip


@few
@given(sold())
def test_what_points_paid_is_shared_out_to_the_cent(terms):
    lines = terms.earning_lines
    assert sum(line.base for line in lines) == sum(line.due for line in terms.lines) - terms.paid
    assert all(0 <= line.base <= each.due for line, each in zip(lines, terms.lines, strict=True))


@few
@given(sold())
def test_earn_shares_the_purchase_points_out_to_lines_within_one(terms):
    lines, earned = terms.earning_lines, terms.earned()
    whole = sum(line.weight for line in lines)
    assert sum(earned.by_line) == earned.points["A"] == int(whole)
    quotas = [Fraction(line.weight) * int(whole) / Fraction(whole or 1) for line in lines]
    assert all(abs(part - quota) < 1 for part, quota in zip(earned.by_line, quotas, strict=True))


@st.composite
def partitions(draw):
    """A sale, and for each step how much of each line came back by then; all at the end."""
    terms = draw(sold())
    steps = draw(st.integers(1, 4))
    back = [
        sorted(draw(st.lists(tenths(0, 1), min_size=steps - 1, max_size=steps - 1)))
        for _ in terms.lines
    ]
    cents = Decimal("0.01")
    return terms, [
        [(line.due * parts[step]).quantize(cents) if step < steps - 1 else line.due
         for line, parts in zip(terms.lines, back, strict=True)]
        for step in range(steps)
    ]  # fmt: skip


@few
@given(partitions())
def test_shares_only_rise_and_end_with_all_that_was_earned_and_spent(case):
    terms, steps = case
    lost = sum(each.points for each in terms.scenes)
    found = [returning.shares(terms, back) for back in steps[:-1]]
    found.append(returning.shares(terms, steps[-1], lost))
    earned = terms.earned().points
    if any(line.due for line in terms.lines):
        assert found[-1].reversed == {name: earned[name] for name in "ABEC"}
        assert (found[-1].restored, found[-1].repaid) == (terms.spent, terms.paid)
    for earlier, later in pairwise(found):
        assert all(earlier.reversed[name] <= later.reversed[name] for name in "ABEC")
        assert (earlier.restored, earlier.repaid) <= (later.restored, later.repaid)


@few
@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.data())
def test_given_back_in_parts_is_what_is_given_back_at_once(amounts, data):
    spent = [(f"lot{at}", points) for at, points in enumerate(amounts)]
    parts = data.draw(st.lists(st.integers(1, 60), max_size=5))
    before, found = 0, {}
    for part in parts:
        for lot, points in returning.given_back(spent, before, part):
            found[lot] = found.get(lot, 0) + points
        before += part
    assert found == dict(returning.given_back(spent, 0, before))
    assert sum(found.values()) == min(before, sum(amounts))


claims = st.fixed_dictionaries({name: st.integers(0, 100) for name in "ABEC"})
owns = st.lists(
    st.builds(
        Own, st.just("lot"), st.sampled_from("ABEC"), st.integers(0, 99), st.integers(0, 99)
    ),
    max_size=5,
)


@few
@given(claims, owns, st.integers(-50, 300))
def test_plan_leaves_no_balance_below_zero_unless_it_may_be(claim, own, available):
    for policy in ("buy", "negative", "block", "within_balance"):
        found = returning.plan(claim, own, available=available, policy=policy)
        set_off = sum(points for _, _, points in found.expired)
        net = found.bought + set_off - sum(found.taken.values())
        if policy in {"buy", "within_balance"}:
            assert max(available, 0) + net >= 0
        if policy != "within_balance":
            assert found.taken == claim
        assert found.bought == (found.short if policy == "buy" else 0)


def test_plan_does_not_take_twice_what_expired():
    own = [Own("a", "A", live=20, gone=50), Own("e", "E", live=0, gone=10)]
    found = returning.plan({"A": 60, "E": 30}, own, available=20, policy="buy")
    assert found.expired == [("a", "A", 40), ("e", "E", 10)]
    assert (found.bought, found.taken) == (20, {"A": 60, "E": 30})


def test_plan_within_the_balance_forgives_the_last_categories_first():
    found = returning.plan(
        {"A": 40, "B": 20, "E": 40, "C": 0}, [], available=50, policy="within_balance"
    )
    assert (found.taken, found.bought, found.short) == ({"A": 40, "B": 10, "E": 0, "C": 0}, 0, 50)


@few
@given(st.integers(0, 10**6), st.integers(1, 10**5))
def test_points_never_cost_less_than_they_pay(points, ten_thousandths):
    value = Decimal(ten_thousandths).scaleb(-4)
    paid = spending.worth(points, value, 2)
    assert paid <= spending.price_of(points, value, 2)
    assert spending.most_for(paid, value) <= points
