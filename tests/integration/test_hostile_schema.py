"""Bad input into the schema and settings: refused in time with a place, nothing published."""

import pytest

from tests.effort import Effort
from tests.integration.hostile_world import assert_refused, fingerprint

API = "/api/v1"
HEAD = "record_type: bad\nfields:\n  - {name: code, type: text}\n"

HOSTILE = {
    "empty": "",
    "not a mapping": "- 1\n- 2\n",
    "broken": "record_type: [",
    "alias bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}{', *' + ('a' if n == 0 else f'b{n - 1}')}]\n"
        for n in range(24)
    ),
    "merge keys": "record_type: bad\nx: &x {a: 1}\ny:\n  <<: *x\n",
    "tag": "record_type: !!python/object/apply:os.system [echo]\n",
    "binary": "record_type: !!binary aGFsbG8=\n",
    "64 KiB and one": HEAD + "#" * (64 * 1024 + 1 - len(HEAD)),
    "deep": "record_type: " + "[" * 5000 + "]" * 5000,
    "deep mapping": "record_type: bad\nfields: " + "{a: " * 2000 + "1" + "}" * 2000,
    "many keys": "record_type: bad\n" + "".join(f"k{n}: 1\n" for n in range(5000)),
    "duplicate keys": "record_type: bad\nrecord_type: worse\n",
    "unknown keys": HEAD + "drop_table: r_member\n",
    "sql name": 'record_type: "x; drop table r_member"\nfields: [{name: code, type: text}]\n',
    "dunder": "record_type: __class__\nfields: [{name: __init__, type: text}]\n",
    "system field": "record_type: bad\nfields: [{name: id, type: text}]\n",
    "backtracking": HEAD.replace("text}", "text, pattern: '(a+'}"),
    "expression": HEAD + "checks: [{check: \"__import__('os')\", message: {en: x}}]\n",
    "long expression": HEAD + 'checks: [{check: "' + "(" * 3000 + '", message: {en: x}}]\n',
    "huge number": HEAD.replace("text}", "text, max_length: " + "9" * 5000 + "}"),
    "many documents": "---\n".join([HEAD] * 300),
}


def test_hostile_drafts_are_refused_in_time_and_publish_nothing(site):
    admin = site.client("configurator")
    before = fingerprint(site)
    for name, text in HOSTILE.items():
        effort = Effort()
        made = admin.post(f"{API}/schema/drafts", json={"yaml": text})
        if made.status_code == 201:
            assert_refused(admin.post(f"{API}/schema/drafts/{made.json['id']}/publish", json={}))
        else:
            assert_refused(made)
        assert effort.seconds < 2, name  # two requests, each less than one
    after = fingerprint(site)
    assert {name for name in before if before[name] != after[name]} <= {"gx_draft"}


def test_the_problems_of_a_hostile_draft_are_told(site):
    admin = site.client("configurator")
    for name in ("broken", "tag", "many documents"):
        made = admin.post(f"{API}/schema/drafts", json={"yaml": HOSTILE[name]})
        assert admin.get(f"{API}/schema/drafts/{made.json['id']}").json["checks"]


CHANGES = (
    [None], [1], ["x"], [[]], [{}], [{"op": 1}], [{"op": "drop_table"}], [{"op": "add_field"}],
    [{"op": "add_field", "type": "nosuch", "field": {"name": "x", "type": "text"}}],
    [{"op": "add_field", "type": "member", "field": "x"}],
    [{"op": "add_field", "type": "member", "field": {}}],
    [{"op": "add_field", "type": "member", "field": {"name": 1, "type": []}}],
    [{"op": "add_field", "type": "member", "field": {"name": "x\ny: 1", "type": "text"}}],
    [{"op": "add_field", "type": "member", "field": {"name": "x", "type": "nosuch"}}],
    [{"op": "add_field", "type": "member", "field": {"name": "no", "type": "text"}}],
    [{"op": "rename_field", "type": "member", "field": "no", "to": ""}],
    [{"op": "rename_field", "type": "member", "field": "no", "to": "id"}],
    [{"op": "archive_field", "type": "member", "field": "nosuch"}],
    [{"op": "set_property", "type": "member", "field": "no", "property": "__class__", "value": 1}],
    [{"op": "set_property", "type": "member", "property": "fields", "value": 1}],
    [{"op": "set_property", "type": "member", "property": "fields", "value": [[[[]]]]}],
    [{"op": "set_property", "type": "member", "field": "no", "property": "max_length",
      "value": 1e300}],
    [{"op": "archive_field", "type": "member", "field": "no"}] * 51,
    [{"op": "add_field", "type": "member", "field": dict.fromkeys(map(str, range(5000)), 1)}],
    [{"op": "retype_field", "type": "member", "field": "no", "to": "nosuch"}],
    [{"op": "retype_field", "type": "member", "field": "no", "to": "integer"}],
    [{"op": "retype_field", "type": "member", "field": "nosuch", "to": "integer"}],
    [{"op": "retype_field", "type": "member", "field": "no", "to": "text", "properties": []}],
    [{"op": "merge_fields", "type": "member", "fields": "no", "into": {"name": "x"}}],
    [{"op": "merge_fields", "type": "member", "fields": [1, {}], "into": {"name": "x"}}],
    [{"op": "merge_fields", "type": "member", "fields": ["no", "name"], "into": "x"}],
    [{"op": "merge_fields", "type": "member", "fields": ["no"], "into": {"name": [1]}}],
    [{"op": "split_field", "type": "member", "field": "no", "into": ["a", "b"]}],
    [{"op": "split_field", "type": "member", "field": "no", "into": [{}], "separator": 1}],
    [{"op": "rename_option", "type": "member", "field": "no", "option": "a", "to": "b"}],
    [{"op": "rename_option", "type": "member", "field": "status", "option": 1, "to": "b"}],
    [{"op": "rename_type", "type": "member", "to": "order"}],
    [{"op": "rename_type", "type": "nosuch", "to": "x"}],
    [{"op": "rename_type", "type": "member", "to": "x; drop table r_member"}],
)  # fmt: skip


def test_hostile_changes_of_the_schema_are_refused_and_publish_nothing(site):
    admin = site.client("admin")
    before = fingerprint(site)
    for changes in CHANGES:
        made = admin.post(f"{API}/schema/drafts", json={"changes": changes})
        if made.status_code == 201:
            refused = admin.post(f"{API}/schema/drafts/{made.json['id']}/publish", json={})
            assert refused.status_code == 422, changes
            assert refused.json["problems"]
        else:
            assert_refused(made)
    after = fingerprint(site)
    assert {name for name in before if before[name] != after[name]} <= {"gx_draft"}


@pytest.mark.parametrize("role", ["clerk", "approver", "cashier", "auditor"])
def test_only_those_who_run_the_server_reach_schema_and_settings(site, role):
    client, before = site.client(role), fingerprint(site)
    for method, url, body in (
        ("POST", "schema/drafts", {"yaml": HEAD}), ("GET", "schema/drafts/x", None),
        ("POST", "schema/drafts/x/publish", {}), ("GET", "schema/releases", None),
        ("POST", "schema/releases/1/rollback", {}), ("GET", "schema/releases/1/export", None),
        ("GET", "schema/releases/1/rollback", None),
        ("GET", "schema/releases/1/quarantine", None), ("GET", "schema/uses/member", None),
        ("GET", "schema/upgrade", None), ("POST", "schema/upgrade", {}),
        ("GET", "settings/discount_rules", None),
        ("PUT", "settings/discount_rules", {"stacking_mode": 2}),
    ):  # fmt: skip
        answer = client.open(f"{API}/{url}", method=method, json=body)
        assert (answer.status_code, answer.json["code"]) == (403, "forbidden"), url
    assert fingerprint(site) == before


def test_settings_of_wrong_types_are_refused_by_name(site):
    admin, before = site.client("admin"), fingerprint(site)
    url = f"{API}/settings/discount_rules"
    for value in (None, "", "x", "\0", 0, 3, 10**20, 1.5, 1e308, True, [], {}, [1], {"a": 1}):
        answer = admin.put(url, json={"stacking_mode": value, "nosuch": value})
        assert answer.status_code == 422, value
        paths = {one["path"] for one in answer.json["problems"]}
        assert "nosuch" in paths
        # Nothing given means the default, which is one of the two modes.
        assert "stacking_mode" in paths or value in (None, "")
    for body in ([], None, 1, "x"):
        assert_refused(admin.put(url, json=body))
    assert fingerprint(site) == before
