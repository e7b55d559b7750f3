"""Cards shown at the till: found by number or track, verified, good or not."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from core.api import Conflict, keep_codes
from plugins.card_types.operations.showing import CODE
from plugins.card_types.operations.tracks import track_of
from plugins.card_types.tests.card_world import (
    coded,
    make_card,
    make_sale,
    make_type,
    order,
    quote,
)


def track(shipped, card):
    return track_of(shipped.context(), card["number"], card["issue_version"])


def give_code(shipped, card, code="123456"):
    ctx = shipped.context()
    with ctx.writing():
        keep_codes(ctx, CODE, {card["id"]: code})


def test_card_brings_its_member_and_its_type(shipped, store, member):
    card = make_card(shipped, store, member)
    for text in (
        card["number"],
        f" {card['number'][:4]} {card['number'][4:]}",
        track(shipped, card),
    ):
        sale = quote(shipped, store, card_text=text)
        assert (sale.card.record["id"], sale.member["id"]) == (card["id"], member)
        assert (sale.card.card_type["code"], sale.card.faults) == ("GOLD", ())
        assert sale.terms["card_types"]["card"] == card["id"]


def test_unknown_card_and_somebody_elses_are_refused(shipped, store, member, other):
    card = make_card(shipped, store, member)
    with pytest.raises(Conflict, check=coded("card_types.unknown_card")):
        quote(shipped, store, card_text="010100099")
    with pytest.raises(Conflict, check=coded("card_types.other_member")):
        quote(shipped, store, card_text=card["number"], member=other)


@pytest.mark.parametrize("place", [-1, -17, 0])
def test_track_with_one_wrong_letter_is_refused(shipped, store, member, place):
    card = make_card(shipped, store, member)
    text = track(shipped, card)
    letters = list(text)
    letters[place] = "B" if letters[place] != "B" else "C"
    wrong = "card_types.unknown_card" if place == 0 else "card_types.wrong_track"
    with pytest.raises(Conflict, check=coded(wrong)):
        quote(shipped, store, card_text="".join(letters))


def test_track_of_a_former_key_holds_until_the_key_is_forgotten(shipped, store, member):
    card = make_card(shipped, store, member)
    before, ring = track(shipped, card), shipped.hooks.keys
    ring_of = type(ring)
    try:
        shipped.hooks.keys = ring_of("another", ("of tests alone",))
        assert track(shipped, card) != before
        assert quote(shipped, store, card_text=before).card.is_good
        shipped.hooks.keys = ring_of("another")
        with pytest.raises(Conflict, check=coded("card_types.wrong_track")):
            quote(shipped, store, card_text=before)
    finally:
        shipped.hooks.keys = ring


@pytest.mark.parametrize(
    ("status", "fault"),
    [("lost", "lost"), ("frozen", "frozen"), ("cancelled", "cancelled"), ("expired", "expired")],
)
def test_card_that_is_not_good_is_a_fault_in_a_quote_and_refuses_an_order(
    shipped, store, member, status, fault
):
    card = make_card(shipped, store, member)
    shipped.change("clerk", "card", card["id"], status=status)
    assert quote(shipped, store, card_text=card["number"]).card.faults == (fault,)
    with pytest.raises(Conflict, check=coded(f"card_types.{fault}")):
        order(shipped, store, card_text=card["number"])


def test_card_is_good_until_the_end_of_its_last_day(shipped, store, member):
    card = make_card(shipped, store, member, validity_months=1)
    shipped.clock.move(timedelta(days=31))
    assert quote(shipped, store, card_text=card["number"]).card.is_good
    shipped.clock.move(timedelta(days=1))
    assert quote(shipped, store, card_text=card["number"]).card.faults == ("expired",)


def test_stock_card_refuses_an_order(shipped, store):
    card_type = make_type(shipped)
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    with pytest.raises(Conflict, check=coded("card_types.not_issued")):
        order(shipped, store, card_text=card["number"])


def test_rebate_card_has_no_benefits_and_sells(shipped, store):
    card = make_card(shipped, store, None, purpose="rebate_card")
    shipped.change("clerk", "card", card["id"], status="issued")
    assert order(shipped, store, card_text=card["number"]).card.faults == ("rebate_card",)


def test_card_needs_activation_where_the_setting_says_so(shipped, store, member):
    card = make_card(shipped, store, member)
    shipped.set("card_types", needs_activation=True)
    assert quote(shipped, store, card_text=card["number"]).card.faults == ("not_active",)
    shipped.change("clerk", "card", card["id"], status="active")
    assert quote(shipped, store, card_text=card["number"]).card.is_good


def test_member_without_a_card_uses_the_newest_good_one(shipped, store, member):
    first = make_card(shipped, store, member)
    shipped.clock.move(timedelta(days=1))
    second = shipped.create(
        "clerk", "card", card_type=first["card_type"], store=store, member=member
    )
    assert quote(shipped, store, member=member).card.record["id"] == second["id"]
    shipped.change("clerk", "card", second["id"], status="lost")
    assert quote(shipped, store, member=member).card.record["id"] == first["id"]
    shipped.set("card_types", card_optional=False)
    assert quote(shipped, store, member=member).card is None


def test_code_is_asked_for_and_compared(shipped, store, member):
    card = make_card(shipped, store, member, verification="printed_code")
    give_code(shipped, card)
    number = card["number"]
    assert quote(shipped, store, card_text=number).card.faults == ("not_verified",)
    assert quote(shipped, store, card_text=number, code_text="123456").card.is_good
    assert quote(shipped, store, card_text=number, code_text="9").card.faults == ("wrong_code",)
    # Without a code nothing is refused: it is a sale without benefits.
    assert order(shipped, store, card_text=number).card.faults == ("not_verified",)


def test_wrong_codes_of_refused_orders_lock_the_code(shipped, store, member):
    card = make_card(shipped, store, member, verification="printed_code")
    give_code(shipped, card)
    for _ in range(4):
        with pytest.raises(Conflict, check=coded("card_types.wrong_code")):
            order(shipped, store, card_text=card["number"], code_text="000000")
    # A right one starts the count again.
    order(shipped, store, card_text=card["number"], code_text="123456")
    for _ in range(5):
        with pytest.raises(Conflict, check=coded("card_types.wrong_code")):
            order(shipped, store, card_text=card["number"], code_text="000000")
    with pytest.raises(Conflict, check=coded("card_types.code_locked")):
        order(shipped, store, card_text=card["number"], code_text="123456")


def test_codes_tried_at_once_are_looked_at_no_more_often_than_allowed(shipped, store, member):
    card = make_card(shipped, store, member, verification="printed_code")
    give_code(shipped, card)

    def attempt(number):
        try:
            order(shipped, store, card_text=card["number"], code_text=f"{number:06d}")
        except Conflict as error:
            return error.code
        return "sold"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(24)))
    assert answers.count("card_types.wrong_code") == 5
    assert answers.count("card_types.code_locked") == 19


def test_sale_keeps_the_member_that_the_till_named(shipped, store, member):
    card = make_card(shipped, store, member)
    ctx = shipped.context("cashier")
    sale = make_sale(ctx, store, member=member, card_text=card["number"])
    with ctx.reading():
        ctx.hooks.at_till(ctx, "guanxi_before_quote", sale=sale)
    assert sale.member["no"] == "M1"


def test_sale_uses_the_version_of_the_type_that_held_and_was_known(shipped, store, member):
    card = make_card(shipped, store, member, default_rate="0.9")
    first, known = shipped.clock.now(), quote(shipped, store, card_text=card["number"])
    shipped.clock.move(timedelta(days=1))
    shipped.change("clerk", "card_type", card["card_type"], default_rate="0.8")
    shipped.approve("card_type", card["card_type"])
    asked = [
        {},
        {"at": first},
        {"audit_seq": known.audit_seq},
        {"at": first - timedelta(days=9)},
    ]
    rates = [
        str(quote(shipped, store, card_text=card["number"], **each).card.card_type["default_rate"])
        for each in asked
    ]
    assert rates == ["0.8000", "0.9000", "0.9000", "0.9000"]
