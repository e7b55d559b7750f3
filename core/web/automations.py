"""Automations for administrators and configurators: switches, runs, and the buttons of records."""

from typing import Any

from flask import flash, g, redirect, render_template, request
from flask.typing import ResponseReturnValue

from core.automation import administration, requests
from core.context import Context
from core.errors import NotFound, UserError
from core.i18n import N_, translate
from core.schema.automations import Automation
from core.security.services import services
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body
from core.web.records import done_to

TRIGGER_TEXTS = {
    "created": N_("When a record is created"),
    "updated": N_("When a record is changed"),
    "deleted": N_("When a record is deleted"),
    "state_changed": N_("When a state changes"),
    "schedule": N_("On a schedule"),
    "date_field": N_("On a date of the record"),
    "webhook": N_("When another system calls"),
    "manual": N_("When somebody presses the button"),
}

ACTION_TEXTS = {
    "set": N_("Set fields"),
    "create": N_("Create a record"),
    "notify": N_("Notify"),
    "email": N_("Send an e-mail"),
    "webhook": N_("Call another system"),
    "submit": N_("Submit for approval"),
    "plugin": N_("Have a plugin do it"),
}

RUN_TEXTS = {
    "waiting": (N_("Waiting"), "info"),
    "retrying": (N_("Will be tried again"), "warn"),
    "sending": (N_("Sending"), "info"),
    "done": (N_("Done"), "good"),
    "dead": (N_("Given up"), "bad"),
    "stopped": (N_("Stopped: a loop"), "bad"),
}

RESULT_TEXTS = {
    "done": (N_("Done"), "good"),
    "skipped": (N_("Not needed"), ""),
    "queued": (N_("To be sent"), "info"),
    "failed": (N_("Failed"), "bad"),
    "undone": (N_("Undone"), "warn"),
    "ready": (N_("To be sent"), "info"),
    "sent": (N_("Sent"), "good"),
    "lost": (N_("Given up"), "bad"),
}

#: Runs shown beside an automation.
_RUNS = 20


@pages.get("/automations/")
@page
def show_automations(ctx: Context) -> ResponseReturnValue:
    """Show every automation, how it is switched and how its runs went."""
    listed = [_line(ctx, each) for each in administration.list_automations(ctx)]
    dead = administration.list_runs(ctx, state="dead", limit=_RUNS)["items"]
    return render_template(
        "gx/automations.html",
        automations=listed,
        dead=[_run_line(ctx, each) for each in dead],
        may=administration.may_administer(ctx),
    )


@pages.get("/automations/<name>")
@page
def show_automation(ctx: Context, name: str) -> ResponseReturnValue:
    """Show one automation: what it does, its switch and its last runs."""
    return _automation_page(ctx, name)


def _automation_page(ctx: Context, name: str, secret: Any = None) -> ResponseReturnValue:
    found = administration.get_automation(ctx, name)
    runs = administration.list_runs(ctx, automation=name, limit=_RUNS)
    automation = ctx.registry.release.automations[name]
    return render_template(
        "gx/automation.html",
        one=_line(ctx, found),
        facts=_facts(ctx, automation),
        actions=_actions(ctx, automation),
        runs=[_run_line(ctx, each) for each in runs["items"]],
        secret=secret,
        has_secret=automation.trigger.on == "webhook"
        or any(each.do == "webhook" for each in automation.actions),
        may=administration.may_administer(ctx),
    )


@pages.post("/automations/<name>/switch")
@page
def switch_automation(ctx: Context, name: str) -> ResponseReturnValue:
    """Switch an automation on or off."""
    is_on = request.form.get("on") == "1"
    administration.set_on(ctx, name, is_on=is_on)
    text = N_("The automation is on.") if is_on else N_("The automation is off.")
    flash(translate(text, ctx.locale), "good")
    return redirect(f"/automations/{name}", 303)


@pages.post("/automations/<name>/secret")
@page
def show_secret(ctx: Context, name: str) -> ResponseReturnValue:
    """Show the secret of a webhook once more, or make a new one."""
    if request.form.get("new") == "1":
        administration.renew_secret(ctx, name)
        flash(translate(N_("The secret before is worth nothing from now on."), ctx.locale), "warn")
    return _automation_page(ctx, name, _secret(ctx, name))


def _secret(ctx: Context, name: str) -> dict[str, str]:
    settings = services().settings
    base_url = settings.base_url or request.url_root.rstrip("/")
    return requests.partner_secret(ctx, name, settings.secret_key, base_url)


@pages.get("/automations/runs/")
@page
def show_runs(ctx: Context) -> ResponseReturnValue:
    """Show runs, newest first, of one automation, state or record, or all."""
    asked = {key: request.args.get(key, "") for key in ("automation", "state", "record")}
    found = administration.list_runs(
        ctx,
        automation=asked["automation"],
        state=asked["state"],
        record_id=asked["record"],
        before=request.args.get("before", ""),
    )
    return render_template(
        "gx/runs.html",
        runs=[_run_line(ctx, each) for each in found["items"]],
        next=found["next"],
        asked=asked,
        states=[(each, translate(text, ctx.locale)) for each, (text, _) in RUN_TEXTS.items()],
    )


@pages.get("/automations/runs/<run_id>")
@page
def show_run(ctx: Context, run_id: str) -> ResponseReturnValue:
    """Show a run: its input, each action's result, what was sent, errors and durations."""
    found = administration.get_run(ctx, run_id)
    results = []
    for each in found["results"]:
        message = each.get("message")
        message = message if isinstance(message, dict) else None
        state = message["state"] if message else each["state"]
        text, tone = RESULT_TEXTS.get(state, (state, ""))
        results.append(
            {
                **each,
                "do_label": translate(ACTION_TEXTS.get(each["do"], each["do"]), ctx.locale),
                "state_label": translate(text, ctx.locale),
                "tone": tone,
                "message": message,
            }
        )
    given = found["input"]
    return render_template(
        "gx/run.html",
        run=_run_line(ctx, found),
        results=results,
        caused=[_run_line(ctx, each) for each in found["caused"]],
        values=given.get("values") or {},
        given=given,
        may=administration.may_administer(ctx) and found["state"] in {"done", "dead", "stopped"},
    )


@pages.post("/automations/runs/<run_id>/replay")
@page
def replay_run(ctx: Context, run_id: str) -> ResponseReturnValue:
    """Do a run again."""
    try:
        made = administration.replay(ctx, run_id)
    except NotFound:
        raise
    except UserError as error:
        flash(problem_body(error)["message"], "bad")
        return redirect(f"/automations/runs/{run_id}", 303)
    flash(translate(N_("The run is done again."), ctx.locale), "good")
    return redirect(f"/automations/runs/{made}", 303)


@pages.post("/records/<type_name>/<record_id>/automations/<name>")
@page
def press_button(ctx: Context, type_name: str, record_id: str, name: str) -> ResponseReturnValue:
    """Start an automation from a record's page."""
    record = ctx, type_name, record_id
    return done_to(
        record,
        lambda: requests.press(*record, name),
        N_("Started; what it does shows in a moment."),
    )


def record_buttons(type_name: str, record_id: str) -> list[dict[str, str]]:
    """Return the automations that the signed-in person may start from a record's page."""
    ctx = g.get("gx_context")
    return requests.buttons(ctx, type_name, record_id) if ctx and record_id else []


def _line(ctx: Context, found: dict[str, Any]) -> dict[str, Any]:
    record_type = ctx.registry.release.type(found["type"])
    runs = found["runs"]
    return {
        **found,
        "type_label": type_label(record_type, ctx.locale, plural=False) if record_type else "",
        "trigger_label": translate(TRIGGER_TEXTS[found["trigger"]], ctx.locale),
        "action_labels": [translate(ACTION_TEXTS[each], ctx.locale) for each in found["actions"]],
        "done": runs.get("done", 0),
        "open": sum(runs.get(each, 0) for each in ("waiting", "retrying", "sending")),
        "bad": runs.get("dead", 0) + runs.get("stopped", 0),
    }


def _run_line(ctx: Context, found: dict[str, Any]) -> dict[str, Any]:
    text, tone = RUN_TEXTS[found["state"]]
    trigger = TRIGGER_TEXTS.get(found["trigger"])
    record = found.get("record")
    record_type = ctx.registry.release.type(record["type"]) if record else None
    return {
        **found,
        "state_label": translate(text, ctx.locale),
        "tone": tone,
        "trigger_label": translate(trigger, ctx.locale) if trigger else "",
        "record_label": (
            f"{type_label(record_type, ctx.locale, plural=False)} {record['title']}".strip()
            if record and record_type
            else ""
        ),
        "record_href": f"/records/{record['type']}/{record['id']}"
        if record and record_type
        else "",
    }


def _facts(ctx: Context, automation: Automation) -> list[tuple[str, str]]:
    """Return what an automation's document says, as people read it."""

    def text(source: str) -> str:
        return translate(source, ctx.locale)

    trigger = automation.trigger
    roles = ", ".join(sorted(automation.run_as.roles))
    found = [
        (N_("Fields"), ", ".join(trigger.fields)),
        (N_("Field"), trigger.field),
        (N_("From"), ", ".join(trigger.leaves)),
        (N_("To"), ", ".join(trigger.enters)),
        (N_("Schedule"), trigger.cron),
        (N_("Days after"), str(trigger.days) if trigger.on == "date_field" else ""),
        (N_("At"), trigger.at if trigger.on == "date_field" else ""),
        (N_("Time zone"), trigger.time_zone),
        (N_("Input"), ", ".join(each.name for each in trigger.input)),
        (N_("Condition"), automation.when),
        (N_("Doors"), ", ".join(automation.applies_to)),
        (N_("Acts as"), text(N_("The system")) if automation.run_as.system else roles),
        (N_("One at a time by"), automation.concurrency_key),
        (N_("Tries again"), f"{automation.retry.times} × {automation.retry.wait} s"),
        (N_("Layer"), automation.layer),
    ]
    return [(text(name), value) for name, value in found if value]


def _actions(ctx: Context, automation: Automation) -> list[dict[str, Any]]:
    return [
        {
            "label": translate(ACTION_TEXTS[each.do], ctx.locale),
            "target": each.type or each.record or each.url or each.name,
            "when": each.when,
            "values": list(each.values.items()),
            "title": each.title.get(ctx.locale) or next(iter(each.title.values()), ""),
        }
        for each in automation.actions
    ]
