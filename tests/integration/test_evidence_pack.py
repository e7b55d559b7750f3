"""The evidence of one approval, checked by a bare Python that knows nothing of the product."""

import io
import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.actor import SYSTEM, Actor
from core.errors import Forbidden, NotFound
from core.ids import new_id
from core.workflow.evidence import offline
from core.workflow.evidence.erasing import erase_person
from core.workflow.evidence.pack import read_pack, zipped
from core.workflow.evidence.rootfiles import export_roots, root_files
from core.workflow.evidence.roots import make_roots
from tests.integration.evidence_world import approved
from tests.integration.flow_steps import submitted
from tests.integration.flow_world import ADMIN, APPROVER, FINANCE, LIN, World, person

AUDITOR = person("41", "An", "auditor")


def unpacked(world: World, instance_id: str, folder: Path, actor: Actor = ADMIN) -> Path:
    """Write the pack of an approval into a folder and return it."""
    pack = read_pack(world.ctx(actor), instance_id)
    content = zipped(pack, {"evidence.html": b"<p>read me</p>"}, {})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return folder


def verified(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Return what `python -I verify.py` answers in a folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env={"LC_ALL": "C"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_pack_proves_without_the_product(world: World, tmp_path: Path) -> None:
    for number in range(6):
        approved(world, code=f"N{number}")
    instance_id = approved(world)
    make_roots(world.ctx(SYSTEM))
    with world.db.read() as connection:
        export_roots(connection, tmp_path / "roots")
    (exported,) = root_files(tmp_path / "roots")
    folder = unpacked(world, instance_id, tmp_path / "pack")
    code, out, err = verified(folder)
    assert (code, err) == (0, "")
    assert "4 events form one chain" in out
    assert "covers the first 4 events" in out
    code, out, _ = verified(folder, "--root", str(exported))
    assert (code, "the exported root is the same" in out) == (0, True)
    other = exported.with_name("other.jsonl")
    other.write_text(exported.read_text().replace('"leaves":7', '"leaves":8'))
    assert verified(folder, "--root", str(other))[0] == 1
    assert verified(folder, "--root")[0] == verified(folder, "--what")[0] == 2


def test_approval_without_a_root_says_so(world: World, tmp_path: Path) -> None:
    _, sent = submitted(world)
    folder = unpacked(world, sent["instance"], tmp_path)
    code, out, _ = verified(folder)
    assert (code, "no daily root has covered it yet" in out) == (0, True)


def test_erased_person_is_gone_from_the_pack_and_it_proves(world: World, tmp_path: Path) -> None:
    instance_id = approved(world)
    erase_person(world.ctx(ADMIN), APPROVER.id)
    folder = unpacked(world, instance_id, tmp_path)
    assert "同意" not in (folder / "evidence.json").read_text(encoding="utf-8")
    code, out, _ = verified(folder)
    assert (code, "2 erased" in out) == (0, True)


def test_any_flipped_byte_fails(world: World, tmp_path: Path) -> None:
    instance_id = approved(world)
    make_roots(world.ctx(SYSTEM))
    folder = unpacked(world, instance_id, tmp_path)
    offline.check(folder, "")
    chance = random.Random(11)
    broken = offline.BrokenError, ValueError, LookupError, TypeError, AttributeError
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(60):
            changed = bytearray(whole)
            place = chance.randrange(len(whole))
            changed[place] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            with pytest.raises(broken):
                offline.check(folder, "")
        path.write_bytes(whole)
    offline.check(folder, "")
    (folder / "evidence.html").write_bytes(b"<p>read mf</p>")
    assert verified(folder)[0] == 1


def test_edit_with_a_fresh_manifest_is_still_found(world: World, tmp_path: Path) -> None:
    instance_id = approved(world)
    make_roots(world.ctx(SYSTEM))
    folder = unpacked(world, instance_id, tmp_path)
    whole = (folder / "evidence.json").read_text(encoding="utf-8")
    for old, new in (
        ("同意，按此执行。", "不同意。"),
        ('"verb": "approve"', '"verb": "reject"'),
        ('"actor_name": "Chen"', '"actor_name": "Zhao"'),
        ('"ended_by_name": "Chen"', '"ended_by_name": "Zhao"'),
        ('"weight": 1', '"weight": 2'),
        ('"title": "Spring"', '"title": "Summer"'),
        ('\\"rule_release\\"', '\\"rule_releasf\\"'),
    ):
        assert old in whole, old
        (folder / "evidence.json").write_text(whole.replace(old, new), encoding="utf-8")
        seal(folder)
        with pytest.raises(offline.BrokenError):
            offline.check(folder, "")
    (folder / "evidence.json").write_text(whole, encoding="utf-8")
    for name in ("leaf", "root"):
        proof = json.loads((folder / "proof.json").read_text())
        proof[name]["events"] += 1
        (folder / "proof.json").write_text(json.dumps(proof))
        seal(folder)
        with pytest.raises(offline.BrokenError):
            offline.check(folder, "")


def seal(folder: Path) -> None:
    """Make the manifest anew, as whoever forges a pack would."""
    files = {
        path.name: offline.sha256(path.read_bytes())
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }
    made = {"format": offline.FORMAT, "files": files}
    text = offline.canonical(made | {"hash": offline.manifest_hash(made)})
    (folder / "manifest.json").write_text(text)


def test_only_who_may_see_every_field_takes_evidence(world: World) -> None:
    instance_id = approved(world)
    for actor in (ADMIN, AUDITOR, APPROVER, SYSTEM):
        assert read_pack(world.ctx(actor), instance_id).evidence["instance"]["id"] == instance_id
    # The clerk sees every field of the record as well; finance does not see its cost.
    assert read_pack(world.ctx(LIN), instance_id).proof["root"] is None
    with pytest.raises(Forbidden):
        read_pack(world.ctx(FINANCE), instance_id)
    for actor, asked in ((person("42", "Nobody"), instance_id), (ADMIN, new_id())):
        with pytest.raises(NotFound):
            read_pack(world.ctx(actor), asked)


FORM = """
record_type: pledge
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: cost, type: decimal}
policies:
  - {name: clerks, who: {role: clerk}, actions: [view, create, edit, submit]}
  - {name: approvers, who: {role: approver}, actions: ["*"]}
  - {name: cashiers, who: {role: cashier}, actions: [view], fields: {view: [name, status]}}
"""

FLOW = """
flow: pledge_release
version: 1
title: {zh: 承诺审批, en: Pledge approval}
document: pledge
steps:
  - id: review
    type: approve
    title: {zh: 审核, en: Review}
    approvers: {role: approver}
    decide: any
"""


def pledged(site: Any) -> str:
    """Return the id of an approval over REST, submitted by a clerk and approved."""
    site.put_back(FORM, FLOW)
    clerk, approver = site.client("clerk"), site.client("approver")
    body = {"name": "春季承诺 Spring", "cost": "12.50"}
    record_id = clerk.post("/api/v1/records/pledge", json=body).json["id"]
    sent = clerk.post(f"/api/v1/records/pledge/{record_id}/submit", json={}).json
    task = approver.get(f"/api/v1/tasks/{sent['task']}").json
    said = {"subject_hash": task["subject_hash"], "opinion": "同意。"}
    answer = approver.post(f"/api/v1/tasks/{sent['task']}/approve", json=said)
    assert answer.status_code == 200, answer.text
    return str(sent["instance"])


def test_pack_over_rest_is_a_zip_with_a_page_to_read(site: Any, tmp_path: Path) -> None:
    instance_id = pledged(site)
    path = f"/api/v1/instances/{instance_id}/evidence"
    answer = site.client("admin").get(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert "attachment" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path)
    assert names >= {"evidence.json", "proof.json", "verify.py", "manifest.json"}
    assert names & {"evidence.pdf", "evidence.html"}
    code, out, err = verified(tmp_path)
    assert (code, "4 events form one chain" in out) == (0, True), err
    assert site.client("cashier").get(path).status_code == 403
    assert site.client().get(path).status_code == 401
    page = site.browser("admin").get(f"/instances/{instance_id}").text
    assert f'href="{path}"' in page
    assert f'href="{path}"' not in site.browser("cashier").get(f"/instances/{instance_id}").text
