"""Card operations: saving one does it, whole or not at all, and nothing changes it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from core.api import Conflict, Invalid, balance
from plugins.card_types.operations.tracks import track_of
from plugins.card_types.tests.card_world import (
    coded,
    make_card,
    make_receipt,
    make_sale,
    make_type,
    order,
    quote,
)

CAP = {"small_change": True, "small_change_cap": "9.99"}


def do(shipped, store, kind, card, *, role="cashier", **values):
    """Do something with a card and return the operation."""
    named = {"kind": kind, "card": card["id"], "store": store, "reason": "asked for"}
    return shipped.create(role, "card_operation", **named, **values)


def state(shipped, card):
    return shipped.get("card", card["id"])["status"]


def problem_of(caught):
    return [(each.path, each.code) for each in caught.value.problems]


def test_life_of_a_card_from_stock_to_its_end(shipped, store, member):
    card_type = make_type(shipped)
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    do(shipped, store, "issue", card, member=member)
    assert (state(shipped, card), shipped.get("card", card["id"])["member"]) == ("issued", member)
    walk = [
        ("loss", "lost"), ("found", "issued"), ("activate", "active"), ("freeze", "frozen"),
        ("loss", "lost"), ("found", "active"), ("cancel", "cancelled"),
    ]  # fmt: skip
    for kind, expected in walk:
        done = do(shipped, store, kind, card)
        assert (kind, state(shipped, card)) == (kind, expected)
    assert (done["status_before"], done["no"]) == ("active", "KC-202603-0008")
    log = shipped.history("auditor", "card", card["id"])[0]
    assert (log["actor_name"], log["door"]) == ("cashier", "plugin")


def test_operation_that_the_state_forbids_changes_nothing(shipped, store, member):
    card = make_card(shipped, store, member)
    for kind in ("issue", "found", "unfreeze"):
        with pytest.raises(Invalid) as caught:
            do(shipped, store, kind, card)
        assert problem_of(caught) == [("card", "card_types.life")]
    assert state(shipped, card) == "issued"


def test_operation_is_never_changed_or_deleted(shipped, store, member):
    done = do(shipped, store, "loss", make_card(shipped, store, member))
    with pytest.raises(Conflict, check=coded("card_types.operation_done")):
        shipped.change("Admin", "card_operation", done["id"], fee="5")
    with pytest.raises(Conflict):
        shipped.delete("Admin", "card_operation", done["id"])


def test_reissued_card_has_another_number_and_the_old_track_is_dead(shipped, store, member):
    card = make_card(shipped, store, member, validity_months=12, **CAP)
    cash = [{"method": "cash", "amount": Decimal("104.00")}]
    order(shipped, store, card_text=card["number"], payments=cash, keep_change=Decimal("4.00"))
    old_track = track_of(shipped.context(), card["number"], card["issue_version"])
    do(shipped, store, "loss", card)
    shipped.clock.move(timedelta(days=30))
    done = do(shipped, store, "reissue", card, fee="5.00")
    new = shipped.get("card", done["new_card"])
    assert (state(shipped, card), new["status"], new["member"]) == ("reissued", "issued", member)
    assert (new["serial"], new["issue_version"], new["replaces"]) == (2, 2, card["id"])
    # It is the same card in another piece of plastic: it ends when the old one would have.
    assert new["valid_until"] == card["valid_until"]
    ctx = shipped.context()
    held = [balance(ctx, "small_change", each["id"], "CNY").balance for each in (card, new)]
    assert held == [0, 400]
    for text in (old_track, card["number"]):
        with pytest.raises(Conflict, check=coded("card_types.replaced")):
            order(shipped, store, card_text=text)
    assert quote(shipped, store, card_text=new["number"]).card.is_good


def test_temporary_card_is_upgraded_to_a_member_card_only(shipped, store, member):
    temporary = make_card(shipped, store, None, purpose="temporary_card")
    shipped.change("clerk", "card", temporary["id"], status="active")
    gold = make_type(shipped, code="G2", name="Gold 2", type_prefix="02")
    with pytest.raises(Invalid) as caught:
        do(shipped, store, "upgrade", temporary, new_card_type=temporary["card_type"])
    assert problem_of(caught) == [("new_card_type", "card_types.not_temporary")]
    stock = shipped.create("clerk", "card", card_type=gold, store=store)
    done = do(
        shipped, store, "upgrade", temporary, member=member, new_card_type=gold,
        new_card=stock["id"],
    )  # fmt: skip
    new = shipped.get("card", done["new_card"])
    assert (new["id"], new["status"], new["member"]) == (stock["id"], "active", member)
    assert state(shipped, temporary) == "changed"


def test_card_handed_out_must_be_in_stock_and_of_the_type(shipped, store, member):
    card = make_card(shipped, store, member)
    other = make_type(shipped, code="G2", name="Gold 2", type_prefix="02")
    stock = shipped.create("clerk", "card", card_type=other, store=store)
    for given, why in ((stock, "other_type"), (card, "not_in_stock")):
        with pytest.raises(Invalid) as caught:
            do(shipped, store, "change", card, new_card=given["id"])
        assert problem_of(caught) == [("new_card", f"card_types.{why}")]


def test_state_that_follows_from_an_operation_is_not_patched(shipped, store, member):
    card = make_card(shipped, store, member)
    for values in ({"status": "reissued"}, {"issue_version": 2}, {"review_reason": "over_cap"}):
        with pytest.raises(Invalid) as caught:
            shipped.change("Admin", "card", card["id"], **values)
        assert problem_of(caught) == [(next(iter(values)), "card_types.needs_operation")]


@pytest.fixture
def wanted(shipped, store):
    """Return a card in stock that a receipt of 200.00 earns."""
    card_type = make_type(shipped, qualifying_amount="200.00")
    return shipped.create("clerk", "card", card_type=card_type, store=store)


def test_receipt_earns_one_card(shipped, store, member, wanted):
    with pytest.raises(Invalid) as caught:
        do(shipped, store, "issue", wanted, member=member)
    assert problem_of(caught) == [("kind", "card_types.receipt_needed")]
    receipt = make_receipt(shipped, store, member)["id"]
    do(shipped, store, "qualify", wanted, member=member, receipt=receipt)
    assert state(shipped, wanted) == "issued"
    second = shipped.create("clerk", "card", card_type=wanted["card_type"], store=store)
    with pytest.raises(Conflict, check=coded("card_types.receipt_used")):
        do(shipped, store, "qualify", second, member=member, receipt=receipt)
    assert state(shipped, second) == "made"


def test_receipt_that_does_not_earn_a_card_is_refused(shipped, store, member, other, wanted):
    yesterday = shipped.clock.now() - timedelta(days=1)
    receipts = {
        "receipt_too_small": make_receipt(shipped, store, no="R1", total="199.99"),
        "receipt_too_old": make_receipt(shipped, store, no="R2", at=yesterday),
        "receipt_other_member": make_receipt(shipped, store, no="R3", member=other),
        "receipt_not_a_sale": make_receipt(shipped, store, no="R4", kind="return"),
    }
    for code, receipt in receipts.items():
        with pytest.raises(Conflict, check=coded(f"card_types.{code}")):
            do(shipped, store, "qualify", wanted, member=member, receipt=receipt["id"])
    shipped.set("card_types", receipt_qualify_days=1)
    late = receipts["receipt_too_old"]["id"]
    assert do(shipped, store, "qualify", wanted, member=member, receipt=late)["id"]


def test_sale_that_was_made_before_the_loss_does_not_spend_after_it(shipped, store, member):
    card = make_card(shipped, store, member)
    ctx = shipped.context("cashier")
    sale = make_sale(ctx, store, card_text=card["number"])
    ctx.hooks.at_till(ctx, "guanxi_before_quote", sale=sale)
    do(shipped, store, "loss", card)
    with pytest.raises(Conflict, check=coded("card_types.lost")), ctx.writing():
        ctx.hooks.at_till(ctx, "guanxi_before_sale", sale=sale, order_id="o1")
