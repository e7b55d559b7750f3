"""What is owed to whom: the reports of all accounts, and the statement of one record's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem, UserError
from core.i18n import N_, pick, translate
from core.ledger.amounts import shown
from core.ledger.reading import has_accounts
from core.ledger.reckoning import Lot
from core.ledger.reports import (
    OTHER,
    WHYS,
    Line,
    Owed,
    RollForward,
    by_category,
    by_day,
    liability,
    may_read,
    report_day,
    roll_forward,
)
from core.ledger.statements import EntryLine, Owned, accounts_about, entries_of
from core.records.exporting import plain_csv
from core.schema.accountkinds import AccountKind
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body
from core.web.titles import find_titles

#: Why a balance moved, as people read it; the columns of the reports.
WHY_TEXTS = {
    "issued": N_("Issued"),
    "sold": N_("Sold"),
    "spent": N_("Spent"),
    "expired": N_("Expired"),
    "moved": N_("Moved"),
    "settled": N_("Settled"),
    OTHER: N_("Other"),
}
#: What a posting was, as people read it; others are called by their document.
WHAT_TEXTS = {
    "sale": N_("Sale"),
    "return": N_("Return of goods"),
    "points_sale": N_("Sale"),
    "points_return": N_("Return of goods"),
    "expire": N_("Expired"),
    "transfer": N_("Moved to another account"),
    "reversal": N_("Taken back"),
    "rebate": N_("Rebate"),
    "gift": N_("Gift"),
    "hold": N_("Reserved amount"),
}
#: Entries of a statement at once.
_ENTRIES = 20


@pages.get("/ledger/")
@page
def show_reports(ctx: Context) -> ResponseReturnValue:
    """Show how balances moved in some days, and what was owed at their end."""
    kinds = _kinds(ctx)
    kind = request.args.get("kind", "")
    problem, found, owed = None, None, []
    first, last = ctx.today.replace(day=1), ctx.today
    kind = kind if kind in kinds else _most_telling(ctx, kinds)
    try:
        first, last = _asked("from", first), _asked("to", last)
        if kind:
            found = roll_forward(ctx, kind, first, last)
            owed = liability(ctx, kind, last)
    except Invalid as error:
        problem = problem_body(error)
    body = render_template(
        "gx/ledger.html",
        kinds={name: pick(one.label, ctx.locale, name) for name, one in kinds.items()},
        kind=kind,
        first=first.isoformat(),
        last=last.isoformat(),
        problem=problem,
        report=_report(ctx, found, owed) if found else None,
        query=urlencode({"kind": kind, "from": first.isoformat(), "to": last.isoformat()}),
    )
    return body, 422 if problem else 200


@pages.get("/ledger/export")
@page
def export_report(ctx: Context) -> ResponseReturnValue:
    """Hand out the roll-forward by day and category, or the liability, as CSV or workbook."""
    kinds, kind = _kinds(ctx), request.args.get("kind", "")
    if kind not in kinds:
        raise NotFound
    form, what = request.args.get("format", "csv"), request.args.get("what", "rollforward")
    if form not in {"csv", "xlsx"} or what not in {"rollforward", "liability"}:
        raise Invalid(problems=[Problem("format", "query.choice", N_("Use csv or xlsx."))])
    last = _asked("to", ctx.today)
    if what == "liability":
        heads, rows = _owed_table(ctx, kinds[kind], liability(ctx, kind, last))
    else:
        found = roll_forward(ctx, kind, _asked("from", last), last)
        heads, rows = _roll_table(ctx, found)
    named = {translate(text, ctx.locale): to for text, to in heads.items()}
    chunks: Iterator[bytes]
    content = "text/csv; charset=utf-8"
    if form == "csv":
        chunks = (line.encode() for line in plain_csv(named, rows))
    else:
        from core.records.worksheets import plain_xlsx  # noqa: PLC0415  slow, seldom needed

        chunks = plain_xlsx(what, named, rows, ctx.time_zone)
        content = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    name = f'attachment; filename="{kind}-{what}.{form}"'
    return Response(b"".join(chunks), content_type=content, headers={"Content-Disposition": name})


@pages.get("/records/<type_name>/<record_id>/accounts")
@page
def show_statement(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Show the accounts of a record and of those that link to it, with what made them so."""
    record_type = ctx.registry.record_type(type_name)
    with ctx.reading():
        found = accounts_about(ctx, type_name, record_id)
        wanted = {(type_name, record_id), *((one.owner_type, one.owner_id) for one in found)}
        titles = find_titles(ctx, wanted)
        accounts = [_account(ctx, one, titles) for one in found]
    body = render_template(
        "gx/accounts.html",
        home=f"/records/{type_name}/{record_id}",
        list_href=f"/records/{type_name}/",
        type_title=type_label(record_type, ctx.locale),
        record_title=titles.get((type_name, record_id)) or record_id,
        accounts=accounts,
        after=request.args.get("after", ""),
    )
    return body, 422 if any(one["problem"] for one in accounts) else 200


def owns_accounts(type_name: str) -> bool:
    """Return whether records of a type may own accounts.

    What belongs to those that link to a record stands on its statement too; a store's or a card
    type's would be that of thousands, so their pages do not lead there.
    """
    ctx: Context = g.gx_context
    return any(one.owner == type_name for one in ctx.registry.release.account_kinds.values())


def _kinds(ctx: Context) -> Mapping[str, AccountKind]:
    """Return the account kinds by name; raises Forbidden where they are not the actor's."""
    if not may_read(ctx):
        raise Forbidden
    return ctx.registry.release.account_kinds


def _most_telling(ctx: Context, kinds: Iterable[str]) -> str:
    """Return the first kind that anybody has an account of, else the first; "" without any."""
    return next((name for name in kinds if has_accounts(ctx, name)), next(iter(kinds), ""))


def _asked(name: str, default: date) -> date:
    """Return a day of the address; raises Invalid where it is none."""
    return report_day(name, request.args.get(name) or default.isoformat())


def _report(ctx: Context, found: RollForward, owed: Sequence[Owed]) -> dict[str, Any]:
    """Return what the reports' template draws; columns without a movement are left out."""
    whys = [why for why in (*WHYS, OTHER) if any(one.moves.get(why) for one in found.lines)] or [
        "issued"
    ]
    categories = by_category(found.lines)
    days = by_day(found.lines)
    totals = {one.unit: one for one in by_category(days)}
    return {
        "is_proved": found.is_proved,
        "whys": [translate(WHY_TEXTS[why], ctx.locale) for why in whys],
        "units": [
            {
                "unit": unit,
                "categories": [
                    _row(_category(ctx, found.kind, one.category), one, whys)
                    for one in categories
                    if one.unit == unit
                ],
                "total": _row("", total, whys),
                "days": [
                    _row(one.day.isoformat(), one, whys)
                    for one in days
                    if one.unit == unit and (any(one.moves.values()) or one.day == found.last)
                ],
                "owed": [
                    (
                        one.month,
                        _category(ctx, found.kind, one.category),
                        shown(one.amount, unit),
                        one.has_ended,
                    )
                    for one in owed
                    if one.unit == unit
                ],
                "owed_total": shown(sum(one.amount for one in owed if one.unit == unit), unit),
            }
            for unit, total in totals.items()
        ],
    }


def _row(name: str, one: Line, whys: Iterable[str]) -> dict[str, Any]:
    return {
        "name": name,
        "open": shown(one.open, one.unit),
        "moves": [shown(one.moves.get(why, 0), one.unit) for why in whys],
        "close": shown(one.close, one.unit),
    }


def _category(ctx: Context, kind: AccountKind | None, name: str) -> str:
    """Return a category as people read it: `A Purchase`; of what is owed without one, debts."""
    if not name:
        return translate(N_("Debts"), ctx.locale)
    found = kind.category(name) if kind else None
    label = pick(found.label, ctx.locale) if found else ""
    return f"{name} {label}" if label and len(name) == 1 else label or name


Table = tuple[dict[str, str], list[list[str]]]


def _roll_table(ctx: Context, found: RollForward) -> Table:
    heads = {
        N_("Day"): "text",
        N_("Unit"): "text",
        N_("Category"): "text",
        N_("Opening"): "number",
    }
    heads |= {WHY_TEXTS[why]: "number" for why in (*WHYS, OTHER)} | {N_("Closing"): "number"}
    rows = [
        [
            one.day.isoformat(), one.unit, _category(ctx, found.kind, one.category),
            shown(one.open, one.unit),
            *(shown(one.moves.get(why, 0), one.unit) for why in (*WHYS, OTHER)),
            shown(one.close, one.unit),
        ]
        for one in found.lines
    ]  # fmt: skip
    return heads, rows


def _owed_table(ctx: Context, kind: AccountKind, owed: Iterable[Owed]) -> Table:
    heads = {
        N_("Unit"): "text", N_("Category"): "text", N_("Month of expiry"): "text",
        N_("Owed"): "number",
    }  # fmt: skip
    rows = [
        [one.unit, _category(ctx, kind, one.category), one.month, shown(one.amount, one.unit)]
        for one in owed
    ]
    return heads, rows


def _account(ctx: Context, one: Owned, titles: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """Return what the statement's template draws of one account."""
    stands, unit = one.balance, one.balance.unit
    entries: list[EntryLine] = []
    following, problem = None, None
    if stands.account_id:
        is_turned = request.args.get("account") == stands.account_id
        try:
            entries, following = entries_of(
                ctx, stands.account_id,
                after=request.args.get("after", "") if is_turned else "", limit=_ENTRIES,
            )  # fmt: skip
        except UserError as error:
            problem = problem_body(error)
    owner_type = ctx.registry.release.type(one.owner_type)
    owner = titles.get((one.owner_type, one.owner_id), "")
    whose = type_label(owner_type, ctx.locale, plural=False) if owner_type else one.owner_type
    uses = {each.name for each in one.kind.categories if each.uses} if one.kind else set()
    parts = [
        (_category(ctx, one.kind, name), shown(total, unit), name in uses)
        for name, total in stands.totals.items()
        if total
    ]
    named = find_titles(ctx, {each.ref for each in entries})
    return {
        "id": stands.account_id,
        "label": pick(one.kind.label, ctx.locale, stands.kind) if one.kind else stands.kind,
        "unit": "" if unit == "points" else unit,
        "owner": f"{whose} {owner}".strip(),
        "balance": shown(stands.balance, unit),
        "available": shown(stands.available, unit),
        "held": shown(stands.held, unit) if stands.held else "",
        "pending": shown(stands.pending, unit) if stands.pending else "",
        "parts": parts,
        "left": [
            (until, _category(ctx, one.kind, category), shown(amount, unit))
            for (until, category), amount in _left(one.lots)
        ],
        "entries": [_entry(ctx, one, each, named.get(each.ref, "")) for each in entries],
        "older": urlencode({"account": stands.account_id, "after": following})
        if following
        else "",
        "problem": problem,
    }


def _left(lots: Iterable[Lot]) -> list[tuple[tuple[date | None, str], int]]:
    """Return what is left by last day and category, the soonest first."""
    left: dict[tuple[date | None, str], int] = defaultdict(int)
    for each in lots:
        left[each.last_day, each.category] += each.remaining
    return sorted(left.items(), key=lambda pair: (pair[0][0] or date.max, pair[0][1]))


def _entry(ctx: Context, one: Owned, line: EntryLine, title: str) -> dict[str, Any]:
    ref_type, ref_id = line.ref
    document = ctx.registry.release.type(ref_type)
    called = type_label(document, ctx.locale, plural=False) if document else ""
    known = WHAT_TEXTS.get(line.what)
    unit = one.balance.unit
    return {
        "at": line.valid_at,
        "what": translate(known, ctx.locale) if known else called or line.what,
        "href": f"/records/{ref_type}/{ref_id}" if document else "",
        "title": title,
        "category": _category(ctx, one.kind, line.category),
        "amount": ("+" if line.amount > 0 else "") + shown(line.amount, unit),
        "balance": shown(line.balance, unit),
        "memo": line.memo,
        "who": line.actor_name,
    }
