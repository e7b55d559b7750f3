"""Building a chart by choosing: what is counted, by what, how it is drawn, seen at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from flask import flash, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import NotFound, UserError
from core.i18n import N_, pick, translate
from core.policies.access import Access, access
from core.records.dashboards import (
    Shown,
    change_dashboard,
    find_dashboard,
    list_dashboards,
    save_dashboard,
)
from core.schema.buckets import BUCKETS
from core.schema.dashboardchecks import NUMERIC
from core.schema.dashboards import CHARTS, HOWS, LIMIT, MOST_GROUPS, Card
from core.schema.dashboardtexts import written_card
from core.schema.model import RecordType
from core.schema.viewchecks import DAY_TYPES, NOT_SORTABLE, is_stored, kind_of
from core.web.carddrawing import Drawn, draw_card, free_name, with_card
from core.web.dashboards import audiences, posted_version
from core.web.display import field_label
from core.web.navigation import type_label, visible_types
from core.web.page import page, pages, problem_body
from core.web.reading import SYSTEM_FIELDS, label_of

CHART_TEXTS = {
    "number": (N_("Figure"), "list-details"),
    "bar": (N_("Bars"), "chart-bar"),
    "line": (N_("Line"), "chart-line"),
    "pie": (N_("Pie"), "chart-pie"),
    "table": (N_("Table"), "table"),
}
_HOW_TEXTS = {
    "count": N_("Number of records"),
    "sum": N_("Sum"),
    "avg": N_("Average"),
    "min": N_("Least"),
    "max": N_("Greatest"),
}
_BUCKET_TEXTS = {
    "day": N_("by day"),
    "week": N_("by week"),
    "month": N_("by month"),
    "quarter": N_("by quarter"),
    "year": N_("by year"),
}
_SORT_TEXTS = {
    "": N_("as it suits"),
    "-value": N_("greatest first"),
    "value": N_("least first"),
    "group": N_("by group"),
    "-group": N_("by group, last first"),
}
_TEXTS = ("name", "chart", "type", "filter", "how", "take", "group_by", "series_by", "time_field",
          "sort")  # fmt: skip
_SWITCHES = ("stacked", "wide", "workbench")
#: Of records that nothing is said of, the kinds that are no groups for people.
_NO_GROUPS = NOT_SORTABLE | {"long_text", "text", "phone", "email", "url", "sequence", "time"}

Choice = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Choices:
    """What a chart over one form can be made of: values with their labels."""

    takes: list[Choice] = field(default_factory=list)
    groups: list[Choice] = field(default_factory=list)
    days: list[Choice] = field(default_factory=list)


@pages.get("/dashboards/chart")
@page
def build_chart(ctx: Context) -> ResponseReturnValue:
    """Show the builder: empty, with what the address says, or with a card that exists."""
    into = _target(ctx, request.args.get("dashboard", ""))
    known = request.args.get("card", "")
    if into and known and "type" not in request.args:
        return _builder(ctx, into.card(known), into, known)
    return _builder(ctx, _read(ctx, request.args), into, known)


def _target(ctx: Context, name: str) -> Shown | None:
    """Return the dashboard that a chart goes into; None for a new one."""
    found = find_dashboard(ctx, name) if name else None
    return found if found is not None and found.may_change else None


def _read(ctx: Context, form: Mapping[str, str]) -> Card:
    """Return the card that a form says; what does not go with its chart is left away."""
    types = _types(ctx)
    values: dict[str, Any] = {key: form.get(key, "").strip() for key in _TEXTS}
    values["chart"] = values["chart"] if values["chart"] in CHARTS else "bar"
    values["how"] = values["how"] if values["how"] in HOWS else "count"
    values["sort"] = values["sort"] if values["sort"] in _SORT_TEXTS else ""
    values["name"] = values["name"] or "chart"
    known = {name for name, _ in types}
    if not values["type"]:
        values["type"] = "order" if "order" in known else next(iter(sorted(known)), "")
    elif values["type"] not in known:
        raise NotFound
    if values["how"] == "count":
        values["take"] = ""
    if values["chart"] == "number":
        values["group_by"] = ""
    if values["chart"] in {"number", "pie"}:
        values["series_by"] = ""
    for key in _SWITCHES:
        values[key] = form.get(key) == "1"
    limit = form.get("limit", "").strip()
    values["limit"] = int(limit) if limit.isdecimal() and len(limit) < 5 else None  # noqa: PLR2004
    label = form.get("label", "").strip()
    values["label"] = {ctx.locale: label} if label else {}
    return msgspec.convert(values, Card)


def _types(ctx: Context) -> list[Choice]:
    found = [(one.name, type_label(one, ctx.locale)) for one in visible_types(ctx)]
    return sorted(found, key=lambda pair: pair[1])


def _builder(
    ctx: Context,
    card: Card,
    into: Shown | None,
    known: str,
    error: UserError | None = None,
) -> ResponseReturnValue:
    record_type = ctx.registry.record_type(card.type)
    rights = access(ctx, card.type)
    rights.require("view")
    choices = _choices(ctx, record_type, rights)
    card = _begun(card, choices)
    with ctx.reading():
        drawn = draw_card(ctx, card)
    body = render_template(
        "gx/chartbuilder.html",
        card=card,
        label=pick(card.label, ctx.locale),
        into=into,
        known=known,
        drawn=drawn,
        choices=choices,
        types=_types(ctx),
        charts=[
            (key, translate(text, ctx.locale), icon) for key, (text, icon) in CHART_TEXTS.items()
        ],
        hows=_told(ctx, _HOW_TEXTS),
        sorts=_told(ctx, _SORT_TEXTS),
        targets=[one for one in list_dashboards(ctx) if one.may_change],
        roles=audiences(ctx),
        limit=card.limit or "",
        usual_limit=LIMIT,
        most=MOST_GROUPS,
        form=request.form,
        error=problem_body(error) if error else None,
    )
    return body, error.status if error else 200


def _begun(card: Card, choices: Choices) -> Card:
    """Return a card with the first group that suits, so that there is something to see."""
    if card.group_by or card.chart == "number" or not choices.groups:
        return card
    return msgspec.structs.replace(card, group_by=choices.groups[0][0])


def _told(ctx: Context, texts: Mapping[str, str]) -> list[Choice]:
    return [(key, translate(text, ctx.locale)) for key, text in texts.items()]


def _choices(ctx: Context, record_type: RecordType, rights: Access) -> Choices:
    """Return what the actor can group by and add up; nothing that is hidden in any row."""
    found = Choices()
    names = [one.name for one in record_type.fields if one.type != "table"]
    names += [name for name in SYSTEM_FIELDS if name in rights.names and name.endswith("_at")]
    for name in names:
        one = record_type.field(name)
        if name not in rights.certain or not is_stored(one):
            continue
        label = label_of(record_type, name, ctx.locale)
        _offer(ctx, found, name, label, kind_of(record_type, name))
        if kind_of(record_type, name) in DAY_TYPES:
            found.days.append((name, label))
    for table in record_type.fields:
        if table.type != "table" or table.name not in rights.certain:
            continue
        for column in table.fields:
            if is_stored(column):
                label = f"{field_label(table, ctx.locale)} · {field_label(column, ctx.locale)}"
                kind = column.result or column.type
                _offer(ctx, found, f"{table.name}.{column.name}", label, kind)
    return found


def _offer(ctx: Context, found: Choices, name: str, label: str, kind: str) -> None:
    if kind in DAY_TYPES:
        for bucket in BUCKETS:
            told = translate(_BUCKET_TEXTS[bucket], ctx.locale)
            found.groups.append((f"{name}.{bucket}", f"{label} · {told}"))
    elif kind not in _NO_GROUPS and kind not in NUMERIC - {"rating", "integer"}:
        found.groups.append((name, label))
    if kind in NUMERIC:
        found.takes.append((name, label))


@pages.post("/dashboards/chart/preview")
@page
def preview_chart(ctx: Context) -> ResponseReturnValue:
    """Answer with the card that the form says, worked out."""
    return jsonify({"html": render_template("gx/cardpart.html", drawn=_preview(ctx))})


def _preview(ctx: Context) -> Drawn:
    return draw_card(ctx, _read(ctx, request.form))


@pages.post("/dashboards/chart")
@page
def save_chart(ctx: Context) -> ResponseReturnValue:
    """Put the chart into a dashboard that exists, or into a new one."""
    form = request.form
    into = _target(ctx, form.get("dashboard", ""))
    known = form.get("card", "")
    card = _read(ctx, form)
    try:
        made = _saved(ctx, card, into, known)
    except UserError as error:
        return _builder(ctx, card, into, known, error)
    flash(translate(N_("The chart is on the dashboard."), ctx.locale), "good")
    return redirect(f"/dashboards/{made.name}", 303)


def _saved(ctx: Context, card: Card, into: Shown | None, known: str) -> Shown:
    cards: Iterable[Card] = into.content.cards if into else ()
    card = msgspec.structs.replace(card, name=known or free_name(cards))
    written = {"cards": [written_card(one) for one in with_card(cards, card, known)]}
    if into is not None:
        return change_dashboard(ctx, into.name, written, version=posted_version())
    shared = request.form.get("shared_with", "")
    label = request.form.get("dashboard_label", "").strip()
    values = {
        "label": label or translate(N_("My dashboard"), ctx.locale),
        "shared_with": [shared] if shared else [],
    }
    return save_dashboard(ctx, values | written)
