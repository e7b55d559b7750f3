"""The page on which administrators and auditors prove every approval, a part at a time."""

from urllib.parse import urlencode

import sqlalchemy as sa
from flask import Response, jsonify, render_template, request
from flask.typing import ResponseReturnValue

from core.appendonly import unguarded
from core.context import Context
from core.errors import Forbidden, NotFound, Problem
from core.i18n import N_, translate
from core.web.page import page, pages
from core.workflow.evidence.events import Proved, prove, strays
from core.workflow.evidence.pack import is_auditor
from core.workflow.evidence.rootfiles import export_lines
from core.workflow.evidence.roots import find_root, newest_roots, prove_root
from core.workflow.models import instance

#: Approvals that one request proves; some 100 ms.
PART = 200
#: Roots that the page shows.
_SHOWN = 30
#: Breaks of one request that the page is told.
_NAMED = 50

#: What the page's script says, besides the texts of every page.
_TEXTS = (
    N_("{done} of {total} approvals, {events} events"),
    N_("Everything proves."),
    N_("Breaks found: {count}"),
    N_("{count} events are stripped of a person who was erased."),
    N_("It was stopped."),
    N_("Stop"),
    N_("Prove now"),
)


def _require(ctx: Context) -> None:
    """Let only those pass who may prove every approval.

    Raises:
        Forbidden: the actor is none of them.
    """
    if not is_auditor(ctx):
        raise Forbidden


@pages.get("/evidence/")
@page
def show_evidence(ctx: Context) -> ResponseReturnValue:
    """Show the daily roots, and the button that proves every approval."""
    _require(ctx)
    with ctx.reading() as connection:
        total = connection.execute(sa.select(sa.func.count()).select_from(instance)).scalar_one()
        roots = newest_roots(connection, _SHOWN)
        lost = unguarded(connection)
    return render_template(
        "gx/proving.html",
        total=total,
        roots=roots,
        most=_SHOWN,
        lost=", ".join(lost),
        texts={text: translate(text, ctx.locale) for text in _TEXTS},
    )


@pages.get("/evidence/proof")
@page
def prove_part(ctx: Context) -> ResponseReturnValue:
    """Answer with a part of the proof, and where to go on: first approvals, then roots."""
    _require(ctx)
    number = request.args.get("root", default=0, type=int)
    found: list[Proved] = []
    with ctx.reading() as connection:
        if number:
            problems, number = prove_root(connection, number)
            following: dict[str, str | int] = {"root": number} if number else {}
        else:
            found = list(prove(connection, after=request.args.get("after", ""), most=PART))
            problems = [each for one in found for each in one.problems]
            is_last = len(found) < PART
            if is_last:
                problems += strays(connection)
            following = {"root": 1} if is_last else {"after": found[-1].instance_id}
    return jsonify(
        {
            "approvals": len(found),
            "events": sum(one.events for one in found),
            "erased": sum(one.erased for one in found),
            "problems": [_told(ctx, each) for each in problems[:_NAMED]],
            "broken": len(problems),
            "next": f"/evidence/proof?{urlencode(following)}" if following else "",
        }
    )


@pages.get("/evidence/roots/<int:number>")
@page
def download_root(ctx: Context, number: int) -> ResponseReturnValue:
    """Answer with a root's file, as the worker writes it.

    Raises:
        NotFound: there is no such root.
    """
    _require(ctx)
    with ctx.reading() as connection:
        one = find_root(connection, number)
        if one is None:
            raise NotFound
        content = "".join(export_lines(connection, one))
    response = Response(content, mimetype="application/jsonl")
    response.headers.set("Content-Disposition", "attachment", filename=one.file_name)
    return response


def _told(ctx: Context, problem: Problem) -> dict[str, str]:
    return {
        "approval": problem.path,
        "message": translate(problem.text, ctx.locale, **dict(problem.params)),
    }
