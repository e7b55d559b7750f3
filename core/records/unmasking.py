"""Showing a masked value to somebody who has the right to it, which is written down."""

from typing import Any

from core import audit
from core.context import Context
from core.errors import Forbidden, Invalid, Problem
from core.i18n import N_
from core.policies.access import access
from core.records.environment import RecordEnv
from core.records.events import history_event
from core.records.loading import printable
from core.records.stored import lock_record
from core.records.wire import wire_of

#: The history's word for it; the field's name stands in the event's reason.
ACTION = "unmask"


def unmask_value(ctx: Context, type_name: str, record_id: str, name: str) -> Any:
    """Return the wire value of a field that the actor sees as a mask, and write down who saw it.

    The record keeps its version: nothing of it changes but its history. A value that the
    actor sees anyway is returned without a word.

    Raises:
        NotFound: the record is not there for this actor.
        Forbidden: no policy lets the actor unmask the field in this record.
        Invalid: the type has no such field.
    """
    rights = access(ctx, type_name)
    if rights.record_type.field(name) is None:
        text = N_("There is no field {name}.")
        params = {"name": printable(name)}
        raise Invalid(problems=[Problem("field", "field.unknown", text, params)])
    with ctx.writing() as connection:
        stored = lock_record(ctx, connection, rights, record_id, action=ACTION)
        record = stored.values
        env = RecordEnv(ctx, connection)
        view = env.view(type_name, record)
        value = wire_of(ctx.registry, type_name).value(name, view.get(name))
        if name in stored.sight.clear:
            return value
        granted = rights.sight_when(view, env, ACTION)
        if name not in stored.sight.masked or granted is None or name not in granted.shown:
            raise Forbidden
        event = history_event(
            ctx, rights.record_type, record, action=ACTION, changes={}, reason=name
        )
        audit.append(connection, [event])
        table = ctx.registry.tables[type_name].main
        connection.execute(
            table.update()
            .where(table.c.id == record_id)
            .values(chain=event["hash"], events=event["seq"])
        )
    return value
