"""What belongs to one's own audit queue: bulk, undo, filters, putting off, and its figures."""

from datetime import MAXYEAR, MINYEAR, datetime, timedelta
from typing import Any

from flask import Response

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.rest.exchange import body_keys, only, query_keys, route
from core.workflow.queue import bulk, holding
from core.workflow.queue import filters as taskfilters
from core.workflow.queue.bottlenecks import bottlenecks
from core.workflow.queue.copies import mark_copy_read
from core.workflow.queue.maillinks import set_mail, wants_mail
from core.workflow.queue.openings import mark_opened
from core.workflow.queue.snoozing import bring_back, put_off
from core.workflow.staff.people import may_administer
from core.workflow.timing.effects import effects_of, retry_effect

#: Days that figures go back without being asked.
_DAYS = 30


@route("/tasks/bulk", "POST")
def decide_many(ctx: Context) -> Any:
    """Decide many tasks with one verb: a result per item, or 202 and a bulk to be watched."""
    query_keys()
    body = body_keys(
        {"verb": str, "items": list, "opinion": str, "preview": bool}, required=["verb", "items"]
    )
    verb, items, opinion = body["verb"], body["items"], body.get("opinion", "")
    ctx.door = "bulk"
    if body.get("preview", False):
        return {"items": bulk.preview(ctx, verb, items, opinion)}
    done = bulk.decide_all(ctx, verb, items, opinion)
    return (bulk.progress(ctx, done), 202) if isinstance(done, str) else {"items": done}


@route("/tasks/bulk/<bulk_id>", "GET")
def watch(ctx: Context, bulk_id: str) -> Any:
    """Answer with how far one of the caller's bulks is, and with what became of each task."""
    query_keys()
    return bulk.progress(ctx, bulk_id)


@route("/tasks/bulk/<bulk_id>/retry", "POST")
def retry(ctx: Context, bulk_id: str) -> Any:
    """Try again what was refused or failed."""
    query_keys()
    body_keys({})
    return bulk.retry(ctx, bulk_id), 202


@route("/tasks/held/<held_id>/cancel", "POST")
def cancel(ctx: Context, held_id: str) -> Any:
    """Call a held decision back before it is made."""
    query_keys()
    body_keys({})
    return holding.cancel(ctx, held_id)


@route("/tasks/filters", "GET")
def list_filters(ctx: Context) -> Any:
    """Answer with the filters that the caller keeps."""
    query_keys()
    return {"items": taskfilters.list_filters(ctx)}


@route("/tasks/filters", "POST")
def save_filter(ctx: Context) -> Any:
    """Keep a filter under a name, in the place of one that has it."""
    query_keys()
    body = body_keys({"label": str, "query": dict}, required=["label", "query"])
    return taskfilters.save_filter(ctx, body["label"], body["query"]), 201


@route("/tasks/filters/<filter_id>", "DELETE")
def remove_filter(ctx: Context, filter_id: str) -> Any:
    """Forget a filter."""
    query_keys()
    taskfilters.remove_filter(ctx, filter_id)
    return Response(status=204)


@route("/tasks/mail", "GET")
def get_mail(ctx: Context) -> Any:
    """Answer with whether the caller gets mails about tasks."""
    query_keys()
    return {"wanted": wants_mail(ctx)}


@route("/tasks/mail", "PUT")
def put_mail(ctx: Context) -> Any:
    """Have mails about tasks sent to the caller, or no longer."""
    query_keys()
    body = body_keys({"wanted": bool}, required=["wanted"])
    set_mail(ctx, wanted=body["wanted"])
    return {"wanted": body["wanted"]}


@route("/tasks/<task_id>/snooze", "PUT")
def snooze(ctx: Context, task_id: str) -> Any:
    """Take a task out of the caller's own box until an instant; nobody else notices."""
    query_keys()
    body = body_keys({"until": str}, required=["until"])
    return {"task": task_id, "until": put_off(ctx, task_id, _instant("until", body["until"]))}


@route("/tasks/<task_id>/snooze", "DELETE")
def unsnooze(ctx: Context, task_id: str) -> Any:
    """Show a task again that was put off."""
    query_keys()
    bring_back(ctx, task_id)
    return Response(status=204)


@route("/tasks/<task_id>/opened", "POST")
def note_opened(ctx: Context, task_id: str) -> Any:
    """Note that the caller has a task's difference before them."""
    query_keys()
    body_keys({})
    mark_opened(ctx, task_id)
    return Response(status=204)


@route("/instances/<instance_id>/read", "POST")
def note_read(ctx: Context, instance_id: str) -> Any:
    """Note that the caller has read their copy of a document."""
    query_keys()
    body_keys({})
    mark_copy_read(ctx, instance_id)
    return Response(status=204)


@route("/instances/<instance_id>/effects", "GET", guard=only(may_administer))
def list_effects(ctx: Context, instance_id: str) -> Any:
    """Answer with what became of the effect steps of an approval."""
    query_keys()
    with ctx.reading() as connection:
        return {"items": effects_of(connection, instance_id)}


@route("/instances/<instance_id>/effects/<visit_id>/retry", "POST", guard=only(may_administer))
def try_effect(ctx: Context, instance_id: str, visit_id: str) -> Any:
    """Have an effect that failed carried out again."""
    query_keys()
    body_keys({})
    return retry_effect(ctx, instance_id, visit_id), 202


@route("/flows/bottlenecks", "GET")
def figures(ctx: Context) -> Any:
    """Answer with where approvals stayed, from `since` (30 days ago) until `until` (now)."""
    query = query_keys("type", "flow", "since", "until")
    until = _instant("until", query["until"]) if "until" in query else ctx.now
    since = _instant("since", query["since"]) if "since" in query else until - timedelta(_DAYS)
    return bottlenecks(
        ctx, since=since, until=until, type_name=query.get("type", ""), flow=query.get("flow", "")
    )


def _instant(path: str, text: str) -> datetime:
    """Return an instant from its text.

    Raises:
        Invalid: it is none, or has no time zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    # Whatever is near the ends of the calendar has no thirty days before it, or no UTC.
    if found is None or found.tzinfo is None or not MINYEAR + 1 < found.year < MAXYEAR:
        told = N_("Write an instant with its time zone, such as 2026-03-01T09:00:00Z.")
        raise Invalid(problems=[Problem(path, "query.instant", told)])
    return found
