"""Keys of the installation by purpose and id, so that what they signed outlives their change.

All are derived from `GUANXI_SECRET_KEY`, so nothing secret is stored. A key is called by the
first letters of its own hash: whatever was made with it names it, and keeps being known after
the installation's key was changed, as long as `GUANXI_FORMER_KEYS` lists the former one.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Letters of a key's id: enough to tell the few keys of one installation apart.
_ID_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Key:
    """One key for one purpose.

    Attributes:
        id: capital letters and digits; what was made with the key names it.
    """

    id: str
    secret: bytes = field(repr=False)

    def sign(self, text: str) -> bytes:
        """Return the 32 bytes of HMAC-SHA256 over `text`."""
        return hmac.new(self.secret, text.encode(), hashlib.sha256).digest()


class KeyRing:
    """The keys of an installation: one to make things with, former ones to know them by."""

    def __init__(self, secret: str, former: Sequence[str] = ()) -> None:
        """Derive from `secret`; `former` are the installation's keys of before."""
        self._secrets = (secret, *former)

    def key(self, purpose: str) -> Key:
        """Return the key to make things with."""
        return _derived(self._secrets[0], purpose)

    def find(self, purpose: str, key_id: str) -> Key | None:
        """Return the key called `key_id`, or None when the installation does not know it."""
        for secret in self._secrets:
            key = _derived(secret, purpose)
            if key.id == key_id:
                return key
        return None


def _derived(secret: str, purpose: str) -> Key:
    made = hmac.new(secret.encode(), f"guanxi key\0{purpose}".encode(), hashlib.sha256).digest()
    called = base64.b32encode(hashlib.sha256(made).digest()).decode()
    return Key(called[:_ID_LETTERS], made)
