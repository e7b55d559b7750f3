"""Which automations a change of a record sets going."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError

from core.automation.starting import Start, begin, holds
from core.automation.subject import Happening, Subject, happening, subject_at
from core.automation.switches import switches
from core.context import Context
from core.errors import NotFound
from core.jobs.handlers import Event
from core.schema.automations import CHANGES, Automation, Trigger
from core.tables.registry import Registry

log = logging.getLogger(__name__)

#: Topic of a change -> the triggers that follow it.
_TRIGGERS: Mapping[str, frozenset[str]] = {
    "record.created": frozenset({"created"}),
    "record.updated": frozenset({"updated", "state_changed"}),
    "record.deleted": frozenset({"deleted"}),
}


def concerns(ctx: Context, event: Event) -> bool:
    """Return whether any automation listens to changes like this one."""
    return bool(_listening(ctx, event))


def _listening(ctx: Context, event: Event) -> list[Automation]:
    triggers = _TRIGGERS.get(event.topic, frozenset())
    by_type = ctx.registry.memo("automation.by_type", lambda: _by_type(ctx.registry))
    found = by_type.get(str(event.payload.get("type", "")), ())
    return [one for one in found if one.trigger.on in triggers]


def _by_type(registry: Registry) -> dict[str, tuple[Automation, ...]]:
    found: dict[str, tuple[Automation, ...]] = {}
    for one in registry.release.automations.values():
        if one.trigger.on in CHANGES and registry.release.type(one.type) is not None:
            found[one.type] = (*found.get(one.type, ()), one)
    return found


def on_change(ctx: Context, event: Event) -> None:
    """Begin the runs that a change asks for, in the transaction that notes the delivery."""
    connection = ctx.connection
    assert connection is not None  # noqa: S101  the worker calls it in a transaction
    payload = event.payload
    type_name, record_id, version = payload["type"], payload["id"], payload["version"]
    listening = _on(ctx, _listening(ctx, event))
    if not listening:
        return
    names = ctx.registry.record_type(type_name).names
    what = happening(connection, names, record_id, version)
    if what is None:
        log.warning("%s %s has no history of version %s", type_name, record_id, version)
        return
    wanting = [one for one in listening if _wants(one, what)]
    if not wanting:
        return
    try:
        subject = subject_at(ctx, connection, type_name, record_id, version)
    except NotFound:
        log.warning("%s %s never had version %s", type_name, record_id, version)
        return
    for automation in wanting:
        _start(ctx, automation, event, what, subject)


def _on(ctx: Context, automations: Iterable[Automation]) -> list[Automation]:
    listed = list(automations)
    assert ctx.connection is not None  # noqa: S101  the worker calls it in a transaction
    known = switches(ctx.connection, listed)
    return [
        one
        for one in listed
        if known[one.automation].is_on and ctx.hooks.is_running(ctx, one.layer)
    ]


def _wants(automation: Automation, what: Happening) -> bool:
    if what.release < automation.since:
        return False
    if automation.applies_to and what.door not in automation.applies_to:
        return False
    trigger = automation.trigger
    if trigger.on == "updated":
        return bool(set(trigger.fields) & what.changes.keys() if trigger.fields else what.changes)
    return trigger.on != "state_changed" or _changes_state(trigger, what.changes)


def _changes_state(trigger: Trigger, changes: Mapping[str, Any]) -> bool:
    change = changes.get(trigger.state_field)
    if not isinstance(change, list):
        return False
    before, after = change
    return (not trigger.leaves or before in trigger.leaves) and (
        not trigger.enters or after in trigger.enters
    )


def _start(
    ctx: Context, automation: Automation, event: Event, what: Happening, subject: Subject
) -> None:
    """Begin one automation's run if its condition holds; one that cannot be told is dead."""
    connection = ctx.connection
    assert connection is not None  # noqa: S101  the worker calls it in a transaction
    start = Start(
        key=f"{event.id}:{automation.automation}",
        record_id=event.payload["id"],
        subject=subject,
        input={
            "trigger": automation.trigger.on,
            "event": event.id,
            "version": event.payload["version"],
            "door": what.door,
            "by": what.actor,
            "by_name": what.actor_name,
            "at": event.payload["at"],
        },
        cause=event.payload.get("cause", ""),
    )
    error = ""
    try:
        if not holds(ctx, connection, automation, start):
            return
    except DBAPIError:
        raise
    except Exception as problem:  # noqa: BLE001  one automation must not stop the others
        error = f"when: {type(problem).__name__}: {problem}"
    begin(ctx, connection, automation, start, error)
