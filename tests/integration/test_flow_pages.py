"""The pages of flows: for those who may change forms, and refused to others."""

import pytest

PAGES = ["/flows/", "/flows/discount_rule_release", "/flows/card_type_release"]


@pytest.mark.parametrize("url", PAGES)
def test_page_of_a_flow_is_for_those_who_may_change_forms(site, url):
    assert site.client("admin").get(url).status_code == 200
    assert site.client("clerk").get(url).status_code == 403


def test_page_says_a_flow_in_words(site):
    text = site.client("admin").get(PAGES[1]).get_data(as_text=True)
    for said in ("Review", "Approver", "One approval is enough", "Approvers today", "BPMN"):
        assert said in text


@pytest.mark.parametrize(
    "url", ["/flows/nothing", "/flows/whatif/nothing", "/flows/replay/nothing"]
)
def test_page_of_what_is_not_there_is_not_found(site, url):
    assert site.client("admin").get(url).status_code == 404
