"""Loads the demo's records through the public operations and the public importer.

Everything may run again: what exists is skipped by its code or number.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.actor import SYSTEM
from core.context import Context
from core.errors import Invalid
from core.migration.parts import Parts
from core.records.creating import insert_many
from core.records.importing import Report, run_import
from core.records.mapping import load_mapping
from core.schema.yamlnodes import Node, Source, read_node

FOLDER = Path(__file__).parent
SALES = FOLDER / "online_retail_2010-12.csv.xz"

#: The record types that the sales are imported into, in the order links need.
IMPORTED = ("product", "member", "order")

Say = Callable[[str], None]


def _silent(_text: str) -> None:
    pass


def load_demo(parts: Parts, say: Say = _silent, *, sales: Path = SALES) -> dict[str, Report]:
    """Load stores, categories, counters, brands, products, members and orders.

    Args:
        parts: the product to load them into.
        say: is told one line per type of record.
        sales: the file of order lines.

    Returns:
        the report of each import.

    Raises:
        Invalid: a record of the demo was refused.
    """
    ctx = Context.of(parts, SYSTEM, door="import")
    load_base(ctx)
    reports = {}
    for name in IMPORTED:
        mapping = load_mapping((FOLDER / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")
        done = reports[name] = run_import(ctx, name, sales, mapping=mapping)
        say(f"Demo: {name}: {done.created:,} created, {done.skipped:,} known already")
    return reports


def load_base(ctx: Context) -> None:
    """Create the stores, categories, departments, counters and brands that are missing.

    Raises:
        Invalid: one was refused.
    """
    for type_name, records in read_demo(FOLDER / "base.yaml").items():
        for values in records:
            _create(ctx, type_name, values)


def read_demo(path: Path) -> Any:
    """Return what a file of the demo says, with texts for what is no list and no mapping.

    Raises:
        Invalid: it is not YAML.
    """
    node, problems = read_node(Source("core", path.name, path.read_bytes()))
    if node is None or problems:
        raise Invalid(problems=problems)
    return _plain(node)


def _plain(node: Node) -> Any:
    if node.kind == "map":
        return {key: _plain(value) for key, value in node.entries.items()}
    return [_plain(item) for item in node.items] if node.kind == "list" else node.text


def _create(ctx: Context, type_name: str, values: dict[str, str]) -> None:
    if _id_of(ctx, type_name, values["code"]) is not None:
        return
    record_type = ctx.registry.record_type(type_name)
    wire: dict[str, Any] = dict(values)
    for name, value in values.items():
        field = record_type.field(name)
        if field is not None and field.type == "link":
            wire[name] = _id_of(ctx, field.target, value)
    (outcome,) = insert_many(ctx, type_name, [wire])
    if isinstance(outcome, Exception):
        raise outcome


def _id_of(ctx: Context, type_name: str, code: str) -> str | None:
    table = ctx.registry.tables[type_name].main
    with ctx.reading() as connection:
        return connection.scalar(
            sa.select(table.c.id).where(table.c.code == code, table.c.deleted_at.is_(None))
        )
