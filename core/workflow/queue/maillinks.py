"""Links in mails by which one person does one thing to one task, once.

A link is a random token that is kept as its hash only. Opening it shows the difference and
a button and does nothing, because mail scanners open links; the button decides, under every
rule of any decision: still a candidate, still the same content. What is signed, and what is
of high risk, is never decided by a link.
"""

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.actor import Actor
from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Conflict, Forbidden, NotFound, Unauthenticated
from core.i18n import N_
from core.ids import new_id
from core.records.readers import actors_of
from core.workflow.deciding import Decision, check, decide
from core.workflow.models import task

#: How long a link is good.
LIFE = timedelta(hours=72)
#: What links can do.
VERBS = ("approve", "reject")
#: Bytes of chance in a token.
_CHANCE = 32
#: Words for high risk, and the number from which on a risk is high.
_HIGH, _HIGH_FROM = frozenset({"high", "critical", "高", "极高"}), 80

link = sa.Table(
    "gx_mail_link",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("task_id", sa.String(36), nullable=False, index=True),
    sa.Column("person", sa.String(36), nullable=False),
    sa.Column("verb", sa.String(20), nullable=False),
    sa.Column("subject_hash", sa.String(64), nullable=False, doc="of what the mail was about"),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("expires_at", sa.String(27), nullable=False),
    sa.Column("used_at", sa.String(27), nullable=True),
)
sa.Index("ix_gx_mail_link__expires", link.c.expires_at)

wish = sa.Table(
    "gx_mail_wish",
    metadata,
    sa.Column("person", sa.String(36), primary_key=True, doc="who wants mails about tasks"),
    sa.Column("since", sa.String(27), nullable=False),
)

Answer = dict[str, Any]


class LinkUnknown(NotFound):
    """Nobody was ever sent such a link."""

    code = "flow.link_unknown"
    text = N_("This link is not good. Sign in and decide there.")


class LinkExpired(Conflict):
    """The link is too old."""

    code = "flow.link_expired"
    text = N_("This link has expired. Sign in and decide there.")


class LinkUsed(Conflict):
    """The link did what it could do."""

    code = "flow.link_used"
    text = N_("This link was used already.")


class LinkOfAnother(Forbidden):
    """Somebody else is signed in than the person who was sent the link."""

    code = "flow.link_of_another"
    text = N_("This link was sent to somebody else.")


class SignInFirst(Unauthenticated):
    """What the task asks for cannot be given by a link."""

    code = "flow.sign_in_first"
    text = N_("This is decided by signed-in people only. Sign in and decide there.")


@dataclass(frozen=True, slots=True)
class Opened:
    """A good link in somebody's hands.

    Attributes:
        ctx: acts as the person who was sent it, with their rights of now.
        verb: what it does.
        subject_hash: of what the mail was about.
    """

    ctx: Context
    id: str
    task_id: str
    verb: str
    subject_hash: str


def wishing(connection: Connection) -> frozenset[str]:
    """Return the ids of those who want mails about tasks."""
    return frozenset(connection.execute(sa.select(wish.c.person)).scalars())


def wants_mail(ctx: Context) -> bool:
    """Return whether the actor gets mails about tasks; nobody does who has not asked."""
    with ctx.reading() as connection:
        mine = sa.select(wish.c.since).where(wish.c.person == ctx.actor.id)
        return connection.execute(mine).first() is not None


def set_mail(ctx: Context, *, wanted: bool) -> None:
    """Have mails about tasks sent to the actor, or no longer."""
    with ctx.writing() as connection:
        connection.execute(wish.delete().where(wish.c.person == ctx.actor.id))
        if wanted:
            row = {"person": ctx.actor.id, "since": to_wire(ctx.now)}
            connection.execute(wish.insert().values(row))


def make_links(ctx: Context, connection: Connection, task_id: str, person: str) -> dict[str, str]:
    """Return verb -> token of new links for one person and task; none where none may be.

    The tokens are told this once.
    """
    row = connection.execute(sa.select(task).where(task.c.id == task_id)).mappings().first()
    if row is None or row["state"] != "open" or _wants_sign_in(row):
        return {}
    made = {}
    for verb in VERBS:
        if verb not in row["may"].split():
            continue
        token = secrets.token_urlsafe(_CHANCE)
        made[verb] = token
        connection.execute(
            link.insert().values(
                id=new_id(), token_hash=_hash(token), task_id=task_id, person=person, verb=verb,
                subject_hash=row["subject_hash"], created_at=to_wire(ctx.now),
                expires_at=to_wire(ctx.now + LIFE), used_at=None,
            )
        )  # fmt: skip
    connection.execute(link.delete().where(link.c.expires_at < to_wire(ctx.now - LIFE)))
    return made


def open_link(ctx: Context, token: str) -> Opened:
    """Return a link that is good now, for who holds it; nothing is changed.

    `ctx` acts as whoever is signed in, or as nobody.

    Raises:
        LinkUnknown: there is none, or its person may not sign in any more.
        LinkExpired: it is older than 72 hours.
        LinkUsed: it was used.
        LinkOfAnother: somebody else is signed in.
        SignInFirst: the task is signed, or of high risk.
    """
    with ctx.reading() as connection:
        row = connection.execute(
            sa.select(link, task.c.sign, task.c.risk)
            .join(task, task.c.id == link.c.task_id)
            .where(link.c.token_hash == _hash(token))
        ).mappings().first()  # fmt: skip
        if row is None:
            raise LinkUnknown
        actor = actors_of(ctx, [row["person"]]).get(row["person"])
    _require_good(ctx, row, actor)
    assert actor is not None  # noqa: S101  required above
    own = replace(ctx, actor=actor, locale=actor.locale or ctx.locale, warnings=[])
    return Opened(own, row["id"], row["task_id"], row["verb"], row["subject_hash"])


def _require_good(ctx: Context, row: sa.RowMapping, actor: Actor | None) -> None:
    if actor is None:
        raise LinkUnknown
    if ctx.actor.id not in {"public", actor.id}:
        raise LinkOfAnother
    if row["used_at"] is not None:
        raise LinkUsed
    if row["expires_at"] <= to_wire(ctx.now):
        raise LinkExpired
    if _wants_sign_in(row):
        raise SignInFirst


def use_link(found: Opened, *, opinion: str = "") -> Answer:
    """Do what a link is for; it is used up with the decision, in one transaction.

    A decision that is refused changes nothing, and leaves the link as it was.

    Raises:
        LinkUsed: somebody was faster with the same link.
        UserError: whatever the decision itself is refused for.
    """
    ctx = found.ctx
    with ctx.writing(durable=True) as connection:
        used = connection.execute(
            link.update()
            .where(link.c.id == found.id, link.c.used_at.is_(None))
            .values(used_at=to_wire(ctx.now))
        )
        if not used.rowcount:
            raise LinkUsed
        return decide(
            ctx, found.task_id, found.verb, subject_hash=found.subject_hash, opinion=opinion
        )


def check_link(found: Opened) -> None:
    """Raise what `use_link` would for another reason than a missing opinion; writes nothing."""
    check(found.ctx, Decision(found.task_id, found.verb, found.subject_hash, "-"))


def _wants_sign_in(row: sa.RowMapping) -> bool:
    """Return whether a task is signed or of high risk."""
    return row["sign"] != "click" or is_high(row["risk"])


def is_high(risk: str) -> bool:
    """Return whether a task's risk is high: a word for it, or a number from 80 on."""
    text = risk.strip().lower()
    if text in _HIGH:
        return True
    try:
        return float(text) >= _HIGH_FROM
    except ValueError:
        return False


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
