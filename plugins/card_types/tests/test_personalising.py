"""The file for the card printer: codes are shown in it once, to whoever has the right."""

import csv
import io

import pytest

from core.api import Conflict, Forbidden, NotFound, query, table
from core.testing.shipped import taken_file
from plugins.card_types.operations import batches
from plugins.card_types.tests.card_world import coded, make_type, order, quote

BATCH, CARD = "card_types.batch", "card_types.card"


@pytest.fixture
def batch(shipped, store):
    """Return an approved batch of three cards with codes, made."""
    card_type = make_type(shipped, verification="printed_code")
    made = shipped.create("clerk", "card_batch", card_type=card_type, store=store, count=3)
    shipped.approve("card_batch", made["id"])
    batches.make_slice(shipped.context(), made["id"])
    return made


def rows_of(content):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def take(shipped, batch, role="Admin", **more):
    return rows_of(taken_file(shipped.context(role), "card_batch", batch["id"], BATCH, **more))


def test_file_holds_number_track_and_code_of_every_card(shipped, store, member, batch):
    rows = take(shipped, batch)
    assert [row["number"] for row in rows] == ["010100014", "010100022", "010100030"]
    number, track, code = (rows[0][name] for name in ("number", "track", "code"))
    found = id_of(shipped, number)
    shipped.create("clerk", "card_operation", kind="issue", card=found, store=store, member=member)
    assert order(shipped, store, card_text=track, code_text=code).card.is_good
    assert len(code) == 6
    event = shipped.history("auditor", "card_batch", batch["id"])[0]
    assert (event["action"], event["reason"], event["actor_name"]) == (
        "personalise", BATCH, "Admin",
    )  # fmt: skip


def id_of(shipped, number):
    ctx = shipped.context()
    card = table(ctx, "card").c
    return query(ctx, card.id.table.select().where(card.number == number))[0].id


def test_codes_are_shown_once_and_new_ones_leave_issued_cards_alone(shipped, store, member, batch):
    first = {row["number"]: row["code"] for row in take(shipped, batch)}
    with pytest.raises(Conflict, check=coded("card_types.personalised")):
        take(shipped, batch)
    mine = id_of(shipped, "010100014")
    shipped.create("clerk", "card_operation", kind="issue", card=mine, store=store, member=member)
    second = {row["number"]: row["code"] for row in take(shipped, batch, again=True)}
    assert second["010100014"] == ""
    assert quote(shipped, store, card_text="010100014", code_text=first["010100014"]).card.is_good
    assert second["010100022"] != first["010100022"]
    # The card's own file gives one that is in somebody's hands another code.
    given = rows_of(taken_file(shipped.context("Admin"), "card", mine, CARD, again=True))
    shown = quote(shipped, store, card_text="010100014", code_text=given[0]["code"])
    assert shown.card.is_good


def test_file_needs_its_own_right_and_a_batch_that_is_made(shipped, store, batch):
    for role in ("clerk", "approver", "cashier"):
        with pytest.raises((Forbidden, NotFound)):
            take(shipped, batch, role)
    made = shipped.create(
        "clerk", "card_batch", card_type=batch["card_type"], store=store, count=2
    )
    shipped.approve("card_batch", made["id"])
    with pytest.raises(Conflict, check=coded("card_types.not_made_yet")):
        take(shipped, made)
    assert (
        taken_file(shipped.context("Admin"), "card_batch", batch["id"], BATCH, form="xlsx")[:2]
        == b"PK"
    )


def test_card_is_personalised_from_its_page_and_over_rest(client_as, browser_as):
    admin, approver = client_as("admin"), client_as("approver")
    base = "/api/v1/records"
    store = admin.post(f"{base}/store", json={"code": "77", "name": "Pier"}).json["id"]
    kind = (
        client_as("clerk")
        .post(f"{base}/card_type", json={"code": "GOLD", "name": "Gold", "type_prefix": "01"})
        .json["id"]
    )
    client_as("clerk").post(f"{base}/card_type/{kind}/submit", json={})
    task = approver.get("/api/v1/tasks?box=todo").json["items"][0]
    verdict = {"subject_hash": task["subject_hash"]}
    approver.post(f"/api/v1/tasks/{task['id']}/approve", json=verdict)
    card = admin.post(f"{base}/card", json={"card_type": kind, "store": store}).json
    address = f"{base}/card/{card['id']}/files/{CARD}"
    assert [client_as("clerk").post(address, json={}).status_code,
            admin.post(address, json={"format": "pdf"}).status_code] == [403, 422]  # fmt: skip
    answer = admin.post(address, json={"format": "csv"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert rows_of(answer.data)[0]["number"] == card["number"]
    shown = {role: browser_as(role).get(f"/records/card/{card['id']}").text
             for role in ("admin", "clerk")}  # fmt: skip
    assert [f"/files/{CARD}" in shown[role] for role in ("admin", "clerk")] == [True, False]
