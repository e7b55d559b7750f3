"""Sign-in as shipped: throttled over all processes, revoked at the next request."""

import base64
import hashlib
import json
import sys
import time

import jwt
import pytest
import sqlalchemy as sa
from flask_appbuilder.security.sqla import models

from core.app import create_app
from core.errors import Invalid
from core.security import throttle
from core.security.passwords import check_password, hash_password, is_password
from core.security.services import EXTENSION
from core.security.stores import assign_stores
from core.security.users import user_table
from core.testing.site import PASSWORD
from tests.effort import Effort

LOGIN = "/api/v1/security/login"
WHO = "/api/v1/types"


def sign_in(client, name="clerk", password=PASSWORD, **rest):
    return client.post(
        LOGIN, json={"username": name, "password": password, "provider": "db"} | rest
    )


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def other_process(site):
    """Another application on the same database, with memory of its own."""
    app = create_app(site.settings)
    yield app
    app.extensions[EXTENSION].db.dispose()


def test_sign_in_gives_a_token_that_works(site):
    client = site.client()
    token = sign_in(client).json["access_token"]
    assert client.get(WHO, headers=bearer(token)).status_code == 200


@pytest.mark.parametrize(
    "password", ["", "wrong", "\x00", "\x00\x00", "x" * 1_000_000, PASSWORD + " "]
)
def test_wrong_passwords_and_unknown_names_get_one_answer(site, password):
    client = site.client()
    known, unknown = (sign_in(client, name, password) for name in ("clerk", "nobody"))
    assert (known.status_code, unknown.status_code) == (401, 401)
    assert {**known.json, "request_id": ""} == {**unknown.json, "request_id": ""}


def hashings(act):
    """Return how often `act` works out a password's hash, which is all of a sign-in's time."""
    counted = []

    def watch(_frame, event, function):
        if event == "c_call" and function is hashlib.scrypt:
            counted.append(function)

    former = sys.getprofile()
    sys.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(former)
    return len(counted)


def test_sign_in_works_as_much_for_unknown_names_as_for_known_ones(site):
    with site.services.db.write() as connection:
        inactive = user_table.update().where(user_table.c.username == "cashier")
        connection.execute(inactive.values(active=False))
    client = site.client()
    sign_in(client, "nobody", "wrong")  # the first of a process also makes nobody's hash
    for password in ("wrong", PASSWORD[:-1], "x" * 10_000, ""):
        found = {
            name: hashings(lambda name=name, password=password: sign_in(client, name, password))
            for name in ("clerk", "cashier", "nobody", "x" * 10_000, "* ) ( \\")
        }
        expected = 1 if 0 < len(password) < 100 else 0
        assert set(found.values()) == {expected}, (password[:20], found)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"username": 1, "password": "x"}',
        b'{"username": "a"}',
        b"[" * 20_000,
        b'{"username": "\\ud800", "password": "\\ud800"}',
        b"\xff\xfe",
        b'{"a": 1, "username": "x", "password": "y"}',
    ],
)
def test_malformed_sign_in_is_a_4xx(site, body):
    answer = site.client().post(LOGIN, data=body, content_type="application/json")
    assert answer.status_code in {400, 401}
    assert answer.json["code"] in {"malformed", "unauthenticated"}


@pytest.mark.parametrize(
    "name", ["\x00", "a\x00b", "* ) ( \\", "x" * 10_000, "' or 1=1 --", "\u202eclerk"]
)
def test_hostile_names_are_nobody(site, name):
    assert sign_in(site.client(), name).status_code == 401


def test_failures_are_counted_for_all_processes(site, other_process, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_PER_ACCOUNT", 3)
    clients = [site.client(), other_process.test_client()]
    codes = [sign_in(clients[turn % 2], "Clerk", "wrong-wrong").status_code for turn in range(4)]
    assert codes == [401, 401, 401, 429]
    refused = sign_in(clients[0])
    assert (refused.status_code, refused.json["code"]) == (429, "rate_limited")
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    assert sign_in(clients[0], "approver").status_code == 200


def test_failures_from_one_address_are_counted_over_accounts(site, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_PER_ADDRESS", 3)
    client = site.client()
    codes = [sign_in(client, f"user{turn}", "wrong-wrong").status_code for turn in range(4)]
    assert codes == [401, 401, 401, 429]
    forged = client.post(
        LOGIN, json={"username": "x", "password": "y"}, headers={"X-Forwarded-For": "9.9.9.9"}
    )
    assert forged.status_code == 429


def test_success_forgives_earlier_failures(site, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_PER_ACCOUNT", 2)
    client = site.client()
    for _ in range(3):
        assert sign_in(client, password="wrong-wrong").status_code == 401
        assert sign_in(client).status_code == 200


def change_user(site, name, **values):
    with site.app.app_context():
        manager = site.app.appbuilder.sm
        user = manager.find_user(name)
        for key, value in values.items():
            setattr(user, key, value)
        manager.update_user(user)


def reset_password(site):
    with site.app.app_context():
        manager = site.app.appbuilder.sm
        manager.reset_password(manager.find_user("clerk").id, "another-long-passphrase")


def deactivate(site):
    change_user(site, "clerk", active=False)


@pytest.mark.parametrize("revoke", [reset_password, deactivate])
def test_revocation_holds_at_the_next_request_of_every_process(site, other_process, revoke):
    tokens = sign_in(site.client(), refresh=True).json
    here, there = site.client(), other_process.test_client()
    browser = site.browser("clerk")
    for client in (here, there):
        assert client.get(WHO, headers=bearer(tokens["access_token"])).status_code == 200
    assert browser.get(WHO).status_code == 200
    revoke(site)
    for client in (here, there):
        assert client.get(WHO, headers=bearer(tokens["access_token"])).status_code == 401
        again = client.post("/api/v1/security/refresh", headers=bearer(tokens["refresh_token"]))
        assert again.status_code == 401
    assert browser.get(WHO).status_code == 401


def test_role_change_holds_at_the_next_request_of_every_process(site, other_process):
    token = sign_in(site.client()).json["access_token"]
    clients = [site.client(), other_process.test_client()]
    before = [
        client.get("/api/v1/schema/releases", headers=bearer(token)).status_code
        for client in clients
    ]
    with site.app.app_context():
        manager = site.app.appbuilder.sm
        user = manager.find_user("clerk")
        user.roles = [manager.find_role("configurator")]
        manager.update_user(user)
    after = [
        client.get("/api/v1/schema/releases", headers=bearer(token)).status_code
        for client in clients
    ]
    assert (before, after) == ([403, 403], [200, 200])


def test_store_assignment_reaches_every_process(site, other_process):
    services = other_process.extensions[EXTENSION]
    user = site.actor("clerk").id
    with site.services.db.write() as connection:
        assign_stores(connection, user, ["s1", "s2"])
    rights = services.registries.current().revision.rights
    assert services.actors.find(user, rights).stores == {"s1", "s2"}


def test_signing_in_does_not_move_the_revision_of_rights(site):
    before = site.services.registries.current().revision
    assert sign_in(site.client()).status_code == 200
    assert site.services.registries.current().revision == before


def test_group_roles_count(site):
    with site.app.app_context():
        manager = site.app.appbuilder.sm
        manager.add_group(
            "counter", "Counter", "", [manager.find_role("cashier")], [manager.find_user("clerk")]
        )
    assert site.actor("clerk").roles == {"clerk", "cashier"}


def forged(token, key="", algorithm="none", **changes):
    claims = jwt.decode(token, options={"verify_signature": False}) | changes
    if algorithm == "none":
        parts = ({"alg": "none", "typ": "JWT"}, claims)
        return (
            ".".join(
                base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
                for part in parts
            )
            + "."
        )
    return jwt.encode(claims, key, algorithm=algorithm)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")
def test_bad_tokens_are_401_and_fast(site):
    client = site.client()
    good = sign_in(client, refresh=True).json
    token, key = good["access_token"], site.app.config["JWT_SECRET_KEY"]
    past, future = time.time() - 10, time.time() + 10_000
    bad = [
        "",
        "x",
        "a.b.c",
        "x" * 1_000_000,
        token[:-2],
        good["refresh_token"],
        forged(token),
        forged(token, "other-key", "HS256"),
        forged(token, site.settings.secret_key, "HS256"),
        forged(token, key, "HS256", exp=past),
        forged(token, key, "HS256", iat=future),
        forged(token, key, "HS512"),
        forged(token, key, "HS256", sub="999"),
        forged(token, key, "HS256", sub="1 or 1=1"),
        forged(token, key, "HS256", gxs="0"),
    ]
    effort = Effort()
    codes = [client.get(WHO, headers=bearer(one)).status_code for one in bad]
    assert codes == [401] * len(bad)
    assert effort.seconds / len(bad) < 0.5
    assert client.get(WHO, headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_two_clients_do_not_share_a_login(site):
    first, second = site.browser("admin"), site.client()
    assert first.get(WHO).status_code == 200
    assert second.get(WHO).status_code == 401


@pytest.mark.parametrize(
    "password",
    [
        "short",
        "password123",
        "aaaaaaaaaaaaaaa",
        "clerkclerk1",
        "x" * 300,
        "with\x00nul-and-more",
        "1234567890",
    ],
)
def test_weak_passwords_are_refused(password):
    with pytest.raises(Invalid):
        check_password(password, username="clerk")


def test_password_check_is_never_true_without_a_hash():
    assert not is_password(None, "nobody's password")
    assert not is_password("", "")
    assert is_password(hash_password(PASSWORD), PASSWORD)


def test_no_user_has_a_default_password(site):
    users = models.User.__table__
    with site.services.db.read() as connection:
        hashes = connection.execute(sa.select(users.c.password)).scalars().all()
    assert not any(
        is_password(stored, guess) for stored in hashes[:2] for guess in ("admin", "general")
    )
