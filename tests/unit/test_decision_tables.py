"""Decision tables: a cell means what its condition means, and rows are told apart exactly."""

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.expression.compiled import compile_expression
from core.expression.types import NUMBER, TEXT, PlainEnv, Scope
from core.schema.decisionchecks import find_gap, row_masks
from core.schema.decisiontables import (
    CellError,
    DecisionTable,
    TableInput,
    TableRow,
    cells_of,
    chosen_sources,
    read_cell,
    row_conditions,
)
from core.schema.flows import Source
from core.schema.layers import SchemaError, effective
from core.schema.yamlnodes import Source as File
from tests.effort import Effort

NUMBERS = [Decimal(number) for number in (-1, 0, 1, 5, 10)]
BOUND = st.sampled_from([str(number) for number in NUMBERS])


@st.composite
def number_cells(draw) -> str:
    tests = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["value", "sign", "range", "null"]))
        low, high = sorted((draw(BOUND), draw(BOUND)), key=Decimal)
        tests.append(
            {
                "value": low,
                "sign": draw(st.sampled_from(["<", "<=", ">", ">=", "="])) + " " + low,
                "range": f"{draw(st.sampled_from('[('))}{low}..{high}"
                f"{draw(st.sampled_from('])'))}",
                "null": "null",
            }[kind]
        )
    text = ", ".join(tests)
    return draw(st.sampled_from(["{}", "not({})"])).format(text)


def value_of(condition: str, **values) -> bool:
    scope = Scope(fields={"amount": NUMBER, "category": TEXT})
    return bool(compile_expression(condition, scope).evaluate(values, PlainEnv()))


@settings(max_examples=60)
@given(number_cells(), st.sampled_from([None, *NUMBERS, Decimal("0.5"), Decimal(11)]))
def test_cell_holds_exactly_where_its_condition_does(text: str, value: Decimal | None) -> None:
    cell = read_cell(text, "number")
    condition = cell.condition("amount") or "true"
    assert value_of(condition, amount=value) is cell.holds(value), condition


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("tea, coffee", "tea", True),
        ("tea, coffee", "milk", False),
        ('not("tea")', "milk", True),
        ('not("tea")', None, False),
        ('"it\'s, so"', "it's, so", True),
        ("-", None, True),
        ("null", None, True),
    ],
)
def test_text_cell_as_people_write_it(text: str, value: str | None, expected: bool) -> None:
    cell = read_cell(text, "text")
    assert cell.holds(value) is expected
    assert value_of(cell.condition("category") or "true", category=value) is expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("< tea", "number"), ("[5..1]", "number"), ("1,", "number"), ("1 2", "number"),
        ("2026-02-30", "date"), ("yes", "boolean"), ("< true", "boolean"), ("not()", "text"),
        ("x" * 301, "text"), ("(1..", "number"),
    ],
)  # fmt: skip
def test_cell_that_is_no_test_is_refused(text: str, kind: str) -> None:
    with pytest.raises(CellError):
        read_cell(text, kind)


def table(hit: str, *rows: tuple[str, str]) -> DecisionTable:
    return DecisionTable(
        decision_table="matrix",
        hit=hit,
        inputs=(TableInput(name="category"), TableInput(name="amount", type="number")),
        rows=tuple(
            TableRow(when=row, approvers=Source(role=f"r{at}")) for at, row in enumerate(rows)
        ),
    )


ROWS = [("tea", "< 1000"), ("tea", "[1000..5000)"), ("-", ">= 5000")]


def test_first_row_that_holds_names_the_approvers() -> None:
    matrix = table("first", *ROWS)
    conditions = row_conditions(matrix, ["category", "amount"])
    for amount, role in ((999, "r0"), (1000, "r1"), (4999, "r1"), (5000, "r2")):
        held = [value_of(one, category="tea", amount=Decimal(amount)) for one in conditions]
        assert [one.role for one in chosen_sources(matrix, held)] == [role]
    held = [value_of(one, category="milk", amount=Decimal(1)) for one in conditions]
    assert chosen_sources(matrix, held) == ()


def test_collect_unites_and_unique_never_guesses() -> None:
    held = [True, False, True]
    assert [one.role for one in chosen_sources(table("collect", *ROWS), held)] == ["r0", "r2"]
    assert chosen_sources(table("unique", *ROWS), held) == ()


def test_gap_is_found_with_values_that_fall_into_it() -> None:
    category, amount = find_gap(table("first", *ROWS))
    assert not any(
        all(cell.holds(value) for cell, value in zip(cells_of(table("first", *ROWS), row),
                                                     (category, amount), strict=True))
        for row in table("first", *ROWS).rows
    )  # fmt: skip
    assert find_gap(table("first", ("-", "-"))) is None


def published(hit: str, rows: str) -> list[str]:
    text = f"""
decision_table: matrix
hit: {hit}
inputs: [{{name: category}}, {{name: amount, type: number}}]
rows:
{rows}
"""
    try:
        effective([File("core", "matrix.yaml", text)], None, 1)
    except SchemaError as error:
        return [f"{one.code}@{one.line}" for one in error.problems]
    return []


ROW = "  - {{when: [{}, '{}'], approvers: {{role: r}}}}"


def test_unreachable_and_overlapping_rows_are_refused_with_their_line() -> None:
    shadowed = "\n".join([ROW.format("'-'", "< 10"), ROW.format("tea", "[1..5]")])
    assert published("first", shadowed) == ["schema.unreachable@7"]
    assert published("unique", shadowed) == ["schema.overlap@7"]
    assert published("collect", shadowed) == []


def test_bad_cells_are_all_told_at_their_place() -> None:
    rows = "\n".join([ROW.format("tea", "cheap"), "  - {when: [tea], approvers: {role: r}}"])
    assert published("first", rows) == ["schema.bad_cell@6", "schema.bad_count@7"]


@settings(max_examples=25)
@given(st.lists(st.tuples(number_cells(), number_cells()), min_size=2, max_size=4))
def test_bits_tell_every_two_rows_apart(rows: list[tuple[str, str]]) -> None:
    cells = [[read_cell(text, "number") for text in row] for row in rows]
    fine = [None, *(Decimal(number) / 4 for number in range(-8, 48))]
    masks = row_masks(cells)
    for (first, of_first), (second, of_second) in product(
        zip(cells, masks, strict=True), repeat=2
    ):
        for at in (0, 1):
            by_grid = any(first[at].holds(one) and second[at].holds(one) for one in fine)
            assert bool(of_first[at] & of_second[at]) == by_grid
            within = all(second[at].holds(one) for one in fine if first[at].holds(one))
            assert (not of_first[at] & ~of_second[at]) == within


@pytest.mark.parametrize("hit", ["first", "unique", "collect"])
def test_largest_table_is_checked_at_once(hit: str) -> None:
    inputs = tuple(TableInput(name=f"i{at}", type="number") for at in range(8))
    rows = tuple(
        TableRow(
            when=tuple(f"[{at + n}..{at + n + 2})" for n in range(8)), approvers=Source(role="r")
        )
        for at in range(200)
    )
    largest = DecisionTable(decision_table="m", hit=hit, inputs=inputs, rows=rows)
    effort = Effort()
    assert len(row_masks([cells_of(largest, row) for row in largest.rows])) == 200
    assert find_gap(largest) is None
    assert effort.seconds < 1
