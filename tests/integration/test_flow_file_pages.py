"""Flows from BPMN files and decision tables, on their pages."""

import io
import re

import pytest

from core.workflow.bpmn.names import BPMN
from tests.integration.hostile_world import fingerprint

TABLE = """
decision_table: release_matrix
label: {en: Release matrix, zh: 发布矩阵}
inputs: [{name: code, label: {en: Code, zh: 代码}}, {name: rate, type: number}]
rows:
  - {when: ["-", "< 0.5"], approvers: {role: approver}, note: {en: Article 4}}
  - {when: [gold, "[0.5..0.9]"], approvers: {role: [approver, clerk]}}
"""
FLOW = """
flow: matrix_release
version: 1
title: {en: By the matrix, zh: 按矩阵}
document: card_type
order: -1
when: code == 'M1'
steps:
  - {id: look_up, title: {en: Look up}, approvers: {table: release_matrix, in: [code, "1"]}}
"""
UNREADABLE = (
    f'<definitions xmlns="{BPMN}"><process id="p"><startEvent id="s"/><scriptTask id="evil"/>'
    '<sequenceFlow id="f" sourceRef="s" targetRef="evil"/></process></definitions>'
)
FOREIGN = (
    f'<definitions xmlns="{BPMN}"><process id="bought" name="Bought"><startEvent id="s"/>'
    '<userTask id="check" name="Check" candidateGroups="approver"/><endEvent id="e"/>'
    '<sequenceFlow id="a" sourceRef="s" targetRef="check"/>'
    '<sequenceFlow id="b" sourceRef="check" targetRef="e"/></process></definitions>'
)


@pytest.fixture
def tabled(site):
    site.put_back(TABLE, FLOW)
    return site


def send(browser, xml, document=""):
    text = browser.get("/flows/").text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', text)[1]
    body = {
        "csrf_token": token,
        "document": document,
        "file": (io.BytesIO(xml.encode()), "x.bpmn"),
    }
    return token, browser.post("/flows/bpmn", data=body)


def test_matrix_says_conditions_approvers_gap_and_who_asks(tabled):
    client = tabled.client("admin")
    assert "Release matrix" in client.get("/decision-tables/").text
    text = client.get("/decision-tables/release_matrix").text
    for said in ("Code", "&lt; 0.5", "[0.5..0.9]", "Approver", "Clerk", "Article 4"):
        assert said in text
    assert "No row is for this" in text
    assert 'href="/flows/matrix_release#step-look_up"' in text
    flow = client.get("/flows/matrix_release").text
    assert '<a href="/decision-tables/release_matrix">Release matrix</a>' in flow


@pytest.mark.parametrize("url", ["/decision-tables/", "/decision-tables/release_matrix"])
def test_decision_tables_are_for_those_who_may_change_forms(tabled, url):
    assert tabled.client("clerk").get(url).status_code == 403
    assert tabled.client("admin").get("/decision-tables/nothing").status_code == 404


def test_unreadable_file_names_each_element_and_stores_nothing(site):
    browser = site.browser("admin")
    before = fingerprint(site)
    _, answer = send(browser, UNREADABLE)
    assert answer.status_code == 422
    assert "<code>evil</code>" in answer.text
    assert "scriptTask" in answer.text
    _, answer = send(browser, "no xml at all")
    assert (answer.status_code, "no BPMN 2.0 file" in answer.text) == (400, True)
    assert fingerprint(site) == before


def test_foreign_file_becomes_a_draft_of_the_site_once_its_document_is_chosen(site):
    browser = site.browser("admin")
    _, answer = send(browser, FOREIGN)
    assert (answer.status_code, "Choose it." in answer.text) == (400, True)
    token, answer = send(browser, FOREIGN, "card_type")
    yaml = re.search(r"<textarea[^>]*>(.*?)</textarea>", answer.text, re.DOTALL)[1]
    assert "document: card_type" in yaml
    made = browser.post("/flows/draft", data={"csrf_token": token, "yaml": yaml})
    assert made.status_code == 303
    plan = browser.get(made.location)
    assert (plan.status_code, "bought" in plan.text) == (200, True)


@pytest.mark.parametrize("url", ["/flows/bpmn", "/flows/draft"])
def test_flow_files_are_refused_to_those_who_may_not_configure(site, url):
    browser = site.browser("clerk")
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', browser.get("/away").text)[1]
    assert browser.post(url, data={"csrf_token": token, "yaml": "x"}).status_code == 403
