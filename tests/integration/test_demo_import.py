"""The demo's real sales come in whole, and a second time adds nothing."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from core.actor import SYSTEM
from core.clock import Clock
from core.demo.loading import load_demo
from core.extension.hooks import Hooks
from core.migration.run import Publication, publish
from core.migration.sources import disk_sources
from core.schema.layers import effective
from core.settings import ROOT
from core.tables.registry import Registries
from tests.integration.demo_world import sales_of_a_day


def release():
    stored = disk_sources(ROOT / "schemas", [], ROOT / "nowhere")
    return stored, effective([one.source() for one in stored], None, 1)


@pytest.fixture
def parts(bootstrapped):
    database = bootstrapped
    _stored, found = release()
    publish(
        database, Publication(release=found, sources=[], note="", actor=SYSTEM, at=Clock().now())
    )
    return SimpleNamespace(
        db=database, registries=Registries(database), hooks=Hooks(), clock=Clock()
    )


def figures(parts):
    tables = parts.registries.current().tables
    order, lines, member = (
        tables["order"].main,
        tables["order"].children["lines"],
        tables["member"].main,
    )
    with parts.db.read() as connection:
        rows = connection.execute(sa.select(lines.c.quantity, lines.c.unit_price)).all()
        return {
            "lines": len(rows),
            "sum": sum(quantity * price for quantity, price in rows),
            "invoices": connection.scalar(sa.select(sa.func.count()).select_from(order)),
            "returns": connection.scalar(
                sa.select(sa.func.count()).select_from(order).where(order.c.kind == "return")
            ),
            "members": connection.scalar(sa.select(sa.func.count()).select_from(member)),
        }


WHOLE = {
    "lines": 31_102,
    "sum": Decimal("530356.91"),
    "invoices": 1_458,
    "returns": 215,
    "members": 768,
}
#: The same of the lines of 1 December 2010.
DAY = {
    "lines": 3_108,
    "sum": Decimal("58635.56"),
    "invoices": 143,
    "returns": 6,
    "members": 98,
}


def load_twice(parts, wanted, **options):
    said = []
    first = load_demo(parts, said.append, **options)
    assert {name: one.problems for name, one in first.items()} == {
        "product": [],
        "member": [],
        "order": [],
    }
    assert figures(parts) == wanted
    assert [text.split(":")[1].strip() for text in said] == ["product", "member", "order"]
    second = load_demo(parts, **options)
    assert {name: (one.created, one.refused) for name, one in second.items()} == {
        "product": (0, 0),
        "member": (0, 0),
        "order": (0, 0),
    }
    assert figures(parts) == wanted


def test_demo_twice_gives_the_figures_once(parts, backend, tmp_path):
    if backend == "sqlite":
        load_twice(parts, WHOLE)
        return
    load_twice(parts, DAY, sales=sales_of_a_day(tmp_path))
