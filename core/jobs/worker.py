"""The worker: a thread that delivers the outbox's events.

Every serving process embeds one, and a lease lets one of them work; `guanxi worker`
processes work without an election. Any number may run: an event is delivered by the
one that took it. Idle, a worker looks once a second; a commit in its own process
wakes it at once.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from core.clock import Clock
from core.context import Context
from core.db import Database
from core.errors import ReleaseChanged
from core.ids import new_id
from core.jobs import delivery, leases
from core.jobs.handlers import HANDLERS, Chore, Event, Handler, Handlers
from core.jobs.outbox import EMITTED

log = logging.getLogger(__name__)

#: The lease of the embedded workers; separate ones have `worker:<owner>`.
ELECTED = "worker"
#: Seconds between two looks at the outbox when nothing wakes the worker.
POLL_SECONDS = 1.0
#: A leader that is silent for this long is replaced.
LEADER_LEASE = timedelta(seconds=15)

#: How long a process that was killed at a chore keeps others from it.
CHORE_LEASE = timedelta(seconds=30)

_PURGE_EVERY = timedelta(minutes=10)
_SILENT_FOR = timedelta(days=1)
#: From the beginning of one turn to that of the next, unless more is due than it took: under
#: load the outbox is looked at a few times a second, not after each commit.
_PACE_SECONDS = 0.1


class LeaseLostError(Exception):
    """Another worker has taken the event over; it is theirs now."""


class Worker:
    """Delivers events until it is stopped; start it after a fork, never before."""

    def __init__(
        self,
        db: Database,
        make_context: Callable[[], Context],
        *,
        elected: bool = True,
        handlers: Handlers = HANDLERS,
        leader_lease: timedelta = LEADER_LEASE,
        event_lease: timedelta = delivery.LEASE,
    ) -> None:
        """Prepare a worker.

        Args:
            db: the database whose outbox it empties.
            make_context: makes a context that acts as the system on the present release.
            elected: work only while holding the lease that all embedded workers share.
            handlers: whom it delivers to.
            leader_lease: how long a silent leader is waited for.
            event_lease: how long a taken event is hidden from other workers.
        """
        self.owner = f"{socket.gethostname()[:30]}-{os.getpid()}-{new_id()[-12:]}"
        self._db = db
        self._make_context = make_context
        self._handlers = handlers
        self._lease = ELECTED if elected else f"{ELECTED}:{self.owner}"
        self._leader_lease = leader_lease
        self._event_lease = event_lease
        self._clock = Clock()
        self._leads_until: datetime | None = None
        #: More may be due than the last turn took.
        self.is_behind = False
        self._next_purge = self._clock.now()
        self._next_chore: dict[str, datetime] = {}
        self._chore_until: dict[str, datetime] = {}
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_leading(self) -> bool:
        """Return whether this worker held its lease when it last looked."""
        return self._leads_until is not None

    def start(self) -> None:
        """Start delivering in a thread of its own."""
        sa.event.listen(self._db.engine.pool, "checkin", self._given_back)
        self._thread = threading.Thread(target=self.run, name="guanxi-worker", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Finish the event at hand and stop; return whether it stopped in time."""
        self._stop.set()
        self._wake.set()
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        sa.event.remove(self._db.engine.pool, "checkin", self._given_back)
        thread.join(timeout)
        return not thread.is_alive()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._wake.set()

    def run(self) -> None:
        """Deliver until `stop` is called; for a process that does nothing else."""
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                was_busy = self.turn()
            except Exception:  # whatever it was, the next turn may succeed: database restarts
                log.exception("the worker could not look at the outbox; it tries again")
                self._stop.wait(POLL_SECONDS)
                continue
            if not was_busy:
                # Whoever does not lead is woken by nothing that it could do.
                (self._wake if self.is_leading else self._stop).wait(POLL_SECONDS)
            self._wake.clear()
            if not self.is_behind:
                self._stop.wait(max(0.0, began + _PACE_SECONDS - time.monotonic()))
        self._resign()

    def turn(self) -> bool:
        """Deliver what is due, one batch at the most; return whether there was any."""
        now = self._clock.now()
        self.is_behind = False
        if not self._leads(now):
            return False
        self._do_chores(now)
        with self._db.read() as connection:
            if not delivery.has_due(connection, now):
                return False
        with self._db.write() as connection:
            taken, settled = delivery.take(connection, self._wanting, now, self._event_lease)
        # Those that failed before are taken one by one.
        has_failed = any(event.attempt > 1 for event, _ in taken)
        self.is_behind = has_failed or len(taken) + settled >= delivery.BATCH
        for position, (event, handlers) in enumerate(taken):
            if self._stop.is_set():
                with self._db.write() as connection:
                    delivery.give_back(connection, [event for event, _ in taken[position:]])
                break
            self._deliver(event, handlers)
            # A long batch must not cost the leader its lease.
            self._leads(self._clock.now())
        return bool(taken or settled)

    def _do_chores(self, now: datetime) -> None:
        """Do the chores that are due, unless another process holds their lease."""
        for chore in self._handlers.chores:
            if now < self._next_chore.get(chore.name, now):
                continue
            self._next_chore[chore.name] = now + chore.every
            try:
                if self._holds_chore(chore, now):
                    chore.run(self._make_context())
            except Exception:  # a chore must not keep the worker from its events
                log.exception("the chore %s failed; it is tried again", chore.name)

    def _holds_chore(self, chore: Chore, now: datetime) -> bool:
        """Return whether this process does a chore; its lease is renewed in good time."""
        name, until = f"chore:{chore.name}", self._chore_until.get(chore.name)
        if until is not None and now < until - CHORE_LEASE / 2:
            return True
        with self._db.read() as connection:
            if not leases.is_free(connection, name, self.owner, now):
                return False
        with self._db.write() as connection:
            held = leases.acquire(connection, name, self.owner, now=now, length=CHORE_LEASE)
        if held:
            self._chore_until[chore.name] = now + CHORE_LEASE
        return held

    def _given_back(self, _driver: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Wake up when a connection that wrote an event is given back, thus committed."""
        if record.info.pop(EMITTED, False):
            self._wake.set()

    def _leads(self, now: datetime) -> bool:
        """Return whether this worker may work now; renews its lease when a third is used."""
        length = self._leader_lease
        if self._leads_until is not None and now < self._leads_until - length * 2 / 3:
            return True
        if self._leads_until is None:
            with self._db.read() as connection:
                if not leases.is_free(connection, self._lease, self.owner, now):
                    return False
        with self._db.write() as connection:
            leads = leases.acquire(connection, self._lease, self.owner, now=now, length=length)
            if leads and now >= self._next_purge:
                self._next_purge = now + _PURGE_EVERY
                delivery.purge(connection, now)
                leases.forget_before(connection, f"{ELECTED}:", now - _SILENT_FOR)
        self._leads_until = now + length if leads else None
        return leads

    def _resign(self) -> None:
        if self._leads_until is None:
            return
        self._leads_until = None
        chores, self._chore_until = list(self._chore_until), {}
        try:
            with self._db.write() as connection:
                leases.release(connection, self._lease, self.owner)
                for name in chores:
                    leases.release(connection, f"chore:{name}", self.owner)
        except Exception:  # the lease runs out by itself
            log.warning("the worker's lease could not be given back", exc_info=True)

    def _deliver(self, event: Event, handlers: Sequence[Handler]) -> None:
        is_alone = len(handlers) == 1
        errors: list[str] = []
        had = frozenset[str]()
        if not is_alone:
            with self._db.read() as connection:
                had = delivery.remembered(connection, event)
        for handler in handlers:
            if handler.name in had:
                continue
            try:
                self._call(handler, event, is_alone=is_alone)
            except LeaseLostError:
                return
            except Exception as error:  # a handler is anybody's code; the rest must go on
                log.exception("%s failed at event %s (%s)", handler.name, event.id, event.topic)
                errors.append(f"{handler.name}: {type(error).__name__}: {error}")
        if errors or not is_alone:
            self._close(event, errors)

    def _wanting(self, events: Sequence[Event]) -> dict[int, list[Handler]]:
        """Return `seq` -> who wants an event, by the release that holds after it happened."""
        context = self._make_context()
        found = {
            event.seq: [
                one
                for one in self._handlers.of(event.topic)
                if one.concerns is None or one.concerns(context, event)
            ]
            for event in events
        }
        return {seq: handlers for seq, handlers in found.items() if handlers}

    def _call(self, handler: Handler, event: Event, *, is_alone: bool) -> None:
        """Call one handler and note it; in its own transaction if it wants that."""
        if not handler.in_transaction:
            with self._db.write() as connection:
                self._hold(connection, event, handler)
            handler.handle(self._make_context(), event)
            with self._db.write() as connection:
                self._hold(connection, event, handler)
                self._note(connection, handler, event, is_alone=is_alone)
            return
        try:
            self._call_inside(handler, event, is_alone=is_alone)
        except ReleaseChanged:
            self._call_inside(handler, event, is_alone=is_alone)

    def _call_inside(self, handler: Handler, event: Event, *, is_alone: bool) -> None:
        context = self._make_context()
        with context.writing() as connection:
            self._hold(connection, event, handler)
            handler.handle(context, event)
            self._note(connection, handler, event, is_alone=is_alone)

    def _hold(self, connection: sa.Connection, event: Event, handler: Handler) -> None:
        if not delivery.hold(connection, event, self._clock.now() + handler.lease):
            raise LeaseLostError

    @staticmethod
    def _note(
        connection: sa.Connection, handler: Handler, event: Event, *, is_alone: bool
    ) -> None:
        if is_alone:
            delivery.finish(connection, [event.seq])
        else:
            delivery.remember(connection, event, handler.name)

    def _close(self, event: Event, errors: list[str]) -> None:
        """Finish an event that several handlers had, or note that it failed."""
        with self._db.write() as connection:
            if not errors:
                delivery.finish(connection, [event.seq])
                delivery.forget(connection, event)
            elif delivery.fail(connection, event, "\n".join(errors), self._clock.now()):
                log.error("event %s (%s) is given up", event.id, event.topic)
