"""Finds the card that is shown at the till, and whether it is good."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.api import Context, Sale, Shown, find_record, plugin_settings, query, table, try_code
from plugins.card_types.operations.refusals import (
    REFUSALS,
    OtherMember,
    UnknownCard,
    WrongTrack,
)
from plugins.card_types.operations.tracks import is_track_of
from plugins.card_types.operations.types import card_type_at
from plugins.card_types.rules.showing import card_faults, refusing
from plugins.card_types.rules.tracks import clean_text, split_track

#: What the keys for verification codes are called.
CODE = "card_types.code"

Record = Mapping[str, Any]


def show_card(ctx: Context, sale: Sale) -> None:
    """Put the card that is shown, and the member whose it is, into a sale.

    Without a card the member's own good card counts, where the setting `card_optional` says
    so: the newest of several.

    Raises:
        UnknownCard: no card has the number.
        WrongTrack: the track is not this card's.
        OtherMember: the card is somebody else's than the member's who buys.
        Conflict: on an order, one of `REFUSALS` for a card that refuses the sale.
    """
    settings = plugin_settings(ctx, "card_types")
    if sale.card_text:
        card = _given_card(ctx, sale.card_text)
        _check_holder(ctx, sale, card)
        sale.card = _shown(ctx, sale, card, settings, code=_tried(ctx, sale, card, settings))
    elif sale.member is not None and settings["card_optional"]:
        sale.card = _own_card(ctx, sale, settings)
    if sale.card is None:
        return
    sale.terms["card_types"] = {
        "card": sale.card.record["id"],
        "card_type": sale.card.record["card_type"],
        "audit_seq": sale.card.card_type.get("audit_seq"),
        "faults": list(sale.card.faults),
    }
    fault = refusing(sale.card.faults) if sale.is_order else ""
    if fault:
        raise REFUSALS[fault]


def _given_card(ctx: Context, text: str) -> Record:
    """Return the card whose number or track was given."""
    plain = clean_text(text)
    track = split_track(plain)
    card = find_record(ctx, "card", "number", track.number if track else plain)
    if card is None:
        raise UnknownCard
    if track and not is_track_of(ctx, track, card):
        raise WrongTrack
    return card


def _check_holder(ctx: Context, sale: Sale, card: Record) -> None:
    """Have the card bring its member, or refuse somebody else's."""
    if sale.member is not None:
        if card["member"] is not None and card["member"] != sale.member["id"]:
            raise OtherMember
    elif card["member"] is not None:
        sale.member = find_record(ctx, "member", "id", card["member"], live=False)


def _tried(ctx: Context, sale: Sale, card: Record, settings: Record) -> str:
    """Return what trying the verification code came to; "" when none was given."""
    code = "".join(clean_text(sale.code_text))
    if not code or not card_type_at(ctx, sale, card["card_type"]).get("verification"):
        return ""
    return try_code(ctx, CODE, card["id"], code, most=settings["code_tries"])


def _own_card(ctx: Context, sale: Sale, settings: Record) -> Shown | None:
    """Return the newest good card of the member; whoever knows the member needs no code."""
    assert sale.member is not None  # noqa: S101  asked by the caller
    columns = table(ctx, "card").c
    held = sa.select(*columns).where(
        columns.member == sale.member["id"],
        columns.status.in_(("issued", "active")),
        columns.deleted_at.is_(None),
    )
    newest = held.order_by(columns.issued_on.desc(), columns.created_at.desc(), columns.id.desc())
    for row in query(ctx, newest):
        shown = _shown(ctx, sale, row._asdict(), settings, code="right")
        if shown.is_good:
            return shown
    return None


def _shown(ctx: Context, sale: Sale, card: Record, settings: Record, *, code: str) -> Shown:
    card_type = card_type_at(ctx, sale, card["card_type"])
    faults = card_faults(
        card,
        card_type,
        on=sale.on,
        code=code,
        needs_activation=settings["needs_activation"],
    )
    return Shown(card, card_type, faults)
