"""Uploading files, and taking away those that no record took in within a day."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Malformed, RateLimited
from core.files.models import content_table, file_table
from core.files.pictures import read_picture
from core.files.sniffing import cleaned_name, media_type_of
from core.files.store import FileStore, Readable, Received
from core.i18n import N_
from core.ids import new_id
from core.jobs import outbox
from core.jobs.handlers import Event, register_handler
from core.records.attachments import UNUSED
from core.schema.filetypes import MOST_BYTES

#: How long an upload waits for a record to take it in.
KEPT_UNUSED = timedelta(days=1)
#: What one person's uploads that no record took in may come to.
MOST_UNUSED = 200
MOST_UNUSED_BYTES = 1024 * 1024 * 1024

_touched: dict[str, Any] = {"stored_at": sa.bindparam("touched")}
_keep_content = {
    "sqlite": sqlite.insert(content_table).on_conflict_do_update(
        index_elements=["digest"], set_=_touched
    ),
    "postgresql": postgresql.insert(content_table).on_conflict_do_update(
        index_elements=["digest"], set_=_touched
    ),
}


class TooManyUploads(RateLimited):
    """Somebody uploaded much that no record took in."""

    code = "rate_limited.uploads"
    text = N_("You have uploaded many files that no record holds. Use them or wait a day.")


def upload_file(ctx: Context, store: FileStore, stream: Readable, name: str) -> Mapping[str, Any]:
    """Keep what `stream` gives as a file of the actor's own; return its `gx_file` row.

    Raises:
        FileTooLarge: it has more than `MOST_BYTES`.
        Malformed: it is empty.
        TooManyUploads: the actor's uploads that no record holds are too many.
    """
    _check_share(ctx)
    with store.receiving(stream, limit=MOST_BYTES) as received:
        if received.size == 0:
            raise Malformed(N_("The file is empty."))
        name = cleaned_name(name)
        picture = read_picture(received.path)
        media_type = picture.media_type if picture else media_type_of(received.path, name)
        small = picture.thumbnail if picture else None
        row: dict[str, Any] = {
            "id": new_id(),
            "content": received.digest,
            "name": name,
            "media_type": media_type,
            "size": received.size,
            "width": picture.width if picture else None,
            "height": picture.height if picture else None,
            "thumbnail": None,
            "created_at": ctx.now,
            "created_by": ctx.actor.id,
            "bound_at": None,
        }
        if small is None:
            _write(ctx, store, row, received)
        else:
            with store.receiving_bytes(small) as thumbnail:
                row["thumbnail"] = thumbnail.digest
                _write(ctx, store, row, received, thumbnail)
    return row


def _write(ctx: Context, store: FileStore, row: dict[str, Any], *contents: Received) -> None:
    with ctx.writing() as connection:
        # In one order always, so that two uploads of the same pictures cannot lock each other.
        for content in sorted(contents, key=lambda each: each.digest):
            connection.execute(
                _keep_content[connection.dialect.name],
                {
                    "digest": content.digest,
                    "size": content.size,
                    "stored_at": ctx.now,
                    "touched": ctx.now,
                },
            )
            store.keep(content)
        connection.execute(file_table.insert(), row)
        outbox.emit(connection, UNUSED, {"file": row["id"]}, at=ctx.now + KEPT_UNUSED)


def _check_share(ctx: Context) -> None:
    """Refuse a further upload of somebody who has too many that nobody uses.

    Raises:
        TooManyUploads: there are.
    """
    statement = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(file_table.c.size), 0))
    mine = statement.where(
        file_table.c.created_by == ctx.actor.id, file_table.c.bound_at.is_(None)
    )
    with ctx.reading() as connection:
        count, size = connection.execute(mine).one()
    if count >= MOST_UNUSED or size >= MOST_UNUSED_BYTES:
        raise TooManyUploads


def register(store: FileStore) -> None:
    """Have this process's worker take away files that nobody uses."""

    def handle(ctx: Context, event: Event) -> None:
        remove_unused(ctx, store, str(event.payload["file"]))

    register_handler(UNUSED, handle, name="files.remove_unused")


def remove_unused(ctx: Context, store: FileStore, file_id: str) -> bool:
    """Delete a file that no record holds, and its contents where no other file has them.

    Returns whether it was deleted; one that a record took in meanwhile stays.
    """
    store.sweep((ctx.now - KEPT_UNUSED).timestamp())
    with ctx.writing() as connection:
        row = connection.execute(
            file_table.delete()
            .where(file_table.c.id == file_id, file_table.c.bound_at.is_(None))
            .returning(file_table.c.content, file_table.c.thumbnail)
        ).first()
        if row is None:
            return False
        for digest in sorted({row.content, row.thumbnail} - {None}):
            _drop_content(connection, store, digest)
    return True


def _drop_content(connection: Connection, store: FileStore, digest: str) -> None:
    # Holding the content's row first: an upload of the same bytes waits, or is seen below.
    content = content_table.c
    connection.execute(sa.select(content.digest).where(content.digest == digest).with_for_update())
    used = sa.or_(file_table.c.content == digest, file_table.c.thumbnail == digest)
    if connection.execute(sa.select(file_table.c.id).where(used).limit(1)).first() is None:
        connection.execute(content_table.delete().where(content.digest == digest))
        store.remove(digest)
