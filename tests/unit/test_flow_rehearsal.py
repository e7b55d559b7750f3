"""The tests inside a flow's file, played in a made-up world."""

import re
from pathlib import Path

import pytest

from core.errors import SchemaError
from core.extension.discovery import load_hooks
from core.migration.sources import disk_sources
from core.schema import flowtesting
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.workflow.rehearsal.tests import run_tests

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "schemas" / "first-flow.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
SHIPPED = [
    Source("core", one.path, one.text)
    for folder in (ROOT / "schemas", *sorted((ROOT / "plugins").glob("*/schemas")))
    for one in (each.source() for each in disk_sources(folder, [], ROOT / "nowhere"))
]


@pytest.fixture(autouse=True)
def _nobody_runs_tests(monkeypatch):
    """Make schemas without running tests, which an application made before would do."""
    monkeypatch.setattr(flowtesting, "_RUNS", [])


def guide_release(change=("", "")):
    load_hooks(ROOT / "plugins")  # one of them brings a type of field
    site = [Source("site", f"{at}.yaml", text.replace(*change)) for at, text in enumerate(BLOCKS)]
    return effective([*SHIPPED, *site], None, 1)


def failures(release, name="discount_rule_release"):
    found = run_tests(release.flows[name], release)
    return [(one.test, one.text.format_map(one.params)) for one in found]


def test_flow_of_the_guide_passes_its_six_tests():
    release = guide_release()
    flow = release.flows["discount_rule_release"]
    assert (flow.version, flow.layer, len(flow.tests)) == (2, "site", 6)
    assert failures(release) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("< 0.7\n", "< 0.6\n"), {"deep needs both", "one veto", "edit on return cannot skip"}),
        (("< 0.7\n", "<= 0.7\n"), {"boundary"}),
        (("decide: all", "decide: any"), {"deep needs both", "one veto"}),
        (("at: 24bh", "at: 25bh"), {"late"}),
        (("then: resume", "then: rewalk"), set()),
    ],
)
def test_changed_rule_fails_the_tests_that_are_about_it(change, told):
    assert {name for name, _ in failures(guide_release(change))} == told


TYPE = """record_type: note
document: true
fields:
  - {name: amount, type: money}
  - {name: twice, type: formula, formula: amount * 2}
  - {name: kind, type: select, default: a, options: [{value: a}, {value: b}]}
  - {name: owner, type: user}
  - {name: shops, type: links, target: shop}
  - {name: lines, type: table, fields: [{name: cost, type: money}]}
  - {name: total, type: rollup, of: lines, take: cost, how: sum}
"""
OTHERS = [
    Source("core", "t.yaml", TYPE),
    Source("core", "s.yaml", "record_type: shop\nfields: [{name: name, type: text}]\n"),
    Source("core", "r.yaml", "roles: [{name: a}, {name: b}, {name: c}]\n"),
]


def told(steps, doc, do, expect, rest="", more=()):
    text = (
        f"flow: f\nversion: 1\ndocument: note\n{rest}steps:\n"
        + "".join(f"  - {one}\n" for one in steps)
        + f"tests:\n  - {{name: t, doc: {doc}, do: {do}, expect: {expect}}}\n"
    )
    sources = [Source("core", "f.yaml", text), *OTHERS]
    sources += [Source("core", f"m{at}.yaml", one) for at, one in enumerate(more)]
    return [text for _, text in failures(effective(sources, None, 1), "f")]


A = "{id: one, approvers: {role: a}, may: [approve, reject, return, transfer, delegate, take_back, claim, abstain]}"
B = "{id: two, approvers: {role: b}, may: [approve, reject, return], return: {to: [one, initiator]}}"

C = "{id: three, approvers: {role: b}}"


@pytest.mark.parametrize(
    ("steps", "doc", "do", "expect", "rest"),
    [
        ([A, B], "{}", "[submit]", "{open: [one], state: running}", ""),
        ([A, B], "{}", "[submit, one.approve, two.return one]", "{open: [one]}", ""),
        ([A, B], "{}", "[submit, one.approve, two.return]", "{open: [one]}", ""),
        ([A, B], "{}", "[submit, one.approve, two.return initiator]", "{state: returned, open: []}", ""),
        ([A], "{}", "[submit, withdraw]", "{outcome: withdrawn}", ""),
        ([A], "{}", "[submit, terminate]", "{outcome: terminated}", ""),
        ([A], "{}", "[submit, suspend]", "{state: suspended}", ""),
        ([A, B], "{}", "[submit, one.approve, one.take_back]", "{open: [one]}", ""),
        ([A], "{}", "[submit, one.transfer, one.approve]", "{outcome: approved}", ""),
        ([A], "{}", "[submit, one.claim]", "{open: [one]}", ""),
        (["{id: c, approvers: {role: a}, decide: {quorum: 5}}"], "{}",
         "[submit, c.approve, c.approve, c.approve, c.approve]", "{state: running}", ""),
        (["{id: c, approvers: {role: a}, need: all, decide: all}"], "{}",
         "[submit, c.approve, c.approve, c.approve]", "{outcome: approved}", ""),
        (["{id: c, approvers: {field: owner}}"], "{}", "[submit, c.approve]", "{outcome: approved}", ""),
        (["{id: c, approvers: {chosen_by: initiator}}"], "{}", "[submit, c.approve]", "{outcome: approved}", ""),
        (["{id: c, approvers: {chain_of: initiator, upto: {role: b}}, decide: sequence}"], "{}",
         "[submit, c.approve, c.approve, c.approve]", "{outcome: approved}", ""),
        (["{id: c, approvers: {role: a}, queue: {claim: required}}"], "{}", "[submit, c.approve]",
         "{outcome: approved}", ""),
        (["{id: w, type: wait, for: 2h}", A], "{}", "[submit, wait 2h]", "{open: [one]}", ""),
        (["{id: b, type: branch, cases: [{when: total > 5 and twice > 5 and kind == 'a', steps: [" + A + "]}], else: []}"],
         "{amount: 3, lines: [{cost: 3}, {cost: 4}]}", "[submit]", "{open: [one]}", ""),
        (["{id: p, type: parallel, lanes: [{steps: [" + A + "]}, {steps: [" + C + "]}]}"], "{}",
         "[submit]", "{open: [one, three]}", ""),
        ([A], "{amount: 3}", "[submit]", "{open: [one]}", "start: {require: amount > 2}\n"),
        ([A, B], "{amount: 3}", "[submit, one.approve, edit amount=4]", "{open: [one]}",
         "in_flight: {subject_edit: new_round}\n"),
        ([A, B], "{amount: 3}", "[submit, one.approve, edit amount=4]", "{open: [two]}",
         "subject: [kind]\n"),
    ],
)  # fmt: skip
def test_what_happens_in_a_test_is_what_the_engine_does(steps, doc, do, expect, rest):
    assert told(steps, doc, do, expect, rest) == []


def test_edit_in_flight_asks_those_again_whom_it_concerns():
    blind = "{id: blind, approvers: {role: c}, fields: {hide: [amount]}}"
    rest = "in_flight: {subject_edit: stale_affected}\n"
    do = "[submit, blind.approve, one.approve, edit amount=4]"
    assert told([blind, A, B], "{amount: 3}", do, "{open: [one]}", rest) == []


def test_subflow_is_played_with_its_runs():
    ack = "flow: ack\nversion: 1\ndocument: note\nsteps: [{id: see, approvers: {role: c}}]\n"
    steps = ["{id: all, type: subflow, flow: ack, each: shops}", A]
    two = "{shops: [x, y]}"
    assert told(steps, two, "[submit]", "{open: [all/see, all/see]}", more=[ack]) == []
    do = "[submit, all/see.approve, all/see.approve]"
    assert told(steps, two, do, "{open: [one]}", more=[ack]) == []


@pytest.mark.parametrize(
    ("do", "expect", "doc", "part"),
    [
        ("[submit]", "{outcome: approved}", "{}", "expects approved, and it is running"),
        ("[submit]", "{open: [two]}", "{}", "expects two to be open, and one is"),
        ("[submit, two.approve]", "{}", "{}", "nothing waits at two for approve"),
        ("[submit, one.approve, one.approve]", "{}", "{}", "nobody can sit at one"),
        ("[submit, submit]", "{}", "{}", "submit is refused: flow.duplicate_open"),
        ("[submit, edit amount=3]", "{}", "{}", "is being decided and cannot be edited"),
        ("[submit]", "{}", "{amount: much}", "gives amount a value that it does not take"),
        ("[submit]", "{}", "{amount: 1}", "may not be submitted: amount > 2"),
    ],
)
def test_failed_test_says_what_differed(do, expect, doc, part):
    found = told([A, B], doc, do, expect, "start: {require: amount > 2}\n")
    assert len(found) == 1
    assert part in found[0]


def test_schema_whose_flow_fails_a_test_is_refused_at_the_test(monkeypatch):
    monkeypatch.setattr(flowtesting, "_RUNS", [run_tests])
    guide_release()
    with pytest.raises(SchemaError) as caught:
        guide_release(("< 0.7\n", "<= 0.7\n"))
    [problem] = caught.value.problems
    lines = BLOCKS[2].splitlines()
    assert (problem.file, problem.code) == ("2.yaml", "schema.flow_test")
    assert "boundary" in lines[problem.line - 1]
    assert "boundary" in problem.text.format_map(problem.params)
