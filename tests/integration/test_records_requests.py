"""Idempotency keys, counters and bulk calls."""

import threading

import pytest

from core.errors import Invalid, KeyReused, Malformed, NotFound, TooLarge
from core.records.bulk import bulk
from core.records.counters import next_number
from core.records.history import history_problems
from core.records.idempotency import body_hash, find_answer, run_once
from core.records.operations import create_record, update_record
from core.records.queries import Query, list_wire
from tests.integration.records_world import a_member, world  # noqa: F401  a fixture


def test_same_key_has_one_effect_and_one_answer(world):
    ctx = world.context("clerk")

    def act():
        return 201, {"id": create_record(ctx, "member", a_member())["id"]}

    first = run_once(ctx, "k1", body_hash("POST /x", b"{}"), act)
    second = run_once(ctx, "k1", body_hash("POST /x", b"{}"), act)
    assert (second.status, second.body, second.replayed) == (201, first.body, True)
    assert find_answer(ctx, "k1").body == first.body
    with pytest.raises(KeyReused):
        run_once(ctx, "k1", body_hash("POST /x", b"{ }"), act)
    with pytest.raises(NotFound):
        find_answer(world.context("manager"), "k1")
    assert list_wire(ctx, "member", Query(count="exact")).count == 1


def test_refusal_consumes_no_key(world):
    ctx = world.context("clerk")
    with pytest.raises(Invalid):
        run_once(ctx, "k1", "h", lambda: (201, create_record(ctx, "member", {})))
    with pytest.raises(NotFound):
        find_answer(ctx, "k1")
    assert run_once(ctx, "k1", "other", lambda: (200, {})).replayed is False


def test_wrong_keys_are_malformed(world):
    for key in ("", "x" * 101, "a\nb", "é", "\x00"):
        with pytest.raises(Malformed):
            run_once(world.context("clerk"), key, "h", lambda: (200, {}))


def test_key_used_at_once_by_many_has_one_effect(world):
    answers = []

    def call():
        ctx = world.context("clerk")

        def act():
            return 201, {"id": create_record(ctx, "member", a_member())["id"]}

        answers.append(run_once(ctx, "k1", "h", act))

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.body["id"] for answer in answers}) == 1
    assert sorted(answer.replayed for answer in answers) == [False] + [True] * 5


def test_counters_give_each_number_once(world):
    taken = []

    def take():
        for _ in range(10):
            with world.db.write() as connection:
                taken.append(next_number(connection, "c", count=2))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 81, 2))


def test_bulk_gives_a_result_per_item(world):
    ctx = world.context("clerk", door="bulk")
    one, two = (create_record(ctx, "member", a_member(number)) for number in (1, 2))
    answer = bulk(
        ctx, "member",
        create=[a_member(3), a_member(1), {}],
        update=[
            {"id": one["id"], "version": 1, "name": "X"}, {"id": two["id"], "name": "Y"},
            {"id": two["id"], "version": 9, "name": "Y"}, "x",
        ],
        delete=[{"id": two["id"], "version": 1}],
    )  # fmt: skip
    assert [(one["action"], one["index"], one["status"]) for one in answer["results"]] == [
        ("create", 0, 201), ("create", 1, 409), ("create", 2, 422), ("update", 0, 200),
        ("update", 1, 428), ("update", 2, 412), ("update", 3, 400), ("delete", 0, 204),
    ]  # fmt: skip
    assert answer["results"][2]["error"]["problems"][0]["path"] == "no"
    assert list(history_problems(world.db, ctx.registry)) == []


def test_atomic_bulk_writes_all_or_nothing(world):
    ctx = world.context("clerk", door="bulk")
    with pytest.raises(Invalid) as refused:
        bulk(ctx, "member", create=[{"no": "bad", "name": "x"}, a_member(2)], atomic=True)
    assert [one.path for one in refused.value.problems] == ["create.0.no"]
    assert list_wire(ctx, "member", Query(count="exact")).count == 0
    with pytest.raises(TooLarge):
        bulk(ctx, "member", create=[{}] * 1001)


def test_two_writers_of_one_version_have_one_winner(world):
    member = create_record(world.context("clerk"), "member", a_member())
    results = []

    def write(name):
        try:
            update_record(
                world.context("clerk"), "member", member["id"], {"name": name}, version=1
            )
            results.append("won")
        except Exception as error:  # noqa: BLE001  the test names every outcome
            results.append(type(error).__name__)

    threads = [threading.Thread(target=write, args=(f"N{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["StaleVersion"] * 4 + ["won"]
