"""What the database knows of each plugin: whether it is switched on, and its last failure."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit, clock
from core.actor import Actor
from core.db import metadata

plugins = sa.Table(
    "gx_plugin",
    metadata,
    sa.Column("name", sa.String(36), primary_key=True),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("stamp", sa.Integer, nullable=False, doc="rises with every switch on or off"),
    sa.Column("failed_at", sa.String(27), nullable=False, doc="UTC, RFC 3339; empty = healthy"),
    sa.Column("failed_in", sa.String(80), nullable=False, doc="the hook that failed"),
    sa.Column("failure", sa.Text, nullable=False),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("chain", sa.String(64), nullable=False),
)

#: The name under which the history keeps plugins.
RECORD_TYPE = "gx_plugin"


@dataclass(frozen=True, slots=True)
class PluginState:
    """One plugin as the database knows it; a plugin without a row is switched on and healthy."""

    enabled: bool = True
    stamp: int = 0
    failed_at: str = ""
    failed_in: str = ""
    failure: str = ""
    events: int = 0
    chain: str = ""


def read_states(connection: Connection) -> dict[str, PluginState]:
    """Return the state of every plugin that was ever switched or failed."""
    return {
        row.pop("name"): PluginState(**row)
        for row in map(dict, connection.execute(sa.select(plugins)).mappings())
    }


def switch_plugin(
    connection: Connection, name: str, *, enabled: bool, actor: Actor, at: datetime
) -> None:
    """Switch a plugin on or off and forget its last failure; the history says who did it.

    The caller bumps the settings revision, so that every process sees it at its next request.
    """
    old = read_states(connection).get(name)
    state = old or PluginState()
    event = audit.chained(
        audit.event_row(
            record_type=RECORD_TYPE,
            record_id=name,
            seq=state.events + 1,
            version=state.stamp + 1,
            at=at,
            actor=actor.id,
            actor_name=actor.name,
            door="cli",
            action="enable" if enabled else "disable",
            changes={"enabled": [state.enabled, enabled]},
            release=0,
        ),
        state.chain,
    )
    audit.append(connection, [event])
    _store(
        connection,
        name,
        is_new=old is None,
        state=PluginState(enabled, state.stamp + 1, events=state.events + 1, chain=event["hash"]),
    )


def record_failure(
    connection: Connection, name: str, *, hook: str, failure: str, at: datetime
) -> None:
    """Note that a plugin failed, so that every process and page can tell."""
    old = read_states(connection).get(name)
    state = old or PluginState()
    _store(
        connection,
        name,
        is_new=old is None,
        state=PluginState(
            state.enabled, state.stamp, clock.to_wire(at), hook, failure, state.events, state.chain
        ),
    )


def _store(connection: Connection, name: str, *, is_new: bool, state: PluginState) -> None:
    values = {field: getattr(state, field) for field in PluginState.__slots__}
    if is_new:
        connection.execute(plugins.insert().values(name=name, **values))
    else:
        connection.execute(plugins.update().where(plugins.c.name == name).values(**values))
