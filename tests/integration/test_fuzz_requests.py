"""Random requests over every route: no 5xx, one second, one shape, nothing half-written."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.testing.campaigns import examples
from tests.integration.fuzz_world import Fuzz, operations_of, pages_of, requests

MEMBER = "/api/v1/records/member"


@pytest.fixture
def known(site):
    """Return names and ids that are there, by the part of a path that they may stand in."""
    client = site.client("admin")
    member = client.post(MEMBER, json={"no": "M1", "name": "A", "phone": "13800000000"}).json["id"]
    store = client.post("/api/v1/records/store", json={"code": "S1", "name": "S"}).json["id"]
    url = f"{MEMBER}/{member}/comments"
    comment = client.post(url, json={"text": "hello"}).json["id"]
    types = tuple(one["name"] for one in client.get("/api/v1/types").json["items"])
    return {
        "id": (member, store),
        "record_id": (member, store),
        "comment_id": (comment,),
        "type_name": ("member", "store", *types),
        "name": ("member", "discount_rules", "phone", "all"),
        "plugin": ("discount_rules", "card_types"),
        "number": ("1", "0", "-1", "99999999999999999999"),
        "version": ("1", "0", "99999999999999999999"),
        "verb": ("approve", "reject", "suspend", "nothing"),
    }


def campaign(site, known, operations, count):
    fuzz = Fuzz(site)

    # One site for all of them: what a request leaves is what the next one meets.
    @settings(
        max_examples=examples(count),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.data())
    def search(data):
        fuzz.send(*data.draw(requests(operations, known)))

    search()
    assert sum(fuzz.codes.values()) >= count


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_request_over_rest_breaks_anything(site, known):
    operations = operations_of(site.client("admin").get("/api/v1/_openapi").json)
    assert len(operations) > 100
    campaign(site, known, operations, 40 if site.backend == "sqlite" else 10)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_no_request_to_pages_breaks_anything(site, known):
    operations = pages_of(site.app)
    assert len(operations) > 50
    campaign(site, known, operations, 40 if site.backend == "sqlite" else 10)
