"""The tables of automations: their switches, their runs and what they send."""

from datetime import timedelta

import sqlalchemy as sa

from core.db import metadata

#: States of a run: it waits for its turn, or to be tried again, or for its messages;
#: it is done, given up, or was stopped because automations set each other going.
WAITING, RETRYING, SENDING = "waiting", "retrying", "sending"
DONE, DEAD, STOPPED = "done", "dead", "stopped"
#: States in which a run holds its concurrency key.
OPEN = (WAITING, RETRYING)

#: States of a message.
READY, SENT, LOST = "ready", "sent", "lost"

#: How long runs that ended, and what they sent, are kept.
KEEP = timedelta(days=60)

switch = sa.Table(
    "gx_automation",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("is_off", sa.Boolean, nullable=True, doc="null: as its document says"),
    sa.Column("last_due", sa.String(27), nullable=False, doc="the clock's last call"),
    sa.Column("secret_round", sa.Integer, nullable=False, doc="counts new secrets"),
    sa.Column("changed_at", sa.String(27), nullable=False),
    sa.Column("changed_by", sa.String(200), nullable=False),
)

run = sa.Table(
    "gx_automation_run",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("key", sa.String(200), nullable=False, unique=True, doc="event and automation"),
    sa.Column("automation", sa.String(40), nullable=False),
    sa.Column("release", sa.Integer, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("record_type", sa.String(80), nullable=False),
    sa.Column("record_id", sa.String(36), nullable=False),
    sa.Column("title", sa.Text, nullable=False, doc="the record's title at that time"),
    sa.Column("input", sa.Text, nullable=False, doc="JSON: what set it going"),
    sa.Column("results", sa.Text, nullable=False, doc="JSON: one entry per action"),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("cause", sa.String(36), nullable=False, doc="the run whose change set it going"),
    sa.Column("chain", sa.Text, nullable=False, doc="JSON: [automation, record id] up to it"),
    sa.Column("concurrency", sa.String(200), nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("started_at", sa.String(27), nullable=False),
    sa.Column("ended_at", sa.String(27), nullable=False),
    sa.Column("milliseconds", sa.Integer, nullable=False),
)
sa.Index("ix_gx_automation_run__automation", run.c.automation, run.c.id)
sa.Index("ix_gx_automation_run__state", run.c.state, run.c.id)
sa.Index("ix_gx_automation_run__age", run.c.created_at)
sa.Index("ix_gx_automation_run__record", run.c.record_id, run.c.id)
sa.Index("ix_gx_automation_run__concurrency", run.c.concurrency, run.c.state, run.c.id)

message = sa.Table(
    "gx_automation_message",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True, doc="idempotency key for the receiver"),
    sa.Column("run_id", sa.String(36), nullable=False, index=True),
    sa.Column("automation", sa.String(40), nullable=False),
    sa.Column("action", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(10), nullable=False, doc="email or webhook"),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False, doc="JSON"),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, doc="also the token of the lease"),
    sa.Column("visible_at", sa.String(27), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("created_at", sa.String(27), nullable=False),
    sa.Column("ended_at", sa.String(27), nullable=False),
)
sa.Index("ix_gx_automation_message__state", message.c.state, message.c.visible_at, message.c.id)
