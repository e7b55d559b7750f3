"""Record rules and stages on plain values, and what the loader says about wrong ones."""

import pytest

from core.errors import SchemaError
from core.expression import PlainEnv, compile_expression
from core.records.conditions import Situation
from core.records.rules import Rules
from core.records.subject import Subject
from core.schema.layers import effective
from core.schema.scopes import record_scope
from core.schema.yamlnodes import Source

TYPE = """
record_type: deal
title_field: name
fields:
  - {name: name, type: text}
  - {name: stage, type: select, default: open, options: [{value: open}, {value: won}, {value: "lost's"}]}
  - {name: level, type: select, options: [{value: basic}, {value: gold}]}
  - {name: amount, type: decimal, precision: 2}
  - {name: share, type: decimal, precision: 2}
  - {name: reason, type: text, when_hidden: clear}
  - {name: owner, type: text}
"""


def deal(text):
    release = effective([Source("site", "deal.yaml", TYPE + text)], None, 1)
    record_type = release.types["deal"]
    scope = record_scope(release, "deal")
    return Rules(
        record_type.fields,
        record_type.checks,
        lambda text, kind: compile_expression(text, scope, expect=kind),
        rules=record_type.rules,
        stages=record_type.stages,
    )


def judge(compiled, values, before=None, **situation):
    """Return the record as it will be, what is wrong and what was said without refusing."""
    subject = Subject({**(before or {}), **values}, before, frozenset(values))
    problems, told = [], Situation(**situation)
    compiled.complete(subject, PlainEnv(), problems)
    compiled.check(subject, PlainEnv(), problems, told)
    found = [(one.path, one.code) for one in problems]
    return subject.values, found, [(one.path, one.params["message"]) for one in told.warnings]


def codes_of(text):
    with pytest.raises(SchemaError) as error:
        deal(text)
    return sorted(one.code.removeprefix("schema.") for one in error.value.problems)


def test_rule_sets_and_clears_at_every_save_whatever_was_given():
    compiled = deal("""
rules:
  - {name: share, when: "amount is not empty", then: [{set: share, to: "amount / 3"}]}
  - {name: gone, when: "stage == 'won'", then: [{clear: [reason]}]}
""")
    values, problems, _ = judge(compiled, {"amount": 1, "share": 9, "stage": "won", "reason": "x"})
    assert (str(values["share"]), values["reason"], problems) == ("0.33", None, [])
    assert judge(compiled, {"name": "a", "share": 9})[0]["share"] == 9


def test_rule_on_change_leaves_what_somebody_wrote():
    compiled = deal("""
rules: [{name: owner, on: change, when: "level == 'gold'", then: [{set: owner, to: "'vip'"}]}]
""")
    assert judge(compiled, {"level": "gold"})[0]["owner"] == "vip"
    assert judge(compiled, {"level": "gold", "owner": "me"})[0]["owner"] == "me"
    before = {"level": "gold", "owner": "me", "name": "a"}
    assert judge(compiled, {"name": "b"}, before)[0]["owner"] == "me"
    before = {"level": "basic", "owner": "me", "name": "a"}
    assert judge(compiled, {"level": "gold"}, before)[0]["owner"] == "vip"


def test_value_that_does_not_fit_is_a_problem_of_its_field():
    compiled = deal("""rules: [{name: big, then: [{set: share, to: "amount * amount"}]}]""")
    assert judge(compiled, {"amount": 10**12})[1] == [("share", "field.default")]


def test_rule_requires_locks_shows_and_limits():
    compiled = deal("""
rules:
  - name: gold
    when: "level == 'gold'"
    then: [{require: [owner]}, {lock: [amount]}, {show: [reason]}, {limit_options: stage, options: [open]}]
""")
    assert judge(compiled, {"level": "gold", "reason": "x"})[:2] == (
        {**judge(compiled, {"level": "gold", "reason": "x"})[0], "reason": "x"},
        [("owner", "field.required")],
    )
    assert judge(compiled, {"level": "basic", "reason": "x"})[0]["reason"] is None
    assert judge(compiled, {"level": "gold", "owner": "a", "stage": "won"})[1] == [
        ("stage", "field.option")
    ]
    before = {"level": "gold", "owner": "a", "amount": 1, "stage": "open"}
    assert judge(compiled, {"amount": 2, "level": "basic"}, before)[1] == [
        ("amount", "field.read_only")
    ]


def test_rule_refuses_and_warns_in_the_persons_language():
    compiled = deal("""
rules:
  - {name: huge, when: "amount > 100", then: [{error: {zh: 太大, en: Too large}, fields: [amount]}]}
  - {name: odd, when: "amount > 10", then: [{warn: {zh: 偏大, en: Rather large}, fields: [amount]}]}
checks:
  - {check: "name is not empty", severity: warn, message: {zh: 没有名称, en: No name}, fields: [name]}
""")
    _, problems, warnings = judge(compiled, {"amount": 200}, locale="zh")
    assert problems == [("amount", "rule.failed")]
    assert warnings == [("name", "没有名称"), ("amount", "偏大")]
    assert judge(compiled, {"amount": 5, "name": "a"})[1:] == ([], [])


def test_rule_holds_at_its_doors_only():
    compiled = deal("""
rules: [{name: api, applies_to: [import, bulk], then: [{require: [owner]}, {show: [reason]}]}]
""")
    assert judge(compiled, {"reason": "x"}, door="form")[0]["reason"] == "x"
    assert judge(compiled, {}, door="form")[1] == []
    assert judge(compiled, {}, door="import")[1] == [("owner", "field.required")]


def test_stage_requires_and_locks_in_its_state_only():
    compiled = deal("""
stages:
  - {field: stage, state: won, require: [amount, owner]}
  - {field: stage, state: "lost's", require: [reason], lock: [amount]}
""")
    assert judge(compiled, {"stage": "open"})[1] == []
    assert judge(compiled, {"stage": "won", "amount": 1})[1] == [("owner", "field.required")]
    assert judge(compiled, {"stage": "lost's"})[1] == [("reason", "field.required")]
    before = {"stage": "lost's", "reason": "x", "amount": 1}
    assert judge(compiled, {"amount": 2}, before)[1] == [("amount", "field.read_only")]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("rules: [{name: a, then: []}]", ["missing"]),
        ("rules: [{name: a, then: [{clear: [nam]}]}]", ["unknown"]),
        ("rules: [{name: a, then: [{clear: [name], lock: [name]}]}]", ["one_action"]),
        ("rules: [{name: a, then: [{set: name}]}]", ["missing"]),
        ("rules: [{name: a, then: [{clear: [name], to: '1'}]}]", ["not_for_action"]),
        ("rules: [{name: a, then: [{clear: [name], fields: [name]}]}]", ["not_for_action"]),
        ("rules: [{name: a, then: [{limit_options: name, options: [x]}]}]", ["no_options"]),
        ("rules: [{name: a, then: [{limit_options: stage, options: [x]}]}]", ["unknown"]),
        ("rules: [{name: a, on: submit, then: [{lock: [name]}]}]",
         ["no_document", "not_at_submission"]),
        ("rules: [{name: a, then: [{lock: [name]}]}, {name: a, then: [{lock: [name]}]}]",
         ["duplicate"]),
        ("rules: [{name: a, applies_to: [window], then: [{lock: [name]}]}]", ["not_one_of"]),
        ("stages: [{field: stage, state: nope}]", ["unknown"]),
        ("stages: [{field: name, state: won}]", ["no_options"]),
        ("stages: [{state: won}]", ["unknown"]),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused_at_their_place(text, codes):
    assert codes_of("\n" + text) == codes


def test_expression_of_a_rule_is_typed_when_it_is_published():
    with pytest.raises(SchemaError) as error:
        deal('\nrules: [{name: a, when: "nam == \'x\'", then: [{set: amount, to: "name"}]}]')
    assert sorted(one.code for one in error.value.problems) == [
        "expression.unknown_field",
        "expression.wrong_type",
    ]


def test_customizing_replaces_a_rule_by_name_and_adds_stages():
    release = effective(
        [
            Source("core", "deal.yaml", TYPE + "rules: [{name: a, then: [{lock: [name]}]}]"),
            Source(
                "site",
                "over.yaml",
                "customize: deal\nrules: [{name: a, then: [{require: [owner]}]}]\n"
                "stages: [{field: stage, state: won, require: [amount]}]",
            ),
        ],
        None,
        1,
    )
    found = release.types["deal"]
    assert [(one.name, one.then[0].require) for one in found.rules] == [("a", ("owner",))]
    assert [one.state for one in found.stages] == ["won"]
