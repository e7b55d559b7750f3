"""Many changes of one transaction, each taken back by itself where it is refused.

The row of a record is written at once, since the rules of the next one look at it. What
nobody asks for before the transaction ends waits until then and is written for all of
them together: history, events of the outbox, search index. On SQLite a search index that
is written bit by bit between savepoints costs more than everything else.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from sqlalchemy.engine import Connection

from core import audit
from core.context import Context
from core.db import say
from core.errors import UserError
from core.jobs import outbox
from core.prebuilt import together
from core.tables.search import put

_SAVEPOINT = "gx_attempt"

Done = TypeVar("Done")


@dataclass(slots=True)
class Pending:
    """What writes leave behind and what is not in the database yet.

    Attributes:
        history: chained events.
        events: (topic, payload) of the outbox.
        contents: record type -> id -> searchable texts.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    contents: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, later: Self) -> None:
        """Add what was left behind later."""
        self.history += later.history
        self.events += later.events
        for type_name, contents in later.contents.items():
            self.contents.setdefault(type_name, {}).update(contents)

    def write(self, connection: Connection) -> None:
        """Bring everything into the database, in the order in which it came about."""
        with together(connection):
            audit.append(connection, self.history)
            outbox.emit_many(connection, self.events)
        for type_name, contents in self.contents.items():
            put(connection, type_name, contents)


def try_each(
    ctx: Context,
    connection: Connection,
    acts: Sequence[Callable[[], Done]],
    *,
    is_trial: bool = False,
) -> list[Done | UserError]:
    """Do one change after the other; return what each returned, or why it was refused.

    What a refused change wrote is taken back and does not stop the others; any other
    error goes on and ends the transaction. As a trial everything is taken back.

    On PostgreSQL each savepoint costs two round trips, so a change may be called once
    more: at first all go without one, and each gets its own when one was refused.
    """
    if not ctx.db.is_sqlite and len(acts) > 1:
        warned = len(ctx.warnings)
        with suppress(UserError), _taken_back(ctx, connection, is_trial=is_trial):
            return [act() for act in acts]
        del ctx.warnings[warned:]
    return [_tried(ctx, connection, act, is_trial=is_trial) for act in acts]


def _tried(
    ctx: Context, connection: Connection, act: Callable[[], Done], *, is_trial: bool
) -> Done | UserError:
    try:
        with _taken_back(ctx, connection, is_trial=is_trial):
            return act()
    except UserError as error:
        return error


@contextmanager
def written_together(ctx: Context, connection: Connection) -> Iterator[None]:
    """Write what the changes of a block leave behind at its end; nothing after an error."""
    outer, own = ctx.pending, Pending()
    ctx.pending = own
    try:
        yield
    finally:
        ctx.pending = outer
    own.write(connection)


@contextmanager
def _taken_back(ctx: Context, connection: Connection, *, is_trial: bool) -> Iterator[None]:
    """Take back all that a block wrote after an error, or after a trial."""
    outer, own = ctx.pending, Pending()
    assert outer is not None  # noqa: S101  see `written_together`
    ctx.pending = own
    say(connection, f"SAVEPOINT {_SAVEPOINT}")
    is_kept = False
    try:
        yield
        is_kept = not is_trial
    finally:
        ctx.pending = outer
        if not is_kept:
            say(connection, f"ROLLBACK TO {_SAVEPOINT}")
        say(connection, f"RELEASE {_SAVEPOINT}")
    if is_kept:
        outer.add(own)
