"""What the tests of bad input share: a form of texts, hostile values, a fingerprint."""

import gzip
import hashlib
import html.parser
import json
import re
from pathlib import Path

import sqlalchemy as sa

#: Every failure of every JSON route has these.
SHAPE = {"code", "message", "problems", "hint", "request_id"}

#: What a refused request may write: the history of refusals, counted sign-ins, leases.
_UNWATCHED = ("gx_history", "gx_login_try", "gx_lease", "gx_outbox", "gx_delivered", "gx_notice")

COLUMNS = tuple(f"t{number:02}" for number in range(16))

#: A record type with many texts, so that one request carries many strings.
TRAP = (
    """
record_type: trap
title_field: code
fields:
  - {name: code, type: text, required: true, unique: true, max_length: 40}
"""
    + "".join(f"  - {{name: {name}, type: text, max_length: 500}}\n" for name in COLUMNS)
    + """
  - {name: notes, type: long_text}
  - name: lines
    type: table
    fields:
      - {name: cell, type: text, max_length: 500, searchable: true}
"""
)


def naughty_strings():
    path = Path(__file__).parents[1] / "data" / "naughty_strings.json.gz"
    return [text for text in json.loads(gzip.decompress(path.read_bytes())) if text]


def batches():
    """Return the strings as records of the trap, 16 of them in each."""
    texts, size = naughty_strings(), len(COLUMNS)
    return [
        {"code": f"N{at:03}", **dict(zip(COLUMNS, texts[at : at + size], strict=False))}
        for at in range(0, len(texts), size)
    ]


def refused_character(text, lines=False):
    """Return the first character that no text may hold, as a refusal names it."""
    for char in text:
        code = ord(char)
        if lines and char in "\t\n":
            continue
        if code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF:
            return f"U+{code:04X}"
        if 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE:
            return f"U+{code:04X}"
    return None


def fingerprint(site, beside=_UNWATCHED):
    """Return each table's row count and content hash, but for those that may be written to.

    These are what refusals may write, unless said otherwise.
    """
    with site.services.db.read() as connection:
        names = [
            name
            for name in sa.inspect(connection).get_table_names()
            if name.startswith(("r_", "gx_", "ab_")) and name not in beside
        ]
        if connection.dialect.name == "postgresql":
            counted = (_COUNTED.format(name) for name in names)
            found = connection.exec_driver_sql(" UNION ALL ".join(counted)).all()
            return {name: (count, rows) for name, count, rows in found}
        return {name: _counted(connection, name) for name in names}


#: One statement for all tables: a round trip for each takes longer than their few rows.
_COUNTED = (
    """SELECT '{0}', count(*), md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM "{0}" t"""
)


def _counted(connection, name):
    # Past SQLAlchemy: hostile requests ask for this some hundred times a table.
    rows = connection.connection.driver_connection.execute(f'SELECT * FROM "{name}"')
    texts = sorted(map(repr, rows))
    return len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()


class _Structure(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, tuple(name for name, _value in attributes)))


def structure(page):
    """Return the elements of a page with the names of their attributes."""
    parser = _Structure()
    parser.feed(page)
    return parser.found


class _Values(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.found = {}

    def handle_starttag(self, tag, attributes):
        own = dict(attributes)
        if tag == "input" and own.get("name"):
            self.found.setdefault(own["name"], own.get("value") or "")


def input_values(page):
    """Return name -> value of the page's input elements."""
    parser = _Values()
    parser.feed(page)
    return parser.found


def page_token(browser):
    """Return the CSRF token of a page that `browser` is shown."""
    page = browser.get("/records/member/new").text
    return re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]


def assert_refused(answer):
    """Assert that a JSON answer is a refusal in the one shape."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:500])
    assert set(answer.json) >= SHAPE


def post_raw(client, url, body):
    """Post `body` as JSON of ASCII alone, in which lone surrogates can be written."""
    return client.post(url, data=json.dumps(body), content_type="application/json")
