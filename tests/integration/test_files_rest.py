"""Files over REST: upload, who may read them, which fields take them."""

import io
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from core.files.models import content_table, file_table
from core.files.store import digest_of
from core.records.exporting import export_csv
from core.records.importing import run_import
from core.records.queries import Query
from core.records.uploads import remove_unused
from tests.integration.files_world import (
    RECORDS,
    URL,
    codes,
    make_claim,
    picture,
    png,
    site_schema,
    upload,
    upload_id,
)

__all__ = ["site_schema"]

pytestmark = pytest.mark.usefixtures("site")

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"


def got(client: Any, file_id: str, query: str = "") -> tuple[int, bytes, Any]:
    """Return status, content and headers of a download."""
    with client.get(f"{URL}/{file_id}{query}") as response:
        return response.status_code, response.get_data(), response.headers


def test_an_upload_is_its_uploaders_alone(client_as):
    clerk = client_as("clerk")
    body = upload(clerk, PDF, "合同 2026.pdf")
    assert body == {
        "id": body["id"], "name": "合同 2026.pdf", "media_type": "application/pdf",
        "size": len(PDF), "width": None, "height": None, "has_thumbnail": False,
    }  # fmt: skip
    status, content, headers = got(clerk, body["id"])
    assert (status, content) == (200, PDF)
    assert headers["Content-Type"] == "application/pdf"
    disposition = headers["Content-Disposition"]
    assert disposition.startswith("attachment")
    assert "filename*=UTF-8''%E5%90%88%E5%90%8C%202026.pdf" in disposition
    for other in ("approver", "cashier", "admin"):
        assert got(client_as(other), body["id"])[0] == 404
    assert got(client_as(None), body["id"])[0] == 401
    assert clerk.get(f"{URL}/{body['id']}/about").get_json() == body


def test_a_bound_file_is_readable_with_its_field_and_row(client_as):
    clerk, cashier = client_as("clerk"), client_as("cashier")
    contract, paper = upload_id(clerk, PDF, "a.pdf"), upload_id(clerk, b"notes", "b.txt")
    claim = make_claim(clerk, contract=contract, papers=[paper])
    assert (claim["contract"], claim["papers"]) == (contract, [paper])
    assert got(clerk, contract)[0] == 200
    # The cashier sees the field of papers only; the clerk sees own rows only.
    assert got(cashier, paper)[:2] == (200, b"notes")
    assert got(cashier, contract)[0] == 404
    admin = client_as("admin")
    assert got(admin, contract)[0] == 200
    theirs = upload_id(admin, b"theirs", "c.txt")
    make_claim(admin, papers=[theirs])
    assert (got(clerk, theirs)[0], got(cashier, theirs)[0]) == (404, 200)


def test_rights_are_asked_anew_at_each_download(client_as, publish):
    clerk, cashier = client_as("clerk"), client_as("cashier")
    paper = upload_id(clerk, b"notes", "b.txt")
    claim = make_claim(clerk, papers=[paper])
    assert got(cashier, paper)[0] == 200
    tag = got(cashier, paper)[2]["ETag"]
    with cashier.get(f"{URL}/{paper}", headers={"If-None-Match": tag}) as response:
        assert response.status_code == 304
    clerk.delete(f"{RECORDS}/{claim['id']}", headers={"If-Match": '"1"'})
    assert got(cashier, paper)[0] == 404
    with cashier.get(f"{URL}/{paper}", headers={"If-None-Match": tag}) as response:
        assert response.status_code == 404


def test_an_earlier_file_needs_the_right_to_the_history(client_as):
    clerk, cashier = client_as("clerk"), client_as("cashier")
    first, second = upload_id(clerk, b"first", "1.txt"), upload_id(clerk, b"second", "2.txt")
    claim = make_claim(clerk, papers=[first])
    place, seen = f"{RECORDS}/{claim['id']}", {"If-Match": '"1"'}
    assert clerk.patch(place, json={"papers": [second]}, headers=seen).status_code == 200
    assert got(cashier, first)[0] == 404
    assert got(cashier, second)[0] == 200
    # An administrator sees the field in every row and may read its history.
    assert got(client_as("admin"), first)[0] == 200
    restored = clerk.post(f"{place}/restore", json={"version": 1})
    assert restored.get_json()["papers"] == [first]


@pytest.mark.parametrize("who", ["cashier", "clerk"])
def test_a_record_does_not_take_somebody_elses_file(client_as, who):
    admin = client_as("admin")
    paper = upload_id(admin, b"secret", "b.txt")
    if who == "clerk":  # bound, but to a record that the clerk does not see
        make_claim(admin, secret_paper=paper)
    body = make_claim(client_as(who), 422, papers=[paper])
    assert codes(body) == [("papers.0", "file.not_found")]
    assert got(client_as(who), paper)[0] == 404


def test_a_file_that_does_not_exist_is_refused_at_its_place(client_as):
    clerk, missing = client_as("clerk"), "0198f000-0000-7000-8000-000000000000"
    body = make_claim(clerk, 422, contract=missing, items=[{"what": "x", "proof": missing}])
    assert sorted(codes(body)) == [
        ("contract", "file.not_found"), ("items.0.proof", "file.not_found"),
    ]  # fmt: skip
    body = make_claim(clerk, 422, contract="../../etc/passwd", papers="x")
    assert sorted(codes(body)) == [("contract", "field.bad_id"), ("papers", "field.bad_type")]


def test_fields_take_what_they_declare(client_as):
    clerk = client_as("clerk")
    shot, text = upload_id(clerk, png(), "a.pdf"), upload_id(clerk, b"plain", "a.txt")
    big = upload_id(clerk, b"%PDF-1.7\n" + b"x" * 1_100_000, "a.pdf")
    html = upload_id(clerk, b"<html><script>1</script>", "a.txt")
    for value, code in ((shot, "file.type"), (html, "file.type"), (big, "file.too_large")):
        assert codes(make_claim(clerk, 422, contract=value)) == [("contract", code)]
    for field in ("photo", "signed"):
        assert codes(make_claim(clerk, 422, **{field: text})) == [(field, "file.not_picture")]
    jpeg = upload_id(clerk, picture("JPEG", 8, 8), "a.png")
    assert codes(make_claim(clerk, 422, signed=jpeg)) == [("signed", "file.not_signature")]
    many = [upload_id(clerk, bytes([n + 65]), f"{n}.txt") for n in range(4)]
    assert codes(make_claim(clerk, 422, papers=many)) == [("papers", "field.too_many")]
    assert codes(make_claim(clerk, 422, papers=[text, text])) == [("papers", "field.duplicate")]
    made = make_claim(clerk, contract=text, photo=jpeg, signed=shot, papers=many[:3])
    assert made["photo"] == jpeg


def test_a_picture_gets_a_turned_thumbnail_without_metadata(client_as):
    clerk = client_as("clerk")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    exif[0x010E] = "at home"
    shot = upload(clerk, picture("JPEG", 900, 600, exif=exif, comment=b"secret place"), "a.jpg")
    assert (shot["width"], shot["height"], shot["has_thumbnail"]) == (600, 900, True)
    status, content, headers = got(clerk, shot["id"], "?thumbnail=1")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert headers["Content-Disposition"].startswith("inline")
    with Image.open(io.BytesIO(content)) as small:
        assert small.size == (213, 320)
        assert (dict(small.getexif()), small.info.get("comment")) == ({}, None)
    assert b"secret place" not in content
    assert got(clerk, upload_id(clerk, b"x"), "?thumbnail=1")[0] == 404


def test_conditions_see_whether_a_file_is_there(client_as):
    clerk = client_as("clerk")
    assert codes(make_claim(clerk, 422, needs_photo=True))[0][0] == "photo"
    made = make_claim(clerk, needs_photo=True, photo=upload_id(clerk, png()))
    other = make_claim(clerk)
    found = {}
    for text in ("photo is empty", "photo is not empty", "papers is empty"):
        answer = clerk.get(RECORDS, query_string={"filter": text}).get_json()
        found[text] = {one["id"] for one in answer["items"]}
    assert found == {
        "photo is empty": {other["id"]},
        "photo is not empty": {made["id"]},
        "papers is empty": {made["id"], other["id"]},
    }
    assert client_as("admin").get(f"{RECORDS}/{made['id']}").get_json()["photo_count"] == "1.00"


def test_the_same_content_is_stored_once(client_as, services):
    clerk, cashier = client_as("clerk"), client_as("cashier")
    first, second = upload_id(clerk, PDF, "a.pdf"), upload_id(cashier, PDF, "b.pdf")
    with services.db.read() as connection:
        rows = connection.execute(sa.select(file_table.c.id, file_table.c.content)).all()
        count = connection.execute(sa.select(sa.func.count()).select_from(content_table)).scalar()
    digests = {row.content for row in rows if row.id in {first, second}}
    assert (len(digests), count) == (1, 1)
    place = services.files.path(digests.pop())
    assert digest_of(place) == place.name
    assert (place.stat().st_mode & 0o077, place.parent.stat().st_mode & 0o077) == (0, 0)
    assert not list((services.settings.files / "waiting").iterdir())


def test_unused_uploads_go_and_used_ones_stay(client_as, services, make_context):
    clerk, ctx = client_as("clerk"), make_context("system")
    loose, same = upload_id(clerk, b"loose", "a.txt"), upload_id(clerk, b"loose", "b.txt")
    used = upload_id(clerk, png(), "a.png")
    make_claim(clerk, photo=used)
    with services.db.read() as connection:
        rows = connection.execute(sa.select(file_table)).mappings()
        digest = {row["id"]: row["content"] for row in rows}
        waiting = connection.execute(
            sa.text("SELECT visible_at, created_at FROM gx_outbox WHERE topic = 'file.unused'")
        ).all()
    assert len(waiting) == 3
    assert all(row.visible_at[:19] > row.created_at[:19] for row in waiting)
    assert remove_unused(ctx, services.files, loose)
    assert services.files.path(digest[same]).read_bytes() == b"loose"  # another file has it
    assert remove_unused(ctx, services.files, same)
    assert not (services.settings.files / digest[same][:2] / digest[same]).exists()
    assert not remove_unused(ctx, services.files, used)
    assert not remove_unused(ctx, services.files, used)
    assert got(clerk, used)[0] == 200
    assert got(clerk, loose)[0] == 404
    body = make_claim(clerk, 422, papers=[loose])
    assert codes(body) == [("papers.0", "file.not_found")]


def test_an_erased_record_lets_go_of_its_files(client_as, publish, services, make_context):
    publish("customize: claim\nsoft_delete: false\n")
    clerk = client_as("clerk")
    mine, shared = upload_id(clerk, b"mine", "a.txt"), upload_id(clerk, b"shared", "b.txt")
    gone = make_claim(clerk, papers=[mine, shared])
    make_claim(clerk, papers=[shared])
    place = f"{RECORDS}/{gone['id']}"
    assert clerk.delete(place, headers={"If-Match": '"1"'}).status_code == 204
    ctx = make_context("system")
    assert remove_unused(ctx, services.files, mine)
    assert not remove_unused(ctx, services.files, shared)
    assert got(clerk, shared)[0] == 200


def test_somebodys_unused_uploads_are_bounded(client_as, services, make_context, monkeypatch):
    monkeypatch.setattr("core.records.uploads.MOST_UNUSED", 2)
    clerk = client_as("clerk")
    first = upload_id(clerk, b"1")
    upload_id(clerk, b"2")
    assert upload(clerk, b"3", status=429)["code"] == "rate_limited.uploads"
    make_claim(clerk, papers=[first])
    upload_id(clerk, b"3")
    upload_id(client_as("cashier"), b"4")


def test_a_missing_content_is_told_plainly(client_as, services):
    clerk = client_as("clerk")
    lost = upload_id(clerk, b"to be lost")
    with services.db.read() as connection:
        digest = connection.execute(sa.select(file_table.c.content)).scalar_one()
    services.files.remove(digest)
    status, _, _ = got(clerk, lost)
    assert status == 503
    assert clerk.get(f"{URL}/{lost}").get_json()["code"] == "file.content_missing"


def test_the_history_and_the_schema_know_files(client_as):
    clerk = client_as("clerk")
    photo = upload_id(clerk, png())
    claim = make_claim(clerk, photo=photo)
    events = clerk.get(f"{RECORDS}/{claim['id']}/history").get_json()["items"]
    assert events[0]["changes"]["photo"] == [None, photo]
    admin = client_as("admin")
    events = admin.get(f"{RECORDS}/{claim['id']}/history").get_json()["items"]
    assert events[0]["changes"]["photo"] == [None, photo]
    document = admin.get("/api/v1/_openapi").get_json()
    shapes = document["components"]["schemas"]["Claim"]["properties"]
    assert (shapes["photo"]["format"], shapes["papers"]["items"]["format"]) == ("uuid", "uuid")
    body = document["paths"]["/api/v1/files"]["post"]["requestBody"]["content"]
    assert list(body) == ["multipart/form-data"]


def test_a_left_over_of_a_crash_is_swept(client_as, services, make_context):
    upload_id(client_as("clerk"), b"x")
    waiting = services.settings.files / "waiting"
    (waiting / "left").write_bytes(b"half")
    services.files.sweep((make_context("system").now - timedelta(days=1)).timestamp())
    assert (waiting / "left").exists()
    services.files.sweep((make_context("system").now + timedelta(days=1)).timestamp())
    assert not (waiting / "left").exists()


def test_an_export_with_files_is_imported_back(client_as, make_context, tmp_path):
    admin = client_as("admin")
    papers = [upload_id(admin, b"1", "a.txt"), upload_id(admin, b"2", "b.txt")]
    photo = upload_id(admin, png())
    items = [{"what": "tv", "proof": photo}]
    make_claim(admin, subject="one", papers=papers, photo=photo, items=items)
    make_claim(admin, subject="none")
    names = ("subject", "papers", "photo", "items")
    text = "".join(export_csv(make_context("admin"), "claim", Query(fields=names)))
    path = tmp_path / "claims.csv"
    path.write_text(text, encoding="utf-8")
    report = run_import(make_context("admin", door="import"), "claim", path)
    assert (report.created, report.refused) == (2, 0)
    again = "".join(export_csv(make_context("admin"), "claim", Query(fields=names)))
    lines = again.splitlines()
    assert sorted(lines[1:]) == sorted(text.splitlines()[1:] * 2)
    # Who may not read the files may not take them in by import either.
    refused = run_import(make_context("clerk", door="import"), "claim", path)
    assert (refused.created, refused.refused) == (1, 1)
