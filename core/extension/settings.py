"""Plugin settings in the database, typed by the manifests; rights are decided above."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.actor import Actor
from core.db import metadata
from core.errors import Invalid, Problem
from core.extension.manifest import Manifest
from core.i18n import N_
from core.schema.fieldtypes import FieldError, field_type

settings = sa.Table(
    "gx_plugin_setting",
    metadata,
    sa.Column("plugin", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(36), primary_key=True),
    sa.Column("value", sa.Text, nullable=False, doc="JSON, in wire form"),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("chain", sa.String(64), nullable=False),
)


def history_type(plugin: str) -> str:
    """Return the name under which the history keeps a plugin's settings."""
    return f"gx_plugin_setting.{plugin}"


def read_settings(connection: Connection, manifest: Manifest) -> dict[str, Any]:
    """Return name -> Python value of every setting the manifest declares.

    A stored value that the manifest no longer accepts gives way to the default.
    """
    stored = _stored(connection, manifest.id)
    values = {}
    for setting in manifest.settings:
        values[setting.name] = setting.load(setting.default)
        if setting.name in stored:
            try:
                value = msgspec.json.decode(stored[setting.name].value)
                values[setting.name] = setting.load(value)
            except FieldError:
                continue
    return values


def to_wire(manifest: Manifest, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON values."""
    return {
        setting.name: field_type(setting.type).dump(values[setting.name])
        for setting in manifest.settings
        if setting.name in values
    }


def load_settings(manifest: Manifest, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Python values of wire values.

    Raises:
        Invalid: a name is unknown or a value is not right; every problem at once.
    """
    loaded, problems = {}, []
    for name, value in values.items():
        setting = manifest.setting(name)
        if setting is None:
            text = N_("There is no setting {name}.")
            problems.append(Problem(name, "setting.unknown", text, {"name": name}))
            continue
        try:
            loaded[name] = setting.load(value)
        except FieldError as error:
            problems += [Problem(name, it.code, it.text, it.params) for it in error.problems]
    if problems:
        raise Invalid(problems=problems)
    return loaded


@dataclass(frozen=True, slots=True)
class Change:
    """Who changes settings, when, and through which door."""

    actor: Actor
    at: datetime
    door: str
    release: int
    request_id: str = ""


def write_settings(
    connection: Connection, manifest: Manifest, values: Mapping[str, Any], change: Change
) -> bool:
    """Store new Python values with one history event each; return whether anything changed.

    The caller bumps the settings revision in the same transaction.
    """
    stored = _stored(connection, manifest.id)
    old = to_wire(manifest, read_settings(connection, manifest))
    events = []
    for name, value in to_wire(manifest, values).items():
        if value == old[name]:
            continue
        row = stored.get(name)
        event = _event((manifest.id, name), row, [old[name], value], change)
        events.append(event)
        cells = {
            "value": msgspec.json.encode(value).decode(),
            "events": event["seq"],
            "chain": event["hash"],
        }
        if row is None:
            connection.execute(settings.insert().values(plugin=manifest.id, name=name, **cells))
        else:
            is_row = (settings.c.plugin == manifest.id) & (settings.c.name == name)
            connection.execute(settings.update().where(is_row).values(**cells))
    audit.append(connection, events)
    return bool(events)


def _stored(connection: Connection, plugin: str) -> dict[str, sa.Row[Any]]:
    query = sa.select(settings).where(settings.c.plugin == plugin)
    return {row.name: row for row in connection.execute(query)}


def _event(
    key: tuple[str, str], row: sa.Row[Any] | None, values: list[Any], change: Change
) -> dict[str, Any]:
    (plugin, name), seq = key, row.events + 1 if row else 1
    return audit.chained(
        audit.event_row(
            record_type=history_type(plugin),
            record_id=name,
            seq=seq,
            version=seq,
            at=change.at,
            actor=change.actor.id,
            actor_name=change.actor.name,
            door=change.door,
            action="setting",
            changes={name: values},
            release=change.release,
            request_id=change.request_id,
        ),
        row.chain if row else "",
    )
