"""Points given, taken and moved by documents: posted when approved, taken back when voided."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Change,
    Conflict,
    Context,
    Document,
    Insufficient,
    Move,
    Problem,
    Review,
    UserError,
    balance,
    post,
    postings_of,
    query,
    reverse,
    table,
    transfer,
    translate,
)

#: The account kind.
POINTS = "points"

#: Category -> category of the programme's counter-entry.
_AGAINST = {"D": "issued", "R": "spent"}

#: What a review says above the lines.
_REVIEW = N_("What this document does to points")
_SHORT = N_("A line takes more points than there are")

#: The columns of a review.
_COLUMNS = (N_("Member"), N_("Category"), N_("Points"), N_("Available now"), N_("Afterwards"))


class Posted(Conflict):
    """What a document did to points stays as it was posted."""

    code = "points_rules.posted"
    text = N_("What was posted is not changed. Void this document and make another.")


class TooFew(Conflict):
    """A line takes more than the member has."""

    code = "points_rules.too_few"
    text = N_("{member} has {available} points available; {asked} are needed.")


class PointsUsed(Conflict):
    """What a document gave cannot be taken back whole."""

    code = "points_rules.points_used"
    text = N_("Points that this document gave were used, held or have expired since.")
    hint = N_("Correct it with a points adjustment.")


class LineRefused(Conflict):
    """A line of the document cannot be posted."""

    code = "points_rules.line_refused"
    text = N_("A line cannot be posted.")


def keep_posted(_ctx: Context, change: Change) -> None:
    """Refuse to change a document that is in force.

    Raises:
        Posted: it is.
    """
    if change.action == "update" and (change.before or {}).get("status") == "effective":
        raise Posted


def post_manual(ctx: Context, document: Document) -> None:
    """Post every line of an approved adjustment at once, or take a voided one back.

    Raises:
        LineRefused: a line cannot be posted; the problem names it.
        PointsUsed: it is voided, and what it gave was used since.
    """
    if document.values["status"] == "void":
        take_back(ctx, document)
        return
    ref = (document.record_type, document.record_id)
    lines = document.values["lines"]
    moves = [
        Move(POINTS, one["member"], one["category"], one["points"], _AGAINST[one["category"]])
        for one in lines
    ]
    try:
        post(
            ctx, moves, what="manual", key=":".join(ref), ref=ref, valid_at=ctx.now,
            memo=document.values["no"],
        )  # fmt: skip
    except UserError as refusal:
        raise LineRefused(problems=[_of_line(ctx, lines, refusal)]) from refusal


def post_transfer(ctx: Context, document: Document) -> None:
    """Move points of one member to another as approved, or back when that is voided.

    Raises:
        LineRefused: the member has fewer, or none; the other's account takes no more.
        PointsUsed: it is voided, and what was moved was used since.
    """
    values = document.values
    if values["status"] == "void":
        take_back(ctx, document)
        return
    ref = (document.record_type, document.record_id)
    amount = None if values["everything"] else values["points"]
    path = "everything" if amount is None else "points"
    try:
        done = transfer(
            ctx, POINTS, values["source"], values["target"], amount=amount, key=":".join(ref),
            ref=ref, valid_at=ctx.now, memo=values["no"],
        )  # fmt: skip
        if not done.moves:
            raise Insufficient(available=0, asked=1)
    except UserError as refusal:
        raise LineRefused(problems=[_told(ctx, path, values["source"], refusal)]) from refusal


def take_back(ctx: Context, document: Document) -> None:
    """Reverse what a document posted, lot by lot.

    Raises:
        PointsUsed: a lot has less than it would have to give back.
    """
    ref = (document.record_type, document.record_id)
    for one in postings_of(ctx, ref):
        if one.reverses is None:
            try:
                reverse(ctx, one.id, ref=ref, valid_at=ctx.now, memo=document.values["no"])
            except Insufficient as refusal:
                raise PointsUsed from refusal


def review_document(ctx: Context, document: Document) -> Sequence[Review]:
    """Show what each line would leave, in the order in which they are posted."""
    values = document.values
    if values["status"] == "void":
        return ()
    steps = _steps(ctx, document.record_type, values)
    has = {one: balance(ctx, POINTS, one).available for one, _, _ in steps}
    names = _names(ctx, has)
    rows, is_short = [], False
    for member, category, points in steps:
        now, after = has[member], has[member] + points
        has[member] = after
        is_short = is_short or not points or (points < 0 and after < 0)
        rows.append((names[member], category, f"{points:+d}", str(now), str(after)))
    title = translate(_SHORT if is_short else _REVIEW, ctx.locale)
    columns = tuple(translate(one, ctx.locale) for one in _COLUMNS)
    return [Review("warning" if is_short else "ok", title, "", columns, tuple(rows))]


def _steps(
    ctx: Context, record_type: str, values: Mapping[str, Any]
) -> list[tuple[str, str, int]]:
    """Return (member, category, points) in order; what is transferred has no one category."""
    if record_type == "points_manual":
        return [(one["member"], one["category"], one["points"]) for one in values["lines"]]
    source, points = values["source"], values["points"]
    if values["everything"]:
        points = balance(ctx, POINTS, source).available
    return [(source, "", -points), (values["target"], "", points)]


def _of_line(ctx: Context, lines: Sequence[Mapping[str, Any]], refusal: UserError) -> Problem:
    """Return why a line cannot be posted; the ledger says which move it refused."""
    place = refusal.params.get("move")
    if place is None:
        return Problem("lines", refusal.code, refusal.text, refusal.params)
    return _told(ctx, f"lines.{place}.points", lines[place]["member"], refusal)


def _told(ctx: Context, path: str, member: str, refusal: UserError) -> Problem:
    if isinstance(refusal, Insufficient):
        said = {"member": _names(ctx, [member])[member], **refusal.params}
        return Problem(path, TooFew.code, TooFew.text, said)
    return Problem(path, refusal.code, refusal.text, refusal.params)


def _names(ctx: Context, members: Collection[str]) -> dict[str, str]:
    columns = table(ctx, "member").c
    wanted = sa.select(columns.id, columns.no, columns.name).where(columns.id.in_(members))
    return {row.id: f"{row.no} {row.name}" for row in query(ctx, wanted)}
