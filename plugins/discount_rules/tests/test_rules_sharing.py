"""Splits conserve every cent, whatever the shares and however goods come back."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.testing.campaigns import examples
from plugins.discount_rules.rules import sharing
from plugins.discount_rules.rules.resolution import Moment
from plugins.discount_rules.rules.sharing import ALL_GOODS, Party, Sharing, SharingIndex

AUDITED = datetime(2026, 2, 1, tzinfo=UTC)

weights = st.lists(st.integers(1, 1000), min_size=1, max_size=8)
amounts = st.integers(0, 10**7)


def shares_of(found):
    return [Fraction(each, sum(found)) for each in found]


@settings(max_examples=examples(50))
@given(weights, amounts)
def test_split_conserves_the_amount_within_a_unit_of_each_share(found, amount):
    shares = shares_of(found)
    parts = sharing.split(amount, shares)
    assert sum(parts) == amount
    assert all(abs(part - amount * share) < 1 for part, share in zip(parts, shares, strict=True))
    assert sharing.split(-amount, shares) == [-part for part in parts]


@pytest.mark.parametrize(
    ("amount", "shares", "parts"),
    [
        (1000, ["0.5", "0.5"], [500, 500]),
        (1001, ["0.5", "0.5"], [501, 500]),
        (100, ["0.333333", "0.333333", "0.333334"], [33, 33, 34]),
        (2, ["0.1", "0.2", "0.7"], [0, 1, 1]),
        (0, ["1"], [0]),
    ],
)
def test_split_gives_the_largest_remainders_a_unit_first(amount, shares, parts):
    assert sharing.split(amount, [Fraction(each) for each in shares]) == parts


@settings(max_examples=examples(50))
@given(weights, st.integers(1, 5000), st.data())
def test_parts_of_a_return_sum_up_and_never_fall(found, amount, data):
    parts = sharing.split(amount, shares_of(found))
    steps = sorted(data.draw(st.lists(st.integers(0, amount), max_size=6)))
    last = [0] * len(parts)
    for step in (*steps, amount):
        taken = sharing.parts_returned(parts, step)
        assert sum(taken) == step
        assert all(now >= before for now, before in zip(taken, last, strict=True))
        last = taken
    assert last == parts


@settings(max_examples=examples(50))
@given(weights, amounts, st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_any_partition_of_a_return_gives_back_all_of_every_part(found, discount, quantities):
    parts, sold = sharing.split(discount, shares_of(found)), Decimal(sum(quantities))
    back, returned, total = [0] * len(parts), Decimal(0), 0
    for quantity in quantities:
        earlier, by_now = (
            sharing.parts_returned(parts, sharing.discount_returned(discount, each, sold))
            for each in (returned, returned + quantity)
        )
        returned += quantity
        step = [now - before for now, before in zip(by_now, earlier, strict=True)]
        assert min(step) >= 0
        total += sum(step)
        back = [one + more for one, more in zip(back, step, strict=True)]
        assert total == sharing.discount_returned(discount, returned, sold)
    assert back == parts


def test_only_the_member_discount_is_shared():
    found = sharing.member_discount(Decimal("200.00"), Fraction(17, 20), Decimal("161.50"), 2)
    assert found == 850
    assert sharing.member_discount(Decimal(1000), Fraction(1, 3), Decimal(300), 0) == 33


def test_parts_are_reproduced_from_what_was_stamped():
    terms = {"discount": 100, "parties": [{"share": "1/3"}, {"share": "1/3"}, {"share": "1/3"}]}
    assert sharing.reproduced(terms) == [34, 33, 33]


def make_sharing(no, seq, **changes):
    plain = {
        "id": f"id-{no}", "no": no, "group": "G", "level": ALL_GOODS, "targets": frozenset(),
        "parties": (Party("p", Fraction(1)),), "effective_from": date(2026, 3, 1),
        "effective_to": None, "audited_at": AUDITED, "audit_seq": seq,
    }  # fmt: skip
    return Sharing(**(plain | changes))


@pytest.mark.parametrize(
    ("scopes", "group", "on", "no"),
    [
        ({"brand": "olay"}, "G", date(2026, 3, 10), "brand"),
        ({"brand": "loreal"}, "G", date(2026, 3, 10), "later"),
        ({}, "G", date(2026, 3, 21), "all"),
        ({}, "G", date(2026, 2, 1), None),
        ({}, "H", date(2026, 3, 10), None),
    ],
)
def test_the_narrowest_sharing_wins_and_among_equals_the_later(scopes, group, on, no):
    index = SharingIndex(
        [
            make_sharing("all", 1),
            make_sharing("brand", 2, level="brand", targets=frozenset({"olay"})),
            make_sharing("later", 3, effective_to=date(2026, 3, 20)),
        ]
    )
    found = index.find(scopes, group, Moment(on, AUDITED, 5))
    assert (found and found.no) == no


def test_sharing_is_known_from_its_audit_until_it_is_void():
    later = AUDITED + timedelta(days=1)
    index = SharingIndex(
        [
            make_sharing("first", 1, voided_at=later, void_seq=3),
            make_sharing("changed", 3, audited_at=later),
        ]
    )
    day = date(2026, 3, 10)
    found = [index.find({}, "G", Moment(day, later, seq)) for seq in (0, 2, 3, None)]
    assert [each and each.no for each in found] == [None, "first", "changed", "changed"]
    earlier = [AUDITED - timedelta(seconds=1), AUDITED]
    found = [index.find({}, "G", Moment(day, at, 3)) for at in earlier]
    assert [each and each.no for each in found] == [None, "first"]


def test_certificate_whose_shares_were_changed_is_found():
    parties = [{"share": "1/2", "amount": 425}, {"share": "1/2", "amount": 425}]
    terms = {"digits": 2, "sharing": {"discount": 850, "parties": parties}}
    line = {
        "line": 1, "list_amount": "200.00", "other_rate": "17/20", "amount_due": "161.50",
        "terms": {"discount_rules": terms},
    }  # fmt: skip
    assert sharing.differences([line, {"line": 2, "terms": {}}], "discount_rules") == []
    parties[0]["amount"], parties[1]["amount"] = 426, 424
    assert sharing.differences([line], "discount_rules") == ["lines.1.sharing"]
    parties[0]["amount"], parties[1]["amount"] = 425, 425
    changed = line | {"amount_due": "161.49"}
    assert sharing.differences([changed], "discount_rules") == ["lines.1.sharing"]
