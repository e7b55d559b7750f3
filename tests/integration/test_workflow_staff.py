"""The staff as flows know it, read from users, positions, stores and departments."""

import re

import pytest
import sqlalchemy as sa

from core.errors import Forbidden, Invalid
from core.records.userevents import user_events
from core.security.managers import set_manager, user_manager
from core.security.positions import set_position
from core.security.users import user_table
from core.tables.releases import bump_rights
from core.workflow.engine.state import Identity
from core.workflow.staff.people import STAFF, identities, voice_of
from tests.integration.hostile_world import page_token


@pytest.fixture
def shops(site):
    """Return the ids of a region, a store in it, the store's department and a part of that."""
    admin = site.client("admin")

    def made(kind, **values):
        answer = admin.post(f"/api/v1/records/{kind}", json=values)
        assert answer.status_code == 201, answer.json
        return answer.json["id"]

    region = made("store", code="R", name="Region")
    shop = made("store", code="S", name="Shop", parent=region)
    unit = made("department", code="D", name="Unit", store=shop)
    part = made("department", code="P", name="Part", store=region, parent=unit)
    return {"region": region, "shop": shop, "unit": unit, "part": part}


def give(site, login, kind, code, position=""):
    set_position(site.context("admin"), login, (kind, code), position)


def staff(site):
    ctx = site.context("system")
    with ctx.reading() as connection:
        return STAFF.staff(ctx, connection)


def user_id(site, name):
    return site.actor(name).id


def test_staff_has_users_roles_posts_and_the_tree_of_places(site, shops):
    give(site, "clerk", "department", "P")
    give(site, "approver", "store", "S", "store_manager")
    give(site, "cashier", "store", "S")
    found = staff(site)
    clerk, approver, cashier = (user_id(site, name) for name in ("clerk", "approver", "cashier"))
    assert found.people[clerk].login == "clerk"
    assert found.roles["cashier"] == (cashier,)
    assert found.above == {
        shops["shop"]: shops["region"],
        shops["unit"]: shops["shop"],
        shops["part"]: shops["unit"],
    }
    assert found.heads == ("store_manager", "region_manager")
    post = Identity("post", f"store_manager@{shops['shop']}")
    assert found.behind(post) == (approver,)
    assert found.behind(Identity("post", f"@{shops['shop']}")) == (approver, cashier)
    assert [found.manager(one) for one in (clerk, cashier, approver)] == [approver, approver, ""]


def test_actors_may_sit_as_what_the_staff_says_they_are(site, shops):
    give(site, "clerk", "department", "P", "region_manager")
    give(site, "clerk", "store", "S", "store_manager")
    clerk, found = site.actor("clerk"), staff(site)
    mine = identities(clerk)
    assert mine == [
        ("user", clerk.id),
        ("role", "clerk"),
        *(("post", post) for post in sorted((
            f"@{shops['part']}", "region_manager@", f"region_manager@{shops['part']}",
            "store_manager@", f"store_manager@{shops['shop']}",
        ))),
    ]  # fmt: skip
    assert all(clerk.id in found.behind(one) for one in voice_of(clerk).identities)


def test_staff_is_read_once_per_revision_of_rights(site, shops):
    statements = []

    def note(_conn, _cursor, statement, *_rest):
        statements.append(statement)

    first = staff(site)
    sa.event.listen(site.services.db.engine, "before_cursor_execute", note)
    try:
        assert staff(site) is first
        asked_again = list(statements)
        give(site, "clerk", "store", "S", "store_manager")
        statements.clear()
        assert staff(site) is not first
    finally:
        sa.event.remove(site.services.db.engine, "before_cursor_execute", note)
    assert not [one for one in asked_again if "ab_user" in one or "gx_user" in one]
    assert len(statements) <= 10


def test_staff_of_a_transaction_that_fails_is_not_kept(site, shops):
    clerk, cashier = user_id(site, "clerk"), user_id(site, "cashier")
    ctx = site.context("admin")

    def fail():
        with ctx.writing() as connection:
            set_manager(ctx, "clerk", "cashier")
            assert STAFF.staff(ctx, connection).manager(clerk) == cashier
            raise Forbidden

    with pytest.raises(Forbidden):
        fail()
    set_manager(site.context("admin"), "approver", "cashier")
    assert staff(site).assigned == {user_id(site, "approver"): cashier}


def test_moving_a_department_to_another_store_moves_whom_it_reports_to(site, shops):
    give(site, "clerk", "department", "D")
    give(site, "approver", "store", "S", "store_manager")
    give(site, "auditor", "store", "R", "region_manager")
    clerk = user_id(site, "clerk")
    assert staff(site).manager(clerk) == user_id(site, "approver")
    admin = site.client("admin")
    record = admin.get(f"/api/v1/records/department/{shops['unit']}").json
    answer = admin.patch(
        f"/api/v1/records/department/{shops['unit']}",
        json={"store": shops["region"]},
        headers={"If-Match": str(record["version"])},
    )
    assert answer.status_code == 200, answer.json
    assert staff(site).manager(clerk) == user_id(site, "auditor")


def test_disabled_people_hold_nothing_and_keep_their_names(site, shops):
    give(site, "approver", "store", "S", "store_manager")
    give(site, "clerk", "store", "S")
    approver = user_id(site, "approver")
    with site.services.db.write() as connection:
        connection.execute(
            user_table.update().where(user_table.c.id == int(approver)).values(active=False)
        )
        bump_rights(connection)
    found = staff(site)
    assert (found.name(approver), found.is_active(approver)) == ("approver", False)
    assert approver not in found.roles["approver"]
    assert found.manager(user_id(site, "clerk")) == ""


def test_manager_set_by_an_administrator_counts_at_once_and_stands_in_the_history(site, shops):
    give(site, "clerk", "store", "S")
    clerk, cashier = user_id(site, "clerk"), user_id(site, "cashier")
    set_manager(site.context("admin"), "clerk", "cashier")
    assert staff(site).manager(clerk) == cashier
    set_manager(site.context("admin"), "clerk", "")
    set_manager(site.context("admin"), "clerk", "")
    assert staff(site).manager(clerk) == ""
    with site.services.db.read() as connection:
        events = user_events(connection, clerk)
    told = [one["changes"] for one in events if one["action"] == "set_manager"]
    assert told == [{"manager": [cashier, None]}, {"manager": [None, cashier]}]


@pytest.mark.parametrize(
    ("login", "manager", "codes"),
    [
        ("nobody", "cashier", ["manager.user"]),
        ("clerk", "nobody", ["manager.manager"]),
        ("clerk", "clerk", ["manager.circle"]),
        ("cashier", "clerk", ["manager.circle"]),
        ("clerk", "auditor", ["manager.inactive"]),
    ],
)
def test_manager_who_cannot_be_one_is_refused(site, login, manager, codes):
    set_manager(site.context("admin"), "approver", "cashier")
    set_manager(site.context("admin"), "clerk", "approver")
    auditor = user_id(site, "auditor")
    with site.services.db.write() as connection:
        connection.execute(
            user_table.update().where(user_table.c.id == int(auditor)).values(active=False)
        )
    with site.services.db.read() as connection:
        before = connection.execute(sa.select(user_manager)).all()
    with pytest.raises(Invalid) as refused:
        set_manager(site.context("admin"), login, manager)
    assert [one.code for one in refused.value.problems] == codes
    with pytest.raises(Forbidden):
        set_manager(site.context("configurator"), "clerk", "cashier")
    with site.services.db.read() as connection:
        assert connection.execute(sa.select(user_manager)).all() == before


def test_page_shows_and_sets_whom_people_report_to(site, shops):
    give(site, "clerk", "store", "S")
    give(site, "approver", "store", "S", "store_manager")
    admin = site.browser("admin")
    shown = text_of(admin.get("/rights/people"))
    assert re.search(r"clerk clerk approver", shown)
    form = {"user": "clerk", "manager": "cashier", "csrf_token": page_token(admin)}
    shown = text_of(admin.post("/rights/managers", data=form, follow_redirects=True))
    assert re.search(r"clerk clerk cashier set by name", shown)
    refused = admin.post("/rights/managers", data={**form, "manager": "nobody"})
    assert refused.status_code == 422
    assert "There is no user nobody." in text_of(refused)
    auditor = site.browser("auditor")
    form = {**form, "csrf_token": page_token(auditor)}
    assert auditor.post("/rights/managers", data=form).status_code == 403
    assert "Set the manager" not in text_of(auditor.get("/rights/people"))


def text_of(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))
