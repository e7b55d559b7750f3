"""`/desks`: what waits for somebody by name, and handing it over when they leave."""

from typing import Any

from core.context import Context
from core.rest.exchange import body_keys, only, query_keys, route
from core.security import desks
from core.workflow.staff.people import may_administer


@route("/desks/<user_id>", "GET", guard=only(may_administer))
def get(ctx: Context, user_id: str) -> Any:
    """Answer with what a person's desk holds; administrators only."""
    query_keys()
    return desks.desk(ctx, user_id)


@route("/desks/<user_id>/hand-over", "POST", guard=only(may_administer))
def hand_over(ctx: Context, user_id: str) -> Any:
    """Give a person's whole desk to the user `to`; a result for each part, `left` for later."""
    query_keys()
    body = body_keys({"to": str, "reason": str}, required=["to", "reason"])
    return desks.hand_over(ctx, user_id, body["to"], reason=body["reason"])
