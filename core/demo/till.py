"""Loads what a newcomer finds at the till: card types, members with cards, discounts, a scene.

Documents are written and submitted by the demo's clerk and put in force by its approver, so
that histories read as they do at work. Everything may run again, and twice at once: what exists
by its key stays as it is, and a document that waits goes on where it stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.actor import SYSTEM
from core.context import Context
from core.demo.loading import FOLDER, Say, read_demo
from core.errors import NotFound, PluginDisabled
from core.migration.locks import exclusive
from core.migration.parts import Parts
from core.records.operations import create_record
from core.security.users import active_user, user_table
from core.workflow.deciding import decide
from core.workflow.operations import submit
from core.workflow.queue.inbox import list_tasks

#: How long the second of two at once waits for the first.
_SECONDS = 120.0
#: By what records of a type are linked to in the file.
_CALLED = {"card_type": "code", "member": "no", "store": "code"}


@dataclass(frozen=True, slots=True)
class _People:
    """Who does what: the product itself where there is no document."""

    product: Context
    clerk: Context
    approver: Context


def load_till(parts: Parts, say: Say) -> None:
    """Make what is missing of `till.yaml`, where the demo's clerk and approver are.

    Types of plugins that do not run are left out, and what links to their records.

    Args:
        parts: the product to load them into.
        say: is told in one line.

    Raises:
        UserError: a record was refused.
        Unavailable: somebody else loads it, or changes forms, for minutes.
    """
    with exclusive(parts.db, wait=_SECONDS):
        people = _people(parts)
        if people is None:
            return
        made = 0
        for group in read_demo(FOLDER / "till.yaml"):
            for values in group["records"]:
                made += _load_where_it_runs(people, group, values)
    say(f"Demo: till: {made:,} created")


def _load_where_it_runs(people: _People, group: Mapping[str, Any], values: dict[str, Any]) -> bool:
    try:
        return _load(people, group, values)
    except (NotFound, PluginDisabled):
        return False


def _people(parts: Parts) -> _People | None:
    product = Context.of(parts, SYSTEM, door="import")
    with product.reading() as connection:
        query = sa.select(user_table.c.username, user_table.c.id).where(
            user_table.c.username.in_(("clerk", "approver"))
        )
        ids = dict(map(tuple, connection.execute(query)))
    actors = {name: active_user(product, str(each)) for name, each in ids.items()}
    clerk, approver = actors.get("clerk"), actors.get("approver")
    if clerk is None or approver is None:
        return None
    return _People(product, Context.of(parts, clerk), Context.of(parts, approver))


def _load(people: _People, group: Mapping[str, Any], values: dict[str, Any]) -> bool:
    """Make a record unless it is there; return whether it was made."""
    ctx, type_name, key = people.product, group["type"], group["key"]
    wire = {name: _wire(ctx, type_name, name, value) for name, value in values.items()}
    is_document = "is_document" in group
    record_id = _find(ctx, type_name, key, wire[key])
    is_made = record_id is None
    if record_id is None:
        made = create_record(people.clerk if is_document else ctx, type_name, wire)
        record_id = str(made["id"])
    if is_document:
        _put_in_force(people, type_name, record_id)
    return is_made


def _put_in_force(people: _People, type_name: str, record_id: str) -> None:
    table = people.product.registry.tables[type_name].main
    with people.product.reading() as connection:
        status = connection.scalar(sa.select(table.c.status).where(table.c.id == record_id))
    if status == "draft":
        submit(people.clerk, type_name, record_id)
        status = "submitted"
    if status != "submitted":
        return
    for task in list_tasks(people.approver, box="todo", with_counts=False)["items"]:
        if task["record"]["id"] == record_id:
            decide(people.approver, task["id"], "approve", subject_hash=task["subject_hash"])


def _wire(ctx: Context, type_name: str, name: str, value: Any) -> Any:
    """Return a value with the ids of the records that it names."""
    field = ctx.registry.record_type(type_name).field(name)
    if field is None or field.type not in {"link", "links"}:
        return value
    found = [
        _find(ctx, field.target, _CALLED[field.target], one)
        for one in (value if field.type == "links" else [value])
    ]
    if None in found:
        raise NotFound
    return found if field.type == "links" else found[0]


def _find(ctx: Context, type_name: str, key: str, value: Any) -> str | None:
    ctx.registry.record_type(type_name)  # raises NotFound where its plugin never ran
    table = ctx.registry.tables[type_name].main
    with ctx.reading() as connection:
        return connection.scalar(
            sa.select(table.c.id).where(table.c[key] == value, table.c.deleted_at.is_(None))
        )
