"""What tills may write into a request: odd values, numbers in every form, other currencies."""

import json
import os
import time

import pytest

from core.till import receipts
from tests.integration.till_world import fill, line

ODD = (
    None, True, False, 0, -1, 1.5, 10**20, -(10**20), "", " ", "x", "1_000", "\u0663", "\uff11",
    "1e3", "-0", "NaN", "Infinity", "9" * 5000, [], {}, [1], {"a": 1}, [[]], "\ud800", "a\0b",
    "1,5", "1e-30",
)  # fmt: skip
#: Orders and prices that keep the third digit of currencies that have one.
FINER = """\
customize: order
fields:
  - name: lines
    fields:
      - {name: unit_price, precision: 3}
      - {name: amount, precision: 3}
      - {name: amount_due, precision: 3}
  - {name: payments, fields: [{name: amount, precision: 3}]}
  - {name: total, precision: 3}
  - {name: total_due, precision: 3}
"""
RETURN = {"lines": [{"line": 1, "quantity": "1"}], "preview": True}


@pytest.fixture
def till(site):
    return fill(site)


def post(till, path, body):
    """Send a body as it is, lone surrogates too."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"odd-{next(till._keys)}"}
    return till.site.client("admin").post(
        f"/api/v1/till/{path}", data=json.dumps(body), headers=headers
    )


def put(body, path, value):
    """Return a copy of a JSON body with another value at a path."""
    made = json.loads(json.dumps(body))
    place = made
    *way, last = path
    for key in way:
        place = place[key]
    place[last] = value
    return made


def codes(answer):
    return [(one["path"], one["code"]) for one in answer.json["problems"]]


def test_odd_values_are_refused_by_a_code_and_never_break_anything(till):
    sold = till.order(line("TEA-1", "9")).json["id"]
    paid = {"store": "S1", "lines": [line()], "payments": [{"method": "cash", "amount": "1e9"}]}
    asked = [
        ("quote", {"store": "S1", "lines": [line()]}, (
            ("store",), ("at",), ("card",), ("verification",), ("member",), ("lines",),
            ("spend_points",), ("x",), ("\ud800",),
            *(("lines", 0, name) for name in
              ("product", "quantity", "unit_price", "other_discount", "other_rate", "x")))),
        ("orders", paid, (("payments",), ("keep_change",), ("certificate",), ("remark",),
                          ("payments", 0, "method"), ("payments", 0, "amount"))),
        (f"orders/{sold}/returns", RETURN, (
            ("lines",), ("preview",), ("at",), ("method",), ("reason",),
            ("lines", 0, "line"), ("lines", 0, "quantity"))),
    ]  # fmt: skip
    for path, body, places in asked:
        for place in places:
            for value in ODD:
                answer = post(till, path, put(body, place, value))
                assert answer.status_code < 500, (path, place, value)
                assert answer.status_code < 400 or answer.json["code"], (path, place, value)


@pytest.mark.parametrize("value", [False, "", [], {}, "1_000", "٣", 1.5])
def test_points_that_are_no_whole_number_are_refused(till, value):
    answer = post(till, "quote", {"store": "S1", "lines": [line()], "spend_points": value})
    assert (answer.status_code, answer.json["problems"][0]["path"]) == (422, "spend_points")


def test_line_of_a_return_with_too_many_digits_is_unknown(till):
    sold = till.order(line()).json["id"]
    asked = put(RETURN, ("lines", 0, "line"), "9" * 5000)
    assert codes(post(till, f"orders/{sold}/returns", asked)) == [
        ("lines.0.line", "till.unknown_line")
    ]


def test_offline_entry_of_an_odd_kind_is_refused_and_holds_up_nothing(till):
    sale = {"store": "S1", "lines": [line()]}
    odd = [{**sale, "sequence": at, "kind": kind} for at, kind in enumerate(([], {}, 1, None), 1)]
    told = post(till, "offline", {"terminal": "T", "entries": [*odd, {**sale, "sequence": 5}]})
    assert told.status_code == 200, told.text
    assert [one["state"] for one in told.json["entries"]] == ["refused"] * 4 + ["done"]


def test_request_wrong_all_over_is_answered_shortly_and_soon(till):
    began = time.monotonic()
    keys = {f"k{at}": 1 for at in range(200_000)}
    answer = post(till, "quote", {"store": "S1", "lines": [line()], **keys})
    assert (answer.status_code, len(answer.json["problems"])) == (422, 1000)
    assert time.monotonic() - began < 5


def test_numbers_are_the_same_however_they_are_written(till):
    ways = ((1, 100), ("1", "100.00"), ("1.000", 100.0), (1.0, "100"), ("1.0", None))
    asked = [
        {"store": "S1", "lines": [{"product": "TEA-1", "quantity": quantity, "unit_price": price}]}
        for quantity, price in ways
    ]
    answers = [post(till, "quote", one).json for one in asked]
    assert len({one["certificate"] for one in answers}) == 1
    shown = {(one["lines"][0]["quantity"], one["lines"][0]["unit_price"]) for one in answers}
    assert shown == {("1", "100.00")}
    made = post(till, "orders", {**asked[2], "certificate": answers[1]["certificate"]})
    assert made.status_code == 201, made.text


@pytest.mark.parametrize(
    ("currency", "due", "finest", "too_fine"),
    [("JPY", "2", "1", "0.5"), ("CNY", "2.59", "0.01", "0.001"), ("KWD", "2.585", "0.001", "")],
)
def test_amounts_have_the_digits_of_the_stores_currency(till, currency, due, finest, too_fine):
    till.make("store", "X", code="X", name="X", time_zone="Asia/Tokyo", currency=currency)
    asked = {"store": "X", "lines": [line("TEA-2", "0.333", other_rate="0.777")]}
    assert post(till, "quote", asked).json["lines"][0]["amount_due"] == due
    reduced = {"store": "X", "lines": [line("TEA-1", other_discount=finest)]}
    assert post(till, "quote", reduced).status_code == 200
    if too_fine:
        paid = [{"method": "cash", "amount": "1000"}]
        for place, path in (
            (("lines", 0, "other_discount"), "orders"),
            (("payments", 0, "amount"), "orders"),
            (("keep_change",), "orders"),
        ):
            wrong = put({**reduced, "payments": paid}, place, too_fine)
            assert codes(post(till, path, wrong)) == [
                (".".join(map(str, place)), "field.too_many_digits")
            ]
    assert till.count("order") == 0


@pytest.mark.parametrize("site_schema", [(FINER,)])
def test_site_whose_orders_keep_three_digits_sells_in_such_a_currency(till):
    till.make("store", "X", code="X", name="X", time_zone="Asia/Kuwait", currency="KWD")
    paid = [{"method": "cash", "amount": "3.000"}]
    asked = line("TEA-2", "0.333", other_rate="0.777")
    made = till.order(asked, store="X", payments=paid)
    assert (made.status_code, made.json["change"]) == (201, "0.415"), made.text
    stored = till.site.client("admin").get(f"/api/v1/records/order/{made.json['id']}").json
    assert (stored["total"], stored["total_due"]) == ("3.327", "2.585")
    assert till.give_back(made.json["id"], (1, "0.333")).json["refund"] == "2.585"


@pytest.mark.parametrize(
    ("at", "on"),
    [
        ("2026-03-28T23:30:00Z", "2026-03-28"),  # winter time
        ("2026-03-29T23:30:00Z", "2026-03-30"),  # summer time since that morning
        ("2026-10-25T00:30:00+01:00", "2026-10-25"),
        ("2026-10-25T23:30:00Z", "2026-10-25"),  # winter time again
        ("2026-03-30T08:00:00+09:00", "2026-03-30"),
    ],
)
def test_store_day_follows_the_stores_clock(till, at, on):
    till.make("store", "L", code="L", name="L", time_zone="Europe/London", currency="GBP")
    made = till.order(line(), store="L", at=at, user="admin").json
    assert (made["on"], made["no"][:9]) == (on, f"L-{on[2:].replace('-', '')}-")


def test_process_that_is_forked_draws_receipt_numbers_of_its_own(till):
    till.order(line())
    child = os.fork()
    if child == 0:
        os._exit(len(receipts._drawn))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert receipts._drawn


def test_store_in_a_time_zone_that_is_none_is_refused_by_name(till):
    with till.site.services.db.write() as connection:
        store = till.site.services.registries.current().tables["store"].main
        connection.execute(store.update().values(time_zone="Mars/Phobos"))
    answer = till.quote(line())
    assert (answer.status_code, codes(answer)) == (422, [("store", "till.time_zone")])


def test_certificate_outlives_approvals_of_something_else_but_not_another_price(till):
    quoted = till.quote(line()).json["certificate"]
    till.approve("card_type", {"code": "G", "name": "G", "points_rate": "1"})
    assert till.order(line(), certificate=quoted).status_code == 201
    admin, product = till.site.client("admin"), till.ids["product"]["TEA-1"]
    changed = admin.patch(
        f"/api/v1/records/product/{product}",
        json={"list_price": "90"},
        headers={"If-Match": '"1"'},
    )
    assert changed.status_code == 200
    late = till.order(line(), certificate=quoted)
    assert (late.status_code, late.json["code"]) == (409, "till.certificate_mismatch")
    assert till.order(line()).json["totals"]["payable"] == "90.00"
    assert till.count("order") == 2


def test_return_is_neither_of_before_its_sale_nor_of_days_to_come(till):
    sold = till.order(line("TEA-1", "2")).json["id"]
    for at, code in (
        ("2999-01-01T00:00:00Z", "till.future"),
        ("2001-01-01T00:00:00Z", "till.before_sale"),
    ):
        for preview in (True, False):
            answer = till.give_back(sold, (1, "1"), user="admin", at=at, preview=preview)
            assert (answer.status_code, codes(answer)) == (422, [("at", code)])
    assert till.count("order") == 1


def test_preview_refuses_what_the_return_would(till):
    sold = till.order(line("TEA-1", "2")).json["id"]
    for preview in (True, False):
        answer = till.give_back(sold, (1, "1"), method="shells", preview=preview)
        assert (answer.status_code, codes(answer)[0][0]) == (422, "payments.0.method")
    assert till.count("order") == 1
