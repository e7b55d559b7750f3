"""A site with a form that holds files, and the files that tests upload to it."""

import io
import zlib
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

URL = "/api/v1/files"
RECORDS = "/api/v1/records/claim"

CLAIM = """
record_type: claim
label: {zh: 理赔, en: Claim}
title_field: subject
fields:
  - {name: subject, type: text, required: true}
  - {name: contract, type: file, accept: [application/pdf, text/*], max_size: 1 MB}
  - {name: papers, type: files, max_count: 3, label: {zh: 附件, en: Papers}}
  - {name: photo, type: image, label: {zh: 照片, en: Photo}}
  - {name: signed, type: signature, label: {zh: 签名, en: Signature}}
  - {name: secret_paper, type: file}
  - {name: needs_photo, type: boolean}
  - {name: photo_count, type: formula, formula: "0 if photo is empty else 1"}
  - name: items
    type: table
    fields:
      - {name: what, type: text}
      - {name: proof, type: image}
checks:
  - {check: "needs_photo != true or photo is not empty", message: {en: A photo is needed}, fields: [photo]}
policies:
  - {name: all, who: {role: Admin}, actions: ["*"]}
  - name: own
    who: {role: clerk}
    actions: [view, print, share, create, edit, delete, import, export, history]
    rows: "created_by == current_user"
    fields: {view: [subject, contract, papers, photo, signed, needs_photo, items], edit: [subject, contract, papers, photo, signed, needs_photo, items]}
  - name: papers
    who: {role: cashier}
    actions: [view, create, print]
    fields: {view: [subject, papers], edit: [subject, papers]}
"""


def png(width: int = 8, height: int = 6, colour: str = "red") -> bytes:
    """Return a PNG picture."""
    return picture("PNG", width, height, colour)


def picture(form: str, width: int, height: int, colour: str = "red", **options: Any) -> bytes:
    """Return a picture in one of Pillow's formats."""
    target = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(target, form, **options)
    return target.getvalue()


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Return a PNG of a few hundred bytes that claims billions of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body).to_bytes(4, "big")
        return len(body).to_bytes(4, "big") + kind + body + crc

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    pixels = zlib.compress(b"\0" * 100_000, 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b""))
    )


def upload(client: FlaskClient, content: bytes, name: str = "a.bin", status: int = 201) -> Any:
    """Upload one file and return the answer's body."""
    # Encoded here: the client would leave the temporary file of a large body open.
    boundary, body = encode_multipart({"file": FileStorage(io.BytesIO(content), name)})
    kind = f"multipart/form-data; boundary={boundary}"
    response = client.post(URL, data=body, content_type=kind)
    assert response.status_code == status, response.get_data(as_text=True)
    return response.get_json()


def upload_id(client: FlaskClient, content: bytes, name: str = "a.bin") -> str:
    """Upload one file and return its id."""
    return str(upload(client, content, name)["id"])


def make_claim(client: FlaskClient, status: int = 201, **values: Any) -> Any:
    """Create a claim and return the answer's body."""
    response = client.post(RECORDS, json={"subject": "s", **values})
    assert response.status_code == status, response.get_data(as_text=True)
    return response.get_json()


def codes(body: Any) -> list[tuple[str, str]]:
    """Return path and code of each problem of a refusal."""
    return [(one["path"], one["code"]) for one in body["problems"]]


@pytest.fixture
def site_schema() -> tuple[str, ...]:
    """Have the claim form published."""
    return (CLAIM,)
