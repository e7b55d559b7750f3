"""Every page needs a sign-in, links change nothing, cookies and answers are closed as shipped."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from core.app import create_app
from core.jobs.leases import acquire
from core.rest.exchange import rest
from core.rest.system import WORKER_SECONDS
from core.security.services import EXTENSION
from core.security.users import role_table
from core.settings import Settings
from core.testing.site import PASSWORD
from tests.integration.hostile_world import fingerprint

#: What a stranger gets without an error; anything else must be refused or lead to the sign-in.
#: A page that is to be open must be put here, where a reviewer sees it.
OPEN = {
    "AuthDBView.login": 200,
    "AuthDBView.logout": 302,
    "gx.show_thanks": 200,
    "UtilView.back": 302,
    "system.healthz": 200,
    "system.metrics": 200,
    "system.readyz": 200,
}
#: Of sign-in by other ways there is no trace.
SIGNING_IN = {"AuthDBView.login", "AuthDBView.logout", "TokenApi.login", "TokenApi.refresh"}


def addresses(app):
    """Yield (endpoint, method, address) of everything but the JSON routes and static files."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(f"{rest.name}.") or rule.endpoint.endswith("static"):
            continue
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield rule.endpoint, method, re.sub(r"<[^>]+>", "1", rule.rule)


def test_a_stranger_is_refused_or_led_to_the_sign_in_everywhere(site):
    before = fingerprint(site)
    client, found = site.client(), {}
    for endpoint, method, address in addresses(site.app):
        answer = client.open(address, method=method)
        leads = answer.headers.get("Location", "").startswith("/login/")
        if answer.status_code < 400 and not leads:
            found[endpoint] = answer.status_code
    assert found == OPEN
    assert fingerprint(site) == before


def test_only_the_ways_to_sign_in_that_are_switched_on_have_an_address(site):
    found = {
        rule.endpoint
        for rule in site.app.url_map.iter_rules()
        if re.search(r"login|logout|refresh|oauth|openid|saml|register", rule.rule)
    }
    assert found == SIGNING_IN


# The library of the inherited forms warns of itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_reading_as_an_administrator_changes_nothing(site):
    before = fingerprint(site)
    browser = site.browser("admin")
    for endpoint, method, address in addresses(site.app):
        if method == "GET":
            answer = browser.get(address)
            assert answer.status_code < 500, (endpoint, answer.text)
    for name in ("copyrole", "copy_role", "muldelete", "userinfoedit"):
        for kind in ("roles", "users"):
            assert browser.get(f"/{kind}/action/{name}/2").status_code < 500
    for number in range(2, 10):
        for kind in ("users", "roles"):
            assert browser.get(f"/{kind}/delete/{number}").status_code < 500
    assert fingerprint(site) == before


@pytest.mark.parametrize("environment", ["development", "production"])
def test_the_session_cookie_is_closed(site, environment):
    app = site.app
    if environment == "production":
        environ = {
            "GUANXI_HOME": str(site.settings.home),
            "GUANXI_DATABASE_URL": site.database_url,
            "GUANXI_ENV": environment,
        }
        app = create_app(Settings.load(environ))
    here = {"base_url": "https://localhost"}
    try:
        client = app.test_client()
        page = client.get("/login/", **here).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
        body = {"username": "clerk", "password": PASSWORD, "csrf_token": token}
        answer = client.post(
            "/login/", data=body, headers={"Referer": "https://localhost/"}, **here
        )
        assert answer.status_code == 302, answer.text
        cookie = answer.headers["Set-Cookie"]
        assert {"HttpOnly", "SameSite=Lax"} <= set(re.split("; ", cookie))
        assert ("Secure" in cookie) is (environment == "production")
        page = client.get("/", **here)
        assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
        has_hsts = "Strict-Transport-Security" in page.headers
        assert has_hsts is (environment == "production")
    finally:
        if app is not site.app:
            app.extensions[EXTENSION].db.dispose()


def test_a_worker_that_is_silent_is_said_to_be(site):
    client, clock = site.client(), site.services.clock
    for seconds, state in ((1, "running"), (WORKER_SECONDS + 60, "stopped")):
        site.put_back()
        with site.services.db.write() as connection:
            then, length = clock.now() - timedelta(seconds=seconds), timedelta(seconds=1)
            assert acquire(connection, "worker 1", "somebody", now=then, length=length)
        assert client.get("/readyz").json["worker"] == state
        assert f"guanxi_worker_up {int(state == 'running')}" in client.get("/metrics").text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_rights_of_a_role_have_names_in_the_readers_language(site):
    with site.services.db.read() as connection:
        query = sa.select(role_table.c.id).where(role_table.c.name == "clerk")
        role = connection.execute(query).scalar_one()
    browser = site.browser("admin")
    headers = {"Accept-Language": "zh"}
    form = browser.get(f"/roles/edit/{role}", headers=headers).text
    assert ">用户 · 查看列表</option>" in form
    assert not re.search(r"\bon \w+View\b|menu access", form)
