"""The same changes to many records: tried first, one result each, taken up after a crash."""

import msgspec
import pytest
import sqlalchemy as sa

from core import audit
from core.actor import Actor
from core.errors import Conflict, Forbidden, Invalid, Malformed, NotFound, TooLarge
from core.jobs.handlers import Event, Handlers
from core.jobs.outbox import outbox
from core.records import edits
from core.records.bulk import bulk
from core.records.edits import apply_edit, edit_results, find_edit, register, run_edit, start_edit
from core.records.history import history_problems
from core.records.operations import create_many, create_record, update_record
from core.records.queries import Query, get_record
from core.tables.search import search_table
from tests.integration.records_world import a_member, world  # noqa: F401  a fixture


@pytest.fixture
def members(world):
    made = create_many(world.context("clerk"), "member", [
        a_member(1), a_member(2, visits=7), a_member(3, closed=True), a_member(4),
    ])  # fmt: skip
    return [one["id"] for one in made]


def outcomes(ctx, edit):
    return [one["outcome"] for one in edit_results(ctx, edit.id)]


def visits(ctx, ids):
    return [get_record(ctx, "member", one)["visits"] for one in ids]


def test_a_trial_writes_nothing_and_tells_each_result(world, members):
    ctx = world.context("clerk")
    items = [(one, 1) for one in members] + [("0" * 36, 1)]
    tried = start_edit(ctx, "member", {"visits": 7, "remark": "new"}, items=items)
    assert (tried.state, outcomes(ctx, tried)) == (
        "checked", ["changed", "changed", "refused", "changed", "refused"],
    )  # fmt: skip
    results = edit_results(ctx, tried.id, outcome="refused")
    assert results[0]["error"]["problems"][0]["path"] == "remark"
    assert results[1]["error"]["code"] == "not_found"
    assert visits(ctx, members) == [0, 7, 0, 0]
    assert find_edit(ctx, tried.id).wire()["counts"] == {
        "open": 0, "changed": 3, "same": 0, "refused": 2,
    }  # fmt: skip


def test_applying_writes_versions_and_history_and_refuses_what_moved(world, members):
    ctx = world.context("clerk")
    tried = start_edit(
        ctx, "member", {"visits": 7}, query=Query(filter="no != 'M0004'"), reason="why"
    )
    assert sorted(outcomes(ctx, tried)) == ["changed", "changed", "same"]
    update_record(ctx, "member", members[0], {"name": "moved"}, version=1)
    done = apply_edit(world.context("clerk"), tried.id)
    assert done.state == "done"
    refused = edit_results(ctx, tried.id, outcome="refused")
    assert [(one["id"], one["error"]["code"]) for one in refused] == [
        (members[0], "stale_version")
    ]
    assert visits(ctx, members) == [0, 7, 7, 0]
    with world.db.read() as connection:
        events = audit.list_events(connection, names=["member"], record_id=members[2])
    assert (events[0]["door"], events[0]["reason"]) == ("bulk", "why")
    assert events[0]["changes"] == {"visits": [0, 7]}
    with pytest.raises(Conflict):
        apply_edit(ctx, tried.id)


def test_rights_hold_for_each_record(world, members):
    own = world.context("local", user="me")
    mine = create_record(own, "member", {"no": "M0009", "name": "mine"})
    tried = start_edit(own, "member", {"visits": 1}, query=Query())
    assert [one["id"] for one in edit_results(own, tried.id)] == [mine["id"]]
    hidden = start_edit(own, "member", {"visits": 1}, items=[(members[0], 1)])
    assert edit_results(own, hidden.id)[0]["error"]["code"] == "not_found"
    locked = start_edit(own, "member", {"credit": "5"}, items=[(mine["id"], 1)])
    assert edit_results(own, locked.id)[0]["error"]["code"] == "forbidden"
    with pytest.raises(Forbidden):
        start_edit(world.context("guest"), "member", {"name": "x"}, query=Query())
    with pytest.raises(NotFound):
        find_edit(world.context("clerk"), tried.id)
    with pytest.raises(NotFound):
        apply_edit(world.context("clerk"), tried.id)


def test_a_large_edit_is_the_workers_and_resumes_after_a_crash(world, members, monkeypatch):
    monkeypatch.setattr(edits, "AT_ONCE", 1)
    monkeypatch.setattr(edits, "BATCH", 2)
    ctx = world.context("clerk")
    tried = start_edit(ctx, "member", {"visits": 9}, query=Query())
    assert (tried.state, tried.wire()["counts"]["open"]) == ("checking", 4)
    with world.db.read() as connection:
        assert edits.TOPIC in connection.execute(sa.select(outbox.c.topic)).scalars().all()
    handlers = Handlers()
    register(lambda _ctx, user: Actor(id=user, name=user, roles=frozenset({user})), handlers)
    (handler,) = handlers.of(edits.TOPIC)
    event = Event(seq=1, id="e", topic=edits.TOPIC, payload={"edit": tried.id}, attempt=1)
    handler.handle(world.context(), event)
    assert find_edit(ctx, tried.id).state == "checked"
    apply_edit(ctx, tried.id)
    done = []

    def dies(*arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(arguments[4])
        return tried_one(*arguments)

    tried_one = edits._changed
    monkeypatch.setattr(edits, "_changed", dies)
    with pytest.raises(KeyboardInterrupt):
        handler.handle(world.context(), event)
    monkeypatch.setattr(edits, "_changed", tried_one)
    assert find_edit(ctx, tried.id).wire()["counts"] == {
        "open": 2,
        "changed": 2,
        "same": 0,
        "refused": 0,
    }
    handler.handle(world.context(), event)
    handler.handle(world.context(), event)
    assert find_edit(ctx, tried.id).state == "done"
    assert visits(ctx, members) == [9, 9, 9, 9]
    assert [get_record(ctx, "member", one)["version"] for one in members] == [2, 2, 2, 2]


def test_an_edit_of_somebody_who_left_fails_without_writing(world, members, monkeypatch):
    monkeypatch.setattr(edits, "AT_ONCE", 1)
    ctx = world.context("clerk")
    tried = start_edit(ctx, "member", {"visits": 9}, query=Query())
    handlers = Handlers()
    register(lambda _ctx, _user: None, handlers)
    event = Event(seq=1, id="e", topic=edits.TOPIC, payload={"edit": tried.id}, attempt=1)
    handlers.of(edits.TOPIC)[0].handle(world.context(), event)
    assert find_edit(ctx, tried.id).state == "failed"
    run_edit(ctx, tried.id)
    assert visits(ctx, members) == [0, 7, 0, 0]


def test_documents_get_proposals_and_open_ones_stay_locked(world):
    ctx = world.context("clerk")
    made = create_record(ctx, "rule", {"name": "a", "percent": 5, "steps": []})
    tried = start_edit(ctx, "rule", {"percent": 6}, items=[(made["id"], 1)])
    apply_edit(ctx, tried.id)
    assert get_record(ctx, "rule", made["id"])["percent"] == 6


def test_bad_edits_are_refused(world, members, monkeypatch):
    ctx = world.context("clerk")
    for wrong in ({"changes": {}}, {"changes": {"visits": 1}, "query": Query(filter="nix == 1")}):
        with pytest.raises(Invalid):
            start_edit(ctx, "member", wrong["changes"], query=wrong.get("query"))
    with pytest.raises(Malformed):
        start_edit(ctx, "member", {"visits": 1}, items=[(members[0], 1)] * 2)
    unknown = start_edit(ctx, "member", {"nix": 1}, items=[(members[0], 1)])
    assert edit_results(ctx, unknown.id)[0]["error"]["problems"][0]["path"] == "nix"
    monkeypatch.setattr(edits, "MOST", 3)
    with pytest.raises(TooLarge):
        start_edit(ctx, "member", {"visits": 1}, query=Query())


def test_edits_over_rest(client_as):
    clerk = client_as("clerk")
    made = clerk.post("/api/v1/records/member", json={"no": "M1", "name": "张三"}).json
    place = "/api/v1/records/member/edits"
    body = {"changes": {"remark": "好"}, "items": [{"id": made["id"], "version": made["version"]}]}
    tried = clerk.post(place, json=body)
    assert (tried.status_code, tried.json["state"]) == (202, "checked")
    edit = f"/api/v1/edits/{tried.json['id']}"
    assert client_as("cashier").get(edit).status_code == 404
    assert clerk.post(f"{edit}/apply").json["state"] == "done"
    assert clerk.post(f"{edit}/apply").status_code == 409
    assert clerk.get(f"{edit}/results").json["items"][0]["outcome"] == "changed"
    assert clerk.get(f"/api/v1/records/member/{made['id']}").json["remark"] == "好"
    for wrong in (
        {"changes": {"remark": "x"}}, {"changes": [], "filter": ""}, {"filter": "no == 'M1'"},
        {**body, "filter": ""}, {**body, "items": [1]}, {**body, "items": [{"id": 1, "version": 1}]},
        {**body, "items": [{"id": "x", "version": "1"}]}, {"changes": {"a": 1}, "search": "\x00"},
    ):  # fmt: skip
        assert clerk.post(place, json=wrong).status_code == 422, wrong
    for wrong in ("?outcome=x", "?limit=0", "?after=-1", "?x=1"):
        assert clerk.get(f"{edit}/results{wrong}").status_code == 422, wrong
    assert clerk.get("/api/v1/edits/nothing").status_code == 404


def test_refusals_among_changes_leave_nothing_behind_and_the_others_all(world, members):
    ctx = world.context("clerk")
    with world.db.write() as connection:
        connection.execute(outbox.delete())
    note = create_record(ctx, "note", {"title": "one", "code": "1"})
    create_record(ctx, "note", {"title": "two", "code": "1"})
    refused = bulk(ctx, "note", update=[
        {"id": note["id"], "version": 1, "code": "2"},
        {"id": note["id"], "version": 2, "title": "two", "code": "1"},
        {"id": note["id"], "version": 2, "title": "three"},
    ])  # fmt: skip
    assert [one["status"] for one in refused["results"]] == [200, 409, 200]
    done = bulk(ctx, "member", update=[
        {"id": members[0], "version": 1, "name": "first"},
        {"id": members[1], "version": 1, "name": "second", "visits": -1},
        {"id": members[2], "version": 1, "name": "third", "remark": "closed"},
        {"id": members[0], "version": 2, "name": "again"},
        {"id": members[3], "version": 1, "name": "fourth"},
    ], delete=[{"id": members[3], "version": 2}])  # fmt: skip
    assert [one["status"] for one in done["results"]] == [200, 422, 422, 200, 200, 204]
    with world.db.read() as connection:
        rows = connection.execute(sa.select(search_table.c.record_id, search_table.c.content))
        indexed = dict(map(tuple, rows))
        told = connection.execute(sa.select(outbox.c.payload).order_by(outbox.c.seq)).scalars()
        versions = [(it["id"], it["version"]) for it in map(msgspec.json.decode, told)]
    assert indexed == {members[0]: "again", members[1]: "Name 2", members[2]: "Name 3"}
    assert [one for one in versions if one[0] in members] == [
        (members[0], 2), (members[0], 3), (members[3], 2), (members[3], 3),
    ]  # fmt: skip
    assert list(history_problems(world.db, world.registries.current())) == []
