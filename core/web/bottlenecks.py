"""Where approvals stay: business time by step and person, returns, rounds, rubber stamps."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.i18n import N_, pick, translate
from core.web.carddrawing import HUES
from core.web.navigation import type_label, visible_types
from core.web.page import page, pages
from core.web.taskrows import span
from core.workflow.queue.bottlenecks import bottlenecks

#: Stretches of time that are offered, in days.
DAYS = {7: N_("Last 7 days"), 30: N_("Last 30 days"), 90: N_("Last 90 days")}
_HOUR = 3600
#: Bars of a chart at most; the table says them all.
_BARS = 15


@pages.get("/tasks/bottlenecks")
@page
def show_bottlenecks(ctx: Context) -> ResponseReturnValue:
    """Show where approvals of the chosen days and type stayed."""
    days = request.args.get("days", "30")
    chosen = int(days) if days.isdecimal() and int(days) in DAYS else 30
    types = {each.name: each for each in visible_types(ctx) if each.document}
    wanted = request.args.get("type", "")
    type_name = wanted if wanted in types else ""
    found = bottlenecks(
        ctx, since=ctx.now - timedelta(days=chosen), until=ctx.now, type_name=type_name
    )
    steps = [_step_row(ctx, types, each) for each in found["steps"]]
    people = [_row(ctx, each["name"], "", each) for each in found["people"]]
    return render_template(
        "gx/bottlenecks.html",
        days=[(number, translate(text, ctx.locale)) for number, text in DAYS.items()],
        chosen=chosen,
        types=[(name, type_label(each, ctx.locale, plural=False)) for name, each in types.items()],
        type_name=type_name,
        stats=_stats(ctx, found),
        steps=steps,
        people=people,
        step_chart=_chart(ctx, N_("Time to decide, by step"), found["steps"], steps),
        people_chart=_chart(ctx, N_("Time to decide, by person"), found["people"], people),
        is_cut=found["is_cut"],
        left_out=[type_label(types[name], ctx.locale) for name in found["left_out"]],
    )


def _step_row(ctx: Context, types: Mapping[str, Any], each: Mapping[str, Any]) -> dict[str, Any]:
    kind = type_label(types[each["type"]], ctx.locale, plural=False)
    title = pick(each["title"], ctx.locale, each["step"])
    query = urlencode({"box": "team", "type": each["type"], "step": each["step"]})
    return _row(ctx, f"{kind} · {title}", f"/tasks/?{query}", each) | {
        "returned": _percent(each["return_rate"])
    }


def _row(ctx: Context, name: str, href: str, each: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "href": href,
        "count": each["count"],
        "median": _time(ctx, each["median"]),
        "p90": _time(ctx, each["p90"]),
        "automatic": _percent(each["automatic"]),
        "stamped": _percent(each["stamped"]),
        "is_stamping": (each["stamped"] or 0) > 0.5,  # noqa: PLR2004  more often than not
    }


def _time(ctx: Context, seconds: int | None) -> str:
    return "" if seconds is None else span(ctx, seconds, business=True)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.0f}%"


def _stats(ctx: Context, found: Mapping[str, Any]) -> list[tuple[str, str]]:
    waiting, rounds = found["waiting"], found["rounds"]
    whole = waiting["approver"] + waiting["initiator"]
    approver = waiting["approver"] / whole if whole else None
    return [
        (translate(N_("Approvals ended"), ctx.locale), str(rounds["ended"])),
        (translate(N_("Rounds on average"), ctx.locale), str(rounds["average"] or "–")),
        (translate(N_("Went round again"), ctx.locale), _percent(rounds["repeated"]) or "–"),
        (translate(N_("Waited for approvers"), ctx.locale), _percent(approver) or "–"),
        (
            translate(N_("Waited for initiators"), ctx.locale),
            "–" if approver is None else _percent(1 - approver),
        ),
    ]


def _chart(
    ctx: Context, label: str, found: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return what the browser draws of times: half of all decisions, and nine of ten."""
    timed = [(one, row) for one, row in zip(found, rows, strict=True) if one["median"] is not None]
    timed = timed[:_BARS]
    if not timed:
        return None
    series = [
        {
            "name": translate(text, ctx.locale),
            "values": [round(one[key] / _HOUR, 2) for one, _ in timed],
            "texts": [row[key] for _, row in timed],
            "color": HUES[hue],
        }
        for key, text, hue in (
            ("median", N_("half within"), "teal"),
            ("p90", N_("nine of ten within"), "orange"),
        )
    ]
    return {
        "type": "bar", "stacked": False, "across": True, "label": translate(label, ctx.locale),
        "labels": [row["name"] for _, row in timed], "series": series, "colors": [],
        "list": "/tasks/?box=team", "filters": [], "series_filters": [], "filter": "",
        "places": [row["href"] for _, row in timed],
    }  # fmt: skip
