"""The audit queue: boxes, the task on its difference, every verb of its people."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlencode

from flask import g, jsonify, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import UserError
from core.i18n import pick, translate
from core.web.navigation import type_label, visible_types
from core.web.page import page, pages, problem_answer, problem_body, wants_json
from core.web.taskcommands import FIELDS, Asked, read_asked
from core.web.taskdetail import Detail, editable_fields, load_detail, proposed_values
from core.web.taskrows import state_text, task_lines
from core.web.tasktexts import (
    BOX_KEYS,
    BOX_TEXTS,
    BROWSER_TEXTS,
    FLAG_TEXTS,
    LEAVING,
    SORT_TEXTS,
    STATE_TONES,
    VERBS,
    WORKED_OFF,
)
from core.workflow.deciding import Decision, decide
from core.workflow.engine.tree import compile_flow
from core.workflow.queue.filters import list_filters, remove_filter, save_filter
from core.workflow.queue.holding import HELD_VERBS, cancel, hold, settle
from core.workflow.queue.inbox import BOXES, Narrowing, counts, list_tasks
from core.workflow.queue.insight import find_insight
from core.workflow.queue.notes import add_note
from core.workflow.queue.openings import mark_opened
from core.workflow.queue.pages import get_task
from core.workflow.queue.snoozing import bring_back, put_off
from core.workflow.reviewing import review_task
from core.workflow.staff.people import may_administer

#: Boxes shown even when they are empty; the others only with something in them.
_ALWAYS = frozenset({"todo", "started", "done"})
#: How long a decision is held, so that it can be undone.
UNDO_SECONDS = 5
#: What an address may ask of a box.
_ASKED = ("type", "step", "initiator", "text", "sort", *FLAG_TEXTS)


@pages.get("/tasks/")
@page
def show_queue(ctx: Context) -> ResponseReturnValue:
    """Show a box; the first task of the box for me is opened at once."""
    queue = _queue(ctx)
    detail = None
    if queue["box"] == "todo" and queue["tasks"] and "open" in request.args:
        detail = load_detail(ctx, queue["tasks"][0]["id"])
    return _render(ctx, queue, detail)


@pages.get("/tasks/<task_id>")
@page
def show_task(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Show one task beside its box."""
    return _render(ctx, _queue(ctx), load_detail(ctx, task_id))


@pages.get("/tasks/rows")
@page
def show_rows(ctx: Context) -> ResponseReturnValue:
    """Answer a box's rows alone, for the queue's own script."""
    return render_template("gx/taskrows.html", queue=_queue(ctx), detail=None)


@pages.get("/tasks/counts")
@page
def show_counts(ctx: Context) -> ResponseReturnValue:
    """Answer how many tasks are in each box; open queues ask every other second."""
    return jsonify({"counts": counts(ctx)})


@pages.get("/tasks/<task_id>/panel")
@page
def show_panel(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Answer one task's panel alone, for the queue's own script."""
    return render_template("gx/task.html", detail=load_detail(ctx, task_id), box=_box())


@pages.get("/tasks/<task_id>/insight")
@page
def show_insight(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Answer what the past says about a task."""
    shown = frozenset(proposed_values(get_task(ctx, task_id)))
    return render_template(
        "gx/taskinsight.html",
        insight=find_insight(ctx, task_id, shown),
        state_text=partial(state_text, ctx),
        state_tone=STATE_TONES.get,
    )


@pages.get("/tasks/<task_id>/review")
@page
def show_task_review(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Answer what plugins find in the document of a task."""
    return render_template("gx/reviews.html", reviews=review_task(ctx, task_id))


@pages.post("/tasks/<task_id>/notes")
@page
def write_note(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Write an internal note, which who made the document never sees."""
    add_note(ctx, task_id, request.form.get("note", "").replace("\r\n", "\n"))
    if wants_json():
        return jsonify({})
    return redirect(f"/tasks/{task_id}?box={_box()}", 303)


@pages.post("/tasks/<task_id>/snooze")
@page
def put_aside(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Take a task out of the actor's own box for a while; `back` shows it again at once."""
    wanted = request.form.get("until", "")
    if wanted == "back":
        bring_back(ctx, task_id)
    else:
        put_off(ctx, task_id, _until(ctx, wanted))
    if wants_json():
        return jsonify({"counts": counts(ctx)})
    return redirect(f"/tasks/?box={_box()}", 303)


def _until(ctx: Context, wanted: str) -> datetime:
    """Return the instant that a choice of the form means: mornings are nine o'clock."""
    local = ctx.now.astimezone(ctx.time_zone)
    if wanted not in {"tomorrow", "monday"}:
        return ctx.now + timedelta(hours=2)
    days = 1 if wanted == "tomorrow" else 7 - local.weekday()
    morning = (local + timedelta(days=days)).replace(hour=9, minute=0, second=0, microsecond=0)
    return morning.astimezone(UTC)


@pages.post("/tasks/<task_id>/decide")
@page
def decide_task(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Do what the form says; a page that is out of date keeps its opinion and says why."""
    asked = _read(ctx, task_id)
    try:
        held = _act(ctx, task_id, asked)
    except UserError as error:
        if wants_json():
            return problem_answer(error)
        detail = load_detail(ctx, task_id)
        body = problem_body(error)
        detail.opinion, detail.armed = asked.opinion, asked.verb
        told = [body["message"], *(each["message"] for each in body["problems"])]
        detail.message = " ".join(told)
        return _render(ctx, _queue(ctx), detail), error.status
    if wants_json():
        return jsonify({"counts": counts(ctx), **held})
    if asked.verb in LEAVING:
        return redirect("/tasks/?open=1", 303)
    return redirect(f"/tasks/{task_id}?box={_box()}", 303)


def _read(ctx: Context, task_id: str) -> Asked:
    """Return what the form asks for, with the fields that it changes."""
    if not any(name.startswith(FIELDS) for name in request.form):
        return read_asked(ctx, request.form)
    found = get_task(ctx, task_id)
    record_type = ctx.registry.record_type(found["record"]["type"])
    offered = editable_fields(ctx, found)
    # A field that was not offered is read too, so that it is refused and not passed over.
    fields = [
        each
        for each in record_type.fields
        if each.name in offered or FIELDS + each.name in request.form
    ]
    return read_asked(ctx, request.form, fields, proposed_values(found))


def _act(ctx: Context, task_id: str, asked: Asked) -> dict[str, Any]:
    """Decide, or hold the decision for a moment; return what the script must know of that."""
    if request.form.get("hold") and asked.verb in HELD_VERBS and asked.is_plain:
        decision = Decision(
            task_id, asked.verb, asked.more["subject_hash"], asked.opinion, asked.more["seat"]
        )
        kept = hold(ctx, decision, UNDO_SECONDS, **asked.extras("to", "then"))
        return {"held": {"id": kept["held"], "seconds": UNDO_SECONDS}}
    key = request.form.get("key") or None
    extras = asked.extras("seat", "to", "then", "rule", "fields", "signature")
    decide(
        ctx, task_id, asked.verb, subject_hash=asked.more["subject_hash"],
        opinion=asked.opinion, key=key, **extras,
    )  # fmt: skip
    return {}


@pages.post("/tasks/held/<held_id>/cancel")
@page
def undo_held(ctx: Context, held_id: str) -> ResponseReturnValue:
    """Call a decision back before it is made."""
    cancel(ctx, held_id)
    return jsonify({"counts": counts(ctx)})


@pages.post("/tasks/held/<held_id>/settle")
@page
def settle_held(ctx: Context, held_id: str) -> ResponseReturnValue:
    """Answer what became of a decision whose time has come."""
    found = settle(ctx, held_id)
    return jsonify({"state": found["state"], "message": found["why"], "counts": counts(ctx)})


@pages.post("/tasks/<task_id>/opened")
@page
def note_opened(ctx: Context, task_id: str) -> ResponseReturnValue:
    """Note that the actor has a task's difference before them."""
    mark_opened(ctx, task_id)
    return "", 204


@pages.post("/tasks/filters")
@page
def keep_filter(ctx: Context) -> ResponseReturnValue:
    """Keep what narrows the box now under a name of the actor's own."""
    query: dict[str, Any] = {"box": _box(), **_asked(request.form)}
    query |= {name: True for name in FLAG_TEXTS if name in query}
    save_filter(ctx, request.form.get("label", ""), query)
    return redirect(f"/tasks/?{urlencode(_plain(query))}", 303)


@pages.post("/tasks/filters/<filter_id>/remove")
@page
def drop_filter(ctx: Context, filter_id: str) -> ResponseReturnValue:
    """Forget one of the actor's filters."""
    remove_filter(ctx, filter_id)
    return redirect(f"/tasks/?box={_box()}", 303)


def _asked(source: Mapping[str, str]) -> dict[str, str]:
    """Return what narrows and orders a box, out of an address or a form."""
    return {name: source[name].strip() for name in _ASKED if source.get(name, "").strip()}


def _plain(query: Mapping[str, Any]) -> dict[str, str]:
    """Return a kept filter as an address says it."""
    return {name: "1" if value is True else str(value) for name, value in query.items() if value}


def _steps(ctx: Context, type_name: str) -> list[tuple[str, str]]:
    """Return the steps at which documents of a type wait for people, over all its flows."""
    flows = [each for each in ctx.registry.release.flows.values() if each.document == type_name]
    found = {
        node.id: pick(node.step.title, ctx.locale, node.id)
        for flow in flows
        for node in compile_flow(flow, ctx.registry.release.flows).nodes.values()
        if node.is_human
    }
    return list(found.items())


def _offered(ctx: Context, texts: Mapping[str, str], box: str) -> list[tuple[str, str]]:
    """Return the orders or flags that make sense in a box; what is over is only looked at."""
    useless = {"snoozed"} if box != "todo" else {"attention"}
    if box == "team" and may_administer(ctx):
        useless.add("priority")  # everybody's tasks have no common order of urgency
    return [
        (name, translate(text, ctx.locale))
        for name, text in texts.items()
        if box in WORKED_OFF and name not in useless
    ]


def _render(ctx: Context, queue: dict[str, Any], detail: Detail | None) -> str:
    return render_template(
        "gx/tasks.html",
        queue=queue,
        detail=detail,
        box=queue["box"],
        texts=_texts(ctx.locale),
        verbs=_verb_facts(ctx.locale),
        may_administer=may_administer(ctx),
    )


@lru_cache(maxsize=8)
def _texts(locale: str) -> dict[str, str]:
    """Return what the queue's scripts show, besides the texts of every page."""
    return {text: translate(text, locale) for text in BROWSER_TEXTS}


@lru_cache(maxsize=8)
def _verb_facts(locale: str) -> dict[str, dict[str, Any]]:
    """Return what the queue's scripts know of each verb."""
    return {
        verb: {
            "label": translate(look.label, locale),
            "done": translate(look.done, locale),
            "key": look.key,
            "asks": look.asks,
            "leaves": verb in LEAVING,
            "holds": verb in HELD_VERBS,
        }
        for verb, look in VERBS.items()
    }


def _box() -> str:
    box = request.values.get("box", "todo")
    return box if box in BOXES else "todo"


def _queue(ctx: Context) -> dict[str, Any]:
    box, args = _box(), request.args
    asked = _asked(args)
    found = list_tasks(
        ctx,
        box=box,
        narrowing=Narrowing(
            type_name=asked.get("type", ""),
            step=asked.get("step", ""),
            initiator=asked.get("initiator", ""),
            text=asked.get("text", ""),
            **{name: name in asked for name in FLAG_TEXTS},
        ),
        sort=asked.get("sort", ""),
        after=args.get("after", ""),
    )
    g.gx_waiting = found["counts"]["todo"]  # the menu shows it too
    boxes = [
        {
            "name": name,
            "label": translate(BOX_TEXTS[name], ctx.locale),
            "count": None if name == "done" else count,
            "key": BOX_KEYS[name],
        }
        for name in BOXES
        if (count := found["counts"].get(name, 0)) or name in _ALWAYS or name == box
    ]
    return {
        "box": box,
        "boxes": boxes,
        "next": found["next"],
        "tasks": task_lines(ctx, found["items"]),
        "types": [
            (each.name, type_label(each, ctx.locale, plural=False))
            for each in visible_types(ctx)
            if each.document
        ],
        "steps": _steps(ctx, asked.get("type", "")),
        "sorts": _offered(ctx, SORT_TEXTS, box),
        "flags": _offered(ctx, FLAG_TEXTS, box),
        "filters": [
            {**each, "href": f"/tasks/?{urlencode(_plain(each['query']))}"}
            for each in list_filters(ctx)
        ],
        "asked": asked,
        "is_narrowed": bool(asked.keys() - {"sort"}),
        "query": urlencode({"box": box, **asked}),
    }
