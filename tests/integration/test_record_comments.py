"""Comments, mentions and followers: who may, what is kept, who is told."""

from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from core.clock import FixedClock
from core.jobs.handlers import Event
from core.jobs.outbox import outbox
from core.jobs.topics import TOPICS
from core.records.comments import (
    EDITABLE,
    MAX_TEXT,
    add_comment,
    comment,
    comment_past,
    edit_comment,
)
from core.records.following import follower
from core.records.operations import create_record, delete_record
from core.workflow.queue.notices import list_notices, make_notices

URL = "/api/v1/records/member"

MEMO = """
record_type: memo
soft_delete: false
fields: [{name: title, type: text}]
policies: [{name: some, who: {role: clerk}, actions: ["*"]}]
"""


@pytest.fixture
def site_schema():
    return (MEMO,)


@pytest.fixture
def member(make_context):
    return create_record(make_context("clerk"), "member", {"no": "M1", "name": "王小明"})["id"]


@pytest.fixture
def memo(site):
    """Return a record that cashiers do not see, deleted for good when it is deleted."""
    return create_record(site.context("clerk"), "memo", {"title": "x"})["id"]


@pytest.fixture
def ids(site):
    return {name: site.actor(name).id for name in ("clerk", "clerk2", "cashier", "approver")}


def events(site, topic):
    query = sa.select(outbox.c.id, outbox.c.payload).where(outbox.c.topic == topic)
    with site.services.db.read() as connection:
        rows = connection.execute(query.order_by(outbox.c.seq)).all()
    return [(row.id, msgspec.json.decode(row.payload)) for row in rows]


def test_comment_is_kept_as_plain_text_and_listed_newest_first(client_as, member):
    clerk = client_as("clerk")
    markup = "<script>alert(1)</script>\n第二行"
    first = clerk.post(f"{URL}/{member}/comments", json={"text": f" {markup} "})
    assert (first.status_code, first.json["text"]) == (201, markup)
    clerk.post(f"{URL}/{member}/comments", json={"text": "two"})
    listed = client_as("clerk2").get(f"{URL}/{member}/comments").json
    assert [(one["text"], one["may"]) for one in listed["items"]] == [("two", []), (markup, [])]
    page = clerk.get(f"{URL}/{member}/comments?limit=1").json
    rest = clerk.get(f"{URL}/{member}/comments?limit=1&after={page['next']}").json
    assert [page["items"][0]["text"], rest["items"][0]["text"]] == ["two", markup]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"text": " \n "}, "text"),
        ({"text": "x" * (MAX_TEXT + 1)}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": 5}, "text"),
        ({"mentions": []}, "text"),
        ({"text": "a", "mentions": ["99999"]}, "mentions.0"),
        ({"text": "a", "mentions": ["1' or 1=1"]}, "mentions.0"),
        ({"text": "a", "mentions": [{"id": "1"}]}, "mentions"),
        ({"text": "a", "mentions": [str(number) for number in range(21)]}, "mentions"),
        ({"text": "a", "author": "1"}, "author"),
    ],
)
def test_bad_comments_are_refused_by_name(client_as, member, body, path):
    answer = client_as("clerk").post(f"{URL}/{member}/comments", json=body)
    assert (answer.status_code, answer.json["problems"][0]["path"]) == (422, path)
    assert client_as("clerk").get(f"{URL}/{member}/comments").json["items"] == []


def test_comments_of_what_one_may_not_see_are_refused(client_as, memo):
    cashier, url = client_as("cashier"), f"/api/v1/records/memo/{memo}"
    for answer in (
        cashier.get(f"{url}/comments"),
        cashier.post(f"{url}/comments", json={"text": "x"}),
        cashier.put(f"{url}/follow"),
        cashier.get(f"{url}/follow"),
    ):
        assert answer.status_code == 403, answer.text


def test_author_changes_and_deletes_for_a_while_with_a_trace(client_as, site, member):
    clerk, other = client_as("clerk"), client_as("clerk2")
    made = clerk.post(f"{URL}/{member}/comments", json={"text": "one"}).json
    url = f"{URL}/{member}/comments/{made['id']}"
    assert other.patch(url, json={"text": "hers"}).status_code == 403
    changed = clerk.patch(url, json={"text": "two"}).json
    assert (changed["text"], [one["text"] for one in changed["earlier"]]) == ("two", ["one"])
    assert clerk.delete(url).status_code == 204
    left = other.get(f"{URL}/{member}/comments").json["items"][0]
    assert (left["deleted"], left["text"], [one["text"] for one in left["earlier"]]) == (
        True, "", ["one", "two"],
    )  # fmt: skip
    assert clerk.patch(url, json={"text": "x"}).json["code"] == "conflict.comment_closed"
    cashier = client_as("cashier").get(f"{URL}/{member}/comments").json["items"][0]
    assert "earlier" not in cashier


def test_comment_is_closed_after_its_time(site, member):
    ctx = site.context("clerk")
    ctx.clock = FixedClock(ctx.now)
    made = add_comment(ctx, "member", member, text="one")
    ctx.clock.move(EDITABLE - timedelta(seconds=1))
    assert edit_comment(ctx, "member", member, made["id"], text="two")["may"] == ["edit", "delete"]
    ctx.clock.move(timedelta(seconds=2))
    with pytest.raises(Exception, match="15 minutes"):
        edit_comment(ctx, "member", member, made["id"], text="three")


def test_mentioned_people_and_followers_are_told_once(site, client_as, member, ids):
    assert client_as("clerk2").put(f"{URL}/{member}/follow").json == {"following": True}
    assert client_as("clerk2").put(f"{URL}/{member}/follow").json == {"following": True}
    body = {"text": "@cashier see this", "mentions": [ids["cashier"], ids["clerk"]]}
    made = client_as("clerk").post(f"{URL}/{member}/comments", json=body).json
    assert [one["id"] for one in made["mentions"]] == body["mentions"]
    [(created_id, created)] = events(site, "comment.created")
    [(mentioned_id, mentioned)] = events(site, "comment.mentioned")
    assert (created["mentions"], created["followers"]) == ([ids["cashier"]], [ids["clerk2"]])
    assert created["title"] == "王小明"
    for topic, payload in (("comment.created", created), ("comment.mentioned", mentioned)):
        assert set(payload) == {"type", "id", "actor", "at", *TOPICS[topic][0]}
    ctx = site.context("system")
    with ctx.writing():
        for event_id, topic, payload in (
            (created_id, "comment.created", created),
            (mentioned_id, "comment.mentioned", mentioned),
        ):
            make_notices(ctx, Event(1, event_id, topic, payload, 1))
    told = {name: [one["topic"] for one in list_notices(site.context(name))] for name in ids}
    assert told == {
        "clerk": [], "clerk2": ["comment.created"], "cashier": ["comment.mentioned"],
        "approver": [],
    }  # fmt: skip
    # Only who is mentioned newly is told when it is changed.
    url = f"{URL}/{member}/comments/{made['id']}"
    client_as("clerk").patch(url, json={"text": "x", "mentions": [ids["cashier"], ids["clerk2"]]})
    assert events(site, "comment.mentioned")[1][1]["mentions"] == [ids["clerk2"]]


def test_nobody_is_mentioned_who_may_not_see_the_record(client_as, browser_as, memo, ids):
    url = f"/api/v1/records/memo/{memo}/comments"
    answer = client_as("clerk").post(url, json={"text": "x", "mentions": [ids["cashier"]]})
    assert answer.json["problems"][0]["code"] == "mention.no_access"
    offered = browser_as("clerk").get(f"/records/memo/{memo}/people?search=").json["items"]
    assert ids["cashier"] not in {one["id"] for one in offered}
    assert ids["clerk2"] in {one["id"] for one in offered}
    for text in ("%", "_", "' or 1=1 --", "\x00"):
        answer = browser_as("clerk").get(
            f"/records/memo/{memo}/people", query_string={"search": text}
        )
        assert (answer.status_code, answer.json["items"]) == (200, [])


def test_unfollowing_needs_no_right_any_more(client_as, member):
    cashier = client_as("cashier")
    assert cashier.delete(f"{URL}/{member}/follow").json == {"following": False}
    assert cashier.get(f"{URL}/{member}/follow").json == {"following": False}


def test_repeated_request_writes_one_comment(client_as, member):
    clerk = client_as("clerk")
    for _ in range(2):
        answer = clerk.post(
            f"{URL}/{member}/comments", json={"text": "x"}, headers={"Idempotency-Key": "k1"}
        )
        assert answer.status_code == 201
    assert len(clerk.get(f"{URL}/{member}/comments").json["items"]) == 1


def test_comments_die_with_a_record_that_is_gone_for_good(site, memo):
    add_comment(site.context("clerk"), "memo", memo, text="said")
    delete_record(site.context("clerk"), "memo", memo, version=1)
    with site.services.db.read() as connection:
        for table in (comment, comment_past, follower):
            count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            assert count == 0, table.name


def test_page_shows_comments_as_text_with_mentions_marked(site, browser_as, member, ids):
    text = "@cashier <img src=x onerror=alert(1)>"
    name = site.actor("cashier").name
    add_comment(
        site.context("clerk"), "member", member, text=text.replace("cashier", name),
        mentions=[ids["cashier"]],
    )  # fmt: skip
    page = browser_as("clerk").get(f"/records/member/{member}").text
    assert f'<strong class="gx-mention">@{name}</strong>' in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    part = browser_as("clerk").get(f"/records/member/{member}/timeline").text
    assert "gx-mention" in part
