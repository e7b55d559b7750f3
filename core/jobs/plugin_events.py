"""Tells plugins of every committed event, through their `guanxi_after_event`."""

from typing import TYPE_CHECKING

from core.extension.hookspecs import Event as PluginEvent
from core.jobs.handlers import HANDLERS, Event, Handler, Handlers

if TYPE_CHECKING:
    from core.context import Context


def tell_plugins(ctx: "Context", event: Event) -> None:
    """Pass an event on; a plugin that fails is switched off and does not stop the others."""
    ctx.hooks.after_event(ctx, PluginEvent(event.id, event.topic, event.payload))


def is_heard(ctx: "Context", event: Event) -> bool:
    """Return whether any plugin listens to events of this record type."""
    return ctx.hooks.hears(str(event.payload.get("type", "")))


def register(handlers: Handlers = HANDLERS) -> None:
    """Let plugins hear of every event, outside any transaction and at least once."""
    handlers.add(
        Handler(
            name="plugins", prefix="", handle=tell_plugins, in_transaction=False, concerns=is_heard
        )
    )
