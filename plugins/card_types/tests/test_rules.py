"""The card number rules against the acceptance cases, by hand and by property."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.card_types.rules import life, numbers
from plugins.card_types.rules.numbers import Numbering

CASES = [
    ("02", "88", 999999, 6, 1, "A", "02889999997A"),
    ("09", "", 1234, 4, 0, "VIP", "091234VIP"),
    ("01", "01", 9, 8, 1, "", "0101000000097"),
    ("11", "20", 7, 5, 2, "", "11200000726"),
    ("07", "12", 345678, 6, 2, "", "071234567837"),
    ("01", "01", 10000001, 8, 1, "", "0101100000013"),
    ("01", "01", 10000010, 8, 1, "", "0101100000104"),
]


def make_numbering(**changes):
    plain = {
        "prefix": "01", "length": 4, "first": 1, "last": None, "check_digits": 1, "suffix": "",
    }  # fmt: skip
    return Numbering(**(plain | changes))


numberings = st.builds(
    lambda prefix, length, bounds, check, suffix: Numbering(
        prefix, length, *(bound % 10**length for bound in sorted(bounds)), check, suffix
    ),
    st.text("019", max_size=3),
    st.integers(1, 3),
    st.tuples(st.integers(0, 999), st.integers(0, 999)),
    st.integers(0, 2),
    st.sampled_from(["", "0", "7", "77", "A", "7A", "A7"]),
).filter(lambda it: it.first <= it.end)


@pytest.mark.parametrize("case", CASES)
def test_printed_number_is_what_the_form_prescribes(case):
    store, prefix, serial, length, check, suffix, number = case
    numbering = Numbering(prefix, length, 0, None, check, suffix)
    assert numbers.printed_number(store, numbering, serial) == number
    assert numbers.serial_in(number, store, numbering) == serial


def test_check_digits_skip_letters_of_the_store():
    numbering = make_numbering()
    number = numbers.printed_number("LON", numbering, 7)
    assert number == "LON01" + "0007" + numbers.luhn_digit("010007")


@given(st.text("0123456789", min_size=1, max_size=20), st.integers(1, 2))
def test_check_digits_find_every_single_wrong_digit(digits, count):
    good = digits + numbers.check_text(digits, count)
    for position, char in enumerate(good):
        for more in range(1, 10):
            bad = good[:position] + str((int(char) + more) % 10) + good[position + 1 :]
            assert numbers.check_text(bad[:-count], count) != bad[-count:]


@given(st.text("0123456789", min_size=1, max_size=20), st.integers(1, 2))
def test_check_digits_find_adjacent_swaps_but_luhn_not_of_zero_and_nine(digits, count):
    good = digits + numbers.check_text(digits, count)
    for at in range(len(good) - 1):
        one, other = good[at], good[at + 1]
        bad = good[:at] + other + one + good[at + 2 :]
        is_seen = numbers.check_text(bad[:-count], count) != bad[-count:]
        assert is_seen == (one != other and (count == 2 or {one, other} != {"0", "9"}))


@given(st.text("0123456789", min_size=1, max_size=20))
def test_mod97_completes_to_one(digits):
    assert int(digits + numbers.mod97_digits(digits)) % 97 == 1


@pytest.mark.parametrize(
    "number", ["", "0101", "01010007", "0101000X3", "010100074", "9901000", "0101000\uff173"]
)
def test_serial_in_refuses_what_the_rules_did_not_print(number):
    assert numbers.serial_in(number, "01", make_numbering()) is None


@pytest.mark.parametrize(
    ("last", "end", "size", "inside"),
    [(None, 9999, 9999, [1, 9999]), (5, 5, 5, [1, 5]), (0, 0, 0, [])],
)
def test_range_ends_where_it_says_or_fills_its_digits(last, end, size, inside):
    numbering = make_numbering(last=last)
    assert (numbering.end, numbering.size) == (end, size)
    tried = sorted({0, 1, end, end + 1})
    assert [serial for serial in tried if numbering.has(serial)] == sorted(set(inside))


def test_numbering_faults_name_the_bound_that_has_too_many_digits():
    assert numbers.numbering_faults(make_numbering(first=10000, last=10001)) == [
        ("serial_from", "too_long"),
        ("serial_to", "too_long"),
    ]
    assert numbers.numbering_faults(make_numbering(first=9999)) == []


@given(numberings, numberings)
def test_overlaps_misses_no_collision(one, other):
    def printed(numbering):
        serials = {numbering.first, numbering.end, *range(numbering.first, numbering.end + 1)}
        return {numbers.printed_number("05", numbering, serial) for serial in serials}

    if printed(one) & printed(other):
        assert numbers.overlaps(one, other)
    assert numbers.overlaps(one, other) == numbers.overlaps(other, one)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"first": 6, "last": 9}, False),
        ({"first": 5, "last": 9}, True),
        ({"prefix": "02"}, False),
        ({"suffix": "A"}, False),
        ({"length": 5}, False),
        ({"check_digits": 0}, False),
        ({"check_digits": 0, "length": 5, "first": 10, "last": 30}, True),
        ({"suffix": "7", "check_digits": 0}, True),
    ],
)
def test_overlaps_by_example(changes, expected):
    other = make_numbering(**({"last": 5} | changes))
    assert numbers.overlaps(make_numbering(last=5), other) is expected


@pytest.mark.parametrize(
    ("left", "size", "expected"), [(6, 100, False), (5, 100, True), (0, 100, True), (1, 19, False)]
)
def test_is_low_at_so_many_hundredths(left, size, expected):
    assert numbers.is_low(left, size, 5) is expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"length": 5, "last": 70000}, []),
        ({"length": 3}, ["serial_length"]),
        (
            {"prefix": "02", "suffix": "X", "check_digits": 2},
            ["type_prefix", "suffix", "check_digits"],
        ),
    ],
)
def test_changed_format_allows_more_digits_only(changes, expected):
    assert numbers.changed_format(make_numbering(), make_numbering(**changes)) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(1, 9, []), (3, 7, []), (4, 7, ["serial_from"]), (3, 6, ["serial_to"]),
     (4, 5, ["serial_from", "serial_to"])],
)  # fmt: skip
def test_bounds_inside_keeps_used_serials(first, last, expected):
    assert numbers.bounds_inside(make_numbering(first=first, last=last), 3, 7) == expected


def test_life_allows_found_cards_and_no_return_from_the_end():
    assert life.may_become("lost", "active")
    assert life.may_become("cancelled", "cancelled")
    assert not life.may_become("cancelled", "active")
    assert not life.may_become("active", "made")
    assert {target for targets in life.LIFE.values() for target in targets} < set(life.LIFE)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2023, 2, 28), 12, date(2024, 2, 28)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 11, 30), 2, date(2027, 1, 30)),
        (date(2026, 1, 1), None, None),
    ],
)
def test_valid_until_counts_whole_months(day, months, expected):
    assert life.valid_until(day, months) == expected
