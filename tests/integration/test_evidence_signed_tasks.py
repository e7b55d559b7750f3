"""Steps that are signed, over REST and in the archive of evidence."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from core.testing.site import PASSWORD
from tests.integration.test_evidence_signing import drawn, encoded

FORM = """
record_type: contract
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
policies:
  - {name: all, who: {role: [clerk, approver]}, actions: ["*"]}
"""

FLOW = """
flow: contract_release
version: 1
document: contract
steps:
  - {id: review, type: approve, approvers: {role: approver}, decide: any, sign: password}
  - {id: seal, type: approve, approvers: {role: approver}, decide: any, sign: handwritten}
"""


@pytest.fixture
def contract(site: Any) -> dict[str, Any]:
    """Return the answer to the submission of a contract that is signed twice."""
    site.put_back(FORM, FLOW)
    clerk = site.client("clerk")
    record = clerk.post("/api/v1/records/contract", json={"name": "租约 Lease"}).json["id"]
    sent = clerk.post(f"/api/v1/records/contract/{record}/submit", json={}).json
    return dict(sent)


def decided(client: FlaskClient, task: str, **body: Any) -> Any:
    shown = client.get(f"/api/v1/tasks/{task}").json["subject_hash"]
    said = {"subject_hash": shown, **body}
    return client.post(f"/api/v1/tasks/{task}/approve", json=said)


def events_of(client: FlaskClient, instance: str) -> list[dict[str, Any]]:
    content = client.get(f"/api/v1/instances/{instance}/evidence").data
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return list(json.loads(archive.read("evidence.json"))["events"])


def test_step_with_a_password_is_decided_with_it_alone(site: Any, contract: Any) -> None:
    approver, task = site.client("approver"), contract["task"]
    for given, status, code in (
        ({}, 401, "flow.reauth_required"),
        ({"signature": {}}, 401, "flow.reauth_required"),
        ({"signature": {"password": "wrong"}}, 401, "flow.reauth_required"),
        ({"signature": {"password": 1}}, 400, "malformed"),
    ):
        answer = decided(approver, task, **given)
        assert (answer.status_code, answer.json["code"]) == (status, code)
    before = len(events_of(site.client("admin"), contract["instance"]))
    answer = decided(approver, task, signature={"password": PASSWORD})
    assert answer.status_code == 200, answer.text
    made = events_of(site.client("admin"), contract["instance"])
    said = made[before]
    assert (said["verb"], said["auth"]) == ("approve", "password")
    assert json.loads(said["detail"])["signature"] == {"way": "password"}
    assert PASSWORD not in json.dumps(made)
    assert said["meaning"] == "I approve the release of 租约 Lease as it was shown to me."


def test_handwritten_step_binds_the_picture_to_the_decision(
    site: Any, contract: Any, tmp_path: Path
) -> None:
    approver = site.client("approver")
    first = decided(approver, contract["task"], signature={"password": PASSWORD}).json
    picture = drawn(9)
    for given, status, code in (
        ({}, 422, "flow.signature_required"),
        ({"password": PASSWORD}, 422, "flow.signature_required"),
        ({"image": encoded(picture), "pointer": "pen"}, 401, "flow.reauth_required"),
        (
            {"password": PASSWORD, "image": encoded(drawn(0)), "pointer": "pen"},
            422, "flow.signature_required",
        ),
    ):  # fmt: skip
        answer = decided(approver, first["next_task"], signature=given)
        assert (answer.status_code, answer.json["code"]) == (status, code), given
    signature = {"password": PASSWORD, "image": encoded(picture), "pointer": "pen"}
    answer = decided(approver, first["next_task"], signature=signature)
    assert answer.json["state"] == "approved", answer.text
    content = site.client("admin").get(f"/api/v1/instances/{contract['instance']}/evidence").data
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    (kept,) = (tmp_path / "signatures").iterdir()
    assert kept.read_bytes() == picture
    arguments = [sys.executable, "-I", "-S", str(tmp_path / "verify.py")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, "1 drawn signatures" in done.stdout) == (0, True), done.stderr
    kept.write_bytes(drawn(10))
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == 1
    event = json.loads((tmp_path / "evidence.json").read_text())["events"][-2]
    image = json.loads(event["detail"])["signature"]["image"]
    for name in ("approver", "clerk", "admin"):
        assert site.client(name).get(f"/api/v1/files/{image}").status_code == 404, name


def test_repeated_key_answers_as_before_and_signs_once(site: Any, contract: Any) -> None:
    approver, task = site.client("approver"), contract["task"]
    shown = approver.get(f"/api/v1/tasks/{task}").json["subject_hash"]
    body = {"subject_hash": shown, "signature": {"password": PASSWORD}}
    path, headers = f"/api/v1/tasks/{task}/approve", {"Idempotency-Key": "signed-1"}
    first = approver.post(path, json=body, headers=headers)
    again = approver.post(path, json=body, headers=headers)
    assert (again.status_code, again.json) == (200, first.json)
    made = events_of(site.client("admin"), contract["instance"])
    assert [one["verb"] for one in made].count("approve") == 1


def test_page_asks_for_password_and_pad_and_takes_them(site: Any, contract: Any) -> None:
    browser, task = site.browser("approver"), contract["task"]
    page = browser.get(f"/tasks/{task}").text
    assert 'data-signing="password"' in page
    assert 'name="signature.password"' in page
    assert "I approve the release of 租约 Lease" in page
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    shown = page.split('name="subject_hash" value="')[1].split('"')[0]
    form = {"csrf_token": token, "subject_hash": shown, "verb": "approve"}
    refused = browser.post(f"/tasks/{task}/decide", data=form)
    assert (refused.status_code, "with your password" in refused.text) == (401, True)
    done = browser.post(f"/tasks/{task}/decide", data=form | {"signature.password": PASSWORD})
    assert done.status_code == 303, done.text
    open_tasks = site.client("approver").get("/api/v1/tasks?box=todo").json["items"]
    sealed = browser.get(f"/tasks/{open_tasks[0]['id']}").text
    assert 'data-signing="handwritten"' in sealed
    assert "data-pad-image" in sealed
    said = events_of(site.client("admin"), contract["instance"])
    assert {one["auth"] for one in said if one["verb"] == "approve"} == {"password"}
