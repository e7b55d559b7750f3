"""Passwords: what is accepted, and checks that take the same time for anybody.

The rules follow NIST SP 800-63B: length counts, composition does not, and the
passwords that everybody tries first are refused.
"""

import unicodedata
from functools import lru_cache

from werkzeug.security import check_password_hash, generate_password_hash

from core.errors import Invalid, Problem
from core.i18n import N_

MIN_LENGTH = 10
MAX_LENGTH = 256
_MIN_DISTINCT = 5

#: Fragments of the usual first guesses; a password of these alone is refused.
_COMMON = (
    "password", "passw0rd", "p@ssw0rd", "qwertyuiop", "qwerty", "1q2w3e4r", "1234567890",
    "0987654321", "123456789", "12345678", "123456", "123123", "abc123", "abcdef", "admin",
    "letmein", "welcome", "iloveyou", "guanxi", "changeme", "woaini", "monkey", "dragon",
    "5201314",
)  # fmt: skip


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    """Return a hash of no one's password, for checks of unknown users that take as long."""
    return generate_password_hash("nobody's password")


def password_problem(password: str, *, username: str = "") -> str:
    """Return why `password` is not accepted for `username`, as English text, or `""`."""
    if len(password) < MIN_LENGTH:
        return N_("Use at least {min} characters.")
    if len(password) > MAX_LENGTH:
        return N_("Use at most {max} characters.")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in password):
        return N_("Control characters are not accepted.")
    lowered = password.lower()
    rest = lowered
    for fragment in (*filter(None, [username.lower()]), *_COMMON):
        rest = rest.replace(fragment, "")
    if len(set(lowered)) < _MIN_DISTINCT or len(rest) < MIN_LENGTH // 2:
        return N_("This password is too easy to guess.")
    return ""


def check_password(password: str, *, username: str = "") -> None:
    """Refuse a new password that breaks the rules.

    Raises:
        Invalid: with the rule that is broken.
    """
    text = password_problem(password, username=username)
    if text:
        limits = {"min": MIN_LENGTH, "max": MAX_LENGTH}
        problem = Problem(path="password", code="password.weak", text=text, params=limits)
        raise Invalid(problems=[problem])


def hash_password(password: str) -> str:
    """Return the hash to store for `password`."""
    return generate_password_hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """Return whether `password` is the one that `stored` is the hash of.

    Takes as long without a hash as with one.
    """
    if not password or len(password) > MAX_LENGTH or not password.strip("\x00"):
        return False
    try:
        matches = check_password_hash(stored or _nobodys_hash(), password)
    except UnicodeEncodeError:  # a lone surrogate: nobody's password
        return False
    return matches and bool(stored)
