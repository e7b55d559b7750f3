"""What stands on a card's track: its number and a proof that it is the card that was issued.

Track string = printed number + `=` + key id + MAC. The MAC covers number and issue version, so
the track of a card that was replaced is dead, and the key's id says which of the
installation's keys made it.
"""

import base64
import hmac
import unicodedata
from dataclasses import dataclass

SIGN = "="

#: Letters of a key's id and of the MAC, 80 bits of it, in base 32.
KEY_LETTERS, MAC_LETTERS = 3, 16

#: What card readers put around a track.
_SENTINELS = "%;?"


@dataclass(frozen=True, slots=True)
class Track:
    """A track string in its parts."""

    number: str
    key_id: str
    mac: str


def clean_text(text: str) -> str:
    """Return what was typed or swiped without blanks, wide forms and a reader's sentinels.

    >>> clean_text("%0101 0002 2?")
    '010100022'
    """
    plain = "".join(unicodedata.normalize("NFKC", text).split())
    return plain.strip(_SENTINELS)


def signed_text(number: str, version: int) -> str:
    """Return what the MAC of a card's track covers."""
    return f"{number}\0{version}"


def track_text(number: str, key_id: str, signature: bytes) -> str:
    """Return the track string of a card.

    >>> track_text("010100022", "K7Q", bytes(32))
    '010100022=K7QAAAAAAAAAAAAAAAA'
    """
    return f"{number}{SIGN}{key_id}{_letters(signature)}"


def split_track(text: str) -> Track | None:
    """Return the parts of a track string, or None for a text that is none."""
    number, sign, rest = text.partition(SIGN)
    if not sign:
        return None
    return Track(number, rest[:KEY_LETTERS], rest[KEY_LETTERS:])


def is_signed(track: Track, signature: bytes) -> bool:
    """Return whether a track carries this signature; takes equally long whatever it carries."""
    return hmac.compare_digest(track.mac.encode(), _letters(signature).encode())


def _letters(signature: bytes) -> str:
    return base64.b32encode(signature).decode()[:MAC_LETTERS]
