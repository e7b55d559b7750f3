"""The evidence of an approval for people: a page of it, and the pack that proves it offline."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from flask import Response, g, render_template

from core.context import Context
from core.errors import Unauthenticated, Unavailable
from core.i18n import N_, pick, translate
from core.printing.pdf import make_pdf
from core.schema.flowtexts import steps_of
from core.schema.model import RecordType
from core.security.actors import context_for_request
from core.security.filing import POLICY
from core.security.services import services
from core.web.display import value_text
from core.web.navigation import type_label
from core.web.page import STATIC, pages
from core.web.reading import ACTION_TEXTS, DOOR_TEXTS, field_of, label_of, make_reading
from core.web.taskrows import state_text
from core.workflow.evidence.pack import Pack, read_pack, zipped
from core.workflow.run import decode_flow

#: How surely it was known who acted.
AUTH_TEXTS = {
    "session": N_("signed in"),
    "token": N_("with a token"),
    "password": N_("password entered anew"),
    "handwritten": N_("signed by hand, password entered anew"),
}

_PAPER = "@page { size: A4; margin: 15mm; }\n"


@pages.get("/api/v1/instances/<instance_id>/evidence")
def get_evidence(instance_id: str) -> Response:
    """Answer with a ZIP archive that proves an approval without the product.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    ctx = context_for_request("api")
    if ctx.actor.id == "public":
        raise Unauthenticated
    g.gx_context = ctx
    pack = read_pack(ctx, instance_id)
    store = services().files
    paths = {digest: store.path(digest) for digest in pack.pictures.values()}
    pictures = {f"/{name}": (paths[digest], "image/png") for name, digest in pack.pictures.items()}
    html = render_template("gx/evidence.html", **_told(ctx, pack), locale=ctx.locale)
    try:
        document = {"evidence.pdf": make_pdf(html, _PAPER + _style(), pictures)}
    except Unavailable:
        # The page says the same; what proves is beside it.
        document = {"evidence.html": html.encode()}
    response = Response(zipped(pack, document, paths), mimetype="application/zip")
    name = f"evidence-{instance_id}.zip"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Content-Security-Policy"] = POLICY
    return response


@lru_cache(maxsize=1)
def _style() -> str:
    return (STATIC / "gx" / "print.css").read_text(encoding="utf-8")


def _told(ctx: Context, pack: Pack) -> dict[str, Any]:
    """Return what the page shows."""
    row = pack.evidence["instance"]
    flow = decode_flow(row["definition"])
    record_type = ctx.registry.release.type(row["record_type"])
    steps = {step.id: pick(step.title, ctx.locale, step.id) for _, step in steps_of(flow)}
    pictures = {each["seq"]: f"/{each['file']}" for each in pack.evidence["signatures"]}
    return {
        "one": row,
        "flow": pick(flow.title, ctx.locale, flow.flow),
        "type_name": type_label(record_type, ctx.locale, plural=False)
        if record_type
        else row["record_type"],
        "state": state_text(ctx, row["state"]),
        "values": _values(ctx, record_type, msgspec.json.decode(row["values"])),
        "events": [
            _line(ctx, each, steps, pictures.get(each["seq"], ""))
            for each in pack.evidence["events"]
        ],
        "root": pack.proof["root"],
        "leaf": pack.proof["leaf"],
    }


def _values(
    ctx: Context, record_type: RecordType | None, values: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return label and text of what was decided about, without what is empty."""
    given = {name: value for name, value in values.items() if value not in (None, "", [])}
    if record_type is None:
        return [(name, str(value)) for name, value in given.items()]
    reading = make_reading(ctx, record_type.fields, [given])
    return [
        (label_of(record_type, name, ctx.locale), value_text(field, value, reading))
        if (field := field_of(record_type, name))
        else (name, str(value))
        for name, value in given.items()
    ]


def _line(
    ctx: Context, each: Mapping[str, Any], steps: Mapping[str, str], picture: str
) -> dict[str, Any]:
    """Return one event as the page shows it."""
    facts = [
        translate(AUTH_TEXTS.get(each["auth"], ""), ctx.locale) if each["auth"] else "",
        translate(DOOR_TEXTS.get(each["door"], each["door"]), ctx.locale),
        each["ip"],
        each["user_agent"],
    ]
    return {
        **each,
        "what": translate(ACTION_TEXTS.get(each["verb"], each["verb"]), ctx.locale),
        "step_title": steps.get(each["step"], each["step"]),
        "held": ", ".join(msgspec.json.decode(each["roles"])),
        "from": " · ".join(filter(None, facts)),
        "changed": msgspec.json.decode(each["diff"]) if each["diff"] else [],
        "picture": picture,
    }
