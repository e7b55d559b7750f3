"""What the log holds: one line for each event, and nobody's secrets (16, 54)."""

import io
import logging
import sqlite3

import pytest
import sqlalchemy as sa

from core.errors import Malformed
from core.jobs.worker import Worker
from core.logs import LineFormatter, one_line
from core.rest.errors import known_error
from core.testing.site import PASSWORD
from tests.integration.hostile_world import page_token

VAULT = """
record_type: vault
title_field: code
fields:
  - {name: code, type: text, required: true, unique: true}
  - {name: tel, type: phone, sensitive: pii}
  - {name: story, type: long_text, sensitive: pii, searchable: true}
  - {name: pin, type: secret}
  - {name: count, type: integer}
"""

CALL = """
automation: told
type: vault
trigger: {on: created}
run_as: {system: true}
retry: {times: 0}
actions:
  - {do: webhook, url: "https://127.0.0.1:1/CANARY-in-a-path", values: {tel: tel}}
"""

#: Each would be found wherever it went.
CANARIES = ("13899997777", "CANARY-story", "CANARY-pin", "CANARY-password", "CANARY-token")
FORGERIES = ("a\r\nERROR core forged", "a\x1b[2J", "a\u202etxt", "a\u2028b", "a\x00b", "a\x85b")


@pytest.fixture
def site_schema():
    return (VAULT, CALL)


@pytest.fixture
def written():
    """Return what everything writes to the log, from the first word on."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    former = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(former)
    root.removeHandler(handler)


def test_no_secret_and_no_sensitive_value_reaches_the_log(site, written, monkeypatch):
    client, browser = site.client("admin"), site.browser("admin")
    values = {"code": "A", "tel": "13899997777", "story": "CANARY-story", "pin": "CANARY-pin"}
    url = "/api/v1/records/vault"
    made = client.post(url, json=values)
    assert made.status_code == 201, made.json
    for body in (
        values,
        {**values, "code": "B", "count": "CANARY-story"},
        {"tel": "13899997777x"},
    ):
        assert client.post(url, json=body).status_code in {409, 422}
    form = {"csrf_token": page_token(browser), **values}
    assert browser.post("/records/vault/new", data=form).status_code == 409
    file = io.BytesIO(b"code,tel,story\nA,13899997777,CANARY-story\nC,13899997777x,CANARY-story\n")
    form = {"csrf_token": page_token(browser), "file": (file, "CANARY-story.csv")}
    assert browser.post("/import/vault", data=form).status_code == 200
    client.get(f"{url}?search=CANARY-story")
    client.get(f"{url}?filter=story == 'CANARY-story' and nosuch")
    login = {"username": "clerk", "password": "CANARY-password", "provider": "db"}
    assert site.client().post("/api/v1/security/login", json=login).status_code == 401
    login["password"] = PASSWORD
    token = site.client().post("/api/v1/security/login", json=login).json["access_token"]
    site.client().get("/api/v1/types", headers={"Authorization": "Bearer CANARY-token"})
    site.client().get("/fill/CANARY-token")
    site.client().post("/api/v1/hooks/told/CANARY-token", json=values)
    Worker(site.services.db, lambda: site.context("system"), elected=False).turn()

    def fail(*_args, **_kwargs):
        with site.services.db.write() as connection:
            connection.execute(sa.text("INSERT INTO r_vault VALUES (:tel)"), values)

    monkeypatch.setattr("core.rest.records.create_record", fail)
    assert client.post(url, json={**values, "code": "D"}).status_code >= 500
    text = written.getvalue()
    assert "r_vault" in text
    assert [word for word in (*CANARIES, token, PASSWORD) if word in text] == []


def test_errors_of_the_database_are_logged_without_their_values(site, written):
    statement = sa.text("SELECT CAST(:value AS integer) / 0, nosuch FROM r_vault")
    if site.backend == "postgresql":
        statement = sa.text("SELECT CAST(CAST(:value AS text) AS integer)")
    with pytest.raises(sa.exc.DBAPIError) as caught, site.services.db.read() as connection:
        connection.execute(statement, {"value": CANARIES[1]})
    known = known_error(caught.value)
    if site.backend == "postgresql":
        assert isinstance(known, Malformed)
    outer = LookupError("behind it")
    outer.__cause__ = caught.value
    logging.getLogger("test").error("it failed", exc_info=outer)
    text = written.getvalue()
    assert "CANARY" not in text
    assert "behind it" in text


def test_one_event_is_one_line_whatever_it_says(site, written):
    log = logging.getLogger("test")
    client = site.client("clerk")
    written.truncate(0)
    written.seek(0)
    for text in FORGERIES:
        log.warning("somebody said %s", text)
        log.error("it failed", exc_info=ValueError(text))
        client.get(f"/api/v1/records/{text.replace(chr(13), '').replace(chr(10), '%0A')}")
    lines = written.getvalue().split("\n")
    assert lines.pop() == ""
    assert len([line for line in lines if " test " in line]) == 2 * len(FORGERIES)
    assert all(line[:2] == "20" for line in lines)
    assert not any(set(line) & set("\x1b\r\u202e\u2028\x00\x85") for line in lines)
    assert any("\\nValueError: a\\r\\nERROR core forged" in line for line in lines)


def test_lone_halves_of_characters_are_written_too():
    assert one_line("a\ud800b\n") == "a\\ud800b\\n"
    assert one_line("会员 ok") == "会员 ok"


def test_an_error_of_a_driver_is_told_by_its_kind():
    formatter = LineFormatter()
    try:
        sqlite3.connect(":memory:").execute("SELECT 'CANARY' FROM nowhere")
    except sqlite3.Error as error:
        told = formatter.formatException((type(error), error, error.__traceback__))
    assert told.endswith("OperationalError SQLITE_ERROR")
    assert "nowhere" not in told.splitlines()[-1]
