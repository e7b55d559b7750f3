"""What flows would do with real records and staff: proof, replay of a draft, what-if."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.errors import Forbidden, Invalid
from core.schema import layers
from core.schema.model import Release
from core.schema.yamlnodes import Source
from core.workflow.models import instance
from core.workflow.rehearsal.previews import prove_changes, prove_flow, replay
from core.workflow.staff.people import STAFF
from tests.integration.flow_steps import effective
from tests.integration.flow_world import (
    ADMIN,
    APPROVER,
    EVERYBODY,
    RULE_FLOW,
    SOURCES,
    World,
)

DEEP = (
    RULE_FLOW.replace("version: 1", "version: 2")
    + """
  - id: deep
    type: branch
    cases:
      - when: doc.rate < 0.7 and max(lines.amount) > 2
        steps: [{id: sign, approvers: {role: finance}, due: [{at: 2h, do: remind}]}]
    else: []
"""
)


def tried(world: World, text: str) -> Release:
    """Return the release that another text of the rules' flow would give."""
    sources = SOURCES | {"rule_flow.yaml": text}
    files = [Source("core", path, one) for path, one in sources.items()]
    running = world.ctx(ADMIN).registry.release
    return layers.effective(files, running, running.number + 1)


def rows(world: World, table=instance) -> list:
    with world.db.read() as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.id)).mappings())


def test_replay_tells_which_past_records_a_draft_would_send_another_way(world: World) -> None:
    effective(world, code="A", rate="0.9")
    effective(world, code="B", rate="0.6")
    effective(world, code="C", rate="0.5", lines=[{"product": "P", "amount": 1}])
    before = rows(world)
    release = tried(world, DEEP)
    found = replay(world.ctx(ADMIN), release, months=1)
    assert (found["count"], found["changed"], found["stuck"]) == (3, 1, 0)
    assert found["routes"] == [{"before": ["review"], "after": ["review", "sign"], "count": 1}]
    assert {one["name"] for one in found["added"]} == {"Fang", "Bao"}
    assert found["removed"] == []
    [item] = found["items"]
    assert (item["before"]["version"], item["after"]["version"]) == (1, 2)
    assert (item["after"]["ending"], found["is_complete"]) == ("approved", True)
    assert rows(world) == before


def test_replay_sees_people_as_they_are_now(world: World) -> None:
    effective(world, rate="0.6")
    release = tried(world, DEEP)
    nobody = replace(EVERYBODY, roles={**EVERYBODY.roles, "finance": ()})
    world.registries.current()
    with STAFF.asking(lambda *_: nobody):
        found = replay(world.ctx(ADMIN), release)
    assert found["stuck"] == 1
    assert found["items"][0]["after"]["stuck"] == ["sign"]


def test_replay_of_a_draft_that_changes_no_flow_has_nothing_to_tell(world: World) -> None:
    effective(world)
    found = replay(world.ctx(ADMIN), world.ctx(ADMIN).registry.release)
    assert (found["count"], found["documents"]) == (0, [])
    same = replay(world.ctx(ADMIN), world.ctx(ADMIN).registry.release, flow="rule_release")
    assert (same["count"], same["changed"]) == (1, 0)


def test_replay_is_for_configurators_and_within_bounds(world: World) -> None:
    release = world.ctx(ADMIN).registry.release
    with pytest.raises(Forbidden):
        replay(world.ctx(APPROVER), release)
    for months in (0, 25):
        with pytest.raises(Invalid):
            replay(world.ctx(ADMIN), release, months=months)
    with pytest.raises(Invalid):
        replay(world.ctx(ADMIN), release, flow="nothing")


def test_flows_that_a_release_changes_are_proved_against_the_staff(world: World) -> None:
    text = RULE_FLOW.replace("version: 1", "version: 2").replace("approver}", "marketing}")
    running = world.ctx(ADMIN).registry.release
    found = prove_changes(world.ctx(ADMIN), running, tried(world, text))
    assert [(one["flow"], one["version"], one["gaps"]) for one in found] == [
        ("rule_release", 2, [])
    ]
    nobody = replace(EVERYBODY, roles={"approver": ("21",)})
    with STAFF.asking(lambda *_: nobody):
        [gap] = prove_flow(world.ctx(ADMIN), running, running.flows["rule_release"])["gaps"]
    assert (gap["kind"], gap["people"]) == ("single", [{"id": "21", "name": "Chen"}])


def test_steps_that_a_migrating_version_drops_are_told(world: World) -> None:
    running = world.ctx(ADMIN).registry.release
    other = RULE_FLOW.replace("version: 1", "version: 2").replace("id: review", "id: look")
    moving = other.replace("steps:", "in_flight: {on_flow_publish: migrate}\nsteps:")
    for text, told in ((other, []), (moving, ["review"])):
        [found] = prove_changes(world.ctx(ADMIN), running, tried(world, text))
        assert found["unmapped"] == told


DRAFTED = """
flow: discount_rule_release
version: 7
document: discount_rule
steps: [{id: one, approvers: {role: finance_reviewer}}]
"""


def test_draft_tells_over_rest_what_its_flows_lack_and_replays_them(site) -> None:
    admin = site.client("admin")
    text = f"roles: [{{name: finance_reviewer}}]\n---\n{DRAFTED}"
    made = admin.post("/api/v1/schema/drafts", json={"yaml": text}).json["id"]
    [proof] = admin.get(f"/api/v1/schema/drafts/{made}").json["proof"]
    assert [(one["kind"], one["steps"]) for one in proof["gaps"]] == [("empty", ["one"])]
    url = f"/api/v1/schema/drafts/{made}/replay"
    found = admin.post(url, json={"months": 2}).json
    assert (found["count"], found["documents"]) == (0, ["discount_rule"])
    assert site.client("clerk").post(url, json={}).status_code == 403
    assert admin.post(url, json={"months": 0}).status_code == 422
    assert admin.post(url, json={"month": 1}).status_code == 422
    broken = admin.post("/api/v1/schema/drafts", json={"yaml": DRAFTED}).json["id"]
    refused = admin.post(f"/api/v1/schema/drafts/{broken}/replay", json={})
    assert refused.status_code == 422


def test_what_if_is_asked_over_rest(site) -> None:
    url = "/api/v1/instances/nothing/whatif"
    assert site.client("admin").post(url, json={}).status_code == 404
    assert site.client("clerk").post(url, json={}).status_code == 403
    wrong = site.client("admin").post(url, json={"away": [3]})
    assert (wrong.status_code, wrong.json["problems"][0]["path"]) == (422, "away")
