"""Reads BPMN 2.0 that is made of blocks, and says precisely why it cannot read the rest.

Nothing is guessed: an element that has no counterpart in a flow, a jump back, a lane that
ends by itself is a problem with the id of the element. What a step said in our own
extension is taken over; names and conditions drawn in an editor win over it.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml
import msgspec
from defusedxml.ElementTree import fromstring

from core.errors import Invalid, Malformed, Problem
from core.i18n import N_
from core.schema.roundtrip import written_text
from core.workflow.bpmn.names import BPMN, GATEWAYS, bpmn, from_iso, own

MAX_BYTES, MAX_ELEMENTS, MAX_DEPTH = 1_000_000, 5_000, 30

Tree = dict[str, Any]

#: Keys whose steps and cases are written on lines of their own.
_DEEP = frozenset({"steps", "cases", "lanes", "else"})

_TASKS = {"userTask": "approve", "task": "approve", "manualTask": "fill", "sendTask": "cc",
          "serviceTask": "effect", "callActivity": "subflow",
          "intermediateCatchEvent": "wait"}  # fmt: skip
#: Elements that say nothing about the course.
_SILENT = frozenset({
    "extensionElements", "documentation", "laneSet", "dataObject", "dataObjectReference",
    "dataStoreReference", "textAnnotation", "association", "ioSpecification", "group",
    "property",
})  # fmt: skip


class NotReadable(Invalid):
    """A BPMN file says something that a flow cannot; each problem names the element."""

    code = "flow.bpmn"
    text = N_("This BPMN file cannot become a flow as it stands.")


@dataclass(slots=True)
class _Reader:
    nodes: dict[str, Element]
    outgoing: dict[str, list[Element]]
    incoming: dict[str, list[Element]]
    timers: dict[str, list[Element]]
    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    depth: int = 0

    def refuse(self, element: str, text: str, **params: str) -> None:
        """Note why an element cannot be read."""
        params = {"element": element[:200], **params}
        self.problems.append(Problem(element[:200], "flow.bpmn", text, params))

    def lane(self, node: str) -> tuple[list[Tree], str]:
        """Return the steps from a node on, and the join or end at which they stop."""
        steps: list[Tree] = []
        while node:
            tag = local(self.nodes[node])
            if tag == "endEvent" or (tag in GATEWAYS and self.is_join(node)):
                return steps, node
            if not self.may_enter(node):
                break
            made, node = self.block(node, tag) if tag in GATEWAYS else self.task(node, tag)
            if made:
                steps.append(made)
        return steps, ""

    def is_join(self, node: str) -> bool:
        """Return whether ways meet at a gateway and one goes on."""
        return len(self.incoming[node]) > 1 and len(self.outgoing[node]) < 2  # noqa: PLR2004

    def may_enter(self, node: str) -> bool:
        """Note why a node cannot be walked into, if so."""
        if node in self.seen:
            self.refuse(node, N_("The way leads back to {element}; a flow returns instead."))
        elif len(self.incoming[node]) > 1 and local(self.nodes[node]) in GATEWAYS:
            self.refuse(node, N_("{element} joins and splits at once; use two gateways."))
        elif len(self.incoming[node]) > 1:
            self.refuse(node, N_("Several ways meet at {element} without a gateway."))
        else:
            self.seen.add(node)
            return True
        return False

    def follow(self, node: str) -> str:
        """Return what comes after a node with one way out; empty after noting why not."""
        ways = self.outgoing[node]
        if len(ways) != 1:
            text = N_("{element} must have exactly one way out, not {number}.")
            self.refuse(node, text, number=str(len(ways)))
            return ""
        return ways[0].get("targetRef", "")

    def block(self, node: str, tag: str) -> tuple[Tree, str]:
        """Return the block that a gateway opens, and what comes after its join."""
        element, ways = self.nodes[node], self.outgoing[node]
        if len(ways) < 2:  # noqa: PLR2004  one way needs no gateway
            return {}, self.follow(node)
        if self.depth >= MAX_DEPTH:
            self.refuse(node, N_("{element} lies too deep in other blocks."))
            return {}, ""
        self.depth += 1
        walked = [(way, *self.lane(way.get("targetRef", ""))) for way in ways]
        self.depth -= 1
        ends = {end for _way, _steps, end in walked}
        if "" in ends:
            return {}, ""
        join = min(ends)
        if (
            len(ends) > 1
            or local(self.nodes[join]) != tag
            or len(self.incoming[join]) != len(ways)
        ):
            text = N_("The ways from {element} must all meet again in one gateway like it.")
            self.refuse(node, text)
            return {}, ""
        step = self.words(element, GATEWAYS[tag], node)
        lanes = [(way, steps) for way, steps, _end in walked]
        return step | self.lanes(element, tag, lanes), self.follow(join)

    def lanes(self, element: Element, tag: str, walked: list[tuple[Element, list[Tree]]]) -> Tree:
        """Return the strands or cases of a block as its step says them."""
        if tag == "parallelGateway":
            return {"lanes": [{"steps": steps} for _way, steps in walked]}
        default = element.get("default", "")
        other = [steps for way, steps in walked if default and way.get("id") == default]
        if not other:
            text = N_("{element} needs a default way, for when no case holds.")
            self.refuse(element.get("id", ""), text)
        cases = [self.case(way, steps) for way, steps in walked if way.get("id") != default]
        return {"cases": cases, "else": other[0] if other else []}

    def case(self, way: Element, steps: list[Tree]) -> Tree:
        """Return one way out of a gateway with its condition."""
        condition = way.find(bpmn("conditionExpression"))
        text = (condition.text or "").strip() if condition is not None else ""
        text = text.removeprefix("${").removesuffix("}") if text.startswith("${") else text
        if not text:
            self.refuse(way.get("id", ""), N_("The way {element} needs a condition."))
        made: Tree = {"when": text, "steps": steps}
        title = extension(way, "case") or (
            {"zh": way.get("name"), "en": way.get("name")} if way.get("name") else {}
        )
        return made | ({"title": title} if title else {})

    def task(self, node: str, tag: str) -> tuple[Tree, str]:
        """Return the step that a task or event stands for, and what comes after it."""
        element = self.nodes[node]
        kind = _TASKS.get(tag)
        if kind is None:
            self.refuse(node, N_("A flow has nothing like the {tag} {element}."), tag=tag)
            return {}, self.follow(node)
        step = self.words(element, kind, node)
        if kind == "wait" and "for" not in step and "until" not in step:
            self.wait(element, node, step)
        elif kind == "subflow":
            step["flow"] = element.get("calledElement") or step.get("flow", "")
        elif kind == "effect" and "actions" not in step:
            self.refuse(node, N_("What {element} does is not said; write it as actions."))
        elif kind in {"approve", "fill"}:
            self.people(element, node, step)
        return step, self.follow(node)

    def people(self, element: Element, node: str, step: Tree) -> None:
        """Find who decides: our own words, else candidate groups and assignee as others say it."""
        if "approvers" in step or "seats" in step:
            return
        groups = users = ""
        for key, value in element.attrib.items():
            name = key.rpartition("}")[2]
            groups = value if name == "candidateGroups" else groups
            users = value if name in {"candidateUsers", "assignee"} else users
        if groups and "$" not in groups:
            step["approvers"] = {"role": [one.strip() for one in groups.split(",")]}
        elif users and "$" not in users:
            step["approvers"] = {"user": [one.strip() for one in users.split(",")]}
        else:
            self.refuse(node, N_("{element} does not say who decides."))
        for event in self.timers[node]:
            if event.get(own("generated")) != "true":
                text = N_("What the timer {element} leads to has no place in a flow; use due.")
                self.refuse(event.get("id", ""), text)

    def wait(self, element: Element, node: str, step: Tree) -> None:
        duration = element.find(f"{bpmn('timerEventDefinition')}/{bpmn('timeDuration')}")
        condition = element.find(f"{bpmn('conditionalEventDefinition')}/{bpmn('condition')}")
        if duration is not None and (found := from_iso(duration.text or "")):
            step["for"] = found
        elif condition is not None and (condition.text or "").strip():
            step["until"] = (condition.text or "").strip()
        else:
            self.refuse(node, N_("{element} must wait for a duration or a condition."))

    def words(self, element: Element, kind: str, node: str) -> Tree:
        """Return what a step says of itself: our extension, else its name and id."""
        step: Tree = {"id": identifier(node), "type": kind}
        said = extension(element, "step") or {}
        name = element.get("name", "")
        if isinstance(said, dict):
            step = {**said, "id": said.get("id") or step["id"], "type": said.get("type", kind)}
        titles = step.get("title") or {}
        if name and name not in titles.values() and name != step["id"]:
            step["title"] = {"zh": name, "en": name}
        return step


def read_bpmn(data: bytes) -> Tree:
    """Return the flow in a BPMN 2.0 file as plain values of the schema language.

    A foreign file gives `flow`, `version`, `title` and `steps`; its `document` is empty and
    must be chosen.

    Raises:
        Malformed: it is no XML, or too large.
        NotReadable: it says something that a flow cannot; every such element is named.
    """
    root = _parse(data)
    processes = root.findall(bpmn("process"))
    if len(processes) != 1:
        text = N_("There must be exactly one process in the file, not {number}.")
        raise NotReadable(
            problems=[Problem("", "flow.bpmn", text, {"number": str(len(processes))})]
        )
    process = processes[0]
    reader = _prepare(process)
    starts = [node for node, one in reader.nodes.items() if local(one) == "startEvent"]
    steps: list[Tree] = []
    if len(starts) != 1:
        text = N_("The process {element} must have exactly one start, not {number}.")
        reader.refuse(process.get("id", ""), text, number=str(len(starts)))
    elif first := reader.follow(starts[0]):
        steps, end = reader.lane(first)
        if end and local(reader.nodes[end]) != "endEvent":
            reader.refuse(end, N_("{element} joins what was never split."))
        _check_reached(reader)
    if reader.problems:
        raise NotReadable(problems=reader.problems)
    return _flow(process, steps)


def flow_yaml(flow: Tree) -> str:
    """Return what `read_bpmn` found as a file of the schema language."""
    return written_text(flow, _DEEP)


def _flow(process: Element, steps: list[Tree]) -> Tree:
    said = extension(process, "flow") or {}
    name = process.get("name") or process.get("id", "")
    flow: Tree = {
        "flow": identifier(process.get("id", "")),
        "version": 1,
        "title": {"zh": name, "en": name},
        "document": "",
    }
    return {**flow, **(said if isinstance(said, dict) else {}), "steps": steps}


def _parse(data: bytes) -> Element:
    if len(data) > MAX_BYTES:
        raise Malformed(N_("The file is too large."))
    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except (ParseError, defusedxml.DefusedXmlException, ValueError, LookupError) as error:
        raise Malformed(N_("This is no BPMN 2.0 file.")) from error
    if root.tag != bpmn("definitions") or sum(1 for _ in root.iter()) > MAX_ELEMENTS:
        raise Malformed(N_("This is no BPMN 2.0 file."))
    return root


def _prepare(process: Element) -> _Reader:
    nodes: dict[str, Element] = {}
    outgoing: dict[str, list[Element]] = defaultdict(list)
    incoming: dict[str, list[Element]] = defaultdict(list)
    timers: dict[str, list[Element]] = defaultdict(list)
    reader = _Reader(nodes, outgoing, incoming, timers)
    generated = set()
    ways = []
    for element in process:
        tag, identity = local(element), element.get("id", "")
        if tag == "sequenceFlow":
            ways.append(element)
        elif element.get(own("generated")) == "true":
            generated.add(identity)
        elif tag == "boundaryEvent":
            timers[element.get("attachedToRef", "")].append(element)
            generated.add(identity)
        elif tag not in _SILENT:
            nodes[identity] = element
    for way in ways:
        start, end = way.get("sourceRef", ""), way.get("targetRef", "")
        if start in generated or end in generated:
            continue
        if start not in nodes or end not in nodes:
            reader.refuse(way.get("id", ""), N_("The way {element} leads nowhere."))
            continue
        outgoing[start].append(way)
        incoming[end].append(way)
    return reader


def _check_reached(reader: _Reader) -> None:
    if reader.problems:
        return
    for node, element in reader.nodes.items():
        tag = local(element)
        is_flow = tag in _TASKS or (tag in GATEWAYS and len(reader.outgoing[node]) > 1)
        if not is_flow and tag not in GATEWAYS and tag not in {"startEvent", "endEvent"}:
            text = N_("A flow has nothing like the {tag} {element}.")
            reader.refuse(node, text, tag=tag)
        elif is_flow and node not in reader.seen:
            reader.refuse(node, N_("{element} is never reached."))


def local(element: Element) -> str:
    """Return an element's name when it is BPMN's own, else the whole qualified name."""
    return element.tag.removeprefix(f"{{{BPMN}}}")


def extension(element: Element, name: str) -> Any:
    """Return what our extension of an element holds, or None without one that can be read."""
    found = element.find(f"{bpmn('extensionElements')}/{own(name)}")
    if found is None or not found.text:
        return None
    try:
        return msgspec.json.decode(found.text)
    except (msgspec.DecodeError, RecursionError):
        return None


def identifier(text: str) -> str:
    """Return an element's id as the id of a step: small letters, digits and `_`.

    >>> identifier("Task_0x-A")
    'task_0x_a'
    """
    text = text.removeprefix("step_").removeprefix("process_")
    made = "".join(one if one.isascii() and one.isalnum() else "_" for one in text.lower())
    made = made.strip("_") or "step"
    return made if made[0].isalpha() else f"s{made}"
