"""Clocks follow their calendar: when its hours change, what has not struck is reckoned anew.

The calendars in force and the places that choose among them have one fingerprint. Where it
is another than the one followed last, every approval with a running business clock is looked
at under its own lock; how far that got is kept, so a restart goes on where it was.
"""

import hashlib
from collections.abc import Callable

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.db import metadata
from core.records.placetypes import CLOCK_FIELDS, parent_field
from core.schema.placerows import PLACE_TYPES
from core.workflow.engine.state import Command
from core.workflow.models import timer

#: Approvals that are looked at in one turn.
BATCH = 200

followed = sa.Table(
    "gx_flow_calendars",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fingerprint", sa.String(64), nullable=False, doc="of the calendars to be followed"),
    sa.Column("after", sa.String(36), nullable=False, doc="the last approval looked at"),
    sa.Column("done", sa.Boolean, nullable=False),
)

#: Approvals with a business clock that runs.
_RUNNING = (
    sa.select(timer.c.instance_id)
    .where(
        timer.c.state == sa.literal_column("'pending'"),
        timer.c.fire_at != sa.literal_column("''"),
        timer.c.business,
        timer.c.instance_id > sa.bindparam("after"),
    )
    .distinct()
    .order_by(timer.c.instance_id)
    .limit(BATCH)
)


class Follower:
    """Follows changes of calendars, some approvals at each turn."""

    def __init__(self) -> None:
        """Begin without knowing any calendar."""
        self._done: tuple[int, int] | None = None

    def follow(self, ctx: Context, reckon: Callable[[str, Command], object]) -> int:
        """Have `reckon` look at approvals whose calendar may have changed; return how many."""
        revision = ctx.registry.revision
        now = (revision.schema, revision.rights)
        if self._done == now:
            return 0
        with ctx.reading() as connection:
            current = fingerprint(ctx, connection)
            row = connection.execute(sa.select(followed)).mappings().first()
            is_same = row is not None and row["fingerprint"] == current
            # What was opened before anything was followed was reckoned on these calendars.
            is_done = row is None or (is_same and row["done"])
            after = row["after"] if row is not None and is_same else ""
            ids: list[str] = []
            if not is_done:
                ids = list(connection.execute(_RUNNING, {"after": after}).scalars())
        for one in ids:
            reckon(one, Command("reckon"))
        if row is None or not is_done:
            _keep(ctx, current, ids[-1] if ids else "", done=not ids)
        self._done = None if ids else now
        return len(ids)


def _keep(ctx: Context, current: str, after: str, *, done: bool) -> None:
    """Note how far the present calendars were followed."""
    values = {"fingerprint": current, "after": after, "done": done}
    with ctx.writing() as connection:
        if not connection.execute(followed.update().values(values)).rowcount:
            connection.execute(followed.insert().values(id=1, **values))


def fingerprint(ctx: Context, connection: Connection) -> str:
    """Return what tells one state of all calendars and the places' choices from another."""
    digest = hashlib.sha256()
    release = ctx.registry.release
    digest.update(msgspec.json.encode(release.calendars, order="deterministic"))
    for kind in PLACE_TYPES:
        record_type = release.type(kind)
        if record_type is None:
            continue
        parent = parent_field(record_type)
        names = {one.name for one in record_type.fields} & {*CLOCK_FIELDS, "store"}
        if parent is not None:
            names.add(parent.name)
        table = ctx.registry.tables[kind].main
        columns = [table.c.id, *(table.c[name] for name in sorted(names))]
        for found in connection.execute(sa.select(*columns).order_by(table.c.id)):
            digest.update(msgspec.json.encode([kind, *map(str, found)]))
    return digest.hexdigest()
