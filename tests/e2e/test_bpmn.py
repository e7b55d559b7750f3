"""A flow opens in bpmn-js, the editor that most people draw BPMN with."""

from pathlib import Path

import msgspec

from core.schema.flows import Flow
from core.workflow.bpmn.writing import write_bpmn

VIEWER = Path("node_modules/bpmn-js/dist/bpmn-viewer.production.min.js")

FLOW = {
    "flow": "release", "version": 1, "document": "rule", "title": {"zh": "审核"},
    "steps": [
        {"id": "boss", "approvers": {"role": "boss"}, "decide": "all",
         "due": [{"at": "24bh", "do": "remind"}], "title": {"zh": "店长审核"}},
        {"id": "deep", "type": "branch", "else": [], "cases": [{
            "when": "min(lines.rate) < 0.7", "steps": [
                {"id": "both", "type": "parallel", "lanes": [
                    {"steps": [{"id": "tax", "approvers": {"role": "tax"}}]},
                    {"steps": [{"id": "wait", "type": "wait", "for": "2h"},
                               {"id": "ack", "type": "subflow", "flow": "ack"}]},
                ]},
            ]}]},
        {"id": "any", "type": "inclusive", "else": [], "cases": [
            {"when": "x", "steps": [{"id": "fill", "type": "fill", "approvers": {"role": "b"}}]}]},
        {"id": "tell", "type": "cc", "to": {"role": "boss"}},
        {"id": "send", "type": "effect", "actions": [{"do": "notify"}]},
    ],
}  # fmt: skip


def test_flow_opens_in_bpmn_js_without_a_warning(chromium) -> None:
    xml = write_bpmn(msgspec.convert(FLOW, Flow), "zh").decode()
    page = chromium.new_page()
    page.set_content('<div id="canvas" style="width:1600px;height:700px"></div>')
    page.add_script_tag(path=VIEWER)
    found = page.evaluate(
        """async xml => {
            const viewer = new BpmnJS({ container: '#canvas' });
            const { warnings } = await viewer.importXML(xml);
            viewer.get('canvas').zoom('fit-viewport');
            const shapes = viewer.get('elementRegistry').filter(one => one.type !== 'label');
            return { warnings: warnings.map(String), names: shapes.map(one => one.type) };
        }""",
        xml,
    )
    assert found["warnings"] == []
    for wanted in ("UserTask", "ManualTask", "SendTask", "ServiceTask", "CallActivity",
                   "ParallelGateway", "InclusiveGateway", "BoundaryEvent"):  # fmt: skip
        assert f"bpmn:{wanted}" in found["names"]
    page.close()
