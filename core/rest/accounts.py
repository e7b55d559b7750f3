"""`/members/{id}/accounts`, `/accounts` and `/ledger`: what is owed to whom, and why."""

from datetime import date, datetime
from typing import Any

from core.context import Context
from core.errors import Invalid, Problem
from core.i18n import N_
from core.ledger.amounts import shown
from core.ledger.reading import PostingRow
from core.ledger.reckoning import Lot
from core.ledger.reports import (
    FIRST_DAY,
    LAST_DAY,
    OTHER,
    WHYS,
    Line,
    liability,
    may_read,
    report_day,
    roll_forward,
)
from core.ledger.statements import (
    MOST_ENTRIES,
    EntryLine,
    Owned,
    accounts_about,
    document_posting,
    entries_of,
    find_account,
)
from core.rest.exchange import body_keys, body_object, integer_of, only, query_keys, route


@route("/members/<member_id>/accounts", "GET")
def list_accounts(ctx: Context, member_id: str) -> Any:
    """Answer with the accounts of a member and of what is the member's, such as cards."""
    query_keys()
    return {"accounts": [_account(one) for one in accounts_about(ctx, "member", member_id)]}


@route("/accounts/<account_id>/entries", "GET")
def list_entries(ctx: Context, account_id: str) -> Any:
    """Answer with an account's entries, the newest first, each with the balance after it."""
    query = query_keys("after", "limit")
    limit = integer_of(query, "limit", default=50, least=1, most=MOST_ENTRIES)
    unit = find_account(ctx, account_id)["unit"]
    lines, following = entries_of(ctx, account_id, after=query.get("after", ""), limit=limit)
    return {"items": [_line(one, unit) for one in lines], "next": following}


@route("/accounts/<account_id>/adjust", "POST")
def adjust(ctx: Context, account_id: str) -> Any:
    """Answer with what an approved document changed; without one nothing ever changes."""
    query_keys()
    unit = find_account(ctx, account_id)["unit"]
    found = document_posting(ctx, account_id, body_object().get("document"))
    body_keys({"document": (str, dict)})
    return _posting(found, account_id, unit)


@route("/ledger/rollforward", "GET", guard=only(may_read))
def get_roll_forward(ctx: Context) -> Any:
    """Answer with how balances moved on each store day, by unit and category.

    Amounts say what happened to the balance, so what was used stands negative and `open` and
    all moves are `close`.
    """
    query = query_keys("kind", "from", "to", "known_at")
    found = roll_forward(
        ctx, query.get("kind", ""), _day(ctx, query, "from"), _day(ctx, query, "to"),
        known_at=_instant(query),
    )  # fmt: skip
    return {
        "kind": found.kind.name,
        "from": found.first.isoformat(),
        "to": found.last.isoformat(),
        "proved": found.is_proved,
        "rows": [_roll(one) for one in found.lines],
    }


@route("/ledger/liability", "GET", guard=only(may_read))
def get_liability(ctx: Context) -> Any:
    """Answer with what was owed at the end of a store day, by category and month of expiry."""
    query = query_keys("kind", "on", "known_at")
    on = _day(ctx, query, "on")
    rows = liability(ctx, query.get("kind", ""), on, known_at=_instant(query))
    totals: dict[str, int] = {}
    for one in rows:
        totals[one.unit] = totals.get(one.unit, 0) + one.amount
    return {
        "kind": query.get("kind", ""),
        "on": on.isoformat(),
        "rows": [
            {
                "unit": one.unit,
                "category": one.category,
                "month": one.month or None,
                "amount": shown(one.amount, one.unit),
                "ended": one.has_ended,
            }
            for one in rows
        ],
        "totals": {unit: shown(amount, unit) for unit, amount in totals.items()},
    }


def _account(one: Owned) -> dict[str, Any]:
    stands, unit = one.balance, one.balance.unit
    return {
        "id": stands.account_id or None,
        "kind": stands.kind,
        "label": one.kind.label if one.kind else {},
        "unit": unit,
        "owner": {"type": one.owner_type, "id": one.owner_id},
        "balance": shown(stands.balance, unit),
        "available": shown(stands.available, unit),
        "held": shown(stands.held, unit),
        "pending": shown(stands.pending, unit),
        "categories": {name: shown(total, unit) for name, total in stands.totals.items()},
        "lots": [_lot(each, unit) for each in one.lots],
        "expiring": [
            {"month": month, "amount": shown(amount, unit)}
            for month, amount in one.expiring.items()
        ],
    }


def _lot(one: Lot, unit: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "category": one.category,
        "issued": shown(one.issued, unit),
        "remaining": shown(one.remaining, unit),
        "issued_at": one.issued_at,
        "available_at": one.available_at,
        "expires_on": one.ends_on,
    }


def _line(one: EntryLine, unit: str) -> dict[str, Any]:
    return {
        **_head(one.posting, one),
        "position": one.position,
        "category": one.category,
        "lot": one.lot,
        "amount": shown(one.amount, unit),
        "balance": shown(one.balance, unit),
    }


def _posting(one: PostingRow, account_id: str, unit: str) -> dict[str, Any]:
    return {
        **_head(one.id, one),
        "entries": [
            {
                "position": each.position,
                "category": each.category,
                "lot": each.lot,
                "amount": shown(each.amount, unit),
            }
            for each in one.entries
            if each.account_id == account_id
        ],
    }


def _head(posting: str, one: EntryLine | PostingRow) -> dict[str, Any]:
    """Return what is told of a posting, with one of its entries or with several."""
    return {
        "posting": posting,
        "what": one.what,
        "ref": {"type": one.ref[0], "id": one.ref[1]},
        "reverses": one.reverses,
        "valid_at": one.valid_at,
        "known_at": one.known_at,
        "actor": one.actor_name,
        "memo": one.memo,
    }


def _roll(one: Line) -> dict[str, Any]:
    return {
        "day": one.day.isoformat(),
        "unit": one.unit,
        "category": one.category,
        "open": shown(one.open, one.unit),
        **{why: shown(one.moves.get(why, 0), one.unit) for why in (*WHYS, OTHER)},
        "close": shown(one.close, one.unit),
    }


def _day(ctx: Context, query: dict[str, str], name: str) -> date:
    """Return a store day of the query, today without one."""
    text = query.get(name)
    return ctx.today if text is None else report_day(name, text)


def _instant(query: dict[str, str]) -> datetime | None:
    """Return the instant up to which postings are known; None is now."""
    text = query.get("known_at")
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None or not FIRST_DAY <= found.date() <= LAST_DAY:
        told = N_("This must be an instant such as 2026-10-01T08:00:00Z.")
        raise Invalid(problems=[Problem("known_at", "query.instant", told)])
    return found
