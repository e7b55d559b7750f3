"""Pieces of texts: whatever holds another text must be found by it."""

from hypothesis import given
from hypothesis import strategies as st

from core.tables.grams import needed, numbered, pieces, runs

TEXTS = st.text(alphabet="aB1é王小明ßİ-@. ｶ\u0301한", max_size=12)


@given(TEXTS, TEXTS, TEXTS)
def test_every_part_of_a_text_is_found_in_it(before, part, after):
    assert needed(part) <= pieces(before + part + after)


def test_pieces_of_a_name_of_two_characters():
    assert needed("张三") == {"张三"}
    assert needed("张三") <= pieces("会员张三丰")
    assert not needed("张三") <= pieces("张无忌三")


def test_single_letters_are_not_looked_up():
    assert needed("a") == set()
    assert needed("?!") == set()
    assert needed("王") == {"王"}


def test_runs_end_at_what_is_no_letter():
    assert runs("Li-Wei@例.com") == ["li", "wei", "例", "com"]


def test_numbers_of_two_types_differ_and_fit_the_column():
    one, other = numbered("member", {"张三"}), numbered("order", {"张三"})
    assert one != other
    assert all(-(2**31) <= number < 2**31 for number in one + other)
