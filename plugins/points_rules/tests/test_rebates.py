"""Points that become stored value in slices, once for each member, on both databases."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from core.api import Conflict, Document, Event, Move, balance, new_id, post
from plugins.points_rules import hooks
from plugins.points_rules.operations import rebates
from plugins.points_rules.rules.rebates import Terms

#: Points of the members, in order.
POINTS = (2500, 999, 1000, 40000, 3000)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch):
    monkeypatch.setattr(rebates, "SLICE", 2)


@dataclass
class Place:
    """Where the run is: a store and a card type, whose members have `POINTS`."""

    store: str
    card_type: str
    members: list


@pytest.fixture
def place(shipped):
    store = shipped.create("Admin", "store", code="S1", name="Main street")["id"]
    made = shipped.create(
        "clerk", "card_type", code="GOLD", name="Gold", type_prefix="01", serial_length=4
    )
    found = Place(store, shipped.approve("card_type", made["id"])["id"], [])
    ctx = shipped.context()
    for at, points in enumerate(POINTS):
        member = shipped.create("Admin", "member", no=f"R{at}", name=f"R{at}")["id"]
        shipped.create("clerk", "card", card_type=found.card_type, store=store, member=member)
        move = Move("points", member, "A", points)
        post(ctx, [move], what="sale", key=member, ref=("order", "o"), valid_at=ctx.now)
        found.members.append(member)
    shipped.create("Admin", "member", no="R9", name="without a card")
    return found


def make_run(shipped, place, **changes):
    values = {
        "title": "Spring", "store": place.store, "card_types": [place.card_type],
        "period_from": "2026-01-01", "period_to": "2026-03-31", "min_points": 1000,
        "step_points": 1000, "step_amount": "10.00", "most_amount": "50.00",
    }  # fmt: skip
    return shipped.create("clerk", "rebate_run", **values | changes)["id"]


def tell(shipped, run, topic=rebates.NEXT):
    """Have the plugin hear of a run's event as the worker tells it."""
    ctx = shipped.context()
    ctx.hooks.after_event(ctx, Event(new_id(), topic, {"type": "rebate_run", "id": run}))


def standing(shipped, place):
    ctx = shipped.context()
    return [
        (balance(ctx, "points", one).balance, balance(ctx, "stored_value", one, "CNY").balance)
        for one in place.members
    ]


PAID = [(500, 2000), (999, 0), (0, 1000), (35000, 5000), (0, 3000)]


def test_run_pays_those_who_qualify_once_however_often_it_is_told(shipped, place):
    run = make_run(shipped, place)
    draft = shipped.get("rebate_run", run)
    found = hooks.guanxi_review_document(
        shipped.context("approver"), Document("rebate_run", run, None, draft)
    )
    assert found[0].title == "4 of 5 members would get 110.00 CNY for 11000 points now"
    assert shipped.approve("rebate_run", run)["status"] == "effective"
    assert standing(shipped, place) == [(points, 0) for points in POINTS]
    tell(shipped, run, "document.effective")
    assert standing(shipped, place)[:2] == PAID[:2]
    for _ in range(4):
        tell(shipped, run)
    assert standing(shipped, place) == PAID
    made = shipped.get("rebate_run", run)
    assert [made[name] for name in ("looked_at", "paid", "points", "finished")] == [5, 4, 11000, 1]
    assert made["amount"] == 110
    assert shipped.void("rebate_run", run)["state"] == "apply_blocked"


def test_slice_that_was_killed_pays_nobody_and_is_paid_whole_the_next_time(
    shipped, place, monkeypatch
):
    run = make_run(shipped, place)
    shipped.approve("rebate_run", run)

    def die(*_):
        raise KeyboardInterrupt

    rebates.pay_slice(shipped.context(), run)
    with monkeypatch.context() as killing:
        killing.setattr(rebates, "emit_event", die)
        with pytest.raises(KeyboardInterrupt):
            rebates.pay_slice(shipped.context(), run)
    assert standing(shipped, place)[2:4] == [(1000, 0), (40000, 0)]
    assert [rebates.pay_slice(shipped.context(), run) for _ in range(3)] == [True, True, False]
    assert standing(shipped, place) == PAID


def test_run_passes_by_whose_account_would_hold_more_than_it_may(shipped, place, monkeypatch):
    kinds = shipped.context().registry.release.account_kinds
    capped = replace(kinds["stored_value"], cap=2500)
    monkeypatch.setitem(kinds, "stored_value", capped)
    run = make_run(shipped, place)
    shipped.approve("rebate_run", run)
    while rebates.pay_slice(shipped.context(), run):
        pass
    assert standing(shipped, place) == [(500, 2000), (999, 0), (0, 1000), (40000, 0), (3000, 0)]
    made = shipped.get("rebate_run", run)
    assert (made["looked_at"], made["paid"], made["finished"]) == (5, 2, 1)


def test_slices_are_written_by_the_run_alone(shipped, place):
    run = make_run(shipped, place)
    with pytest.raises(Conflict) as caught:
        shipped.create("Admin", "rebate_slice", run=run, place=1, last=True)
    assert caught.value.code == "points_rules.slice_written"


def test_run_asks_for_purchases_of_the_period_where_it_says_so(shipped, place):
    product = shipped.create("Admin", "product", code="P", name="Tea")["id"]
    days = ("2026-03-01", "2026-03-01", "2025-12-31")
    for at, (member, day) in enumerate(zip(place.members, days, strict=False)):
        shipped.create(
            "Admin", "order", no=f"O{at}", store=place.store, member=member,
            ordered_at=f"{day}T10:00:00+08:00",
            lines=[{"product": product, "quantity": "2", "unit_price": "60.00"}],
        )  # fmt: skip
    run = make_run(shipped, place, min_spend="120.00")
    shipped.approve("rebate_run", run)
    while rebates.pay_slice(shipped.context(), run):
        pass
    assert [money for _, money in standing(shipped, place)] == [2000, 0, 0, 0, 0]


def test_run_in_force_is_voided_only_before_it_paid(shipped, place):
    run = make_run(shipped, place)
    shipped.approve("rebate_run", run)
    with pytest.raises(Conflict) as caught:
        shipped.change("clerk", "rebate_run", run, step_amount="20.00")
    assert caught.value.code == "points_rules.posted"
    assert shipped.void("rebate_run", run)["state"] == "approved"
    assert rebates.pay_slice(shipped.context(), run) is False
    assert standing(shipped, place) == [(points, 0) for points in POINTS]


@pytest.mark.parametrize(
    ("available", "spent", "paid"),
    [(999, 0, (0, 0)), (1000, 0, (1000, 10)), (9999, 0, (5000, 50)), (1000, -1, (0, 0))],
)
def test_terms_pay_whole_steps_up_to_the_most(available, spent, paid):
    assert Terms(1000, 0, 1000, 10, 50).rebate(available, spent) == paid
