"""BPMN 2.0: every flow can be written and read back the same; the rest is refused precisely."""

import msgspec
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Malformed
from core.schema.flows import Flow
from core.workflow.bpmn.names import BPMN, DI
from core.workflow.bpmn.reading import NotReadable, read_bpmn
from core.workflow.bpmn.writing import write_bpmn

WORDS = {
    "approve": {
        "approvers": {"role": "boss"}, "decide": {"quorum": 2}, "may": ["approve", "return"],
        "due": [{"at": "24bh", "do": "remind"}, {"at": "2h", "do": "pause"}],
        "fields": {"hide": ["cost"]}, "title": {"zh": "店长审核", "en": "Manager"},
    },
    "fill": {"approvers": [{"user": "ann"}, {"field": "owner"}], "title": {"en": "Fill"}},
    "cc": {"to": {"role": "boss"}},
    "wait": {"for": "3bd"},
    "effect": {"actions": [{"do": "notify", "title": {"en": "Done"}}]},
    "subflow": {"flow": "ack", "each": "regions"},
}  # fmt: skip


@st.composite
def steps(draw, depth: int = 2) -> list[dict]:
    kinds = list(WORDS) + (["branch", "inclusive", "parallel"] if depth else [])
    made = []
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(kinds))
        step = {"type": kind, **WORDS.get(kind, {})}
        lanes = [draw(steps(depth - 1)) for _ in range(2)] if kind not in WORDS else []
        if kind == "parallel":
            step["lanes"] = [{"steps": lane} for lane in lanes]
        elif lanes:
            step["cases"] = [{"when": "rate < 0.7", "title": {"en": "Deep"}, "steps": lanes[0]}]
            step["else"] = lanes[1]
        made.append(step)
    return made


def numbered(tree: list[dict], count: list[int]) -> list[dict]:
    for step in tree:
        count[0] += 1
        step["id"] = f"s{count[0]}"
        held = [*step.get("cases", ()), *step.get("lanes", ())]
        for inner in (*(one["steps"] for one in held), step.get("else", [])):
            numbered(inner, count)
    return tree


def flow_of(tree: list[dict], **more) -> Flow:
    words = {"flow": "f", "version": 3, "document": "rule", "title": {"zh": "审核", "en": "F"}}
    return msgspec.convert(words | more | {"steps": numbered(tree, [0])}, Flow)


@settings(max_examples=60)
@given(steps(), st.sampled_from(["zh", "en"]))
def test_flow_survives_being_written_and_read(tree: list[dict], locale: str) -> None:
    flow = flow_of(tree, calendar="cn_retail", subject=["rate"])
    read = msgspec.convert(read_bpmn(write_bpmn(flow, locale)), Flow)
    assert read == flow


@settings(max_examples=40)
@given(steps())
def test_every_element_is_drawn_inside_the_diagram_and_none_over_another(tree) -> None:
    root = fromstring(write_bpmn(flow_of(tree)))
    process = root.find(f"{{{BPMN}}}process")
    named = {one.get("id") for one in process if one.get("id")}
    drawn = {one.get("bpmnElement") for one in root.iter() if one.get("bpmnElement")}
    assert named <= drawn
    boxes = []
    for shape in root.iter(f"{{{DI}}}BPMNShape"):
        if "_due_" in shape.get("bpmnElement"):
            continue
        size = shape[0].attrib
        boxes.append(tuple(int(size[name]) for name in ("x", "y", "width", "height")))
    for at, (x, y, width, height) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        for other_x, other_y, other_width, other_height in boxes[:at]:
            apart = x >= other_x + other_width or other_x >= x + width
            assert apart or y >= other_y + other_height or other_y >= y + height


def test_name_and_condition_drawn_in_an_editor_win() -> None:
    tree = [{"type": "branch", "cases": [{"when": "rate < 0.7", "steps": []}], "else": []}]
    text = write_bpmn(flow_of(tree)).decode()
    text = text.replace("rate &lt; 0.7", "rate &lt; 0.5").replace('name="s1"', 'name="Deep?"')
    (step,) = read_bpmn(text.encode())["steps"]
    assert step["cases"][0]["when"] == "rate < 0.5"
    assert step["title"]["en"] == "Deep?"


def foreign(body: str) -> bytes:
    return f"""<?xml version="1.0"?>
<definitions xmlns="{BPMN}" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" id="d">
<process id="Process_1" name="Leave">{body}</process></definitions>""".encode()


def way(name: str, start: str, end: str, condition: str = "") -> str:
    inner = f"<conditionExpression>{condition}</conditionExpression>" if condition else ""
    return (
        f'<sequenceFlow id="{name}" sourceRef="{start}" targetRef="{end}">{inner}</sequenceFlow>'
    )


START, END = '<startEvent id="S"/>', '<endEvent id="E"/>'
BOSS = '<userTask id="Boss" name="Boss" camunda:candidateGroups="boss"/>'


def test_foreign_process_of_blocks_becomes_a_flow() -> None:
    gates = '<exclusiveGateway id="G" default="w3"/><exclusiveGateway id="J"/>'
    timer = (
        '<intermediateCatchEvent id="W"><timerEventDefinition><timeDuration>PT2H</timeDuration>'
        "</timerEventDefinition></intermediateCatchEvent>"
    )
    ways = (
        way("w1", "S", "G") + way("w2", "G", "Boss", "${days &gt; 3}") + way("w3", "G", "J")
        + way("w4", "Boss", "J") + way("w5", "J", "W") + way("w6", "W", "E")
    )  # fmt: skip
    read = read_bpmn(foreign(START + END + gates + BOSS + timer + ways))
    flow = msgspec.convert(read, Flow)
    branch, wait = flow.steps
    assert flow.title["en"] == "Leave"
    assert branch.cases[0].when == "days > 3"
    assert branch.cases[0].steps[0].approvers.role == ("boss",)
    assert branch.else_ == ()
    assert wait.for_ == "2h"


@pytest.mark.parametrize(
    ("body", "element", "word"),
    [
        (START + END + '<scriptTask id="X"/>' + way("a", "S", "X") + way("b", "X", "E"),
         "X", "nothing like"),
        (START + END + BOSS + way("a", "S", "Boss") + way("b", "Boss", "Boss"), "Boss", "meet"),
        (START + END + '<userTask id="N"/>' + way("a", "S", "N") + way("b", "N", "E"),
         "N", "who decides"),
        (START + END + BOSS + way("a", "S", "Boss") + way("b", "Boss", "E")
         + way("c", "Boss", "E"), "Boss", "one way out"),
        (START + END + BOSS + '<parallelGateway id="P"/>' + way("a", "S", "P")
         + way("b", "P", "Boss") + way("c", "P", "E") + way("d", "Boss", "E"),
         "P", "meet again"),
        (START + END + BOSS + '<subProcess id="Z"/>' + way("a", "S", "Boss")
         + way("b", "Boss", "E"), "Z", "nothing like"),
        (END + BOSS, "Process_1", "exactly one start"),
        (START + END + BOSS + way("a", "S", "Boss") + way("b", "Boss", "Nowhere"),
         "b", "nowhere"),
    ],
)  # fmt: skip
def test_what_a_flow_cannot_say_is_refused_with_its_element(body, element, word) -> None:
    with pytest.raises(NotReadable) as refused:
        read_bpmn(foreign(body))
    told = [(one.path, one.text.format(**one.params)) for one in refused.value.problems]
    assert any(path == element and word in text for path, text in told), told


@pytest.mark.parametrize(
    "data",
    [
        b"", b"<a/>", b"\xff\xfe", b"x" * 1_000_001,
        b'<!DOCTYPE a [<!ENTITY b "c">]><definitions xmlns="' + BPMN.encode() + b'">&b;</definitions>',
        foreign("").replace(b"definitions", b"other"),
    ],
)  # fmt: skip
def test_file_that_is_no_bpmn_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_bpmn(data)


def test_gateways_nested_without_end_are_refused() -> None:
    number = 400
    body = START + END + way("s", "S", "G0") + way("e", "J0", "E")
    for at in range(number):
        inner = (f"G{at + 1}", f"J{at + 1}") if at + 1 < number else (f"J{at}", "")
        body += f'<parallelGateway id="G{at}"/><parallelGateway id="J{at}"/>'
        body += way(f"a{at}", f"G{at}", inner[0]) + way(f"b{at}", f"G{at}", f"J{at}")
        if inner[1]:
            body += way(f"c{at}", inner[1], f"J{at}")
    with pytest.raises(NotReadable):
        read_bpmn(foreign(body))
