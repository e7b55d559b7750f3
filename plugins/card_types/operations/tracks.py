"""Track strings of cards, made with the installation's keys and known by them."""

from collections.abc import Mapping
from typing import Any

from core.api import Context
from plugins.card_types.rules.tracks import Track, is_signed, signed_text, track_text

#: What the keys for tracks are called.
TRACK = "card_types.track"


def track_of(ctx: Context, number: str, version: int) -> str:
    """Return the track string of a card in one of its issue versions."""
    key = ctx.keys.key(TRACK)
    return track_text(number, key.id, key.sign(signed_text(number, version)))


def is_track_of(ctx: Context, track: Track, card: Mapping[str, Any]) -> bool:
    """Return whether a track was made for a card as it was last issued."""
    key = ctx.keys.find(TRACK, track.key_id)
    if key is None:
        return False
    return is_signed(track, key.sign(signed_text(card["number"], card["issue_version"])))
