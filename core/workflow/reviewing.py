"""What plugins find in a document before people decide on it, for those who do.

Reviews may show figures over other records, such as revenue, whatever their reader may see
of those. So they are for whoever may submit the document and whoever decides on it, and for
nobody else; hidden and masked fields of the document may show in them too.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from time import monotonic
from typing import Any

import msgspec

from core.context import Context
from core.extension.hookspecs import Document
from core.policies.bounded import Bounded
from core.records.inforce import audit_seq
from core.records.proposals import find_proposal
from core.records.wire import to_wire
from core.workflow.documents import as_it_would_be, load_document
from core.workflow.models import OPEN_STATES, instance, task
from core.workflow.operations import require_submit
from core.workflow.seen import decides, require_known, require_sight

Wire = dict[str, Any]

#: Reviewed documents that a process remembers per release.
_KEPT = 64

#: Statuses of a document that was never in force and may be some day.
_BEFORE = frozenset({"draft", "rejected", "submitted"})


#: Reviews are kept so many times as long as they took, and so many seconds at least: a look at
#: a balance is soon taken again, a replay of receipts is not.
_WORTH, _LEAST = 20, 5.0


@dataclass(slots=True)
class _Kept:
    """Reviews of a document's content, and until when they are told again."""

    reviews: list[Wire] = field(default_factory=list)
    until: float = -inf


def review_record(ctx: Context, type_name: str, record_id: str) -> list[Wire]:
    """Return what plugins find in a draft or in the change proposed to a document in force.

    It is empty where nothing is proposed.

    Raises:
        NotFound: there is no such record for this actor.
        Forbidden: they may not submit it.
    """
    with ctx.reading() as connection:
        record = load_document(ctx, type_name, record_id)
        require_submit(ctx, connection, type_name, record)
        return _reviews(ctx, type_name, record)


def review_task(ctx: Context, task_id: str) -> list[Wire]:
    """Return what plugins find in the document of a task; empty once its approval ended.

    Raises:
        NotFound: there is no such task that the actor may know of.
        Forbidden: they may not see its document, or neither decide on it nor submit it.
    """
    with ctx.reading() as connection:
        require_known(ctx, connection, task_id)
        found = instance.join(task, task.c.instance_id == instance.c.id).select()
        row = connection.execute(found.where(task.c.id == task_id)).mappings().one()
        type_name = row[instance.c.record_type]
        record = load_document(ctx, type_name, row[instance.c.record_id])
        require_sight(ctx, connection, type_name, record)
        if not decides(ctx, connection, row[instance.c.id]):
            require_submit(ctx, connection, type_name, record)
        if row[instance.c.state] not in OPEN_STATES:
            return []
        return _reviews(ctx, type_name, record)


def _reviews(ctx: Context, type_name: str, record: Mapping[str, Any]) -> list[Wire]:
    """Return the reviews of a document as it would be, kept for a while.

    What is in force, the settings and the day are part of what they are kept under; other
    records, such as receipts and balances, may have changed since. What failed is not kept.
    """
    record_type = ctx.registry.record_type(type_name)
    if not record_type.document or not ctx.hooks.reviews.exist(ctx, record_type.name):
        return []
    with ctx.reading() as connection:
        found = find_proposal(connection, record_type.name, record["id"])
        if found is None and record["status"] not in _BEFORE:
            return []
        document = as_it_would_be(ctx, type_name, dict(record), found)
        known = audit_seq(ctx)
    kept = ctx.registry.memo("workflow.reviews", lambda: Bounded[_Kept](_KEPT))
    key = (
        record["id"], _content(ctx, document), known, ctx.registry.revision.settings,
        ctx.today, ctx.locale, ctx.db,
    )  # fmt: skip
    one, begun = kept.get(key, _Kept), monotonic()
    if begun < one.until:
        return one.reviews
    reviews, has_failed = _asked(ctx, document)
    if not has_failed:
        ended = monotonic()
        one.reviews, one.until = reviews, ended + max(_LEAST, (ended - begun) * _WORTH)
    return reviews


def _content(ctx: Context, document: Document) -> str:
    """Return a hash of what a document says and what it said before."""
    sides = [
        None if side is None else to_wire(ctx.registry, document.record_type, side)
        for side in (document.before, document.values)
    ]
    return hashlib.sha256(msgspec.json.encode(sides, order="sorted")).hexdigest()


def _asked(ctx: Context, document: Document) -> tuple[list[Wire], bool]:
    reviews, has_failed = ctx.hooks.reviews.of(ctx, document)
    wire = [
        {"plugin": plugin, **msgspec.json.decode(msgspec.json.encode(one))}
        for plugin, one in reviews
    ]
    return wire, has_failed
