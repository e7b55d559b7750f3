"""Filters that differ in the texts they compare with share what is compiled for them."""

from decimal import Decimal

import pytest

from core.expression import Scope, Type, compile_expression
from core.records.direct import scaled_text
from core.schema.numbertypes import DecimalType

SCOPE = Scope(
    {
        "name": Type("text"),
        "status": Type("choice", options=frozenset({"open", "shut"})),
        "number": Type("number"),
    }
)


def opened(text):
    return compile_expression(text, SCOPE, expect="boolean").opened


def test_texts_on_either_side_are_taken_out():
    found = opened("name == 'it\\'s' and \"中\" != name or status == 'open'")
    assert found.shape == (
        "name == ",
        "text",
        " and ",
        "text",
        " != name or status == ",
        "text",
        "",
    )
    assert found.values == {"gx_text0": "it's", "gx_text1": "中", "gx_text2": "open"}


@pytest.mark.parametrize(
    "text", ["number > 5", "name in ['a', 'b']", "contains(name, 'x')", "name == null"]
)
def test_values_that_decide_about_the_statement_stay(text):
    assert (opened(text).shape, opened(text).values) == ((text,), {})


def test_shape_differs_where_the_question_does():
    texts = ("name == 'a'", "name != 'a'", "status == 'open'", "name == 'a' and number > 1")
    assert len({opened(text).shape for text in texts}) == len(texts)
    assert opened("name == 'a'").shape == opened('name == "long"').shape


@pytest.mark.parametrize("scale", [0, 1, 2, 4])
@pytest.mark.parametrize("value", [0, 1, -1, 9, 10, -100, 12345, -(10**18) + 1])
def test_scaled_integers_are_written_like_their_decimals(value, scale):
    expected = DecimalType().dump(Decimal(value).scaleb(-scale))
    assert scaled_text(scale)(value) == expected
