"""What a spreadsheet's columns are taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.schema.fieldchecks import RESERVED, is_field_name
from core.schema.inference import Column, field_name, guess_fields, reader, title_of
from core.schema.layers import effective
from core.schema.sheetforms import SheetForm, form_name, form_yaml
from core.schema.yamlnodes import Source


def guessed(header, *texts, times=10):
    column = Column(header)
    for text in texts * times:
        column.add(text)
    return guess_fields([Column("first"), column])[1]


@pytest.mark.parametrize(
    ("header", "texts", "type_name"),
    [
        ("编号", ("007", "012", "x", "y"), "text"),
        ("zip", ("010020", "518000"), "text"),
        ("card", ("6222021234567890123", "6222021234567890124"), "text"),
        ("count", ("1", "-20", "1,300"), "integer"),
        ("weight", ("1.5", "2", "3.125"), "decimal"),
        ("金额", ("¥1,234.50", "80"), "money"),
        ("discount", ("12.5%", "3%"), "percent"),
        ("joined", ("2024/1/5", "2024年12月31日", "2024-01-02"), "date"),
        ("at", ("2024-01-05 08:30", "2024/1/5 8:30:15"), "datetime"),
        ("opens", ("08:30", "09:00"), "time"),
        ("会员", ("是", "否"), "boolean"),
        ("flag", ("0", "1"), "integer"),
        ("联系电话", ("010-6552 1234", "13800000001"), "phone"),
        ("x", ("13800000001", "+86 13900000002"), "phone"),
        ("mail", ("a@example.com",), "email"),
        ("site", ("https://example.com/a",), "url"),
        ("level", ("gold", "silver"), "select"),
        ("note", ("a\nb", "c"), "long_text"),
        ("empty", ("", " "), "text"),
        ("day", ("2024-02-30", "2024-02-01"), "select"),
    ],
)
def test_column_is_taken_for_what_all_its_values_are(header, texts, type_name):
    assert guessed(header, *texts).type == type_name


def test_few_misfits_of_many_values_do_not_hide_the_type():
    texts = [f"2024-01-{day:02}" for day in range(1, 29)]
    assert guessed("day", *texts, "unknown", times=1).type == "date"
    assert guessed("day", *texts[:5], "unknown", times=1).type == "text"


def test_suggestions_follow_from_the_values():
    column = Column("编号")
    for number in range(5):
        column.add(f"A{number}")
    guess = guess_fields([column])[0]
    assert (guess.required, guess.unique, guess.name) == (True, True, "编号")
    column.add("")
    guess = guess_fields([column])[0]
    assert (guess.required, guess.unique) == (False, False)
    money = guessed("价格", "￥5", "$6")
    assert money.currency == ""
    assert guessed("价格", "￥5", "6元").currency == "CNY"
    assert guessed("x", "1.23456", "2").precision == 5
    assert guessed("level", "b", "a", "b").options == ("b", "a")


@given(st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=8))
def test_every_header_gives_a_field_name_of_its_own(headers):
    taken = set()
    for place, header in enumerate(headers, start=1):
        name = field_name(header, place, taken)
        assert is_field_name(name)
        assert name not in RESERVED | taken
        taken.add(name)


@given(st.text(max_size=60))
def test_every_file_gives_a_form_name(file):
    name, label = form_name(file, {"sheet"})
    assert name != "sheet"
    assert label


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    st.lists(st.sampled_from(["yes", "1", "a: b", "- x", '"', "'", "#", "[", "零"]), min_size=1),
)
def test_yaml_of_any_headers_and_options_is_a_form(headers, options):
    columns = []
    for header in headers:
        column = Column(header)
        for text in options * 5:
            column.add(text)
        columns.append(column)
    guesses = guess_fields(columns)
    form = SheetForm(
        file="x", name="thing", label=headers[0], roles=(), title=title_of(guesses),
        fields=tuple(guesses),
    )  # fmt: skip
    source = Source("site", "thing.yaml", form_yaml(form))
    record_type = effective([source], None, 1).types["thing"]
    assert [one.label["en"] for one in record_type.fields] == headers
    for guess, column in zip(guesses, columns, strict=True):
        reads = reader(guess.field())
        assert not [text for text in column.counts if reads(text)]
