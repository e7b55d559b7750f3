"""Every JSON route of the product; importing this declares them all on `rest`."""

from core.rest import (
    automations,
    bpmn,
    comments,
    dashboards,
    delegations,
    duplicates,
    edits,
    files,
    formlinks,
    merges,
    notices,
    plugin_settings,
    queue,
    records,
    schema,
    tasks,
    views,
)
from core.rest.exchange import rest

__all__ = [
    "automations",
    "bpmn",
    "comments",
    "dashboards",
    "delegations",
    "duplicates",
    "edits",
    "files",
    "formlinks",
    "merges",
    "notices",
    "plugin_settings",
    "queue",
    "records",
    "rest",
    "schema",
    "tasks",
    "views",
]
