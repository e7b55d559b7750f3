"""Hostile uploads and downloads: spoofed types, scripts, bombs, names, paths (security §1, 37–38)."""

import io
import struct
import time
import zipfile
from functools import cache
from typing import Any

import pytest

from core.files.pictures import read_picture
from core.files.sniffing import cleaned_name
from core.security.filing import POLICY
from tests.integration.files_world import (
    URL,
    bomb,
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

SVG = b'<?xml version="1.0"?><!-- x --><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
HTML = b"\n\n<img src=x onerror=alert(1)>"


def archive(**entries: bytes) -> bytes:
    """Return a ZIP archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name.replace("__", "/"), content)
    return target.getvalue()


ACTIVE = {
    "svg": (SVG, "photo.png", "image/svg+xml"),
    "html": (HTML, "photo.jpg", "text/html"),
    "html-utf16": ("<html><script>1</script>".encode("utf-16"), "a.txt", "text/plain"),
    "xml": (b"<?xml version='1.0'?><a/>", "a.csv", "text/xml"),
    "gif-js": (b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)//", "a.gif", "image/gif"),
    "gifar": (picture("GIF", 4, 4) + archive(x=b"y"), "a.gif", "image/gif"),
    "pdf-html": (b"%PDF-1.4\n<html><script>alert(1)</script>", "a.html", "application/pdf"),
    "exe": (b"MZ\x90\x00\x03" + b"\0" * 100, "a.pdf",
            "application/vnd.microsoft.portable-executable"),
    "zip-as-docx": (archive(x=b"y"), "a.docx", "application/zip"),
}  # fmt: skip


def test_active_content_is_an_attachment_in_a_sandbox(client_as, browser_as):
    for case in ACTIVE.values():
        _check_served(client_as("clerk"), browser_as("clerk"), *case)


def _check_served(clerk: Any, browser: Any, content: bytes, name: str, media_type: str) -> None:
    body = upload(clerk, content, name)
    assert body["media_type"] == media_type
    for client, place in ((clerk, URL), (browser, "/files")):
        with client.get(f"{place}/{body['id']}") as response:
            assert (response.status_code, response.get_data()) == (200, content)
            headers = response.headers
            is_shown = place == "/files" and body["has_thumbnail"]
            wanted = "inline" if is_shown else "attachment"
            assert headers["Content-Disposition"].split(";")[0] == wanted
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Content-Security-Policy"] == POLICY
            assert "no-cache" in headers["Cache-Control"]
    if not body["has_thumbnail"]:
        assert codes(make_claim(clerk, 422, photo=body["id"])) == [("photo", "file.not_picture")]


def test_families_of_types_leave_active_content_out(client_as, publish):
    publish("customize: claim\nfields: [{name: contract, accept: [image/*, text/*]}]")
    clerk = client_as("clerk")
    for content in (SVG, HTML):
        refused = make_claim(clerk, 422, contract=upload_id(clerk, content, "a.png"))
        assert codes(refused) == [("contract", "file.type")]
    make_claim(clerk, contract=upload_id(clerk, png(), "a.html"))


def test_a_bomb_of_pixels_is_never_decoded(client_as):
    clerk, start = client_as("clerk"), time.monotonic()
    for size in ((60_000, 60_000), (2**31 - 1, 1), (31_000, 2), (7000, 7000)):
        body = upload(clerk, bomb(*size), "small.png")
        assert not body["has_thumbnail"]
        refused = make_claim(clerk, 422, photo=body["id"])
        assert codes(refused)[0][1] in {"file.too_many_pixels", "file.not_picture"}
    assert time.monotonic() - start < 10
    make_claim(clerk, papers=[body["id"]])  # as a file it is like any other


@cache
def _png_with_text_bomb() -> bytes:
    import zlib

    body = b"Comment\0\0" + zlib.compress(b"\0" * 80_000_000, 9)
    chunk = len(body).to_bytes(4, "big") + b"zTXt" + body
    chunk += zlib.crc32(b"zTXt" + body).to_bytes(4, "big")
    shot = png()
    return shot[:33] + chunk + shot[33:]


BROKEN = {
    "cut": png(64, 64)[:60],
    "empty-png": b"\x89PNG\r\n\x1a\n",
    "jpeg-cut": picture("JPEG", 64, 64)[:300],
    "webp-cut": picture("WEBP", 64, 64)[:30],
    "gif-zero": b"GIF89a" + struct.pack("<HH", 0, 0) + b"\0\0\0;",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) run\n",
    "tiff": picture("TIFF", 8, 8),
    "bmp": picture("BMP", 8, 8),
    "ico": picture("ICO", 16, 16),
}


def test_a_broken_picture_is_a_file_but_no_picture(client_as):
    clerk = client_as("clerk")
    # Packing the bomb takes a second, too long for who only collects the tests.
    for case, content in {**BROKEN, "text-bomb": _png_with_text_bomb()}.items():
        body = upload(clerk, content, "a.png")
        assert not body["has_thumbnail"], case
        assert codes(make_claim(clerk, 422, photo=body["id"]))[0][0] == "photo", case


NAMES = [
    "../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "a\x00.png", "tab\t\x7f.txt",
    "\u202egnp.exe", "=cmd|' /C calc'!A0.csv", "<script>alert(1)</script>.txt", "", ".", "a" * 5000 + ".pdf",
    '"; filename="evil.html', "%2e%2e%2fpasswd", "名\u2028字.txt",
]  # fmt: skip


def test_names_never_become_paths_headers_or_markup(client_as, browser_as, services):
    clerk, kept = client_as("clerk"), []
    for name in NAMES:
        body = upload(clerk, b"content", name)
        kept.append(body["id"])
        shown = body["name"]
        assert shown == cleaned_name(shown)
        assert 0 < len(shown) <= 150
        assert not set(shown) & set('/\\<>":|?*\r\n\0\u202e')
        with clerk.get(f"{URL}/{body['id']}") as response:
            assert response.status_code == 200
            assert "Set-Cookie" not in response.headers
    folder = services.settings.files
    assert all(len(path.name) == 64 for path in folder.rglob("*") if path.is_file())
    claim = make_claim(clerk, papers=[kept[7]])
    page = browser_as("clerk").get(f"/records/claim/{claim['id']}")
    assert page.status_code == 200
    assert "<script>alert(1)" not in page.get_data(as_text=True)


PATHS = [
    "../secret-key", "..%2f..%2fsecret-key", "%2e%2e/secret-key", "....//secret-key", "/etc/passwd",
    "waiting", "0" * 64, "secret-key%00", "C:\\x", "ab/" + "0" * 64, "\u202e", "x" * 3000,
]  # fmt: skip


def test_a_download_takes_ids_only(client_as):
    admin = client_as("admin")
    for place in [f"{folder}/{path}" for folder in (URL, "/files") for path in PATHS]:
        with admin.get(place) as response:
            assert response.status_code in {302, 404, 308}, place
            assert b"root:" not in response.get_data()


PART, EMPTY = (b"x", "a"), (b"", "a.txt")


def fresh(data: Any) -> Any:
    """Return a body whose parts were not read yet."""
    if not isinstance(data, dict):
        return data
    return {name: [_part(each) for each in _several(value)] for name, value in data.items()}


def _several(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _part(value: Any) -> Any:
    return (io.BytesIO(value[0]), value[1]) if isinstance(value, tuple) else value


BODIES: dict[str, tuple[dict[str, Any], int]] = {
    "json": ({"json": {"file": "x"}}, 400),
    "nothing": ({"data": b"", "content_type": "multipart/form-data; boundary=x"}, 400),
    "no-boundary": ({"data": b"abc", "content_type": "multipart/form-data"}, 400),
    "other-part": ({"data": {"other": PART}}, 400),
    "two": ({"data": {"file": [PART, PART]}}, 400),
    "text-part": ({"data": {"file": "text"}, "content_type": "multipart/form-data"}, 400),
    "empty-file": ({"data": {"file": EMPTY}}, 400),
    "cut": ({"data": b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nab',
             "content_type": "multipart/form-data; boundary=x"}, 400),
    "many-parts": ({"data": {f"p{n}": PART for n in range(50)}}, 413),
}  # fmt: skip


# A body that breaks off leaves its parts to the garbage collector, inside Werkzeug.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_body_that_is_no_upload_is_refused(client_as, services):
    clerk = client_as("clerk")
    for case, (arguments, status) in BODIES.items():
        given = {key: fresh(value) if key == "data" else value for key, value in arguments.items()}
        response = clerk.post(URL, **given)
        assert response.status_code == status, case
        assert set(response.get_json()) >= {"code", "message", "problems", "request_id"}
    waiting = services.settings.files / "waiting"
    assert not waiting.is_dir() or not list(waiting.iterdir())


def test_an_upload_over_the_bound_is_refused_early(client_as, monkeypatch):
    monkeypatch.setattr("core.records.uploads.MOST_BYTES", 1000)
    clerk = client_as("clerk")
    assert upload(clerk, b"x" * 1001, status=413)["code"] == "too_large.file"
    upload(clerk, b"x" * 1000)


def test_a_cookie_alone_uploads_nothing(browser_as, app, client_as):
    app.config["WTF_CSRF_ENABLED"] = True
    browser = browser_as("clerk")
    refused = browser.post(URL, data={"file": (io.BytesIO(b"x"), "a.txt")})
    assert refused.status_code == 403
    assert refused.get_json()["code"].startswith("forbidden")
    assert client_as(None).post(URL, data={"file": (io.BytesIO(b"x"), "a")}).status_code == 401


def test_odd_pictures_do_not_stop_the_reader(tmp_path):
    source, place = bytearray(picture("JPEG", 40, 30)), tmp_path / "a"
    for step in range(0, len(source), 7):
        broken = bytes(source[:step]) + bytes([source[step] ^ 0xFF]) + bytes(source[step + 1 :])
        place.write_bytes(broken)
        found = read_picture(place)
        assert found is None or found.media_type == "image/jpeg"
