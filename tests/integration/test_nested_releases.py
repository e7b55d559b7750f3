"""Table fields inside table fields through releases: made, renamed, converted, put away."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.errors import SchemaError
from core.ids import new_id
from tests.integration.release_world import world  # noqa: F401  a fixture

PARCEL = """
record_type: parcel
fields:
  - {name: code, type: text}
  - name: lines
    type: table
    fields:
      - {name: article, type: text}
      - name: parts
        type: table
        fields:
          - {name: serial, type: text}
          - {name: worth, type: decimal}
"""
RENAMED = """
record_type: parcel
fields:
  - {name: code, type: text}
  - name: items
    was: lines
    type: table
    fields:
      - {name: article, type: text}
      - name: pieces
        was: parts
        type: table
        fields:
          - {name: number, was: serial, type: integer}
          - {name: worth, type: decimal}
          - {name: twice, type: formula, formula: "worth * 2"}
      - {name: total, type: rollup, of: pieces, take: twice, how: sum}
  - {name: total, type: rollup, of: items, take: total, how: sum}
  - {name: count, type: formula, formula: "COUNT(items.pieces)"}
changes:
  - {retype: {field: items.pieces.number, to: integer}}
"""
WITHOUT = """
record_type: parcel
fields:
  - {name: code, type: text}
  - name: items
    type: table
    fields:
      - {name: article, type: text}
"""


def add_rows(world, record, parts):
    """Insert one line with its parts, as they lie in the tables."""
    tables = world.registries.current().tables["parcel"]
    line = new_id()
    with world.db.write() as connection:
        row = {"id": line, "record_id": record, "position": 0, "article": "lamp"}
        connection.execute(tables.children["lines"].insert().values(row))
        for position, values in enumerate(parts):
            place = {"id": new_id(), "record_id": record, "row_id": line, "position": position}
            connection.execute(tables.rows_of("lines.parts").insert().values({**place, **values}))


def inside(world, path):
    table = world.registries.current().tables["parcel"].rows_of(path)
    with world.db.read() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.position)).mappings()
        return [dict(row) for row in found]


def test_inner_tables_are_renamed_converted_computed_and_put_away(world):
    world.publish(PARCEL)
    (record,) = world.add("parcel", {"code": "P1"})
    parts = [{"serial": "7", "worth": Decimal(2)}, {"serial": "8", "worth": Decimal("1.5")}]
    add_rows(world, record, parts)
    world.publish(RENAMED)
    world.assert_sound()
    rows = inside(world, "items.pieces")
    assert [(row["number"], row["twice"]) for row in rows] == [(7, 4), (8, 3)]
    assert world.values("parcel", "total", "items") == world.values("parcel", "total") == [7]
    assert world.values("parcel", "count") == [2]
    world.publish(WITHOUT)
    world.assert_sound()
    assert world.registries.current().tables["parcel"].inner == {}
    # Its name taken anew starts without the old rows, which come back with the old release.
    again = (
        WITHOUT
        + "      - {name: pieces, id: other, type: table, fields: [{name: x, type: text}]}\n"
    )
    world.publish(again)
    world.assert_sound()
    assert inside(world, "items.pieces") == []


def test_third_level_is_refused_where_it_is_written(world):
    deep = PARCEL + "          - {name: deep, type: table, fields: [{name: a, type: text}]}\n"
    with pytest.raises(SchemaError) as refused:
        world.publish(deep)
    (problem,) = refused.value.problems
    assert (problem.code, problem.line, problem.column) == ("schema.too_deep", 13, 32)
