"""The rules of records on plain values, without a database."""

from decimal import Decimal

from core.expression import PlainEnv, compile_expression
from core.records.conditions import Situation
from core.records.loading import Loading
from core.records.rules import Rules
from core.records.subject import Subject
from core.schema.model import Check, Field, Option, RecordType, Release
from core.schema.scopes import record_scope


def field(name, kind="text", **rest):
    return Field(id=name, name=name, type=kind, **rest)


def rules(*fields, checks=()):
    release = Release(number=1, types={"t": RecordType(name="t", fields=fields)})
    scope = record_scope(release, "t")
    return Rules(fields, checks, lambda text, kind: compile_expression(text, scope, expect=kind))


def judge(compiled, values, before=None):
    """Return the record as it will be, and the (path, code) of what is wrong with it."""
    subject = Subject({**(before or {}), **values}, before, frozenset(values))
    problems = []
    compiled.complete(subject, PlainEnv(), problems)
    compiled.check(subject, PlainEnv(), problems, Situation())
    return subject.values, [(one.path, one.code) for one in problems]


def test_defaults_fill_only_what_was_not_given():
    compiled = rules(field("a", default="x"), field("b", default_expr="CONCAT(a, '!')"))
    assert judge(compiled, {})[0] == {"a": "x", "b": "x!"}
    assert judge(compiled, {"a": None, "b": "y"})[0] == {"a": None, "b": "y"}


def test_new_form_begins_with_defaults_that_nothing_else_decides():
    compiled = rules(
        field("a"),
        field("b", default_expr="CONCAT(a, '!')"),
        field("on", "date", default_expr="TODAY()"),
    )
    assert compiled.first_values(PlainEnv()) == {"on": PlainEnv().today}


def test_formulas_are_computed_in_the_order_they_need():
    compiled = rules(
        field("c", "formula", formula="b + 1", result="integer", stored=True),
        field("b", "formula", formula="a * 2", result="integer", stored=True),
        field("a", "integer"),
    )
    assert judge(compiled, {"a": 3})[0] == {"a": 3, "b": 6, "c": 7}


def test_computed_decimals_are_rounded_half_up_to_their_column():
    compiled = rules(
        field("a", "decimal", precision=3),
        field("b", "formula", formula="a * 1", result="decimal", stored=True, precision=2),
    )
    assert judge(compiled, {"a": Decimal("0.125")})[0]["b"] == Decimal("0.13")
    assert judge(compiled, {"a": Decimal("-0.125")})[0]["b"] == Decimal("-0.13")


def test_computed_value_that_does_not_fit_is_a_problem():
    compiled = rules(
        field("a", "integer"),
        field("b", "formula", formula="a * a * a", result="integer", stored=True),
    )
    values, problems = judge(compiled, {"a": 999_999_999})
    assert (values["b"], problems) == (None, [("b", "field.too_large")])


def test_hidden_values_are_kept_cleared_or_refused_as_the_field_says():
    for policy, after, problems in (
        ("keep", "x", []), ("clear", None, []), ("reject", "x", [("b", "field.hidden")]),
    ):  # fmt: skip
        compiled = rules(
            field("a", "boolean"), field("b", visible_when="a == true", when_hidden=policy)
        )
        values, found = judge(compiled, {"a": False, "b": "x"})
        assert (values["b"], found) == (after, problems)
        assert judge(compiled, {"a": True, "b": "x"}) == ({"a": True, "b": "x"}, [])


def test_clearing_one_field_hides_the_next():
    compiled = rules(
        field("a", "boolean"),
        field("b", visible_when="a == true", when_hidden="clear"),
        field("c", visible_when="b is not empty", when_hidden="clear"),
    )
    assert judge(compiled, {"a": False, "b": "x", "c": "y"})[0] == {
        "a": False,
        "b": None,
        "c": None,
    }


def test_required_holds_only_while_visible():
    compiled = rules(
        field("a", "boolean"),
        field("b", required=True, visible_when="a == true"),
        field("c", required_when="a == true"),
    )
    assert judge(compiled, {"a": False})[1] == []
    assert judge(compiled, {"a": True})[1] == [("b", "field.required"), ("c", "field.required")]


def test_set_once_lets_the_first_value_in():
    compiled = rules(field("a", set_once=True))
    assert judge(compiled, {"a": "x"}, {"a": None})[1] == []
    assert judge(compiled, {"a": "x"}, {"a": "x"})[1] == []
    assert judge(compiled, {"a": "y"}, {"a": "x"})[1] == [("a", "field.set_once")]
    assert judge(compiled, {"a": None}, {"a": "x"})[1] == [("a", "field.set_once")]


def test_read_only_when_looks_at_what_is_stored():
    compiled = rules(field("a", "boolean"), field("b", read_only_when="a == true"))
    stored = {"a": True, "b": "x"}
    assert judge(compiled, {"a": False, "b": "y"}, stored)[1] == [("b", "field.read_only")]
    assert judge(compiled, {"b": "x"}, stored)[1] == []
    assert judge(compiled, {"a": True, "b": "y"}, {"a": False, "b": "x"})[1] == []


def test_options_when_limits_the_choice():
    compiled = rules(
        field("a", "boolean"),
        field(
            "b", "select", options=(Option(value="x"), Option(value="y")),
            options_when={"y": "a == true"},
        ),
    )  # fmt: skip
    assert judge(compiled, {"a": False, "b": "y"})[1] == [("b", "field.option")]
    assert judge(compiled, {"a": True, "b": "y"})[1] == []
    assert judge(compiled, {"a": False}, {"a": True, "b": "y"})[1] == []


def test_check_speaks_the_language_of_the_person():
    check = Check(check="a > 1", message={"zh": "太小", "en": "Too small"}, fields=("a",))
    compiled = rules(field("a", "integer"), checks=(check,))
    subject = Subject({"a": 1}, None, frozenset(("a",)))
    problems = []
    compiled.check(subject, PlainEnv(), problems, Situation(locale="zh"))
    assert [(one.path, one.code, str(one)) for one in problems] == [
        ("a", "check.failed", "a: 太小")
    ]


def test_loading_gives_every_problem_of_every_row():
    table = field("lines", "table", fields=(field("n", "integer", min="1"), field("t")))
    loading = Loading(RecordType(name="t", fields=(table, field("a"))), {})
    problems = []
    loaded = loading.load(
        {"a": "x", "lines": [{"n": 0}, {"n": True, "t": "\x07"}, {"m": 1}, {"n": 2}], "b": 1},
        problems,
    )
    assert [(one.path, one.code) for one in problems] == [
        ("lines.0.n", "field.too_small"), ("lines.1.n", "field.bad_type"),
        ("lines.1.t", "field.bad_character"), ("lines.2.m", "field.unknown"),
        ("b", "field.unknown"),
    ]  # fmt: skip
    assert loaded["lines"][3] == {"n": 2, "position": 3}


def test_stated_positions_order_the_rows():
    table = field("lines", "table", fields=(field("t"),))
    loading = Loading(RecordType(name="t", fields=(table,)), {})
    problems = []
    rows = [{"t": "b", "position": 7}, {"t": "a", "position": 2}]
    assert loading.load({"lines": rows}, problems)["lines"] == [
        {"t": "a", "position": 2},
        {"t": "b", "position": 7},
    ]
    rows = [{"t": "b", "position": 7}, {"t": "a"}]
    assert [row["position"] for row in loading.load({"lines": rows}, problems)["lines"]] == [0, 1]
    assert problems == []
    loading.load({"lines": [{"t": "b", "position": "x"}]}, problems)
    assert [one.path for one in problems] == ["lines.0.position"]
