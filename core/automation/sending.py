"""Sends what runs have written down, beside the worker: a slow receiver delays nobody else.

A message is taken by moving its `visible_at` into the future, as the outbox does, so one
whose sender died is sent by another. A receiver may thus get it twice; the delivery id and
the `Message-ID` are then the same.
"""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.automation.calling import call
from core.automation.mailing import NotSetUp, make_mail, send_mail
from core.automation.models import DEAD, DONE, LOST, READY, SENDING, SENT, message, run
from core.automation.running import retry_after, said
from core.automation.switches import secret_of, secret_round
from core.clock import Clock, to_wire
from core.db import Database
from core.schema.automations import Retry
from core.settings import Settings
from core.tables.registry import Registries

log = logging.getLogger(__name__)

Row = Mapping[str, object]

#: Messages that are sent at the same time.
SENDERS = 4
#: Seconds between two looks when nothing is there.
POLL_SECONDS = 1.0
#: How long a message that is being sent stays hidden from other senders.
LEASE = timedelta(seconds=120)

_ERROR_LENGTH = 1000
_UNKNOWN = Retry()


class Sender:
    """Sends messages until it is stopped; start it after a fork, never before."""

    def __init__(
        self, settings: Settings, db: Database, registries: Registries, clock: Clock | None = None
    ) -> None:
        """Send what is written down in `db`, as `settings` say."""
        self._settings, self._db, self._registries = settings, db, registries
        self._clock = clock or Clock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start sending in threads of its own."""
        self._thread = threading.Thread(target=self.run, name="guanxi-sender", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 20.0) -> bool:
        """Finish what is being sent and stop; return whether it stopped in time."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        thread.join(timeout)
        return not thread.is_alive()

    def run(self) -> None:
        """Send until `stop` is called."""
        with ThreadPoolExecutor(SENDERS, "guanxi-send") as pool:
            while not self._stop.is_set():
                try:
                    was_busy = self.turn(pool)
                except Exception:  # whatever it was, the next turn may succeed
                    log.exception("messages could not be looked at; they are tried again")
                    was_busy = False
                if not was_busy:
                    self._stop.wait(POLL_SECONDS)

    def turn(self, pool: ThreadPoolExecutor | None = None) -> bool:
        """Send what is due, a few messages at the most; return whether there was any."""
        rows = self._take()
        if pool is None:
            for row in rows:
                self._send(row)
        else:
            list(pool.map(self._send, rows))
        return bool(rows)

    def _take(self) -> list[Row]:
        now = self._clock.now()
        due = (
            sa.select(message)
            .where(message.c.state == READY, message.c.visible_at <= to_wire(now))
            .order_by(message.c.visible_at, message.c.id)
            .limit(SENDERS)
        )
        with self._db.read() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return []
        with self._db.write() as connection:
            rows = connection.execute(due.with_for_update(skip_locked=True)).mappings().all()
            for row in rows:
                connection.execute(
                    message.update()
                    .where(message.c.id == row["id"])
                    .values(visible_at=to_wire(now + LEASE), attempts=row["attempts"] + 1)
                )
        return [{**row, "attempts": row["attempts"] + 1} for row in rows]

    def _send(self, row: Row) -> None:
        try:
            self._deliver(row)
            error = ""
        except Exception as problem:  # noqa: BLE001  one receiver must not stop the others
            error = said(problem, self._settings.site_locale)[:_ERROR_LENGTH].replace("\0", "")
        try:
            with self._db.write() as connection:
                self._settle(connection, row, error)
        except Exception:
            # It stays hidden until its lease runs out, and is then sent again.
            log.exception("what became of message %s could not be stored", row["id"])

    def _deliver(self, row: Row) -> None:
        content = msgspec.json.decode(str(row["content"]))
        if row["kind"] == "email":
            mail = self._settings.mail
            if mail is None:
                raise NotSetUp
            made = make_mail(
                mail,
                to=content["to"],
                subject=content["subject"],
                body=content["body"],
                message_id=str(row["id"]),
                at=datetime.fromisoformat(str(row["created_at"])),
            )
            send_mail(mail, made)
            return
        name = str(row["automation"])
        with self._db.read() as connection:
            number = secret_round(connection, name)
        call(
            content["url"],
            msgspec.json.encode(content["body"]),
            delivery=str(row["id"]),
            secret=secret_of(self._settings.secret_key, "send", name, number),
            at=int(self._clock.now().timestamp()),
            allowed=self._settings.webhook_hosts,
        )

    def _settle(self, connection: Connection, row: Row, error: str) -> None:
        """Note what became of a message, and of its run when it was the last one."""
        now, attempts = self._clock.now(), int(str(row["attempts"]))
        mine = sa.and_(
            message.c.id == row["id"],
            message.c.attempts == attempts,
            message.c.state == READY,
        )
        if not error:
            values = {"state": SENT, "ended_at": to_wire(now), "error": ""}
        else:
            retry = self._retry(str(row["automation"]))
            if attempts > retry.times:
                log.warning("message %s is given up: %s", row["id"], error)
                values = {"state": LOST, "ended_at": to_wire(now), "error": error}
            else:
                due = now + retry_after(retry.wait, attempts - 1)
                values = {"visible_at": to_wire(due), "error": error}
        if not connection.execute(message.update().where(mine).values(values)).rowcount:
            return  # another sender has taken it over
        self._settle_run(connection, str(row["run_id"]), now)

    def _settle_run(self, connection: Connection, run_id: str, now: datetime) -> None:
        connection.execute(sa.select(run.c.id).where(run.c.id == run_id).with_for_update())
        rows = connection.execute(
            sa.select(message.c.state, message.c.error).where(message.c.run_id == run_id)
        ).all()
        if any(one.state == READY for one in rows):
            return
        lost = [one.error for one in rows if one.state == LOST]
        connection.execute(
            run.update()
            .where(run.c.id == run_id, run.c.state == SENDING)
            .values(state=DEAD if lost else DONE, error="\n".join(lost), ended_at=to_wire(now))
        )

    def _retry(self, name: str) -> Retry:
        found = self._registries.current().release.automations.get(name)
        return found.retry if found else _UNKNOWN
