"""`/delegations`: who stands in for whom while they are away."""

from typing import Any

from flask import Response

from core.context import Context
from core.rest.exchange import body_keys, boolean_of, query_keys, route
from core.workflow.staff import away


@route("/delegations", "GET")
def list_(ctx: Context) -> Any:
    """Answer with the delegations by and to the caller; administrators see everybody's.

    `person` limits them to one user's, `over` adds those that have ended.
    """
    query = query_keys("person", "over")
    over = boolean_of(query, "over")
    return {"items": away.list_delegations(ctx, person=query.get("person", ""), over=over)}


@route("/delegations", "POST")
def delegate(ctx: Context) -> Any:
    """Have `to` stand in for the caller until `end`; administrators do so for others, `from`.

    With `preview` nothing is arranged: the answer says what would be the deputy's too.
    """
    query_keys()
    body = body_keys(
        {
            "to": str,
            "from": str,
            "start": str,
            "end": str,
            "types": list,
            "amount_field": str,
            "amount_max": str,
            "include_roles": bool,
            "reason": str,
            "preview": bool,
        },
        required=["to", "end"],
    )
    wanted = away.read_wanted(ctx, body)
    if body.get("preview"):
        return away.preview(ctx, wanted)
    return away.delegate(ctx, wanted), 201


@route("/delegations/<delegation_id>", "DELETE")
def revoke(ctx: Context, delegation_id: str) -> Any:
    """End a delegation now."""
    query_keys()
    away.revoke(ctx, delegation_id)
    return Response(status=204)
