"""What configurators look at: the plugins, how they are and what they bring."""

from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden
from core.extension.discovery import Plugin, find_plugins
from core.extension.state import read_states
from core.i18n import N_, pick, translate
from core.security.services import services
from core.web.display import field_label
from core.web.navigation import BUILDERS, type_label
from core.web.page import page, pages

HEALTH_TEXTS = {
    "running": (N_("Running"), "good"),
    "disabled": (N_("Switched off"), ""),
    "failed": (N_("Failed"), "bad"),
    "broken": (N_("Cannot be loaded"), "bad"),
}


def require_builder(ctx: Context) -> None:
    """Let only those pass who may change the forms.

    Raises:
        Forbidden: the actor is none of them.
    """
    if not ctx.actor.roles & BUILDERS:
        raise Forbidden


@pages.get("/plugins/")
@page
def show_plugins(ctx: Context) -> ResponseReturnValue:
    """Show the installed plugins, how they are and what each contributes."""
    require_builder(ctx)
    own = services()
    with ctx.reading() as connection:
        health = {each.name: each for each in own.hooks.health(read_states(connection))}
    shown = []
    for plugin in find_plugins(own.settings.plugins):
        state = health.get(plugin.name)
        text, tone = HEALTH_TEXTS[state.status if state else "broken"]
        manifest = plugin.manifest
        shown.append(
            {
                "name": plugin.name,
                "version": manifest.version if manifest else "",
                "label": pick(manifest.title, ctx.locale, plugin.name)
                if manifest
                else plugin.name,
                "description": pick(manifest.description, ctx.locale) if manifest else "",
                "health": translate(text, ctx.locale),
                "tone": tone,
                "reasons": list(state.reasons)
                if state
                else [str(each) for each in plugin.problems],
                "contributes": _contributions(ctx, plugin),
            }
        )
    return render_template("gx/plugins.html", plugins=shown)


def _contributions(ctx: Context, plugin: Plugin) -> list[tuple[str, list[str]]]:
    release = ctx.registry.release
    manifest = plugin.manifest
    found: list[tuple[str, list[Any]]] = [
        (
            N_("Forms"),
            [
                type_label(each, ctx.locale, plural=False)
                for each in release.types.values()
                if each.layer == plugin.name and not each.archived
            ],
        ),
        (
            N_("Flows"),
            [
                pick(each.title, ctx.locale, each.flow)
                for each in release.flows.values()
                if each.layer == plugin.name
            ],
        ),
        (
            N_("Automations"),
            [
                pick(each.label, ctx.locale, each.automation)
                for each in release.automations.values()
                if each.layer == plugin.name
            ],
        ),
        (
            N_("Fields of other forms"),
            [
                f"{type_label(each, ctx.locale, plural=False)} · {field_label(field, ctx.locale)}"
                for each in release.types.values()
                for field in each.fields
                if field.layer == plugin.name and each.layer != plugin.name
            ],
        ),
        (N_("Hooks"), [each.name for each in manifest.hooks] if manifest else []),
        (
            N_("Settings"),
            [pick(each.label, ctx.locale, each.name) for each in manifest.settings]
            if manifest
            else [],
        ),
        (N_("Needs"), list(manifest.depends_on) if manifest else []),
    ]
    return [(translate(name, ctx.locale), values) for name, values in found if values]
