"""What an operation is given: who acts, on which release, in which unit of work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from core.actor import Actor
from core.clock import Clock
from core.db import Database
from core.errors import ConfigurationError, Forbidden, Problem, ReleaseChanged
from core.i18n import N_
from core.keys import KeyRing
from core.tables.registry import Registries, Registry

if TYPE_CHECKING:
    from core.extension.hooks import Hooks
    from core.migration.parts import Running
    from core.records.together import Pending

#: Which door a change came through; the history names it.
Door = Literal["form", "api", "import", "bulk", "flow", "automation", "plugin", "cli"]


@dataclass(frozen=True, slots=True)
class Client:
    """From where and how surely somebody acts, as evidence keeps it.

    Attributes:
        ip: the network address; empty for the product's own jobs.
        user_agent: what the program calls itself, bounded.
        auth: `session`, `token` or empty; signatures add `password` and `handwritten`.
    """

    ip: str = ""
    user_agent: str = ""
    auth: str = ""


#: Nobody's: a job of the product itself.
NO_CLIENT = Client()


@dataclass(slots=True)
class Context:
    """One request's or job's view of the product; the first argument of every operation.

    Attributes:
        registry: the release that holds for the whole of it.
        connection: the transaction under way, if any; see `reading` and `writing`.
        client: from where and how surely the actor acts.
        warnings: what rules had to say without refusing; the edges show them.
        last: what is done at the end of the write transaction under way, within it.
        ended: what is told, outside of it, whether the write transaction under way was
            committed; what must hold after a refusal too is written there.
        cause: the automation's run that acts; events of its changes carry it on.
        time_zone: the store day's zone where no store is linked.
        is_presumed: the release and the actor's rights are those that this process saw
            last; an answer counts once `confirm` found that they still hold.
        pending: takes what changes leave behind where many are written together.
    """

    actor: Actor
    db: Database
    registries: Registries
    registry: Registry
    hooks: "Hooks"
    clock: Clock = field(default_factory=Clock)
    door: Door = "api"
    locale: str = "en"
    request_id: str = ""
    client: Client = NO_CLIENT
    cause: str = ""
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    connection: Connection | None = None
    is_writing: bool = False
    is_presumed: bool = False
    pending: "Pending | None" = None
    warnings: list[Problem] = field(default_factory=list)
    last: list[Callable[[], None]] = field(default_factory=list)
    ended: list[Callable[[bool], None]] = field(default_factory=list)

    @classmethod
    def of(
        cls, parts: "Running", actor: Actor, *, registry: Registry | None = None, **rest: Any
    ) -> "Context":
        """Return a context of `actor` on the parts of this process, or of another context.

        Args:
            parts: where database, registries, hooks and clock are taken from.
            actor: who acts.
            registry: the release; without it the one in force.
            rest: further attributes.
        """
        return cls(
            actor=actor,
            db=parts.db,
            registries=parts.registries,
            registry=registry or parts.registries.current(),
            hooks=parts.hooks,
            clock=parts.clock,
            **rest,
        )

    def confirm(self, connection: Connection, revision: str | None) -> None:
        """Make sure that what was presumed held when a row was read.

        Args:
            connection: the one that read it.
            revision: what the row says of it (`core.tables.releases.REVISION_TEXT`), None
                when no row was found.

        Raises:
            ReleaseChanged: it did not hold.
        """
        if not self.is_presumed:
            return
        if revision is None:
            revision = self.registries.current(connection).revision.text
        if revision != self.registry.revision.text:
            raise ReleaseChanged
        self.is_presumed = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield the transaction under way, or a new read transaction."""
        if self.connection is not None:
            yield self.connection
            return
        with self.db.read() as connection:
            self.connection = connection
            try:
                yield connection
            finally:
                self.connection = None

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """Yield the write transaction under way, or a new one that commits at the end.

        Args:
            durable: is for money and votes: whichever it is, its commit waits for the disk.

        Raises:
            ReleaseChanged: another release is in force than the one this context was made with.
            Forbidden: somebody sees as another person.
        """
        if self.actor.viewer:
            raise Forbidden
        if self.is_writing and self.connection is not None:
            if durable:
                self.db.ask_durable(self.connection)
            yield self.connection
            return
        outer, is_committed = self.connection, False
        hold = self.registries.holding(self.registry, whole=self.is_presumed)
        try:
            with self.db.write(durable=durable, opening=hold) as connection:
                self.connection, self.is_writing, self.is_presumed = connection, True, False
                try:
                    yield connection
                    while self.last:
                        self.last.pop(0)()
                finally:
                    self.connection, self.is_writing = outer, False
                    self.last.clear()
            is_committed = True
        finally:
            while self.ended:
                self.ended.pop(0)(is_committed)

    @property
    def keys(self) -> KeyRing:
        """Return the installation's keys, to sign and hash with.

        Raises:
            ConfigurationError: this process was given none.
        """
        if self.hooks.keys is None:
            raise ConfigurationError(N_("This process was given no key to sign with."))
        return self.hooks.keys

    def signature(self) -> dict[str, Any]:
        """Return who acts, when, through which door and on which release, as the history says."""
        return {
            "at": self.now,
            "actor": self.actor.id,
            "actor_name": self.actor.name,
            "door": self.door,
            "release": self.registry.release.number,
            "request_id": self.request_id,
        }

    @property
    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return self.clock.now()

    @property
    def today(self) -> date:
        """Return today's store day in the context's zone."""
        return self.clock.today(self.time_zone)
