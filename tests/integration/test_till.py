"""Quotes, orders and returns over REST, on both databases: what the till itself promises."""

from decimal import Decimal

import pytest

from tests.integration.till_world import fill, line


@pytest.fixture
def till(site):
    return fill(site)


def codes(answer):
    return sorted((one["path"], one["code"]) for one in answer.json["problems"])


def test_quote_without_a_card_costs_the_list_price(till):
    answer = till.quote(line(), line("TEA-2", "3"))
    assert answer.status_code == 200, answer.text
    shown = [(one["list_amount"], one["amount_due"], one["member_rate"], one["rule"])
             for one in answer.json["lines"]]  # fmt: skip
    assert shown == [("100.00", "100.00", "1", None), ("29.97", "29.97", "1", None)]
    assert answer.json["totals"]["payable"] == "129.97"
    assert answer.json["points"] == dict.fromkeys("ABCDE", 0)
    assert till.count("order") == 0


def test_order_writes_the_receipt_and_answers_what_was_quoted(till):
    quoted = till.quote(line("TEA-1", "2")).json
    answer = till.order(
        line("TEA-1", "2"),
        payments=[{"method": "cash", "amount": "300"}],
        certificate=quoted["certificate"],
    )
    assert answer.status_code == 201, answer.text
    body = answer.json
    assert (body["certificate"], body["totals"], body["change"]) == (
        quoted["certificate"], quoted["totals"], "100.00",
    )  # fmt: skip
    stored = till.site.client("admin").get(f"/api/v1/records/order/{body['id']}").json
    assert (stored["no"], stored["total_due"], stored["certificate"]) == (
        body["no"], "200.00", body["certificate"],
    )  # fmt: skip
    assert [(one["method"], one["amount"]) for one in stored["payments"]] == [("cash", "200.00")]


def test_other_promotions_are_taken_exactly_and_rounded_once(till):
    lines = [line("TEA-2", "3", other_rate="2/3"), line("TEA-1", other_discount="0.01")]
    shown = till.quote(*lines).json["lines"]
    assert [(one["other_rate"], one["amount_due"]) for one in shown] == [
        ("2/3", "19.98"), ("0.9999", "99.99"),
    ]  # fmt: skip


def test_order_repeated_with_its_key_sells_once_and_another_body_is_refused(till):
    first = till.order(line(), key="k1")
    again = till.order(line(), key="k1")
    assert (again.status_code, again.json) == (201, first.json)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = till.order(line("TEA-2"), key="k1")
    assert (other.status_code, other.json["code"]) == (409, "idempotency.key_reused")
    assert till.count("order") == 1


def test_order_without_a_key_is_refused(till):
    answer = till.site.client("cashier").post(
        "/api/v1/till/orders", json={"store": "S1", "lines": [line()]}
    )
    assert (answer.status_code, answer.json["code"]) == (400, "idempotency.key_required")


@pytest.mark.parametrize(
    ("lines", "rest", "problem"),
    [
        ([], {}, ("lines", "field.required")),
        ([line("NOPE")], {}, ("lines.0.product", "till.unknown_product")),
        ([line(quantity="-1")], {}, ("lines.0.quantity", "field.too_small")),
        ([line(quantity="0")], {}, ("lines.0.quantity", "field.too_small")),
        ([line(quantity="1e20")], {}, ("lines.0.quantity", "field.too_large")),
        ([line(quantity=10**20)], {}, ("lines.0.quantity", "field.too_large")),
        ([line(quantity="NaN")], {}, ("lines.0.quantity", "field.wrong_type")),
        ([line(quantity="0.0001")], {}, ("lines.0.quantity", "field.too_many_digits")),
        ([line(quantity=True)], {}, ("lines.0.quantity", "field.wrong_type")),
        ([line(other_rate="1.01")], {}, ("lines.0.other_rate", "till.rate")),
        ([line(other_rate="1/0")], {}, ("lines.0.other_rate", "till.rate")),
        ([line(other_discount="100.01")], {},
         ("lines.0.other_discount", "till.discount_too_large")),
        ([line(colour="red")], {}, ("lines.0.colour", "field.unknown")),
        ([line()], {"store": "S9"}, ("store", "till.unknown_store")),
        ([line()], {"member": "nobody"}, ("member", "till.unknown_member")),
        ([line()], {"at": "yesterday"}, ("at", "field.wrong_type")),
        ([line()], {"at": "2999-01-01T00:00:00Z"}, ("at", "till.future")),
        ([line()], {"at": "2026-01-01T00:00:00"}, ("at", "field.wrong_type")),
        ([line()], {"spend_points": -1}, ("spend_points", "field.too_small")),
    ],
)  # fmt: skip
def test_bad_order_is_refused_with_every_reason_and_writes_nothing(till, lines, rest, problem):
    answer = till.order(*lines, user="admin", **rest)
    assert answer.status_code == 422, answer.text
    assert problem in codes(answer)
    assert till.count("order") == 0


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        ({"lines": [line(unit_price="1.00")]}, "till.override_price"),
        ({"lines": [line()], "at": "2026-01-01T00:00:00Z"}, "till.backdate"),
    ],
)
def test_cashier_without_the_right_changes_no_price_and_no_date(till, asked, right):
    body = {"store": "S1", **asked}
    for path in ("quote", "orders"):
        answer = till.post(f"/api/v1/till/{path}", body)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden")
        assert answer.json["problems"][0]["params"] == {"right": right}
    assert till.count("order") == 0
    assert till.post("/api/v1/till/orders", body, user="admin").status_code == 201


def test_list_price_said_by_the_till_needs_no_right(till):
    assert till.quote(line(unit_price="100.00")).status_code == 200


@pytest.mark.parametrize("user", ["approver", "auditor"])
def test_who_may_not_sell_is_refused(till, user):
    for path in ("quote", "orders"):
        answer = till.post(f"/api/v1/till/{path}", {"store": "S1", "lines": [line()]}, user=user)
        assert answer.status_code == 403, answer.text


def test_forged_certificate_is_refused_and_writes_nothing(till):
    answer = till.order(line(), certificate="0" * 64)
    assert (answer.status_code, answer.json["code"]) == (409, "till.certificate_mismatch")
    assert till.count("order") == 0


def test_payments_must_reach_the_total_and_change_comes_from_cash(till):
    short = till.order(line(), payments=[{"method": "cash", "amount": "99.99"}])
    assert (short.status_code, short.json["code"]) == (422, "till.underpaid")
    over = till.order(line(), payments=[{"method": "wechat", "amount": "150"}])
    assert (over.status_code, over.json["code"]) == (422, "till.change")
    assert till.count("order") == 0


def test_certificate_reproduces_the_order(till):
    order = till.order(line("TEA-2", "3", other_rate="0.85")).json
    for user in ("cashier", "auditor"):  # whoever sees the order, not those who sell alone
        path = f"/api/v1/till/orders/{order['id']}/certificate"
        found = till.site.client(user).get(path).json
        assert (found["certificate"], found["holds"], found["problems"]) == (
            order["certificate"], True, [],
        )  # fmt: skip


def test_certificate_of_a_return_proves_too(till):
    order = till.order(line("TEA-2", "3", other_rate="0.85")).json
    back = till.give_back(order["id"], (1, "2")).json
    path = f"/api/v1/till/orders/{back['id']}/certificate"
    found = till.site.client("cashier").get(path)
    assert (found.status_code, found.json["holds"], found.json["problems"]) == (200, True, [])
    assert found.json["priced"]["amount"] == back["amount"]


def test_order_of_the_till_cannot_be_changed_deleted_or_imitated(till):
    admin = till.site.client("admin")
    order = till.order(line()).json
    url, seen = f"/api/v1/records/order/{order['id']}", {"If-Match": '"1"'}
    changed = admin.patch(url, json={"member": till.ids["member"]["M1"]}, headers=seen)
    assert (changed.status_code, changed.json["code"]) == (409, "till.order_fixed")
    assert admin.delete(url, headers=seen).json["code"] == "till.order_fixed"
    assert admin.patch(url, json={"remark": "ok"}, headers=seen).status_code == 200
    store = till.ids["store"]["S1"]
    fake = {"no": "R1", "kind": "return", "of": order["id"], "store": store,
            "ordered_at": "2026-03-10T00:00:00Z", "lines": []}  # fmt: skip
    assert admin.post("/api/v1/records/order", json=fake).json["code"] == "till.order_fixed"
    forged = {**fake, "kind": "sale", "of": None, "certificate": "0" * 64}
    assert admin.post("/api/v1/records/order", json=forged).json["problems"][0]["code"] == (
        "field.read_only"
    )


def test_return_gives_back_cumulative_shares_however_it_is_split(till):
    order = till.order(line("TEA-2", "3", other_rate="0.85")).json  # 25.47
    parts = [till.give_back(order["id"], (1, "1")).json["refund"] for _ in range(3)]
    assert parts == ["8.49", "8.49", "8.49"]
    whole = till.order(line("TEA-2", "3", other_rate="0.85")).json
    assert till.give_back(whole["id"], (1, "3")).json["refund"] == "25.47"
    odd = till.order(line("CUP-2", "3", other_rate="0.7")).json  # 0.11
    shares = [Decimal(till.give_back(odd["id"], (1, "1")).json["refund"]) for _ in range(3)]
    assert sum(shares) == Decimal("0.11")


def test_more_than_was_sold_never_comes_back(till):
    order = till.order(line("TEA-1", "2")).json
    assert till.give_back(order["id"], (1, "1.5")).status_code == 201
    answer = till.give_back(order["id"], (1, "1"))
    assert answer.status_code == 422
    assert codes(answer) == [("lines.0.quantity", "till.more_than_sold")]
    twice = till.give_back(order["id"], (1, "0.2"), (1, "0.3"))
    assert codes(twice) == [("lines.1.line", "till.line_twice")]
    assert codes(till.give_back(order["id"], (7, "1"))) == [("lines.0.line", "till.unknown_line")]
    assert till.count("order") == 2


def test_preview_says_what_the_return_does_and_keeps_nothing(till):
    order = till.order(line("TEA-1", "2")).json
    shown = till.give_back(order["id"], (1, "1"), preview=True)
    assert (shown.status_code, shown.json["refund"]) == (200, "100.00")
    assert till.count("order") == 1
    done = till.give_back(order["id"], (1, "1")).json
    same = {"lines", "refund", "amount", "claw_back", "F", "lots"}
    assert {name: done[name] for name in same} == {name: shown.json[name] for name in same}
    returned = till.site.client("admin").get(f"/api/v1/records/order/{done['id']}").json
    assert (returned["kind"], returned["of"], returned["total_due"]) == (
        "return", order["id"], "-100.00",
    )  # fmt: skip
    again = till.give_back(done["id"], (1, "1"))
    assert (again.status_code, again.json["code"]) == (409, "till.not_a_sale")


def test_receipt_numbers_are_unique_and_carry_store_and_day(till):
    numbers = [till.order(line()).json["no"] for _ in range(25)]
    assert len(set(numbers)) == len(numbers)
    assert all(number.startswith("S1-") for number in numbers)


def test_member_with_points_is_not_deleted_nor_merged_away(till):
    gold = till.approve("card_type", {"code": "G", "name": "G", "points_rate": "1"})["id"]
    member, store = till.ids["member"]["M1"], till.ids["store"]["S1"]
    values = {"card_type": gold, "store": store, "member": member, "status": "active"}
    admin = till.site.client("admin")
    card = admin.post("/api/v1/records/card", json=values).json["number"]
    assert till.order(line(), card=card).json["points"]["A"] == 100
    seen = {"If-Match": '"1"'}
    answer = admin.delete(f"/api/v1/records/member/{member}", headers=seen)
    assert (answer.status_code, answer.json["code"]) == (409, "ledger.owner_has_balance")
    other = till.ids["member"]["M2"]
    merged = admin.post(
        f"/api/v1/records/member/{other}/merge",
        json={"records": [{"id": member, "version": 1}]},
        headers=seen,
    )
    assert (merged.status_code, merged.json["code"]) == (409, "ledger.owner_has_balance")


def test_page_of_a_sale_offers_no_return_that_only_the_till_may_write(till):
    admin, store = till.site.client("admin"), till.ids["store"]["S1"]
    values = {"no": "H-1", "kind": "sale", "store": store, "ordered_at": "2026-11-02T10:00:00Z"}
    by_hand = admin.post("/api/v1/records/order", json=values)
    assert by_hand.status_code == 201, by_hand.text
    sold, browser = till.order(line()).json["id"], till.site.browser("admin")
    for order, is_offered in ((sold, False), (by_hand.json["id"], True)):
        shown = browser.get(f"/records/order/{order}/related/returns").text
        assert "/records/order/" in shown
        assert (f"/records/order/new?of={order}" in shown) == is_offered
