"""Reading and changing plugins' settings, and switching plugins on and off.

Storage is in `core.extension`; here are the rights, the transaction and the
revision, by which every process sees a change at its next request.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.context import Context
from core.errors import Forbidden, NotFound
from core.extension import settings as storage
from core.extension.manifest import Manifest
from core.extension.state import switch_plugin
from core.tables.releases import bump_settings

#: Roles that run the server; they change settings and switch plugins.
ADMINISTRATORS = frozenset({"Admin", "configurator"})


def plugin_settings(ctx: Context, plugin: str) -> Mapping[str, Any]:
    """Return a plugin's settings as Python values, read once per settings revision.

    Raises:
        NotFound: there is no such plugin.
    """
    manifest = _manifest(ctx, plugin)

    def read() -> Mapping[str, Any]:
        with ctx.reading() as connection:
            return MappingProxyType(storage.read_settings(connection, manifest))

    return ctx.registry.memo(("gx_plugin_setting", plugin, ctx.registry.revision.settings), read)


def get_settings(ctx: Context, plugin: str) -> dict[str, Any]:
    """Return a plugin's settings as JSON values, for the people who run the server.

    Raises:
        NotFound: there is no such plugin.
        Forbidden: the actor does not run the server.
    """
    _check_rights(ctx)
    return storage.to_wire(_manifest(ctx, plugin), plugin_settings(ctx, plugin))


def change_settings(ctx: Context, plugin: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Change some of a plugin's settings, given as JSON values; return them all.

    Raises:
        NotFound: there is no such plugin.
        Forbidden: the actor does not run the server.
        Invalid: a name is unknown or a value is not right; nothing is changed.
    """
    _check_rights(ctx)
    manifest = _manifest(ctx, plugin)
    loaded = storage.load_settings(manifest, values)
    change = storage.Change(
        ctx.actor, ctx.now, ctx.door, ctx.registry.release.number, ctx.request_id
    )
    with ctx.writing() as connection:
        if storage.write_settings(connection, manifest, loaded, change):
            bump_settings(connection)
        return storage.to_wire(manifest, storage.read_settings(connection, manifest))


def set_plugin_enabled(ctx: Context, plugin: str, *, enabled: bool) -> None:
    """Switch a plugin on or off for every process; switching on forgets its last failure.

    Raises:
        NotFound: there is no such plugin.
        Forbidden: the actor does not run the server.
    """
    _check_rights(ctx)
    if plugin not in ctx.hooks.manifests:
        raise NotFound
    with ctx.writing() as connection:
        switch_plugin(connection, plugin, enabled=enabled, actor=ctx.actor, at=ctx.now)
        bump_settings(connection)


def may_administer(ctx: Context) -> bool:
    """Return whether the actor may change settings and switch plugins."""
    return ctx.actor.is_system or bool(ctx.actor.roles & ADMINISTRATORS)


def _check_rights(ctx: Context) -> None:
    if not may_administer(ctx):
        raise Forbidden


def _manifest(ctx: Context, plugin: str) -> Manifest:
    manifest = ctx.hooks.manifests.get(plugin)
    if manifest is None:
        raise NotFound
    return manifest
