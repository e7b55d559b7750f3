"""Flows that are bombs, as YAML and as BPMN: refused in time, and nothing is published."""

import json

import pytest

from tests.effort import Effort
from tests.integration.hostile_world import assert_refused, post_raw
from tests.integration.hostileflow_world import API, desk, site_schema

__all__ = ["desk", "site_schema"]


def nested(depth):
    """Return a flow of branches inside of branches."""
    step = "{id: last, approvers: {role: approver}}"
    for level in range(depth):
        step = (
            f"{{id: b{level}, type: branch, cases: [{{when: rate > 0, steps: [{step}]}}], "
            f"else: []}}"
        )
    return flow(step)


def flow(*steps):
    """Return the next version of the flow of offers with other steps."""
    head = "flow: offer_release\nversion: 2\ndocument: offer\nsteps:\n"
    return head + "".join(f"  - {step}\n" for step in steps)


def many(count):
    """Return a flow of so many steps."""
    return flow(*(f"{{id: s{number}, approvers: {{role: approver}}}}" for number in range(count)))


def guarded(when):
    """Return a flow with a condition."""
    return flow(
        f"{{id: b, type: branch, cases: [{{when: {json.dumps(when)}, steps: []}}], else: []}}",
        "{id: last, approvers: {role: approver}}",
    )


LAUGHS = "a: &a [x,x]\n" + "".join(
    f"{chr(98 + at)}: &{chr(98 + at)} [*{chr(97 + at)},*{chr(97 + at)}]\n" for at in range(20)
)
#: What nobody may publish, and how long it may take to say so, in seconds.
BOMBS = {
    "5,000 steps": (lambda: many(5000), 6),
    "power": (lambda: guarded("rate == 9 ** 9 ** 9 ** 9"), 1),
    "text": (lambda: guarded("LEN(code * 999999999) > 1"), 1),
    "deep": (lambda: guarded("(" * 5000 + "rate > 1" + ")" * 5000), 1),
    "long": (lambda: guarded(" or ".join(["rate > 1"] * 20_000)), 2),
    "attribute": (lambda: guarded("code.__class__.__mro__ == 1"), 1),
    "call": (lambda: guarded("open('/etc/passwd') == 1"), 1),
    "aliases": (lambda: flow("{id: last, approvers: {role: approver}}") + LAUGHS, 1),
    "merge": (lambda: flow("{<<: {id: last}, approvers: {role: approver}}"), 1),
    "tag": (lambda: flow("!!python/object/apply:os.system ['true']"), 1),
    "every step twice": (lambda: flow(*["{id: s, approvers: {role: approver}}"] * 500), 2),
    "thirty blocks in each other": (lambda: nested(30), 1),
    "itself": (lambda: flow("{id: s, type: subflow, flow: offer_release}"), 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_flow_that_is_a_bomb_is_refused_in_time(desk, site, name):
    if site.backend != "sqlite":
        return  # a draft is read before any database is asked
    make, seconds = BOMBS[name]
    before = site.services.registries.current().release.number
    effort = Effort()
    answer = desk.client("admin").post(f"{API}/schema/drafts", json={"yaml": make()})
    if answer.status_code == 201:
        url = f"{API}/schema/drafts/{answer.json['id']}"
        assert desk.client("admin").get(url).status_code < 500
        answer = desk.client("admin").post(f"{url}/publish", json={"note": "x"})
    assert effort.seconds < seconds, name
    assert_refused(answer)
    assert site.services.registries.current().release.number == before


def test_bpmn_that_is_a_bomb_is_refused_at_once(desk, site):
    if site.backend != "sqlite":
        return
    head = '<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha">'
    entities = "".join(
        f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(12)
    )
    for xml in (
        f"{head}{entities}]><definitions>&m;</definitions>",
        '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><definitions>&x;</definitions>',
        "<a>" * 50_000, "<a/>" * 3, "", "\ud800", "\0", "<definitions " + "a" * 10**6 + "/>",
    ):  # fmt: skip
        effort = Effort()
        answer = post_raw(desk.client("admin"), f"{API}/schema/flows/bpmn", {"xml": xml})
        assert effort.seconds < 1
        assert_refused(answer)
        assert "root:" not in answer.text
