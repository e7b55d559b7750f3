"""Small change on cards: 0 ≤ balance ≤ cap, and nothing is spent after a freeze (I15, I22)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random

import pytest

from core.api import Conflict, Return, ReturnLine, balance
from plugins.card_types.tests.card_world import (
    coded,
    make_card,
    make_receipt,
    make_sale,
    make_type,
    order,
)

CAP = {"small_change": True, "small_change_cap": "1.00"}


def pays(method, amount):
    return [{"method": method, "amount": Decimal(amount)}]


def held(shipped, card):
    return balance(shipped.context(), "small_change", card["id"], "CNY").balance


def keep(shipped, store, card, amount, name="k1", **more):
    kept = {"keep_change": Decimal(amount)} | more
    return order(shipped, store, card_text=card["number"], order_id=name, **kept)


def spend(shipped, store, card, amount, name, **more):
    paid = {"card_text": card["number"], "payments": pays("small_change", amount)} | more
    return order(shipped, store, order_id=name, **paid)


def test_change_is_kept_up_to_the_cap_and_spent_again(shipped, store, member):
    card = make_card(shipped, store, member, **CAP)
    keep(shipped, store, card, "0.60")
    with pytest.raises(Conflict, check=coded("card_types.over_cap")) as caught:
        keep(shipped, store, card, "0.41", "k2")
    assert (caught.value.params, held(shipped, card)) == ({"most": "0.40"}, 60)
    # What the same sale spends makes room.
    keep(shipped, store, card, "0.90", "k3", payments=pays("small_change", "0.50"))
    assert held(shipped, card) == 100
    with pytest.raises(Conflict, check=coded("ledger.insufficient")):
        spend(shipped, store, card, "1.01", "s1")
    spend(shipped, store, card, "1.00", "s2")
    spend(shipped, store, card, "1.00", "s2")  # asked for twice, taken once
    assert held(shipped, card) == 0


def test_change_needs_the_card_and_a_type_that_keeps_it(shipped, store, member):
    plain = make_card(shipped, store, member)
    with pytest.raises(Conflict, check=coded("card_types.no_small_change")):
        keep(shipped, store, plain, "0.10")
    with pytest.raises(Conflict, check=coded("card_types.no_card")):
        spend(shipped, store, plain, "0.10", "s1", card_text="", member=member)
    with pytest.raises(Conflict, check=coded("card_types.no_card")):
        order(shipped, store, keep_change=Decimal("0.10"))


def test_unverified_card_takes_change_and_spends_none(shipped, store, member):
    card = make_card(shipped, store, member, verification="printed_code", **CAP)
    keep(shipped, store, card, "0.60")
    with pytest.raises(Conflict, check=coded("card_types.not_verified")):
        spend(shipped, store, card, "0.10", "s1")
    assert held(shipped, card) == 60


def giving_back(shipped, store, sale_id, card, refund):
    ctx = shipped.context("cashier")
    line = ReturnLine(1, {}, Decimal(0), Decimal(1), Decimal(refund), Decimal(0))
    given = Return(
        sale_id=sale_id, certificate={}, store=make_sale(ctx, store).store, at=ctx.now,
        on=ctx.today, member_id=None, card_id=card, lines=[line], is_whole=True,
        is_preview=False, refund=Decimal(refund), method="small_change" if card else "cash",
    )  # fmt: skip
    with ctx.writing():
        for hook in ("guanxi_before_return", "guanxi_before_refund"):
            ctx.hooks.at_till(ctx, hook, giving_back=given)
    return given


def test_refund_goes_onto_the_card_over_its_cap_and_is_flagged(shipped, store, member):
    card = make_card(shipped, store, member, **CAP)
    sale = make_receipt(shipped, store, member)
    giving_back(shipped, store, sale["id"], card["id"], "0.80")
    assert (held(shipped, card), shipped.get("card", card["id"])["review_reason"]) == (80, None)
    again = make_receipt(shipped, store, member, no="R2")
    giving_back(shipped, store, again["id"], card["id"], "5.00")
    assert held(shipped, card) == 580
    assert shipped.get("card", card["id"])["review_reason"] == "over_cap"
    # Looked at by somebody, and done with.
    assert shipped.change("clerk", "card", card["id"], review_reason=None)["version"] > 1


def test_return_that_costs_the_customer_takes_nothing_from_the_card(shipped, store, member):
    card = make_card(shipped, store, member, **CAP)
    keep(shipped, store, card, "0.60")
    sale = make_receipt(shipped, store, member)
    with pytest.raises(Conflict, check=coded("card_types.nothing_back")) as caught:
        giving_back(shipped, store, sale["id"], card["id"], "-0.50")
    assert (caught.value.params, held(shipped, card)) == ({"amount": "0.50"}, 60)


def test_card_whose_receipt_comes_back_is_flagged(shipped, store, member):
    card_type = make_type(shipped, qualifying_amount="200.00")
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    receipt = make_receipt(shipped, store, member, total="300.00")["id"]
    shipped.create(
        "clerk", "card_operation", kind="qualify", card=card["id"], store=store, member=member,
        receipt=receipt,
    )  # fmt: skip
    giving_back(shipped, store, receipt, None, "100.00")
    assert shipped.get("card", card["id"])["review_reason"] is None
    given = giving_back(shipped, store, receipt, None, "100.01")
    assert shipped.get("card", card["id"])["review_reason"] == "receipt_returned"
    assert given.notes["card_types"] == {"review": card["number"]}


def test_change_stays_between_nothing_and_the_cap_whatever_is_tried(shipped, store, member):
    card, random, expected = make_card(shipped, store, member, **CAP), Random(15), 0
    refused = set()
    for step in range(30):
        units = random.randrange(1, 90)
        amount = str(Decimal(units).scaleb(-2))
        try:
            if random.random() < 0.6:
                keep(shipped, store, card, amount, f"o{step}")
                expected += units
            else:
                spend(shipped, store, card, amount, f"o{step}")
                expected -= units
        except Conflict as error:
            refused.add(error.code)
        assert 0 <= expected <= 100
        assert held(shipped, card) == expected
    assert refused == {"card_types.over_cap", "ledger.insufficient"}


def test_frozen_card_spends_nothing_after_its_freeze_is_committed(shipped, store, member):
    card = make_card(shipped, store, member, small_change=True, small_change_cap="99.00")
    keep(shipped, store, card, "99.00")
    frozen, late = threading.Event(), []

    def buy(name):
        was_frozen = frozen.is_set()
        try:
            spend(shipped, store, card, "0.50", name)
        except Conflict as error:
            return error.code
        if was_frozen:
            late.append(name)
        return "sold"

    def freeze():
        shipped.create(
            "cashier", "card_operation", kind="freeze", card=card["id"], store=store, reason="?"
        )
        frozen.set()

    with ThreadPoolExecutor(6) as pool:
        tried = [pool.submit(buy, f"b{number}") for number in range(8)]
        pool.submit(freeze).result()
        tried += [pool.submit(buy, f"a{number}") for number in range(8)]
        answers = [each.result() for each in tried]
    assert set(answers) <= {"sold", "card_types.frozen"}
    assert (late, answers[8:]) == ([], ["card_types.frozen"] * 8)
    assert held(shipped, card) == 9900 - 50 * answers.count("sold")
