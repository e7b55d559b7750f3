"""The names of BPMN 2.0 that flows use, and how durations are written in both."""

import re

BPMN = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DD = "http://www.omg.org/spec/DD/20100524/DI"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
#: Our own: what a step says that BPMN has no words for.
OWN = "https://guanxi.dev/bpmn/1"

#: Step type -> the element that stands for it.
ELEMENTS = {
    "approve": "userTask",
    "fill": "manualTask",
    "cc": "sendTask",
    "effect": "serviceTask",
    "subflow": "callActivity",
    "wait": "intermediateCatchEvent",
    "branch": "exclusiveGateway",
    "parallel": "parallelGateway",
    "inclusive": "inclusiveGateway",
}
GATEWAYS = {"exclusiveGateway": "branch", "parallelGateway": "parallel",
            "inclusiveGateway": "inclusive"}  # fmt: skip

_WALL = re.compile(r"(\d+)([mh])")
_ISO = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def bpmn(name: str) -> str:
    """Return the qualified name of an element of BPMN's own."""
    return f"{{{BPMN}}}{name}"


def own(name: str) -> str:
    """Return the qualified name of an element of ours."""
    return f"{{{OWN}}}{name}"


def to_iso(duration: str) -> str:
    """Return a duration as ISO 8601; business time is only near it, so the step keeps its own.

    >>> to_iso("90m"), to_iso("24bh"), to_iso("3bd")
    ('PT90M', 'PT24H', 'P3D')
    """
    number = duration.rstrip("mhbd")
    unit = duration[len(number) :]
    return {"m": f"PT{number}M", "bd": f"P{number}D"}.get(unit, f"PT{number}H")


def from_iso(text: str) -> str:
    """Return an ISO 8601 duration as a flow's; empty when a flow cannot say it.

    >>> from_iso("PT24H"), from_iso("P1DT30M"), from_iso("P1M")
    ('24h', '1470m', '')
    """
    found = _ISO.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return ""
    days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
    total = days * 1440 + hours * 60 + minutes + -(-seconds // 60)
    return f"{total // 60}h" if total % 60 == 0 else f"{total}m"
