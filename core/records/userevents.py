"""What was done with people's rights: chained events of a user, as those of records are."""

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import audit
from core.context import Context

#: Stands in the history in the place of a record type.
USER = "user"


def note_user(
    ctx: Context,
    connection: Connection,
    user_id: str,
    *,
    action: str,
    changes: Mapping[str, Any],
    reason: str = "",
) -> None:
    """Write an event of a user in the caller's transaction, by the context's actor."""
    last = connection.execute(
        sa.select(audit.history.c.seq, audit.history.c.hash)
        .where(audit.history.c.record_type == USER, audit.history.c.record_id == user_id)
        .order_by(audit.history.c.seq.desc())
        .limit(1)
    ).first()
    event = audit.event_row(
        record_type=USER,
        record_id=user_id,
        seq=1 if last is None else last.seq + 1,
        version=0,
        action=action,
        changes=changes,
        reason=reason,
        **ctx.signature(),
    )
    audit.append(connection, [audit.chained(event, "" if last is None else last.hash)])


def user_events(connection: Connection, user_id: str, limit: int = 50) -> list[dict[str, Any]]:
    """Return a user's events, newest first."""
    return audit.list_events(connection, names=[USER], record_id=user_id, limit=limit)


def user_problems(connection: Connection) -> Iterator[str]:
    """Yield what is wrong in the events of any user; their last ones have no other witness."""
    query = (
        sa.select(audit.history)
        .where(audit.history.c.record_type == USER)
        .order_by(audit.history.c.record_id, audit.history.c.seq)
    )
    rows = connection.execute(query).mappings()
    for user_id, group in groupby(rows, key=itemgetter("record_id")):
        events = [dict(one) for one in group]
        problems = audit.broken_links(events, events[-1]["hash"])
        yield from (f"user {user_id}: {problem}" for problem in problems)
