"""Signed tokens of API clients; each verified once and remembered until it expires."""

import hashlib
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import jwt

from core.clock import Clock
from core.errors import Unauthenticated
from core.i18n import N_
from core.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHM = "HS256"
ACCESS_LIFETIME = timedelta(hours=8)
REFRESH_LIFETIME = timedelta(days=14)

#: The claim that carries `Actor.stamp`.
STAMP = "gxs"

_MAX_TOKEN = 4096
_MAX_REMEMBERED = 4096
_REQUIRED = ["sub", "exp", "iat", "jti", "type", STAMP]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a good token says: whose it is, as of which stamp, until when."""

    user_id: str
    stamp: str
    expires: float


def signing_key(secret: str) -> str:
    """Return the key that tokens are signed with, which is not the one of sessions."""
    return hashlib.blake2b(b"token", key=secret.encode()[:64], digest_size=32).hexdigest()


class Tokens:
    """Issues and verifies tokens of one installation."""

    def __init__(self, secret: str, clock: Clock) -> None:
        """Sign with a key derived from `secret`."""
        self._key = signing_key(secret)
        self._time: Callable[[], float] = lambda: clock.now().timestamp()
        self._known: dict[str, Claim] = {}
        self._lock = threading.Lock()

    def issue(self, user_id: str, stamp: str, *, refresh: bool = False) -> str:
        """Return a new token for a user who has just proved to be one."""
        now = int(self._time())
        lifetime = REFRESH_LIFETIME if refresh else ACCESS_LIFETIME
        claims = {
            "sub": user_id,
            "type": "refresh" if refresh else "access",
            "fresh": False,
            "jti": new_id(),
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            STAMP: stamp,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def verify(self, token: str, *, refresh: bool = False) -> Claim:
        """Return what `token` claims; the stamp is for the caller to compare.

        Raises:
            Unauthenticated: it is not ours, of the other kind, altered or expired.
        """
        claim = self._known.get(token) if not refresh else None
        if claim is None:
            claim = self._decoded(token, refresh=refresh)
            if not refresh:
                self._remember(token, claim)
        if claim.expires <= self._time():
            self._known.pop(token, None)
            raise Unauthenticated(N_("The sign-in has expired. Please sign in again."))
        return claim

    def _decoded(self, token: str, *, refresh: bool) -> Claim:
        if len(token) > _MAX_TOKEN:
            raise Unauthenticated
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                # Time is judged by our own clock, once for new and remembered tokens alike.
                options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False,
                         "verify_nbf": False},
            )  # fmt: skip
            kind, issued = claims["type"], float(claims["iat"])
            claim = Claim(str(claims["sub"]), str(claims[STAMP]), float(claims["exp"]))
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Unauthenticated from error
        if kind != ("refresh" if refresh else "access") or issued > self._time() + 60:
            raise Unauthenticated
        return claim

    def _remember(self, token: str, claim: Claim) -> None:
        with self._lock:
            while len(self._known) >= _MAX_REMEMBERED:
                self._known.pop(next(iter(self._known)))
            self._known[token] = claim
