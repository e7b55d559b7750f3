"""Events are delivered, tried again, given up and counted as promised."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from core.context import Context
from core.db import Database
from core.errors import NotFound
from core.jobs import delivery
from core.jobs import worker as worker_module
from core.jobs.handlers import Event, Handler, Handlers
from core.jobs.outbox import emit, emit_many, outbox
from core.jobs.worker import Worker
from tests.integration.jobs_world import db, jobs_database  # noqa: F401  fixtures
from tests.integration.worker_process import effect, put, system_context

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def worker(db: Database, handlers: Handlers) -> Iterator[Worker]:
    worker = Worker(db, lambda: system_context(db), handlers=handlers)
    yield worker
    worker.stop()


def add(
    handlers: Handlers, handle: Callable[[Context, Event], None], name: str = "one",
    prefix: str = "test", *, in_transaction: bool = True,
) -> None:  # fmt: skip
    handlers.add(Handler(name, prefix, handle, in_transaction=in_transaction))


def all_to(handlers: Handlers) -> Callable[[Sequence[Event]], dict[int, Sequence[Handler]]]:
    """Return what gives every event to whom wants its topic."""
    return lambda events: {event.seq: handlers.of(event.topic) for event in events}


def put_effect(ctx: Context, event: Event) -> None:
    put(ctx.connection, event)


def put_then_fail(ctx: Context, event: Event) -> None:
    put(ctx.connection, event)
    raise ValueError("no")


def numbers(db: Database) -> list[int]:
    with db.read() as connection:
        return list(connection.execute(sa.select(effect.c.number).order_by(effect.c.nr)).scalars())


def rows(db: Database) -> list[tuple[str, int, str]]:
    with db.read() as connection:
        found = connection.execute(
            sa.select(outbox.c.state, outbox.c.attempts, outbox.c.error).order_by(outbox.c.seq)
        )
        return [tuple(row) for row in found]


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_rolled_back_event_is_never_delivered(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_effect)
    with pytest.raises(ZeroDivisionError), db.write() as connection:  # noqa: PT012
        emit(connection, "test.event", {"number": 1})
        raise ZeroDivisionError
    assert worker.turn() is False
    assert numbers(db) == []


def test_events_are_delivered_in_order_and_then_gone(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_effect)
    with db.write() as connection:
        emit_many(connection, [("test.event", {"number": n}) for n in range(130)])
    assert worker.turn()
    assert numbers(db) == list(range(100))
    assert worker.turn()
    assert numbers(db) == list(range(130))
    assert rows(db) == []


def test_worker_goes_on_at_once_with_a_whole_batch_and_with_what_failed_before(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_effect)
    with db.write() as connection:
        emit_many(connection, [("test.event", {"number": n}) for n in range(102)])
        connection.execute(outbox.update().where(outbox.c.seq <= 2).values(attempts=1))
    behind = []
    while worker.turn():
        behind.append(worker.is_behind)
    assert (behind, worker.is_behind) == ([True, True], False)
    assert sorted(numbers(db)) == list(range(102))


def test_key_that_was_emitted_before_is_not_emitted_again(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_effect)
    for number in (1, 2):
        with db.write() as connection:
            emit(connection, "test.event", {"number": number}, key="same")
    worker.turn()
    with db.write() as connection:
        emit(connection, "test.event", {"number": 3}, key="same")
    assert worker.turn() is False
    assert numbers(db) == [1]
    with db.write() as connection:
        delivery.purge(connection, datetime.now(UTC) + timedelta(days=8))
    assert rows(db) == []


def test_event_nobody_wants_is_removed(db: Database, worker: Worker) -> None:
    with db.write() as connection:
        emit(connection, "nobody.cares", {})
    assert worker.turn()
    assert rows(db) == []


def test_event_that_concerns_nobody_is_settled_without_delivery(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    def is_odd(_ctx: Context, event: Event) -> bool:
        return bool(event.payload["number"] % 2)

    handlers.add(Handler("odd", "test", put_effect, concerns=is_odd))
    with db.write() as connection:
        emit_many(connection, [("test.event", {"number": number}) for number in range(4)])
    now = datetime.now(UTC)
    with db.write() as connection:
        taken, settled = delivery.take(connection, worker._wanting, now)
    assert ([event.payload["number"] for event, _ in taken], settled) == ([1, 3], 2)
    assert [state for state, _, _ in rows(db)] == ["ready", "ready"]


def test_event_with_a_time_waits_for_it(db: Database, handlers: Handlers) -> None:
    add(handlers, put_effect)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 1}, at=NOW)
        assert not delivery.has_due(connection, NOW - timedelta(microseconds=1))
        assert delivery.has_due(connection, NOW)


def test_failed_handler_leaves_no_effect_and_is_tried_later(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_then_fail)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 1})
    worker.turn()
    assert numbers(db) == []
    assert rows(db) == [("ready", 1, "one: ValueError: no")]
    assert worker.turn() is False, "it waits before the second attempt"
    with db.write() as connection:
        connection.execute(outbox.update().values(visible_at=""))
    add(handlers, put_effect)
    worker.turn()
    assert numbers(db) == [1]


def test_one_failing_handler_does_not_repeat_the_other(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_effect, name="good")
    add(handlers, put_then_fail, name="bad", in_transaction=True)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 1})
    worker.turn()
    for _ in range(2):
        with db.write() as connection:
            connection.execute(outbox.update().values(visible_at=""))
        worker.turn()
    assert numbers(db) == [1]
    add(handlers, put_effect, name="bad")
    with db.write() as connection:
        connection.execute(outbox.update().values(visible_at=""))
    worker.turn()
    assert numbers(db) == [1, 1]
    assert rows(db) == []
    with db.read() as connection:
        assert connection.execute(sa.select(delivery.delivered)).all() == []


def test_event_is_given_up_after_its_attempts_and_can_be_retried(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_then_fail)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 7})
    for _ in range(delivery.MAX_ATTEMPTS):
        worker.turn()
        with db.write() as connection:
            connection.execute(outbox.update().values(visible_at=""))
    assert worker.turn() is False
    with db.read() as connection:
        (dead,) = delivery.list_dead(connection)
        assert delivery.health(connection).dead == 1
    assert (dead["payload"], dead["error"]) == ({"number": 7}, "one: ValueError: no")
    add(handlers, put_effect)
    with db.write() as connection:
        delivery.retry_dead(connection, dead["seq"])
    worker.turn()
    assert numbers(db) == [7]
    with pytest.raises(NotFound), db.write() as connection:
        delivery.retry_dead(connection, dead["seq"])


def test_event_whose_worker_died_at_every_attempt_is_given_up(
    db: Database, handlers: Handlers
) -> None:
    add(handlers, put_effect)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 1})
    now = datetime.now(UTC)
    for _ in range(delivery.MAX_ATTEMPTS):
        with db.write() as connection:
            taken, _ = delivery.take(connection, all_to(handlers), now)
            assert len(taken) == 1
        now += delivery.LEASE + timedelta(seconds=1)
    with db.write() as connection:
        assert delivery.take(connection, all_to(handlers), now) == ([], 1)
    assert rows(db) == [("dead", delivery.MAX_ATTEMPTS, "")]


def test_worker_that_lost_its_lease_cannot_finish_the_event(
    db: Database, handlers: Handlers
) -> None:
    add(handlers, put_effect)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 1})
    now = datetime.now(UTC)
    with db.write() as connection:
        ((late, _),), _ = delivery.take(connection, all_to(handlers), now)
    later = now + delivery.LEASE + timedelta(seconds=1)
    with db.write() as connection:
        ((taken, _),), _ = delivery.take(connection, all_to(handlers), later)
        assert taken.id == late.id
        assert not delivery.hold(connection, late, later)
        assert delivery.hold(connection, taken, later)


def test_wait_between_attempts_doubles_up_to_an_hour() -> None:
    waits = [delivery.backoff(n).total_seconds() for n in range(1, 14)]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]


def test_commit_in_the_same_process_wakes_the_worker_at_once(
    db: Database, handlers: Handlers, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "POLL_SECONDS", 60)  # so only the commit can wake it
    add(handlers, put_effect)
    worker.start()
    assert wait_for(lambda: worker.is_leading)
    time.sleep(0.3)
    with db.write() as connection:
        emit(connection, "test.event", {"number": 1})
    assert wait_for(lambda: numbers(db) == [1])


def test_idle_worker_looks_at_the_outbox_no_more_than_once_a_poll(
    db: Database, handlers: Handlers, worker: Worker
) -> None:
    add(handlers, put_effect)
    worker.start()
    assert wait_for(lambda: worker.is_leading)
    looks: list[float] = []
    pool, looked = db.engine.pool, lambda *_: looks.append(time.monotonic())
    sa.event.listen(pool, "checkout", looked)
    begin = time.monotonic()
    time.sleep(2)
    polls = (time.monotonic() - begin) / worker_module.POLL_SECONDS
    sa.event.remove(pool, "checkout", looked)
    assert len(looks) <= polls + 2


def test_only_one_of_two_elected_workers_delivers(db: Database, handlers: Handlers) -> None:
    add(handlers, put_effect)
    first = Worker(db, lambda: system_context(db), handlers=handlers)
    second = Worker(db, lambda: system_context(db), handlers=handlers)
    separate = Worker(db, lambda: system_context(db), handlers=handlers, elected=False)
    assert first.turn() is False
    for number in (1, 2):
        with db.write() as connection:
            emit(connection, "test.event", {"number": number})
        assert second.turn() is False
        assert (first if number == 1 else separate).turn() is True
    assert numbers(db) == [1, 2]


def test_health_counts_what_waits_and_since_when(db: Database, worker: Worker) -> None:
    with db.write() as connection:
        emit_many(connection, [("test.event", {"number": n}) for n in range(3)])
    with db.read() as connection:
        health = delivery.health(connection)
    assert (health.beat, health.depth, health.dead) == (None, 3, 0)
    assert datetime.now(UTC) - health.oldest < timedelta(seconds=5)
    worker.turn()
    with db.read() as connection:
        health = delivery.health(connection)
    assert (health.depth, health.oldest) == (0, None)
    assert datetime.now(UTC) - health.beat < timedelta(seconds=5)
