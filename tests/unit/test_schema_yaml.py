"""The YAML reader refuses what is hostile, names the place, and stays small."""

import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.schema.binding import Binder
from core.schema.model import Field
from core.schema.yamlnodes import MAX_BYTES, Source, read_node
from core.testing import campaigns

HOSTILE = {
    "24-level merge bomb": (
        "a0: &a0 {k: v}\n"
        + "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 24)),
        "schema.alias",
    ),
    "alias bomb": ("a: &a [x]\nb: [*a, *a]", "schema.alias"),
    "merge key": ("a: {<<: {b: 1}}", "schema.merge"),
    "5,000 brackets": ("[" * 5_000, "schema.too_deep"),
    "5,000 closed brackets": ("[" * 5_000 + "]" * 5_000, "schema.too_deep"),
    "5,000 dashes": ("- " * 5_000 + "a", "schema.too_deep"),
    "5,000 braces": ("{" * 5_000, "schema.key"),
    "4 MB of flat keys": ("\n".join(f"k{n}: {n}" for n in range(300_000)), "schema.too_large"),
    "64 KB of flat keys": ("\n".join(f"k{n}: {n}" for n in range(5_500)), "schema.too_many"),
    "64 KB of flow keys": (
        "{" + ",".join(f"a{n}: 1" for n in range(6_000)) + "}",
        "schema.too_many",
    ),
    "64 KB of items": ("[" + ",".join("a" * 32_000) + "]", "schema.too_many"),
    "python tag": ("a: !!python/object/apply:os.system [ls]", "schema.tag"),
    "two documents": ("a: 1\n---\nb: 2", "schema.documents"),
    "list as a key": ("[a]: 1", "schema.key"),
    "nothing": ("", "schema.empty"),
    "only a comment": ("# nothing", "schema.empty"),
    "huge version": ("%YAML " + "1" * 60_000 + "\n---\na: 1", "schema.yaml"),
    "escaped NUL": ('a: "\\0"', "schema.character"),
    "escaped surrogate": ('a: "\\ud800"', "schema.character"),
    "open bracket": ("a: [1, 2", "schema.yaml"),
    "open quote": ('a: "x', "schema.yaml"),
    "tab for indentation": ("a:\n\tb: 1", "schema.yaml"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_a_hostile_file_is_refused_within_bounds(name):
    text, code = HOSTILE[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    _, problems = read_node(Source("site", "hostile.yaml", text))
    assert [problem.code for problem in problems] == [code]
    assert problems[0].file == "hostile.yaml"
    assert problems[0].line >= 1
    assert time.process_time() - start < 2
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 100


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b"a: b\nc: \xff", "schema.encoding", 2, 4),
        ("a: b\nc: x\x00y", "schema.character", 2, 5),
        ("a: b\nc: x\ufffey", "schema.character", 2, 5),
        ("a:\n\tb: 1", "schema.yaml", 2, 1),
        ("a: 1\nb: {c: 2, c: 3}", "schema.duplicate_key", 2, 11),
        ("a: &x 1", "schema.alias", 1, 4),
    ],
)
def test_reading_a_broken_text_names_its_line_and_column(data, code, line, column):
    _, problems = read_node(Source("site", "x.yaml", data))
    assert [(one.code, one.line, one.column) for one in problems] == [(code, line, column)]


def test_reading_scalars_keeps_them_as_written():
    node, problems = read_node(Source("site", "x.yaml", "a: 12:00\nb: NO\nc: 1.10\nd: 0o17\ne: ~"))
    assert problems == []
    assert {key: one.text for key, one in node.entries.items()} == {
        "a": "12:00",
        "b": "NO",
        "c": "1.10",
        "d": "0o17",
        "e": "~",
    }
    assert node.entries["e"].is_null
    assert not node.entries["b"].is_null


def test_reading_a_file_with_a_byte_order_mark_ignores_it():
    node, problems = read_node(Source("site", "x.yaml", b"\xef\xbb\xbfa: 1"))
    assert problems == []
    assert node.entries["a"].text == "1"


def test_reading_a_file_at_the_limit_is_accepted():
    text = "a: '" + "x" * (MAX_BYTES - 5) + "'"
    node, problems = read_node(Source("site", "x.yaml", text))
    assert problems == []
    assert len(node.entries["a"].text) == MAX_BYTES - 5


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("a: {zh: 主题， en: x}\n", (1, 11), "Type , here, not the full-width ，."),
        ("a: 1\nmenu： x\nb: 2\n", (2, 5), "Type : here, not the full-width ：."),
        ("a: {zh: 大，小\nb: 1\n", (2, 2), "A comma or a closing } is missing before this."),
        ("a:\n\tb: 1\n", (2, 1), "Indent with spaces; this is a tab."),
        ("- a: 1\n b: 2\n", (2, 2), "This is not in line with what stands above."),
    ],
)
def test_usual_slips_are_said_where_they_are_and_what_to_do(text, place, told):
    _node, [problem] = read_node(Source("site", "x.yaml", text))
    assert (problem.code, (problem.line, problem.column)) == ("schema.yaml", place)
    assert problem.text.format_map(problem.params) == told


def test_a_label_without_a_language_says_how_it_is_written():
    node, _problems = read_node(Source("site", "x.yaml", "name: a\ntype: text\nlabel: 主题\n"))
    binder = Binder()
    binder.struct(node, Field)
    [problem] = binder.problems
    assert problem.params == {"example": "{zh: 会员, en: Member}"}


@settings(max_examples=campaigns.examples(150))
@given(st.text(alphabet="ab:-?,[]{}&*!|>'\"%@`#~ \n\t\\x0<=0.é\u2028", max_size=60))
def test_reading_any_text_never_raises(text):
    node, problems = read_node(Source("site", "x.yaml", text))
    assert node is not None or problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


@given(st.binary(max_size=60))
def test_reading_any_bytes_never_raises(data):
    node, problems = read_node(Source("site", "x.yaml", data))
    assert node is not None or problems
