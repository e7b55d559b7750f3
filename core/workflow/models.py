"""The tables of running and ended approvals.

Times are UTC, RFC 3339 with microseconds, so text order is time order. Nothing is
ever deleted. One instance is a few dozen rows, which are read and written together as one
`core.workflow.engine.state.State`; what a queue needs stands on the task and candidate rows
besides, so a list never reads a payload.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.appendonly import append_only
from core.db import metadata

#: One row of these tables, by column name.
Row = Mapping[Any, Any]

#: States of an instance that has not ended.
OPEN_STATES = ("running", "returned", "suspended", "apply_blocked")

_ID = sa.String(36)
_TIME = sa.String(27)
_NAME = sa.String(80)
_PERSON = sa.String(200)
_HASH = sa.String(64)
#: A step's id, with those of the subflows around it.
_STEP = sa.String(320)


def rank_of(priority: int, opened_at: str) -> str:
    """Return the text by which what is urgent stands first, and of equals what is older."""
    return f"{9999 - max(-9999, min(9999, priority)):05d}{opened_at}"


instance = sa.Table(
    "gx_instance",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("flow", _NAME, nullable=False),
    sa.Column("flow_version", sa.Integer, nullable=False),
    sa.Column("definition", sa.Text, nullable=False, doc="JSON of the flow it runs by, for good"),
    sa.Column(
        "subflows", sa.Text, nullable=False, default="{}", doc="JSON: name -> flow it may walk"
    ),
    sa.Column("definition_hash", _HASH, nullable=False),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("record_id", _ID, nullable=False),
    sa.Column("record_version", sa.Integer, nullable=False),
    sa.Column("proposal_id", _ID, nullable=True, doc="null when the record itself is proposed"),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("previous_id", _ID, nullable=True, doc="the instance of the round before"),
    sa.Column("state", sa.String(14), nullable=False),
    sa.Column("former_state", sa.String(14), nullable=False, doc="where a resume leads"),
    sa.Column("returns", sa.Integer, nullable=False, default=0, doc="how often it was returned"),
    sa.Column("resume", sa.Text, nullable=True, doc="JSON: where it goes straight back to"),
    sa.Column("copied", sa.Text, nullable=False, default="[]", doc="JSON: who has had a copy"),
    sa.Column("chosen", sa.Text, nullable=False, default="{}", doc="JSON: step -> people named"),
    sa.Column(
        "attention", _NAME, nullable=False, default="", doc="why administrators must look at it"
    ),
    sa.Column("step", _STEP, nullable=False, doc="of the latest task"),
    sa.Column("task_id", _ID, nullable=False, doc="the latest task"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("values", sa.Text, nullable=False, doc="JSON: what was submitted, wire form"),
    sa.Column("subject_hash", _HASH, nullable=False),
    sa.Column("initiator", _ID, nullable=False),
    sa.Column("initiator_name", _PERSON, nullable=False),
    sa.Column("makers", sa.Text, nullable=False, doc="|id|id| of who wrote or submitted it"),
    sa.Column("opened_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME, nullable=True),
    sa.Column("ended_by", _ID, nullable=True),
    sa.Column("ended_by_name", _PERSON, nullable=True),
    sa.Column("problems", sa.Text, nullable=False, doc="JSON: why it could not take effect"),
    sa.Column("chain", _HASH, nullable=False, doc="hash of the last event"),
    sa.Column("events", sa.Integer, nullable=False, doc="number of the last event"),
    sa.Column(
        "rooted", sa.Integer, nullable=False, default=0, doc="events that a root has covered"
    ),
)
_is_open = instance.c.state.in_([sa.literal_column(f"'{state}'") for state in OPEN_STATES])
sa.Index(
    "ux_gx_instance__open",
    instance.c.record_type,
    instance.c.record_id,
    unique=True,
    sqlite_where=_is_open,
    postgresql_where=_is_open,
)
sa.Index("ix_gx_instance__record", instance.c.record_type, instance.c.record_id, instance.c.round)
sa.Index("ix_gx_instance__started", instance.c.initiator, instance.c.opened_at, instance.c.id)
_is_unrooted = instance.c.events > instance.c.rooted
sa.Index(
    "ix_gx_instance__unrooted",
    instance.c.id,
    sqlite_where=_is_unrooted,
    postgresql_where=_is_unrooted,
)
_needs_attention = instance.c.attention != sa.literal_column("''")
sa.Index(
    "ix_gx_instance__attention",
    instance.c.attention,
    instance.c.opened_at,
    sqlite_where=_needs_attention,
    postgresql_where=_needs_attention,
)

_has_ended = instance.c.ended_at.is_not(None)
sa.Index(
    "ix_gx_instance__ended", instance.c.ended_at, instance.c.record_type, instance.c.round,
    instance.c.returns, sqlite_where=_has_ended, postgresql_where=_has_ended,
)  # fmt: skip

#: Whatever content an instance asked about, so that a stale vote is told what changed.
content = sa.Table(
    "gx_flow_content",
    metadata,
    sa.Column("instance_id", _ID, primary_key=True),
    sa.Column("hash", _HASH, primary_key=True, doc="the subject hash that people were shown"),
    sa.Column("values", sa.Text, nullable=False, doc="JSON: the document as it was, wire form"),
    sa.Column("at", _TIME, nullable=False),
    sqlite_with_rowid=False,
)

visit = sa.Table(
    "gx_visit",
    metadata,
    sa.Column("id", _ID, primary_key=True, doc="of a human step also the task's"),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False, doc="in the order they were begun"),
    sa.Column("step", _STEP, nullable=False),
    sa.Column("type", sa.String(10), nullable=False),
    sa.Column("parent", _ID, nullable=False, doc="the visit of the block around it"),
    sa.Column("lane", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, doc="1 for the first pass through the step"),
    sa.Column("item", sa.Text, nullable=False, doc="JSON: what a run of a subflow is about"),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("result", _NAME, nullable=False, doc="how it ended; why it was cancelled"),
    sa.Column("subject_hash", _HASH, nullable=False),
    sa.Column("opened_at", _TIME, nullable=False),
    sa.Column("closed_at", _TIME, nullable=False),
    sa.Column("closed_by", _ID, nullable=False),
    sa.Column("resumes", _ID, nullable=False, doc="the visit whose clock it goes on with"),
    sa.Column("cause", _ID, nullable=False, doc="the visit whose end led here"),
)
sa.Index("ix_gx_visit__instance", visit.c.instance_id)
#: True of passes through steps that wait, in the words of their index.
IS_WAIT: sa.ColumnElement[bool] = sa.and_(
    visit.c.type == sa.literal_column("'wait'"), visit.c.state == sa.literal_column("'waiting'")
)
sa.Index("ix_gx_visit__waits", visit.c.id, sqlite_where=IS_WAIT, postgresql_where=IS_WAIT)

task = sa.Table(
    "gx_task",
    metadata,
    sa.Column("id", _ID, primary_key=True, doc="of the visit it shows"),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("step", _STEP, nullable=False),
    sa.Column("step_title", sa.Text, nullable=False, doc="JSON: locale -> text"),
    sa.Column("type", sa.String(10), nullable=False, default="approve", doc="approve or fill"),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("record_id", _ID, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, default=1, doc="which pass through the step"),
    sa.Column("may", sa.String(200), nullable=False, doc="verbs, separated by spaces"),
    sa.Column("state", sa.String(10), nullable=False, doc="waiting open suspended done cancelled"),
    sa.Column("result", _NAME, nullable=False, doc="pass or reject; why it was cancelled"),
    sa.Column("initiator", _ID, nullable=False),
    sa.Column("initiator_name", _PERSON, nullable=False),
    sa.Column("subject_hash", _HASH, nullable=False),
    sa.Column("seats", sa.Integer, nullable=False, doc="voices that the tally asks for"),
    sa.Column("approved", sa.Integer, nullable=False),
    sa.Column("rejected", sa.Integer, nullable=False, default=0),
    sa.Column("abstained", sa.Integer, nullable=False, default=0),
    sa.Column("pending", sa.Text, nullable=False, default="[]", doc="JSON: keys of open seats"),
    sa.Column("sign", sa.String(12), nullable=False, default="click", doc="the strictest signing"),
    sa.Column("bulk", sa.Boolean, nullable=False, default=True, doc="may be decided with others"),
    sa.Column("claim", sa.String(8), nullable=False, default="soft", doc="off soft required"),
    sa.Column("claimed_by", _ID, nullable=False, default=""),
    sa.Column("claimed_by_name", _PERSON, nullable=False, default=""),
    sa.Column("claimed_until", _TIME, nullable=False, default=""),
    sa.Column("priority", sa.Integer, nullable=False, default=0),
    sa.Column("risk", _NAME, nullable=False, default="", doc="what the step's expression says"),
    sa.Column("attention", _NAME, nullable=False, default="", doc="why administrators must look"),
    sa.Column("opened_at", _TIME, nullable=False),
    sa.Column("due_at", _TIME, nullable=True, doc="null: no deadline, or its clock stands"),
    sa.Column("paused", sa.Boolean, nullable=False, default=False, doc="its clock stands"),
    sa.Column("business", sa.Boolean, nullable=False, default=False, doc="its clock keeps hours"),
    sa.Column("calendar", _NAME, nullable=False, default="", doc="the one that its flow names"),
    sa.Column("place", _ID, nullable=False, default="", doc="store whose own calendar goes first"),
    sa.Column("closed_at", _TIME, nullable=True),
    sa.Column("closed_by", _ID, nullable=True),
    sa.Column("closed_by_name", _PERSON, nullable=True),
)
#: True of tasks that somebody has claimed, in the words of their index.
IS_CLAIMED: sa.ColumnElement[bool] = task.c.claimed_by != sa.literal_column("''")
sa.Index(
    "ix_gx_task__claimed", task.c.claimed_until, sqlite_where=IS_CLAIMED,
    postgresql_where=IS_CLAIMED,
)  # fmt: skip
sa.Index("ix_gx_task__instance", task.c.instance_id, task.c.opened_at)
sa.Index("ix_gx_task__state", task.c.state, task.c.due_at)
_is_closed = task.c.closed_at.is_not(None)
sa.Index(
    "ix_gx_task__closed", task.c.closed_at, task.c.record_type, task.c.step, task.c.result,
    task.c.instance_id, sqlite_where=_is_closed, postgresql_where=_is_closed,
)  # fmt: skip
sa.Index("ix_gx_task__initiator", task.c.initiator, task.c.state)
sa.Index("ix_gx_task__opened", task.c.state, task.c.opened_at, task.c.id)

seat = sa.Table(
    "gx_seat",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("key", _PERSON, nullable=False),
    sa.Column("group", _PERSON, nullable=False, default=""),
    sa.Column("weight", sa.Integer, nullable=False, default=1),
    sa.Column("kind", sa.String(8), nullable=False, default="main"),
    sa.Column("parent", _ID, nullable=False, default="", doc="the seat it was added at"),
    sa.Column("rule", sa.String(8), nullable=False, default=""),
    sa.Column("depth", sa.Integer, nullable=False, default=0),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("ballot", sa.String(8), nullable=True, doc="approve, reject or abstain"),
    sa.Column("vote", _ID, nullable=False, default="", doc="the vote that counts"),
    sa.Column("because", _NAME, nullable=False, default=""),
    sa.Column("added_by", _ID, nullable=False, default=""),
    sa.Column("claimed_by", _ID, nullable=False, default=""),
    sa.Column("claimed_until", _TIME, nullable=False, default=""),
    sa.Column("opened_at", _TIME, nullable=False, default=""),
    sa.Column("version", sa.Integer, nullable=False, default=1),
)
sa.Index("ix_gx_seat__instance", seat.c.instance_id)
sa.Index("ix_gx_seat__task", seat.c.task_id, seat.c.position)

candidate = sa.Table(
    "gx_candidate",
    metadata,
    sa.Column("id", sa.String(44), primary_key=True, doc="SEAT.POSITION"),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("seat_id", _ID, nullable=False),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False, doc="among those of the instance"),
    sa.Column("kind", sa.String(4), nullable=False, doc="user, role or post"),
    sa.Column("actor", sa.String(120), nullable=False, doc="id, role name or POSITION@PLACE_ID"),
    sa.Column("via", sa.String(12), nullable=False, default="", doc="escalated, away, transfer …"),
    sa.Column("on_behalf_of", _ID, nullable=False, default="", doc="for whom a deputy sits"),
    sa.Column("gone", sa.Boolean, nullable=False, default=False, doc="is a candidate no longer"),
    sa.Column("is_open", sa.Boolean, nullable=False, doc="the seat waits for a voice"),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("makers", sa.Text, nullable=False),
    sa.Column("opened_at", _TIME, nullable=False),
    sa.Column("due_at", _TIME, nullable=True),
    sa.Column("rank", sa.String(32), nullable=False, default="", doc="see `rank_of`"),
    sa.Column(
        "is_free",
        sa.Boolean,
        nullable=False,
        default=False,
        doc="it stands in a box of many, who must claim it first, and nobody has",
    ),
)
#: The place of what has no deadline in the order of deadlines: after every other.
NEVER = "9999-12-31T23:59:59.999999Z"
#: What the orders by deadline sort by, as their indexes have it.
DUE: sa.ColumnElement[str] = sa.func.coalesce(
    candidate.c.due_at, sa.literal_column(f"'{NEVER}'"), type_=sa.String
)
TASK_DUE: sa.ColumnElement[str] = sa.func.coalesce(
    task.c.due_at, sa.literal_column(f"'{NEVER}'"), type_=sa.String
)
sa.Index("ix_gx_task__due", task.c.state, TASK_DUE, task.c.id)
#: In the very words that queries get, so that both planners know the index again.
_in_box: dict[str, Any] = {
    "sqlite_where": sa.text("is_open = 1"),
    "postgresql_where": sa.text("is_open"),
}
_free: dict[str, Any] = {
    "sqlite_where": sa.text("is_free = 1"),
    "postgresql_where": sa.text("is_free"),
}
for _name, _order in (("inbox", candidate.c.opened_at), ("due", DUE), ("rank", candidate.c.rank)):
    sa.Index(
        f"ix_gx_candidate__{_name}",
        candidate.c.kind,
        candidate.c.actor,
        _order,
        candidate.c.task_id,
        candidate.c.makers,  # counts need not look at the rows
        **_in_box,
    )
sa.Index(
    "ix_gx_candidate__free",
    candidate.c.kind,
    candidate.c.actor,
    candidate.c.opened_at,
    candidate.c.task_id,
    candidate.c.makers,
    **_free,
)
sa.Index("ix_gx_candidate__instance", candidate.c.instance_id)
sa.Index("ix_gx_candidate__task", candidate.c.task_id)

vote = sa.Table(
    "gx_vote",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("seat_id", _ID, nullable=False),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("actor", _ID, nullable=False),
    sa.Column("actor_name", _PERSON, nullable=False),
    sa.Column("verb", sa.String(12), nullable=False),
    sa.Column("opinion", sa.Text, nullable=False),
    sa.Column("subject_hash", _HASH, nullable=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("source", sa.String(6), nullable=False, default="human", doc="human, auto or timer"),
    sa.Column("because", _NAME, nullable=False, default="", doc="of an automatic vote"),
    sa.Column("on_behalf_of", _ID, nullable=False, default=""),
)
sa.Index("ix_gx_vote__actor", vote.c.actor, vote.c.at, vote.c.id)
sa.Index("ix_gx_vote__at", vote.c.at)
sa.Index("ix_gx_vote__instance", vote.c.instance_id)
sa.Index("ix_gx_vote__task", vote.c.task_id)

timer = sa.Table(
    "gx_timer",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("visit_id", _ID, nullable=False),
    sa.Column("rung", sa.Integer, nullable=False, doc="place in the step's `due`; -1 of a wait"),
    sa.Column("business", sa.Boolean, nullable=False, doc="runs in the calendar's hours"),
    sa.Column("left", sa.Integer, nullable=False, doc="seconds left when it last started"),
    sa.Column("since", _TIME, nullable=False, doc="when it last started; empty while it stands"),
    sa.Column("fire_at", _TIME, nullable=False, doc="empty while it stands"),
    sa.Column("state", sa.String(10), nullable=False, doc="pending, fired or cancelled"),
)
_fires = sa.and_(
    timer.c.state == sa.literal_column("'pending'"), timer.c.fire_at != sa.literal_column("''")
)
sa.Index("ix_gx_timer__due", timer.c.fire_at, sqlite_where=_fires, postgresql_where=_fires)
sa.Index("ix_gx_timer__instance", timer.c.instance_id)
_waits = timer.c.state == sa.literal_column("'pending'")
sa.Index(
    "ux_gx_timer__rung",
    timer.c.visit_id,
    timer.c.rung,
    unique=True,
    sqlite_where=_waits,
    postgresql_where=_waits,
)

copy = sa.Table(
    "gx_flow_copy",
    metadata,
    sa.Column("instance_id", _ID, primary_key=True),
    sa.Column("person", _ID, primary_key=True, doc="who has it to read, once per instance"),
    sa.Column("step", _STEP, nullable=False),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("read_at", _TIME, nullable=True),
    sqlite_with_rowid=False,
)
sa.Index("ix_gx_flow_copy__person", copy.c.person, copy.c.at, copy.c.instance_id)

conflict = sa.Table(
    "gx_flow_conflict",
    metadata,
    sa.Column("key", sa.String(300), primary_key=True, doc="documents with it apply in turn"),
    sqlite_with_rowid=False,
)

#: What of an event is about a person and may be erased; its hash covers commitments to it.
ERASABLE = ("actor_name", "opinion", "ip", "user_agent")

event = append_only(
    sa.Table(
        "gx_flow_event",
        metadata,
        sa.Column("instance_id", _ID, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("actor", _ID, nullable=False),
        sa.Column("actor_name", _PERSON, nullable=False, doc="the name at that time"),
        sa.Column("on_behalf_of", _ID, nullable=False, doc="for whom a deputy acted"),
        sa.Column("roles", sa.Text, nullable=False, doc="JSON: roles at that time"),
        sa.Column("verb", sa.String(20), nullable=False),
        sa.Column("step", _STEP, nullable=False),
        sa.Column("task_id", _ID, nullable=False),
        sa.Column("seat", _PERSON, nullable=False),
        sa.Column("meaning", sa.Text, nullable=False, doc="what the person was shown to say"),
        sa.Column("opinion", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False, doc="JSON: what else belongs to the verb"),
        sa.Column("diff", sa.Text, nullable=False, doc="JSON: the fields that changed, or empty"),
        sa.Column("changes", sa.Text, nullable=False, doc="JSON: what became of the rows"),
        sa.Column("subject_hash", _HASH, nullable=False),
        sa.Column("record_version", sa.Integer, nullable=False),
        sa.Column("definition_hash", _HASH, nullable=False),
        sa.Column("door", sa.String(12), nullable=False),
        sa.Column("ip", sa.String(45), nullable=False),
        sa.Column("user_agent", sa.String(400), nullable=False),
        sa.Column("auth", sa.String(12), nullable=False, doc="how sure it is who acted"),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("via_override", sa.Boolean, nullable=False, doc="by right of administration"),
        sa.Column("salt", sa.String(32), nullable=False, doc="of the commitments"),
        sa.Column("commitments", sa.Text, nullable=False, doc="JSON: column -> salted hash"),
        sa.Column("prev", _HASH, nullable=False, doc="hash of the event before"),
        sa.Column("hash", _HASH, nullable=False),
        sqlite_with_rowid=False,
    ),
    erasable=(*ERASABLE, "salt"),
)
append_only(vote, erasable=("actor_name", "opinion"))
