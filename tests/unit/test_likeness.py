"""When values that are written differently mean the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SchemaError
from core.records.likeness import alike, normal, normal_phone, spellings, words
from core.schema.layers import effective
from core.schema.model import Field
from core.schema.yamlnodes import Source

PHONE = Field(id="p", name="p", type="phone")
TEXT = Field(id="t", name="t", type="text")


@pytest.mark.parametrize(
    "text",
    [
        "13800000001", "+86 138 0000 0001", "0086-138-0000-0001", "8613800000001",
        "１３８０００００００１", "(138) 0000 0001", "138.0000.0001 转 12", "+8613800000001",
    ],
)  # fmt: skip
def test_telephone_is_the_same_however_it_is_written(text):
    assert normal_phone(text) == "13800000001"


def test_other_telephones_keep_their_country():
    assert normal_phone("+44 20 7946 0018") == "442079460018"
    assert normal_phone("010-6552 1234") != normal_phone("020-6552 1234")


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("Chen Wei", "wei  CHEN", True),
        ("Ｃｈｅｎ Wei", "chen-wei", True),
        ("张伟明", "张伟民", True),
        ("Alexander Smith", "Alexandre Smith", True),
        ("Katherine", "Catherine", True),
        ("张伟", "李强", False),
        ("Anna", "Bob", False),
        ("", "", False),
        ("a", "b", False),
    ],
)
def test_names_are_alike_but_for_a_slip(left, right, expected):
    one, other = words(left), words(right)
    assert alike(one, other) is expected
    assert alike(other, one) is expected


@given(st.text(max_size=30))
def test_normal_form_is_its_own_normal_form(text):
    once = normal(TEXT, text)
    assert normal(TEXT, once) == once


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_usual_spellings_of_a_mobile_number_mean_the_same(text):
    assert {normal(PHONE, one) for one in spellings(PHONE, text)} == {text}


def test_keys_that_cannot_be_compared_are_problems_with_their_place():
    text = (
        "record_type: thing\nfields:\n  - {name: a, type: text}\n  - {name: b, type: integer}\n"
        "  - {name: s, type: text, sensitive: secret}\n  - {name: l, type: long_text}\n"
        "duplicates:\n  - {fields: [a], fuzzy: [a]}\n  - {fields: [a, zz]}\n"
        "  - {fields: [a, b], fuzzy: [b]}\n  - {fields: [s]}\n  - {fields: [l]}\n"
        "  - {fields: [b], fuzzy: [a]}\n"
    )
    with pytest.raises(SchemaError) as caught:
        effective([Source("site", "thing.yaml", text)], None, 1)
    found = sorted((one.line, one.code) for one in caught.value.problems)
    assert found == [
        (8, "schema.all_fuzzy"), (9, "schema.unknown"), (10, "schema.not_alike"),
        (11, "schema.not_compared"), (12, "schema.not_compared"), (13, "schema.unknown"),
    ]  # fmt: skip
