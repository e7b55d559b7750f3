"""The same bad value through every door: the same code everywhere, and nothing written (10)."""

import csv
import tempfile
from collections.abc import Callable
from typing import Any

import pytest

from core.jobs.worker import Worker
from core.testing.campaigns import examples
from core.testing.processes import Program, guanxi
from tests.integration.doors_world import API, FORBIDDEN, GATE, GOOD, WRONG, Doors, Found
from tests.integration.hostile_world import fingerprint

#: What PostgreSQL could see differently: its own errors, and what is looked up.
LOOKED_UP = ("taken", "taken together", "no record", "filter", "character", "huge integer")

#: Doors that have no way to say such a value, or say it otherwise; none of them writes it.
OTHERWISE: dict[tuple[str, str], Found] = {
    # A key that exists is a record that is there already.
    ("taken", "imported"): set(),
    ("taken", "import_update"): set(),
    # Pages have no control for what is computed; a file may be an export, which has it.
    **{("computed", door): set() for door in ("form", "save", "merge", "imported")},
    ("computed", "import_update"): set(),
    ("computed", "cell"): {("", "not_found")},
    # A row without its key and without anything else is a blank one.
    ("no more", "import_update"): set(),
}
#: Links without an account offer no links to records, nor what is computed.
NOT_OFFERED = {"no record", "filter", "computed"}


@pytest.fixture
def site_schema():
    return (GATE,)


@pytest.fixture
def doors(site, tmp_path, monkeypatch):
    monkeypatch.setattr("core.web.formlinks._MOST", (10_000, 10_000))
    return Doors(site, tmp_path)


def creating(doors: Doors) -> dict[str, Callable[[dict[str, Any]], Found]]:
    return {
        **{
            name: getattr(doors, name)
            for name in ("api", "bulk", "form", "link", "duplicate", "imported")
        },
        **{name: doors.inside(name) for name in ("plugin", "automation", "cli", "flow")},
    }


def changing(doors: Doors) -> dict[str, Callable[..., Found]]:
    names = ("patch", "bulk_change", "save", "merge", "cell", "edits", "import_update",
             "link_change")  # fmt: skip
    return {
        **{name: getattr(doors, name) for name in names},
        **{f"{name} change": doors.inside_change(name) for name in ("plugin", "automation")},
    }


def taking(turn, doors):
    """Return the doors that a case goes through: the first and each third, nightly all of them."""
    return {
        name: send
        for at, (name, send) in enumerate(doors.items())
        if at == 0 or (turn + at) % 3 == 0 or examples(1) > 1
    }


def codes(site):
    found = site.client("admin").get(f"{API}?limit=200&fields=code").json["items"]
    return sorted(one["code"] for one in found)


def cases(site):
    return {
        name: case for name, case in WRONG.items() if site.backend == "sqlite" or name in LOOKED_UP
    }


def test_a_new_record_is_refused_alike_at_every_door(site, doors):
    before, found = fingerprint(site), {}
    for turn, (name, (values, expected)) in enumerate(cases(site).items()):
        for door, send in taking(turn, creating(doors)).items():
            if door == "link" and name in NOT_OFFERED:
                continue
            if (got := send(values)) != OTHERWISE.get((name, door), expected):
                found[name, door] = got
        if "GOOD" in codes(site):  # what is computed was left out, the rest is right
            assert name == "computed"
            assert (
                doors.client.get(f"{API}?filter=code == 'GOOD' and twice is not empty").json[
                    "items"
                ]
                == []
            )
            site.put_back(GATE)
            doors = Doors(site, doors.folder)
            before = fingerprint(site)
    assert found == {}
    after = fingerprint(site)
    assert {name for name in before if before[name] != after[name]} <= {
        "gx_form_link",
        "gx_import",
    }


def test_a_change_is_refused_alike_at_every_door(site, doors):
    found = {}
    for turn, (name, (values, expected)) in enumerate(cases(site).items()):
        for door, send in taking(turn, changing(doors)).items():
            is_single = len(values) == 1
            if (door == "cell" and not is_single) or (door == "merge" and "flag" in values):
                continue
            if door == "link_change" and name in NOT_OFFERED:
                continue
            if (got := send(values)) != OTHERWISE.get((name, door), expected):
                found[name, door] = got
    assert found == {}
    items = site.client("admin").get(f"{API}?limit=200").json["items"]
    held = [one for one in items if any(one[name] for name in ("price", "web", "mail", "aside"))]
    assert held == []


def test_what_a_stored_record_forbids_is_refused_alike_at_every_door(site, doors):
    if site.backend != "sqlite":
        return  # nothing of it is asked of the database
    found = {}
    for name, (held, values, expected) in FORBIDDEN.items():
        for door, send in changing(doors).items():
            if (got := send(values, **held)) != OTHERWISE.get((name, door), expected):
                found[name, door] = got
    assert found == {}


def test_the_command_line_refuses_each_row_of_a_file(site, doors, tmp_path):
    if site.backend != "sqlite":
        return
    names = [
        "code",
        *sorted(
            {name for values, _found in WRONG.values() for name in values} - {"code", "twice"}
        ),
    ]
    left_out = {"taken", "computed", "character"}
    rows = {name: values for name, (values, _found) in WRONG.items() if name not in left_out}
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        for number, values in enumerate(rows.values()):
            told = {
                key: ";".join(value) if isinstance(value, list) else value
                for key, value in values.items()
            }
            writer.writerow({"code": f"R{number}", **told})
    with (
        tempfile.TemporaryFile("w+") as said,
        Program(
            guanxi, "import", "gate", str(path), environ=site.environ, streams=(None, None, said)
        ) as program,
    ):
        assert program.wait() == 1
    with (tmp_path / "rows.csv.refused.csv").open(encoding="utf-8-sig", newline="") as file:
        refused = {int(row[1]) for row in list(csv.reader(file))[1:]}
    assert refused == set(range(2, len(rows) + 2))
    site.services.forget()
    assert codes(site) == ["TAKEN"]


TIGHTER = """
customize: gate
rules:
  - {name: refused, when: "note == 'fine'", then: [{error: {zh: 不行, en: No}, fields: [note]}]}
"""


def test_going_back_to_values_that_are_forbidden_now_is_refused(site, doors, publish):
    made = doors.make({"code": "OLD", "note": "fine"})
    url = f"{API}/{made['id']}"
    tag = {"If-Match": '"1"'}
    assert doors.client.patch(url, json={"note": "new"}, headers=tag).status_code == 200
    publish(TIGHTER)
    for act in (
        lambda: doors.client.post(f"{url}/restore", json={"version": 1}),
        lambda: doors.client.patch(url, json={"note": "fine"}, headers={"If-Match": '"2"'}),
    ):
        refused = act()
        assert refused.status_code == 422
        assert [one["code"] for one in refused.json["problems"]] == ["rule.failed"]
    assert doors.client.get(url).json["version"] == 2


AUTOMATIONS = """
automation: taken_in
type: gate
trigger: {on: webhook, auth: token, input: [{name: amount, type: integer}, {name: note, type: text}, {name: mail, type: text}, {name: web, type: text}, {name: once, type: text}, {name: price, type: decimal}]}
run_as: {system: true}
retry: {times: 0}
actions:
  - {do: create, type: gate, values: {code: "'AUTO'", amount: input_amount, note: input_note, mail: input_mail, web: input_web, once: input_once, price: input_price}}
"""


def test_an_automation_that_would_write_it_fails_and_writes_nothing(site, doors, publish):
    publish(AUTOMATIONS)
    shown = doors.client.get("/api/v1/automations/taken_in/secret").json["address"]
    address = shown[shown.index("/api/") :]
    names = ("too small", "too large", "check", "email", "url", "required when", "rule")
    before, runs = fingerprint(site), {}
    for name in names:
        values, _found = WRONG[name]
        body = {
            key: int(text) if key in {"amount", "price"} else text for key, text in values.items()
        }
        took = site.client().post(address, json=body)
        assert took.status_code == 202, took.json
        runs[name] = took.json["run"]
    worker = Worker(site.services.db, lambda: site.context("system"), elected=False)
    while worker.turn():
        pass
    for name, run in runs.items():
        told = doors.client.get(f"/api/v1/automations/runs/{run}").json
        body = doors.wire(GOOD | WRONG[name][0])
        message = doors.client.post(API, json=body).json["problems"][0]["message"]
        assert told["state"] == "dead", name
        assert message in told["error"], name
    after = fingerprint(site)
    assert before["r_gate"] == after["r_gate"]


def test_an_archived_option_that_is_held_may_stay_and_go(doors, site):
    made = doors.make({"code": "HELD", "tags": ["x"], "kind": "a"})
    ctx = site.context("system")
    table = ctx.registry.tables["gate"].main
    with ctx.writing() as connection:
        where = table.c.id == made["id"]
        connection.execute(table.update().where(where).values(kind="gone"))
    url = f"{API}/{made['id']}"
    kept = doors.client.patch(url, json={"note": "n", "kind": "gone"}, headers={"If-Match": '"1"'})
    assert (kept.status_code, kept.json["kind"]) == (200, "gone")
    gone = doors.client.patch(url, json={"kind": "a"}, headers={"If-Match": '"2"'})
    assert gone.status_code == 200
    back = doors.client.patch(url, json={"kind": "gone"}, headers={"If-Match": '"3"'})
    assert [one["code"] for one in back.json["problems"]] == ["field.option"]


def test_one_taken_value_stops_nothing_else_of_a_bulk_call(doors):
    made = doors.make({"code": "OTHER"})
    body = {
        "create": [{"code": "TAKEN"}],
        "update": [{"id": made["id"], "version": 1, "note": "changed"}],
    }
    answer = doors.client.post(f"{API}/bulk", json=body)
    assert answer.status_code == 200, answer.json
    assert [one["status"] for one in answer.json["results"]] == [409, 200]
    atomic = doors.client.post(f"{API}/bulk", json={**body, "atomic": True})
    assert (atomic.status_code, atomic.json["code"]) == (409, "conflict.taken")
