"""Python, SQLite, PostgreSQL and the browser's interpreter compute the same."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import core
from core.db import Database
from core.expression import Expression, compile_expression
from core.expression.jsontree import wire
from core.expression.sql import sql_clause, sql_value, sql_values
from core.expression.types import NUMBER, TEXT, PlainEnv, Scope, Type
from core.testing import campaigns
from core.testing.databases import BACKENDS, empty_database
from tests.integration import expression_world as worlds
from tests.integration.expression_writer import KINDS_WRITTEN, Writer

EXPRESSIONS, RECORDS = 30, 12
MODULE = Path(core.__file__).parent / "web/static/gx/expression.js"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


@pytest.fixture(scope="module")
def node() -> Iterator[worlds.Node]:
    process = worlds.Node(Path(worlds.__file__).with_suffix(".mjs"), MODULE)
    yield process
    process.close()


@pytest.fixture(scope="module")
def databases(tmp_path_factory) -> Iterator[dict[str, Database]]:
    with contextlib.ExitStack() as stack:
        yield {
            backend: stack.enter_context(empty_database(backend, tmp_path_factory.mktemp("x")))
            for backend in BACKENDS
        }


def expressions(random: Random) -> list[Expression]:
    """Return random expressions that compile; a few drawn ones are over a bound."""
    writer, found = Writer(random), []
    while len(found) < EXPRESSIONS:
        kind = random.choice(KINDS_WRITTEN)
        text = writer.write(kind, random.randint(1, 4))
        if len(text) < 1000 and text.count("(") < 60:
            found.append(compile_expression(text, worlds.SCOPE))
    return found


def in_sql(database: Database, drawn: list[Expression], world: worlds.World) -> list[list[Any]]:
    """Return each expression's values per record, and check its WHERE form on the way."""
    table = worlds.TABLES["order"]
    columns = worlds.WorldColumns(database.dialect, "order", table)
    values = sql_values(world)
    with database.engine.connect() as connection:
        worlds.fill(connection, world)
        selected = [sql_value(one, columns).label(f"v{n}") for n, one in enumerate(drawn)]
        wheres = [
            sa.case((sql_clause(one, columns), 1), else_=0).label(f"w{n}")
            for n, one in enumerate(drawn)
            if one.type.kind == "boolean"
        ]
        statement = sa.select(table.c.id, *selected, *wheres).select_from(table)
        rows = {row["id"]: row for row in connection.execute(statement, values).mappings()}
        connection.rollback()
    ordered = [rows[one["id"]] for one in world.orders]
    for n, one in enumerate(drawn):
        if one.type.kind == "boolean":
            where = [bool(row[f"w{n}"]) for row in ordered]
            assert where == [bool(row[f"v{n}"]) for row in ordered], one.text
    return [[_wire(row[f"v{n}"], one) for row in ordered] for n, one in enumerate(drawn)]


def _wire(value: Any, expression: Expression) -> Any:
    if value is not None and expression.type.kind == "boolean":
        return bool(value)
    return wire(value)


@settings(max_examples=campaigns.examples(15), suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**63))
def test_targets_random_expressions_agree(seed, node, databases):
    random = Random(seed)
    world, drawn = worlds.world(random, RECORDS), expressions(random)
    python = [[_wire(one.evaluate(row, world), one) for row in world.orders] for one in drawn]
    found = {"node": node.run([one.to_json() for one in drawn], world)}
    for name, database in databases.items():
        found[name] = in_sql(database, drawn, world)
    for n, one in enumerate(drawn):
        for name, values in found.items():
            assert values[n] == python[n], f"{name}: {one.text}"


@settings(max_examples=campaigns.examples(8), suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**63))
def test_conditions_of_rows_in_their_record_agree_in_python_and_the_browser(seed, node):
    random = Random(seed)
    world, writer = worlds.world(random, RECORDS), Writer(random)
    pairs = [(row, one) for one in world.orders for row in one["lines"]]
    texts = [writer.inside(random.choice(KINDS_WRITTEN), random.randint(1, 3)) for _ in range(20)]
    drawn = [compile_expression(one, worlds.LINE_SCOPE) for one in texts if len(one) < 1000]
    python = [[_wire(one.evaluate(pair, world), one) for pair in pairs] for one in drawn]
    assert node.run([one.to_json() for one in drawn], world, pairs) == python or not pairs


PARTS = Scope(
    fields={
        "place": Type("structure", fields={"city": TEXT, "street": TEXT}),
        "spot": Type("structure", fields={"lat": NUMBER, "lng": NUMBER}),
    }
)
PART_ROWS: list[dict[str, Any]] = [
    {"place": {"city": "深圳市", "street": "1号"}, "spot": {"lat": "22.5", "lng": "-0.0000001"}},
    {"place": {"street": "x"}, "spot": None},
    {"place": None, "spot": {"lat": "-90", "lng": "180"}},
]
PART_TEXTS = {
    "place.city == '深圳市'": [True, False, False],
    "place.city is empty": [False, True, True],
    "CONCAT(place.city, place.street)": ["深圳市1号", "x", ""],
    "spot.lat > 0 and spot.lng < 0": [True, False, False],
    "spot.lat * 2": ["45", None, "-180"],
    "place is empty": [False, False, True],
}


def test_parts_of_structured_values_agree_in_python_and_the_browser(node):
    drawn = [compile_expression(text, PARTS) for text in PART_TEXTS]
    python = [[_wire(one.evaluate(row, PlainEnv()), one) for row in PART_ROWS] for one in drawn]
    assert python == list(PART_TEXTS.values())
    world = worlds.world(Random(1), 1)
    world.orders = PART_ROWS
    assert node.run([one.to_json() for one in drawn], world) == python
