"""The form edge without a server: parsing, comparing, showing values."""

from zoneinfo import ZoneInfo

import pytest
from werkzeug.datastructures import MultiDict

from core.schema.model import Field, Option, RecordType
from core.web.display import Reading, grouped, option_tone, rate_text, value_text
from core.web.forms import FormRights, form_tabs
from core.web.formvalues import changed_values, same_value
from core.web.posted import parse_form

SHANGHAI = ZoneInfo("Asia/Shanghai")
READING = Reading("zh", SHANGHAI, {("store", "s1"): "总店"})


def field(name, kind, **rest):
    return Field(id=name, name=name, type=kind, **rest)


LINES = field(
    "lines", "table", fields=(field("item", "text"), field("rate", "rate"), field("on", "boolean"))
)
FIELDS = (
    field("name", "text"),
    field("note", "long_text"),
    field("vip", "boolean"),
    field("tags", "multi_select"),
    field("at", "datetime"),
    field("total", "formula"),
    LINES,
)


def test_parse_form_gives_wire_values_of_what_was_posted():
    form = MultiDict(
        [
            ("name", "王"),
            ("note", "a\r\nb"),
            ("vip", "false"),
            ("vip", "true"),
            ("tags", ""),
            ("tags", "x"),
            ("at", "2026-11-22T08:00"),
            ("total", "9"),
            ("unknown", "1"),
        ]
    )
    assert parse_form(form, FIELDS, SHANGHAI).values == {
        "name": "王",
        "note": "a\nb",
        "vip": True,
        "tags": ["x"],
        "at": "2026-11-22T00:00:00.000000Z",
    }


def test_parse_form_skips_blank_rows_and_remembers_their_places():
    form = MultiDict(
        [
            ("lines", ""),
            ("lines.0.item", ""),
            ("lines.0.on", "false"),
            ("lines.2.item", "b"),
            ("lines.2.rate", "0.9"),
            ("lines.10.id", "r10"),
            ("lines.10.item", ""),
        ]
    )
    posted = parse_form(form, FIELDS, SHANGHAI)
    assert posted.values == {
        "lines": [{"item": "b", "rate": "0.9"}, {"id": "r10", "item": None}],
    }
    assert posted.path_in_form("lines.0.rate") == "lines.2.rate"
    assert posted.path_in_form("lines.1") == "lines.10"
    assert posted.path_in_form("name") == "name"


def test_parse_form_with_all_rows_removed_says_the_table_is_empty():
    assert parse_form(MultiDict([("lines", "")]), FIELDS, SHANGHAI).values == {"lines": []}


@pytest.mark.parametrize(
    ("kind", "posted", "stored", "same"),
    [
        ("text", None, "", True),
        ("text", "a", "A", False),
        ("decimal", "1.5", "1.50", True),
        ("decimal", "x", "1.50", False),
        ("integer", "3", 3, True),
        ("boolean", False, None, True),
        ("boolean", True, False, False),
        ("time", "08:00", "08:00:00", True),
        ("datetime", "2026-11-22T00:00:00.000000Z", "2026-11-22T00:00:00.123456Z", True),
        ("links", ["b", "a"], ["a", "b"], False),
    ],
)
def test_same_value_compares_what_is_meant(kind, posted, stored, same):
    assert same_value(field("f", kind), posted, stored) is same


def test_changed_values_holds_only_what_differs():
    stored = {"name": "王", "vip": True, "lines": [{"id": "1", "item": "a", "rate": "0.9000"}]}
    posted = {"name": "王", "vip": False, "lines": [{"id": "1", "item": "a", "rate": "0.9"}]}
    assert changed_values(posted, stored, FIELDS) == {"vip": False}


def test_form_adds_fields_that_no_section_names_and_hides_what_may_not_be_seen():
    record_type = RecordType(name="t", fields=(field("a", "text"), field("b", "text")))
    rights = FormRights(frozenset({"a"}), frozenset())
    tabs = form_tabs(record_type, {"a": "1"}, rights, READING)
    drawn = [c for tab in tabs for section in tab.sections for c in section.controls]
    assert [(c.path, c.text, c.is_editable) for c in drawn] == [("a", "1", False)]


@pytest.mark.parametrize(
    ("rate", "zh", "en"),
    [
        ("0.9", "9折", "10% off"),
        ("0.885", "8.85折", "11.5% off"),
        ("1", "无折扣", "no discount"),
        ("2", "", ""),
        ("x", "", ""),
    ],
)
def test_rate_is_told_as_people_say_it(rate, zh, en):
    assert (rate_text(rate, "zh"), rate_text(rate, "en")) == (zh, en)


@pytest.mark.parametrize(
    ("of", "value", "text"),
    [
        (field("f", "money", currency="CNY"), "1234567.50", "1,234,567.50 CNY"),
        (field("f", "percent"), "12.50", "12.5 %"),
        (field("f", "boolean"), False, "否"),
        (field("f", "datetime"), "2026-11-22T00:00:00.000000Z", "2026-11-22 08:00"),
        (field("f", "link", target="store"), "s1", "总店"),
        (field("f", "links", target="store"), ["s1", "s2"], "总店、s2"),
        (field("f", "select", options=(Option(value="x", label={"zh": "甲"}),)), "x", "甲"),
        (field("f", "text"), "", ""),
        (field("f", "rate"), "nonsense", "nonsense"),
        (LINES, [{"item": "a", "rate": "0.9", "on": None}], "item: a；rate: 0.9 (9折)"),
    ],
)
def test_value_is_shown_as_people_read_it(of, value, text):
    assert value_text(of, value, READING) == text


def test_grouped_leaves_what_is_no_number():
    assert [grouped("-1234.5"), grouped("12"), grouped("abc")] == ["-1,234.5", "12", "abc"]


@pytest.mark.parametrize(
    ("colour", "tone"),
    [("green", "good"), ("#d63939", "bad"), ("#206bc4", "info"), ("#868e96", ""), ("odd", "")],
)
def test_option_colour_becomes_the_nearest_tone(colour, tone):
    chosen = field("f", "select", options=(Option(value="x", color=colour),))
    assert option_tone(chosen, "x") == tone
