"""`/settings/{plugin}`: what a plugin lets the people who run the server choose."""

from typing import Any

from core.context import Context
from core.records.plugin_settings import change_settings, get_settings, may_administer
from core.rest.exchange import body_object, only, query_keys, route

_ADMINISTRATORS = only(may_administer)


@route("/settings/<plugin>", "GET", guard=_ADMINISTRATORS)
def get(ctx: Context, plugin: str) -> Any:
    """Answer with every setting of a plugin and its value."""
    query_keys()
    return get_settings(ctx, plugin)


@route("/settings/<plugin>", "PUT", guard=_ADMINISTRATORS)
def change(ctx: Context, plugin: str) -> Any:
    """Change the named settings; the history keeps old and new value."""
    query_keys()
    return change_settings(ctx, plugin, body_object())
