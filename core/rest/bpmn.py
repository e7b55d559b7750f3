"""`/schema/flows`: a flow as a BPMN 2.0 file, and such a file as a flow's YAML."""

from typing import Any

from flask import Response

from core.context import Context
from core.errors import Forbidden, NotFound
from core.records.plugin_settings import ADMINISTRATORS
from core.rest.exchange import body_keys, query_keys, route
from core.workflow.bpmn.reading import flow_yaml, read_bpmn
from core.workflow.bpmn.writing import write_bpmn


@route("/schema/flows/<name>/bpmn", "GET")
def export_bpmn(ctx: Context, name: str) -> Any:
    """Answer with a published flow as BPMN 2.0, names in the caller's language."""
    _require_configurator(ctx)
    query_keys()
    flow = ctx.registry.release.flows.get(name)
    if flow is None:
        raise NotFound
    disposition = f"attachment; filename={flow.flow}-{flow.version}.bpmn"
    return Response(
        write_bpmn(flow, ctx.locale),
        mimetype="application/xml",
        headers={"Content-Disposition": disposition},
    )


@route("/schema/flows/bpmn", "POST")
def import_bpmn(ctx: Context) -> Any:
    """Answer with the YAML of a BPMN file; nothing is stored, a draft takes it from there."""
    _require_configurator(ctx)
    query_keys()
    body = body_keys({"xml": str}, required=["xml"])
    flow = read_bpmn(body["xml"].encode())
    return {"flow": flow["flow"], "yaml": flow_yaml(flow)}


def _require_configurator(ctx: Context) -> None:
    if not ctx.actor.roles & ADMINISTRATORS:
        raise Forbidden
