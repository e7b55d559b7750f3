"""What the till refuses by code, over REST on both databases; what is refused writes nothing."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from core.ledger.models import account, entry, lot, posting
from core.records.codes import keep_codes
from core.records.idempotency import request
from core.till.models import certificate
from plugins.card_types.operations.showing import CODE
from tests.integration.till_world import fill, line

GOLD = {"code": "GOLD", "name": "Gold", "default_rate": "0.9", "points_rate": "0.1",
        "verification": "printed_code", "small_change": True,
        "small_change_cap": "9.00"}  # fmt: skip

WATCHED = (account, posting, entry, lot, certificate, request)

MUCH = 10**20


@pytest.fixture
def till(site):
    """A till where M1 has a card with the code 123456 and 9 points, and M2 a card."""
    made = fill(site)
    gold = made.approve("card_type", GOLD)["id"]
    for name in ("M1", "M2"):
        member, store = made.ids["member"][name], made.ids["store"]["S1"]
        card = made.make("card", name, card_type=gold, store=store, status="active", member=member)
        shown = site.client("admin").get(f"/api/v1/records/card/{card}").json
        made.ids.setdefault("number", {})[name] = shown["number"]
    ctx = site.context("admin")
    with ctx.writing():
        keep_codes(ctx, CODE, {made.ids["card"]["M1"]: "123456"})
    return made


def rows(till):
    """Return how many rows there are of everything that a sale or return writes."""
    tables = till.site.services.registries.current().tables
    watched = {one.name: one for one in WATCHED}
    watched |= {name: tables[name].main for name in ("order", "discount_share")}
    with till.site.services.db.read() as connection:
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(one)).scalar_one()
            for name, one in watched.items()
        }


@contextmanager
def nothing_written(till):
    before = rows(till)
    yield
    assert rows(till) == before


def refused(answer, status, code):
    """Say whether an answer refuses by a code, its own or that of its only problem."""
    problems = answer.json.get("problems")
    told = [one["code"] for one in problems] if problems else [answer.json.get("code")]
    assert (answer.status_code, told) == (status, [code]), answer.text


def sold(till, quantity="2", **rest):
    rest = {"card": till.ids["number"]["M1"], "verification": "123456"} | rest
    answer = till.order(line("TEA-1", quantity), **rest)
    assert answer.status_code == 201, answer.text
    return answer.json


def become(till, name, status):
    """Change the state of a card as the clerk."""
    url = f"/api/v1/records/card/{till.ids['card'][name]}"
    clerk = till.site.client("clerk")
    version = clerk.get(url).headers["ETag"]
    changed = clerk.patch(url, json={"status": status}, headers={"If-Match": version})
    assert changed.status_code == 200, changed.text


def test_card_that_is_not_the_buyers_or_not_good_is_refused(till):
    mine, others = till.ids["number"]["M1"], till.ids["number"]["M2"]
    wrong_digit = others[:-1] + str((int(others[-1]) + 1) % 10)
    sold(till)
    with nothing_written(till):
        for asked, code in (
            ({"card": others, "member": till.ids["member"]["M1"]}, "card_types.other_member"),
            ({"card": wrong_digit}, "card_types.unknown_card"),
            ({"card": "x" * 100}, "card_types.unknown_card"),
        ):
            refused(till.order(line(), **asked), 409, code)
    for status in ("lost", "frozen"):
        become(till, "M1", status)
        with nothing_written(till):
            for more in ({}, {"spend_points": 1}, {"keep_change": "0.50"}):
                paid = [{"method": "cash", "amount": "1000"}]
                answer = till.order(
                    line(), card=mine, verification="123456", payments=paid, **more
                )
                refused(answer, 409, f"card_types.{status}")
        become(till, "M1", "active")
    sold(till)


def test_wrong_codes_are_counted_though_nothing_is_written_and_lock_the_card(till):
    card = till.ids["number"]["M1"]
    sold(till)
    with nothing_written(till):
        for number in range(5):
            answer = till.order(line(), card=card, verification=f"00000{number}")
            refused(answer, 409, "card_types.wrong_code")
        for _ in range(2):
            answer = till.order(line(), card=card, verification="123456")
            refused(answer, 409, "card_types.code_locked")
    quoted = till.quote(line(), card=card, verification="123456").json
    assert (quoted["card"]["faults"], quoted["totals"]["payable"]) == (["code_locked"], "100.00")


def test_small_change_is_not_spent_without_the_code(till):
    card = till.ids["number"]["M1"]
    sold(till, payments=[{"method": "cash", "amount": "200"}], keep_change="5.00")
    paid = [{"method": "small_change", "amount": "1.00"}, {"method": "cash", "amount": "200"}]
    with nothing_written(till):
        refused(till.order(line(), card=card, payments=paid), 409, "card_types.not_verified")
        refused(till.order(line(), payments=paid), 409, "card_types.no_card")
        more = [{"method": "small_change", "amount": "5.01"}, paid[1]]
        answer = till.order(line(), card=card, verification="123456", payments=more)
        refused(answer, 409, "ledger.insufficient")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"lines": [line("NOPE")]}, 422, "till.unknown_product"),
        ({"lines": [line(quantity="-1")]}, 422, "field.too_small"),
        ({"lines": [line(quantity=MUCH)]}, 422, "field.too_large"),
        ({"lines": [line(quantity=f"{MUCH}")]}, 422, "field.too_large"),
        ({"lines": [line(unit_price="1.00")]}, 403, "till.no_right"),
        ({"lines": [line(unit_price=MUCH)]}, 422, "field.too_large"),
        ({"lines": [line(other_discount=MUCH)]}, 422, "field.too_large"),
        ({"spend_points": MUCH}, 422, "field.too_large"),
        ({"spend_points": -5}, 422, "field.too_small"),
        ({"spend_points": 1000}, 409, "points_rules.not_enough"),
        ({"payments": [{"method": "cash", "amount": MUCH}]}, 422, "field.too_large"),
        ({"payments": [{"method": "cash", "amount": "-1"}]}, 422, "field.too_small"),
        ({"keep_change": MUCH}, 422, "field.too_large"),
        ({"keep_change": "9.01", "payments": [{"method": "cash", "amount": "999"}]},
         409, "card_types.over_cap"),
        ({"certificate": "f" * 64}, 409, "till.certificate_mismatch"),
    ],
)  # fmt: skip
def test_order_with_forged_or_absurd_values_is_refused(till, asked, status, code):
    body = {"store": "S1", "lines": [line()], "card": till.ids["number"]["M1"],
            "verification": "123456"}  # fmt: skip
    with nothing_written(till):
        refused(till.post("/api/v1/till/orders", body | asked), status, code)


def test_certificate_of_another_sale_is_refused(till):
    card = {"card": till.ids["number"]["M1"], "verification": "123456"}
    cheap = till.quote(line("CUP-2"), **card).json["certificate"]
    spending = till.quote(line(), **card).json["certificate"]
    with nothing_written(till):
        answer = till.order(line(), certificate=cheap, **card)
        refused(answer, 409, "till.certificate_mismatch")
        # The buyer agreed to the price of a good card and shows none.
        refused(till.order(line(), certificate=spending), 409, "till.certificate_mismatch")


def test_key_is_good_for_one_body_at_one_address(till):
    order = sold(till, key="k")
    returns = f"/api/v1/till/orders/{order['id']}/returns"
    back = {"lines": [{"line": 1, "quantity": "1"}]}
    done = till.post(returns, back, key="back")
    with nothing_written(till):
        refused(till.order(line("TEA-1", "2"), key="k"), 409, "idempotency.key_reused")
        refused(till.post(returns, back, key="k"), 409, "idempotency.key_reused")
        more = {"lines": [{"line": 1, "quantity": "0.5"}]}
        refused(till.post(returns, more, key="back"), 409, "idempotency.key_reused")
        assert till.post(returns, back, key="back").json == done.json
        assert sold(till, key="k") == order


def test_return_over_what_was_sold_is_refused_however_it_is_asked(till):
    order = sold(till)["id"]
    back = till.give_back(order, (1, "0.5")).json["id"]
    with nothing_written(till):
        for line_, quantity, status, code in (
            (1, "1.501", 422, "till.more_than_sold"),
            (1, str(MUCH), 422, "field.too_large"),
            (1, "-1", 422, "field.too_small"),
            (1, "0", 422, "field.too_small"),
            (2, "1", 422, "till.unknown_line"),
        ):
            refused(till.give_back(order, (line_, quantity)), status, code)
            refused(till.give_back(order, (line_, quantity), preview=True), status, code)
        refused(till.give_back(back, (1, "0.5")), 409, "till.not_a_sale")
        assert till.give_back("no-such-order", (1, "1")).status_code == 404


def test_return_asked_for_at_many_tills_at_once_is_given_once(till):
    order = sold(till)["id"]
    before = rows(till)
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda at: till.give_back(order, (1, "2"), key=f"at-{at}"), range(4))
        )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 422: 3}
    told = {one["code"] for answer in answers for one in answer.json.get("problems", ())}
    assert told == {"till.more_than_sold"}
    after = rows(till)
    grown = ("order", "gx_certificate", "gx_posting", "gx_request")
    assert [after[name] - before[name] for name in grown] == [1, 1, 1, 1]


def test_order_sent_at_once_under_one_key_is_sold_once(till):
    before = rows(till)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: sold(till, key="once"), range(4)))
    assert len({answer["id"] for answer in answers}) == 1
    after = rows(till)
    grown = ("order", "gx_certificate", "gx_posting", "gx_request")
    assert [after[name] - before[name] for name in grown] == [1, 1, 1, 1]
