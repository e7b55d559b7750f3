"""What configurators look at: the history of the schema, and the plugins."""

from collections.abc import Iterable
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden
from core.extension.discovery import Plugin, find_plugins
from core.extension.state import read_states
from core.i18n import N_, pick, translate
from core.schema.diff import Change, diff
from core.schema.model import Release
from core.security.services import services
from core.tables.releases import list_release_rows, load_release
from core.web.display import field_label
from core.web.navigation import BUILDERS, type_label
from core.web.page import page, pages

#: Releases whose differences are worked out for one page.
_RELEASES = 20

#: Changes shown of one release.
_CHANGES = 40

KIND_TEXTS = {
    "add_type": N_("New form"),
    "archive_type": N_("Form archived"),
    "restore_type": N_("Form restored"),
    "retype_field": N_("Field type changed"),
    "change_type": N_("Form changed"),
    "add_field": N_("New field"),
    "rename_field": N_("Field renamed"),
    "archive_field": N_("Field archived"),
    "restore_field": N_("Field restored"),
    "change_field": N_("Field changed"),
    "add_unique": N_("Uniqueness added"),
    "drop_unique": N_("Uniqueness dropped"),
    "add_view": N_("New view"),
    "change_view": N_("View changed"),
    "drop_view": N_("View dropped"),
    "change_policy": N_("Rights changed"),
    "add_policy": N_("Rights added"),
    "drop_policy": N_("Rights dropped"),
    "change_flow": N_("Flow changed"),
    "add_flow": N_("New flow"),
    "drop_flow": N_("Flow dropped"),
    "add_role": N_("New role"),
    "drop_role": N_("Role dropped"),
    "change_role": N_("Role changed"),
    "change_automation": N_("Automation changed"),
    "add_automation": N_("New automation"),
    "drop_automation": N_("Automation dropped"),
    "change_print": N_("Print changed"),
    "add_print": N_("New print"),
    "drop_print": N_("Print dropped"),
}

HEALTH_TEXTS = {
    "running": (N_("Running"), "good"),
    "disabled": (N_("Switched off"), ""),
    "failed": (N_("Failed"), "bad"),
    "broken": (N_("Cannot be loaded"), "bad"),
}


def _require_builder(ctx: Context) -> None:
    if not ctx.actor.roles & BUILDERS:
        raise Forbidden


@pages.get("/releases/")
@page
def show_releases(ctx: Context) -> ResponseReturnValue:
    """Show the newest releases, each with what it changed."""
    _require_builder(ctx)
    with ctx.reading() as connection:
        rows = list_release_rows(connection)[: _RELEASES + 1]
        contents = {row.number: load_release(connection, row.number) for row in rows}
    shown = []
    for row in rows[:_RELEASES]:
        changes = _told(diff(contents.get(row.number - 1), contents[row.number]))
        shown.append(
            {
                "number": row.number,
                "note": row.note,
                "at": row.published_at,
                "by": _who(ctx, row.published_by, row.published_by_name),
                "is_current": row.number == ctx.registry.release.number,
                "changes": [
                    {
                        "kind": translate(KIND_TEXTS.get(each.kind, each.kind), ctx.locale),
                        "text": _change_text(ctx, each, contents[row.number]),
                    }
                    for each in changes[:_CHANGES]
                ],
                "more": max(0, len(changes) - _CHANGES),
            }
        )
    return render_template("gx/releases.html", releases=shown)


def _told(changes: Iterable[Change]) -> list[Change]:
    """Return the changes without the parts of forms that are new as a whole."""
    changes = list(changes)
    new = {each.type for each in changes if each.kind == "add_type"}
    return [each for each in changes if each.kind == "add_type" or each.type not in new]


def _who(ctx: Context, actor: str, name: str) -> str:
    return translate(N_("The system"), ctx.locale) if actor == "system" else name


def _change_text(ctx: Context, change: Change, release: Release) -> str:
    """Return where a change is and, for short values, what became what."""
    record_type = release.types.get(change.type)
    place = (
        type_label(record_type, ctx.locale, plural=False)
        if record_type
        else _name(ctx, change, release)
    )
    field = record_type.field(change.field) if record_type else None
    if field is not None:
        place += f" · {field_label(field, ctx.locale)}"
    elif change.field:
        place = change.field if change.type == "*" else f"{place} · {change.field}"
    if change.properties:
        place += f" ({', '.join(change.properties)})"
    short = [each for each in (change.old, change.new) if isinstance(each, str | int | bool)]
    return f"{place}: {short[0]} → {short[1]}" if len(short) == 2 else place  # noqa: PLR2004


def _name(ctx: Context, change: Change, release: Release) -> str:
    """Return a flow's or role's name as people read it."""
    flow = release.flows.get(change.type)
    if flow is not None:
        return pick(flow.title, ctx.locale, flow.flow)
    automation = release.automations.get(change.type)
    if automation is not None:
        return pick(automation.label, ctx.locale, automation.automation)
    labels = {role.name: role.label for role in release.roles}
    return pick(labels.get(change.type), ctx.locale, change.type)


@pages.get("/plugins/")
@page
def show_plugins(ctx: Context) -> ResponseReturnValue:
    """Show the installed plugins, how they are and what each contributes."""
    _require_builder(ctx)
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
