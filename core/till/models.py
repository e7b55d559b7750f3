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
