"""What follows from a sale for points: spent, earned, and scenes that are had once only."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.api import (
    DEFAULT,
    Context,
    Insufficient,
    Lots,
    Move,
    Sale,
    last_day,
    plugin_settings,
    post,
)
from plugins.points_rules.operations.grants import note_had
from plugins.points_rules.operations.spending import KIND, NotEnough
from plugins.points_rules.rules.terms import Terms, read_terms

#: What the postings of sales and returns are called.
SOLD, RETURNED = "points_sale", "points_return"


def book_sale(ctx: Context, sale: Sale, order_id: str) -> None:
    """Post what the sale spends and then what it earns, all in one posting.

    Raises:
        NotEnough: the points were spent elsewhere meanwhile.
        SceneHad: a scene that is given once only was had elsewhere meanwhile.
    """
    stamped = sale.terms.get("points_rules")
    if stamped is None or sale.member is None:
        return
    terms, member = read_terms(stamped), sale.member["id"]
    note_had(ctx, terms.scenes, member=member, order=order_id)
    moves = _moves(sale, terms, member, plugin_settings(ctx, "points_rules"))
    if not moves:
        return
    try:
        post(
            ctx,
            moves,
            what=SOLD,
            key=f"sale:{order_id}",
            ref=("order", order_id),
            valid_at=sale.at,
            memo=", ".join(each.no for each in terms.scenes),
            zone=ZoneInfo(sale.store.time_zone),
        )
    except Insufficient as error:
        raise NotEnough(available=error.params["available"], asked=terms.spent) from error


def _last_day(on: date, mode: str, after: int) -> Any:
    """Return the last day of what is earned on a day, as `Move.expires_on` takes it."""
    if mode == "declared":
        return DEFAULT
    return None if mode == "none" else last_day(Lots(expiry=mode, after=after), on)  # type: ignore[arg-type]


def _moves(sale: Sale, terms: Terms, member: str, settings: Any) -> list[Move]:
    """Return the moves of a sale: R first, then what it earns, a lot for each scene."""
    until = _last_day(sale.on, settings["expiry_mode"], settings["expiry_after"])
    pending = settings["pending_days"]
    available_at = sale.at + timedelta(days=pending) if pending else None
    earned = terms.earned().points
    gained = [(category, earned[category]) for category in "AEB"]
    gained += [("C", each.points) for each in terms.scenes]
    spent = [Move(KIND, member, "R", -terms.spent, against="spent")] if terms.spent else []
    return spent + [
        Move(KIND, member, category, points, expires_on=until, available_at=available_at)
        for category, points in gained
        if points
    ]
