"""Points given, taken and moved by document, on both databases."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from core.api import (
    Conflict,
    Document,
    Invalid,
    Move,
    UserError,
    accounts_of,
    balance,
    lots_of,
    post,
)
from plugins.points_rules import hooks


@pytest.fixture
def members(shipped):
    return [shipped.create("Admin", "member", no=f"M{at}", name=name)["id"]
            for at, name in enumerate(("Li", "Wang"), start=1)]  # fmt: skip


def give(shipped, member, category="A", points=100, **more):
    ctx = shipped.context("cashier")
    move = Move("points", member, category, points, **more)
    key = f"{member}:{category}:{points}:{more.get('expires_on')}"
    return post(ctx, [move], what="sale", key=key, ref=("order", "o-1"), valid_at=ctx.now)


def held(shipped, member):
    found = balance(shipped.context(), "points", member)
    return found.balance, {name: many for name, many in found.totals.items() if many}


def lots(shipped, member):
    account = accounts_of(shipped.context(), member)[0].account_id
    return [
        (one.category, one.remaining, one.expires_at)
        for one in lots_of(shipped.context(), account)
    ]


def line(member, points, **changes):
    return {"member": member, "points": points, "reason": "made up for"} | changes


def adjust(shipped, *lines):
    return shipped.create("clerk", "points_manual", title="Care", lines=list(lines))["id"]


def move(shipped, source, target, **values):
    plain = {"source": source, "target": target, "reason": "one household"}
    return shipped.create("clerk", "points_transfer", **plain | values)["id"]


def problems(shipped, record_type, record_id):
    """Submit and approve a document; return its state and why it did not take effect."""
    shipped.submit(record_type, record_id)
    answer = shipped.vote(record_id)
    return answer["state"], [(one["path"], one["code"]) for one in answer["problems"]]


def test_adjustment_gives_takes_and_writes_off_when_it_is_approved(shipped, members):
    one, other = members
    give(shipped, one)
    made = adjust(shipped, line(one, -30), line(other, 50), line(one, -20, category="R"))
    assert held(shipped, other) == (0, {})
    shipped.approve("points_manual", made)
    assert held(shipped, one) == (50, {"A": 100, "D": -30, "R": 20})
    assert held(shipped, other) == (50, {"D": 50})


def test_adjustment_that_takes_more_than_there_is_posts_nothing_and_names_the_line(
    shipped, members
):
    one, other = members
    give(shipped, one)
    made = adjust(shipped, line(other, 50), line(one, -60), line(one, -41))
    found = problems(shipped, "points_manual", made)
    assert found == ("apply_blocked", [("lines.2.points", "points_rules.too_few")])
    assert (held(shipped, one), held(shipped, other)) == ((100, {"A": 100}), (0, {}))


@pytest.mark.parametrize(
    ("changes", "points"), [({}, 0), ({"category": "R"}, 5), ({"category": "A"}, 5)]
)
def test_adjustment_that_makes_no_sense_is_refused(shipped, members, changes, points):
    with pytest.raises(Invalid):
        adjust(shipped, line(members[0], points, **changes))


def test_maker_of_an_adjustment_does_not_approve_it(shipped, members):
    made = adjust(shipped, line(members[0], 5))
    shipped.submit("points_manual", made)
    maker = shipped.context("clerk")
    maker.actor = replace(maker.actor, roles=frozenset({"clerk", "approver"}))
    with pytest.raises(UserError) as caught:
        shipped.vote(made, by=maker)
    assert caught.value.code == "flow.sod_violation"
    assert held(shipped, members[0]) == (0, {})


def test_document_in_force_is_not_changed(shipped, members):
    made = adjust(shipped, line(members[0], 5))
    shipped.approve("points_manual", made)
    with pytest.raises(Conflict) as caught:
        shipped.change("clerk", "points_manual", made, title="More care")
    assert caught.value.code == "points_rules.posted"


def test_voided_adjustment_restores_balances_and_lots(shipped, members):
    one, other = members
    give(shipped, one, expires_on=date(2026, 12, 31))
    give(shipped, one, "B", 40, expires_on=date(2026, 6, 30))
    before = lots(shipped, one)
    made = adjust(shipped, line(one, -60), line(other, 50))
    shipped.approve("points_manual", made)
    assert lots(shipped, one) != before
    assert shipped.void("points_manual", made)["state"] == "approved"
    assert shipped.get("points_manual", made)["status"] == "void"
    assert lots(shipped, one) == before
    assert (held(shipped, one), held(shipped, other)) == ((140, {"A": 100, "B": 40}), (0, {}))


def test_adjustment_whose_points_were_used_is_not_voided(shipped, members):
    made = adjust(shipped, line(members[0], 50))
    shipped.approve("points_manual", made)
    shipped.approve("points_manual", adjust(shipped, line(members[0], -1, category="R")))
    answer = shipped.void("points_manual", made)
    assert answer["state"] == "apply_blocked"
    assert [one["code"] for one in answer["problems"]] == ["points_rules.points_used"]
    assert held(shipped, members[0])[0] == 49


@pytest.mark.parametrize(
    ("values", "moved"),
    [
        ({"points": 70}, [("B", 40, 6), ("A", 30, 12)]),
        ({"everything": True}, [("B", 40, 6), ("A", 100, 12), ("C", 7, None)]),
    ],
)
def test_transfer_keeps_categories_and_last_days_and_its_void_restores(
    shipped, members, values, moved
):
    one, other = members
    give(shipped, one, expires_on=date(2026, 12, 31))
    give(shipped, one, "B", 40, expires_on=date(2026, 6, 30))
    later = shipped.clock.now() + timedelta(days=7)
    give(shipped, one, "C", 7, expires_on=None, available_at=later)
    before = lots(shipped, one)
    made = move(shipped, one, other, **values)
    shipped.approve("points_transfer", made)
    got = [(name, many, ends and int(ends[5:7])) for name, many, ends in lots(shipped, other)]
    assert got == moved
    both = {**dict.fromkeys("ABC", 0)}
    for member in members:
        for name, many in held(shipped, member)[1].items():
            both[name] += many
    assert both == {"A": 100, "B": 40, "C": 7}
    shipped.void("points_transfer", made)
    assert lots(shipped, one) == before
    assert held(shipped, other) == (0, {})


@pytest.mark.parametrize(
    ("values", "path"), [({"points": 101}, "points"), ({"everything": True}, "everything")]
)
def test_transfer_of_more_than_there_is_does_not_take_effect(shipped, members, values, path):
    one, other = members
    if path == "points":
        give(shipped, one)
    found = problems(shipped, "points_transfer", move(shipped, one, other, **values))
    assert found == ("apply_blocked", [(path, "points_rules.too_few")])


def test_transfer_to_the_same_member_is_refused(shipped, members):
    with pytest.raises(Invalid):
        move(shipped, members[0], members[0], points=1)


def test_review_shows_what_each_line_leaves(shipped, members):
    one, other = members
    give(shipped, one)
    made = shipped.get("points_manual", adjust(shipped, line(one, -60), line(one, -41)))
    ctx = shipped.context("approver")
    found = hooks.guanxi_review_document(ctx, Document("points_manual", made["id"], None, made))
    assert found[0].level == "warning"
    assert [row[2:] for row in found[0].rows] == [("-60", "100", "40"), ("-41", "40", "-1")]
    made = shipped.get("points_transfer", move(shipped, one, other, everything=True))
    found = hooks.guanxi_review_document(ctx, Document("points_transfer", made["id"], None, made))
    assert found[0].level == "ok"
    assert [row[2:] for row in found[0].rows] == [("-100", "100", "0"), ("+100", "0", "100")]
