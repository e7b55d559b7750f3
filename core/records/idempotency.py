"""Once per key: a repeated request gets the stored answer and has no second effect.

The key's row is written in the same transaction as the effect. A refusal rolls
both back and so consumes no key; a request whose answer was lost can be asked
for by its key.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import KeyReused, Malformed, NotFound
from core.i18n import N_
from core.prebuilt import Prebuilt
from core.tables.releases import REVISION_TEXT, revision_table

#: How long a key is kept after its request.
KEPT = timedelta(hours=72)

#: Longest key that is accepted.
MAX_KEY = 100

request = sa.Table(
    "gx_request",
    metadata,
    sa.Column("user", sa.String(36), primary_key=True),
    sa.Column("key", sa.String(MAX_KEY), primary_key=True),
    sa.Column("body_hash", sa.String(64), nullable=False, doc="of route and body"),
    sa.Column("status", sa.Integer, nullable=False, doc="HTTP status of the answer"),
    sa.Column("answer", sa.Text, nullable=False, doc="JSON"),
    sa.Column("at", sa.String(27), nullable=False),
    sqlite_with_rowid=False,
)
sa.Index("ix_gx_request__at", request.c.at)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered; `replayed` when it was stored by an earlier one."""

    status: int
    body: Any
    replayed: bool = False


class _Row(NamedTuple):
    body_hash: str
    status: int
    answer: str


def body_hash(route: str, body: bytes) -> str:
    """Return the hash that tells two requests with the same key apart."""
    return hashlib.sha256(route.encode() + b"\0" + body).hexdigest()


def run_once(
    ctx: Context, key: str, fingerprint: str, act: Callable[[], tuple[int, Any]]
) -> Answer:
    """Return what `act` answers as (status, plain JSON), or what it answered under `key` before.

    `act` runs in the context's write transaction, together with the key's row.

    Raises:
        KeyReused: the key was used for a request with another `fingerprint`.
        Malformed: the key is empty, too long or not printable ASCII.
    """
    _check_key(key)
    with ctx.writing() as connection:
        mine = {
            "user": ctx.actor.id,
            "key": key,
            "body_hash": fingerprint,
            "status": 0,
            "answer": "null",
            "at": to_wire(ctx.now),
        }
        if not _claim(connection.dialect).changed(connection, mine):
            return _stored(connection, ctx.actor.id, key, fingerprint)
        status, body = act()
        said = {"status": status, "answer": msgspec.json.encode(body).decode()}
        _answering(connection.dialect).run(
            connection, said | {"gx_user": ctx.actor.id, "gx_key": key}
        )
    return Answer(status, body)


def find_answer(ctx: Context, key: str) -> Answer:
    """Return the answer stored under the actor's `key`.

    Raises:
        NotFound: no request with that key was committed.
    """
    _check_key(key)
    with ctx.reading() as connection:
        row = _find(connection, ctx.actor.id, key)
    if row is None:
        raise NotFound(N_("No request with this key was committed."))
    return Answer(row.status, msgspec.json.decode(row.answer), replayed=True)


def find_known(ctx: Context, key: str, fingerprint: str) -> Answer | None:
    """Return what the same request was answered before; None when it was not yet.

    Asked first, it also confirms what the context presumed.

    Raises:
        ReleaseChanged: what was presumed does not hold.
        KeyReused: the key was used for a request with another `fingerprint`.
        Malformed: the key is empty, too long or not printable ASCII.
    """
    _check_key(key)
    with ctx.reading() as connection:
        mine = {"gx_user": ctx.actor.id, "gx_key": key}
        rows = _knowing(connection.dialect).rows(connection, mine)
        ctx.confirm(connection, rows[0][-1] if rows else None)
    row = _Row(*rows[0][:-1]) if rows and rows[0][0] is not None else None
    if row is None:
        return None
    if row.body_hash != fingerprint:
        raise KeyReused
    return Answer(row.status, msgspec.json.decode(row.answer), replayed=True)


def was_answered(ctx: Context, key: str) -> bool:
    """Return whether a request of the actor under `key` was committed."""
    _check_key(key)
    with ctx.reading() as connection:
        return _find(connection, ctx.actor.id, key) is not None


def forget_old(ctx: Context) -> int:
    """Delete the keys that are past their time; return how many."""
    with ctx.writing() as connection:
        done = connection.execute(request.delete().where(request.c.at < to_wire(ctx.now - KEPT)))
        return int(done.rowcount)


def _check_key(key: str) -> None:
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        text = N_("The idempotency key must be 1 to {max} printable characters.")
        raise Malformed(text, max=MAX_KEY)


@lru_cache(maxsize=4)
def _claim(dialect: sa.Dialect) -> Prebuilt:
    insert = (sqlite.insert if dialect.name == "sqlite" else postgresql.insert)(request)
    names = [column.name for column in request.columns]
    return Prebuilt(insert.on_conflict_do_nothing().inline(), dialect, names)


@lru_cache(maxsize=4)
def _answering(dialect: sa.Dialect) -> Prebuilt:
    mine = request.update().where(
        request.c.user == sa.bindparam("gx_user"), request.c.key == sa.bindparam("gx_key")
    )
    return Prebuilt(mine, dialect, ("status", "answer"))


@lru_cache(maxsize=4)
def _finding(dialect: sa.Dialect) -> Prebuilt:
    mine = sa.select(request.c.body_hash, request.c.status, request.c.answer).where(
        request.c.user == sa.bindparam("gx_user"), request.c.key == sa.bindparam("gx_key")
    )
    return Prebuilt(mine, dialect)


@lru_cache(maxsize=4)
def _knowing(dialect: sa.Dialect) -> Prebuilt:
    """Return what finds a request, or a row without one, and says what is in force."""
    is_mine = sa.and_(
        request.c.user == sa.bindparam("gx_user"), request.c.key == sa.bindparam("gx_key")
    )
    columns = (request.c.body_hash, request.c.status, request.c.answer, REVISION_TEXT)
    found = sa.select(*columns).select_from(revision_table.outerjoin(request, is_mine))
    return Prebuilt(found.where(revision_table.c.id == 1), dialect)


def _find(connection: Connection, user: str, key: str) -> _Row | None:
    rows = _finding(connection.dialect).rows(connection, {"gx_user": user, "gx_key": key})
    return _Row(*rows[0]) if rows else None


def _stored(connection: Connection, user: str, key: str, fingerprint: str) -> Answer:
    row = _find(connection, user, key)
    assert row is not None  # noqa: S101  it kept this request from claiming the key
    if row.body_hash != fingerprint:
        raise KeyReused
    return Answer(row.status, msgspec.json.decode(row.answer), replayed=True)
