"""Nothing acknowledged is lost and nothing happens twice, whenever the process dies."""

import random
import time
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from core.db import Database
from core.jobs import delivery
from core.jobs.outbox import emit_many, outbox
from core.testing.processes import Talking
from tests.integration import worker_process
from tests.integration.jobs_world import db, jobs_database  # noqa: F401  fixtures
from tests.integration.worker_process import effect

Start = Callable[[str], Talking]


@pytest.fixture
def start(db: Database) -> Iterator[Start]:
    workers: list[Talking] = []
    url = db.url.render_as_string(hide_password=False)

    def _start(mode: str) -> Talking:
        workers.append(Talking(worker_process.main, url, mode))
        return workers[-1]

    yield _start
    for worker in workers:
        worker.close()


def said(worker: Talking, text: str) -> None:
    assert worker.heard.readline().strip() == text


def emit_numbers(db: Database, count: int) -> None:
    with db.write() as connection:
        emit_many(connection, [("test.event", {"number": n}) for n in range(count)])


def delivered(db: Database, count: int, seconds: float = 30) -> list[int]:
    """Return the sorted numbers that had their effect, once nothing is left to deliver."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with db.read() as connection:
            left = connection.execute(sa.select(sa.func.count()).select_from(outbox)).scalar_one()
            done = connection.execute(sa.select(effect.c.number)).scalars().all()
        if left == 0 and len(done) >= count:
            break
        time.sleep(0.05)
    return sorted(done)


def test_events_committed_before_a_kill_are_delivered_by_another_process(
    db: Database, start: Start
) -> None:
    emitter = start("emit")
    said(emitter, "committed")
    emitter.kill()
    worker = start("steady")
    said(worker, "started")
    assert delivered(db, 50) == list(range(50))


def test_event_has_one_effect_when_its_worker_is_killed_inside_the_handler(
    db: Database, start: Start
) -> None:
    emit_numbers(db, 3)
    victim = start("slow")
    said(victim, "started")
    said(victim, "inside")
    victim.kill()
    said(start("steady"), "started")
    assert delivered(db, 3) == [0, 1, 2]


def test_effect_outside_the_database_is_repeated_with_the_same_id(
    db: Database, start: Start
) -> None:
    emit_numbers(db, 1)
    victim = start("outside")
    said(victim, "started")
    said(victim, "inside")
    victim.kill()
    said(start("outside"), "started")
    assert delivered(db, 1) == [0]


def test_every_event_has_one_effect_when_workers_are_killed_at_random_moments(
    db: Database, start: Start
) -> None:
    moments = random.Random(20101201)
    emit_numbers(db, 150)
    for _ in range(4):
        victim = start("busy")
        said(victim, "started")
        time.sleep(moments.uniform(0.05, 0.4))
        victim.kill()
        # The killed leader's lease and those of its events run out.
        time.sleep(1.1)
    said(start("steady"), "started")
    assert delivered(db, 150) == list(range(150))


def test_another_process_takes_over_when_the_leader_is_killed(db: Database, start: Start) -> None:
    leader = start("steady")
    said(leader, "started")
    emit_numbers(db, 1)
    delivered(db, 1)
    second = start("steady")
    said(second, "started")
    emit_numbers(db, 5)
    delivered(db, 6)
    with db.read() as connection:
        assert set(connection.execute(sa.select(effect.c.pid)).scalars()) == {leader.pid}
    leader.kill()
    emit_numbers(db, 1)
    assert len(delivered(db, 7)) == 7
    with db.read() as connection:
        last = connection.execute(sa.select(effect.c.pid).order_by(effect.c.nr.desc())).scalar()
    assert last == second.pid


def test_worker_stops_cleanly_and_gives_its_lease_back(db: Database, start: Start) -> None:
    worker = start("steady")
    said(worker, "started")
    emit_numbers(db, 1)
    delivered(db, 1)
    worker.told.close()  # the end of its input tells it to stop
    said(worker, "stopped")
    assert worker.wait(10) == 0
    with db.read() as connection:
        assert delivery.health(connection) == delivery.Health(None, 0, None, 0)
