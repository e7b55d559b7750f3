"""Expressions taken apart into rows: what rows can say, what stays text."""

import pytest

from core.expression import ExpressionError
from core.expression.visual import read_rows


def row(field, operator, *values):
    return {"field": field, "operator": operator, "values": list(values)}


def text(value):
    return {"kind": "text", "text": value}


ROWS = {
    "name == 'x'": row("name", "==", text("x")),
    "line.unit_price < line.product.list_price": row(
        "line.unit_price", "<", {"kind": "field", "text": "line.product.list_price"}
    ),
    "1.50 < price": row("price", ">", {"kind": "number", "text": "1.5"}),
    "vip == true": row("vip", "==", {"kind": "truth", "text": "true"}),
    "member.tier.name != ''": row("member.tier.name", "!=", text("")),
    "name is not empty": row("name", "is not empty"),
    "not name is empty": row("name", "is not empty"),
    "status in ['a', 'b']": row("status", "in", text("a"), text("b")),
    "status not in ['a']": row("status", "not in", text("a")),
    "contains(name, '王')": row("name", "contains", text("王")),
    "STARTSWITH(name, 'a')": row("name", "starts with", text("a")),
    "owner == current_user": row("owner", "==", {"kind": "name", "text": "current_user"}),
    "current_user in watchers": row("watchers", "has", {"kind": "name", "text": "current_user"}),
    "'a' not in tags": row("tags", "has not", text("a")),
    "WEEKDAY(sale.ordered_at) in [2, 6]": row(
        "sale.ordered_at",
        "weekday",
        {"kind": "number", "text": "2"},
        {"kind": "number", "text": "6"},
    ),
    "weekday(born) == 7": row("born", "weekday", {"kind": "number", "text": "7"}),
    "MONTH(member.birthday) == month(sale.ordered_at)": row(
        "member.birthday", "same month", {"kind": "field", "text": "sale.ordered_at"}
    ),
    "DAY(born) == DAY(TODAY())": row("born", "same day", {"kind": "call", "text": "TODAY()"}),
    "joined >= TODAY()": row("joined", ">=", {"kind": "call", "text": "TODAY()"}),
    "joined <= today()": row("joined", "<=", {"kind": "call", "text": "TODAY()"}),
    "joined >= dateadd(TODAY(), -30, 'day')": row(
        "joined", ">=", {"kind": "call", "text": "DATEADD(TODAY(), -30, 'day')"}
    ),
    "made < DATEADD(NOW(), 7, 'day')": row(
        "made", "<", {"kind": "call", "text": "DATEADD(NOW(), 7, 'day')"}
    ),
    "n == -1.50": row("n", "==", {"kind": "number", "text": "-1.5"}),
    "status not in ['a', 'b']": row("status", "not in", text("a"), text("b")),
    "member.name == '王'": row("member.name", "==", text("王")),
}


@pytest.mark.parametrize("written", ROWS)
def test_a_condition_becomes_a_row(written):
    assert read_rows(written) == {"how": "and", "parts": [ROWS[written]]}


@pytest.mark.parametrize(
    "written",
    ["a == b + 1", "LEN(name) > 2", "closed", "not a == 1", "a == null", "x in []", "a + 1 > 2",
     "any(lines, price < 0)", "CONTAINS(name, other)", "true", "a == 1 if b else c", "open",
     "not (a == 'x')", "MONTH(a) != MONTH(b)", "MONTH(a) == DAY(b)", "MONTH(a) == 3",
     "YEAR(a) == YEAR(b)", "MONTH(a) == MONTH('2026-01-01')", "a in [b, 'x']", "a in ['x', TODAY()]", "a >= DATEADD(TODAY(), n, 'day')",
     "a >= DATEADD(TODAY(), -1, 'month')", "a >= DATEADD(b, -1, 'day')",
     "a >= DATEADD(TODAY(), 1.5, 'day')", "a >= DATEADD(TODAY(), 1)"],
)  # fmt: skip
def test_what_no_row_says_stays_its_own_text(written):
    assert read_rows(written) == {"how": "and", "parts": [{"text": written}]}


def test_groups_keep_how_they_go_together():
    assert read_rows("a == 1 and (b == 2 or c == d + 1)") == {
        "how": "and",
        "parts": [
            row("a", "==", {"kind": "number", "text": "1"}),
            {
                "how": "or",
                "parts": [row("b", "==", {"kind": "number", "text": "2"}), {"text": "c == d + 1"}],
            },
        ],
    }


def test_groups_too_deep_for_rows_stay_text():
    written = "a == 1"
    for depth in range(8):
        written = f"(a == {depth}) {'and' if depth % 2 else 'or'} ({written})"
    found, depth = read_rows(written), 0
    while "parts" in found:
        found, depth = found["parts"][-1], depth + 1
    assert depth == 4
    assert found["text"].startswith("(a == 3)") or "and" in found["text"]


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ("LEN(a) > 2 and n + 1 > 3", ["LEN(a) > 2", "n + 1 > 3"]),
        ("(n + 1) * 2 > ((3 - m) + 1) and a == -b", ["(n + 1) * 2 > ((3 - m) + 1)", "a == -b"]),
        ("((a == -b)) or CONCAT(a, ')(') == c", ["a == -b", "CONCAT(a, ')(') == c"]),
        ("(a == -b) and ((n + 1) * (m - 2) > (3) or not ((a == -b)))",
         ["a == -b", "(n + 1) * (m - 2) > (3)", "not ((a == -b))"]),
        ("((n)) + (1) > 2", ["((n)) + (1) > 2"]),
    ],
)  # fmt: skip
def test_text_that_stays_keeps_its_brackets_and_reads_as_it_did(written, texts):
    def stayed(part):
        if "text" in part:
            yield part["text"]
        for one in part.get("parts", ()):
            yield from stayed(one)

    assert list(stayed(read_rows(written))) == texts
    for one in texts:
        assert read_rows(one) == {"how": "and", "parts": [{"text": one}]}


@pytest.mark.parametrize("written", ["", "  "])
def test_a_blank_text_is_a_group_of_nothing(written):
    assert read_rows(written) == {"how": "and", "parts": []}


@pytest.mark.parametrize(
    "written", ["a ==", "(" * 500, "a b", "a == 'x", "(a", "[" * 50, "a and and b"]
)
def test_what_is_no_expression_is_refused(written):
    with pytest.raises(ExpressionError):
        read_rows(written)
