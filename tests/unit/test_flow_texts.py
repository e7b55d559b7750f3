"""Names in flows: `doc.` before them, and renames followed through every place."""

import doctest

import pytest
from ruamel.yaml import YAML

from core.schema import flowtesting, flowtexts
from core.schema.flowtexts import own_names, placed_names, words_of
from core.schema.layers import effective
from core.schema.renaming import Renames
from core.schema.roundtrip import edited_text
from core.schema.yamlnodes import Source

TYPE = """record_type: rule
document: true
fields:
  - {name: no, type: text}
  - {name: rate, type: rate}
  - {name: owner, type: user}
  - {name: level, type: select, options: [{value: low}, {value: high}]}
  - {name: shop, type: link, target: store}
  - {name: shops, type: links, target: store}
  - {name: starts, type: date}
  - {name: ends, type: date}
  - {name: lines, type: table, fields: [{name: rate, type: rate}]}
"""
STORE = "record_type: store\nfields:\n  - {name: name, type: text}\n  - {name: boss, type: user}\n"
ROLES = "roles: [{name: clerk}]\npositions: [{name: manager}]\n"
FLOW = """flow: release
version: 1
document: rule
when: "doc.rate < 0.9 and no != 'doc.rate'"
subject: [rate, lines]
start: {require: doc.starts <= doc.ends}
at_apply: {conflict_key: shop, no_overlap: {of: shop, during: [starts, ends], among: {level: low}}}
steps:
  - id: one
    approvers: [{position: manager, at: doc.shop}, {field: doc.owner}, {manager_of: owner}, {expr: shop.boss}]
    fields: {edit: [starts], hide: [owner]}
    queue: {risk: "level == 'low'"}
  - id: split
    type: branch
    cases:
      - when: min(doc.lines.rate) < 0.7 and level == 'high'
        steps: [{id: two, approvers: {role: clerk}, due: [{at: 2h, do: escalate, to: {chain_of: owner}}]}]
    else: [{id: regions, type: subflow, flow: ack, each: doc.shops}]
  - {id: send, type: effect, actions: [{do: set, values: {starts: ends}}]}
outcome:
  approved: {set: {level: high, starts: "doc.starts if doc.starts is not empty else ends"}}
tests:
  - {name: t, doc: {rate: 0.8, level: low, lines: [{rate: 0.6}]}, do: [submit, edit rate=0.6, edit lines.rate=0.5, edit level=high], expect: {state: running}}
"""
ACK = "flow: ack\nversion: 1\ndocument: rule\nwhen: 'false'\nsteps:\n  - {id: a, approvers: {expr: item.boss}}\n"


@pytest.fixture(autouse=True)
def _nobody_runs_tests(monkeypatch):
    """Make schemas without running tests, which an application made before would do."""
    monkeypatch.setattr(flowtesting, "_RUNS", [])


def release(*flows):
    texts = [TYPE, STORE, ROLES, *flows]
    return effective(
        [Source("core", f"{at}.yaml", text) for at, text in enumerate(texts)], None, 1
    )


def renamed(text, **names):
    renames = Renames(release(FLOW, ACK), **names)
    return edited_text(text, renames.apply)


def test_examples_in_docstrings_hold():
    for module in (flowtexts, flowtesting):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("doc.a == doc.b", "a == b"),
        ("shop.doc.a", "shop.doc.a"),
        ("'doc.a' == doc.a", "'doc.a' == a"),
        ("doc", "doc"),
        ("min(doc.lines.rate)", "min(lines.rate)"),
        ("doc.a ==", "a =="),
        ("doc.a == 'open", "doc.a == 'open"),
    ],
)
def test_prefix_of_the_document_is_left_out_where_it_is_one(text, own):
    assert own_names(text) == own
    assert placed_names(text).replace("    ", "") == own.replace("    ", "")
    assert len(placed_names(text)) == len(text)


def test_renamed_fields_are_followed_through_a_whole_flow():
    fields = {
        ("rule", "rate"): "paid", ("rule", "owner"): "keeper", ("rule", "shop"): "branch",
        ("rule", "starts"): "since", ("rule", "lines"): "rows", ("rule", "level"): "tier",
        ("rule.lines", "rate"): "part", ("store", "boss"): "head", ("rule", "shops"): "branches",
    }  # fmt: skip
    made = renamed(FLOW, fields=fields)
    expected = FLOW
    for old, new in (
        ("doc.rate < 0.9", "doc.paid < 0.9"), ("[rate, lines]", "[paid, rows]"),
        ("doc.starts", "doc.since"), ("conflict_key: shop", "conflict_key: branch"),
        ("of: shop", "of: branch"), ("[starts, ends]", "[since, ends]"),
        ("{level: low}", "{tier: low}"), ("at: doc.shop}", "at: doc.branch}"),
        ("field: doc.owner", "field: doc.keeper"), ("manager_of: owner", "manager_of: keeper"),
        ("expr: shop.boss", "expr: branch.head"), ("edit: [starts]", "edit: [since]"),
        ("hide: [owner]", "hide: [keeper]"), ("\"level == 'low'\"", "\"tier == 'low'\""),
        ("min(doc.lines.rate) < 0.7 and level", "min(doc.rows.part) < 0.7 and tier"),
        ("chain_of: owner", "chain_of: keeper"), ("each: doc.shops", "each: doc.branches"),
        ("values: {starts: ends}", "values: {since: ends}"),
        ("{level: high, starts: ", "{tier: high, since: "),
        ("{rate: 0.8, level: low, lines: [{rate: 0.6}]}",
         "{paid: 0.8, tier: low, rows: [{part: 0.6}]}"),
        ("edit rate=0.6, edit lines.rate=0.5, edit level=high",
         "edit paid=0.6, edit rows.part=0.5, edit tier=high"),
    ):  # fmt: skip
        assert old in expected, old
        expected = expected.replace(old, new)
    read = YAML(typ="safe", pure=True).load
    assert read(made) == read(expected)


def test_renamed_option_is_followed_through_conditions_outcomes_and_tests():
    made = renamed(
        FLOW, options={("rule", "level", "high"): "top", ("rule", "level", "low"): "base"}
    )
    for part in (
        "level == 'top'", "among: {level: base}", "risk: \"level == 'base'\"", "{level: top,",
        "level: base, lines", "edit level=top",
    ):  # fmt: skip
        assert part in made, part


def test_renamed_field_of_an_item_is_followed_into_the_subflow():
    assert "expr: item.head" in renamed(ACK, fields={("store", "boss"): "head"})


def test_renamed_type_is_followed():
    assert "document: policy" in renamed(FLOW, types={"rule": "policy"})


def test_words_of_a_flow_name_every_field_that_it_uses():
    words = " ".join(words_of(release(FLOW, ACK).flows["release"]))
    for name in ("rate", "owner", "level", "shop", "shops", "starts", "ends", "lines", "high"):
        assert name in words
