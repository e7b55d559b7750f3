"""Codes that people show to prove that something is theirs: on cards, vouchers, parcels.

Of a code only a keyed hash is kept, so that a copy of the database alone is no help in
guessing it. Wrong tries are counted in a transaction of their own: a sale that is refused
because of one takes back everything but the count.

Tries under way in this process count as wrong until they turn out right, so however many
are made at once, no more are looked at than are allowed. Other processes see the count once
it is committed: with n server processes a code may be tried n - 1 times more.
"""

import hmac
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

import sqlalchemy as sa

from core.actor import SYSTEM
from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict
from core.i18n import N_
from core.keys import Key

code_table = sa.Table(
    "gx_code",
    metadata,
    sa.Column("purpose", sa.String(40), primary_key=True),
    sa.Column("owner_id", sa.String(36), primary_key=True, doc="whose code it is"),
    sa.Column("key_id", sa.String(8), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, doc="HMAC-SHA256 under the key"),
    sa.Column("made_at", sa.String(27), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, doc="wrong ones since the last right one"),
)

#: What a try came to: there may be no code, and a locked one is not looked at.
Answer = Literal["right", "wrong", "locked", "none"]

_columns = code_table.c
_guard = threading.Lock()
_under_way: Counter[tuple[str, str, str]] = Counter()


class UnknownKey(Conflict):
    """What is shown was made with a key that the installation no longer knows."""

    code = "keys.unknown"
    text = N_("This was made with a key that is no longer known here.")


def draw_code(digits: int) -> str:
    """Return a code that nobody can foresee, of so many digits."""
    return f"{secrets.randbelow(10**digits):0{digits}d}"


def keep_codes(ctx: Context, purpose: str, codes: Mapping[str, str]) -> None:
    """Keep the hashes of codes, by owner; codes that an owner had before are dead."""
    key, now = ctx.keys.key(purpose), to_wire(ctx.now)
    rows = [
        {
            "purpose": purpose, "owner_id": owner, "key_id": key.id,
            "digest": _digest(key, owner, code), "made_at": now, "tries": 0,
        }
        for owner, code in codes.items()
    ]  # fmt: skip
    with ctx.writing() as connection:
        forget_codes(ctx, purpose, codes)
        if rows:
            connection.execute(code_table.insert(), rows)


def owners_of_codes(ctx: Context, purpose: str, owners: Iterable[str]) -> set[str]:
    """Return those of `owners` who have a code."""
    named, found = list(owners), set()
    for start in range(0, len(named), 500):
        part = named[start : start + 500]
        wanted = sa.select(_columns.owner_id).where(
            _columns.purpose == purpose, _columns.owner_id.in_(part)
        )
        with ctx.reading() as connection:
            found |= set(connection.execute(wanted).scalars())
    return found


def forget_codes(ctx: Context, purpose: str, owners: Iterable[str]) -> None:
    """Forget the codes of owners; without one nothing can be proved."""
    named = list(owners)
    with ctx.writing() as connection:
        for start in range(0, len(named), 500):
            part = named[start : start + 500]
            connection.execute(
                code_table.delete().where(_columns.purpose == purpose, _columns.owner_id.in_(part))
            )


def unlock_code(ctx: Context, purpose: str, owner: str) -> bool:
    """Let a code be tried again; return whether it was tried wrongly before."""
    with ctx.writing() as connection:
        changed = connection.execute(
            code_table.update()
            .where(_columns.purpose == purpose, _columns.owner_id == owner, _columns.tries > 0)
            .values(tries=0)
        )
    return changed.rowcount > 0


def try_code(ctx: Context, purpose: str, owner: str, code: str, *, most: int) -> Answer:
    """Return whether `code` is the owner's, and count it when it is wrong.

    The count is committed by itself: at once, or when the write transaction under way ends,
    however it ends.

    Args:
        ctx: whose clock and database are used.
        purpose: what the code is for.
        owner: whose it should be.
        code: as it was given.
        most: wrong tries in a row after which the code is locked.
    """
    place = (str(ctx.db.url), purpose, owner)
    with _guard:
        ahead = _under_way[place]
        _under_way[place] += 1
    answer: Answer = "wrong"
    try:
        answer, tries = _looked_at(ctx, purpose, owner, code, most - ahead)
        is_news = answer == "wrong" or (answer == "right" and tries > 0)
    except BaseException:
        _done(place)
        raise
    if not is_news:
        _done(place)
        return answer

    def count(_is_committed: bool = True) -> None:
        try:
            _count(ctx, purpose, owner, is_right=answer == "right")
        finally:
            _done(place)

    if ctx.is_writing:
        ctx.ended.append(count)
    else:
        count()
    return answer


def _looked_at(ctx: Context, purpose: str, owner: str, code: str, most: int) -> tuple[Answer, int]:
    wanted = sa.select(_columns.key_id, _columns.digest, _columns.tries).where(
        _columns.purpose == purpose, _columns.owner_id == owner
    )
    # A transaction under way may see the past; what others counted since matters here.
    with ctx.db.read() as connection:
        row = connection.execute(wanted).first()
    if row is None:
        return "none", 0
    if row.tries >= most:
        return "locked", row.tries
    key = ctx.keys.find(purpose, row.key_id)
    if key is None:
        raise UnknownKey
    is_right = hmac.compare_digest(_digest(key, owner, code), row.digest)
    return ("right" if is_right else "wrong"), row.tries


def _count(ctx: Context, purpose: str, owner: str, *, is_right: bool) -> None:
    own = replace(
        ctx, actor=SYSTEM, connection=None, is_writing=False, last=[], ended=[], pending=None
    )
    tries = 0 if is_right else _columns.tries + 1
    with own.writing() as connection:
        connection.execute(
            code_table.update()
            .where(_columns.purpose == purpose, _columns.owner_id == owner)
            .values(tries=tries)
        )


def _done(place: tuple[str, str, str]) -> None:
    with _guard:
        _under_way[place] -= 1
        if not _under_way[place]:
            del _under_way[place]


def _digest(key: Key, owner: str, code: str) -> str:
    return key.sign(f"{owner}\0{code}").hex()
