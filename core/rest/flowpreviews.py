"""What flows would do: past approvals by a draft's flows, a running one with other values."""

from types import ModuleType
from typing import Any

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.rest.exchange import body_keys, query_keys, route
from core.workflow.rehearsal import previews, whatif


@route("/schema/drafts/<draft_id>/replay", "POST")
def replay_draft(ctx: Context, draft_id: str) -> Any:
    """Answer with how past approvals would have gone by the flows of a draft."""
    previews.require_configurator(ctx)
    query_keys()
    body = body_keys({"months": int, "flow": str})
    months, flow = body.get("months", 3), body.get("flow", "")
    return previews.replay(ctx, _drafts().draft_release(ctx, draft_id), months=months, flow=flow)


@route("/instances/<instance_id>/whatif", "POST")
def what_if(ctx: Context, instance_id: str) -> Any:
    """Answer with how a running approval goes on as it is, and how it would."""
    previews.require_configurator(ctx)
    query_keys()
    body = body_keys({"values": dict, "away": list, "do": list})
    away, acts = body.get("away", []), body.get("do", [])
    for name, given in (("away", away), ("do", acts)):
        if not all(isinstance(one, str) for one in given):
            text = N_("This must be a list of texts.")
            raise Invalid(problems=[Problem(name, "field.bad_type", text)])
    supposed = whatif.Supposition(body.get("values", {}), away, acts)
    return whatif.what_if(ctx, instance_id, supposed)


def _drafts() -> ModuleType:
    """Return the draft operations; they bring Alembic along, which few processes ever need."""
    from core.migration import drafts  # noqa: PLC0415  slow

    return drafts
