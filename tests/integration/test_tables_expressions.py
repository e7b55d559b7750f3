"""Expressions over real tables: links, lists and computed fields, on both databases."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.clock import Clock
from core.expression import PlainEnv
from core.expression.sql import sql_clause, sql_value, sql_values
from core.migration.run import Publication, bootstrap, publish
from core.schema.model import Field, Option, RecordType, Release
from core.tables.registry import Registries
from core.testing.databases import Prepared

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NUMBER = {"result": "decimal", "precision": 2}


def field(name, kind="text", **rest):
    return Field(id=f"f.{name}", name=name, type=kind, **rest)


TIER = RecordType(
    name="tier",
    fields=(field("name"), field("rate", "rate"), field("parent", "link", target="tier")),
)
MEMBER = RecordType(
    name="member",
    fields=(
        field("name"),
        field("tier", "link", target="tier"),
        field("tags", "multi_select", options=(Option(value="vip"), Option(value="new"))),
        field("friends", "links", target="member"),
        field("orders", "backlink", of="order.member"),
        field("order_count", "rollup", of="orders", how="count", result="integer"),
        field("spent", "rollup", of="orders", take="total", how="sum", **NUMBER),
        field("upper", "formula", formula="UPPER(name)", result="text"),
    ),
)
ORDER = RecordType(
    name="order",
    fields=(
        field("no"),
        field("member", "link", target="member"),
        field(
            "lines",
            "table",
            fields=(
                field("price", "money", precision=2),
                field("quantity", "integer"),
                field("amount", "formula", formula="price * quantity", **NUMBER),
            ),
        ),
        field("total", "money", precision=2),
        field("lines_total", "formula", formula="sum(lines.amount)", **NUMBER),
    ),
)
SYSTEM_VALUES = {
    "version": 1, "release": 1, "created_at": NOW, "created_by": "u1", "updated_at": NOW,
    "updated_by": "u1",
}  # fmt: skip


def put(connection, tables, id_, lines=(), friends=(), **values):
    connection.execute(tables.main.insert().values(id=id_, **SYSTEM_VALUES, **values))
    for position, (price, quantity) in enumerate(lines):
        row = {"price": Decimal(price), "quantity": quantity}
        connection.execute(
            tables.children["lines"]
            .insert()
            .values(id=f"{id_}.{position}", record_id=id_, position=position, **row)
        )
    for friend in friends:
        connection.execute(
            tables.links["friends"].insert().values(record_id=id_, target_id=friend)
        )


def fill(database):
    bootstrap(database)
    types = {one.name: one for one in (TIER, MEMBER, ORDER)}
    release = Release(number=1, types=types)
    publish(database, Publication(release, [], "", SYSTEM, Clock().now()))
    registry = Registries(database).current()
    with database.write() as connection:
        tier, member, order = (registry.tables[name] for name in ("tier", "member", "order"))
        put(connection, tier, "t0", name="Base", rate=Decimal(1))
        put(connection, tier, "t1", name="Gold", rate=Decimal("0.85"), parent="t0", deleted_at=NOW)
        put(connection, member, "m1", name="wang", tier="t1", tags=["vip"], friends=["m2", "m3"])
        put(connection, member, "m2", name="li", tags=["new"], friends=["m1"])
        put(connection, member, "m3", name="zhao", deleted_at=NOW)
        put(
            connection,
            order,
            "o1",
            no="1",
            member="m1",
            total=Decimal("10.50"),
            lines=[("0.10", 3), ("2.25", 2)],
        )
        put(connection, order, "o2", no="2", member="m1", total=Decimal("0.30"))
        put(connection, order, "o3", no="3", member="m1", total=Decimal(9), deleted_at=NOW)


@pytest.fixture(scope="module")
def filled(backend, tmp_path_factory):
    made = Prepared(backend, tmp_path_factory.mktemp("expressions"), fill)
    yield made
    made.drop()


@pytest.fixture
def database(filled):
    with filled.fresh() as database:
        yield database


@pytest.fixture
def registry(database, filled):
    return filled.registries().current()


def matching(database, registry, type_name, text, user=""):
    """Return the ids of the live records for which a condition holds."""
    clause = sql_clause(
        registry.expression(type_name, text, "boolean"), registry.columns(type_name)
    )
    table = registry.tables[type_name].main
    query = sa.select(table.c.id).where(clause, table.c.deleted_at.is_(None)).order_by(table.c.id)
    with database.read() as connection:
        return list(connection.scalars(query, sql_values(PlainEnv(user=user, now=NOW))))


@pytest.mark.parametrize(
    ("type_name", "text", "expected"),
    [
        ("member", "name == 'li'", ["m2"]),
        ("member", "tier.name == 'Gold'", ["m1"]),
        ("member", "tier.parent.name == 'Base' and tier.rate < 0.9", ["m1"]),
        ("member", "tier.parent.rate == 1", ["m1"]),
        ("member", "tier is empty", ["m2"]),
        ("member", "'vip' in tags", ["m1"]),
        ("member", "count(orders) == 2", ["m1"]),
        ("member", "order_count == 0", ["m2"]),
        ("member", "spent == 10.8", ["m1"]),
        ("member", "sum(orders.lines_total) == 4.8", ["m1"]),
        ("member", "any(friends, name == 'wang')", ["m2"]),
        ("member", "count(friends) == 1", ["m1", "m2"]),
        ("member", "upper == 'WANG'", ["m1"]),
        ("member", "created_by == current_user", ["m1", "m2"]),
        ("member", "created_at <= NOW() and version == 1", ["m1", "m2"]),
        ("order", "any(lines, price * quantity > 4)", ["o1"]),
        ("order", "lines_total == 4.8", ["o1"]),
        ("order", "max(lines.amount) == 4.50", ["o1"]),
        ("order", "lines is empty", ["o2"]),
        ("order", "member.tier.name == 'Gold' and total > 0.3", ["o1"]),
        ("order", "member.spent > total", ["o1", "o2"]),
        ("order", "count(member.friends) == 1", ["o1", "o2"]),
        ("order", "total >= 0.305", ["o1"]),
    ],
)
def test_condition_selects_the_right_records(database, registry, type_name, text, expected):
    assert matching(database, registry, type_name, text, user="u1") == expected


def test_computed_fields_come_back_as_python_values(database, registry):
    columns = registry.columns("member")
    names = ("order_count", "spent", "upper")
    query = sa.select(*(columns.element(name).label(name) for name in names))
    table = registry.tables["member"].main
    with database.read() as connection:
        row = connection.execute(query.where(table.c.id == "m1")).one()
    assert tuple(row) == (2, Decimal("10.80"), "WANG")
    assert isinstance(row.spent, Decimal)


def test_alias_reads_from_the_alias(database, registry):
    member = registry.tables["member"].main.alias()
    expression = registry.expression("member", "COUNT(orders) * 2")
    value = sql_value(expression, registry.columns("member", member))
    query = sa.select(value).select_from(member)
    with database.read() as connection:
        assert connection.scalars(query.order_by(member.c.id)).all() == [4, 0, 0]


def test_expressions_of_callers_do_not_pile_up(registry, monkeypatch):
    monkeypatch.setattr("core.tables.registry.EXPRESSIONS", 10)
    for number in range(50):
        registry.expression("member", f"name == '{number}'")
    assert len(registry._expressions) <= 10
