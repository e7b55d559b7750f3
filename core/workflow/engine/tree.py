"""A flow's steps as a tree that can be walked: what follows, what lies around, what came before.

Subflows are set in as blocks whose lanes are their runs; a step in them is called
`SUBFLOW_STEP/STEP`, so ids stay unique.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.schema.flows import HUMAN, Flow, Step


@dataclass(frozen=True, slots=True)
class Node:
    """One step and its place.

    Attributes:
        id: the step's id; `SUBFLOW_STEP/STEP` in a subflow.
        flow: the flow whose rules about people hold here.
        parent: the block around it; empty at the top.
        lane: which lane of that block; every run of a subflow walks lane 0.
        lanes: of a block: the ids in each lane; the last of a branch or inclusive is `else`.
        following: the next step in its lane; empty at its end.
    """

    id: str
    step: Step
    flow: Flow
    parent: str
    lane: int
    lanes: tuple[tuple[str, ...], ...]
    following: str

    @property
    def is_human(self) -> bool:
        """Return whether people see it as a task."""
        return self.step.type in HUMAN


@dataclass(frozen=True, slots=True)
class Tree:
    """All steps of a flow and of its subflows, by id, in the order in which they are written."""

    flow: Flow
    nodes: Mapping[str, Node]
    top: tuple[str, ...]

    def lane(self, node: Node) -> tuple[str, ...]:
        """Return the ids of the lane that a step stands in."""
        return self.nodes[node.parent].lanes[node.lane] if node.parent else self.top

    def around(self, node: Node) -> Iterator[Node]:
        """Yield the blocks around a step, the nearest first."""
        while node.parent:
            node = self.nodes[node.parent]
            yield node

    def before(self, node_id: str) -> str:
        """Return the human step right before a step in its lane or the lanes around it.

        Empty where there is none, or where a block of steps lies between.
        """
        node = self.nodes[node_id]
        for place in (node, *self.around(node)):
            lane = self.lane(place)
            for one in reversed(lane[: lane.index(place.id)]):
                if self.nodes[one].is_human or self.nodes[one].lanes:
                    return one if self.nodes[one].is_human else ""
        return ""

    def earlier(self, node_id: str) -> list[str]:
        """Return the human steps before a step in its lane and the lanes around it.

        The nearest comes first. Steps inside other blocks are not among them: nobody can
        return into a strand that runs beside, or into a case that may not hold any more.
        """
        found: list[str] = []
        node = self.nodes[node_id]
        for place in (node, *self.around(node)):
            lane = self.lane(place)
            before = lane[: lane.index(place.id)]
            found += [one for one in reversed(before) if self.nodes[one].is_human]
        return found


def lanes_of(step: Step, subflows: Mapping[str, Flow]) -> tuple[tuple[Step, ...], ...]:
    """Return the steps in each lane of a block; none for a step that holds no others."""
    if step.type in {"branch", "inclusive"}:
        return (*(case.steps for case in step.cases), step.else_ or ())
    if step.type == "parallel":
        return tuple(lane.steps for lane in step.lanes)
    return (subflows[step.flow].steps,) if step.type == "subflow" else ()


def compile_flow(flow: Flow, subflows: Mapping[str, Flow]) -> Tree:
    """Return the tree of a flow; `subflows` has every flow that it or one of those names.

    Raises:
        KeyError: a subflow is missing; publishing has refused such a flow.
    """
    nodes: dict[str, Node] = {}

    def add(
        steps: tuple[Step, ...], owner: Flow, parent: str, lane: int, prefix: str
    ) -> tuple[str, ...]:
        ids = tuple(prefix + step.id for step in steps)
        for place, (node_id, step) in enumerate(zip(ids, steps, strict=True)):
            is_sub = step.type == "subflow"
            inner = subflows[step.flow] if is_sub else owner
            below = f"{node_id}/" if is_sub else prefix
            following = ids[place + 1] if place + 1 < len(ids) else ""
            # The block stands before its steps, so that order is the order of writing.
            nodes[node_id] = Node(node_id, step, owner, parent, lane, (), following)
            lanes = tuple(
                add(held, inner, node_id, number, below)
                for number, held in enumerate(lanes_of(step, subflows))
            )
            if lanes:
                nodes[node_id] = Node(node_id, step, owner, parent, lane, lanes, following)
        return ids

    top = add(flow.steps, flow, "", 0, "")
    return Tree(flow, nodes, top)
