"""`/settings/{plugin}`: what a plugin lets the people who run the server choose."""

from typing import Any

from core.context import Context
from core.records.plugin_settings import change_settings, get_settings
from core.rest.exchange import body_object, query_keys, route


@route("/settings/<plugin>", "GET")
def get(ctx: Context, plugin: str) -> Any:
    """Answer with every setting of a plugin and its value."""
    query_keys()
    return get_settings(ctx, plugin)


@route("/settings/<plugin>", "PUT")
def change(ctx: Context, plugin: str) -> Any:
    """Change the named settings; the history keeps old and new value."""
    query_keys()
    return change_settings(ctx, plugin, body_object())
