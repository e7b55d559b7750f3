"""Nothing acknowledged is lost and nothing happens twice, whenever the process dies."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import Database, metadata
from core.jobs import delivery
from core.jobs.outbox import emit_many, outbox
from tests.integration.worker_process import effect, own

SCRIPT = Path(__file__).with_name("worker_process.py")
ROOT = SCRIPT.parents[2]

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def db(database: Database) -> Database:
    metadata.create_all(database.engine)
    own.create_all(database.engine)
    return database


@pytest.fixture
def start(db: Database) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def _start(mode: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.worker_process",
             db.url.render_as_string(hide_password=False), mode],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield _start
    for process in processes:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == text


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)


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
    kill(emitter)
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
    kill(victim)
    said(start("steady"), "started")
    assert delivered(db, 3) == [0, 1, 2]


def test_effect_outside_the_database_is_repeated_with_the_same_id(
    db: Database, start: Start
) -> None:
    emit_numbers(db, 1)
    victim = start("outside")
    said(victim, "started")
    said(victim, "inside")
    kill(victim)
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
        kill(victim)
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
    kill(leader)
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
    out, _ = worker.communicate(input="", timeout=10)
    assert out.strip() == "stopped"
    with db.read() as connection:
        assert delivery.health(connection) == delivery.Health(None, 0, None, 0)
