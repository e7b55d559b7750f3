"""Requests that nobody means, drawn over every route: what is sent, and what must hold after."""

import json
import re
from typing import Any

from hypothesis import strategies as st

from tests.effort import Effort
from tests.integration.hostile_world import SHAPE, fingerprint, page_token

NOWHERE = "01890000-0000-7000-8000-000000000000"

#: Seconds of CPU that a request may take.
SECONDS = 1

#: Routes whose success would end the session or take minutes, not what is asked here.
LEFT_OUT = re.compile(r"/sign-out|/logout|/login")

TEXTS = (
    "", " ", "x", "\0", "\ud800", "a\ufffe", "\x1b[31m", "\u202e", "é" * 300, "x" * 5_000, "-1",
    "9" * 40, "1e400", "NaN", "{0.__class__}", "{{7*7}}", "${7*7}", "' or 1=1 --", "=cmd|' /C calc'!A0",
    "../../etc/passwd", "%00", "<script>alert(1)</script>", "2026-02-30", "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00", "member", "id", "no", "admin", NOWHERE, "no == 1", "(" * 500,
    "not " * 400, "__class__", "a.b.c", "*", "-created_at", ",", ";", "W10", "true", "null",
    "PT99999999999999H", "record_type: x", "[" * 5_000, "\r\nSet-Cookie: a=b",
)  # fmt: skip

_NUMBERS = (0, -1, 1, 1.5, 10**20, -(10**20), 1e308, 10**60, 2**63, 0.1 + 0.2)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.sampled_from(TEXTS),
    st.text(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=4)
    ),
    max_leaves=8,
)

RAW = (
    b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 20_000, b'{"a":' * 20_000,
    b'{"a":1,"a":2}', b'{"a":1e999999999}', b'{"a":' + b"9" * 5_000 + b"}", b"NaN", b"{}" * 100,
    b'{"name":"' + b"x" * 10_000_000 + b'"}', b'{"a":[' + b"[]," * 2_000_000 + b"[]]}",
    b'{"' + b"[{" * 2_000_000 + b'":1}', b"{" + b",".join(b'"k%d":1' % n for n in range(200_000)) + b"}",
)  # fmt: skip

KINDS = (
    "application/json", "application/json; charset=utf-16", "text/plain", "application/xml", "",
    "multipart/form-data", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
    "application/json\t", "x" * 500,
)  # fmt: skip

HEADERS = {
    "If-Match": ('"1"', "1", "*", '"x"', "-1", '"99999999999999"', "W/\"2\"", "é", ""),
    "Idempotency-Key": ("k1", "", "x" * 200, "é", "a b"),
    "Accept-Language": ("zh", "en", "x" * 1_000, "*;q=2", "zh;q=é"),
    "X-Request-Id": ("ok-1", "<x>", "x" * 1_000),
    "Accept": ("application/json", "text/html", "x/y"),
    "X-Forwarded-For": ("9.9.9.9", "x"),
    "Range": ("bytes=0-", "bytes=-99999999999999999999"),
    "If-None-Match": ('"x"', "*"),
}  # fmt: skip


class Operation:
    """One method of one route, with the names that its body and query know.

    Attributes:
        path: with `{name}` for each part.
        is_page: it belongs to the pages, which take forms.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        keys: tuple[str, ...] = (),
        query: tuple[str, ...] = (),
        is_page: bool = False,
    ) -> None:
        """Take note of it."""
        self.method, self.path, self.keys, self.query = method, path, keys, query
        self.is_page = is_page

    def __repr__(self) -> str:
        return f"{self.method} {self.path}"


def operations_of(document: dict[str, Any]) -> list[Operation]:
    """Return every operation of an OpenAPI document."""
    found = []
    for path, item in sorted(document["paths"].items()):
        shared = item.get("parameters", [])
        for method, one in sorted(item.items()):
            if method == "parameters" or LEFT_OUT.search(path):
                continue
            query = tuple(
                each["name"]
                for each in (*shared, *one.get("parameters", ()))
                if each.get("in") == "query"
            )
            whole = path if path.startswith("/api/") else f"/api/v1{path}"
            found.append(Operation(method.upper(), whole, keys=_keys(document, one), query=query))
    return found


def _keys(document: dict[str, Any], operation: dict[str, Any]) -> tuple[str, ...]:
    content = operation.get("requestBody", {}).get("content", {})
    shape = content.get("application/json", {}).get("schema", {})
    name = shape.get("$ref", "").rpartition("/")[2]
    if name:
        shape = document["components"]["schemas"][name]
    return tuple(shape.get("properties", ()))


def pages_of(app: Any) -> list[Operation]:
    """Return every operation of the pages."""
    return [
        Operation(method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), is_page=True)
        for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.rule)
        if rule.endpoint.startswith("gx.") and not LEFT_OUT.search(rule.rule)
        if not rule.rule.startswith("/api/")
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


#: Keys that bodies of routes know which the document does not describe key by key.
KEYS = (
    "id", "version", "items", "changes", "filter", "search", "create", "update", "delete", "atomic",
    "verb", "subject_hash", "opinion", "to", "preview", "yaml", "note", "name", "type", "fields",
    "record", "text", "reason", "label", "days", "enabled", "definition", "columns", "values", "no",
    "lines", "store", "__proto__", "", "_items", "_filter", "csrf_token", "then",
)  # fmt: skip


@st.composite
def requests(draw: Any, operations: list[Operation], known: dict[str, tuple[str, ...]]) -> Any:
    """Return an operation and the arguments for a test client's `open`."""
    operation = draw(st.sampled_from(operations))

    def part(match: re.Match[str]) -> str:
        good = known.get(match[1], ())
        if good and draw(st.integers(0, 3)):
            return draw(st.sampled_from(good))
        return draw(st.sampled_from(TEXTS))

    path = re.sub(r"\{(\w+)\}", part, operation.path)
    if operation.path.endswith("}"):
        path = path or "/"
    arguments: dict[str, Any] = {"path": _quoted(path), "method": operation.method}
    names = (*operation.query, "filter", "sort", "nosuch", "view", "after")
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(TEXTS)), max_size=3))
    arguments["query_string"] = "&".join(f"{key}={_quoted(text)}" for key, text in pairs)
    headers = {
        name: draw(st.sampled_from(HEADERS[name]))
        for name in draw(st.lists(st.sampled_from(sorted(HEADERS)), max_size=3, unique=True))
    }
    if operation.method in {"PATCH", "DELETE"} and draw(st.booleans()):
        headers["If-Match"] = '"1"'
    arguments["headers"] = {
        name: text.encode().decode("latin-1") for name, text in headers.items()
    }
    if operation.method not in {"GET", "DELETE"}:
        arguments |= draw(_page_body() if operation.is_page else _body(operation))
    return operation, arguments


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text.encode("utf-8", "surrogatepass"), safe="/")


@st.composite
def _body(draw: Any, operation: Operation) -> dict[str, Any]:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return {"data": draw(st.sampled_from(RAW)), "content_type": draw(st.sampled_from(KINDS))}
    keys = st.sampled_from((*operation.keys * 3, *KEYS))
    body = draw(st.dictionaries(keys, values, max_size=5))
    data = json.dumps(body).encode()
    return {"data": data, "content_type": draw(st.sampled_from(KINDS)) if kind == 1 else KINDS[0]}


@st.composite
def _page_body(draw: Any) -> dict[str, Any]:
    if draw(st.integers(0, 9)) == 0:
        return {
            "data": draw(st.sampled_from(RAW[:10])),
            "content_type": draw(st.sampled_from(KINDS)),
        }
    names = st.sampled_from((*KEYS, "lines.0.product", "lines.x.y", "lines.99999.a", "lines"))
    texts = st.sampled_from(TEXTS).map(lambda text: text.encode("utf-8", "replace").decode())
    return {"data": draw(st.dictionaries(names, texts, max_size=5)), "is_form": True}


class Fuzz:
    """Sends requests and asserts what must hold of every answer."""

    def __init__(self, site: Any, role: str = "admin") -> None:
        """Send as somebody of a role, over REST by token and to pages by cookie."""
        self._site = site
        self.client, self._browser = site.client(role), site.browser(role)
        self._token = page_token(self._browser)
        self._before = fingerprint(site)
        #: Code -> how often it was the answer.
        self.codes: dict[int, int] = {}

    def send(self, operation: Operation, arguments: dict[str, Any]) -> None:
        """Send one request and look at the answer and the database."""
        given = dict(arguments)
        client = self._browser if operation.is_page else self.client
        if given.pop("is_form", False):
            given["data"] = {**given["data"], "csrf_token": self._token}
        effort = Effort()
        with client.open(**given) as answer:
            body = answer.get_data()
        assert effort.seconds < SECONDS, (operation, effort.seconds)
        status = answer.status_code
        self.codes[status] = self.codes.get(status, 0) + 1
        assert status < 500, (operation, arguments, body[:500])
        if status >= 400:
            if not operation.is_page:
                assert set(json.loads(body)) >= SHAPE, (operation, arguments)
            assert b"Traceback" not in body
            assert fingerprint(self._site) == self._before, (operation, arguments)
        elif operation.method != "GET":
            self._before = fingerprint(self._site)
        elif fingerprint(self._site) != self._before:
            msg = f"{operation} changed something"
            raise AssertionError(msg)
