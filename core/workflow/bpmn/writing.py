"""Writes a flow as BPMN 2.0 with a diagram, losing nothing.

Blocks become pairs of gateways, so every flow can be said. What BPMN has no words for
(seats, verbs, field rights, business time) stands in an extension element of its step.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

import msgspec

from core.i18n import pick
from core.schema.flows import Case, Decide, Flow, Rung, Step
from core.workflow.bpmn.layout import EVENT, GATEWAY, TASK, Block, Row, Shape, around, bend
from core.workflow.bpmn.names import (
    BPMN,
    DC,
    DD,
    DI,
    ELEMENTS,
    OWN,
    XSI,
    bpmn,
    own,
    to_iso,
)

for _prefix, _uri in (
    ("bpmn", BPMN), ("bpmndi", DI), ("dc", DC), ("di", DD), ("xsi", XSI), ("guanxi", OWN),
):  # fmt: skip
    register_namespace(_prefix, _uri)

#: Keys of a step that are said by the elements around it.
_SAID = frozenset({"cases", "else_", "lanes"})


@dataclass(slots=True)
class _Writer:
    """Grows the process while it walks through the steps.

    Attributes:
        arrows: id, start and end of each sequence flow.
        empty: sequence flow -> the empty lane that it is.
    """

    flow: Flow
    locale: str
    process: Element
    shapes: dict[str, Shape] = field(default_factory=dict)
    arrows: list[tuple[str, str, str]] = field(default_factory=list)
    empty: dict[str, Row] = field(default_factory=dict)

    def element(self, tag: str, identity: str, name: str = "", **more: str) -> Element:
        """Add an element with a shape."""
        attributes = {"id": identity} | ({"name": name} if name else {}) | more
        size = GATEWAY if tag.endswith("Gateway") else EVENT if tag.endswith("Event") else TASK
        self.shapes[identity] = Shape(identity, *size)
        return SubElement(self.process, bpmn(tag), attributes)

    def arrow(self, start: str, end: str, case: Case | None = None) -> str:
        """Add a sequence flow; return its id."""
        identity = f"flow_{len(self.arrows) + 1}"
        name = pick(case.title, self.locale, "") if case else ""
        attributes = {"id": identity, "sourceRef": start, "targetRef": end}
        made = SubElement(
            self.process, bpmn("sequenceFlow"), attributes | ({"name": name} if name else {})
        )
        if case is not None:
            if case.title:
                _extend(made, "case", msgspec.to_builtins(case.title))
            condition = SubElement(made, bpmn("conditionExpression"))
            condition.set(f"{{{XSI}}}type", "bpmn:tFormalExpression")
            condition.set("language", OWN)
            condition.text = case.when
        self.arrows.append((identity, start, end))
        return identity

    def lane(self, steps: Iterable[Step]) -> tuple[Row, str, str]:
        """Write steps one after the other; return their row, first and last element."""
        parts: list[Shape | Block] = []
        first = last = ""
        for step in steps:
            part, entry, end = self.step(step)
            if last:
                self.arrow(last, entry)
            first, last = first or entry, end
            parts.append(part)
        return Row(parts), first, last

    def step(self, step: Step) -> tuple[Shape | Block, str, str]:
        """Write one step; return its part of the diagram, where arrows enter and leave."""
        tag, identity = ELEMENTS[step.type], f"step_{step.id}"
        name = pick(step.title, self.locale, step.id)
        if step.type in {"branch", "parallel", "inclusive"}:
            return self.block(step, tag, identity, name)
        more = {"calledElement": step.flow} if step.type == "subflow" else {}
        made = self.element(tag, identity, name, **more)
        _extend(made, "step", _own_words(step))
        if step.type == "wait":
            _write_wait(made, step)
        if isinstance(step.decide, Decide) or step.decide != "any":
            _write_voices(made, step)
        for place, rung in enumerate(step.due):
            self.rung(identity, place, rung)
        return self.shapes[identity], identity, identity

    def block(
        self, step: Step, tag: str, identity: str, name: str
    ) -> tuple[Shape | Block, str, str]:
        """Write a block as a pair of gateways with its lanes between them."""
        split = self.element(tag, identity, name)
        _extend(split, "step", _own_words(step))
        join = f"{identity}_join"
        self.element(tag, join)
        cases: list[tuple[Case | None, tuple[Step, ...]]] = [
            (case, case.steps) for case in step.cases
        ]
        cases += [(None, lane.steps) for lane in step.lanes]
        has_default = step.type != "parallel"
        if has_default:
            cases.append((None, step.else_ or ()))
        rows, last_arrow = [], ""
        for case, steps in cases:
            row, first, last = self.lane(steps)
            last_arrow = self.arrow(identity, first or join, case)
            if last:
                self.arrow(last, join)
            else:
                self.empty[last_arrow] = row
            rows.append(row)
        if has_default:
            split.set("default", last_arrow)
        return Block(self.shapes[identity], rows, self.shapes[join]), identity, join

    def rung(self, host: str, place: int, rung: Rung) -> None:
        """Write what happens after a time as a timer at the border of its task."""
        identity = f"{host}_due_{place + 1}"
        event = self.element(
            "boundaryEvent", identity, rung.do, attachedToRef=host, cancelActivity="false"
        )
        event.set(own("generated"), "true")
        _write_timer(event, rung.at)
        end = self.element("endEvent", f"{identity}_end")
        end.set(own("generated"), "true")
        self.arrow(identity, f"{identity}_end")


def write_bpmn(flow: Flow, locale: str = "en") -> bytes:
    """Return a flow as a BPMN 2.0 file; names are in the language asked for."""
    root = Element(
        bpmn("definitions"),
        {"id": f"definitions_{flow.flow}", "targetNamespace": OWN, "exporter": "Guanxi"},
    )
    title = pick(flow.title, locale, flow.flow)
    process = SubElement(
        root, bpmn("process"),
        {"id": f"process_{flow.flow}", "name": title, "isExecutable": "false"},
    )  # fmt: skip
    _extend(process, "flow", _own_words(flow))
    writer = _Writer(flow, locale, process)
    writer.element("startEvent", "start")
    row, first, last = writer.lane(flow.steps)
    writer.element("endEvent", "end")
    writer.arrow("start", first or "end")
    if last:
        writer.arrow(last, "end")
    whole = Row([writer.shapes["start"], *row.parts, writer.shapes["end"]])
    whole.place(160, 80)
    _place_rungs(writer)
    _draw(root, writer, f"process_{flow.flow}")
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _own_words(model: Flow | Step) -> dict[str, object]:
    """Return what a flow or step says, without the steps inside it."""
    inner = {"steps": ()} if isinstance(model, Flow) else dict.fromkeys(_SAID, ())
    said = msgspec.to_builtins(msgspec.structs.replace(model, **inner))
    return {key: value for key, value in said.items() if key not in {"steps", "else", "layer"}}


def _extend(element: Element, name: str, value: object) -> None:
    holder = SubElement(element, bpmn("extensionElements"))
    SubElement(holder, own(name)).text = msgspec.json.encode(value, order="sorted").decode()


def _write_timer(event: Element, duration: str) -> None:
    timer = SubElement(event, bpmn("timerEventDefinition"))
    made = SubElement(timer, bpmn("timeDuration"))
    made.set(f"{{{XSI}}}type", "bpmn:tFormalExpression")
    made.text = to_iso(duration)


def _write_wait(event: Element, step: Step) -> None:
    if step.for_:
        _write_timer(event, step.for_)
        return
    made = SubElement(event, bpmn("conditionalEventDefinition"))
    condition = SubElement(made, bpmn("condition"))
    condition.set(f"{{{XSI}}}type", "bpmn:tFormalExpression")
    condition.text = step.until


def _write_voices(task: Element, step: Step) -> None:
    """Say in BPMN's own words that several people are asked; the rule itself is in our own."""
    several = SubElement(
        task, bpmn("multiInstanceLoopCharacteristics"),
        {"isSequential": "true" if step.decide == "sequence" else "false"},
    )  # fmt: skip
    condition = SubElement(several, bpmn("completionCondition"))
    condition.set(f"{{{XSI}}}type", "bpmn:tFormalExpression")
    rule = step.decide if isinstance(step.decide, str) else msgspec.to_builtins(step.decide)
    condition.text = rule if isinstance(rule, str) else msgspec.json.encode(rule).decode()


def _place_rungs(writer: _Writer) -> None:
    """Put timers at the lower border of their tasks, each with its end below."""
    for identity, shape in writer.shapes.items():
        host, found, number = identity.partition("_due_")
        if not found:
            continue
        place = int(number.removesuffix("_end")) - 1
        task = writer.shapes[host]
        shape.x = task.x + 4 + place * (EVENT[0] + 4)
        shape.y = task.y + task.height - EVENT[1] // 2
        if identity.endswith("_end"):
            shape.y += EVENT[1] + 12


def _draw(root: Element, writer: _Writer, process: str) -> None:
    diagram = SubElement(root, f"{{{DI}}}BPMNDiagram", {"id": "diagram"})
    plane = SubElement(diagram, f"{{{DI}}}BPMNPlane", {"id": "plane", "bpmnElement": process})
    for identity, shape in writer.shapes.items():
        drawn = SubElement(
            plane, f"{{{DI}}}BPMNShape", {"id": f"{identity}_di", "bpmnElement": identity}
        )
        sizes = {"x": shape.x, "y": shape.y, "width": shape.width, "height": shape.height}
        SubElement(drawn, f"{{{DC}}}Bounds", {key: str(size) for key, size in sizes.items()})
    for identity, start, end in writer.arrows:
        drawn = SubElement(
            plane, f"{{{DI}}}BPMNEdge", {"id": f"{identity}_di", "bpmnElement": identity}
        )
        first, last = writer.shapes[start], writer.shapes[end]
        if end == f"{start}_end" and "_due_" in start:
            middle = first.x + first.width // 2
            points = [(middle, first.y + first.height), (middle, last.y)]
        elif identity in writer.empty:
            points = around(first.right, last.left, writer.empty[identity].middle)
        else:
            points = bend(first.right, last.left)
        for x, y in points:
            SubElement(drawn, f"{{{DD}}}waypoint", {"x": str(x), "y": str(y)})
