"""Prints of a record, as a page and as a PDF, for people and for programs."""

import re
from functools import lru_cache

from flask import Response, g, render_template, request

from core.context import Context
from core.errors import NotFound, Unauthenticated
from core.files.pictures import MEDIA_TYPES
from core.printing.pdf import make_pdf
from core.records.downloads import find_file
from core.schema.printchecks import DEFAULT_PRINT
from core.schema.prints import PrintPage
from core.security.actors import context_for_request
from core.security.filing import POLICY
from core.security.services import services
from core.web.page import STATIC, page, pages
from core.web.printing import Printed, picture_ids, print_record, prints_of
from core.web.versionprints import print_version

_ROUTE = "/records/<type_name>/<record_id>/print/<name>"
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_SIZES = {"letter": "letter", "receipt": "80mm 297mm"}
_MARGINS = {"receipt": "4mm", "A6": "8mm", "A5": "10mm"}


@pages.get(_ROUTE)
@page
def show_print(ctx: Context, type_name: str, record_id: str, name: str) -> Response:
    """Show a print as a page, or as a PDF where its name ends in `.pdf`."""
    return printed_response(ctx, type_name, record_id, name)


def printed_response(ctx: Context, type_name: str, record_id: str, name: str) -> Response:
    """Return a print as an answer; `NAME.pdf` is a PDF, `NAME` a page.

    With `version=N` in the address the default print shows the record as it was then.

    Raises:
        NotFound: there is no such print, record or version for the actor.
        Unavailable: the server cannot make PDFs.
    """
    bare = name.removesuffix(".pdf")
    version = request.args.get("version", "")
    if not version:
        printed = print_record(ctx, type_name, record_id, bare)
    elif bare != DEFAULT_PRINT or not _VERSION.fullmatch(version):
        raise NotFound
    else:
        printed = print_version(ctx, type_name, record_id, int(version))
    if bare == name:
        home = f"/records/{type_name}/{record_id}"
        html = render_template("gx/print.html", print=printed, home=home, is_pdf=False,
                               is_past=bool(version), paper=paper(printed.page),
                               locale=ctx.locale)  # fmt: skip
        return Response(html, mimetype="text/html")
    return _pdf(ctx, printed)


def _pdf(ctx: Context, printed: Printed) -> Response:
    html = render_template("gx/print.html", print=printed, home="", is_pdf=True, paper="",
                           locale=ctx.locale)  # fmt: skip
    files = {}
    for file_id in picture_ids(printed):
        row = find_file(ctx, file_id)
        if row["media_type"] in MEDIA_TYPES:
            files[f"/files/{file_id}"] = services().files.path(row["content"]), row["media_type"]
    content = make_pdf(html, paper(printed.page) + _style(), files)
    response = Response(content, mimetype="application/pdf")
    response.headers.set("Content-Disposition", "inline", filename=f"{printed.name}.pdf")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def paper(wanted: PrintPage) -> str:
    """Return the style rule of the paper; every word of it is one of ours."""
    size = _SIZES.get(wanted.size, wanted.size)
    turned = " landscape" if wanted.orientation == "landscape" and wanted.size != "receipt" else ""
    return f"@page {{ size: {size}{turned}; margin: {_MARGINS.get(wanted.size, '15mm')}; }}\n"


@lru_cache(maxsize=1)
def _style() -> str:
    return (STATIC / "gx" / "print.css").read_text(encoding="utf-8")


@pages.get(f"/api/v1{_ROUTE}")
def get_print(type_name: str, record_id: str, name: str) -> Response:
    """Answer with a print, as HTML or PDF; failures are in the shape of REST.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    ctx = context_for_request("api")
    if ctx.actor.id == "public":
        raise Unauthenticated
    g.gx_context = ctx
    return printed_response(ctx, type_name, record_id, name)


def first_print(type_name: str) -> str:
    """Return the print that a record's page leads to; it leads on to the others."""
    ctx = g.get("gx_context")
    return prints_of(ctx, type_name)[0][0] if ctx else DEFAULT_PRINT
