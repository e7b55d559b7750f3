"""Cards and card types through the records' own operations, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest

from core.api import Change, Conflict, Event, Invalid, new_id
from plugins.card_types.tests.card_world import make_card, make_type


def codes(caught):
    return [(problem.path, problem.code) for problem in caught.value.problems]


def test_card_type_needs_a_code_and_a_name_only(shipped):
    made = shipped.create("clerk", "card_type", code="PLAIN", name="Plain")
    shown = {name: made[name] for name in ("serial_length", "serial_from", "check_digits")}
    assert shown == {"serial_length": 8, "serial_from": 1, "check_digits": 1}
    assert (str(made["default_rate"]), made["purpose"], made["status"]) == (
        "1.0000", "member_card", "draft",
    )  # fmt: skip


def test_card_without_a_number_takes_the_next_of_its_type(shipped, store, member):
    card_type = make_type(shipped)
    cards = [
        shipped.create("clerk", "card", card_type=card_type, store=store, **more)
        for more in ({}, {"member": member})
    ]
    assert [(it["number"], it["serial"], it["status"]) for it in cards] == [
        ("010100014", 1, "made"), ("010100022", 2, "issued"),
    ]  # fmt: skip


def test_card_number_follows_the_acceptance_case(shipped):
    store = shipped.create("Admin", "store", code="02", name="Hill")["id"]
    card_type = make_type(
        shipped, type_prefix="88", serial_length=6, serial_from=999999, suffix="A"
    )
    card = shipped.create("cashier", "card", card_type=card_type, store=store)
    assert card["number"] == "02889999997A"


@pytest.mark.parametrize("waits", [False, True])
def test_card_is_refused_while_its_type_is_not_in_force(shipped, store, waits):
    card_type = make_type(shipped, effective=False)
    if waits:
        shipped.submit("card_type", card_type)
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "card", card_type=card_type, store=store)
    assert codes(caught) == [("card_type", "link.not_found")]
    # The link's filter refuses it already; the hook holds where a change slips in between.
    ctx = shipped.context("clerk")
    change = Change("card", "create", new_id(), None, {"card_type": card_type, "store": store})
    with pytest.raises(Invalid) as caught, ctx.writing():
        ctx.hooks.before_save(ctx, change)
    assert codes(caught) == [("card_type", "card_types.not_effective")]


def test_card_is_made_from_live_values_while_a_change_waits(shipped, store):
    card_type = make_type(shipped)
    shipped.change("clerk", "card_type", card_type, type_prefix="77")
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    assert card["number"] == "010100014"


def test_given_number_is_taken_when_it_is_right(shipped, store):
    card_type = make_type(shipped)
    card = shipped.create("clerk", "card", card_type=card_type, store=store, number="0101 0002 2")
    following = [
        shipped.create("clerk", "card", card_type=card_type, store=store)["serial"]
        for _ in range(2)
    ]
    assert (card["number"], card["serial"], following) == ("010100022", 2, [1, 3])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"number": "010100024"}, ("number", "card_types.bad_number")),
        ({"number": "0101"}, ("number", "card_types.bad_number")),
        ({"number": "010100022", "serial": 3}, ("serial", "card_types.bad_serial")),
        ({"serial": 4000}, ("serial", "card_types.out_of_range")),
    ],
)
def test_given_number_is_refused_when_it_is_wrong(shipped, store, given, problem):
    card_type = make_type(shipped, serial_to=3999)
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "card", card_type=card_type, store=store, **given)
    assert codes(caught) == [problem]


def test_number_of_a_deleted_card_is_never_given_again(shipped, store):
    card_type = make_type(shipped)
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    shipped.delete("clerk", "card", card["id"])
    assert shipped.create("clerk", "card", card_type=card_type, store=store)["serial"] == 2
    with pytest.raises(Conflict):
        shipped.create("clerk", "card", card_type=card_type, store=store, serial=1)


def test_exhausted_type_warns_and_then_refuses(shipped, store):
    card_type = make_type(shipped, serial_to=20)
    warned = []
    for _ in range(20):
        warnings = shipped.warnings_of("clerk", "card", card_type=card_type, store=store)
        warned.append([(it.code, dict(it.params)) for it in warnings])
    assert warned[:18] == [[]] * 18
    assert warned[18:] == [[("card_types.low", {"left": left, "size": 20})] for left in (1, 0)]
    with pytest.raises(Conflict) as caught:
        shipped.create("clerk", "card", card_type=card_type, store=store)
    assert (caught.value.code, caught.value.params) == ("card_types.exhausted", {"name": "Gold"})


def test_low_stock_is_written_to_the_log_after_the_commit(shipped, store, caplog):
    card_type = make_type(shipped, serial_to=20)
    for serial in (18, 19):
        card = shipped.create("clerk", "card", card_type=card_type, store=store, serial=serial)
        ctx = shipped.context()
        payload = {"type": "card", "id": card["id"]}
        ctx.hooks.after_event(ctx, Event(new_id(), "record.created", payload))
    assert [record.getMessage() for record in caplog.records] == [
        "card type Gold has 1 of 20 serials left"
    ]


def test_gaps_that_given_numbers_left_are_used_before_giving_up(shipped, store):
    card_type = make_type(shipped, serial_to=4)
    shipped.create("clerk", "card", card_type=card_type, store=store, serial=1)
    shipped.create("clerk", "card", card_type=card_type, store=store, serial=4)
    made = [shipped.create("clerk", "card", card_type=card_type, store=store) for _ in range(2)]
    assert [card["serial"] for card in made] == [2, 3]


def test_cards_made_at_once_get_different_numbers(shipped, store):
    card_type = make_type(shipped)

    def make(_):
        return shipped.create("clerk", "card", card_type=card_type, store=store)

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(24)))
    assert sorted(card["serial"] for card in made) == list(range(1, 25))


def test_overlap_with_a_type_in_force_is_warned_of_and_refused_at_approval(shipped):
    make_type(shipped, serial_to=100)
    values = {"name": "Silver", "type_prefix": "01", "serial_length": 4, "serial_from": 100}
    warnings = shipped.warnings_of("clerk", "card_type", code="SILVER", **values)
    assert [(it.code, dict(it.params)) for it in warnings] == [
        ("card_types.overlap", {"names": "Gold"})
    ]
    made = shipped.create("clerk", "card_type", code="BRONZE", **values)
    assert shipped.decide("card_type", made["id"]) == "apply_blocked"
    stored = shipped.get("card_type", made["id"])
    assert (stored["status"], stored["audit_seq"]) == ("draft", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"serial_length": 2, "serial_to": 100}, [("serial_to", "card_types.too_long")]),
        ({"serial_length": 2, "serial_from": 100}, [("serial_from", "card_types.too_long")]),
    ],
)
def test_card_type_with_serials_that_do_not_fit_is_refused(shipped, changes, expected):
    with pytest.raises(Invalid) as caught:
        make_type(shipped, effective=False, **changes)
    assert codes(caught) == expected


def test_used_type_keeps_its_numbers(shipped, store):
    card_type = make_type(shipped)
    for _ in range(3):
        shipped.create("clerk", "card", card_type=card_type, store=store)
    with pytest.raises(Invalid) as caught:
        shipped.change(
            "clerk", "card_type", card_type, type_prefix="02", serial_from=2, serial_to=2
        )
    assert codes(caught) == [
        ("type_prefix", "card_types.format"),
        ("serial_from", "card_types.range"),
        ("serial_to", "card_types.range"),
    ]
    shown = shipped.change("clerk", "card_type", card_type, serial_length=5, serial_to=3)
    assert shown["proposal"]["values"] == {"serial_length": 5, "serial_to": 3}


def test_used_type_cannot_be_deleted_and_an_unused_one_can(shipped, store):
    used, unused = make_type(shipped), make_type(shipped, code="B", name="B", effective=False)
    shipped.create("clerk", "card", card_type=used, store=store)
    with pytest.raises(Conflict):
        shipped.delete("clerk", "card_type", used)
    shipped.delete("clerk", "card_type", unused)
    assert shipped.get("card_type", used)["usage_count"] == 1


def test_issuing_a_card_dates_it_and_needs_a_member(shipped, store, member):
    card_type = make_type(shipped, validity_months=12)
    card = shipped.create("clerk", "card", card_type=card_type, store=store)
    with pytest.raises(Invalid) as caught:
        shipped.change("clerk", "card", card["id"], status="issued")
    assert [problem.path for problem in caught.value.problems] == ["member"]
    issued = shipped.change("clerk", "card", card["id"], status="issued", member=member)
    assert (issued["issued_on"], issued["valid_until"]) == (date(2026, 3, 10), date(2027, 3, 10))


def test_card_moves_only_along_its_life(shipped, store, member):
    card_type = make_type(shipped)
    card = shipped.create("clerk", "card", card_type=card_type, store=store, member=member)
    for status in ("active", "lost", "active", "cancelled"):
        card = shipped.change("clerk", "card", card["id"], status=status)
    with pytest.raises(Invalid) as caught:
        shipped.change("clerk", "card", card["id"], status="active")
    assert codes(caught) == [("status", "card_types.life")]
    assert dict(caught.value.problems[0].params) == {"status": "Cancelled", "wanted": "Active"}


def test_numbers_are_unique_over_types_and_stores(shipped, store):
    other = shipped.create("Admin", "store", code="010", name="Annex")["id"]
    first = make_type(shipped, code="A", name="A", type_prefix="01", check_digits=0)
    second = make_type(shipped, code="B", name="B", type_prefix="1", check_digits=0)
    numbers = [
        shipped.create("clerk", "card", card_type=card_type, store=place)["number"]
        for card_type, place in ((first, store), (second, other))
    ]
    assert numbers == ["01010001", "01010002"]


def test_modification_log_says_who_changed_what(shipped):
    card_type = make_type(shipped, effective=False)
    shipped.change("clerk", "card_type", card_type, default_rate="0.9")
    event = shipped.history("auditor", "card_type", card_type)[0]
    assert event["actor_name"] == "clerk"
    assert event["changes"] == {"default_rate": ["1.0000", "0.9000"]}


def test_validity_counts_from_the_activation_where_the_setting_says_so(shipped, store, member):
    shipped.set("card_types", validity_from="activation", needs_activation=True)
    card = make_card(shipped, store, member, validity_months=12)
    assert (card["issued_on"], card["valid_until"]) == (date(2026, 3, 10), None)
    shipped.clock.move(timedelta(days=5))
    shipped.create("cashier", "card_operation", kind="activate", card=card["id"], store=store)
    active = shipped.get("card", card["id"])
    assert (active["issued_on"], active["valid_until"]) == (date(2026, 3, 10), date(2027, 3, 15))
    reissue = {"kind": "reissue", "card": card["id"], "store": store}
    new = shipped.create("clerk", "card_operation", **reissue)["new_card"]
    assert shipped.get("card", new)["valid_until"] == date(2027, 3, 15)
