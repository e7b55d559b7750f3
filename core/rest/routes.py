"""Every JSON route of the product; importing this declares them all on `rest`."""

from core.rest import edits, plugin_settings, records, schema, tasks, views
from core.rest.exchange import rest

__all__ = ["edits", "plugin_settings", "records", "rest", "schema", "tasks", "views"]
from core.rest import automations, notices, plugin_settings, records, schema, tasks
from core.rest.exchange import rest

__all__ = ["automations", "notices", "plugin_settings", "records", "rest", "schema", "tasks"]
