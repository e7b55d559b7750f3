"""What a write leaves behind: its chained history event and its outbox event."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from core import audit
from core.context import Context
from core.jobs import outbox
from core.records.children import row_changes
from core.records.subject import is_empty
from core.records.wire import Wire, instant_text
from core.schema.model import RecordType
from core.schema.writtentypes import MASK

Values = Mapping[str, Any]

#: What the history shows instead of a secret.
MASKED = MASK


def field_changes(
    record_type: RecordType, wire: Wire, before: Values | None, after: Values
) -> dict[str, Any]:
    """Return how the fields changed: name -> [before, after] in wire form, tables by row.

    Empty to empty is no change. Secrets are named, never shown.
    """
    changes: dict[str, Any] = {}
    old = before or {}
    for one in record_type.fields:
        name = one.name
        if name not in after:
            continue
        was, now = old.get(name), after[name]
        if was == now or (is_empty(was) and is_empty(now)):
            continue
        if one.type == "table":
            rows = row_changes(was or (), now or (), wire.rows[name], wire.inner.get(name, ()))
            if any(rows.values()):
                changes[name] = rows
        elif name in wire.secrets:
            changes[name] = [None if is_empty(was) else MASKED, None if is_empty(now) else MASKED]
        else:
            changes[name] = [wire.value(name, was), wire.value(name, now)]
    return changes


def history_event(
    ctx: Context,
    record_type: RecordType,
    record: Values,
    *,
    action: str,
    changes: Mapping[str, Any],
    reason: str = "",
) -> dict[str, Any]:
    """Return the chained event that follows a record's last one.

    `record` has its `version` after the event, and the `chain` and `events` before it.
    """
    event = audit.event_row(
        record_type=record_type.name,
        record_id=record["id"],
        seq=record["events"] + 1,
        version=record["version"],
        action=action,
        changes=changes,
        reason=reason,
        **ctx.signature(),
    )
    return audit.chained(event, record["chain"])


def announce(
    ctx: Context, connection: Connection, topic: str, records: Iterable[tuple[str, str, int]]
) -> None:
    """Write an outbox event for each (type name, id, version), or have it wait for others."""
    at = instant_text(ctx.now)
    cause = {"cause": ctx.cause} if ctx.cause else {}
    events: list[tuple[str, Values]] = [
        (
            topic,
            {
                "type": type_name,
                "id": record_id,
                "version": version,
                "actor": ctx.actor.id,
                "at": at,
                **cause,
            },
        )
        for type_name, record_id, version in records
    ]
    if ctx.pending is None:
        outbox.emit_many(connection, events)
    else:
        ctx.pending.events += events


def remember(ctx: Context, connection: Connection, events: list[dict[str, Any]]) -> None:
    """Write chained events to the history, or have them wait for others."""
    if ctx.pending is None:
        audit.append(connection, events)
    else:
        ctx.pending.history += events
