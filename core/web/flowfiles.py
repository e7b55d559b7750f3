"""A flow drawn elsewhere: a BPMN 2.0 file becomes YAML, and the YAML a draft of the site."""

from typing import Any

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden, Malformed, Problem, UserError
from core.i18n import N_, translate
from core.records.audience import is_configurator
from core.web.flows import document_choices
from core.web.page import page, pages, problem_body, went
from core.workflow.bpmn.reading import MAX_BYTES, NotReadable, flow_yaml, read_bpmn


@pages.post("/flows/bpmn")
@page
def read_flow_file(ctx: Context) -> ResponseReturnValue:
    """Show the flow that a BPMN file holds as YAML, or each element that cannot be read."""
    _require_configurator(ctx)
    try:
        flow = _uploaded(ctx)
    except UserError as error:
        shown = render_template(
            "gx/flowfile.html",
            error=problem_body(error),
            elements=_elements(ctx, error.problems) if isinstance(error, NotReadable) else [],
            documents=document_choices(ctx),
        )
        return make_response(shown, error.status)
    known = ctx.registry.release.flows.get(flow["flow"])
    return render_template(
        "gx/flowfile.html", flow=flow, known=known, yaml=flow_yaml(flow), error=None
    )


@pages.post("/flows/draft")
@page
def draft_flow(ctx: Context) -> ResponseReturnValue:
    """Make a draft of a flow in the site's layer and go on to what it would change."""
    _require_configurator(ctx)
    from core.migration.drafts import create_draft  # noqa: PLC0415  slow

    draft = create_draft(ctx, yaml=request.form.get("yaml", ""), layer="site")
    return went(f"/releases/drafts/{draft}")


def _require_configurator(ctx: Context) -> None:
    if not is_configurator(ctx):
        raise Forbidden


def _uploaded(ctx: Context) -> dict[str, Any]:
    """Return the flow in the uploaded file, for the document and of the version that it needs.

    Raises:
        Malformed: there is no file, or it is no BPMN, or nobody says what the flow decides.
        NotReadable: it says something that a flow cannot.
    """
    file = request.files.get("file")
    data = file.read(MAX_BYTES + 1) if file else b""
    if not data:
        raise Malformed(N_("Choose a file."))
    flow = read_bpmn(data)
    documents = dict(document_choices(ctx))
    chosen = request.form.get("document", "")
    if chosen in documents:
        flow["document"] = chosen
    elif flow["document"] not in documents:
        raise Malformed(N_("The file does not say which document the flow decides. Choose it."))
    known = ctx.registry.release.flows.get(flow["flow"])
    if known is not None:
        flow["version"] = known.version + 1
    return flow


def _elements(ctx: Context, problems: tuple[Problem, ...]) -> list[tuple[str, list[str]]]:
    """Return each element of the file that cannot be read with what is wrong with it."""
    found: dict[str, list[str]] = {}
    for one in problems:
        found.setdefault(one.path, []).append(translate(one.text, ctx.locale, **one.params))
    return list(found.items())
