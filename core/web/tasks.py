"""The audit queue: boxes, the task on its difference, the decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from flask import g, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import UserError
from core.i18n import N_, pick, translate
from core.ids import new_id
from core.schema.model import RecordType
from core.web.display import value_text
from core.web.navigation import type_label
from core.web.page import page, pages, problem_answer, problem_body, wants_json
from core.web.reading import UNTOLD, Difference, Event, field_of, label_of, make_reading, timeline
from core.workflow.deciding import decide
from core.workflow.inbox import BOXES, list_tasks
from core.workflow.pages import get_task

BOX_TEXTS = {
    "todo": N_("For me"),
    "started": N_("Started by me"),
    "done": N_("Done by me"),
    "cc": N_("Copies"),
    "claimable": N_("To claim"),
    "team": N_("Team"),
}

#: Boxes shown even when they are empty; the others only with something in them.
_ALWAYS = frozenset({"todo", "started", "done"})

PHRASES = (
    N_("Agreed."),
    N_("Please check the figures."),
    N_("Please explain the reason."),
    N_("Not in line with the rules."),
)

STATE_TEXTS = {
    "running": N_("Waiting"),
    "approved": N_("Approved"),
    "rejected": N_("Rejected"),
    "withdrawn": N_("Withdrawn"),
    "terminated": N_("Ended"),
    "suspended": N_("Suspended"),
    "apply_blocked": N_("Could not take effect"),
    "returned": N_("Returned"),
}

STATE_TONES = {
    "running": "info",
    "approved": "good",
    "rejected": "bad",
    "suspended": "warn",
    "apply_blocked": "bad",
    "returned": "warn",
}


@dataclass(slots=True)
class Detail:
    """One task as its panel shows it."""

    id: str
    title: str
    type_label: str
    step: str
    progress: str
    initiator: str
    opened_at: str
    due_at: str | None
    sla: str
    subject_hash: str
    href: str
    state_label: str
    tone: str
    is_new: bool
    changes: list[Difference]
    unchanged: list[Difference]
    events: list[Event]
    may: list[str]
    reject_needs_opinion: bool
    why_not: str
    phrases: list[str]
    key: str = dataclass_field(default_factory=new_id)
    opinion: str = ""
    message: str = ""

    @property
    def opinion_for_reject(self) -> bool:
        """Return whether only a rejection needs an opinion."""
        return self.reject_needs_opinion


@pages.get("/tasks/")
@page
def show_queue(ctx: Context) -> ResponseReturnValue:
    """Show a box; the first task of the box for me is opened at once."""
    queue = _queue(ctx)
    detail = None
    if queue["box"] == "todo" and queue["tasks"] and "open" in request.args:
        detail = load_detail(ctx, queue["tasks"][0]["id"])
    return render_template("gx/tasks.html", queue=queue, detail=detail, box=queue["box"])


@pages.get("/tasks/<task_id>")
@page
def show_task(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Show one task beside its box."""
    queue = _queue(ctx)
    detail = load_detail(ctx, task_id)
    return render_template("gx/tasks.html", queue=queue, detail=detail, box=queue["box"])


@pages.get("/tasks/<task_id>/panel")
@page
def show_panel(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Answer one task's panel alone, for the queue's own script."""
    box = _box()
    return render_template("gx/task.html", detail=load_detail(ctx, task_id), box=box)


@pages.post("/tasks/<task_id>/decide")
@page
def decide_task(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Vote; a page that is out of date keeps its opinion and says what happened."""
    form = request.form
    opinion = form.get("opinion", "").replace("\r\n", "\n").strip()
    try:
        decide(
            ctx,
            task_id,
            form.get("verb", ""),
            subject_hash=form.get("subject_hash", ""),
            opinion=opinion,
            key=form.get("key") or None,
        )
    except UserError as error:
        if wants_json():
            return problem_answer(error)
        queue, detail = _queue(ctx), load_detail(ctx, task_id)
        body = problem_body(error)
        detail.opinion = opinion
        told = [body["message"], *(each["message"] for each in body["problems"])]
        detail.message = " ".join(told)
        shown = render_template("gx/tasks.html", queue=queue, detail=detail, box=queue["box"])
        return shown, error.status
    if wants_json():
        return jsonify({"counts": list_tasks(ctx, box="todo", limit=1)["counts"]})
    return redirect("/tasks/?open=1", 303)


def _box() -> str:
    box = request.values.get("box", "todo")
    return box if box in BOXES else "todo"


def _queue(ctx: Context) -> dict[str, Any]:
    box = _box()
    found = list_tasks(ctx, box=box, after=request.args.get("after", ""))
    g.gx_waiting = found["counts"]["todo"]  # the menu shows it too
    boxes = [
        {"name": name, "label": translate(BOX_TEXTS[name], ctx.locale), "count": count}
        for name in BOXES
        if (count := found["counts"].get(name, 0)) or name in _ALWAYS or name == box
    ]
    for each in boxes:
        if each["name"] == "done":
            each["count"] = None
    return {
        "box": box,
        "boxes": boxes,
        "next": found["next"],
        "tasks": [task_line(ctx, row) for row in found["items"]],
    }


def task_line(ctx: Context, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a box as lists show it."""
    record_type = ctx.registry.release.type(row["record"]["type"])
    name = row["record"]["type"]
    if record_type is not None:
        name = type_label(record_type, ctx.locale, plural=False)
    state = row["instance_state"]
    is_over = row["state"] != "open"
    return {
        "id": row["id"],
        "title": row["title"] or name,
        "type_label": name,
        "step": pick(row["step"]["title"], ctx.locale, row["step"]["id"]),
        "initiator": row["initiator"]["name"],
        "opened_at": row["opened_at"],
        "due_at": row["due_at"],
        "sla": row["sla"] or "",
        "href": f"/records/{row['record']['type']}/{row['record']['id']}",
        "state_label": state_text(ctx, state) if is_over or state != "running" else "",
        "tone": STATE_TONES.get(state, ""),
        "instance_state": state,
    }


def state_text(ctx: Context, state: str) -> str:
    """Return an instance's state in the reader's language."""
    return translate(STATE_TEXTS.get(state, state), ctx.locale)


def load_detail(ctx: Context, task_id: str) -> Detail:
    """Return a task with everything its panel shows."""
    found = get_task(ctx, task_id)
    line = task_line(ctx, found)
    record_type = ctx.registry.record_type(found["record"]["type"])
    changes = found["diff"]
    before = {each["field"]: each["before"] for each in changes}
    after = {each["field"]: each["after"] for each in changes}
    same = {each["field"]: each["value"] for each in found["unchanged"]}
    votes = [verb for verb in found["may"] if verb in {"approve", "reject"}]
    why_not = found["why_not"] or {}
    blocked = found["blocked"] or {}
    return Detail(
        id=task_id,
        title=line["title"],
        type_label=line["type_label"],
        step=line["step"],
        progress=_progress(ctx, found),
        initiator=line["initiator"],
        opened_at=line["opened_at"],
        due_at=line["due_at"],
        sla=line["sla"],
        subject_hash=found["subject_hash"],
        href=line["href"],
        state_label=line["state_label"],
        tone=line["tone"],
        is_new=all(value is None for value in before.values()),
        changes=_told(ctx, record_type, before, after),
        unchanged=_told(ctx, record_type, {}, same),
        events=timeline(
            ctx,
            record_type,
            [each for each in reversed(found["timeline"]) if each["verb"] not in UNTOLD],
        ),
        may=[] if why_not else votes,
        reject_needs_opinion=found["opinion_rules"].get("reject") == "required",
        why_not=str(why_not.get("message") or translate(blocked.get("text", ""), ctx.locale)),
        phrases=[translate(text, ctx.locale) for text in PHRASES],
    )


def _progress(ctx: Context, found: Mapping[str, Any]) -> str:
    progress = found["progress"]
    if progress["seats"] < 2:  # noqa: PLR2004  one voice needs no count
        return ""
    text = N_("{approved} of {seats} approved")
    return translate(text, ctx.locale, approved=progress["approved"], seats=progress["seats"])


def _told(
    ctx: Context, record_type: RecordType, before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Difference]:
    """Return wire values before and after as people read them."""
    reading = make_reading(ctx, record_type.fields, [before, after])
    told = []
    for name in after:
        field = field_of(record_type, name)
        texts = [
            value_text(field, side.get(name), reading) if field else str(side.get(name) or "")
            for side in (before, after)
        ]
        told.append(Difference(name, label_of(record_type, name, ctx.locale), *texts))
    return told
