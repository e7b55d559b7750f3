"""What changed in a document, cell by cell, as a refused decision tells it."""

from core.workflow.subject import changed_cells


def test_changed_cells_of_a_table_are_told_one_by_one() -> None:
    rows = [
        {
            "change": "same",
            "before": {"id": "a", "rate": "0.9"},
            "after": {"id": "a", "rate": "0.9"},
        },
        {
            "change": "changed",
            "before": {"id": "b", "rate": "0.65", "scope": "brand"},
            "after": {"id": "b", "rate": "0.60", "scope": "brand"},
        },
        {"change": "added", "before": None, "after": {"id": "c", "rate": "0.5", "note": None}},
        {"change": "removed", "before": {"id": "d", "rate": "0.4"}, "after": None},
    ]
    assert list(changed_cells({"field": "lines", "type": "table", "rows": rows})) == [
        ("lines.b.rate", "0.65", "0.60"),
        ("lines.c", None, "0.5"),
        ("lines.d", "0.4", None),
    ]


def test_changed_field_outside_a_table_is_told_whole() -> None:
    change = {"field": "rate", "type": "rate", "before": None, "after": "0.6"}
    assert list(changed_cells(change)) == [("rate", None, "0.6")]
