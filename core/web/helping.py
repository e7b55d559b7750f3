"""Approvals that need an administrator: why, since when, and what can be done, on one page."""

from typing import Any

from flask import flash, render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import UserError
from core.i18n import N_, pick, translate
from core.web.instances import ADMINISTERING
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body, went
from core.web.titles import find_titles
from core.workflow.queue.helping import MOST, Need, find_needs
from core.workflow.timing.effects import retry_effect

#: Reason -> its heading, and what helps.
WHY_TEXTS = {
    "no_approver": (
        N_("Nobody can decide"),
        N_("Give somebody the role or position that is asked, or end the approval."),
    ),
    "stuck": (
        N_("The votes can no longer decide"),
        N_("Too many abstained or left. End it, so that it can be submitted again."),
    ),
    "overdue": (
        N_("Waited until its last deadline"),
        N_("Its clock has given up. Speak to the people who are asked, or end it."),
    ),
    "apply_blocked": (
        N_("Approved, but could not take effect"),
        N_("Mend what stands in its way, then try again to put it into effect."),
    ),
    "suspended": (N_("Suspended"), N_("It stands until it is resumed.")),
    "effect_failed": (
        N_("Something failed that should follow"),
        N_("The decision stands. Mend the reason, then try the step again."),
    ),
    "clock_failed": (
        N_("Its clock fails"),
        N_("It is tried again by itself, less and less often; the message says why it fails."),
    ),
    "late": (N_("Overdue"), N_("Its people have let their time go by.")),
}


@pages.get("/instances/")
@page
def show_needs(ctx: Context) -> ResponseReturnValue:
    """Show the approvals that cannot go on by themselves."""
    found = find_needs(ctx)
    titles = find_titles(ctx, [one.record for one in found])
    groups = [
        {
            "name": why,
            "title": translate(title, ctx.locale),
            "help": translate(told, ctx.locale),
            "is_cut": len(below) >= MOST,
            "items": [_line(ctx, one, titles) for one in below],
        }
        for why, (title, told) in WHY_TEXTS.items()
        if (below := [one for one in found if one.why == why])
    ]
    return render_template("gx/helping.html", groups=groups)


@pages.post("/instances/<instance_id>/effects/<visit_id>/retry")
@page
def try_effect(ctx: Context, instance_id: str, visit_id: str) -> ResponseReturnValue:
    """Have an effect that failed carried out again."""
    try:
        retry_effect(ctx, instance_id, visit_id)
    except UserError as error:
        if error.status in {403, 404}:
            raise
        flash(problem_body(error)["message"], "bad")
    else:
        flash(translate(N_("It is tried again now."), ctx.locale), "good")
    return went("/instances/")


def _line(ctx: Context, need: Need, titles: dict[tuple[str, str], str]) -> dict[str, Any]:
    release = ctx.registry.release
    record_type = release.type(need.record[0])
    flow = release.flows.get(need.flow)
    about = type_label(record_type, ctx.locale, plural=False) if record_type else need.record[0]
    return {
        "id": need.instance,
        # Whoever administers approvals need not be one who may see their documents.
        "title": titles.get(need.record, about),
        "about": about,
        "flow": pick(flow.title, ctx.locale, need.flow) if flow else need.flow,
        "step": pick(need.step_title, ctx.locale, need.step),
        "since": need.since,
        "error": need.error,
        "visit": need.visit,
        "verbs": [(verb, translate(ADMINISTERING[verb][1], ctx.locale)) for verb in need.may],
    }
