"""Tills without a line: every entry booked once, in the till's own order, on both databases."""

from itertools import permutations
from threading import Thread

import pytest

from tests.integration.till_world import fill, line


@pytest.fixture
def till(site):
    return fill(site)


def sale(sequence, *lines, **rest):
    made = {"sequence": sequence, "store": "S1", "lines": list(lines) or [line()]}
    return {**made, "at": f"2026-03-01T0{sequence}:00:00Z", **rest}


def back(sequence, of, quantity="1"):
    return {"sequence": sequence, "kind": "return", "of": of,
            "at": f"2026-03-02T0{sequence}:00:00Z",
            "lines": [{"line": 1, "quantity": quantity}]}  # fmt: skip


def hand_in(till, *entries, user="admin", terminal="T1"):
    body = {"terminal": terminal, "entries": list(entries)}
    return till.site.client(user).post("/api/v1/till/offline", json=body)


def totals(till):
    orders = till.site.client("admin").get("/api/v1/records/order?fields=total_due,kind").json
    return sorted((one["kind"], one["total_due"]) for one in orders["items"])


def test_entries_wait_for_those_before_them_and_are_booked_once(till):
    late = hand_in(till, sale(3), back(2, 1)).json
    assert [(one["sequence"], one["state"]) for one in late["entries"]] == [
        (2, "waiting"), (3, "waiting"),
    ]  # fmt: skip
    assert till.count("order") == 0
    first = hand_in(till, sale(1, line("TEA-1", "2"))).json
    assert (first["booked"], first["entries"][0]["state"]) == (3, "done")
    assert totals(till) == [("return", "-100.00"), ("sale", "100.00"), ("sale", "200.00")]
    again = hand_in(till, sale(1, line("TEA-1", "2")), back(2, 1), sale(3)).json
    assert {one["state"] for one in again["entries"]} == {"done"}
    assert till.count("order") == 3


def test_refused_entry_is_kept_with_its_reason_and_holds_up_nothing(till):
    entries = [sale(1, line("NOPE")), back(2, 1), back(3, 9), sale(4)]
    shown = hand_in(till, *entries).json["entries"]
    assert [one["state"] for one in shown] == ["refused", "refused", "refused", "done"]
    assert shown[0]["answer"]["problems"][0]["code"] == "till.unknown_product"
    assert {one["answer"]["code"] for one in shown[1:3]} == {"till.sale_not_booked"}
    assert till.count("order") == 1


def test_any_order_of_arrival_gives_the_same_books(till):
    entries = [sale(1, line("TEA-1", "2")), back(2, 1), back(3, 1, "2"), sale(4, line("CUP-1"))]
    results = set()
    for at, order in enumerate(list(permutations(entries))[::5]):
        name = f"T{at}"
        for one in order:
            hand_in(till, one, terminal=name)
        told = hand_in(till, *entries, terminal=name).json["entries"]
        results.add(tuple((one["sequence"], one["state"]) for one in told))
    assert results == {((1, "done"), (2, "done"), (3, "refused"), (4, "done"))}


def test_number_used_for_something_else_is_refused(till):
    hand_in(till, sale(1))
    answer = hand_in(till, sale(2), sale(1, line("CUP-1")))
    assert (answer.status_code, answer.json["code"]) == (409, "till.sequence_reused")
    assert till.count("order") == 1


def test_cashier_without_the_right_hands_in_nothing(till):
    assert hand_in(till, sale(1), user="cashier").status_code == 403
    assert till.count("order") == 0


def test_batches_at_once_book_every_entry_once(till):
    entries = [sale(at) for at in range(1, 7)]
    threads = [Thread(target=hand_in, args=(till, *entries[at:])) for at in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert hand_in(till, *entries).json["booked"] == 6
    assert till.count("order") == 6
