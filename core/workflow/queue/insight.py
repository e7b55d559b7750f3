"""What an approver wants to know besides: earlier rounds, past returns, how others like it ended.

Everything is read under the reader's own rights: what of the past they may not see is left
out of the lists, and counted nowhere.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import NotFound
from core.i18n import pick
from core.policies.access import access
from core.workflow.documents import shows_title
from core.workflow.models import Row, content, event, instance, task, vote
from core.workflow.seen import seen_record
from core.workflow.subject import data_fields, is_same

#: How far back returns are counted.
PERIOD = timedelta(days=180)
#: Past decisions that are compared, and those that are shown.
COMPARED, SHOWN = 60, 3
#: Verbs that sent a document back to who made it.
_BACK = ("return", "reject")


@dataclass(frozen=True, slots=True)
class PastBack:
    """A time that the initiator's work was sent back."""

    at: str
    by: str
    verb: str
    opinion: str
    title: str
    task_id: str


@dataclass(frozen=True, slots=True)
class PastDecision:
    """An approval of another record that is like this one.

    Attributes:
        same: how many of the compared fields have the same value.
        of: how many fields were compared.
    """

    title: str
    state: str
    ended_at: str
    ended_by: str
    instance_id: str
    same: int
    of: int


@dataclass(frozen=True, slots=True)
class PastRound:
    """An earlier approval of the same record."""

    instance_id: str
    round: int
    state: str
    ended_at: str


@dataclass(frozen=True, slots=True)
class Insight:
    """What the past says about one task.

    Attributes:
        sent: how often the initiator submitted documents of this type lately.
        sent_back: how many of those were returned or rejected at least once.
    """

    sent: int
    sent_back: int
    backs: Sequence[PastBack]
    similar: Sequence[PastDecision]
    rounds: Sequence[PastRound]


@dataclass(frozen=True, slots=True)
class Approved:
    """What somebody approved of a record before, and when."""

    at: str
    values: Mapping[str, Any]


def last_approved(ctx: Context, task_id: str) -> Approved | None:
    """Return what the actor approved last of a task's record, other than what it is now.

    The values are whole; the caller shows of them what the actor may see.
    """
    with ctx.reading() as connection:
        here = connection.execute(
            sa.select(instance.c.record_type, instance.c.record_id, instance.c.subject_hash)
            .join(task, task.c.instance_id == instance.c.id)
            .where(task.c.id == task_id)
        ).one()  # fmt: skip
        row = connection.execute(
            sa.select(vote.c.at, content.c["values"])
            .join(instance, instance.c.id == vote.c.instance_id)
            .join(
                content,
                (content.c.instance_id == vote.c.instance_id)
                & (content.c.hash == vote.c.subject_hash),
            )
            .where(
                instance.c.record_type == here.record_type,
                instance.c.record_id == here.record_id,
                vote.c.actor == ctx.actor.id,
                vote.c.verb == "approve",
                vote.c.subject_hash != here.subject_hash,
            )
            .order_by(vote.c.at.desc())
            .limit(1)
        ).first()
    return None if row is None else Approved(row[0], msgspec.json.decode(row[1]))


def find_insight(ctx: Context, task_id: str, shown: frozenset[str]) -> Insight:
    """Return what the past says about a task; the caller has shown the task to the actor.

    Args:
        ctx: who asks.
        task_id: the task.
        shown: names of the fields that the task showed them.

    Raises:
        NotFound: there is no such task.
    """
    with ctx.reading() as connection:
        parent = connection.execute(
            sa.select(instance)
            .join(task, task.c.instance_id == instance.c.id)
            .where(task.c.id == task_id)
        ).mappings().first()  # fmt: skip
        if parent is None:
            raise NotFound
        # How many fields are the same tells of each that is compared, so none is that is
        # masked, hidden by the step, or not seen in every row.
        certain = access(ctx, parent["record_type"]).certain
        past = _Past(ctx, connection, parent, shown & certain)
        sent, sent_back, backs = past.backs()
        return Insight(sent, sent_back, backs, past.similar(), past.rounds())


@dataclass(frozen=True, slots=True)
class _Past:
    """The past of one approval, as its reader may see it.

    Attributes:
        shown: the fields that may be compared.
    """

    ctx: Context
    connection: Connection
    parent: Row
    shown: Container[str]

    def _sees(self, record_id: str) -> Mapping[str, Any] | None:
        return seen_record(self.ctx, self.parent["record_type"], record_id)

    def _title(self, title: str) -> str:
        """Return a document's title, or what such documents are called where it is not seen."""
        type_name = self.parent["record_type"]
        if title and shows_title(self.ctx, type_name):
            return title
        record_type = self.ctx.registry.record_type(type_name)
        return pick(record_type.label, self.ctx.locale, type_name)

    def backs(self) -> tuple[int, int, list[PastBack]]:
        """Return how often the initiator submitted and was sent back, and the latest times."""
        since = to_wire(self.ctx.now - PERIOD)
        theirs = sa.and_(
            instance.c.initiator == self.parent["initiator"],
            instance.c.opened_at > since,
            instance.c.record_type == self.parent["record_type"],
            instance.c.id != self.parent["id"],
        )
        rows = self.connection.execute(
            sa.select(
                event.c.instance_id, event.c.at, event.c.actor_name, event.c.verb,
                event.c.opinion, event.c.task_id, instance.c.title, instance.c.record_id,
            )
            .join(instance, instance.c.id == event.c.instance_id)
            .where(theirs, event.c.verb.in_(_BACK))
            .order_by(event.c.at.desc())
            .limit(COMPARED)
        ).all()  # fmt: skip
        sent = self.connection.execute(
            sa.select(sa.func.count()).select_from(instance).where(theirs)
        ).scalar_one()
        shown: list[PastBack] = []
        for row in rows:
            if len(shown) < SHOWN and self._sees(row.record_id) is not None:
                shown.append(
                    PastBack(
                        row.at, row.actor_name, row.verb, row.opinion, self._title(row.title),
                        row.task_id,
                    )
                )  # fmt: skip
        return sent, len({row.instance_id for row in rows}), shown

    def similar(self) -> list[PastDecision]:
        """Return ended approvals of the type whose documents said most of the same."""
        fields = [
            each
            for each in data_fields(self.ctx.registry.record_type(self.parent["record_type"]))
            if each.name in self.shown
        ]
        mine = msgspec.json.decode(self.parent["values"])
        rows = self.connection.execute(
            sa.select(instance)
            .where(
                instance.c.record_type == self.parent["record_type"],
                instance.c.record_id != self.parent["record_id"],
                instance.c.state.in_(("approved", "rejected")),
            )
            .order_by(instance.c.opened_at.desc())
            .limit(COMPARED)
        ).mappings()
        ranked = []
        for row in rows:
            theirs = msgspec.json.decode(row["values"])
            told = [each for each in fields if mine.get(each.name) not in (None, "", [])]
            same = sum(is_same(each, mine.get(each.name), theirs.get(each.name)) for each in told)
            ranked.append((same, len(told), row))
        ranked.sort(key=lambda one: (-one[0], one[2]["ended_at"] or ""))
        found: list[PastDecision] = []
        for same, of, row in ranked:
            if len(found) == SHOWN or not same:
                break
            if self._sees(row["record_id"]) is not None:
                found.append(
                    PastDecision(
                        self._title(row["title"]), row["state"], row["ended_at"] or "",
                        row["ended_by_name"] or "", row["id"], same, of,
                    )
                )  # fmt: skip
        return found

    def rounds(self) -> list[PastRound]:
        """Return the earlier approvals of the same record, the latest first."""
        rows = self.connection.execute(
            sa.select(instance.c.id, instance.c.round, instance.c.state, instance.c.ended_at)
            .where(
                instance.c.record_type == self.parent["record_type"],
                instance.c.record_id == self.parent["record_id"],
                instance.c.round < self.parent["round"],
            )
            .order_by(instance.c.round.desc())
            .limit(10)
        )
        return [PastRound(row.id, row.round, row.state, row.ended_at or "") for row in rows]
