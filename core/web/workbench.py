"""The first page: what waits for me, what I have begun, what happened to what I started."""

from dataclasses import dataclass
from typing import Any

from flask import g, render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.i18n import N_, translate
from core.policies.access import access
from core.records.queries import Query, list_wire
from core.web.dashboards import workbench_cards
from core.web.display import value_text
from core.web.navigation import may_sell, menu_place, type_icon, type_label, visible_types
from core.web.page import page, pages
from core.web.reading import make_reading
from core.web.taskrows import state_text, task_line
from core.web.tasktexts import STATE_TONES
from core.web.titles import title_name
from core.web.unsaved import unsaved_lines
from core.workflow.queue.inbox import list_tasks
from core.workflow.queue.notices import list_notices

_MY_DRAFTS = "(status == 'draft' or status == 'rejected') and created_by == current_user"

#: Rows of each box.
_ROWS = 6

#: New records offered.
_OFFERS = 12


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the workbench shows."""

    name: str
    today: str
    stats: list[dict[str, Any]]
    todo: list[dict[str, Any]]
    drafts: list[dict[str, Any]]
    unsaved: list[dict[str, Any]]
    started: list[dict[str, Any]]
    notices: list[dict[str, Any]]
    quick: list[dict[str, str]]
    sells: bool
    figures: list[dict[str, Any]]
    charts: list[dict[str, Any]]


@pages.get("/")
@page
def show_workbench(ctx: Context) -> ResponseReturnValue:
    """Show the signed-in person's workbench."""
    with ctx.reading():
        waiting = list_tasks(ctx, box="todo", limit=_ROWS)
        started = list_tasks(ctx, box="started", limit=_ROWS, with_counts=False)
        g.gx_waiting = waiting["counts"]["todo"]  # the menu shows it too
        drafts = _drafts(ctx)
        cards = workbench_cards(ctx)
        board = Board(
            name=ctx.actor.name,
            today=ctx.today.isoformat(),
            stats=_stats(ctx, waiting["counts"], drafts),
            todo=[task_line(ctx, row) for row in waiting["items"]],
            drafts=drafts[:_ROWS],
            unsaved=unsaved_lines(ctx),
            started=[_started(ctx, row) for row in started["items"]],
            notices=_notices(ctx),
            quick=_quick(ctx),
            sells=may_sell(ctx),
            figures=[one for one in cards if one["drawn"]["card"].chart == "number"],
            charts=[one for one in cards if one["drawn"]["card"].chart != "number"],
        )
    return render_template("gx/workbench.html", board=board)


def _stats(
    ctx: Context, counts: dict[str, int], drafts: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    def text(source: str) -> str:
        return translate(source, ctx.locale)

    return [
        {"value": counts["todo"], "label": text(N_("Waiting for me")), "href": "/tasks/"},
        {
            "value": counts["started"],
            "label": text(N_("Under approval, by me")),
            "href": "/tasks/?box=started",
        },
        {"value": len(drafts), "label": text(N_("My drafts")), "href": "#drafts"},
    ]


def _started(ctx: Context, row: dict[str, Any]) -> dict[str, Any]:
    line = task_line(ctx, row)
    state = line["instance_state"]
    return line | {"state_label": state_text(ctx, state), "tone": STATE_TONES.get(state, "")}


def _drafts(ctx: Context) -> list[dict[str, Any]]:
    """Return the actor's own documents that were begun and not submitted, newest first."""
    found = []
    for record_type in visible_types(ctx, "submit"):
        rights = access(ctx, record_type.name)
        status = record_type.field("status")
        if not record_type.document or status is None or "status" not in rights.certain:
            continue
        name = title_name(record_type)
        listed = list_wire(
            ctx,
            record_type.name,
            Query(
                filter=_MY_DRAFTS,
                fields=tuple(dict.fromkeys(("id", name, "status", "updated_at"))),
                sort=("-updated_at",),
                limit=20,
            ),
        )
        reading = make_reading(ctx, record_type.fields, listed.items)
        title = record_type.field(name)
        found += [
            {
                "title": value_text(title, each.get(name), reading) if title else each["id"],
                "type_label": type_label(record_type, ctx.locale, plural=False),
                "icon": type_icon(record_type),
                "status": each.get("status") or "",
                "status_label": value_text(status, each.get("status"), reading),
                "href": f"/records/{record_type.name}/{each['id']}",
                "at": str(each.get("updated_at") or ""),
            }
            for each in listed.items
        ]
    return sorted(found, key=lambda each: each["at"], reverse=True)


def _notices(ctx: Context) -> list[dict[str, Any]]:
    return [
        {"text": each["message"], "at": each["at"], "href": each["link"]}
        for each in list_notices(ctx, unread=False, limit=_ROWS)
    ]


def _quick(ctx: Context) -> list[dict[str, str]]:
    """Return what the actor may begin, in the order of the menu."""
    offered = [one for one in visible_types(ctx, "create") if one.menu or one.document]
    return [
        {
            "label": type_label(record_type, ctx.locale, plural=False),
            "href": f"/records/{record_type.name}/new",
            "icon": type_icon(record_type),
        }
        for record_type in sorted(offered, key=lambda one: menu_place(one.menu))
    ][:_OFFERS]
