"""Dashboards as pages: each card is fetched on its own; without scripts all stand as tables."""

from typing import Any
from urllib.parse import urlencode

from flask import flash, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Malformed, NotFound, UserError
from core.i18n import N_, pick, translate
from core.policies.access import access
from core.records.audience import EVERYBODY, is_configurator
from core.records.cards import ALL_TIME, ALWAYS, Span, asked_span, range_days
from core.records.dashboards import (
    Shown,
    change_dashboard,
    find_dashboard,
    list_dashboards,
    remove_dashboard,
    save_dashboard,
)
from core.schema.dashboards import TIME_RANGES, Card
from core.schema.dashboardtexts import written_card
from core.web.administration import require_builder
from core.web.carddrawing import card_label, draw_card
from core.web.page import page, pages

#: Cards on the workbench at most.
_ON_WORKBENCH = 8

RANGE_TEXTS = {
    ALL_TIME: N_("All time"),
    "today": N_("Today"),
    "last_7_days": N_("Last 7 days"),
    "last_30_days": N_("Last 30 days"),
    "last_90_days": N_("Last 90 days"),
    "last_12_months": N_("Last 12 months"),
    "this_week": N_("This week"),
    "this_month": N_("This month"),
    "this_quarter": N_("This quarter"),
    "this_year": N_("This year"),
}


@pages.get("/dashboards/")
@page
def show_dashboards(ctx: Context) -> ResponseReturnValue:
    """Show the dashboards that the reader gets."""
    listed = [
        {
            "href": f"/dashboards/{one.name}",
            "label": one.label,
            "description": pick(one.content.description, ctx.locale),
            "cards": len(visible_cards(ctx, one)),
            "is_own": one.owner == ctx.actor.id,
            "is_shared": bool(one.shared_with) and bool(one.owner),
        }
        for one in list_dashboards(ctx)
    ]
    return render_template("gx/dashboards.html", dashboards=listed)


@pages.get("/dashboards/<name>")
@page
def show_dashboard(ctx: Context, name: str) -> ResponseReturnValue:
    """Show a dashboard; `time`, or `from` and `to`, say which days, `tables=1` draws it here."""
    shown = find_dashboard(ctx, name)
    problem = ""
    try:
        span = asked_span(ctx, request.args, shown.content.time)
    except UserError as error:
        span, problem = (
            ALWAYS,
            translate(error.problems[0].text, ctx.locale, **error.problems[0].params),
        )
    cards = visible_cards(ctx, shown)
    as_tables = request.args.get("tables") == "1"
    with ctx.reading():
        drawn = [
            draw_card(ctx, card, span) if as_tables else _waiting(ctx, card) for card in cards
        ]
    return render_template(
        "gx/dashboard.html",
        one=shown,
        description=pick(shown.content.description, ctx.locale),
        cards=drawn,
        as_tables=as_tables,
        asked=_asked(ctx, shown, span),
        problem=problem,
        ranges=[(key, translate(text, ctx.locale)) for key, text in RANGE_TEXTS.items()],
        roles=audiences(ctx),
        is_configurator=is_configurator(ctx),
    )


def visible_cards(ctx: Context, shown: Shown) -> list[Card]:
    """Return a dashboard's cards; those over forms that the reader sees nothing of stay away."""
    release = ctx.registry.release
    return [
        card
        for card in shown.cards
        if release.type(card.type) is None or access(ctx, card.type).may("view")
    ]


def workbench_cards(ctx: Context) -> list[dict[str, Any]]:
    """Return the cards that the reader's dashboards put on the workbench, to be fetched."""
    found: list[dict[str, Any]] = []
    for shown in list_dashboards(ctx):
        query = f"time={shown.content.time or ALL_TIME}"
        for card in visible_cards(ctx, shown):
            if card.workbench and len(found) < _ON_WORKBENCH:
                src = f"/dashboards/{shown.name}/cards/{card.name}?{query}"
                found.append({"drawn": _waiting(ctx, card), "src": src})
    return found


def _waiting(ctx: Context, card: Card) -> Any:
    return {"card": card, "label": card_label(ctx, card), "state": "waiting"}


def _asked(ctx: Context, shown: Shown, span: Span) -> dict[str, str]:
    """Return the time range as the page's form holds it, and as cards are fetched with."""
    args = request.args
    days = {key: args.get(key, "") for key in ("from", "to")}
    name = args.get("time", "" if any(days.values()) else shown.content.time or ALL_TIME)
    if name in TIME_RANGES and name:
        first, last = range_days(name, ctx.today)
        days = {"from": str(first or ""), "to": str(last or "")}
    elif name:
        days = {"from": "", "to": ""}
    query = urlencode({"time": name} if name in RANGE_TEXTS else days)
    del span
    return {"time": name, "query": query, **days}


def audiences(ctx: Context) -> list[tuple[str, str]]:
    """Return with whom the actor may share, as `shared_with` says it, with labels."""
    known = {one.name: one.label for one in ctx.registry.release.roles}
    everything = is_configurator(ctx)
    found = [
        (name, pick(label, ctx.locale, name))
        for name, label in known.items()
        if everything or name in ctx.actor.roles
    ]
    every = translate(N_("everybody"), ctx.locale)
    return [*found, (EVERYBODY, every)] if everything else found


@pages.get("/dashboards/<name>/cards/<card>")
@page
def show_card(ctx: Context, name: str, card: str) -> ResponseReturnValue:
    """Show one card worked out, as a part of the page."""
    shown = find_dashboard(ctx, name)
    found = next((one for one in visible_cards(ctx, shown) if one.name == card), None)
    if found is None:
        raise NotFound
    span = asked_span(ctx, request.args, shown.content.time)
    html = render_template("gx/cardpart.html", drawn=draw_card(ctx, found, span))
    return jsonify({"html": html})


@pages.post("/dashboards/<name>/settings")
@page
def change_settings(ctx: Context, name: str) -> ResponseReturnValue:
    """Change the name, time range and audience of a dashboard that somebody built."""
    form = request.form
    shared = form.get("shared_with", "")
    changes = {"label": form.get("label", ""), "time": form.get("time", "").replace(ALL_TIME, ""),
               "shared_with": [shared] if shared else []}  # fmt: skip
    change_dashboard(ctx, name, changes, version=posted_version())
    flash(translate(N_("Saved."), ctx.locale), "good")
    return redirect(f"/dashboards/{name}", 303)


@pages.post("/dashboards/<name>/cards/<card>/remove")
@page
def remove_card(ctx: Context, name: str, card: str) -> ResponseReturnValue:
    """Take a card out of a dashboard that somebody built."""
    shown = find_dashboard(ctx, name)
    shown.card(card)
    cards = [written_card(one) for one in shown.content.cards if one.name != card]
    change_dashboard(ctx, name, {"cards": cards}, version=posted_version())
    return redirect(f"/dashboards/{name}", 303)


@pages.post("/dashboards/<name>/cards/<card>/forward")
@page
def move_card(ctx: Context, name: str, card: str) -> ResponseReturnValue:
    """Put a card of a dashboard that somebody built one place further to the front."""
    shown = find_dashboard(ctx, name)
    cards = list(shown.content.cards)
    at = cards.index(shown.card(card))
    cards.insert(max(0, at - 1), cards.pop(at))
    change_dashboard(
        ctx, name, {"cards": list(map(written_card, cards))}, version=posted_version()
    )
    return redirect(f"/dashboards/{name}#card-{card}", 303)


@pages.post("/dashboards/<name>/copy")
@page
def copy_dashboard(ctx: Context, name: str) -> ResponseReturnValue:
    """Make a dashboard of one's own of another, to be changed freely."""
    shown = find_dashboard(ctx, name)
    cards = [written_card(card) | {"hidden": False} for card in visible_cards(ctx, shown)]
    label = translate(N_("{label} (mine)"), ctx.locale, label=shown.label[:50])
    values = {"label": label, "time": shown.content.time, "cards": cards}
    return redirect(f"/dashboards/{save_dashboard(ctx, values).name}", 303)


@pages.post("/dashboards/<name>/delete")
@page
def delete_dashboard(ctx: Context, name: str) -> ResponseReturnValue:
    """Delete a dashboard that somebody built."""
    remove_dashboard(ctx, name, version=posted_version())
    flash(translate(N_("The dashboard is gone."), ctx.locale), "good")
    return redirect("/dashboards/", 303)


def posted_version() -> int:
    """Return the version that a form was shown of; raises Malformed."""
    text = request.form.get("version", "")
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise Malformed
    return int(text)


@pages.get("/dashboards/<name>/yaml")
@page
def show_yaml(ctx: Context, name: str) -> ResponseReturnValue:
    """Show a dashboard as the schema language writes it."""
    shown = find_dashboard(ctx, name)
    text = _yaml(ctx, shown)
    return render_template(
        "gx/dashboardyaml.html",
        one=shown,
        yaml=text,
        may_publish=is_configurator(ctx) and bool(shown.version),
    )


@pages.post("/dashboards/<name>/draft")
@page
def draft_dashboard(ctx: Context, name: str) -> ResponseReturnValue:
    """Make a draft of the forms in which a dashboard that somebody built is a part of them."""
    require_builder(ctx)
    from core.migration.drafts import create_draft  # noqa: PLC0415  slow

    shown = find_dashboard(ctx, name)
    chosen = request.form.get("name", "").strip()
    text = _yaml(ctx, shown, chosen)
    return redirect(f"/releases/drafts/{create_draft(ctx, yaml=text)}", 303)


def _yaml(ctx: Context, shown: Shown, name: str = "") -> str:
    from core.schema.dashboardyaml import dashboard_yaml  # noqa: PLC0415  slow, seldom needed

    return dashboard_yaml(shown.content, name, shown.label, ctx.locale, shown.shared_with)
