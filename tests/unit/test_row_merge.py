"""Row by row: what two people's changes of one table come to."""

import pytest

from core.schema.model import Field
from core.web.rowmerge import merge_rows

TABLE = Field(
    id="t",
    name="lines",
    type="table",
    fields=(
        Field(id="a", name="what", type="text"),
        Field(id="b", name="cost", type="money", precision=2),
    ),
)


def rows(text):
    """Return rows of a short text: `a:tea:1 b:cup:2`, a new row without its id."""
    found = []
    for part in text.split():
        row_id, what, cost = part.split(":")
        found.append({**({"id": row_id} if row_id else {}), "what": what, "cost": cost})
    return found


def shown(merged):
    return None if merged is None else [
        ":".join((row.get("id", ""), row.get("what", ""), row.get("cost", ""))) for row in merged
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("theirs", "mine", "expected"),
    [
        ("a:tea:1 b:cup:2", "a:tea:1 b:cup:2", ["a:tea:1", "b:cup:2"]),
        ("a:tea:9 b:cup:2", "a:tea:1 b:mug:2", ["a:tea:9", "b:mug:2"]),
        ("a:tea:9 b:cup:2", "a:chai:1 b:cup:2", ["a:chai:9", "b:cup:2"]),
        ("a:tea:1.00 b:cup:2", "a:tea:3 b:cup:2", ["a:tea:3", "b:cup:2"]),
        ("a:tea:9 b:cup:2", "a:tea:9 b:cup:2", ["a:tea:9", "b:cup:2"]),
        ("a:tea:9 b:cup:2", "a:tea:8 b:cup:2", None),
        ("a:tea:1", "a:tea:5 b:cup:2", ["a:tea:5"]),
        ("a:tea:1", "a:tea:1 b:mug:2", None),
        ("a:tea:9 b:cup:2", "b:cup:2", None),
        ("a:tea:1 b:mug:2", "b:cup:2", ["b:mug:2"]),
        ("a:tea:1 b:cup:2 c:pot:3", "a:tea:1 :milk:4", ["a:tea:1", ":milk:4", "c::"]),
        ("", "", []),
    ],
)
def test_rows_merge_cell_by_cell_or_collide(theirs, mine, expected):
    base = rows("a:tea:1 b:cup:2")
    assert shown(merge_rows(TABLE, base, rows(theirs), rows(mine))) == expected
