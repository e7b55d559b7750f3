"""BPMN over REST: export what is published, read a file into YAML that a draft takes."""

import msgspec
from ruamel.yaml import YAML

from core.schema.flows import Flow
from core.workflow.bpmn.names import BPMN
from core.workflow.bpmn.writing import write_bpmn


def load_yaml(text: str):
    return YAML(typ="safe", pure=True).load(text)


def test_published_flow_comes_back_as_the_same_draft(client_as) -> None:
    admin = client_as("admin")
    answer = admin.get("/api/v1/schema/flows/discount_rule_release/bpmn")
    assert answer.status_code == 200
    assert answer.mimetype == "application/xml"
    read = admin.post("/api/v1/schema/flows/bpmn", json={"xml": answer.text})
    assert read.status_code == 200
    assert read.json["yaml"].startswith("flow: discount_rule_release\nversion: 1\n")
    held = msgspec.convert(load_yaml(read.json["yaml"]), Flow, strict=False)
    published = admin.get("/api/v1/schema/flows/discount_rule_release/bpmn").data
    assert write_bpmn(held, "en") == published


def test_unreadable_bpmn_names_the_element_and_writes_nothing(client_as) -> None:
    admin = client_as("admin")
    xml = (
        f'<definitions xmlns="{BPMN}"><process id="p"><startEvent id="s"/>'
        '<scriptTask id="evil"/><sequenceFlow id="f" sourceRef="s" targetRef="evil"/>'
        "</process></definitions>"
    )
    answer = admin.post("/api/v1/schema/flows/bpmn", json={"xml": xml})
    assert answer.status_code == 422
    assert answer.json["code"] == "flow.bpmn"
    assert "evil" in {one["path"] for one in answer.json["problems"]}
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert admin.post("/api/v1/schema/flows/bpmn", json={"xml": bomb}).status_code == 400
