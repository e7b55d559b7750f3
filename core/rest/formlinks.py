"""`/links`: links by which somebody without an account fills in a form."""

from typing import Any

from flask import Response

from core.context import Context
from core.records.formlinks import list_links, make_link, revoke_link
from core.rest.exchange import body_keys, query_keys, route
from core.security.services import services


@route("/links", "GET")
def list_(ctx: Context) -> Any:
    """Answer with the caller's own links, newest first; tokens are never shown again."""
    query_keys()
    return {"items": list_links(ctx)}


@route("/links", "POST")
def make(ctx: Context) -> Any:
    """Make a link to create a record of `type`, or to change its `record`."""
    query_keys()
    body = body_keys(
        {
            "type": str,
            "record": str,
            "fields": list,
            "label": str,
            "days": int,
            "single_use": bool,
        },
        required=["type", "fields"],
    )
    type_name, record_id = body.pop("type"), body.pop("record", "")
    made = make_link(ctx, type_name, record_id=record_id, **body)
    return made | {"url": link_address(made["token"])}, 201


@route("/links/<link_id>", "DELETE")
def revoke(ctx: Context, link_id: str) -> Any:
    """End a link at once."""
    query_keys()
    revoke_link(ctx, link_id)
    return Response(status=204)


def link_address(token: str) -> str:
    """Return the address that opens a link; absolute where the installation has a base URL."""
    return f"{services().settings.base_url}/fill/{token}"
