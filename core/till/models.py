"""What the till keeps beside its orders."""

import sqlalchemy as sa

from core.appendonly import append_only
from core.db import metadata

#: What reproduces the price and points of one order, for ever.
certificate = append_only(
    sa.Table(
        "gx_certificate",
        metadata,
        sa.Column("order_id", sa.String(36), primary_key=True),
        sa.Column("hash", sa.String(64), nullable=False, doc="SHA-256 of `priced`, as answered"),
        sa.Column("priced", sa.Text, nullable=False, doc="canonical JSON of what was priced"),
        sa.Column("made", sa.Text, nullable=False, doc="JSON: when, known audits, receipt"),
        sqlite_with_rowid=False,
    )
)
sa.Index("ix_gx_certificate__hash", certificate.c.hash)

#: Sales and returns of tills that had no line, in the order of each till.
entry = sa.Table(
    "gx_till_entry",
    metadata,
    sa.Column("terminal", sa.String(40), primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True, doc="from 1 on, without gaps"),
    sa.Column("hash", sa.String(64), nullable=False, doc="of the body"),
    sa.Column("body", sa.Text, nullable=False, doc="JSON, as it was handed in"),
    sa.Column("state", sa.String(8), nullable=False, doc="waiting, done or refused"),
    sa.Column("answer", sa.Text, nullable=False, doc="JSON: the order, or why it was refused"),
    sa.Column("order_id", sa.String(36), nullable=False),
    sa.Column("received_at", sa.String(27), nullable=False),
    sqlite_with_rowid=False,
)

#: How far each till without a line has been booked; its row is locked while it is.
terminal = sa.Table(
    "gx_till_terminal",
    metadata,
    sa.Column("terminal", sa.String(40), primary_key=True),
    sa.Column("booked", sa.Integer, nullable=False, doc="the last sequence that was booked"),
    sqlite_with_rowid=False,
)
