"""Bad files into the import: every one ends in a report or a refusal, by page and command."""

import csv
import gzip
import io

import pytest

from core.records.mapping import FORMULA_STARTS
from tests.effort import Effort
from tests.integration.hostile_world import (
    TRAP,
    batches,
    fingerprint,
    page_token,
    refused_character,
)


@pytest.fixture
def site_schema():
    return (TRAP,)


@pytest.fixture
def upload(site):
    browser = site.browser("admin")
    token = page_token(browser)

    def send(content, name="in.csv", record_type="trap", **form):
        data = {"csrf_token": token, "file": (io.BytesIO(content), name), **form}
        return browser.post(f"/import/{record_type}", data=data)

    return send


def as_csv(records):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), restval="")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode()


def read_in(text):
    """Return what a cell becomes: an export's `'` before a formula is taken off again."""
    return text[1:] if text[:1] == "'" and text[1:2] in FORMULA_STARTS else text


def test_every_naughty_string_is_imported_or_its_character_named(site, upload):
    records = [
        {name: "".join(text.splitlines()) for name, text in record.items()} for record in batches()
    ]
    good = {
        record["code"]: record
        for record in records
        if not any(refused_character(text) for text in record.values())
    }
    answer = upload(as_csv(records))
    assert answer.status_code == 200
    for record in records:
        for text in record.values():
            assert (refused_character(text) or "") in answer.text
    url = "/api/v1/records/trap?limit=200"
    read = {one["code"]: one for one in site.client("admin").get(url).json["items"]}
    assert set(read) == set(good)
    for code, record in good.items():
        assert {name: read[code][name] for name in record} == {
            name: read_in(text) or None for name, text in record.items()
        }


BROKEN = {
    "empty": b"",
    "only a mark": b"\xef\xbb\xbf",
    "only a header": b"code,t00\r\n",
    "nul": b"code,t00\r\na,\0\r\n",
    "not text": bytes(range(128, 256)) * 40,
    "broken utf-8": b"code,t00\r\na,\xff\xfe\xfd\r\n",
    "open quote": b'code,t00\r\na,"never closed\r\n' + b"x,y\r\n" * 50,
    "unknown column": b"code,nosuch\r\na,b\r\n",
    "column twice": b"code,code\r\na,b\r\n",
    "system column": b"code,version,id\r\na,7,x\r\n",
    "no key": b"t00\r\nx\r\n",
    "too many cells": b"code,t00\r\n" + b"a" + b",x" * 5000 + b"\r\n",
    "too few cells": b"code,t00,t01\r\na\r\n",
    "long cell": b"code,t00\r\na," + b"x" * 300_000 + b"\r\n",
    "many columns": b",".join(b"c%d" % n for n in range(20_000)) + b"\r\n",
    "control": b"code,t00\r\na,\x1b[2J\r\n",
    "separator": b"sep=;\r\ncode;t00\r\n",
    "marked, then not text": b"\xef\xbb\xbfcode\r\n\xff\xfe\r\n",
    "odd utf-16": "code,t00\r\na,b".encode("utf-16")[:-1],
}


#: Cells that are not there are empty; columns of an export that nobody writes are left out.
HALF_GOOD = {"too few cells", "system column"}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_ends_in_a_report_and_writes_nothing(site, upload, name):
    before = fingerprint(site)
    effort = Effort()
    answer = upload(BROKEN[name])
    assert effort.seconds < 3
    assert answer.status_code in {200, 400, 413, 422}, answer.text[:500]
    if name in HALF_GOOD:
        [record] = site.client("admin").get("/api/v1/records/trap").json["items"]
        assert (record["code"], record["version"], len(record["id"])) == ("a", 1, 36)
    else:
        assert fingerprint(site) == before


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x1f\x8b\x08broken", "in.csv.gz"),
        (b"\xfd7zXZ\0broken", "in.csv.xz"),
        (gzip.compress(b"code,t00\r\n" + b"x" * 60_000_000), "in.csv.gz"),
        (gzip.compress(b"code,t00\r\na,b\r\n")[:-6], "in.csv.gz"),
        (b"code\r\na\r\n", "in.exe"),
        (b"code\r\na\r\n", "../../in"),
        (b"code\r\na\r\n", "in.csv\0.sh"),
    ],
    ids=["gzip", "xz", "bomb", "cut", "suffix", "path", "nul"],
)
def test_files_that_are_not_what_they_say_are_refused(site, upload, content, name):
    before = fingerprint(site)
    effort = Effort()
    answer = upload(content, name)
    assert effort.seconds < 5
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert fingerprint(site) == before


@pytest.mark.parametrize(
    "mapping",
    [
        b"",
        b"[",
        b"type: member",
        b"x: &a [*a]",
        b"\0",
        b"\xff",
        b"a: " + b"[" * 5000,
        b"type: trap\nkey: code\nfields: {code: \"eval('1')\"}",
        b"x" * 70_000,
        b"type: trap\nkey: code\nfields: {code: code, nosuch: code}",
    ],
    ids=range(10),
)
def test_a_broken_mapping_is_refused(site, upload, mapping):
    before = fingerprint(site)
    answer = upload(b"code\r\na\r\n", mapping=(io.BytesIO(mapping), "map.yaml"))
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert fingerprint(site) == before


def test_only_those_who_may_import_reach_the_page(site):
    for role in ("cashier", "approver", "auditor"):
        browser = site.browser(role)
        assert browser.get("/import/member").status_code == 403
