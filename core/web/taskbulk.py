"""Many tasks of the audit queue at once: first what would become of each, then what did."""

from flask import jsonify, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Malformed
from core.web.page import page, pages
from core.workflow.deciding import bulk
from core.workflow.inbox import counts


@pages.post("/tasks/bulk")
@page
def decide_many(ctx: Context) -> ResponseReturnValue:
    """Answer with a result per task; a preview writes nothing.

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
    is_preview = sent.get("preview") is True
    results = bulk(ctx, verb, items, opinion=opinion, preview=is_preview)
    return jsonify({"items": results, **({} if is_preview else {"counts": counts(ctx)})})
