"""Two starts at once, kill -9 at every step, and what others notice of a publish."""

import itertools
import threading
import time
from decimal import Decimal

import pytest
import sqlalchemy as sa

from core.db import Database
from core.errors import ReleaseChanged
from core.migration import backfill
from core.migration.run import open_steps, publish, resume
from core.migration.verify import table_problems
from core.tables.registry import Registries
from core.tables.releases import list_release_rows
from core.testing.processes import Recorded
from tests.integration import publish_process
from tests.integration.publish_process import FIRST, SECOND, publication


def start(database, *arguments):
    url = database.url.render_as_string(hide_password=False)
    return Recorded(publish_process.main, url, *map(str, arguments))


def fill(database, count):
    table = Registries(database).current().tables["member"].main
    now = publication(1, FIRST).at
    rows = [
        {
            "id": f"{number:036d}",
            "version": 1,
            "release": 1,
            "created_at": now,
            "created_by": "u",
            "updated_at": now,
            "updated_by": "u",
            "no": str(number),
            "old": f"old {number}",
            "price": Decimal(number),
        }
        for number in range(count)
    ]
    with database.write() as connection:
        connection.execute(table.insert(), rows)


def test_two_starts_at_once_both_succeed_with_one_release(database, tmp_path):
    text = "record_type: thing\ntitle_field: a\nfields:\n  - {name: a, type: text}\n"
    (tmp_path / "thing.yaml").write_text(text)
    started = [start(database, "start", tmp_path) for _ in range(3)]
    answers = [process.finish() for process in started]
    assert [(code, out) for code, out, _ in answers] == [(0, "1\n")] * 3, answers
    with database.read() as connection:
        assert len(list_release_rows(connection)) == 1
    assert table_problems(database, Registries(database).current()) == []


def test_killed_at_any_step_the_change_is_finished_or_untouched(bootstrapped):
    publish(bootstrapped, publication(1, FIRST))
    fill(bootstrapped, 20)
    for step in itertools.count():
        code, _, errors = start(bootstrapped, "change", step).finish()
        assert code in {0, -9}, errors
        with bootstrapped.read() as connection:
            left = open_steps(connection)
        number = Registries(bootstrapped).current().revision.schema
        if number == 2:
            break
        assert left == []
    kills = step
    resume(bootstrapped)
    registry = Registries(bootstrapped).current()
    assert kills >= 4
    assert table_problems(bootstrapped, registry) == []
    table = registry.tables["member"].main
    with bootstrapped.read() as connection:
        rows = connection.execute(
            sa.select(table.c.fresh, table.c.double).order_by(table.c.id)
        ).all()
    assert rows == [(f"old {number}", Decimal(number) * 2) for number in range(20)]


@pytest.mark.parametrize("killed_before", ["create_index", "backfill"])
def test_killed_after_the_switch_resume_finishes(bootstrapped, killed_before):
    publish(bootstrapped, publication(1, FIRST))
    fill(bootstrapped, 20)

    class Killed(BaseException):
        pass

    def on_step(step):
        if step.phase == "after" and step.op == killed_before:
            raise Killed

    with pytest.raises(Killed):
        publish(bootstrapped, publication(2, SECOND), on_step=on_step)
    registry = Registries(bootstrapped).current()
    assert registry.revision.schema == 2
    assert table_problems(bootstrapped, registry) != []
    assert resume(bootstrapped) == 0
    assert table_problems(bootstrapped, registry) == []


def test_backfill_goes_on_where_it_was(bootstrapped, monkeypatch):
    monkeypatch.setattr(backfill, "BATCH", 7)
    publish(bootstrapped, publication(1, FIRST))
    fill(bootstrapped, 20)
    done = []
    whole = backfill._Work.do_batch

    def crashing(self, connection, cursor):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(cursor)
        return whole(self, connection, cursor)

    monkeypatch.setattr(backfill._Work, "do_batch", crashing)
    with pytest.raises(KeyboardInterrupt):
        publish(bootstrapped, publication(2, SECOND))
    monkeypatch.setattr(backfill._Work, "do_batch", whole)
    with bootstrapped.read() as connection:
        (cursor,) = connection.scalars(
            sa.text("SELECT cursor FROM gx_migration WHERE state <> 'done'")
        ).all()
    assert cursor == f"{13:036d}"
    assert resume(bootstrapped) == 0
    assert table_problems(bootstrapped, Registries(bootstrapped).current()) == []


def test_write_under_an_old_release_is_refused(bootstrapped):
    publish(bootstrapped, publication(1, FIRST))
    registries = Registries(bootstrapped)
    old = registries.current()
    publish(bootstrapped, publication(2, SECOND))
    with pytest.raises(ReleaseChanged), bootstrapped.write(opening=registries.holding(old)):
        pass
    with bootstrapped.write(opening=registries.holding(registries.current())) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_readers_do_not_wait_for_a_publish_that_waits_for_a_report(bootstrapped):
    publish(bootstrapped, publication(1, FIRST))
    fill(bootstrapped, 2000)
    table = Registries(bootstrapped).current().tables["member"].main
    waits = []
    stop = threading.Event()
    reader = Database(bootstrapped.url.render_as_string(hide_password=False))

    def read():
        while not stop.is_set():
            began = time.perf_counter()
            with reader.read() as connection:
                connection.execute(sa.select(table.c.no).limit(5)).all()
            waits.append(time.perf_counter() - began)
            time.sleep(0.002)

    def hold_long():
        """Read in one transaction for three seconds, as a report does."""
        # On PostgreSQL only a transaction keeps the lock of what it read.
        with reader.read() if reader.is_sqlite else reader.write() as connection:
            connection.execute(sa.select(table.c.no).limit(5)).all()
            time.sleep(3)

    threads = [threading.Thread(target=read), threading.Thread(target=hold_long)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    publish(bootstrapped, publication(2, SECOND))
    stop.set()
    for thread in threads:
        thread.join()
    reader.dispose()
    assert Registries(bootstrapped).current().revision.schema == 2
    # Behind a lock that waits for the report they would wait for nearly all of it.
    assert max(waits) < 1.5
