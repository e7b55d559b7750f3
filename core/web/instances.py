"""The course of one approval: where it stands, what happened, and what administrators may do."""

from flask import flash, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem, UserError
from core.i18n import N_, pick, translate
from core.web.flowprogress import draw_progress
from core.web.page import page, pages, problem_answer, problem_body, wants_json
from core.web.reading import timeline
from core.web.taskrows import state_text, task_lines
from core.web.tasktexts import RESULT_TEXTS, RESULT_TONES, STATE_TONES, TASK_STATE_TEXTS
from core.workflow import operations
from core.workflow.course import find_course
from core.workflow.evidence.pack import may_take
from core.workflow.queue.pages import get_instance
from core.workflow.staff.people import may_administer

#: What an administrator may do -> how its button is called.
ADMINISTERING = {
    "suspend": (operations.suspend, N_("Suspend")),
    "resume": (operations.resume, N_("Resume")),
    "retry": (operations.retry, N_("Try again to put it into effect")),
    "terminate": (operations.terminate, N_("End it")),
}


@pages.get("/instances/<instance_id>")
@page
def show_instance(ctx: Context, instance_id: str) -> ResponseReturnValue:
    """Show an approval's whole course."""
    found = get_instance(ctx, instance_id)
    record_type = ctx.registry.record_type(found["record"]["type"])
    lines = task_lines(ctx, found["tasks"])
    for line, row in zip(lines, found["tasks"], strict=True):
        result = RESULT_TEXTS.get(row["result"]) or TASK_STATE_TEXTS.get(row["state"], "")
        line["result"] = translate(result, ctx.locale)
        line["result_tone"] = RESULT_TONES.get(row["result"], "")
        line["closed_at"] = row["closed_at"]
    return render_template(
        "gx/instance.html",
        one=found,
        title=found["title"] or pick(record_type.label, ctx.locale, record_type.name),
        flow=pick(found["flow"]["title"], ctx.locale, found["flow"]["name"]),
        href=f"/records/{found['record']['type']}/{found['record']['id']}",
        state=state_text(ctx, found["state"]),
        tone=STATE_TONES.get(found["state"], ""),
        progress=draw_progress(ctx, find_course(ctx, instance_id)),
        tasks=lines,
        events=timeline(ctx, record_type, list(reversed(found["events"]))),
        has_evidence=may_take(ctx, found["record"]),
        verbs=[
            (verb, translate(text, ctx.locale))
            for verb, (_, text) in ADMINISTERING.items()
            if verb in found["may"]
        ],
    )


@pages.post("/instances/<instance_id>/<verb>")
@page
def administer(ctx: Context, instance_id: str, verb: str) -> ResponseReturnValue:
    """Suspend, resume or end an approval, with a reason.

    Raises:
        Forbidden: the actor is no administrator.
        NotFound: there is no such verb.
    """
    if not may_administer(ctx):
        raise Forbidden
    if verb not in ADMINISTERING:
        raise NotFound
    reason = request.form.get("reason", "").strip()
    try:
        if not reason:
            raise Invalid(problems=[Problem("reason", "field.required", N_("Say why."))])
        ADMINISTERING[verb][0](ctx, instance_id, reason=reason, key=request.form.get("key"))
    except UserError as error:
        if wants_json():
            return problem_answer(error)
        if isinstance(error, NotFound):
            raise  # there is no page to say it on
        body = problem_body(error)
        flash(" ".join([body["message"], *(each["message"] for each in body["problems"])]), "bad")
    return redirect(f"/instances/{instance_id}", 303)
