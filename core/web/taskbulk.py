"""Many tasks of the audit queue at once: first what would become of each, then what did."""

from typing import Any

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Malformed
from core.web.page import page, pages
from core.workflow.queue import bulk
from core.workflow.queue.inbox import counts


@pages.post("/tasks/bulk")
@page
def decide_many(ctx: Context) -> ResponseReturnValue:
    """Answer with a result per task, or with what the worker now does; a preview writes nothing.

    Raises:
        Malformed: what was sent is not what the queue's script sends.
    """
    sent = request.get_json(silent=True)
    if not isinstance(sent, dict):
        raise Malformed
    verb, opinion, items = sent.get("verb"), sent.get("opinion", ""), sent.get("items")
    if not isinstance(verb, str) or not isinstance(opinion, str) or not isinstance(items, list):
        raise Malformed
    ctx.door = "bulk"
    if sent.get("preview") is True:
        return jsonify({"items": bulk.preview(ctx, verb, items, opinion)})
    done = bulk.decide_all(ctx, verb, items, opinion)
    if isinstance(done, str):
        return jsonify(bulk.progress(ctx, done)), 202
    return jsonify({"items": done, "counts": counts(ctx)})


@pages.get("/tasks/bulk/<bulk_id>")
@page
def watch_many(ctx: Context, bulk_id: str) -> ResponseReturnValue:
    """Answer with how far one of the actor's own bulks is, and what became of each task."""
    found: dict[str, Any] = bulk.progress(ctx, bulk_id)
    return jsonify(found | {"counts": counts(ctx)})


@pages.post("/tasks/bulk/<bulk_id>/retry")
@page
def retry_many(ctx: Context, bulk_id: str) -> ResponseReturnValue:
    """Try again what was refused or failed."""
    return jsonify(bulk.retry(ctx, bulk_id)), 202
