"""What the database knows of uploaded files; their content lies in the instance folder.

A content is stored once however often it is uploaded; its row is what uploads and
clean-ups lock, so that none takes away what another just counted on. `gx_file_use` only
ever grows: it says where a file was taken in, and so where to look whether somebody may
read it. Whether it is still there is asked of the record itself.
"""

import sqlalchemy as sa

from core.db import metadata
from core.tables.columns import ID, TEXT, Instant

#: Hexadecimal digits of a SHA-256.
DIGEST = 64

file_table = sa.Table(
    "gx_file",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("content", sa.String(DIGEST), nullable=False, doc="SHA-256 of the content"),
    sa.Column("name", TEXT, nullable=False, doc="as people know it, cleaned"),
    sa.Column("media_type", sa.String(127), nullable=False, doc="found in the content"),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer, doc="of a picture, as it is shown"),
    sa.Column("height", sa.Integer),
    sa.Column("thumbnail", sa.String(DIGEST), doc="SHA-256 of its small picture"),
    sa.Column("created_at", Instant(), nullable=False),
    sa.Column("created_by", ID, nullable=False),
    sa.Column("bound_at", Instant(), doc="when a record first took it in; null until then"),
)
_unbound = file_table.c.bound_at.is_(None)
sa.Index(
    "ix_gx_file__unbound",
    file_table.c.created_by,
    sqlite_where=_unbound,
    postgresql_where=_unbound,
)
sa.Index("ix_gx_file__content", file_table.c.content)
sa.Index("ix_gx_file__thumbnail", file_table.c.thumbnail)

content_table = sa.Table(
    "gx_file_content",
    metadata,
    sa.Column("digest", sa.String(DIGEST), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("stored_at", Instant(), nullable=False, doc="last time somebody uploaded it"),
)

use_table = sa.Table(
    "gx_file_use",
    metadata,
    sa.Column("file_id", ID, primary_key=True),
    sa.Column("record_type", sa.String(80), primary_key=True),
    sa.Column("record_id", ID, primary_key=True),
    sa.Column("field", sa.String(80), primary_key=True, doc="the record's own field"),
    sqlite_with_rowid=False,
)
sa.Index("ix_gx_file_use__record", use_table.c.record_type, use_table.c.record_id)
