"""The file for the card printer: numbers, track strings and verification codes (制卡数据).

Codes are drawn when the file is made and stand in it alone; what is kept are keyed hashes.
Making the file again draws new codes for the cards still in stock, which makes the file of
before worthless; cards in people's hands keep theirs and stand there without.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from core.api import (
    N_,
    Conflict,
    Context,
    FileCall,
    RecordFile,
    Sheet,
    draw_code,
    keep_codes,
    owners_of_codes,
    plugin_settings,
    query,
    table,
)
from plugins.card_types.operations.showing import CODE
from plugins.card_types.operations.tracks import track_of
from plugins.card_types.rules.operating import HELD

COLUMNS = ("number", "track", "code")

Record = Mapping[str, Any]


class NotMadeYet(Conflict):
    """The cards of the batch are still being made."""

    code = "card_types.not_made_yet"
    text = N_("{made} of {count} cards are made; wait for the rest.")


class Personalised(Conflict):
    """The codes were handed out before."""

    code = "card_types.personalised"
    text = N_("The codes were handed out before and are shown only once; draw new ones instead.")


def of_batch(ctx: Context, call: FileCall) -> Sheet:
    """Return the cards of a batch; new codes are for those in stock.

    Raises:
        NotMadeYet: not all of them are made.
        Personalised: codes were handed out before, and nobody asked for new ones.
    """
    batch = table(ctx, "card_batch").c
    wanted = (
        sa.select(batch["count"]).where(batch.id == call.record_id).with_for_update(key_share=True)
    )
    count = query(ctx, wanted)[0][0]
    card = table(ctx, "card").c
    cards = _cards(ctx, card.batch == call.record_id)
    if len(cards) < count:
        raise NotMadeYet(made=len(cards), count=count)
    return _sheet(ctx, cards, frozenset({"made"}), again=call.again)


def of_card(ctx: Context, call: FileCall) -> Sheet:
    """Return one card, such as one that was reissued at the counter.

    Raises:
        Personalised: its code was handed out before, and nobody asked for a new one.
    """
    cards = _cards(ctx, table(ctx, "card").c.id == call.record_id)
    return _sheet(ctx, cards, HELD | {"made"}, again=call.again)


def _cards(ctx: Context, which: sa.ColumnElement[bool]) -> list[Record]:
    card, card_type = table(ctx, "card"), table(ctx, "card_type")
    wanted = (
        sa.select(
            card.c.id, card.c.number, card.c.status, card.c.issue_version,
            card_type.c.verification,
        )
        .select_from(card.join(card_type, card_type.c.id == card.c.card_type))
        .where(which, card.c.deleted_at.is_(None))
        .order_by(card.c.serial)
    )  # fmt: skip
    return [row._asdict() for row in query(ctx, wanted)]


def _sheet(
    ctx: Context, cards: Sequence[Record], renewed: frozenset[str], *, again: bool
) -> Sheet:
    coded = [one for one in cards if one["verification"] == "printed_code"]
    known = owners_of_codes(ctx, CODE, [one["id"] for one in coded])
    if known and not again:
        raise Personalised
    digits = plugin_settings(ctx, "card_types")["code_digits"]
    codes = {
        one["id"]: draw_code(digits)
        for one in coded
        if one["id"] not in known or one["status"] in renewed
    }
    keep_codes(ctx, CODE, codes)
    rows = [
        (
            one["number"],
            track_of(ctx, one["number"], one["issue_version"]),
            codes.get(one["id"], ""),
        )
        for one in cards
    ]
    return Sheet(COLUMNS, rows)


FILES = (
    RecordFile(
        "batch", "card_batch", "personalise", of_batch,
        {"zh": "制卡数据", "en": "File for the card printer"},
        {"zh": "重新生成验证码", "en": "Draw new codes"},
    ),
    RecordFile(
        "card", "card", "personalise", of_card,
        {"zh": "制卡数据", "en": "File for the card printer"},
        {"zh": "重新生成验证码", "en": "Draw a new code"},
    ),
)  # fmt: skip
