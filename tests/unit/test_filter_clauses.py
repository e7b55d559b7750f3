"""Conditions as parts to choose from: nothing is lost between text and parts."""

import pytest

from core.expression import ExpressionError
from core.expression.clauses import clauses


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", {"all": []}),
        ("  ", {"all": []}),
        ("a == 'x'", {"all": [{"field": "a", "operator": "==", "value": "x"}]}),
        ("3 < n", {"all": [{"field": "n", "operator": ">", "value": "3"}]}),
        ("n == -1.50", {"all": [{"field": "n", "operator": "==", "value": "-1.5"}]}),
        ("a is not empty", {"all": [{"field": "a", "operator": "is not empty"}]}),
        ("a not in ['x', 'y']", {"all": [{"field": "a", "operator": "not in", "value": ["x", "y"]}]}),
        ("open == true", {"all": [{"field": "open", "operator": "==", "value": True}]}),
        ("member.name == '王'", {"all": [{"field": "member.name", "operator": "==", "value": "王"}]}),
        ("startswith(a, 'x')", {"all": [{"field": "a", "operator": "starts with", "value": "x"}]}),
        ("day <= today()", {"all": [{"field": "day", "operator": "<=", "value": {"call": "TODAY()"}}]}),
        ("owner == current_user", {"all": [{"field": "owner", "operator": "==", "value": {"call": "current_user"}}]}),
        ("a == 'x' or (b > 1 and c is empty)", {"any": [
            {"field": "a", "operator": "==", "value": "x"},
            {"all": [{"field": "b", "operator": ">", "value": "1"}, {"field": "c", "operator": "is empty"}]},
        ]}),
        # What is no field, operator and value stays to the letter.
        ("a == b", {"all": [{"text": "a == b"}]}),
        ("not (a == 'x')", {"all": [{"text": "not (a == 'x')"}]}),
        ("LEN(a) > 2 and n + 1 > 3", {"all": [{"text": "LEN(a) > 2"}, {"text": "n + 1 > 3"}]}),
        ("(n + 1) * 2 > ((3 - m) + 1) and a == b", {"all": [{"text": "(n + 1) * 2 > ((3 - m) + 1)"}, {"text": "a == b"}]}),
        ("((a == b)) or CONCAT(a, ')(') == c", {"any": [{"text": "a == b"}, {"text": "CONCAT(a, ')(') == c"}]}),
        ("open", {"all": [{"text": "open"}]}),
        ("a in [b, 'x']", {"all": [{"text": "a in [b, 'x']"}]}),
    ],
)  # fmt: skip
def test_a_condition_as_parts(text, part):
    assert clauses(text) == part


@pytest.mark.parametrize("text", ["a ==", "a == 'x", "(a", "[" * 50, "a and and b"])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ExpressionError):
        clauses(text)


@pytest.mark.parametrize(
    "text", ["(a == b) and ((n + 1) * (m - 2) > (3) or not ((a == b)))", "((n)) + (1) > 2"]
)
def test_text_that_stays_reads_as_it_did(text):
    def texts(part):
        if "text" in part:
            yield part["text"]
        for one in (*part.get("all", ()), *part.get("any", ())):
            yield from texts(one)

    for one in texts(clauses(text)):
        assert clauses(one) in ({"all": [{"text": one}]}, {"any": [{"text": one}]})
