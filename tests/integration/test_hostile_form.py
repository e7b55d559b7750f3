"""Bad input through pages: typed, posted, put into addresses; and what pages answer with."""

import pytest

from tests.integration.hostile_world import (
    COLUMNS,
    TRAP,
    batches,
    fingerprint,
    input_values,
    page_token,
    refused_character,
    structure,
)

NOWHERE = "01890000-0000-7000-8000-000000000000"
SCRIPTED = {"Accept": "application/json"}
HOST = "http://localhost"

#: What a browser's text control makes of a string before it sends it.
_CONTROLS = str.maketrans("", "", "\r\n")


def typed(record):
    return {name: text.translate(_CONTROLS) or "-" for name, text in record.items()}


@pytest.fixture
def site_schema():
    return (TRAP,)


@pytest.fixture
def trap(site):
    return site.browser("admin")


@pytest.mark.parametrize("headers", [{}, SCRIPTED], ids=["page", "script"])
def test_naughty_strings_typed_into_a_form_are_kept_or_named(trap, headers):
    token, stored = page_token(trap), {}
    for record in map(typed, batches()):
        expected = {
            name: char for name, text in record.items() if (char := refused_character(text))
        }
        answer = trap.post(
            "/records/trap/new", data={"csrf_token": token, **record}, headers=headers
        )
        if expected:
            assert answer.status_code == 422
            for char in expected.values():
                assert char in answer.text
            if headers:
                found = {one["path"]: one["params"]["char"] for one in answer.json["problems"]}
                assert found == expected
        else:
            assert answer.status_code == (200 if headers else 303), answer.text[:500]
            place = answer.json["location"] if headers else answer.headers["Location"]
            stored[place] = record
    assert len(stored) > len(batches()) // 2
    plain = {"csrf_token": token, "code": "PLAIN", **dict.fromkeys(COLUMNS, "x")}
    place = trap.post("/records/trap/new", data=plain).location
    trap.get("/")  # takes the messages that wait for the next page
    harmless = structure(trap.get(place).text)
    for place, record in stored.items():
        page = trap.get(place).text
        values = input_values(page)
        assert {name: values[name] for name in record} == record
        if set(record) == {"code", *COLUMNS}:
            assert structure(page) == harmless


def test_lists_and_histories_show_naughty_strings_as_text(trap, site):
    client = site.client("admin")
    client.post("/api/v1/records/trap/bulk", json={"create": batches()})
    text = trap.get("/records/trap/").text
    names = {name for _tag, attributes in structure(text) for name in attributes}
    assert not any(name.startswith("on") or name == "style" for name in names)
    scripts = [tag for tag in structure(text) if tag[0] == "script"]
    assert all({"src", "nonce", "type"} & set(attributes) for _tag, attributes in scripts)
    first = client.get("/api/v1/records/trap?limit=1").json["items"][0]["id"]
    history = structure(trap.get(f"/records/trap/{first}/history").text)
    assert not {"img", "iframe", "svg/onload", "marquee", "x"} & {tag for tag, _names in history}


POSTED = ("", "\0", "NaN", "1e400", "1e9999999", "0." + "1" * 5000, "-1", "9" * 20, "٣",
          "2026-02-30", "9999-12-31T23:59", "0001-01-01T00:00", "maybe", "{0.__class__}", "{",
          "javascript:alert(1)", "x" * 11_000, "<script>alert(1)</script>", NOWHERE)  # fmt: skip


def test_no_value_breaks_a_form_or_its_address(site):
    browser, types = site.browser("admin"), site.services.registries.current().release.types
    token, before = page_token(browser), fingerprint(site)
    for text in POSTED:
        for name, record_type in types.items():
            form = {"csrf_token": token, "no_such_token": "1"}
            for field in record_type.fields:
                form[field.name] = text
                form |= {f"{field.name}.0.{inner.name}": text for inner in field.fields}
            form.pop("code", None)
            form.pop("no", None)
            form.pop("name", None)
            answer = browser.post(f"/records/{name}/new", data=form, headers=SCRIPTED)
            assert answer.status_code == 422, (name, text[:20], answer.text[:300])
    for text in ("NaN", "9999-12-31T23:59", "9999-12-31T23:59:59Z", "1e9999999", "\0"):
        for name, record_type in types.items():
            query = {field.name: text for field in record_type.fields}
            assert browser.get(f"/records/{name}/new", query_string=query).status_code == 200
    assert fingerprint(site) == before


def test_rows_beyond_the_bound_are_refused_before_they_are_drawn(trap):
    form = {"csrf_token": page_token(trap), "code": "A", "lines": ""}
    form |= {f"lines.{number}.cell": "x" for number in range(1001)}
    answer = trap.post("/records/trap/new", data=form)
    assert answer.status_code == 422
    assert len(answer.text) < 100_000


@pytest.mark.parametrize("query", ["filter=nosuch == 1", "sort=nosuch", "filter=" + "(" * 900])
def test_an_export_that_cannot_be_asked_for_is_an_error_not_half_a_file(site, query):
    answer = site.browser("admin").get(f"/records/store/export?{query}")
    assert (answer.status_code, answer.mimetype) == (422, "text/html")


@pytest.mark.parametrize("path", ["/records/member/new", f"/records/member/{NOWHERE}",
                                  f"/records/member/{NOWHERE}/delete", "/import/member",
                                  f"/tasks/{NOWHERE}/decide", "/locale", "/users/add",
                                  "/users/edit/1", "/users/delete/1", "/roles/add"])  # fmt: skip
@pytest.mark.parametrize("token", [None, "x", "é" * 50])
def test_a_page_without_its_token_changes_nothing(site, path, token):
    browser = site.browser("admin")
    before = fingerprint(site)
    form = {"name": "x"} if token is None else {"name": "x", "csrf_token": token}
    assert browser.post(path, data=form).status_code == 403
    assert fingerprint(site) == before


ADDRESSES = (
    *(f"/users/list/?{name}={value}"
      for name in ("page_UserDBModelView", "psize_UserDBModelView", "_flt_0_active")
      for value in ("", "x", "-1", "9" * 20, "%00", "1e400")),
    *(f"/users/{action}/{value}" for action in ("show", "edit", "action/resetpasswords", "action/x")
      for value in ("x", "-1", "9" * 20, "%00", "999999")),
    "/roles/action/copyrole/1", "/users/download/x", "/users/download/..%2fx",
    "/records/nosuch/", "/records/member/%00", "/records/member/' or 1=1", "/tasks/%00",
    "/import/nosuch", "/import/member/report/x", "/static/..%2fapp.py",
)  # fmt: skip


def test_addresses_that_name_nothing_are_a_4xx_page(site):
    browser = site.browser("admin")
    found = {address: browser.get(address) for address in ADDRESSES}
    # Flask-AppBuilder's own pages answer some of these with a redirect and a message.
    wrong = {
        address: answer.status_code
        for address, answer in found.items()
        if not 300 <= answer.status_code < 500
    }
    assert wrong == {}
    token = page_token(browser)
    for action, row in (("x", "1"), ("", ""), ("copyrole", "x"), ("copyrole", "9" * 20)):
        form = {"csrf_token": token, "action": action, "rowid": row}
        assert browser.post("/roles/action_post", data=form).status_code == 404


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example",
                                    "/\t/evil.example", "\\\\evil.example", "https:evil.example",
                                    "javascript:alert(1)", " //evil.example"])  # fmt: skip
@pytest.mark.parametrize("host", ["localhost", "evil.example"])
def test_signing_in_never_leads_to_another_site(site, target, host):
    client = site.app.test_client()
    base = f"http://{host}"
    page = client.get("/login/", query_string={"next": target}, base_url=base).text
    form = {"username": "clerk", "password": "horse-battery-staple",
            "csrf_token": input_values(page)["csrf_token"]}  # fmt: skip
    query = {"next": target}
    answer = client.post("/login/", data=form, query_string=query, base_url=base)
    assert answer.status_code == 302
    place = answer.headers["Location"]
    assert place.startswith("/")
    assert not place.startswith(("//", "/\\"))


def test_the_host_header_never_reaches_an_address(site):
    for path in ("/records/member", "/users/list", "/", "/login"):
        answer = site.app.test_client().get(path, base_url="http://evil.example")
        assert answer.status_code in {302, 308}
        assert answer.headers["Location"].startswith("/")


PAGES = ("/", "/login/", "/records/member/", "/records/member/new", "/tasks/", "/import/member",
         "/releases/", "/plugins/", "/users/list/", "/users/add", "/roles/list/", "/roles/add",
         "/users/userinfo/", "/resetmypassword/form", "/nosuch", "/records/nosuch/")  # fmt: skip


def test_every_page_has_a_strict_policy_and_keeps_to_it(site):
    browser = site.browser("admin")
    for path in PAGES:
        client = site.app.test_client() if path == "/login/" else browser
        answer = client.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy, path
        assert "default-src 'none'" in policy, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert "no-store" in answer.headers["Cache-Control"], path
        for tag, attributes in structure(answer.text):
            assert "style" not in attributes, (path, tag)
            assert not any(name.startswith("on") for name in attributes), (path, tag)
            if tag in {"script", "style"}:
                assert {"src", "nonce", "type"} & set(attributes), (path, tag, attributes)
