"""The tables of running and ended approvals.

Times are UTC, RFC 3339 with microseconds, so text order is time order. Nothing is
ever deleted. What the inbox needs stands on the task and candidate rows, so a list
never reads a payload.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.db import metadata

#: One row of these tables, by column name.
Row = Mapping[Any, Any]

#: States of an instance that has not ended.
OPEN_STATES = ("running", "returned", "suspended", "apply_blocked")

_ID = sa.String(36)
_TIME = sa.String(27)
_NAME = sa.String(80)
_PERSON = sa.String(200)

instance = sa.Table(
    "gx_instance",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("flow", _NAME, nullable=False),
    sa.Column("flow_version", sa.Integer, nullable=False),
    sa.Column("definition", sa.Text, nullable=False, doc="JSON of the flow it runs by, for good"),
    sa.Column("definition_hash", sa.String(64), nullable=False),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("record_id", _ID, nullable=False),
    sa.Column("record_version", sa.Integer, nullable=False),
    sa.Column("proposal_id", _ID, nullable=True, doc="null when the record itself is proposed"),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("previous_id", _ID, nullable=True, doc="the instance of the round before"),
    sa.Column("state", sa.String(14), nullable=False),
    sa.Column("former_state", sa.String(14), nullable=False, doc="where a resume leads"),
    sa.Column("step", _NAME, nullable=False),
    sa.Column("task_id", _ID, nullable=False, doc="the latest task"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("values", sa.Text, nullable=False, doc="JSON: what was submitted, wire form"),
    sa.Column("subject_hash", sa.String(64), nullable=False),
    sa.Column("initiator", _ID, nullable=False),
    sa.Column("initiator_name", _PERSON, nullable=False),
    sa.Column("makers", sa.Text, nullable=False, doc="|id|id| of who wrote or submitted it"),
    sa.Column("opened_at", _TIME, nullable=False),
    sa.Column("ended_at", _TIME, nullable=True),
    sa.Column("ended_by", _ID, nullable=True),
    sa.Column("ended_by_name", _PERSON, nullable=True),
    sa.Column("problems", sa.Text, nullable=False, doc="JSON: why it could not take effect"),
    sa.Column("chain", sa.String(64), nullable=False, doc="hash of the last event"),
    sa.Column("events", sa.Integer, nullable=False, doc="number of the last event"),
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

task = sa.Table(
    "gx_task",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("step", _NAME, nullable=False),
    sa.Column("step_title", sa.Text, nullable=False, doc="JSON: locale -> text"),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("record_id", _ID, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("may", sa.String(200), nullable=False, doc="verbs, separated by spaces"),
    sa.Column("state", sa.String(10), nullable=False, doc="waiting open suspended done cancelled"),
    sa.Column("result", sa.String(12), nullable=False, doc="pass or reject; why it was cancelled"),
    sa.Column("initiator", _ID, nullable=False),
    sa.Column("initiator_name", _PERSON, nullable=False),
    sa.Column("subject_hash", sa.String(64), nullable=False),
    sa.Column("seats", sa.Integer, nullable=False),
    sa.Column("approved", sa.Integer, nullable=False),
    sa.Column("opened_at", _TIME, nullable=False),
    sa.Column("due_at", _TIME, nullable=True),
    sa.Column("closed_at", _TIME, nullable=True),
    sa.Column("closed_by", _ID, nullable=True),
    sa.Column("closed_by_name", _PERSON, nullable=True),
)
sa.Index("ix_gx_task__instance", task.c.instance_id, task.c.opened_at)
sa.Index("ix_gx_task__state", task.c.state, task.c.due_at)
sa.Index("ix_gx_task__opened", task.c.state, task.c.opened_at, task.c.id)

seat = sa.Table(
    "gx_seat",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("key", _PERSON, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("vote", sa.String(8), nullable=True),
    sa.Column("version", sa.Integer, nullable=False),
)
sa.Index("ux_gx_seat__task", seat.c.task_id, seat.c.position, unique=True)

candidate = sa.Table(
    "gx_candidate",
    metadata,
    sa.Column("seat_id", _ID, primary_key=True),
    sa.Column("kind", sa.String(4), primary_key=True, doc="role or user"),
    sa.Column("actor", _NAME, primary_key=True, doc="a role's name or a user's id"),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("makers", sa.Text, nullable=False),
    sa.Column("opened_at", _TIME, nullable=False),
)
sa.Index(
    "ix_gx_candidate__inbox",
    candidate.c.is_open,
    candidate.c.kind,
    candidate.c.actor,
    candidate.c.opened_at,
    candidate.c.task_id,
    candidate.c.makers,  # counts need not look at the rows
)
sa.Index("ix_gx_candidate__task", candidate.c.task_id)

vote = sa.Table(
    "gx_vote",
    metadata,
    sa.Column("id", _ID, primary_key=True),
    sa.Column("seat_id", _ID, nullable=False, unique=True),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("instance_id", _ID, nullable=False),
    sa.Column("record_type", _NAME, nullable=False),
    sa.Column("actor", _ID, nullable=False),
    sa.Column("actor_name", _PERSON, nullable=False),
    sa.Column("verb", sa.String(12), nullable=False),
    sa.Column("opinion", sa.Text, nullable=False),
    sa.Column("subject_hash", sa.String(64), nullable=False),
    sa.Column("at", _TIME, nullable=False),
)
sa.Index("ix_gx_vote__actor", vote.c.actor, vote.c.at, vote.c.id)
sa.Index("ix_gx_vote__task", vote.c.task_id)

event = sa.Table(
    "gx_flow_event",
    metadata,
    sa.Column("instance_id", _ID, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", _TIME, nullable=False),
    sa.Column("actor", _ID, nullable=False),
    sa.Column("actor_name", _PERSON, nullable=False, doc="the name at that time"),
    sa.Column("roles", sa.Text, nullable=False, doc="JSON: roles at that time"),
    sa.Column("verb", sa.String(20), nullable=False),
    sa.Column("step", _NAME, nullable=False),
    sa.Column("task_id", _ID, nullable=False),
    sa.Column("seat", _PERSON, nullable=False),
    sa.Column("opinion", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False, doc="JSON: what else belongs to the verb"),
    sa.Column("subject_hash", sa.String(64), nullable=False),
    sa.Column("record_version", sa.Integer, nullable=False),
    sa.Column("definition_hash", sa.String(64), nullable=False),
    sa.Column("door", sa.String(12), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sqlite_with_rowid=False,
)
