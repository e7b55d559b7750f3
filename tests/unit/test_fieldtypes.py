"""Every field type: one loader for all doors, exact values, readable refusals."""

import json
from datetime import UTC, date, datetime
from datetime import time as clock_time
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import marshmallow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.schema.fieldtypes import (
    FieldError,
    FieldType,
    field_type,
    field_type_names,
    register,
)
from core.schema.writtentypes import matches
from core.testing import campaigns
from tests.effort import Effort
from tests.unit.fieldtypes_cases import load, make, outcome, refused

ALL = field_type_names()
WRITABLE = [name for name in ALL if not field_type(name).computed]
#: A secret is kept as its hash, which has tests of its own.
READABLE = [name for name in WRITABLE if name != "secret"]


def test_registry_holds_the_types_of_this_version():
    assert sorted(ALL) == sorted(
        [
            *("file", "files", "image", "signature"),
            "text",
            "long_text",
            "integer",
            "decimal",
            "money",
            "rate",
            "percent",
            "boolean",
            "date",
            "time",
            "datetime",
            "duration",
            "email",
            "phone",
            "url",
            "color",
            "rating",
            "barcode",
            "json",
            "select",
            "multi_select",
            "link",
            "links",
            "table",
            "backlink",
            "formula",
            "rollup",
            "lookup",
            "sequence",
            "user",
            "users",
            "role",
            "calendar",
            "department",
            "address",
            "location",
            "rich_text",
            "secret",
            "condition",
            "expression",
        ]
    )


@pytest.mark.parametrize("kind", READABLE)
def test_sample_through_wire_and_text_comes_back_equal(kind):
    one, field = field_type(kind), make(kind)
    random = Random(7)
    for _ in range(50):
        value = one.sample(field, random)
        wire = json.loads(json.dumps(one.dump(value)))
        assert one.load(wire, field) == value
        assert one.from_text(one.to_text(value), field) == value
        assert one.load(value, field) == value


@pytest.mark.parametrize("kind", WRITABLE)
def test_null_and_empty_text_are_the_same_nothing(kind):
    nothing = [] if kind in {"links", "table"} else None
    assert load(kind, None) == nothing
    assert load(kind, "") == nothing
    assert field_type(kind).from_text("", make(kind)) == nothing
    assert field_type(kind).to_text(None) == ""


@pytest.mark.parametrize("kind", [name for name in ALL if field_type(name).computed])
def test_computed_types_refuse_every_value(kind):
    assert refused(kind, "1") == "field.read_only"
    assert refused(kind, None) == "field.read_only"


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
TEXTS = st.sampled_from(
    [
        "2024-02-29",
        "12:30",
        "2024-01-01T00:00:00Z",
        "PT5M",
        "1h 30m",
        "1.50",
        "-3",
        "a",
        "old",
        "x@example.com",
        "https://example.com",
        "#00ff00",
        "+44 20 7946 0000",
        "yes",
        "否",
    ]
)


@pytest.mark.parametrize("kind", ALL)
@settings(max_examples=campaigns.examples(25))
@given(value=JUNK | TEXTS)
def test_loader_and_marshmallow_agree_on_any_value(kind, value):
    field = make(kind)
    schema = marshmallow.Schema.from_dict({"x": field_type(kind).marshmallow_field(field)})()
    expected, refusal = outcome(kind, value)
    if refusal is None and kind == "secret" and expected is not None:
        assert matches(value, schema.load({"x": value})["x"])
        return
    if refusal is None:
        assert schema.load({"x": value}) == {"x": expected}
        return
    with pytest.raises(marshmallow.ValidationError) as caught:
        schema.load({"x": value})
    codes = [problem["code"] for problem in caught.value.messages["x"]]
    assert codes == [problem.code for problem in refusal.problems]
    assert json.dumps([dict(problem.params) for problem in refusal.problems])


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("integer", "42", 42),
        ("integer", 42.0, 42),
        ("integer", "-0", 0),
        ("integer", "999999999999999", 999_999_999_999_999),
        ("decimal", "1.5", Decimal("1.50")),
        ("decimal", 0.1, Decimal("0.10")),
        ("decimal", "-0", Decimal("0.00")),
        ("money", "1e5", "field.not_a_number"),
        ("money", 1e5, Decimal("100000.00")),
        ("rate", "0.9", Decimal("0.9000")),
        ("rate", "0.90001", "field.too_precise"),
        ("money", "1.005", "field.too_precise"),
        ("integer", "1.5", "field.not_whole"),
        ("integer", 10**20, "field.too_large"),
        ("integer", 10**15, "field.too_large"),
        ("integer", -(10**15), "field.too_small"),
        ("decimal", "9" * 17, "field.too_many_digits"),
        ("decimal", "NaN", "field.not_a_number"),
        ("decimal", float("nan"), "field.not_a_number"),
        ("decimal", float("inf"), "field.not_a_number"),
        ("decimal", "Infinity", "field.not_a_number"),
        ("decimal", True, "field.bad_type"),
        ("decimal", Decimal("1e10000000"), "field.not_a_number"),
        ("decimal", "", None),
        ("decimal", "\uff11\uff12", "field.not_a_number"),
        ("decimal", "1,000", "field.not_a_number"),
        ("decimal", [], "field.bad_type"),
        ("rating", "6", "field.too_large"),
        ("rating", 5, 5),
        ("integer", "9" * 100_000, "field.not_a_number"),
    ],
)
def test_numbers_are_exact_or_refused(kind, value, expected):
    if isinstance(expected, str):
        assert refused(kind, value) == expected
    else:
        loaded = load(kind, value)
        assert (loaded, str(loaded)) == (expected, str(expected))


def test_number_of_a_million_digits_is_refused_fast():
    number = 10**1_000_000
    effort = Effort()
    assert refused("integer", number) == "field.too_large"
    assert refused("money", number) == "field.too_many_digits"
    assert effort.seconds < 0.5


def test_money_follows_the_minor_units_of_its_currency():
    assert load("money", "5", currency="JPY") == Decimal(5)
    assert refused("money", "5.5", currency="JPY") == "field.too_precise"
    assert str(load("money", "5.5", currency="KWD")) == "5.500"
    assert str(load("money", "5.5", currency="CNY", precision=4)) == "5.5000"


def test_bounds_hold_at_both_ends():
    assert load("rate", "0.01", min="0.01", max="1") == Decimal("0.01")
    assert load("rate", "1", min="0.01", max="1") == 1
    assert refused("rate", "0.0099", min="0.01", max="1") == "field.too_small"
    assert refused("rate", "1.0001", min="0.01", max="1") == "field.too_large"
    assert refused("date", "1899-12-31", min="1900-01-01") == "field.too_small"
    assert refused("time", "18:01", max="18:00") == "field.too_large"
    assert refused("duration", "2h", max="PT1H") == "field.too_large"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("date", "2023-02-29", "field.bad_date"),
        ("date", "20240229", "field.bad_date"),
        ("date", "2024-W01-1", "field.bad_date"),
        ("date", datetime(2024, 1, 1, tzinfo=UTC), "field.bad_type"),
        ("time", "12:00", clock_time(12)),
        ("time", "24:00", "field.bad_time"),
        ("time", "12", "field.bad_time"),
        ("time", "12:00:00+01:00", "field.bad_time"),
        ("datetime", "2024-01-01T08:00:00+08:00", datetime(2024, 1, 1, tzinfo=UTC)),
        ("datetime", "2024-01-01 00:00Z", datetime(2024, 1, 1, tzinfo=UTC)),
        ("datetime", "2024-01-01T00:00:00", "field.zone_missing"),
        ("datetime", "0001-01-01T00:00:00+14:00", "field.bad_datetime"),
        ("datetime", "2024-13-01T00:00:00Z", "field.bad_datetime"),
        ("datetime", 1_700_000_000, "field.bad_type"),
        ("duration", "PT1H30M", 5400),
        ("duration", "1h 30m", 5400),
        ("duration", "-2d", -172_800),
        ("duration", "P", "field.bad_duration"),
        ("duration", "90", "field.bad_duration"),
        ("duration", "999999d", "field.too_large"),
        ("duration", 90, 90),
    ],
)
def test_times_are_read_strictly(kind, value, expected):
    if isinstance(expected, str):
        assert refused(kind, value) == expected
    else:
        assert load(kind, value) == expected


def test_datetime_from_text_without_a_zone_takes_the_store_s():
    kind, field = field_type("datetime"), make("datetime")
    loaded = kind.from_text("2010-12-01 08:26:00", field, ZoneInfo("Europe/London"))
    assert kind.dump(loaded) == "2010-12-01T08:26:00.000000Z"
    summer = kind.from_text("2010-07-01 08:26", field, ZoneInfo("Europe/London"))
    assert kind.dump(summer) == "2010-07-01T07:26:00.000000Z"


@pytest.mark.parametrize(
    ("kind", "good", "bad", "code"),
    [
        ("email", "a.b+c@example.co.uk", "a@b", "field.bad_email"),
        ("email", "会员@例子.公司", "a b@example.com", "field.bad_email"),
        ("phone", "+86 138-0013-8000", "call me", "field.bad_phone"),
        ("phone", "021-5555 转 12", "--", "field.bad_phone"),
        ("url", "https://example.com/a?b=1", "javascript:alert(1)", "field.bad_url"),
        ("url", "http://[::1]/", "https://", "field.bad_url"),
        ("url", "https://例子.公司", "http://[", "field.bad_url"),
        ("color", "#A0b1C2", "red", "field.bad_color"),
        ("barcode", "ABC-123", "会", "field.bad_barcode"),
    ],
)
def test_texts_of_a_form_are_checked(kind, good, bad, code):
    assert load(kind, good) == good
    assert refused(kind, bad) == code


def test_choices_are_among_the_options():
    assert load("select", "a") == "a"
    assert load("select", "old") == "old"
    assert refused("select", "c") == "field.not_an_option"
    assert refused("select", 1) == "field.bad_type"
    assert refused("select", "\x00") == "field.bad_character"
    assert load("multi_select", ["b", "a"]) == ["b", "a"]
    assert refused("multi_select", ["a", "a"]) == "field.duplicate"
    assert refused("multi_select", "a") == "field.bad_type"
    assert refused("multi_select", ["a"] * 101) == "field.too_many"
    assert field_type("multi_select").from_text("a; b", make("multi_select")) == ["a", "b"]


def test_links_are_ids():
    identity = "0190a5b0-7c3e-7d4f-8a1b-2c3d4e5f6a7b"
    assert load("link", identity) == identity
    assert refused("link", identity.upper()) == "field.bad_id"
    assert refused("link", "1; drop table") == "field.bad_id"
    assert refused("links", [identity, identity]) == "field.duplicate"
    assert refused("links", {"id": identity}) == "field.bad_type"


def test_table_reports_every_bad_cell_with_its_path():
    rows = [{"x": "1.00", "n": 3}, {"x": "a", "n": "b"}, 7, {"nix": 1, "id": "zz"}]
    with pytest.raises(FieldError) as caught:
        load("table", rows)
    assert [(problem.path, problem.code) for problem in caught.value.problems] == [
        ("1.x", "field.not_a_number"),
        ("1.n", "field.not_a_number"),
        ("2", "field.bad_type"),
        ("3.nix", "field.unknown"),
        ("3.id", "field.bad_id"),
    ]
    assert load("table", [{"x": "1", "position": 0}]) == [{"x": Decimal("1.00"), "position": 0}]
    assert refused("table", [{}] * 3, max_rows=2) == "field.too_many"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("nan"), "field.bad_type"),
        ({"a": "\x00"}, "field.bad_character"),
        (["x" * 20_000], "field.too_long"),
        (10**18, "field.too_many_digits"),
        ({"a": {1, 2}}, "field.bad_type"),
        ([0] * 10_000, "field.too_long"),
    ],
)
def test_json_outside_the_bounds_is_refused(value, code):
    assert refused("json", value) == code


def test_json_as_deep_as_a_well_is_refused():
    value = []
    for _ in range(100_000):
        value = [value]
    assert refused("json", value) == "field.too_deep"
    with pytest.raises(FieldError):
        field_type("json").from_text("[" * 15_000, make("json"))


def test_storage_names_column_and_scale():
    kinds = {
        name: field_type(name).storage(make(name)).kind
        for name in ALL
        if name not in {"formula", "rollup", "lookup"}
    }
    assert kinds == {
        **dict.fromkeys(
            [
                "text",
                "long_text",
                "email",
                "phone",
                "url",
                "color",
                "barcode",
                "select",
                "sequence",
                "role",
                "calendar",
                "rich_text",
                "secret",
                "condition",
                "expression",
            ],
            "text",
        ),
        **dict.fromkeys(("integer", "rating", "duration"), "integer"),
        **dict.fromkeys(("decimal", "money", "rate", "percent"), "decimal"),
        **dict.fromkeys(("multi_select", "json", "users", "address", "location"), "json"),
        **dict.fromkeys(("user", "department"), "id"),
        "boolean": "boolean",
        "date": "date",
        "time": "time",
        "datetime": "instant",
        "link": "id",
        "links": "links",
        "table": "table",
        "backlink": "none",
        **dict.fromkeys(("file", "image", "signature"), "id"),
        "files": "json",
    }
    assert field_type("rate").storage(make("rate")).scale == 4
    assert field_type("formula").storage(make("formula", precision=3, stored=True)).scale == 3
    assert field_type("formula").storage(make("formula")).kind == "none"


def test_registering_an_incomplete_type_is_refused():
    class Nameless(type(field_type("text"))):
        name = ""

    class Taken(type(field_type("integer"))):
        name = "text"

    class Abstract(FieldType):
        name = "abstract"

    with pytest.raises(TypeError, match="has no name"):
        register(Nameless())
    with pytest.raises(TypeError, match="already a field type text"):
        register(Taken())
    with pytest.raises(TypeError, match="abstract"):
        register(Abstract())
    with pytest.raises(TypeError, match="is not a FieldType"):
        register("text")
