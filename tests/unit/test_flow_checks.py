"""What a flow may say is checked when it is published, each problem at its place."""

import pytest

from core.errors import SchemaError
from core.schema import flowtesting
from core.schema.flowguards import guard_notes
from core.schema.layers import effective
from core.schema.yamlnodes import Source

OTHERS = [
    Source(
        "core",
        "rule.yaml",
        "record_type: rule\ndocument: true\ntitle_field: no\nfields:\n"
        "  - {name: no, type: text}\n"
        "  - {name: rate, type: rate, min: '0.01', max: '1'}\n"
        "  - {name: amount, type: money, required: true}\n"
        "  - {name: level, type: select, options: [{value: low}, {value: high}]}\n"
        "  - {name: urgent, type: boolean}\n"
        "  - {name: shop, type: link, target: store}\n"
        "  - {name: owner, type: user}\n"
        "  - {name: readers, type: users}\n"
        "  - {name: starts, type: date}\n"
        "  - {name: ends, type: date}\n"
        "  - {name: shops, type: links, target: store}\n"
        "  - {name: twice, type: formula, formula: amount * 2}\n"
        "  - name: lines\n    type: table\n    fields:\n"
        "      - {name: rate, type: rate}\n      - {name: shop, type: link, target: store}\n",
    ),
    Source("core", "store.yaml", "record_type: store\nfields:\n  - {name: name, type: text}\n"),
    Source(
        "core",
        "roles.yaml",
        "roles: [{name: clerk}, {name: finance}]\npositions: [{name: store_manager}]\n",
    ),
]
HEAD = "flow: release\nversion: 1\ndocument: rule\n"
ONE = "{id: one, approvers: {role: finance}}"


@pytest.fixture(autouse=True)
def _nobody_runs_tests(monkeypatch):
    """Make schemas without running tests, which an application made before would do."""
    monkeypatch.setattr(flowtesting, "_RUNS", [])


def publish(text, *more, running=None):
    return effective([Source("core", "f.yaml", text), *more, *OTHERS], running, 1)


def problems(text, *more, running=None):
    with pytest.raises(SchemaError) as caught:
        publish(text, *more, running=running)
    return [(one.line, one.column, one.code.partition(".")[2]) for one in caught.value.problems]


def steps(*lines):
    return HEAD + "steps:\n" + "".join(f"  - {line}\n" for line in lines)


def test_every_part_of_a_sound_flow_is_published():
    text = (
        HEAD + "when: doc.amount > 100\norder: 2\nsubject: [rate, lines]\n"
        "start: {by: {role: clerk, at: shop}, require: doc.starts <= doc.ends}\n"
        "at_apply: {conflict_key: shop, no_overlap: {of: shop, during: [starts, ends], "
        "among: {status: effective}}}\n"
        "people: {empty: {to: {role: finance}}, distinct: [one, two], vacant: {to: manager}}\n"
        "steps:\n"
        "  - id: one\n    approvers: {position: store_manager, at: doc.shop}\n"
        "    may: [approve, reject, return, claim]\n    return: {to: [initiator], then: resume}\n"
        "    due: [{at: 20bh, do: remind}, {at: 3bd, do: escalate, to: {manager_of: seat}}]\n"
        "    fields: {edit: [no], hide: [amount]}\n    queue: {risk: \"'high' if urgent else 'low'\"}\n"
        "  - id: deep\n    type: branch\n    cases:\n"
        "      - when: min(doc.lines.rate) < 0.7\n        steps:\n"
        "          - id: two\n            seats: {f: {approvers: {role: finance}, weight: 2}, "
        "o: {approvers: [{field: owner}, {expr: readers}]}}\n"
        "            decide: {weight: 2/3}\n            sign: {f: handwritten}\n"
        "            fields: {hide: [amount@o]}\n            may: [approve, reject, return]\n"
        "            return: {to: [one, initiator]}\n"
        "    else: []\n"
        "  - {id: sides, type: parallel, lanes: [{steps: [{id: a, type: fill, approvers: "
        "{chain_of: initiator, upto: {level: 2}}, decide: sequence}]}, {steps: [{id: b, "
        "approvers: {of_step: one}}]}]}\n"
        "  - {id: regions, type: subflow, flow: ack, each: shops}\n"
        "  - {id: pause, type: wait, until: doc.starts}\n"
        "  - {id: tell, type: cc, to: {manager_of: owner}}\n"
        "  - {id: send, type: effect, actions: [{do: webhook, url: 'https://example.com/x', "
        "values: {no: no}}]}\n"
        'outcome:\n  approved: {set: {status: effective, starts: "doc.starts if doc.starts is '
        'not empty else TODAY()"}}\n'
        "tests:\n  - {name: plain, doc: {amount: 3, lines: [{rate: 0.6}]}, do: [submit, one.approve, "
        "edit lines.rate=0.5, wait 2bd, two.f.approve, regions/ack.approve], expect: {state: running}}\n"
    )
    ack = Source(
        "core",
        "ack.yaml",
        "flow: ack\nversion: 1\ndocument: rule\nwhen: 'false'\nsteps:\n"
        "  - {id: ack, approvers: {position: store_manager, at: item}}\n",
    )
    assert set(publish(text, ack).flows) == {"release", "ack"}


#: A step that is wrong -> where in the line, and how.
STEPS = {
    "{id: One, approvers: {role: finance}}": (10, "bad_name"),
    "{id: initiator, approvers: {role: finance}}": (10, "reserved_name"),
    "{id: one, type: cc, to: {role: finance}, decide: all}": (46, "not_for_this"),
    "{id: one, type: cc}": (5, "missing"),
    "{id: one}": (5, "approvers_or_seats"),
    "{id: one, approvers: {role: finance}, seats: {a: {approvers: {role: clerk}}}}": (
        5,
        "approvers_or_seats",
    ),
    "{id: one, approvers: {role: finance, user: a}}": (26, "one_source"),
    "{id: one, approvers: {role: finance, level: 2}}": (42, "not_for_this"),
    "{id: one, approvers: {role: finanze}}": (33, "unknown"),
    "{id: one, approvers: {position: store_manger, at: shop}}": (37, "unknown"),
    "{id: one, approvers: {position: store_manager, at: owner}}": (56, "not_a_place"),
    "{id: one, approvers: {field: amount}}": (34, "not_people"),
    "{id: one, approvers: {field: onwer}}": (34, "unknown"),
    "{id: one, approvers: {expr: shop}}": (33, "not_a_person"),
    "{id: one, approvers: {manager_of: ownr}}": (39, "unknown_field"),
    "{id: one, approvers: {of_step: two}}": (36, "unknown"),
    "{id: one, approvers: {chosen_by: one}}": (38, "unknown"),
    "{id: one, approvers: {chain_of: initiator, upto: {}}}": (54, "missing"),
    "{id: one, approvers: {user: finance}, decide: {quorum: 2}}": (60, "quorum"),
    "{id: one, approvers: {role: finance}, decide: {weight: 3/2}}": (60, "bad_weight"),
    "{id: one, approvers: {role: finance}, decide: {weight: 0.5}}": (60, "bad_weight"),
    "{id: one, approvers: {role: finance}, decide: {groups: 1}}": (60, "no_groups"),
    "{id: one, approvers: {role: finance}, decide: {groups: 1, quorum: 1}}": (51, "one_rule"),
    "{id: one, approvers: {role: finance}, decide: all, on_reject: first}": (56, "not_for_this"),
    "{id: one, approvers: {role: finance}, may: [approve, complete]}": (58, "unknown"),
    "{id: one, type: fill, approvers: {role: finance}, may: [return]}": (60, "dead_step"),
    "{id: one, approvers: {role: finance}, return: {to: [initiator]}}": (43, "no_verb"),
    "{id: one, approvers: {role: finance}, may: [approve, return], return: {to: [two]}}": (
        81,
        "unknown",
    ),
    "{id: one, approvers: {role: finance}, due: [{at: 2x, do: remind}]}": (54, "bad_duration"),
    "{id: one, approvers: {role: finance}, due: [{at: 2h, do: approve}]}": (62, "auto"),
    "{id: one, approvers: {role: finance}, due: [{at: 2h, do: escalate}]}": (49, "missing"),
    "{id: one, approvers: {role: finance}, fields: {edit: [nothing]}}": (59, "unknown"),
    "{id: one, approvers: {role: finance}, fields: {edit: [twice]}}": (59, "computed"),
    "{id: one, approvers: {role: finance}, fields: {hide: [amount@f]}}": (59, "unknown"),
    "{id: one, approvers: {role: finance}, sign: {f: password}}": (50, "unknown"),
    "{id: one, approvers: {role: finance}, queue: {lease: 5}}": (58, "bad_duration"),
    "{id: one, approvers: {role: finance}, queue: {risk: amonut}}": (57, "unknown_field"),
    "{id: one, approvers: {role: finance}, people: {self_approval: allow}}": (67, "own_work"),
    "{id: one, approvers: {role: finance}, people: {empty: auto_pass}}": (59, "auto"),
    "{id: one, approvers: {role: finance}, people: {distinct: [one]}}": (62, "distinct"),
    "{id: one, type: branch, cases: [{when: amount > 1}]}": (5, "missing"),
    "{id: one, type: branch, cases: [], else: []}": (5, "missing"),
    "{id: one, type: branch, cases: [{when: amount}], else: []}": (44, "wrong_type"),
    "{id: one, type: parallel, lanes: [{steps: []}]}": (39, "missing"),
    "{id: one, type: subflow, flow: relaese}": (36, "unknown"),
    "{id: one, type: subflow, flow: release}": (36, "recursion"),
    "{id: one, type: wait}": (5, "wait"),
    "{id: one, type: wait, for: 3d}": (32, "bad_duration"),
    "{id: one, type: wait, until: amount}": (34, "not_a_moment"),
    "{id: one, type: effect, actions: [{do: webhook, url: x}]}": (58, "bad_url"),
}


@pytest.mark.parametrize("line", STEPS)
def test_bad_step_is_refused_at_its_place(line):
    column, code = STEPS[line]
    assert (5, column, code) in problems(steps(line))


#: What stands after the steps -> where, and how it is wrong.
REST = {
    "when: amuont > 1": (7, "unknown_field"),
    "when: amount": (7, "wrong_type"),
    "start: {require: doc.amount}": (22, "wrong_type"),
    "start: {require: doc.amuont > 1}": (22, "unknown_field"),
    "remind: {every: often}": (17, "bad_duration"),
    "subject: [rate, rate]": (17, "duplicate"),
    "at_apply: {no_overlap: {of: shop, during: [starts]}}": (43, "during"),
    "at_apply: {no_overlap: {of: shop, during: [starts, owner]}}": (52, "not_a_date"),
    "at_apply: {no_overlap: {of: shop, among: {status: gone}}}": (51, "bad_value"),
    "outcome: {approved: {set: {twice: 3}}}": (28, "computed"),
    "outcome: {approved: {set: {amount: doc.amuont}}}": (40, "unknown_field"),
    "outcome: {approved: {set: {starts: doc.owner}}}": (40, "wrong_type"),
    "tests: [{name: a, do: [submit, two.approve], expect: {}}]": (32, "unknown"),
    "tests: [{name: a, do: [submit, one.aprove], expect: {}}]": (32, "unknown"),
    "tests: [{name: a, do: [sumbit], expect: {}}]": (24, "bad_test"),
    "tests: [{name: a, do: [wait 3], expect: {}}]": (24, "bad_duration_of_test"),
    "tests: [{name: a, do: [edit amuont=3], expect: {}}]": (24, "unknown"),
    "tests: [{name: a, doc: {amuont: 3}, do: [submit], expect: {}}]": (25, "unknown"),
}


@pytest.mark.parametrize("line", REST)
def test_bad_part_of_a_flow_is_refused_at_its_place(line):
    column, code = REST[line]
    code = "bad_test" if code == "bad_duration_of_test" else code
    assert problems(steps(ONE) + line + "\n") == [(6, column, code)]


def test_return_into_a_sibling_lane_is_refused():
    inner = "approvers: {role: finance}, may: [approve, return], return: {to: [NAME]}"
    text = steps(
        ONE,
        "{id: sides, type: parallel, lanes: ["
        "{steps: [{id: a, approvers: {role: clerk}}, {id: b, "
        + inner.replace("NAME", "a")
        + "}]}, "
        "{steps: [{id: c, " + inner.replace("NAME", "a") + "}]}]}",
    )
    assert [code for _, _, code in problems(text)] == ["return_target"]
    publish(
        text.replace(
            "{id: c, " + inner.replace("NAME", "a"), "{id: c, " + inner.replace("NAME", "one")
        )
    )


def test_ids_are_unique_over_the_whole_nest():
    branch = "{id: b, type: branch, cases: [{when: amount > 3, steps: [" + ONE + "]}], else: []}"
    assert problems(steps(ONE, branch)) == [(6, 67, "duplicate")]


def branch(*conditions, kind="branch", otherwise="[]"):
    cases = ", ".join(
        f'{{when: "{one}", steps: [{{id: s{at}, approvers: {{role: finance}}}}]}}'
        for at, one in enumerate(conditions)
    )
    return steps(f"{{id: b, type: {kind}, cases: [{cases}], else: {otherwise}}}")


@pytest.mark.parametrize(
    "conditions",
    [
        ["rate < 0.005"],
        ["rate > 1"],
        ["rate < 0.5 and rate > 0.6"],
        ["level == 'low' and level == 'high'"],
        ["urgent and not urgent"],
        ["amount is empty"],
        ["count(lines) == 1 and count(lines) == 2"],
        ["starts > ends and ends > starts"],
        ["amount > 1", "amount > 2"],
        ["rate < 0.7", "rate >= 0.7", "rate is empty", "amount > 7"],
        ["level in ['low', 'high']", "level == 'low'"],
        ["urgent == true", "urgent != true", "amount == 1"],
    ],
)
def test_case_that_is_never_taken_is_refused(conditions):
    assert [code for _, _, code in problems(branch(*conditions))] == ["unreachable"]


@pytest.mark.parametrize(
    "conditions",
    [
        ["rate < 0.7", "rate > 0.7"],
        ["min(lines.rate) < 0.7", "min(lines.rate) < 0.9"],
        ["amount > 2", "amount > 1"],
        ["starts > ends", "starts < ends", "starts == ends"],
        ["any(lines, rate < 0.7)", "any(lines, rate < 0.9)"],
        ["amount > 5 and urgent", "amount > 5"],
        ["owner == initiator", "owner != initiator"],
        ["starts > TODAY()", "starts <= TODAY()"],
    ],
)
def test_cases_that_can_all_be_taken_are_published(conditions):
    publish(branch(*conditions))


def test_else_with_steps_that_is_never_reached_is_refused():
    whole = "[{id: z, approvers: {role: finance}}]"
    text = branch("urgent", "not urgent", otherwise=whole)
    assert [code for _, _, code in problems(text)] == ["unreachable"]
    publish(branch("urgent", otherwise=whole))


def test_inclusive_cases_may_cover_each_other():
    publish(branch("amount > 1", "amount > 2", kind="inclusive"))


def notes(text):
    release = publish(text)
    return [
        (one.kind, one.cases, one.examples)
        for one in guard_notes(release, release.flows["release"])
    ]


def test_values_that_no_case_takes_are_told_with_the_boundary_and_the_empty_one():
    found = notes(branch("rate < 0.7", "rate > 0.7"))
    assert [(kind, cases) for kind, cases, _ in found] == [("left", ())]
    assert {str(one["rate"]) for one in found[0][2]} == {"None", "0.7"}


def test_cases_that_both_hold_are_told_with_an_example():
    found = notes(branch("rate < 0.7", "rate < 0.8", "rate is empty"))
    overlaps = [one for one in found if one[0] == "overlap"]
    assert [one[1] for one in overlaps] == [(1, 2)]
    assert overlaps[0][2][0]["rate"] < 0.7


def test_too_many_combinations_are_left_alone():
    many = " and ".join(f"contains(no, '{n}')" for n in range(20))
    publish(branch(f"{many} and not ({many})"))


def other(name, rest=""):
    return Source(
        "core",
        f"{name}.yaml",
        f"flow: {name}\nversion: 1\ndocument: rule\n{rest}steps:\n  - {ONE}\n",
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("", ""), ("when: amount > 1\n", "when: amount > 2\n"), ("", "when: urgent\norder: 3\n")],
)
def test_flow_that_is_never_chosen_is_refused(first, second):
    text = steps(ONE).replace("steps:", f"{first}steps:").replace("release", "a")
    assert [code for _, _, code in problems(text, other("z", second))] == ["unreachable"]


def test_flows_of_one_document_are_told_apart_by_condition_and_order():
    text = steps(ONE).replace("steps:", "when: urgent\nsteps:")
    assert len(publish(text, other("zz")).flows) == 2


def test_site_replaces_a_plugins_flow_by_a_higher_version():
    mine = steps(ONE).replace("version: 1", "version: 2").replace("finance", "clerk")
    with_site = [Source("site", "mine.yaml", mine)]
    found = publish(steps(ONE), *with_site).flows["release"]
    assert (found.version, found.layer) == (2, "site")
    lower = [Source("site", "mine.yaml", mine.replace("version: 2", "version: 1"))]
    assert [code for _, _, code in problems(steps(ONE), *lower)] == ["flow_version"]
    twice = Source("core", "again.yaml", mine)
    assert [code for _, _, code in problems(steps(ONE), twice)] == ["duplicate_flow"]
